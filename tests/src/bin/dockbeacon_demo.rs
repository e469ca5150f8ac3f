//! `scripts/run --demo`: three small services on the engine that is there, and one story for each of them.
//!
//! Owns the registry, images, containers and folder of the demo, and removes them at the end. Must never touch a
//! container that does not carry the demo's label: the daemon is told to look at labelled ones only.

#![allow(clippy::print_stdout, reason = "this is a command line program that tells a story")]
#![allow(clippy::disallowed_methods, reason = "the demo waits against real time")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::raw::{Raw, encode};
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::free_port;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// On every container of the demo, so that a later run can remove what a killed one left.
const LABEL: &str = "dockbeacon.demo";
const PAGE: u16 = 3625;

struct Service {
    name: &'static str,
    mode: &'static str,
    /// What its version 2 does.
    second: fn(ImageSpec) -> ImageSpec,
}

fn sound(image: ImageSpec) -> ImageSpec {
    image
}

fn sick(image: ImageSpec) -> ImageSpec {
    image.env("UNHEALTHY", "1")
}

const SERVICES: [Service; 3] = [
    Service { name: "demo-web", mode: "auto", second: sound },
    Service { name: "demo-api", mode: "auto", second: sick },
    Service { name: "demo-db", mode: "approve", second: sound },
];

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(daemon), None) = (args.next().map(PathBuf::from), args.next()) else {
        bail!("usage: dockbeacon_demo PATH-OF-DOCKBEACON; scripts/run --demo does it all");
    };
    let host = std::env::var("DOCKER_HOST").ok().filter(|v| !v.is_empty());
    let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".into());
    let socket = host.strip_prefix("unix://").context("DOCKER_HOST must be a unix:// socket for the demo")?;
    let raw = Raw::new(Path::new(socket), "1.41");
    raw.get("/version").await.with_context(|| format!("no engine answers on {host}; is it running?"))?;

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    remove_services(&raw).await?;
    for service in SERVICES {
        if raw.inspect(service.name).await.is_ok() {
            bail!(
                "a container named {0} is there that is not the demo's; rename it: docker rename {0} my-{0}",
                service.name
            );
        }
    }
    let registry = Registry::start().await?;
    let folder = tempfile::Builder::new().prefix("dockbeacon-demo-").tempdir()?;
    let ended = tokio::select! {
        ended = tell(&raw, &host, &registry, folder.path(), &daemon) => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    println!("\n==> demo: removing the demo's containers, images and registry");
    remove_services(&raw).await?;
    remove_images(&raw, &registry.address).await?;
    ended
}

/// The whole story; ends only when the daemon does.
async fn tell(raw: &Raw, host: &str, registry: &Registry, folder: &Path, daemon: &Path) -> Result<()> {
    println!("==> demo: a local registry on {} with three services, version 1", registry.address);
    let mut ports = Vec::new();
    for service in SERVICES {
        registry.push(service.name, "latest", &ImageSpec::demo("1.0.0")?).await?;
        let image = format!("{}:latest", registry.name(service.name));
        raw.pull(&image).await?;
        let port = free_port()?;
        let body = json!({
            "Image": image,
            "Labels": {LABEL: "1", "com.centurylinklabs.watchtower.enable": "true", "dockbeacon.update": service.mode},
            "HostConfig": {
                "RestartPolicy": {"Name": "unless-stopped"},
                "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]},
            },
        });
        raw.run(service.name, &body).await?;
        ports.push(port);
        println!("    {:<9} http://127.0.0.1:{port}/  (updates: {})", service.name, service.mode);
    }
    let page = if std::net::TcpListener::bind(("127.0.0.1", PAGE)).is_ok() { PAGE } else { free_port()? };
    let config = folder.join("config.yaml");
    std::fs::write(
        &config,
        format!(
            "engine:\n  host: {host}\nhttp:\n  listen: 127.0.0.1:{page}\nschedule:\n  interval: 15s\n\
             update:\n  label-enable: true\n"
        ),
    )?;
    println!("==> demo: starting Dockbeacon; it looks for new images every 15 seconds\n");
    let mut child = Command::new(daemon)
        .arg("--config")
        .arg(&config)
        .arg("--state-dir")
        .arg(folder.join("state"))
        .arg("run")
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", daemon.display()))?;
    let approve =
        format!("{} --config {} --state-dir {}/state", daemon.display(), config.display(), folder.display());
    let told = stories(raw, registry, &mut child, page, &ports, &approve).await;
    let ended = match told {
        Ok(()) => child.wait().await.map_err(Into::into),
        Err(error) => Err(error),
    };
    let status = ended?;
    if !status.success() {
        bail!("dockbeacon ended with {status}; its messages are above");
    }
    Ok(())
}

async fn stories(
    raw: &Raw,
    registry: &Registry,
    child: &mut Child,
    page: u16,
    ports: &[u16],
    approve: &str,
) -> Result<()> {
    ready(child, page).await?;
    println!(
        "\n==> demo: open http://127.0.0.1:{page}/ and claim the device with the code that Dockbeacon printed above"
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut old = Vec::new();
    for service in SERVICES {
        old.push(raw.inspect(service.name).await?["Id"].clone());
        let second = (service.second)(ImageSpec::demo("2.0.0")?);
        registry.push(service.name, "latest", &second).await?;
    }
    println!(
        "==> demo: version 2.0.0 of all three is in the registry now. Watch, within the next minute:\n    \
         demo-web  is updated, its health check passes, and it stays on 2.0.0\n    \
         demo-api  is updated, never gets healthy, and is rolled back to 1.0.0\n    \
         demo-db   waits for you: press \"Approve\" on the page, or run in another terminal:\n              \
         {approve} approve demo-db\n"
    );
    let begun = Instant::now();
    let (mut web, mut api, mut db) = (false, false, false);
    let mut tried = false;
    while begun.elapsed() < Duration::from_secs(600) && !(web && api && db) {
        if let Some(status) = child.try_wait()? {
            bail!("dockbeacon ended with {status}; its messages are above");
        }
        let after = begun.elapsed().as_secs();
        let version = |n: usize| answer(ports[n]);
        if !web && version(0).await.as_deref() == Some("2.0.0") && settled(raw, "demo-web").await {
            web = true;
            println!("==> demo: after {after} s: demo-web answers with 2.0.0: updated");
        }
        let parked = raw.list("demo-api.dockbeacon-").await?;
        tried = tried || !parked.is_empty();
        if !api && tried && parked.is_empty() && version(1).await.as_deref() == Some("1.0.0") {
            api = true;
            println!("==> demo: after {after} s: demo-api answers with 1.0.0 again: rolled back");
        }
        if !db
            && raw.inspect("demo-db").await.is_ok_and(|now| now["Id"] != old[2])
            && settled(raw, "demo-db").await
        {
            db = true;
            println!("==> demo: after {after} s: demo-db runs 2.0.0: approved and updated");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("==> demo: that was all; Dockbeacon goes on until you press Ctrl-C");
    Ok(())
}

/// True when the service is healthy and nothing of a transaction is left beside it.
async fn settled(raw: &Raw, name: &str) -> bool {
    let alone = raw.list(&format!("{name}.dockbeacon-")).await.is_ok_and(|list| list.is_empty());
    alone && raw.inspect(name).await.is_ok_and(|now| now["State"]["Health"]["Status"] == "healthy")
}

async fn get(port: u16, path: &str) -> Result<reqwest::Response> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
    Ok(client.get(format!("http://127.0.0.1:{port}{path}")).send().await?.error_for_status()?)
}

async fn answer(port: u16) -> Option<String> {
    get(port, "/version").await.ok()?.text().await.ok()
}

async fn ready(child: &mut Child, page: u16) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while get(page, "/readyz").await.is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("dockbeacon ended with {status} before it was ready; its messages are above");
        }
        if Instant::now() > end {
            bail!("dockbeacon was not ready within a minute; its messages are above");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Containers of this run, or of one that was killed. The label stays on whatever an update made of them.
async fn remove_services(raw: &Raw) -> Result<()> {
    let filters = json!({"label": [LABEL]}).to_string();
    let found = raw.get(&format!("/containers/json?all=1&filters={}", encode(&filters))).await?;
    for container in found.as_array().into_iter().flatten() {
        let id = container["Id"].as_str().unwrap_or_default();
        raw.delete(&format!("/containers/{id}?force=1&v=1")).await?;
    }
    Ok(())
}

/// Everything that came from the demo's registry.
async fn remove_images(raw: &Raw, address: &str) -> Result<()> {
    for image in raw.get("/images/json").await?.as_array().into_iter().flatten() {
        let list = |key: &str| image[key].as_array().cloned().unwrap_or_default();
        // By name: whatever else an image is called is not the demo's to remove.
        for name in list("RepoTags").into_iter().chain(list("RepoDigests")) {
            if let Some(name) = name.as_str().filter(|name| name.starts_with(address)) {
                let _ = raw.delete(&format!("/images/{name}?force=1")).await;
            }
        }
    }
    Ok(())
}
