//! Page and API of the real daemon, with a real engine, a real registry and a real browser.
#![allow(clippy::disallowed_methods, reason = "tests read the time")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod browser;
mod household;

use std::time::Instant;

use anyhow::{Context, Result};
use browser::{browser, click, click_until, fill, got_through, open, until, until_within};
use dockbeacon_tests::daemon::{Daemon, Home};
use dockbeacon_tests::engine::{TestEngine, on_each};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::proxy::Proxy;
use household::{
    House, PASSWORD, READY, Service, UPDATE, claim, claim_code, claim_in, get, http, login, update,
};
use serde_json::{Value, json};

fn form(action: &str, name: &str) -> String {
    format!("form[action='/actions/{action}']:has(input[value='{name}']) button")
}

/// The row's chat link is still to come.
#[test]
fn w15_a_click_a_call_and_a_press_approve_what_waits_and_the_rest_follows_its_policy() {
    on_each(|engine| async move {
        let house = House::new(&engine).await?;
        let clicked = house.service("clicked", "approve").await?;
        let called = house.service("called", "approve").await?;
        let pressed = house.service("pressed", "approve").await?;
        let auto = house.service("auto", "auto").await?;
        let watched = house.service("watched", "monitor").await?;
        let left = house.service("left", "off").await?;
        let all = [&clicked, &called, &pressed, &auto, &watched, &left];
        let home = house.home(&engine.host)?;
        let mut daemon = home.start()?;
        daemon.wait_ready(READY).await?;
        let profile = tempfile::tempdir()?;
        let (_driver, page) = browser(profile.path()).await;

        claim_in(&page, &daemon, &daemon.base).await?;
        // Lost by a reload; what follows is live.
        page.execute("window.same = true", vec![]).await?;
        for service in all {
            house.publish(service, &ImageSpec::demo("2.0.0")?).await?;
        }
        let checked = "document.querySelector('.lately').innerText.includes('Checked 5 images')";
        click_until(&page, "form[action='/actions/check'] button", checked).await;
        for service in [&clicked, &called, &pressed] {
            until(&page, &format!("document.querySelector(\"{}\")", form("approve", &service.name))).await;
        }
        for service in [&auto, &watched, &left] {
            let there = format!("document.querySelector(\"{}\")", form("approve", &service.name));
            assert_eq!(page.execute(&format!("return {there}"), vec![]).await?, Value::Null);
        }
        // The lamp has only just begun to say so: a press now would be a check.
        until(&page, "document.body.innerText.includes('Looks for updates now.')").await;

        let gone = format!("!document.querySelector(\"{}\")", form("approve", &clicked.name));
        click_until(&page, &form("approve", &clicked.name), &gone).await;
        clicked.until_version("2.0.0").await?;
        let told = format!(
            "document.querySelector('.lately').innerText.includes('{} went from 1.0.0 to 2.0.0')",
            clicked.name
        );
        until_within(&page, UPDATE, &told).await;

        let cookie = login(&daemon).await?;
        let body = json!({"name": "pipeline", "role": "operate"});
        let url = format!("{}/api/v1/tokens", daemon.base);
        let made: Value = http().post(url).header("cookie", &cookie).json(&body).send().await?.json().await?;
        let token = made["token"].as_str().context("a token")?.to_owned();
        let approve = http().post(format!("{}/api/v1/approve", daemon.base)).bearer_auth(&token);
        let answer = approve.json(&json!({"containers": [called.name]})).send().await?;
        assert!(answer.status().is_success(), "{}", answer.text().await?);
        called.until_version("2.0.0").await?;

        // Once the lamp has said for ten seconds what waits, the button approves exactly that.
        until_within(&page, UPDATE, "document.body.innerText.includes('Approves the updates that wait.')")
            .await;
        assert_eq!(pressed.version().await.as_deref(), Some("1.0.0"));
        let gone = format!("!document.querySelector(\"{}\")", form("approve", &pressed.name));
        click_until(&page, &form("press", "press"), &gone).await;
        pressed.until_version("2.0.0").await?;
        until_within(
            &page,
            UPDATE,
            "document.querySelector('.hero').innerText.includes('Nothing waits for you')",
        )
        .await;
        assert_eq!(
            page.execute("return window.same", vec![]).await?,
            json!(true),
            "the page was loaded anew"
        );

        // A run takes what its policy lets go, and leaves the others, each with its reason.
        update(&home).await?;
        assert_eq!(auto.version().await.as_deref(), Some("2.0.0"));
        let plan = get(&daemon, &cookie, "/api/v1/plan").await?;
        let action = |service: &Service| {
            let entries = plan["entries"].as_array().unwrap();
            let entry = entries.iter().find(|e| e["container"] == service.name.as_str()).unwrap();
            (
                entry["action"].as_str().unwrap().to_owned(),
                entry["reason"]["code"].as_str().unwrap().to_owned(),
            )
        };
        assert_eq!(action(&watched), ("report".to_owned(), "monitor-only".to_owned()));
        assert_eq!(action(&left), ("none".to_owned(), "excluded".to_owned()));
        for service in [&watched, &left] {
            assert_eq!(service.version().await.as_deref(), Some("1.0.0"));
        }
        let audit = get(&daemon, &cookie, "/api/v1/audit").await?.to_string();
        for line in [
            format!("approval of {}", clicked.name),
            format!("approval of {}", called.name),
            "virtual button, press".to_owned(),
        ] {
            assert!(audit.contains(&line), "{line}: {audit}");
        }
        page.close().await?;
        Ok(())
    })
    .unwrap();
}

#[test]
fn going_back_from_the_history_logging_out_and_in() {
    on_each(|engine| async move {
        let house = House::new(&engine).await?;
        let web = house.service("web", "auto").await?;
        let home = house.home(&engine.host)?;
        let mut daemon = home.start()?;
        daemon.wait_ready(READY).await?;
        let profile = tempfile::tempdir()?;
        let (_driver, page) = browser(profile.path()).await;
        claim_in(&page, &daemon, &daemon.base).await?;
        house.publish(&web, &ImageSpec::demo("2.0.0")?).await?;
        update(&home).await?;
        web.until_version("2.0.0").await?;

        open(&page, &format!("{}/updates", daemon.base)).await;
        until(&page, &format!("document.querySelector(\"{}\")", form("rollback", &web.name))).await;
        let asked = format!(
            "document.querySelector('dialog[open] h2')?.textContent === 'Put {} back to 1.0.0?'",
            web.name
        );
        let begun = "document.body.innerText.includes('Being put back') || document.body.innerText.includes('Put back by hand')";
        let end = Instant::now() + UPDATE;
        loop {
            click(&page, &form("rollback", &web.name)).await;
            until(&page, &asked).await;
            click(&page, "dialog [data-yes]").await;
            if got_through(&page, begun).await || Instant::now() > end {
                break;
            }
        }
        web.until_version("1.0.0").await?;
        until_within(&page, UPDATE, "document.body.innerText.includes('Put back by hand')").await;
        // It stays back: the next run does not take what was left.
        update(&home).await?;
        assert_eq!(web.version().await.as_deref(), Some("1.0.0"));
        until(&page, "document.body.textContent.includes('was tried: you put it back (page)')").await;

        click_until(&page, "form[action='/actions/logout'] button", "location.pathname === '/login'").await;
        fill(&page, "#password", "not the password").await;
        let wrong = "document.querySelector('.toast.fault')?.innerText.includes('password is wrong')";
        click_until(&page, "form[action='/actions/login'] button", wrong).await;
        click(&page, ".toast button").await;
        fill(&page, "#password", PASSWORD).await;
        click_until(&page, "form[action='/actions/login'] button", "document.querySelector('.hero h1')")
            .await;
        page.close().await?;
        Ok(())
    })
    .unwrap();
}

/// A proxy with a runtime of its own, so that stopping it cuts every connection as a stopped engine does.
struct Wire(Option<tokio::runtime::Runtime>);

impl Wire {
    async fn start(engine: &TestEngine, folder: &std::path::Path) -> Result<Self> {
        let _ = std::fs::remove_file(folder.join("proxy.sock"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (engine, folder) = (engine.clone(), folder.to_owned());
        let started = runtime.spawn(async move { Proxy::start(&engine, &folder) }).await??;
        runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(started);
        });
        Ok(Self(Some(runtime)))
    }

    fn cut(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

#[test]
fn an_engine_that_stops_is_said_and_back_by_itself() {
    on_each(|engine| async move {
        let house = House::new(&engine).await?;
        let _web = house.service("web", "auto").await?;
        let mut wire = Wire::start(&engine, house.place.path()).await?;
        let host = format!("unix://{}/proxy.sock", house.place.path().display());
        let home = house.home(&host)?;
        let mut daemon = home.start()?;
        daemon.wait_ready(READY).await?;
        let profile = tempfile::tempdir()?;
        let (_driver, page) = browser(profile.path()).await;
        claim_in(&page, &daemon, &daemon.base).await?;
        let down = "document.querySelector('h1').textContent.includes('engine does not answer')";
        until(&page, &format!("!({down})")).await;
        page.execute("window.same = true", vec![]).await?;

        wire.cut();
        until(&page, down).await;
        until(&page, "document.querySelector('[data-key=engine]').innerText.includes('since')").await;
        until(&page, "document.querySelector('.lit.fault').getAnimations().length === 1").await;
        assert_eq!(http().get(format!("{}/healthz", daemon.base)).send().await?.status(), 503);
        assert_eq!(http().get(format!("{}/livez", daemon.base)).send().await?.status(), 200);

        let _wire = Wire::start(&engine, house.place.path()).await?;
        until_within(&page, UPDATE, &format!("!({down})")).await;
        until(&page, "!document.querySelector('[data-key=engine]')").await;
        assert_eq!(
            page.execute("return window.same", vec![]).await?,
            json!(true),
            "the page was loaded anew"
        );
        page.close().await?;
        Ok(())
    })
    .unwrap();
}

/// Whether the owner is known, as a stranger sees it.
async fn claimed(daemon: &Daemon) -> Result<bool> {
    let answer = http().get(&daemon.base).send().await?;
    Ok(answer.headers()["location"] != "/claim")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_is_reset_by_root_with_and_without_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    // No engine is needed to forget somebody.
    let home = Home::new(folder.path(), "unix:///nowhere/docker.sock", "").unwrap();
    let mut daemon = home.start().unwrap();
    let cookie = claim(&daemon).await.unwrap();
    assert!(claimed(&daemon).await.unwrap());
    let token = json!({"name": "t", "role": "admin"});
    let made = http().post(format!("{}/api/v1/tokens", daemon.base)).header("cookie", &cookie).json(&token);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let secret = made["token"].as_str().unwrap().to_owned();

    // No login takes the device from its owner: the way is the control socket only.
    let taken = http().post(format!("{}/api/v1/reset-password", daemon.base)).bearer_auth(&secret);
    assert_eq!(taken.json(&json!({})).send().await.unwrap().status(), 404);
    assert!(claimed(&daemon).await.unwrap());

    let said = home.cli(&["reset-password"]).unwrap();
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(!claimed(&daemon).await.unwrap());
    for (name, value) in [("cookie", cookie.clone()), ("authorization", format!("Bearer {secret}"))] {
        let asked = http().get(format!("{}/api/v1/status", daemon.base)).header(name, value);
        assert_eq!(asked.send().await.unwrap().status(), 403, "{name}");
    }
    // The first code is spent; the one just printed claims.
    let code = String::from_utf8(said.stdout).unwrap().trim().rsplit(' ').next().unwrap().to_owned();
    assert_ne!(code, claim_code(&daemon).await.unwrap());
    let body = json!({"code": code, "password": PASSWORD});
    let again = http().post(format!("{}/api/v1/claim", daemon.base)).json(&body).send().await.unwrap();
    assert_eq!(again.status(), 200, "{}", again.text().await.unwrap());
    assert!(claimed(&daemon).await.unwrap());

    assert!(daemon.stop(READY).await.unwrap().success());
    let said = home.cli(&["reset-password"]).unwrap();
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let daemon = home.start().unwrap();
    claim(&daemon).await.unwrap();
}
