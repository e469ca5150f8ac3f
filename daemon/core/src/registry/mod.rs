//! What a registry's answers mean, and who we are to it.
//!
//! Owns the comparison of digests, the choice within an index, challenges, credentials and back-off. Must never talk to a
//! registry, nor treat an engine's image id as a digest.

mod backoff;
mod challenge;
mod credentials;
mod manifest;

pub use backoff::{Backoff, Rate, RetryAfter, Wait};
pub use challenge::Challenge;
pub use credentials::{ConfigError, Credentials, DockerConfig, Lookup};
pub use manifest::{Choice, Config, Entry, Manifest, ManifestError, runs_on};

use crate::model::{Digest, ImageRef};

/// What we accept as a manifest: both families' manifests and indexes, and the oldest form where there is nothing else.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1";

/// Whether an image here is what the registry has under the tag: the registry's digest is among its `RepoDigests`.
/// A digest names its content, so the repository beside it does not matter (an image may have come by way of a mirror).
#[must_use]
pub fn is_current(repo_digests: &[String], digest: &Digest) -> bool {
    repo_digests.iter().any(|entry| entry.rsplit_once('@').is_some_and(|(_, d)| d == digest.as_str()))
}

/// Whether an image here came from this reference's repository at all; one that was built or loaded here did not.
#[must_use]
pub fn came_from(image: &ImageRef, repo_digests: &[String]) -> bool {
    repo_digests.iter().any(|entry| {
        let Some((name, _)) = entry.rsplit_once('@') else { return false };
        ImageRef::parse(name).is_ok_and(|r| r.name() == image.name())
    })
}

/// The host that is asked for images of `registry`.
#[must_use]
pub fn api_host(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

/// Whether a registry is on this machine: the engine speaks plain HTTP with those, and so do we.
#[must_use]
pub fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => registry,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn digest(byte: &str) -> Digest {
        Digest::new(format!("sha256:{}", byte.repeat(32))).unwrap()
    }

    #[test]
    fn current_is_what_the_registry_has_whichever_way_it_came() {
        let list = vec![format!("redis@{}", digest("aa")), format!("mirror.example/redis@{}", digest("bb"))];
        assert!(is_current(&list, &digest("aa")) && is_current(&list, &digest("bb")));
        assert!(!is_current(&list, &digest("cc")) && !is_current(&[], &digest("aa")));
        assert!(came_from(&ImageRef::parse("docker.io/library/redis:7").unwrap(), &list));
        assert!(!came_from(&ImageRef::parse("other/redis").unwrap(), &list));
    }

    #[test]
    fn loopback_is_this_machine() {
        for here in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(here), "{here}");
        }
        for there in ["docker.io", "10.0.0.1:5000", "localhost.example", "registry.example:443"] {
            assert!(!is_loopback(there), "{there}");
        }
    }
}
