//! A real registry (Debian's docker-registry) on a loopback port of its own.
//!
//! Owns its process, folder, certificate, password file and access log. Must never serve beyond loopback.

#![allow(clippy::disallowed_methods, reason = "the test bed waits against real time")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::image::{BuiltImage, INDEX, ImageSpec, MANIFEST, index};
use crate::sandbox::{free_port, locked};

/// Ends with the registry's status if that ends first.
const WRAPPER: &str = r#"
command -v docker-registry >/dev/null || { echo "docker-registry is missing; install that package" >&2; exit 127; }
docker-registry serve "$1" <&- & registry=$!
{ cat >/dev/null; kill -KILL "$registry"; } <&0 >/dev/null 2>&1 &
wait "$registry"
"#;

/// How a registry shall be.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// HTTPS with a certificate of a CA of its own.
    pub tls: bool,
    /// Name and password that it asks for by basic auth.
    pub login: Option<(String, String)>,
    /// This port and no other; else a free one.
    pub port: Option<u16>,
}

/// One line of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `HEAD`, `GET` …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The status that was answered.
    pub status: u16,
    /// Who asked.
    pub agent: String,
}

/// A running registry; stops and leaves nothing when dropped.
#[derive(Debug)]
pub struct Registry {
    /// `127.0.0.1:PORT`, the first part of its image names.
    pub address: String,
    /// The CA that its certificate comes from, as PEM; with TLS only.
    pub ca: Option<PathBuf>,
    client: reqwest::Client,
    login: Option<(String, String)>,
    scheme: &'static str,
    child: Child,
    log: Arc<Mutex<Vec<Access>>>,
    folder: TempDir,
}

impl Registry {
    /// A registry without TLS and password.
    ///
    /// # Errors
    /// As [`Self::start_with`].
    pub async fn start() -> Result<Self> {
        Self::start_with(RegistryOptions::default()).await
    }

    /// A registry as wanted.
    ///
    /// # Errors
    /// The program `docker-registry` (or `htpasswd`, with a login) is missing or does not come up within 20 s.
    pub async fn start_with(options: RegistryOptions) -> Result<Self> {
        // An error means that somebody set it before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut last = None;
        // A port found free may be taken the moment after.
        for _ in 0..4 {
            match Self::try_start(&options).await {
                Ok(registry) => return Ok(registry),
                Err(error) => last = Some(error),
            }
            if options.port.is_some() {
                break;
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no try was made")))
    }

    async fn try_start(options: &RegistryOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dockbeacon-registry-").tempdir()?;
        let port = options.port.map_or_else(free_port, Ok)?;
        let address = format!("127.0.0.1:{port}");
        let mut config = format!(
            "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: false}}}}\n\
             storage: {{filesystem: {{rootdirectory: {0}/data}}, delete: {{enabled: true}}}}\n\
             http:\n  addr: {address}\n",
            folder.path().display()
        );
        let mut ca = None;
        let mut client = reqwest::Client::builder().no_proxy();
        if options.tls {
            let pem = write_certificates(&folder)?;
            client = client.tls_certs_merge([reqwest::Certificate::from_pem(pem.as_bytes())?]);
            ca = Some(folder.path().join("ca.pem"));
            config +=
                &format!("  tls: {{certificate: {0}/cert.pem, key: {0}/key.pem}}\n", folder.path().display());
        }
        if let Some((name, password)) = &options.login {
            let made = Command::new("htpasswd")
                .args(["-nbB", name, password])
                .output()
                .context("cannot run htpasswd; install apache2-utils")?;
            std::fs::write(folder.path().join("htpasswd"), made.stdout)?;
            config +=
                &format!("auth: {{htpasswd: {{realm: test, path: {}/htpasswd}}}}\n", folder.path().display());
        }
        std::fs::write(folder.path().join("config.yml"), config)?;
        let errors = std::fs::File::create(folder.path().join("errors"))?;
        // Ends with its standard input, so also when the test is killed.
        let mut child = Command::new("bash")
            .args(["-c", WRAPPER, "registry"])
            .arg(folder.path().join("config.yml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context("cannot run docker-registry; install the package docker-registry")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(out) = child.stdout.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(std::io::Result::ok) {
                    if let Some(access) = parse(&line) {
                        locked(&log).push(access);
                    }
                }
            });
        }
        let scheme = if options.tls { "https" } else { "http" };
        let mut registry = Self {
            address,
            ca,
            client: client.build()?,
            login: options.login.clone(),
            scheme,
            child,
            log,
            folder,
        };
        registry.wait_up().await?;
        registry.clear_log();
        Ok(registry)
    }

    async fn wait_up(&mut self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait()? {
                let errors = std::fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default();
                bail!("docker-registry ended with {status}: {errors}");
            }
            match self.request("GET", "").send().await {
                Ok(answer) if answer.status().is_success() => break,
                other if Instant::now() > end => {
                    bail!("docker-registry on {} does not answer: {other:?}", self.address)
                }
                _ => tokio::time::sleep(Duration::from_millis(30)).await,
            }
        }
        // The log is written after the answer; the last line of our own must not show up after it was cleared.
        while locked(&self.log).is_empty() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or(reqwest::Method::GET);
        let request = self
            .client
            .request(method, format!("{}://{}/v2/{path}", self.scheme, self.address))
            .header("user-agent", "test-bed");
        match &self.login {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        }
    }

    /// `127.0.0.1:PORT/REPOSITORY`.
    pub fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    /// Builds and pushes one image; gives all its digests.
    ///
    /// # Errors
    /// The registry refuses.
    pub async fn push(&self, repository: &str, tag: &str, image: &ImageSpec) -> Result<BuiltImage> {
        let built = image.build()?;
        self.push_image(repository, tag, &built).await?;
        Ok(built)
    }

    /// Pushes the images by digest and an index of them under the tag; gives the index's digest.
    ///
    /// # Errors
    /// The registry refuses.
    pub async fn push_index(&self, repository: &str, tag: &str, images: &[ImageSpec]) -> Result<String> {
        let mut built = Vec::new();
        for image in images {
            let image = image.build()?;
            self.push_image(repository, &image.digest, &image).await?;
            built.push(image);
        }
        let (bytes, digest) = index(&built)?;
        self.put_manifest(repository, tag, INDEX, bytes).await?;
        Ok(digest)
    }

    async fn push_image(&self, repository: &str, reference: &str, image: &BuiltImage) -> Result<()> {
        self.put_blob(repository, &image.layer_digest, image.layer.clone()).await?;
        self.put_blob(repository, &image.config_digest, image.config.clone()).await?;
        self.put_manifest(repository, reference, MANIFEST, image.manifest.clone()).await
    }

    async fn put_blob(&self, repository: &str, digest: &str, bytes: Vec<u8>) -> Result<()> {
        let begun =
            self.request("POST", &format!("{repository}/blobs/uploads/")).send().await?.error_for_status()?;
        let place = begun.headers().get("location").context("no place to upload to")?.to_str()?;
        let path = place.split_once("/v2/").context("an upload place outside /v2/")?.1;
        let joint = if path.contains('?') { '&' } else { '?' };
        self.request("PUT", &format!("{path}{joint}digest={digest}"))
            .header("content-type", "application/octet-stream")
            .body(bytes)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        kind: &str,
        bytes: Vec<u8>,
    ) -> Result<()> {
        self.request("PUT", &format!("{repository}/manifests/{reference}"))
            .header("content-type", kind)
            .body(bytes)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// What others than the test bed asked for since the start or [`Self::clear_log`].
    pub fn log(&self) -> Vec<Access> {
        locked(&self.log).iter().filter(|line| line.agent != "test-bed").cloned().collect()
    }

    /// Forgets the log.
    pub fn clear_log(&self) {
        locked(&self.log).clear();
    }

    /// Stops it before its time; the address then refuses.
    pub fn stop(&mut self) {
        // `wait` closes the standard input first, which ends it.
        let _ = self.child.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn write_certificates(folder: &TempDir) -> Result<String> {
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test registry CA");
    let key = rcgen::KeyPair::generate()?;
    let ca = rcgen::CertifiedIssuer::self_signed(params, key)?;
    let leaf_key = rcgen::KeyPair::generate()?;
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = rcgen::CertificateParams::new(names)?.signed_by(&leaf_key, &ca)?;
    let pem = ca.pem();
    std::fs::write(folder.path().join("ca.pem"), &pem)?;
    std::fs::write(folder.path().join("cert.pem"), leaf.pem())?;
    std::fs::write(folder.path().join("key.pem"), leaf_key.serialize_pem())?;
    Ok(pem)
}

/// Reads a line in Apache's combined format.
fn parse(line: &str) -> Option<Access> {
    let mut parts = line.split('"');
    let request = parts.nth(1)?;
    let status = parts.next()?.split_whitespace().next()?.parse().ok()?;
    let agent = parts.nth(2).unwrap_or("").to_owned();
    let mut words = request.split_whitespace();
    Some(Access { method: words.next()?.to_owned(), path: words.next()?.to_owned(), status, agent })
}
