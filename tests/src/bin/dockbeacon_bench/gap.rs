//! How long a published service does not answer during an update, beside a bare `docker stop; docker rm; docker run`.
//!
//! Owns the probe and the pairs. Must never compare two gaps that were not measured one after the other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use dockbeacon_tests::daemon::Home;
use dockbeacon_tests::engine::TestEngine;
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::{Sandbox, free_port};
use serde_json::json;

use super::{Row, median, say, span};

const PAIRS: usize = 10;
/// Whoever does not answer in this time is not there.
const PATIENCE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(30);

/// Asks again and again; the longest time between two answers is the gap.
struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Probe {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                if answers(port) {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            longest
        });
        Self { stop, thread }
    }

    fn end(self) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let longest = self.thread.join().map_err(|_| anyhow::anyhow!("the probe broke off"))?;
        Ok(longest.as_secs_f64())
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE)
    else {
        return false;
    };
    let ready = stream.set_read_timeout(Some(PATIENCE)).is_ok()
        && stream.write_all(b"GET /version HTTP/1.1\r\nhost: probe\r\n\r\n").is_ok();
    let mut reply = [0; 12];
    ready && stream.read_exact(&mut reply).is_ok() && reply.ends_with(b"200")
}

struct Service {
    place: Sandbox,
    registry: Registry,
    home: Home,
    repository: String,
    name: String,
    port: u16,
}

/// Measures.
pub async fn measure(engine: &TestEngine) -> Result<Vec<Row>> {
    say(&format!("{PAIRS} pairs of a bare replacement and an update, with a probe on the published port"));
    let registry = Registry::start().await?;
    let place = Sandbox::new(engine)?;
    let (repository, name, port) = (place.name("web"), place.name("web"), free_port()?);
    let home = Home::new(place.path(), &engine.host, "")?;
    let service = Service { place, registry, home, repository, name, port };
    service.push(0).await?;
    service.place.raw().pull(&service.image()).await?;
    service.docker(&service.run_args())?;
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let version = 2 * pair + 1;
        let (by_hand, by_us);
        if pair % 2 == 0 {
            by_hand = service.bare(version).await?;
            by_us = service.update(version + 1).await?;
        } else {
            by_us = service.update(version).await?;
            by_hand = service.bare(version + 1).await?;
        }
        say(&format!("pair {}: bare {by_hand:.3} s, update {by_us:.3} s", pair + 1));
        ours.push(by_us);
        bare.push(by_hand);
        ratios.push(by_us / by_hand);
    }
    let (low, high) = span(&ours);
    let (bare_low, bare_high) = span(&bare);
    Ok(vec![
        Row::limit("gap of an update over bare stop, rm, run", median(&ratios), "x", 2, 1.0),
        Row::note("  update", format!("{:.3} s ({low:.3} s to {high:.3} s)", median(&ours))),
        Row::note("  bare", format!("{:.3} s ({bare_low:.3} s to {bare_high:.3} s)", median(&bare))),
    ])
}

impl Service {
    fn image(&self) -> String {
        format!("{}:latest", self.registry.name(&self.repository))
    }

    async fn push(&self, version: usize) -> Result<()> {
        self.registry.push(&self.repository, "latest", &ImageSpec::demo(&format!("1.{version}"))?).await?;
        Ok(())
    }

    fn run_args(&self) -> Vec<String> {
        let publish = format!("127.0.0.1:{}:8080", self.port);
        ["run", "-d", "--name", &self.name, "-p", &publish, &self.image()].map(str::to_owned).to_vec()
    }

    fn docker(&self, args: &[String]) -> Result<()> {
        let output = Command::new("docker")
            .args(["-H", &self.place.engine.host])
            .args(args)
            .output()
            .context("cannot run docker; install the package docker.io")?;
        if !output.status.success() {
            bail!("docker {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Everything is well and quiet again.
    async fn well(&self) -> Result<()> {
        self.place.raw().wait_for(&self.name, SOON, |c| c["State"]["Health"]["Status"] == "healthy").await?;
        let end = Instant::now() + SOON;
        while !answers(self.port) {
            if Instant::now() > end {
                bail!("{} does not answer on port {}", self.name, self.port);
            }
        }
        Ok(())
    }

    /// The gap when a person replaces the container by hand; the image is there already.
    async fn bare(&self, version: usize) -> Result<f64> {
        self.push(version).await?;
        self.place.raw().pull(&self.image()).await?;
        self.well().await?;
        let probe = Probe::start(self.port);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (stop, rm) = (["stop", &self.name], ["rm", &self.name]);
        self.docker(&stop.map(str::to_owned))?;
        self.docker(&rm.map(str::to_owned))?;
        self.docker(&self.run_args())?;
        self.well().await?;
        probe.end()
    }

    /// The gap when Dockbeacon does it.
    async fn update(&self, version: usize) -> Result<f64> {
        self.push(version).await?;
        self.well().await?;
        let probe = Probe::start(self.port);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let output = self.home.cli(&["update", &self.name])?;
        let said = json!([String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)]);
        self.well().await?;
        let gap = probe.end()?;
        let running = self.place.raw().inspect(&self.name).await?["Config"]["Env"].to_string();
        if !output.status.success() || !running.contains(&format!("VERSION=1.{version}")) {
            bail!("dockbeacon update did not: {said}");
        }
        Ok(gap)
    }
}
