//! Proving who we are.
//!
//! Owns where credentials come from (`config.json`, helpers, REPO_USER), the token dance and its cache. Must never log a
//! secret, nor send one over plain HTTP except where the owner allows it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use dockbeacon_core::registry::{Challenge, Credentials, DockerConfig};
use dockbeacon_core::settings::{RegistrySettings, Secret};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

use super::transport::{Known, Transport, authority, unexpected};
use super::{Clock, RegistryError};

/// A helper that asks a person would wait for ever.
const HELPER: Duration = Duration::from_secs(20);
/// How long credentials are taken from memory before the file and the helper are asked again.
const FRESH: Duration = Duration::from_secs(300);
/// Tokens are renewed this long before they end: clocks differ and requests take time.
const MARGIN: Duration = Duration::from_secs(10);

/// Where credentials come from.
#[derive(Debug)]
pub(super) struct Source {
    config: Option<PathBuf>,
    fallback: Option<Credentials>,
}

/// What is remembered of who we are to one registry.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The last challenge, answered in advance from then on.
    challenge: Lock<Option<Challenge>>,
    /// With the time of asking.
    credentials: Mutex<Option<(Duration, Option<Credentials>)>>,
    tokens: Lock<BTreeMap<String, Arc<Mutex<Option<Token>>>>>,
    /// REPO_USER was meant for another registry: this one has refused it, and is asked without.
    fallback_refused: AtomicBool,
}

#[derive(Debug, Clone)]
struct Token {
    header: Secret,
    /// On the monotonic clock.
    ends: Duration,
}

impl Source {
    pub fn new(settings: &RegistrySettings) -> Self {
        let fallback = settings.user.as_ref().filter(|u| !u.is_empty()).map(|user| Credentials::Basic {
            user: user.clone(),
            password: settings.password.clone().unwrap_or_else(|| Secret::new(String::new())),
        });
        Self {
            config: settings.docker_config.as_ref().map(|d| PathBuf::from(d).join("config.json")),
            fallback,
        }
    }

    /// Whether these are REPO_USER's, which are tried with every registry that `config.json` does not know.
    fn is_fallback(&self, credentials: &Credentials) -> bool {
        self.fallback.as_ref() == Some(credentials)
    }

    /// Our credentials with a registry. Trouble with the file or a helper is logged and means none from there.
    async fn find(&self, registry: &str) -> Option<Credentials> {
        let lookup = self.read().await.lookup(registry);
        if let Some((helper, server)) = &lookup.helper {
            match ask_helper(helper, server).await {
                Ok(Some(found)) => return Some(found),
                Ok(None) => {}
                Err(why) => tracing::warn!(registry, helper, why, "the credential helper failed"),
            }
        }
        lookup.inline.or_else(|| self.fallback.clone())
    }

    async fn read(&self) -> DockerConfig {
        let Some(path) = &self.config else { return DockerConfig::default() };
        let text = match tokio::fs::read_to_string(path).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return DockerConfig::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "config.json cannot be read, registries are asked without it");
                return DockerConfig::default();
            }
        };
        DockerConfig::parse(&text).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "config.json cannot be understood, registries are asked without it");
            DockerConfig::default()
        })
    }
}

/// `docker-credential-NAME get`. `None` when it knows nothing of that server.
async fn ask_helper(name: &str, server: &str) -> Result<Option<Credentials>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let program = format!("docker-credential-{name}");
    let run = async {
        let mut child = tokio::process::Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("{program} cannot be run ({e}); install it where PATH finds it"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input has ended: its status says more than a broken pipe.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        child.wait_with_output().await.map_err(|e| format!("{program}: {e}"))
    };
    let output = tokio::time::timeout(HELPER, run).await.map_err(|_| {
        format!("{program} gave no answer in {} s; it must not ask a person", HELPER.as_secs())
    })??;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stdout).to_lowercase();
        if words.contains("credentials not found") || words.contains("not found in native keychain") {
            return Ok(None);
        }
        return Err(format!("{program} ended with {}", output.status));
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|_| format!("{program} did not answer with JSON"))?;
    let known = !answer.username.is_empty() && !answer.secret.is_empty();
    Ok(known.then(|| Credentials::from_helper(answer.username, answer.secret)))
}

impl Session {
    /// Our credentials with `registry`, from memory while fresh. Concurrent askers share one look.
    pub async fn credentials(&self, registry: &str, source: &Source, clock: &Clock) -> Option<Credentials> {
        let mut cached = self.credentials.lock().await;
        let now = clock().monotonic;
        if let Some((at, found)) = cached.as_ref()
            && now.saturating_sub(*at) < FRESH
        {
            return found.clone();
        }
        let refused = self.fallback_refused.load(Ordering::Relaxed);
        let found = source.find(registry).await.filter(|c| !(refused && source.is_fallback(c)));
        *cached = Some((now, found.clone()));
        found
    }

    /// Forgets what a registry refused, so that the next check sees a new `docker login`.
    pub async fn forget(&self) {
        *self.credentials.lock().await = None;
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets the token for a repository, which was refused.
    pub fn forget_token(&self, repository: &str) {
        let scope = format!("repository:{repository}:pull");
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(&scope);
    }

    /// Remembers how the registry wants to be asked.
    pub fn challenged(&self, challenge: Challenge) {
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
    }

    /// The `Authorization` header for reading `repository`, by the last challenge; `None` before there was one, or when
    /// we have nothing to answer it with.
    pub async fn header(&self, ask: &Ask<'_>) -> Result<Option<Secret>, RegistryError> {
        let challenge = self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => {
                let credentials = self.credentials(ask.registry, ask.source, ask.clock).await;
                Ok(credentials.and_then(|c| c.basic_header()).map(Secret::new))
            }
            Some(Challenge::Bearer { realm, service, .. }) => {
                let scope = format!("repository:{}:pull", ask.repository);
                let slot = {
                    let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                    Arc::clone(tokens.entry(scope.clone()).or_default())
                };
                // Askers for the same repository wait for one dance.
                let mut token = slot.lock().await;
                let now = (ask.clock)().monotonic;
                if let Some(token) = token.as_ref()
                    && token.ends > now
                {
                    return Ok(Some(token.header.clone()));
                }
                let credentials = self.credentials(ask.registry, ask.source, ask.clock).await;
                let service = service.as_deref();
                let mut danced = dance(ask, &realm, service, &scope, credentials.as_ref(), now).await;
                if matches!(danced, Err(RegistryError::Unauthorized { .. }))
                    && credentials.as_ref().is_some_and(|c| ask.source.is_fallback(c))
                {
                    danced = dance(ask, &realm, service, &scope, None, now).await;
                    if danced.is_ok() {
                        self.fallback_refused.store(true, Ordering::Relaxed);
                        *self.credentials.lock().await = None;
                    }
                }
                let fresh = danced?;
                let header = fresh.header.clone();
                *token = Some(fresh);
                Ok(Some(header))
            }
        }
    }
}

/// What is needed to get a header.
pub(super) struct Ask<'a> {
    pub registry: &'a str,
    pub repository: &'a str,
    pub transport: &'a Transport,
    pub source: &'a Source,
    pub clock: &'a Clock,
    /// What is remembered of token services' ways of speaking.
    pub services: &'a Services,
}

/// What is remembered of token services, by host.
pub(super) type Services = Lock<BTreeMap<String, Arc<Known>>>;

/// Gets one token.
async fn dance(
    ask: &Ask<'_>,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    credentials: Option<&Credentials>,
    now: Duration,
) -> Result<Token, RegistryError> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    let registry = ask.registry;
    let mut url = url::Url::parse(realm)
        .map_err(|e| unexpected(registry, format!("its token service {realm:?}: {e}")))?;
    let host = dockbeacon_core::registry::api_host(registry);
    if credentials.is_some() && !ask.transport.may_carry_secrets(host, url.as_str()) {
        return Err(unexpected(registry, format!("it wants our password sent to {realm} unencrypted")));
    }
    if let Some(Credentials::Token(token)) = credentials {
        let header = Secret::new(format!("Bearer {}", token.reveal()));
        return Ok(Token { header, ends: now });
    }
    let form = if let Some(Credentials::Identity(refresh)) = credentials {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "dockbeacon")
            .append_pair("service", service.unwrap_or_default())
            .append_pair("scope", scope)
            .append_pair("refresh_token", refresh.reveal())
            .finish();
        Some(form)
    } else {
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        None
    };
    let basic = credentials.and_then(Credentials::basic_header);
    let make = |client: &reqwest::Client| match (&form, &basic) {
        (Some(form), _) => client
            .post(url.clone())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.clone()),
        (None, Some(basic)) => client.get(url.clone()).header("Authorization", basic),
        (None, None) => client.get(url.clone()),
    };
    let known = {
        let mut services = ask.services.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(services.entry(authority(&url)).or_default())
    };
    let response = ask.transport.send_to(&url, &known, make).await?;
    let status = response.status();
    if matches!(status.as_u16(), 400 | 401 | 403) {
        let why = if credentials.is_some() {
            "it refuses our credentials"
        } else {
            "there are no credentials for it"
        };
        return Err(RegistryError::Unauthorized {
            registry: registry.to_owned(),
            repository: ask.repository.to_owned(),
            why: why.to_owned(),
        });
    }
    if !status.is_success() {
        return Err(RegistryError::Server { registry: registry.to_owned(), status: status.as_u16() });
    }
    let answer: Answer = response
        .json()
        .await
        .map_err(|_| unexpected(registry, "its token service did not answer with JSON"))?;
    let token = answer.token.or(answer.access_token).filter(|t| !t.is_empty());
    let Some(token) = token else { return Err(unexpected(registry, "its token service gave no token")) };
    let life = Duration::from_secs(answer.expires_in.unwrap_or(60).clamp(1, 24 * 3600));
    let header = Secret::new(format!("Bearer {token}"));
    Ok(Token { header, ends: now + life.saturating_sub(MARGIN) })
}
