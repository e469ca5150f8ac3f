//! A household of one test: services on an engine, their registry, and the daemon that looks after them.
//!
//! Owns their making, and coming in as the owner. Must never touch what does not carry the test's prefix.
#![allow(clippy::disallowed_methods, reason = "tests read the time")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dockbeacon_tests::daemon::{Daemon, Home};
use dockbeacon_tests::engine::TestEngine;
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::{Sandbox, free_port};
use fantoccini::Client;
use serde_json::{Value, json};

use crate::browser::{click_until, fill, open, until};

/// The owner's.
pub const PASSWORD: &str = "harbour light seven";
/// A daemon that comes up or goes down.
pub const READY: Duration = Duration::from_secs(30);
/// An update with a pull, a health check and a stop.
pub const UPDATE: Duration = Duration::from_secs(90);

/// One service on an engine, and what it answers.
pub struct Service {
    pub name: String,
    pub repository: String,
    pub port: u16,
}

/// A household of one test: services that nobody else's daemon touches, because of their scope.
pub struct House {
    pub place: Sandbox,
    pub registry: Registry,
}

impl House {
    pub async fn new(engine: &TestEngine) -> Result<Self> {
        Ok(Self { place: Sandbox::new(engine)?, registry: Registry::start().await? })
    }

    /// Settings that look at this household only, and only when asked.
    pub fn settings(&self) -> String {
        let scope = &self.place.prefix;
        format!("schedule:\n  interval: never\n  check-on-start: false\nupdate:\n  scope: {scope}\n")
    }

    pub fn home(&self, host: &str) -> Result<Home> {
        Home::new(self.place.path(), host, &self.settings())
    }

    /// Runs version 1.0.0 of a service under a policy.
    pub async fn service(&self, part: &str, mode: &str) -> Result<Service> {
        let (name, repository) = (self.place.name(part), self.place.name(part));
        self.registry.push(&repository, "latest", &self.own(&ImageSpec::demo("1.0.0")?)).await?;
        let image = format!("{}:latest", self.registry.name(&repository));
        self.place.raw().pull(&image).await?;
        let port = free_port()?;
        let body = json!({
            "Image": image,
            "Labels": {"dockbeacon.scope": self.place.prefix, "dockbeacon.update": mode},
            "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]}},
        });
        self.place.raw().run(&name, &body).await?;
        Ok(Service { name, repository, port })
    }

    /// The same image with bytes of its own: what another test cleans up must not be ours.
    fn own(&self, image: &ImageSpec) -> ImageSpec {
        image.clone().env("HOUSE", &self.place.prefix)
    }

    /// Puts a version under a service's tag.
    pub async fn publish(&self, service: &Service, image: &ImageSpec) -> Result<()> {
        self.registry.push(&service.repository, "latest", &self.own(image)).await.map(drop)
    }
}

pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Service {
    pub async fn version(&self) -> Option<String> {
        http().get(format!("http://127.0.0.1:{}/version", self.port)).send().await.ok()?.text().await.ok()
    }

    pub async fn until_version(&self, wanted: &str) -> Result<()> {
        let end = Instant::now() + UPDATE;
        while self.version().await.as_deref() != Some(wanted) {
            anyhow::ensure!(Instant::now() < end, "{} never answered with {wanted}", self.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

pub async fn claim_code(daemon: &Daemon) -> Result<String> {
    let line = daemon.wait_log("Claim code: ", READY).await?;
    Ok(line.rsplit(' ').next().context("a code")?.to_owned())
}

/// Logs in over the API; gives the cookie.
pub async fn login(daemon: &Daemon) -> Result<String> {
    let body = json!({"password": PASSWORD});
    let answer = http().post(format!("{}/api/v1/login", daemon.base)).json(&body).send().await?;
    anyhow::ensure!(answer.status() == 200, "{}", answer.text().await?);
    let cookie = answer.headers()["set-cookie"].to_str()?;
    Ok(cookie.split(';').next().context("a cookie")?.to_owned())
}

/// Claims over the API; gives the cookie.
pub async fn claim(daemon: &Daemon) -> Result<String> {
    let body = json!({"code": claim_code(daemon).await?, "password": PASSWORD});
    let answer = http().post(format!("{}/api/v1/claim", daemon.base)).json(&body).send().await?;
    anyhow::ensure!(answer.status() == 200, "{}", answer.text().await?);
    let cookie = answer.headers()["set-cookie"].to_str()?;
    Ok(cookie.split(';').next().context("a cookie")?.to_owned())
}

/// GET with a session, as JSON.
pub async fn get(daemon: &Daemon, cookie: &str, path: &str) -> Result<Value> {
    let url = format!("{}{path}", daemon.base);
    Ok(http().get(url).header("cookie", cookie).send().await?.error_for_status()?.json().await?)
}

/// Claims with the printed code, as a person does.
pub async fn claim_in(page: &Client, daemon: &Daemon, base: &str) -> Result<()> {
    open(page, base).await;
    until(page, "location.pathname === '/claim'").await;
    fill(page, "#code", &claim_code(daemon).await?.to_lowercase()).await;
    fill(page, "#password", PASSWORD).await;
    let inside = "location.pathname === '/' && document.querySelector('.hero h1')";
    click_until(page, "form[action='/actions/claim'] button", inside).await;
    Ok(())
}

/// `dockbeacon update`, again while what a person began on the page is not over (exit code 7).
pub async fn update(home: &Home) -> Result<()> {
    let end = Instant::now() + UPDATE;
    loop {
        let said = home.cli(&["update"])?;
        let busy = said.status.code() == Some(7) && Instant::now() < end;
        if !busy {
            let errors = String::from_utf8_lossy(&said.stderr);
            anyhow::ensure!(said.status.success(), "{}: {errors}", said.status);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
