//! How much the daemon asks of the engine while services come, go and change.
//!
//! Owns one test, alone in its program: what other tests do on the engine would be asked about, too. Must never count seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dockbeacon_tests::daemon::Home;
use dockbeacon_tests::engine::on_each;
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::project::control;
use dockbeacon_tests::proxy::Proxy;
use dockbeacon_tests::sandbox::Sandbox;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// Waits until the daemon says so of a container; what it says of it.
async fn until(home: &Home, name: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let end = Instant::now() + SOON;
    loop {
        let all = control(home).get("/api/v1/containers").await?;
        let found = all.as_array().context("no list")?.iter().find(|c| c["name"] == name).cloned();
        if let Some(found) = found.as_ref().filter(|found| is_so(found)) {
            return Ok(found.clone());
        }
        ensure!(Instant::now() < end, "it never says so: {found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn images_are_listed_again_only_for_a_container_whose_image_is_not_known() {
    on_each(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let (raw, web) = (place.raw(), place.name("web"));
        let load = async |version: &str| -> Result<String> {
            let tag = format!("{}:{version}", place.name("image"));
            raw.load(ImageSpec::demo(version)?.build()?.archive(&tag)?).await?;
            Ok(tag)
        };
        let old = load("1.0").await?;
        raw.run(&web, &json!({ "Image": old })).await?;
        raw.wait_for(&web, SOON, |c| c["State"]["Health"]["Status"] == "healthy").await?;
        let proxy = Proxy::start(&engine, place.path())?;
        let home = Home::new(place.path(), &proxy.host, "schedule:\n  check-on-start: false")?;
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        until(&home, &web, |c| c["state"] == "running" && c["health"] == "healthy").await?;
        let asked = |path: &str| proxy.seen().iter().filter(|(_, seen)| seen.contains(path)).count();
        let (containers, images) = (asked("/containers/json"), asked("/images/json"));
        ensure!(images > 0, "{:?}", proxy.seen());
        for _ in 0..3 {
            for (act, state) in [("pause", "paused"), ("unpause", "running")] {
                raw.post(&format!("/containers/{web}/{act}"), &Value::Null).await?;
                until(&home, &web, |c| c["state"] == state).await?;
            }
        }
        ensure!(asked("/containers/json") >= containers + 6, "{:?}", proxy.seen());
        ensure!(asked("/images/json") == images, "images were listed again: {:?}", proxy.seen());

        // Somebody brings another version of it up by hand.
        let new = load("2.0").await?;
        raw.delete(&format!("/containers/{web}?force=true")).await?;
        raw.run(&web, &json!({ "Image": new })).await?;
        let seen = until(&home, &web, |c| c["version"]["name"] == "2.0").await?;
        ensure!(asked("/images/json") > images, "{seen:#}");
        ensure!(daemon.stop(SOON).await?.code() == Some(0));
        Ok(())
    })
    .unwrap();
}
