//! Images made from nothing: layer, configuration, manifest and index as bytes, so that a test knows every digest.
//!
//! Owns their making. Must never ask an engine or a registry.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Media type of an image manifest as Docker writes it.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of an OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// What an image shall be.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// `amd64`, `arm64`.
    pub arch: String,
    /// Path, content, mode; one layer.
    pub files: Vec<(String, Vec<u8>, u32)>,
    /// The image's `config` object, exactly as inspect shows it (`Env`, `Cmd`, `Labels`, `Healthcheck` …).
    pub config: BTreeMap<String, Value>,
    /// RFC 3339; part of the digest.
    pub created: String,
}

impl ImageSpec {
    /// An image with one file of text and nothing to run.
    pub fn empty(content: &str) -> Self {
        Self {
            arch: crate::demo::host_arch().into(),
            files: vec![("content".into(), content.into(), 0o644)],
            config: BTreeMap::new(),
            created: "2026-01-02T03:04:05Z".into(),
        }
    }

    /// The demo service in this version: listens on 8080, health check every second, version label.
    ///
    /// # Errors
    /// The service cannot be compiled.
    pub fn demo(version: &str) -> Result<Self> {
        Ok(Self::demo_of(version, crate::demo::binary()?))
    }

    /// The same for the device's machine, whatever this one is.
    ///
    /// # Errors
    /// As [`Self::demo`].
    pub fn demo_arm64(version: &str) -> Result<Self> {
        let mut image = Self::demo_of(version, crate::demo::binary_for("aarch64")?);
        image.arch = "arm64".into();
        Ok(image)
    }

    fn demo_of(version: &str, binary: Vec<u8>) -> Self {
        let mut image = Self::empty(version);
        image.files.push(("demo".into(), binary, 0o755));
        image.set("Entrypoint", json!(["/demo"]));
        image.set("Env", json!(["PATH=/", format!("VERSION={version}")]));
        image.set("ExposedPorts", json!({"8080/tcp": {}}));
        image.set("Labels", json!({"org.opencontainers.image.version": version}));
        let second = 1_000_000_000_u64;
        image.set(
            "Healthcheck",
            json!({"Test": ["CMD", "/demo", "--probe", "http://127.0.0.1:8080/health"],
                   "Interval": second, "Timeout": 2 * second, "StartPeriod": 0, "Retries": 2}),
        );
        image
    }

    /// Sets one field of the configuration; null removes it.
    pub fn set(&mut self, key: &str, value: Value) -> &mut Self {
        if value.is_null() {
            self.config.remove(key);
        } else {
            self.config.insert(key.into(), value);
        }
        self
    }

    /// [`Self::set`] in a chain.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.set(key, value);
        self
    }

    /// Adds one environment variable of the image, after those that are there.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        let entry = Value::String(format!("{name}={value}"));
        if let Some(list) = self.config.entry("Env".into()).or_insert_with(|| json!([])).as_array_mut() {
            list.push(entry);
        }
        self
    }

    /// All its bytes and digests.
    ///
    /// # Errors
    /// A file cannot be packed.
    pub fn build(&self) -> Result<BuiltImage> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content, mode) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(*mode);
            header.set_cksum();
            tar.append_data(&mut header, path, content.as_slice())?;
        }
        let plain = tar.into_inner()?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain)?;
        let layer = gzip.finish()?;
        let config = serde_json::to_vec(&json!({
            "architecture": self.arch, "os": "linux", "created": self.created, "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&plain))]},
            "history": [{"created": self.created, "created_by": "test bed"}],
        }))?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": config.len(), "digest": format!("sha256:{}", sha256(&config))},
            "layers": [{"mediaType": LAYER, "size": layer.len(), "digest": format!("sha256:{}", sha256(&layer))}],
        }))?;
        Ok(BuiltImage {
            arch: self.arch.clone(),
            config_digest: format!("sha256:{}", sha256(&config)),
            layer_digest: format!("sha256:{}", sha256(&layer)),
            digest: format!("sha256:{}", sha256(&manifest)),
            plain,
            layer,
            config,
            manifest,
        })
    }
}

/// An image as bytes.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// As in [`ImageSpec`].
    pub arch: String,
    /// Digest of the configuration: the image id with a graph driver.
    pub config_digest: String,
    /// Digest of the packed layer.
    pub layer_digest: String,
    /// Digest of the manifest: what a registry answers for it, and the image id with containerd's store.
    pub digest: String,
    /// The layer, unpacked.
    pub plain: Vec<u8>,
    /// The layer as pushed.
    pub layer: Vec<u8>,
    /// The configuration.
    pub config: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
}

impl BuiltImage {
    /// An archive for `docker load` that makes `reference` name this image.
    ///
    /// # Errors
    /// It cannot be packed.
    pub fn archive(&self, reference: &str) -> Result<Vec<u8>> {
        let config = format!("{}.json", self.config_digest.trim_start_matches("sha256:"));
        let list = serde_json::to_vec(
            &json!([{"Config": config, "RepoTags": [reference], "Layers": ["layer/layer.tar"]}]),
        )?;
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in
            [(config.as_str(), &self.config), ("layer/layer.tar", &self.plain), ("manifest.json", &list)]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, path, content.as_slice())?;
        }
        Ok(tar.into_inner()?)
    }
}

/// The index of several platforms, as bytes and digest.
///
/// # Errors
/// It cannot be written as JSON.
pub fn index(images: &[BuiltImage]) -> Result<(Vec<u8>, String)> {
    let manifests: Vec<Value> = images
        .iter()
        .map(|image| {
            json!({"mediaType": MANIFEST, "size": image.manifest.len(), "digest": image.digest,
                   "platform": {"architecture": image.arch, "os": "linux"}})
        })
        .collect();
    let bytes = serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))?;
    let digest = format!("sha256:{}", sha256(&bytes));
    Ok((bytes, digest))
}
