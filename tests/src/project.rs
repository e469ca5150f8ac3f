//! A compose project whose services must survive whatever is done to the daemon or the engine.
//!
//! Owns its file, its images in two versions, what its services hold, and the look whether all of that is still there.
//! Must never take the daemon's word for anything: it asks the engine, Compose, and the services themselves.

#![allow(clippy::disallowed_methods, reason = "the test bed waits against real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::compose::compose;
use crate::daemon::Home;
use crate::image::ImageSpec;
use crate::raw::{Raw, encode};
use crate::registry::Registry;
use crate::sandbox::{Sandbox, free_port};

/// A container may take so long to be as wanted, on a machine with other work.
const SOON: Duration = Duration::from_secs(60);
const MARK: &str = "this was here before\n";

/// What the second version of a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Second {
    /// It works.
    Sound,
    /// Its health check never passes.
    Sick,
    /// Its program is not there, so it cannot be started.
    Broken,
}

/// Which version must run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// The first.
    Old,
    /// The second.
    New,
}

/// One service of the project.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its container's name.
    pub name: String,
    /// Its name in the compose file.
    pub key: String,
    /// What its second version does.
    pub second: Second,
    /// `registry/repository:latest`.
    pub image: String,
    /// The port on loopback.
    pub port: u16,
    repository: String,
    before: Value,
}

impl Service {
    fn version(&self, runs: Runs) -> String {
        let major = if runs == Runs::Old { 1 } else { 2 };
        // Of its own, so that no two services have an image in common.
        format!("{major}.0.0-{}", self.repository)
    }

    fn spec(&self, runs: Runs) -> Result<ImageSpec> {
        let mut spec = ImageSpec::demo(&self.version(runs))?;
        // The first version waits for its turn most of the time; its checks shall not take the time of the others.
        let interval = if runs == Runs::Old { 2000 } else { 400 };
        let milli = 1_000_000_u64;
        spec.set(
            "Healthcheck",
            json!({"Test": ["CMD", "/demo", "--probe", "http://127.0.0.1:8080/health"],
                   "Interval": interval * milli, "Timeout": 5000 * milli, "Retries": 3}),
        );
        spec.set("Volumes", json!({"/scratch": {}}));
        Ok(match (runs, self.second) {
            (Runs::Old, _) | (Runs::New, Second::Sound) => spec,
            (Runs::New, Second::Sick) => spec.env("UNHEALTHY", "1"),
            (Runs::New, Second::Broken) => {
                spec.set("Entrypoint", json!(["/missing"]));
                spec
            }
        })
    }
}

/// A project that is up.
#[derive(Debug)]
pub struct Project {
    /// Its corner of the engine; gone with it.
    pub place: Sandbox,
    /// Its services.
    pub services: Vec<Service>,
    name: String,
    file: PathBuf,
    peer: u16,
    dangling: BTreeSet<String>,
}

impl Project {
    /// Pushes the first versions, brings the project up, puts content into every volume, and pushes the second versions.
    ///
    /// # Errors
    /// Any part does not work.
    pub async fn up(place: Sandbox, registry: &Registry, seconds: &[Second]) -> Result<Self> {
        let (name, file) = (place.name("p"), place.path().join("compose.yaml"));
        let dangling = dangling(&place.raw()).await?;
        let mut services = Vec::new();
        for (number, second) in seconds.iter().enumerate() {
            let (key, repository) = (format!("s{number}"), place.name(&format!("s{number}")));
            services.push(Service {
                name: format!("{name}-{key}-1"),
                image: format!("{}:latest", registry.name(&repository)),
                second: *second,
                port: free_port()?,
                before: Value::Null,
                repository,
                key,
            });
        }
        let mut project = Self { peer: free_port()?, place, services, name, file, dangling };
        let peer = project.place.name("peer");
        registry.push(&peer, "latest", &ImageSpec::demo("peer")?).await?;
        for service in &project.services {
            registry.push(&service.repository, "latest", &service.spec(Runs::Old)?).await?;
        }
        std::fs::write(&project.file, project.compose_file(&registry.name(&peer)))?;
        project.compose(&["up", "-d"])?;
        for number in 0..project.services.len() {
            let service = &project.services[number];
            let raw = project.place.raw();
            let before = raw.wait_for(&service.name, SOON, is_healthy).await?;
            post(service.port, "/data", MARK).await?;
            let put = format!("/containers/{}/archive?path=/anon", service.name);
            let answer = raw.send("PUT", &put, "application/x-tar", archive("mark", MARK)?).await?;
            ensure!(answer.status == 200, "{put}: {}", String::from_utf8_lossy(&answer.body));
            project.services[number].before = before;
        }
        for service in &project.services {
            registry.push(&service.repository, "latest", &service.spec(Runs::New)?).await?;
        }
        Ok(project)
    }

    fn compose_file(&self, peer: &str) -> String {
        // Not unless-stopped: an engine that comes back after SIGKILL stops what it finds alive, and 20.10 takes that for the
        // owner's own wish.
        let mut text = format!(
            "services:\n  peer:\n    image: {peer}:latest\n    restart: always\n    ports: ['127.0.0.1:{}:8080']\n    networks: [front, back]\n",
            self.peer
        );
        let mut volumes = String::new();
        for Service { key, image, port, second, .. } in &self.services {
            // On the older engine a stop with a signal takes other calls than one without.
            let signal = if *second == Second::Sick { "SIGTERM" } else { "" };
            text += &format!(
                "  {key}:\n    image: {image}\n    restart: always\n    stop_grace_period: 20s\n    \
                 ports: ['127.0.0.1:{port}:8080']\n    environment: {{DATA: /data/log}}\n    \
                 labels: {{com.centurylinklabs.watchtower.stop-signal: '{signal}'}}\n    \
                 networks: {{front: {{aliases: [front-{key}]}}, back: {{aliases: [back-{key}]}}}}\n    \
                 volumes: ['data-{key}:/data', '/anon']\n"
            );
            volumes += &format!("  data-{key}:\n");
        }
        text + "networks:\n  front:\n  back:\nvolumes:\n" + &volumes
    }

    fn compose(&self, args: &[&str]) -> Result<String> {
        compose(&self.place.engine, &self.name, &self.file, args)
    }

    /// A home for a daemon that looks after this engine, updates only what it is asked to, and is quick about it.
    ///
    /// # Errors
    /// As [`Home::new`].
    pub fn home(&self, name: &str, host: &str) -> Result<Home> {
        let folder = self.place.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Home::new(
            &folder,
            host,
            "schedule:\n  interval: never\n  check-on-start: false\n\
             update:\n  settle: 1s\n  cleanup: true\n  keep-generations: 0\n",
        )
    }

    /// Stops the service's processes and its health checks, which take most of the processor's time where many services wait.
    /// It goes on with [`Project::wake`]. Now and then the kernel does not freeze what is just forking; nothing but time is lost.
    pub async fn rest(&self, service: &Service) {
        let _ = self.place.raw().post(&format!("/containers/{}/pause", service.name), &Value::Null).await;
    }

    /// Ends [`Project::rest`].
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn wake(&self, service: &Service) -> Result<()> {
        let raw = self.place.raw();
        if raw.inspect(&service.name).await?["State"]["Paused"] == true {
            raw.post(&format!("/containers/{}/unpause", service.name), &Value::Null).await?;
        }
        Ok(())
    }

    /// Whether the service is whole: one container under its name, healthy and answering, with its volumes' content, its
    /// networks, aliases, port and policy, its reference leading to what runs, and nothing left beside it.
    ///
    /// # Errors
    /// What is missing.
    pub async fn check(&self, service: &Service, runs: Runs) -> Result<()> {
        let raw = self.place.raw();
        let now = raw.wait_for(&service.name, SOON, is_healthy).await?;
        let found = raw.list(&service.name).await?;
        let names: Vec<_> = found.iter().map(|c| c["Names"].to_string()).collect();
        ensure!(found.len() == 1, "there are {names:?}");
        let version = get(service.port, "/version").await?;
        ensure!(version == service.version(runs), "version {version} runs");

        let data = get(service.port, "/data").await?;
        let begin = format!("start {}\n{MARK}", service.version(Runs::Old));
        ensure!(data.starts_with(&begin), "the named volume holds {data:?}");
        let path = format!("/containers/{}/archive?path=/anon/mark", service.name);
        let kept = raw.send("GET", &path, "", Vec::new()).await?;
        ensure!(
            kept.status == 200 && String::from_utf8_lossy(&kept.body).contains(MARK),
            "the anonymous volume lost its content ({})",
            kept.status
        );
        for (what, part) in [
            ("volumes", mounts as fn(&Value) -> Value),
            ("networks and aliases", networks),
            ("restart policy", |c| c["HostConfig"]["RestartPolicy"].clone()),
            ("ports", |c| c["HostConfig"]["PortBindings"].clone()),
        ] {
            let (was, is) = (part(&service.before), part(&now));
            ensure!(was == is, "{what} were {was}, are {is}");
        }
        for (network, side) in [("front", "front"), ("back", "back")] {
            let full = format!("{}_{network}", self.name);
            let address = now["NetworkSettings"]["Networks"][&full]["IPAddress"].as_str().unwrap_or_default();
            let resolved = get(self.peer, &format!("/resolve/{side}-{}", service.key)).await?;
            ensure!(
                !address.is_empty() && resolved == address,
                "{side}-{} leads to {resolved:?}, not to {address:?}",
                service.key
            );
        }
        let led = raw.get(&format!("/images/{}/json", service.image)).await?["Id"].clone();
        ensure!(led == now["Image"], "{} leads to {led}, not to {}", service.image, now["Image"]);
        Ok(())
    }

    /// Whether `docker compose up -d` finds everything as it wants it, and nobody left a volume behind.
    ///
    /// # Errors
    /// What it did.
    pub async fn compose_changes_nothing(&self) -> Result<()> {
        let raw = self.place.raw();
        let before = self.ids().await?;
        let said = self.compose(&["up", "-d"])?;
        let after = self.ids().await?;
        ensure!(
            before == after && !said.contains("reate") && !said.contains("tart"),
            "compose changed something:\n{said}"
        );
        let left: Vec<_> = dangling(&raw).await?.difference(&self.dangling).cloned().collect();
        ensure!(left.is_empty(), "volumes are left that nobody uses: {left:?}");
        Ok(())
    }

    async fn ids(&self) -> Result<BTreeMap<String, String>> {
        let text = |value: &Value| value.to_string();
        let found = self.place.raw().list(&self.name).await?;
        Ok(found.iter().map(|c| (text(&c["Names"]), text(&c["Id"]))).collect())
    }
}

/// The daemon's side of its control socket.
pub fn control(home: &Home) -> Raw {
    Raw::new(&home.state.join("control.sock"), "")
}

/// Waits until the daemon's history of this container is at its end; the one entry in it.
///
/// # Errors
/// The time is up, or there is more than one entry.
pub async fn wait_history(home: &Home, container: &str) -> Result<Value> {
    let end = Instant::now() + 2 * SOON;
    loop {
        let updates = control(home).get("/api/v1/updates").await;
        if let Ok(updates) = &updates {
            let own: Vec<_> =
                updates.as_array().into_iter().flatten().filter(|u| u["container"] == container).collect();
            ensure!(own.len() <= 1, "more than one update: {updates}");
            if let Some(entry) = own.first().filter(|u| u["outcome"] != "running") {
                return Ok((*entry).clone());
            }
        }
        if Instant::now() > end {
            bail!("the history of {container} does not come to an end: {updates:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_healthy(container: &Value) -> bool {
    container["State"]["Running"] == true && container["State"]["Health"]["Status"] == "healthy"
}

fn mounts(container: &Value) -> Value {
    let list = container["Mounts"].as_array().cloned().unwrap_or_default();
    let mut all: Vec<_> = list.iter().map(|m| format!("{} {}", m["Destination"], m["Name"])).collect();
    all.sort();
    json!(all)
}

fn networks(container: &Value) -> Value {
    let id = container["Id"].as_str().unwrap_or_default();
    let mut all = BTreeMap::new();
    for (name, endpoint) in container["NetworkSettings"]["Networks"].as_object().into_iter().flatten() {
        let aliases = endpoint["Aliases"].as_array().cloned().unwrap_or_default();
        let own = |alias: &Value| !id.starts_with(alias.as_str().unwrap_or("-"));
        let aliases: BTreeSet<_> = aliases.iter().filter(|a| own(a)).map(ToString::to_string).collect();
        all.insert(name.clone(), aliases);
    }
    json!(all)
}

async fn dangling(raw: &Raw) -> Result<BTreeSet<String>> {
    let filters = encode(r#"{"dangling":["true"]}"#);
    let found = raw.get(&format!("/volumes?filters={filters}")).await?;
    Ok(found["Volumes"].as_array().into_iter().flatten().map(|v| v["Name"].to_string()).collect())
}

fn archive(name: &str, content: &str) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, name, content.as_bytes())?;
    Ok(tar.into_inner()?)
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?)
}

/// What a service answers; asked again for a while, because the engine's port proxy comes up after its container.
///
/// # Errors
/// It does not answer with success.
pub async fn get(port: u16, path: &str) -> Result<String> {
    let (client, end) = (client()?, Instant::now() + SOON);
    loop {
        let asked = async {
            let answer = client.get(format!("http://127.0.0.1:{port}{path}")).send().await?;
            answer.error_for_status()?.text().await
        };
        match asked.await {
            Ok(text) => return Ok(text),
            Err(error) if Instant::now() > end => {
                return Err(error).with_context(|| format!("{path} on port {port}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn post(port: u16, path: &str, body: &str) -> Result<()> {
    let request = client()?.post(format!("http://127.0.0.1:{port}{path}")).body(body.to_owned());
    request.send().await?.error_for_status()?;
    Ok(())
}
