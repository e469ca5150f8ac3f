//! What the daemon costs while it is there: memory after the start, CPU of an idle minute, memory after an hour's work.
//!
//! Owns the simulated hour. Must never measure before the daemon has settled.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dockbeacon_tests::daemon::{Daemon, Home};
use serde_json::{Value, json};

use super::household::{CONTAINERS, Household};
use super::process::{cpu, memory};
use super::{Row, say};

/// An hour has so many checks (one a minute) …
const CHECKS: usize = 60;
/// … and in each minute so many changes of the inventory.
const CHANGES: usize = 10;
/// The daemon is left alone so long before a measurement: idle connections and helper threads end meanwhile.
const SETTLE: Duration = Duration::from_secs(20);
/// The idle minute.
const IDLE: Duration = Duration::from_secs(60);
/// Pages that somebody looks at each minute.
const PAGES: [&str; 5] = ["/", "/containers", "/updates", "/device", "/api/v1/containers"];

/// Measures.
pub async fn measure(house: &Household) -> Result<Vec<Row>> {
    let folder = house.place.path().join("rest");
    std::fs::create_dir_all(&folder)?;
    let home = Home::new(&folder, &house.place.engine.host, &house.settings())?;
    let mut daemon = home.start()?;
    daemon.wait_ready(Duration::from_secs(60)).await?;
    daemon.wait_log("Claim code: ", Duration::from_secs(10)).await?;
    say(&format!("settling for {} s", SETTLE.as_secs()));
    tokio::time::sleep(SETTLE).await;
    let start = memory(daemon.pid())?;
    say(&format!("idle for {} s", IDLE.as_secs()));
    let before = cpu(daemon.pid())?;
    tokio::time::sleep(IDLE).await;
    let idle = (cpu(daemon.pid())?).saturating_sub(before);
    say(&format!(
        "an hour's work: {CHECKS} checks, {} changes, {} pages",
        CHECKS * CHANGES,
        CHECKS * PAGES.len()
    ));
    let begun = cpu(daemon.pid())?;
    hour(house, &home, &daemon).await?;
    let work = (cpu(daemon.pid())?).saturating_sub(begun);
    tokio::time::sleep(SETTLE).await;
    let after = memory(daemon.pid())?;
    daemon.stop(Duration::from_secs(30)).await?;
    Ok(vec![
        Row::limit(&format!("resident after start, {CONTAINERS} containers"), start.resident, "MB", 1, 12.0),
        Row::note("  proportional (PSS)", format!("{:.1} MB", start.proportional)),
        Row::limit("resident after an hour's work", after.resident, "MB", 1, 12.0),
        Row::note("  proportional (PSS)", format!("{:.1} MB", after.proportional)),
        Row::limit(
            "CPU of an idle minute, of one core",
            idle.as_secs_f64() / IDLE.as_secs_f64() * 100.0,
            "%",
            3,
            0.1,
        ),
        Row::note("  CPU of the hour's work", format!("{:.2} s", work.as_secs_f64())),
    ])
}

async fn hour(house: &Household, home: &Home, daemon: &Daemon) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let cookie = claim(&client, daemon).await?;
    let raw = house.place.raw();
    for minute in 0..CHECKS {
        for change in 0..CHANGES {
            let number = (minute * CHANGES + change) % CONTAINERS;
            let name = house.place.name(&format!("c{number}"));
            // There and back, so that each container keeps its name over two rounds.
            let (from, to) = if ((minute * CHANGES + change) / CONTAINERS).is_multiple_of(2) {
                (name.clone(), format!("{name}-moved"))
            } else {
                (format!("{name}-moved"), name)
            };
            raw.post(&format!("/containers/{from}/rename?name={to}"), &Value::Null).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for page in PAGES {
            let answer =
                client.get(format!("{}{page}", daemon.base)).header("cookie", &cookie).send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            if !status.is_success() || (page == "/containers" && !text.contains(&house.place.prefix)) {
                bail!("{page}: {status}");
            }
        }
        let checked = home.cli(&["check"])?;
        if !checked.status.success() {
            bail!("check: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    Ok(())
}

/// Claims the device with the code that it printed; gives the session's cookie.
async fn claim(client: &reqwest::Client, daemon: &Daemon) -> Result<String> {
    let line = daemon.wait_log("Claim code: ", Duration::from_secs(5)).await?;
    let code = line.rsplit("Claim code: ").next().unwrap_or_default().trim().to_owned();
    let answer = client
        .post(format!("{}/api/v1/claim", daemon.base))
        .json(&json!({"code": code, "password": "a long password"}))
        .send()
        .await?
        .error_for_status()?;
    let cookie = answer.headers().get("set-cookie").context("no session")?.to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}
