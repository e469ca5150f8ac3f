//! The engine: everything that Dockbeacon asks of it and does to it.
//!
//! Owns the socket, the choice of the API version, and the meaning of status codes. The only importer of bollard. Must
//! never decide anything: it answers what is there and does what it is told, once, without retries.

mod acts;
mod error;
mod events;
mod inventory;
mod pull;
mod raw;
mod volumes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use dockbeacon_core::model::{EngineInfo, Platform};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;

pub use error::EngineError;
pub use events::Hint;
pub use pull::PullProgress;

use inventory::Detail;
use raw::{Answer, Call};

/// Patience for a question. A Pi with a slow card under load takes seconds for a listing.
const ASK: Duration = Duration::from_secs(60);

/// The oldest API spoken: Debian 12's engine.
const OLDEST: (usize, usize) = (1, 41);

/// One engine, reached over its unix socket. Cheap to clone; a new `connect` is due after the engine was away, since
/// it may have come back with another version.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    socket: String,
    /// `/v1.41`, before every path.
    prefix: String,
    docker: Docker,
    version: String,
    api: String,
    arch: String,
    os: String,
    /// Asked once: the machine stays the same.
    platform: tokio::sync::OnceCell<Platform>,
    /// What inspecting told of containers, by id: none of it can change while a container lives.
    details: Mutex<BTreeMap<String, Detail>>,
}

impl Inner {
    /// From API 1.42 on a stop may name its signal.
    fn takes_stop_signal(&self) -> bool {
        let (major, minor) = self.api.split_once('.').unwrap_or((&self.api, "0"));
        (major.parse().unwrap_or(1), minor.parse().unwrap_or(0)) >= (1u32, 42u32)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("socket", &self.inner.socket).field("api", &self.inner.api).finish()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: String,
    #[serde(rename = "MinAPIVersion", default)]
    min_api_version: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    arch: String,
}

impl Engine {
    /// Connects to `unix:///path` (or a bare absolute path) and settles on the highest API version that both know.
    ///
    /// # Errors
    /// `Unreachable` with the remedy when there is no engine, no permission, or no common version.
    pub async fn connect(host: &str) -> Result<Self, EngineError> {
        let socket = socket_path(host)?;
        let what = "asking for its version";
        // Without a version prefix: an engine refuses a prefix that is newer than itself.
        let asked = raw::call(socket, "", Call::get("/version".to_owned(), what.to_owned(), ASK)).await?;
        let version: Version = asked.json(what)?;
        let spoken = negotiate(&version.api_version, &version.min_api_version)?;
        let docker = Docker::connect_with_unix(socket, ASK.as_secs(), &spoken).map_err(|e| {
            EngineError::Unreachable {
                why: e.to_string(),
                remedy: "see `systemctl status docker`".to_owned(),
            }
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                socket: socket.to_owned(),
                prefix: format!("/v{spoken}"),
                docker,
                version: version.version,
                api: spoken.to_string(),
                arch: version.arch,
                os: version.os,
                platform: tokio::sync::OnceCell::new(),
                details: Mutex::default(),
            }),
        })
    }

    /// What the engine is: version and platform.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        let platform = self.inner.platform.get_or_try_init(|| self.ask_platform()).await?.clone();
        Ok(EngineInfo { version: self.inner.version.clone(), api_version: self.inner.api.clone(), platform })
    }

    async fn ask_platform(&self) -> Result<Platform, EngineError> {
        let (os, arch) = (&self.inner.os, &self.inner.arch);
        // Asked only where the answer matters: the engine starts two programs to answer it.
        let machine = if arch == "arm" {
            let what = "asking what it is";
            let info: Value = self.get("/info".to_owned(), what).await?.json(what)?;
            info.get("Architecture").and_then(Value::as_str).unwrap_or_default().to_owned()
        } else {
            String::new()
        };
        Ok(platform(os, arch, &machine))
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.get("/_ping".to_owned(), "asking whether it is there").await.map(|_| ())
    }

    /// The last `n` lines that a container wrote, both streams, oldest first, without their line ends.
    ///
    /// # Errors
    /// `NotFound`, or when the log cannot be read (some log drivers cannot).
    pub async fn logs_tail(&self, id: &str, n: usize) -> Result<Vec<String>, EngineError> {
        let what = format!("reading the log of {id}");
        let options = bollard::query_parameters::LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(&n.to_string())
            .build();
        let collect = async {
            let mut stream = self.inner.docker.logs(id, Some(options));
            let mut text = String::new();
            while let Some(part) = stream.next().await {
                text.push_str(&part.map_err(|e| translate(e, &what))?.to_string());
            }
            Ok(text.lines().map(str::to_owned).collect())
        };
        tokio::time::timeout(ASK, collect).await.map_err(|_| EngineError::TimedOut { what: what.clone() })?
    }

    async fn get(&self, path: String, what: &str) -> Result<Answer, EngineError> {
        self.call(Call::get(path, what.to_owned(), ASK)).await
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer, EngineError> {
        raw::call(&self.inner.socket, &self.inner.prefix, call).await
    }

    fn details_cache(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Detail>> {
        self.inner.details.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path in `unix:///path` or `/path`.
fn socket_path(host: &str) -> Result<&str, EngineError> {
    let path = host.strip_prefix("unix://").unwrap_or(host);
    if path.starts_with('/') {
        return Ok(path);
    }
    Err(EngineError::Unreachable {
        why: format!("{host:?} is not the address of a unix socket"),
        remedy: "set `engine.host` (or DOCKER_HOST) to something like unix:///var/run/docker.sock".to_owned(),
    })
}

fn parse_version(text: &str) -> Option<(usize, usize)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The highest version that both sides know.
fn negotiate(newest: &str, oldest: &str) -> Result<ClientVersion, EngineError> {
    let unreachable = |why: String, remedy: &str| EngineError::Unreachable { why, remedy: remedy.to_owned() };
    let ours = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
    let Some(theirs) = parse_version(newest) else {
        return Err(unreachable(format!("it names its API version {newest:?}"), "is this a Docker engine?"));
    };
    if theirs < OLDEST {
        let why = format!(
            "it speaks API {newest}, and {}.{} is the oldest that dockbeacon does",
            OLDEST.0, OLDEST.1
        );
        return Err(unreachable(why, "upgrade the engine to 20.10 or newer"));
    }
    if parse_version(oldest).is_some_and(|theirs| theirs > ours) {
        let why =
            format!("it speaks no API older than {oldest}, and {API_DEFAULT_VERSION} is dockbeacon's newest");
        return Err(unreachable(why, "upgrade dockbeacon"));
    }
    let (major_version, minor_version) = theirs.min(ours);
    Ok(ClientVersion { major_version, minor_version })
}

/// The platform that the engine runs images for. `arch` is the engine's own, `machine` the kernel's word: a 32-bit engine
/// on a 64-bit kernel runs 32-bit images.
fn platform(os: &str, arch: &str, machine: &str) -> Platform {
    let variant = match (arch, machine) {
        ("arm64", _) => "v8",
        ("arm", m) if m.starts_with("armv6") => "v6",
        ("arm", m) if m.starts_with("armv5") => "v5",
        ("arm", m) if m.starts_with("armv8") || m == "aarch64" => "v8",
        ("arm", _) => "v7",
        _ => "",
    };
    Platform { os: os.to_owned(), architecture: arch.to_owned(), variant: variant.to_owned() }
}

/// bollard's errors in our words.
fn translate(error: bollard::errors::Error, what: &str) -> EngineError {
    use bollard::errors::Error;
    #[allow(clippy::wildcard_enum_match_arm, reason = "somebody else's enum, and it grows")]
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::from_status(status_code, message)
        }
        Error::RequestTimeoutError => EngineError::TimedOut { what: what.to_owned() },
        Error::JsonDataError { message, .. } => EngineError::Garbled { what: what.to_owned(), why: message },
        other => EngineError::hung_up(what, &other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_highest_common_version_is_spoken() {
        for (newest, oldest, spoken) in
            [("1.41", "1.12", Some("1.41")), ("1.45", "1.24", Some("1.45")), ("9.9", "1.40", Some("1.53"))]
        {
            assert_eq!(negotiate(newest, oldest).ok().map(|v| v.to_string()).as_deref(), spoken, "{newest}");
        }
        for (newest, oldest) in [("1.40", "1.12"), ("9.9", "9.8"), ("", ""), ("x.y", "1.12")] {
            assert!(negotiate(newest, oldest).is_err(), "{newest}");
        }
    }

    #[test]
    fn addresses_are_unix_sockets() {
        assert_eq!(socket_path("unix:///run/x.sock").unwrap(), "/run/x.sock");
        assert_eq!(socket_path("/run/x.sock").unwrap(), "/run/x.sock");
        for bad in ["", "tcp://1.2.3.4:2375", "run/x.sock", "ssh://host"] {
            assert!(socket_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn platforms_have_their_variant() {
        for (arch, machine, variant) in [
            ("amd64", "x86_64", ""),
            ("arm64", "aarch64", "v8"),
            ("arm", "armv7l", "v7"),
            ("arm", "armv6l", "v6"),
            ("arm", "aarch64", "v8"),
        ] {
            assert_eq!(platform("linux", arch, machine).variant, variant, "{arch} {machine}");
        }
    }
}
