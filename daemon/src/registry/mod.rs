//! Registries: what they have under a tag, and what that is.
//!
//! Owns requests for manifests and what is remembered of each registry (connection, token, back-off). Must never pull an
//! image (the engine does) nor decide what a digest means for a container.
//!
//! A check asks for all references at once with HEAD, the first request already being the right one: no probing.

mod auth;
mod error;
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use dockbeacon_core::model::{Digest, ImageRef, Platform};
use dockbeacon_core::now::Now;
use dockbeacon_core::registry::{
    ACCEPT, Backoff, Challenge, Choice, Config, Manifest, Rate, RetryAfter, api_host, runs_on,
};
use dockbeacon_core::settings::RegistrySettings;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use reqwest::{Method, Response, header};
use sha2::{Digest as _, Sha256};

use auth::{Ask, Session, Source};
pub use error::{RegistryError, SetupError};
use transport::{Known, Transport, unexpected, unreachable};

/// Gives the time; `clock::now` in the program.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Requests in flight at one registry: below the streams that any HTTP/2 server allows.
const AT_ONCE: usize = 64;
/// No manifest is larger; registries refuse to store such.
const MANIFEST_LIMIT: usize = 4 << 20;
/// No image configuration is larger.
const CONFIG_LIMIT: usize = 8 << 20;

/// What a registry has under a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The manifest's digest, the index's where there is one.
    pub digest: Digest,
    /// Its media type, as far as the registry said.
    pub media_type: String,
}

/// What a digest is, for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The digest that was asked about.
    pub digest: Digest,
    /// The OCI version label.
    pub version: Option<String>,
    /// When the image was built.
    pub created: Option<DateTime<Utc>>,
    /// Bytes of all its layers; what is here already is not subtracted.
    pub download_size: u64,
    /// Whether the engine's platform runs it; if not, what is offered (`linux/amd64`).
    pub platform_ok: Result<(), Vec<String>>,
    /// The digest of the image's configuration: its id with the graph-driver store.
    pub image_config_digest: Option<Digest>,
}

/// All registries. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    source: Source,
    clock: Clock,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    services: auth::Services,
}

/// What is remembered of one registry while the program lives.
#[derive(Debug, Default)]
struct Host {
    known: Known,
    session: Session,
    backoff: Mutex<Backoff>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Prepares the clients; asks nobody.
    ///
    /// # Errors
    /// When `registry.ca_file` cannot be used.
    pub fn new(settings: &RegistrySettings, clock: Clock) -> Result<Self, SetupError> {
        let inner = Inner {
            transport: Transport::new(settings)?,
            source: Source::new(settings),
            clock,
            hosts: Mutex::default(),
            services: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes ready to ask, in the background: worth while before something else that takes time.
    pub fn prepare(&self) {
        if self.inner.transport.is_prepared() {
            return;
        }
        let inner = Arc::clone(&self.inner);
        // Whoever asks before it is over waits for it.
        drop(tokio::task::spawn_blocking(move || inner.transport.prepare()));
    }

    /// What the registries have under these references, all asked at once; each tag is asked for once, however often and
    /// in whatever spelling it is listed. A reference with a digest is asked for by it.
    pub async fn heads(&self, refs: &BTreeSet<ImageRef>) -> BTreeMap<ImageRef, Result<Head, RegistryError>> {
        // Owned, not borrowed: a future that borrows from this argument could not be spawned.
        let mut registries: BTreeMap<String, BTreeMap<String, Vec<ImageRef>>> = BTreeMap::new();
        for image in refs {
            let tags = registries.entry(image.registry.clone()).or_default();
            tags.entry(format!("{}:{}", image.repository, wanted(image))).or_default().push(image.clone());
        }
        let answers = registries.into_values().map(|tags| self.heads_of_one(tags.into_values().collect()));
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// The same for one registry; each entry is one tag in all its spellings.
    async fn heads_of_one(&self, tags: Vec<Vec<ImageRef>>) -> Vec<(ImageRef, Result<Head, RegistryError>)> {
        let asked = tags.into_iter().map(|same| {
            let registry = self.clone();
            async move {
                let Some(first) = same.first() else { return Vec::new() };
                let answer = registry.head(first).await;
                same.into_iter().map(|image| (image, answer.clone())).collect()
            }
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).concat().await
    }

    /// What a digest is for this platform. Two or three requests, so only for candidates.
    ///
    /// # Errors
    /// As for `heads`.
    pub async fn describe(
        &self,
        image: &ImageRef,
        digest: &Digest,
        platform: &Platform,
    ) -> Result<Remote, RegistryError> {
        let registry = image.registry.as_str();
        let mut remote = Remote {
            digest: digest.clone(),
            version: None,
            created: None,
            download_size: 0,
            platform_ok: Ok(()),
            image_config_digest: None,
        };
        let mut manifest = self.manifest(image, digest).await?;
        if let Manifest::Index(entries) = &manifest {
            match Manifest::choose(entries, platform) {
                Choice::Take(of_platform) => manifest = self.manifest(image, &of_platform).await?,
                Choice::Offered(list) => {
                    remote.platform_ok = Err(list);
                    return Ok(remote);
                }
            }
        }
        let (config, size) = match manifest {
            Manifest::Image { config, size } => (config, size),
            Manifest::Old => return Ok(remote),
            Manifest::Index(_) => return Err(unexpected(registry, "an index within an index")),
        };
        let path = format!("/v2/{}/blobs/{config}", image.repository);
        let response = self.ask(Method::GET, image, &path, "*/*").await?;
        let bytes = self.body(registry, response, CONFIG_LIMIT, Some(&config)).await?;
        let parsed = Config::parse(&bytes).map_err(|e| unexpected(registry, e.to_string()))?;
        // An artifact without a platform is the engine's to judge.
        if !parsed.platform.architecture.is_empty() && !runs_on(&parsed.platform, platform) {
            remote.platform_ok = Err(vec![parsed.platform_words()]);
        }
        remote.version = parsed.version;
        remote.created = parsed.created;
        remote.download_size = size;
        remote.image_config_digest = Some(config);
        Ok(remote)
    }

    /// The value of `X-Registry-Auth` for pulls from `registry`, where we have credentials with it.
    pub async fn engine_auth(&self, registry: &str) -> Option<String> {
        let host = self.host(registry);
        let found = host.session.credentials(registry, &self.inner.source, &self.inner.clock).await;
        found.map(|credentials| credentials.engine_auth(registry))
    }

    async fn head(&self, image: &ImageRef) -> Result<Head, RegistryError> {
        let path = format!("/v2/{}/manifests/{}", image.repository, wanted(image));
        // Some registries know HEAD not at all, some without a digest, some answer 404 to it: then the whole manifest.
        let headed = match self.ask(Method::HEAD, image, &path, ACCEPT).await {
            Ok(response) => head_of(&response),
            Err(RegistryError::NotFound { .. }) => None,
            Err(RegistryError::Unexpected { .. }) => None,
            Err(other) => return Err(other),
        };
        if let Some(head) = headed {
            return Ok(head);
        }
        let response = self.ask(Method::GET, image, &path, ACCEPT).await?;
        let media_type = text(&response, header::CONTENT_TYPE.as_str());
        let bytes = self.body(&image.registry, response, MANIFEST_LIMIT, None).await?;
        let digest = digest_of(&bytes).ok_or_else(|| unexpected(&image.registry, "no digest can be made"))?;
        Ok(Head { digest, media_type })
    }

    async fn manifest(&self, image: &ImageRef, digest: &Digest) -> Result<Manifest, RegistryError> {
        let path = format!("/v2/{}/manifests/{digest}", image.repository);
        let response = self.ask(Method::GET, image, &path, ACCEPT).await?;
        let bytes = self.body(&image.registry, response, MANIFEST_LIMIT, Some(digest)).await?;
        Manifest::parse(&bytes).map_err(|e| unexpected(&image.registry, e.to_string()))
    }

    /// One request with what we know; a challenge is answered once.
    async fn ask(
        &self,
        method: Method,
        image: &ImageRef,
        path: &str,
        accept: &str,
    ) -> Result<Response, RegistryError> {
        let registry = image.registry.as_str();
        let host = self.host(registry);
        let inner = &*self.inner;
        if let Some(wait) = lock(&host.backoff).wait(&(inner.clock)()) {
            return Err(RegistryError::RateLimited { registry: registry.to_owned(), until: wait.until });
        }
        let ask = Ask {
            registry,
            repository: &image.repository,
            transport: &inner.transport,
            source: &inner.source,
            clock: &inner.clock,
            services: &inner.services,
        };
        let mut challenged = false;
        loop {
            let auth = host.session.header(&ask).await?;
            let make = |client: &reqwest::Client, url: String| {
                let request = client.request(method.clone(), url).header(header::ACCEPT, accept);
                // The one place where the secret leaves: to the registry that asked for it.
                match &auth {
                    Some(auth) => request.header(header::AUTHORIZATION, auth.reveal()),
                    None => request,
                }
            };
            let response = inner.transport.send(api_host(registry), &host.known, make, path).await?;
            if response.status().as_u16() != 401 {
                return self.judge(&host, image, response);
            }
            let wants = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
            let wants = wants.filter_map(|v| v.to_str().ok()).collect::<Vec<_>>().join(", ");
            match Challenge::parse(&wants) {
                Some(challenge) if !challenged => host.session.challenged(challenge),
                _ => {
                    let had = host.session.credentials(registry, &inner.source, &inner.clock).await.is_some();
                    host.session.forget().await;
                    return Err(unauthorized(image, had));
                }
            }
            if auth.is_some() {
                host.session.forget_token(&image.repository);
            }
            challenged = true;
        }
    }

    /// A status into meaning; the rate headers into back-off.
    fn judge(&self, host: &Host, image: &ImageRef, response: Response) -> Result<Response, RegistryError> {
        let registry = image.registry.clone();
        let status = response.status();
        let retry_after = RetryAfter::parse(&text(&response, "retry-after"));
        if status.as_u16() == 429 || (status.as_u16() == 503 && retry_after.is_some()) {
            let wait = lock(&host.backoff).limited(retry_after, &(self.inner.clock)());
            return Err(RegistryError::RateLimited { registry, until: wait.until });
        }
        if let Some(left) = Rate::parse(&text(&response, "ratelimit-remaining")) {
            tracing::debug!(registry, left = left.count, "rate limit");
        }
        match status.as_u16() {
            200..=299 => {
                lock(&host.backoff).answered(&(self.inner.clock)());
                Ok(response)
            }
            403 => Err(unauthorized(image, true)),
            404 => Err(RegistryError::NotFound {
                registry,
                image: format!("{}:{}", image.repository, wanted(image)),
            }),
            500.. if status.as_u16() != 501 => {
                Err(RegistryError::Server { registry, status: status.as_u16() })
            }
            _ => Err(unexpected(&registry, format!("status {status}"))),
        }
    }

    /// Reads a body of limited size and checks it against its digest.
    async fn body(
        &self,
        registry: &str,
        mut response: Response,
        limit: usize,
        digest: Option<&Digest>,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(registry, &e))? {
            if bytes.len() + chunk.len() > limit {
                return Err(unexpected(registry, format!("more than {limit} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        let checkable = digest.filter(|d| d.as_str().starts_with("sha256:"));
        if checkable.is_some() && digest_of(&bytes).as_ref() != checkable {
            return Err(unexpected(registry, "content that does not match its digest"));
        }
        Ok(bytes)
    }

    fn host(&self, registry: &str) -> Arc<Host> {
        Arc::clone(lock(&self.inner.hosts).entry(registry.to_owned()).or_default())
    }
}

/// What is asked for: the pinned digest, else the tag.
fn wanted(image: &ImageRef) -> &str {
    image.digest.as_ref().map_or(image.tag.as_str(), Digest::as_str)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(response: &Response, name: &str) -> String {
    response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

fn head_of(response: &Response) -> Option<Head> {
    let digest = Digest::new(text(response, "docker-content-digest")).ok()?;
    Some(Head { digest, media_type: text(response, header::CONTENT_TYPE.as_str()) })
}

fn digest_of(bytes: &[u8]) -> Option<Digest> {
    use std::fmt::Write as _;
    let mut name = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(name, "{byte:02x}");
    }
    Digest::new(name).ok()
}

fn unauthorized(image: &ImageRef, had: bool) -> RegistryError {
    let why = if had { "it refuses our credentials" } else { "there are no credentials for it" };
    RegistryError::Unauthorized {
        registry: image.registry.clone(),
        repository: image.repository.clone(),
        why: why.to_owned(),
    }
}
