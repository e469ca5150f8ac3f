//! References to images: `host[:port]/path[:tag][@digest]`.
//!
//! Owns the normal form (Docker Hub's defaults filled in) and the text as the owner wrote it. Must never guess: what is
//! not a reference is an error.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Digest;

/// What is wrong with a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {why}")]
pub struct ImageRefError {
    /// The text that was refused.
    pub text: String,
    /// Why.
    pub why: &'static str,
}

/// A reference to an image, in normal form: registry and tag are always there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// `docker.io`, `ghcr.io`, `registry.example:5000`.
    pub registry: String,
    /// `library/redis`.
    pub repository: String,
    /// `latest` where none was written.
    pub tag: String,
    /// Set where the owner pinned one.
    pub digest: Option<Digest>,
    /// As it was written.
    text: String,
}

impl ImageRef {
    /// Parses what a person or an engine wrote.
    ///
    /// # Errors
    /// For a bare image id, an empty text, or one with characters that no reference has.
    pub fn parse(text: &str) -> Result<Self, ImageRefError> {
        let refuse = |why| ImageRefError { text: text.to_owned(), why };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        if text.starts_with("sha256:") || (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(refuse("it is an image id"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(Digest::new(digest).map_err(|_| refuse("its digest is wrong"))?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (rest, "latest"),
        };
        let tag_ok = !tag.is_empty()
            && tag.len() <= 128
            && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            && !tag.starts_with(['.', '-']);
        if !tag_ok {
            return Err(refuse("its tag is wrong"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            other => other,
        };
        let path_ok = !path.is_empty()
            && path.split('/').all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b))
            });
        if !path_ok {
            return Err(refuse(
                "its repository has something else than lower-case letters, digits and `_.-/`",
            ));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: path,
            tag: tag.to_owned(),
            digest,
            text: text.to_owned(),
        })
    }

    /// `registry/repository`, the key of a `RepoDigests` entry in normal form.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name as the engine abbreviates it in `RepoTags` and `RepoDigests`: no `docker.io/`, no `library/`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry == "docker.io" {
            self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned()
        } else {
            self.name()
        }
    }

    /// `name:tag` as the engine abbreviates it.
    #[must_use]
    pub fn familiar(&self) -> String {
        format!("{}:{}", self.familiar_name(), self.tag)
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// Whether two references lead to the same tag of the same repository, however they are written.
    #[must_use]
    pub fn same_tag(&self, other: &Self) -> bool {
        self.registry == other.registry && self.repository == other.repository && self.tag == other.tag
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageRefError;
    fn try_from(text: String) -> Result<Self, ImageRefError> {
        Self::parse(&text)
    }
}

impl From<ImageRef> for String {
    fn from(reference: ImageRef) -> String {
        reference.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (text, name, tag) in [
            ("redis", "docker.io/library/redis", "latest"),
            ("redis:7", "docker.io/library/redis", "7"),
            ("grafana/grafana", "docker.io/grafana/grafana", "latest"),
            ("ghcr.io/a/b:1.2", "ghcr.io/a/b", "1.2"),
            ("localhost/x", "localhost/x", "latest"),
            ("127.0.0.1:5000/x/y:z", "127.0.0.1:5000/x/y", "z"),
            ("index.docker.io/library/redis", "docker.io/library/redis", "latest"),
        ] {
            let parsed = ImageRef::parse(text).map(|r| (r.name(), r.tag));
            assert_eq!(parsed, Ok((name.to_owned(), tag.to_owned())), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "sha256:abc", "a b", "UPPER/x", "x:", "x@sha256:1", "x:-a", "a//b"] {
            assert!(ImageRef::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn familiar_names_are_the_engines() {
        let familiar = |t: &str| ImageRef::parse(t).map(|r| r.familiar());
        assert_eq!(familiar("docker.io/library/redis:7"), Ok("redis:7".to_owned()));
        assert_eq!(familiar("docker.io/a/b"), Ok("a/b:latest".to_owned()));
        assert_eq!(familiar("127.0.0.1:5000/a"), Ok("127.0.0.1:5000/a:latest".to_owned()));
    }
}
