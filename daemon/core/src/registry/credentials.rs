//! Who we are to a registry, as the engine's own `config.json` says.
//!
//! Owns its interpretation and the text of `X-Registry-Auth`. Must never read the file, run a helper, or print a password.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use serde::Deserialize;
use serde_json::json;

use super::api_host;
use crate::settings::Secret;

/// Docker Hub's name in `config.json` and with credential helpers.
const HUB: &str = "https://index.docker.io/v1/";

/// `config.json` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User and password.
    Basic {
        /// The user.
        user: String,
        /// The password or access token.
        password: Secret,
    },
    /// A refresh token, to be traded for access tokens.
    Identity(Secret),
    /// An access token, used as it is.
    Token(Secret),
}

impl Credentials {
    /// What a credential helper answered: its user `<token>` means that the secret is a refresh token.
    #[must_use]
    pub fn from_helper(user: String, secret: String) -> Self {
        let secret = Secret::new(secret);
        if user == "<token>" { Self::Identity(secret) } else { Self::Basic { user, password: secret } }
    }

    /// The value of `X-Registry-Auth`, by which the engine pulls as us.
    #[must_use]
    pub fn engine_auth(&self, registry: &str) -> String {
        let server = if registry == "docker.io" { HUB } else { registry };
        let value = match self {
            Self::Basic { user, password } => {
                json!({"username": user, "password": password.reveal(), "serveraddress": server})
            }
            Self::Identity(token) => json!({"identitytoken": token.reveal(), "serveraddress": server}),
            Self::Token(token) => json!({"registrytoken": token.reveal(), "serveraddress": server}),
        };
        URL_SAFE.encode(value.to_string())
    }

    /// The value of an `Authorization: Basic` header, where this is user and password.
    #[must_use]
    pub fn basic_header(&self) -> Option<String> {
        match self {
            Self::Basic { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal()))))
            }
            Self::Identity(_) | Self::Token(_) => None,
        }
    }
}

/// Where credentials of one registry are to be found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The helper to ask first (`docker-credential-NAME`), and the server's name with it.
    pub helper: Option<(String, String)>,
    /// What the file itself holds.
    pub inline: Option<Credentials>,
}

/// The engine's `config.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl DockerConfig {
    /// Reads the file's text. Unknown fields are for other programs.
    ///
    /// # Errors
    /// Where and why it is not JSON of that form; never with the text itself.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|e| {
            let kind = if e.is_data() { "has an unexpected value" } else { "is not JSON" };
            ConfigError(format!("it {kind} at line {} column {}", e.line(), e.column()))
        })
    }

    /// Where the credentials of `registry` (normal form, `docker.io`) are.
    #[must_use]
    pub fn lookup(&self, registry: &str) -> Lookup {
        let same = |key: &str| host_of(key) == registry;
        let inline = self.auths.iter().find(|(key, _)| same(key)).and_then(|(_, auth)| auth.credentials());
        let own = self.cred_helpers.iter().find(|(key, _)| same(key));
        let helper = match (own, &self.creds_store) {
            (Some((key, name)), _) => Some((name.clone(), key.clone())),
            (None, Some(name)) if !name.is_empty() => {
                let key = self.auths.keys().find(|key| same(key)).cloned();
                let default = if registry == "docker.io" { HUB.to_owned() } else { registry.to_owned() };
                Some((name.clone(), key.unwrap_or(default)))
            }
            (None, _) => None,
        };
        Lookup { helper: helper.filter(|(name, _)| is_safe(name)), inline }
    }
}

/// A helper's name becomes part of a program's name: no path may be made of it.
fn is_safe(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// The registry that a key means, in normal form: keys come with and without scheme and path.
fn host_of(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = bare.split('/').next().unwrap_or(bare);
    if host == "index.docker.io" || host == api_host("docker.io") { "docker.io" } else { host }
}

impl Auth {
    fn credentials(&self) -> Option<Credentials> {
        if !self.identitytoken.is_empty() {
            return Some(Credentials::Identity(Secret::new(self.identitytoken.clone())));
        }
        if !self.registrytoken.is_empty() {
            return Some(Credentials::Token(Secret::new(self.registrytoken.clone())));
        }
        let packed = self.auth.trim().trim_end_matches('=');
        if let Some((user, password)) = STANDARD_NO_PAD
            .decode(packed)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| {
                text.split_once(':').map(|(u, p)| (u.to_owned(), p.trim_end_matches('\0').to_owned()))
            })
            .filter(|(user, _)| !user.is_empty())
        {
            return Some(Credentials::Basic { user, password: Secret::new(password) });
        }
        (!self.username.is_empty()).then(|| Credentials::Basic {
            user: self.username.clone(),
            password: Secret::new(self.password.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic { user: user.to_owned(), password: Secret::new(password.to_owned()) }
    }

    #[test]
    fn every_place_of_credentials_is_found() {
        let text = r#"{
            "auths": {
                "https://index.docker.io/v1/": {"auth": "bWU6cGE6c3M="},
                "ghcr.io": {"username": "a", "password": "b"},
                "https://quay.io": {"identitytoken": "refresh"},
                "http://127.0.0.1:5000/v2/": {"auth": "dTpw"},
                "helped.example": {},
                "bad.example": {"auth": "!!!"}
            },
            "credHelpers": {"123.ecr.example": "ecr-login", "evil.example": "../../bin/sh"},
            "HttpHeaders": {"x": "y"}
        }"#;
        let config = DockerConfig::parse(text).unwrap();
        for (registry, helper, inline) in [
            ("docker.io", None, Some(basic("me", "pa:ss"))),
            ("ghcr.io", None, Some(basic("a", "b"))),
            ("quay.io", None, Some(Credentials::Identity(Secret::new("refresh".to_owned())))),
            ("127.0.0.1:5000", None, Some(basic("u", "p"))),
            ("helped.example", None, None),
            ("bad.example", None, None),
            ("123.ecr.example", Some(("ecr-login", "123.ecr.example")), None),
            ("evil.example", None, None),
            ("unknown.example", None, None),
        ] {
            let helper = helper.map(|(n, k)| (n.to_owned(), k.to_owned()));
            assert_eq!(config.lookup(registry), Lookup { helper, inline }, "{registry}");
        }
    }

    #[test]
    fn a_store_is_asked_by_the_key_of_the_file() {
        let config = DockerConfig::parse(r#"{"auths":{"https://ghcr.io":{}},"credsStore":"pass"}"#).unwrap();
        let key = |registry| config.lookup(registry).helper.map(|(_, key)| key);
        assert_eq!(key("ghcr.io").as_deref(), Some("https://ghcr.io"));
        assert_eq!(key("docker.io").as_deref(), Some(HUB));
        assert_eq!(key("x.example").as_deref(), Some("x.example"));
    }

    #[test]
    fn a_broken_file_is_told_without_its_secrets() {
        for text in [r#"{"auths": {"x": {"auth": "hunter2" "#, r#"{"auths": ["hunter2"]}"#, "hunter2"] {
            let error = DockerConfig::parse(text).unwrap_err().to_string();
            assert!(error.contains("line 1") && !error.contains("hunter2"), "{error}");
        }
        assert!(DockerConfig::parse("").is_ok());
        let debug = format!("{:?}", DockerConfig::parse(r#"{"auths":{"x":{"auth":"hunter2"}}}"#).unwrap());
        assert!(!debug.contains("hunter2"), "{debug}");
    }

    #[test]
    fn the_engine_is_told_who_we_are() {
        let read = |text: String| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE.decode(text).unwrap()).unwrap()
        };
        assert_eq!(
            read(basic("u", "p").engine_auth("docker.io")),
            json!({"username": "u", "password": "p", "serveraddress": HUB})
        );
        let token = Credentials::from_helper("<token>".to_owned(), "t".to_owned());
        assert_eq!(read(token.engine_auth("x.io")), json!({"identitytoken": "t", "serveraddress": "x.io"}));
        assert_eq!(basic("u", "p").basic_header().as_deref(), Some("Basic dTpw"));
        assert_eq!(token.basic_header(), None);
    }
}
