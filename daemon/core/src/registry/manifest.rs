//! Manifests, indexes and image configurations.
//!
//! Owns their reading and the choice of a platform within an index, by the engine's own rule. Must never fetch one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::model::{Digest, Platform};

/// What is wrong with a document from a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} cannot be read: {why}")]
pub struct ManifestError {
    /// `manifest` or `image configuration`.
    pub kind: &'static str,
    /// What is wrong.
    pub why: String,
}

/// One image of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its manifest.
    pub digest: Digest,
    /// What it is for; empty where the index does not say.
    pub platform: Platform,
}

/// A manifest as a registry gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// Several images, one for each platform; attestations are left out.
    Index(Vec<Entry>),
    /// One image.
    Image {
        /// Its configuration.
        config: Digest,
        /// Bytes to download: layers and configuration, all of them.
        size: u64,
    },
    /// The oldest form, which tells us nothing more.
    Old,
}

/// What was found for a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The image to take.
    Take(Digest),
    /// None runs there; these are offered.
    Offered(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    manifests: Option<Vec<IndexItem>>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    schema_version: Option<u8>,
}

#[derive(Deserialize)]
struct IndexItem {
    digest: Digest,
    platform: Option<PlatformItem>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlatformItem {
    os: String,
    architecture: String,
    variant: String,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
    #[serde(default)]
    size: u64,
}

impl Manifest {
    /// Reads a manifest or an index of either family.
    ///
    /// # Errors
    /// When it is no JSON or neither of them.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let refuse = |why: String| ManifestError { kind: "manifest", why };
        let document: Document = serde_json::from_slice(bytes).map_err(|e| refuse(e.to_string()))?;
        if let Some(items) = document.manifests {
            let entries = items.into_iter().filter_map(|item| {
                let of = item.platform.unwrap_or_default();
                let attestation = item.annotations.contains_key("vnd.docker.reference.type")
                    || of.os == "unknown"
                    || of.architecture == "unknown";
                let platform = Platform { os: of.os, architecture: of.architecture, variant: of.variant };
                (!attestation).then_some(Entry { digest: item.digest, platform })
            });
            return Ok(Self::Index(entries.collect()));
        }
        if let Some(config) = document.config {
            let size = document.layers.iter().map(|l| l.size).fold(config.size, u64::saturating_add);
            return Ok(Self::Image { config: config.digest, size });
        }
        if document.schema_version == Some(1) {
            return Ok(Self::Old);
        }
        Err(refuse("it is neither an image nor an index".to_owned()))
    }

    /// The image of an index that an engine on `wanted` would take: the nearest platform, the first of equals.
    #[must_use]
    pub fn choose(entries: &[Entry], wanted: &Platform) -> Choice {
        for runs in ladder(wanted) {
            if let Some(entry) = entries.iter().find(|e| normal(&e.platform) == runs) {
                return Choice::Take(entry.digest.clone());
            }
        }
        let mut offered: Vec<String> = entries.iter().map(|e| words(&e.platform)).collect();
        offered.sort();
        offered.dedup();
        Choice::Offered(offered)
    }
}

/// Whether an engine on `wanted` runs images for `image`.
#[must_use]
pub fn runs_on(image: &Platform, wanted: &Platform) -> bool {
    ladder(wanted).contains(&normal(image))
}

/// `linux/arm/v7`.
fn words(platform: &Platform) -> String {
    let Platform { os, architecture, variant } = platform;
    let parts = [os, architecture, variant].map(String::as_str);
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/")
}

/// One spelling for each platform: 64-bit ARM is v8, 32-bit ARM without a variant is v7.
fn normal(platform: &Platform) -> Platform {
    let os = if platform.os == "macos" { "darwin".to_owned() } else { platform.os.to_lowercase() };
    let architecture = platform.architecture.to_lowercase();
    let variant = platform.variant.to_lowercase();
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", String::new()),
        ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v.to_owned()),
        ("i386" | "i686" | "386", _) => ("386", String::new()),
        ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", "v8".to_owned()),
        ("aarch64" | "arm64", v) => ("arm64", v.to_owned()),
        ("armhf", _) => ("arm", "v7".to_owned()),
        ("armel", _) => ("arm", "v6".to_owned()),
        ("arm", "" | "7") => ("arm", "v7".to_owned()),
        ("arm", "5" | "6" | "8") => ("arm", format!("v{variant}")),
        (other, v) => (other, v.to_owned()),
    };
    Platform { os, architecture: architecture.to_owned(), variant }
}

/// What an engine on a platform runs, the best first: a newer ARM runs the older ones' images.
fn ladder(wanted: &Platform) -> Vec<Platform> {
    let first = normal(wanted);
    let other = |architecture: &str, variant: &str| Platform {
        os: first.os.clone(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
    };
    let arm_down_from = |variant: &str| {
        let all = ["v8", "v7", "v6", "v5"];
        let from = all.iter().position(|v| *v == variant).unwrap_or(all.len());
        all.into_iter().skip(from).map(|v| other("arm", v)).collect::<Vec<_>>()
    };
    let rest = match (first.architecture.as_str(), first.variant.as_str()) {
        ("amd64", "") => vec![other("386", "")],
        ("amd64", _) => vec![other("amd64", ""), other("386", "")],
        ("arm64", "v8") => arm_down_from("v8"),
        ("arm64", _) => {
            let mut rest = vec![other("arm64", "v8")];
            rest.extend(arm_down_from("v8"));
            rest
        }
        ("arm", variant) => arm_down_from(variant).into_iter().skip(1).collect(),
        _ => Vec::new(),
    };
    std::iter::once(first.clone()).chain(rest).collect()
}

/// The part of an image's configuration that is told to people and compared with the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// What it is for.
    pub platform: Platform,
    /// When it was built.
    pub created: Option<DateTime<Utc>>,
    /// The label `org.opencontainers.image.version`, where it says something.
    pub version: Option<String>,
}

impl Config {
    /// Reads an image configuration.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Raw {
            os: String,
            architecture: String,
            variant: String,
            created: Option<String>,
            config: Option<Inner>,
        }
        #[derive(Deserialize)]
        struct Inner {
            #[serde(rename = "Labels", default)]
            labels: Option<BTreeMap<String, String>>,
        }
        let raw: Raw = serde_json::from_slice(bytes)
            .map_err(|e| ManifestError { kind: "image configuration", why: e.to_string() })?;
        let labels = raw.config.and_then(|c| c.labels).unwrap_or_default();
        let version = labels.get("org.opencontainers.image.version").map(|v| v.trim().to_owned());
        let created =
            raw.created.and_then(|t| DateTime::parse_from_rfc3339(&t).ok()).map(|t| t.with_timezone(&Utc));
        Ok(Self {
            platform: Platform { os: raw.os, architecture: raw.architecture, variant: raw.variant },
            created,
            version: version.filter(|v| !v.is_empty()),
        })
    }

    /// The platform in words, `linux/arm64`.
    #[must_use]
    pub fn platform_words(&self) -> String {
        words(&self.platform)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn digest(byte: u8) -> Digest {
        Digest::new(format!("sha256:{}", format!("{byte:02x}").repeat(32))).unwrap()
    }

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Platform { os: next(), architecture: next(), variant: next() }
    }

    #[test]
    fn the_nearest_platform_is_taken() {
        for (offered, wanted, taken) in [
            (vec!["linux/amd64", "linux/arm64", "linux/arm/v7"], "linux/arm64/v8", Some(1)),
            (vec!["linux/arm64/v8", "linux/amd64"], "linux/arm64", Some(0)),
            (vec!["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", Some(1)),
            (vec!["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", Some(1)),
            (vec!["linux/arm/v7"], "linux/arm/v6", None),
            (vec!["linux/arm"], "linux/arm/v7", Some(0)),
            (vec!["linux/arm/v7", "linux/arm/v6"], "linux/arm64/v8", Some(0)),
            (vec!["linux/386"], "linux/amd64", Some(0)),
            (vec!["linux/amd64/v3", "linux/amd64"], "linux/amd64", Some(1)),
            (vec!["windows/amd64", "linux/s390x"], "linux/amd64", None),
            (vec![], "linux/amd64", None),
        ] {
            let entries: Vec<Entry> = (0..)
                .zip(&offered)
                .map(|(n, p)| Entry { digest: digest(n), platform: platform(p) })
                .collect();
            match (Manifest::choose(&entries, &platform(wanted)), taken) {
                (Choice::Take(d), Some(n)) => assert_eq!(d, digest(n), "{offered:?} on {wanted}"),
                (Choice::Offered(list), None) => assert_eq!(list.len(), offered.len()),
                (other, _) => panic!("{offered:?} on {wanted}: {other:?}"),
            }
        }
        assert!(runs_on(&platform("linux/arm/v6"), &platform("linux/arm/v8")));
        assert!(!runs_on(&platform("linux/amd64"), &platform("linux/arm64")));
    }

    #[test]
    fn documents_are_read() {
        let index = json!({"schemaVersion": 2, "manifests": [
            {"digest": digest(1), "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": digest(2), "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": digest(3), "platform": {"os": "linux", "architecture": "amd64"},
             "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        ]});
        let Ok(Manifest::Index(entries)) = Manifest::parse(index.to_string().as_bytes()) else { panic!() };
        assert_eq!(entries, [Entry { digest: digest(1), platform: platform("linux/arm64/v8") }]);
        let image = json!({"schemaVersion": 2, "config": {"digest": digest(9), "size": 5},
                           "layers": [{"digest": digest(1), "size": 10}, {"digest": digest(2), "size": 20}]});
        let read = Manifest::parse(image.to_string().as_bytes());
        assert_eq!(read, Ok(Manifest::Image { config: digest(9), size: 35 }));
        assert_eq!(Manifest::parse(br#"{"schemaVersion":1,"name":"x"}"#), Ok(Manifest::Old));
        for bad in ["", "{}", "[]", r#"{"manifests":[{"digest":"x"}]}"#] {
            assert!(Manifest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn configurations_are_read() {
        let config = json!({"os": "linux", "architecture": "arm64", "created": "2026-01-02T03:04:05.6Z",
                            "config": {"Labels": {"org.opencontainers.image.version": " 1.2.3 "}}});
        let read = Config::parse(config.to_string().as_bytes()).unwrap();
        assert_eq!(read.version.as_deref(), Some("1.2.3"));
        assert_eq!(read.platform_words(), "linux/arm64");
        assert_eq!(read.created.map(|c| c.timestamp()), Some(1_767_323_045));
        let bare = Config::parse(br#"{"config":{"Labels":null}}"#).unwrap();
        assert_eq!(bare, Config::default());
    }
}
