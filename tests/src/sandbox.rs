//! A place of its own for each test: folder, names, ports; and nothing left on the engines afterwards.
//!
//! Owns cleaning up by prefix. Must never remove what does not carry its prefix.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::engine::TestEngine;
use crate::raw::{Raw, encode};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A mutex whose holder may have failed its test.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where ports for tests begin, and how many there are: below those that the kernel gives to whoever asks for any.
const PORTS: (u16, u16) = (16_384, 16_000);
/// How many were given out.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A TCP port on loopback that is free, and that nobody else in this process gets or got: a container that is stopped for a
/// moment still has its own.
///
/// # Errors
/// None is left.
pub fn free_port() -> Result<u16> {
    let (first, count) = (u32::from(PORTS.0), u32::from(PORTS.1));
    for _ in 0..count {
        // Two processes begin at different places.
        let at = GIVEN.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(389));
        let port = u16::try_from(first + at % count)?;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {first} on")
}

/// Runs a future to its end from code that is not asynchronous, even inside a runtime (a `Drop`).
pub fn block_on<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        Some(runtime.block_on(work))
    })
    .join()
    .ok()
    .flatten()
}

/// A test's own corner of one engine and of the disk; cleaned when dropped, also when the test fails.
#[derive(Debug)]
pub struct Sandbox {
    /// Starts every name: `dbt<pid>x<n>`.
    pub prefix: String,
    /// The engine that it cleans.
    pub engine: TestEngine,
    folder: TempDir,
}

impl Sandbox {
    /// A new one on this engine.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub fn new(engine: &TestEngine) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("dbt{}x{number}", std::process::id());
        let folder = tempfile::Builder::new().prefix(&format!("{prefix}-")).tempdir()?;
        Ok(Self { prefix, engine: engine.clone(), folder })
    }

    /// A name for a container, network, volume, project or repository.
    pub fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.prefix)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Plain calls to the engine.
    pub fn raw(&self) -> Raw {
        self.engine.raw()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let (raw, prefix) = (self.engine.raw(), self.prefix.clone());
        // What cannot be removed stays on an engine that is thrown away anyway.
        let _ = block_on(async move { clean(&raw, &format!("{prefix}-")).await });
    }
}

/// Removes containers (with their anonymous volumes), networks, volumes and images whose name holds this text.
///
/// # Errors
/// The engine does not answer a listing; single things that cannot be removed are passed over.
pub async fn clean(raw: &Raw, mark: &str) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for container in raw.list(mark).await? {
        let _ = raw.delete(&format!("/containers/{}?force=1&v=1", text(&container["Id"]))).await;
    }
    for network in raw.get("/networks").await?.as_array().into_iter().flatten() {
        if text(&network["Name"]).contains(mark) {
            let _ = raw.delete(&format!("/networks/{}", text(&network["Id"]))).await;
        }
    }
    for volume in raw.get("/volumes").await?["Volumes"].as_array().into_iter().flatten() {
        if text(&volume["Name"]).contains(mark) {
            let _ = raw.delete(&format!("/volumes/{}?force=1", encode(&text(&volume["Name"])))).await;
        }
    }
    // By name, never by id: another test's image may have the same bytes, and goes with all its names when its id is removed.
    for image in raw.get("/images/json?all=1").await?.as_array().into_iter().flatten() {
        let names = |key: &str| image[key].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        for name in names("RepoTags").iter().chain(&names("RepoDigests")).filter(|name| name.contains(mark)) {
            let _ = raw.delete(&format!("/images/{name}?force=1")).await;
        }
    }
    Ok(())
}
