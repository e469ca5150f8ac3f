//! The test bed proves itself on real parts, so that a failing test elsewhere means the daemon.
//!
//! Owns one test for each part of the bed. Must never start the daemon: this has to pass without it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::time::Duration;

use anyhow::Result;
use dockbeacon_tests::compose::compose;
use dockbeacon_tests::engine::{TestEngine, on_each};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::proxy::Proxy;
use dockbeacon_tests::raw::Raw;
use dockbeacon_tests::registry::{Registry, RegistryOptions};
use dockbeacon_tests::sandbox::{Sandbox, block_on, free_port};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

async fn ask(port: u16, path: &str) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    Ok(client.get(format!("http://127.0.0.1:{port}{path}")).send().await?.text().await?)
}

fn healthy(container: &Value) -> bool {
    container["State"]["Health"]["Status"] == "healthy"
}

#[test]
fn engines_are_two_versions_and_two_image_stores() {
    on_each(|engine| async move {
        let version = engine.raw().get("/version").await?;
        assert_eq!(version["ApiVersion"], engine.api);
        let driver = engine.raw().get("/info").await?["Driver"].clone();
        assert_eq!(driver, if engine.containerd_store() { "overlayfs" } else { "overlay2" });
        Ok(())
    })
    .unwrap();
}

#[test]
fn image_pushed_is_pulled_by_digest_and_answers() {
    on_each(|engine| async move {
        let registry = Registry::start().await?;
        let place = Sandbox::new(&engine)?;
        let repository = place.name("web");
        let pushed = registry.push(&repository, "latest", &ImageSpec::demo("1.2.3")?).await?;
        let image = format!("{}@{}", registry.name(&repository), pushed.digest);
        place.raw().pull(&image).await?;
        let id = place.raw().get(&format!("/images/{image}/json")).await?["Id"].clone();
        let wanted = if engine.containerd_store() { &pushed.digest } else { &pushed.config_digest };
        assert_eq!(id, **wanted);
        let fetched = registry.log();
        assert!(
            fetched.iter().any(|a| a.method == "GET" && a.path.ends_with(&pushed.digest) && a.status == 200)
        );

        let (name, port) = (place.name("web"), free_port()?);
        let volume = place.name("data");
        let body = json!({"Image": image, "Env": ["DATA=/data/log"], "HostConfig": {
            "Binds": [format!("{volume}:/data")],
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]}}});
        place.raw().run(&name, &body).await?;
        place.raw().wait_for(&name, SOON, healthy).await?;
        assert_eq!(ask(port, "/version").await?, "1.2.3");
        assert_eq!(ask(port, "/data").await?, "start 1.2.3\n");
        place.raw().post(&format!("/containers/{name}/stop?t=5"), &Value::Null).await?;
        assert_eq!(place.raw().inspect(&name).await?["State"]["ExitCode"], 0);
        Ok(())
    })
    .unwrap();
}

#[test]
fn unhealthy_service_and_aliases_show() {
    on_each(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let tag = format!("{}:1", place.name("peer"));
        place.raw().load(ImageSpec::demo("7")?.build()?.archive(&tag)?).await?;
        let network = place.name("net");
        place.raw().post("/networks/create", &json!({"Name": network, "Driver": "bridge"})).await?;
        let port = free_port()?;
        let attached = |alias: &str| json!({"EndpointsConfig": {network.as_str(): {"Aliases": [alias]}}});
        let (one, two) = (place.name("one"), place.name("two"));
        place
            .raw()
            .run(
                &one,
                &json!({"Image": tag, "NetworkingConfig": attached("first"), "HostConfig": {"NetworkMode": network,
                    "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]}}}),
            )
            .await?;
        let sick = json!({"Image": tag, "Env": ["UNHEALTHY=1"], "NetworkingConfig": attached("second"),
                          "HostConfig": {"NetworkMode": network}});
        place.raw().run(&two, &sick).await?;
        place.raw().wait_for(&one, SOON, healthy).await?;
        let second = place.raw().wait_for(&two, SOON, |c| c["State"]["Health"]["Status"] == "unhealthy").await?;
        let address = second["NetworkSettings"]["Networks"][&network]["IPAddress"].as_str().unwrap();
        assert_eq!(ask(port, "/resolve/second").await?, address);
        Ok(())
    })
    .unwrap();
}

#[test]
fn index_gives_the_platform_of_the_host() {
    on_each(|engine| async move {
        let registry = Registry::start().await?;
        let place = Sandbox::new(&engine)?;
        let mut images = Vec::new();
        for arch in ["amd64", "arm64", "riscv64"] {
            let mut image = ImageSpec::empty(arch);
            image.arch = arch.into();
            images.push(image);
        }
        let digest = registry.push_index(&place.name("multi"), "1", &images).await?;
        let name = registry.name(&place.name("multi"));
        place.raw().pull(&format!("{name}:1")).await?;
        let image = place.raw().get(&format!("/images/{name}:1/json")).await?;
        assert_eq!(image["Architecture"], dockbeacon_tests::demo::host_arch());
        assert_eq!(image["RepoDigests"][0], format!("{name}@{digest}"));
        Ok(())
    })
    .unwrap();
}

#[tokio::test]
async fn registry_with_tls_and_password_refuses_strangers() {
    let login = Some(("me".to_owned(), "secret".to_owned()));
    let registry = Registry::start_with(RegistryOptions { tls: true, login, port: None }).await.unwrap();
    registry.push("private", "1", &ImageSpec::empty("x")).await.unwrap();
    let pem = std::fs::read(registry.ca.as_ref().unwrap()).unwrap();
    let stranger = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_merge([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let url = format!("https://{}/v2/private/manifests/1", registry.address);
    assert_eq!(stranger.head(&url).send().await.unwrap().status(), 401);
    let known = stranger.head(&url).basic_auth("me", Some("secret")).send().await.unwrap();
    assert_eq!(known.status(), 200);
    assert!(known.headers().contains_key("docker-content-digest"));
}

#[test]
fn proxy_sees_requests_and_keeps_an_answer_back() {
    on_each(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let proxy = Proxy::start(&engine, place.path())?;
        let through = Raw::new(&place.path().join("proxy.sock"), engine.api);
        through.get("/containers/json?all=1").await?;
        let path = format!("/v{}/containers/json?all=1", engine.api);
        assert_eq!(proxy.seen(), [("GET".to_owned(), path)]);
        proxy.hold("POST", "/volumes/create");
        let volume = place.name("held");
        let request = json!({"Name": volume});
        let answer =
            tokio::time::timeout(Duration::from_millis(500), through.post("/volumes/create", &request));
        assert!(answer.await.is_err(), "the answer came through");
        // The engine may finish after its client is gone.
        let end = std::time::Instant::now() + SOON;
        while place.raw().get(&format!("/volumes/{volume}")).await.is_err() {
            assert!(std::time::Instant::now() < end, "the engine never got the request");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn compose_up_a_second_time_changes_nothing() {
    on_each(|engine| async move {
        let registry = Registry::start().await?;
        let place = Sandbox::new(&engine)?;
        registry.push(&place.name("web"), "latest", &ImageSpec::demo("1")?).await?;
        let file = place.path().join("compose.yaml");
        let image = registry.name(&place.name("web"));
        std::fs::write(
            &file,
            format!(
                "services:\n  web:\n    image: {image}:latest\n    volumes: [data:/data]\nvolumes:\n  data:\n"
            ),
        )?;
        let project = place.name("p");
        compose(&engine, &project, &file, &["up", "-d"])?;
        let id = |list: &[Value]| list[0]["Id"].as_str().unwrap().to_owned();
        let before = place.raw().list(&project).await?;
        assert_eq!(before.len(), 1);
        let said = compose(&engine, &project, &file, &["up", "-d"])?;
        assert!(said.contains("Running") && !said.contains("Created"), "{said}");
        assert_eq!(id(&place.raw().list(&project).await?), id(&before));
        compose(&engine, &project, &file, &["down", "-v"])?;
        Ok(())
    })
    .unwrap();
}

#[test]
fn sandbox_leaves_nothing_on_the_engine() {
    on_each(|engine: TestEngine| async move {
        let place = Sandbox::new(&engine)?;
        let (prefix, tag) = (place.prefix.clone(), format!("{}:1", place.name("x")));
        place.raw().load(ImageSpec::demo("1")?.build()?.archive(&tag)?).await?;
        let body = json!({"Image": tag, "HostConfig": {"Binds": [format!("{}:/d", place.name("v"))]}});
        place.raw().run(&place.name("c"), &body).await?;
        place.raw().post("/networks/create", &json!({"Name": place.name("n")})).await?;
        drop(place);
        let raw = engine.raw();
        for what in ["/containers/json?all=1", "/networks", "/volumes", "/images/json"] {
            let left = raw.get(what).await?.to_string();
            assert!(!left.contains(&prefix), "{what}: {left}");
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(block_on(async { 1 }), Some(1));
}
