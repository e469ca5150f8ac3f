//! The engine adapter on a real engine, the older of the test bed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unwrap_in_result, reason = "tests")]

mod local;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use dockbeacon::docker::{Engine, EngineError};
use dockbeacon_core::model::{ContainerState, Health, JoinKind};
use futures_util::StreamExt as _;
use local::{Litter, RegistryServer, Serve, docker, import, unique};
use serde_json::json;

const SILENCE: Duration = Duration::from_secs(60);

async fn engine() -> Engine {
    Engine::connect(local::host()).await.expect("the test engine")
}

#[tokio::test]
async fn connecting_fails_in_words_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let path = |name: &str| format!("unix://{}/{name}", folder.path().display());
    for (host, why, remedy) in [
        (path("none.sock"), "no socket", "systemctl start docker"),
        (path("dead.sock"), "nobody listens", "systemctl start docker"),
        ("tcp://10.0.0.1:2375".to_owned(), "not the address of a unix socket", "engine.host"),
        (String::new(), "not the address of a unix socket", "DOCKER_HOST"),
    ] {
        let error = Engine::connect(&host).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(why) && text.contains(remedy), "{host}: {text}");
        assert!(error.engine_is_away());
    }
}

/// Root passes every permission, so the refusal is seen by a child that is nobody.
#[test]
fn no_permission_is_told_from_no_engine() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("x.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    let me = std::env::current_exe().unwrap();
    let copy = folder.path().join("me");
    std::fs::copy(me, &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    use std::os::unix::process::CommandExt as _;
    let out = std::process::Command::new(&copy)
        .args(["--exact", "as_nobody", "--ignored", "--nocapture"])
        .env("DOCKBEACON_TEST_SOCKET", &socket)
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("no permission on") && text.contains("usermod -aG docker"), "{text}");
}

#[tokio::test]
#[ignore = "the other half of no_permission_is_told_from_no_engine"]
async fn as_nobody() {
    let Ok(socket) = std::env::var("DOCKBEACON_TEST_SOCKET") else { return };
    let error = Engine::connect(&format!("unix://{socket}")).await.unwrap_err();
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{error}").unwrap();
}

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let info = engine().await.info().await.unwrap();
    assert!(!info.version.is_empty() && info.api_version.starts_with("1."), "{info:?}");
    assert_eq!(info.platform.os, "linux");
}

#[tokio::test]
async fn a_definition_makes_the_round_trip_and_acts_are_forgiving() {
    let engine = engine().await;
    let (name, image) = (unique("dbt-raw"), unique("dbt-raw-image"));
    let litter =
        Litter { containers: vec![name.clone(), format!("{name}.old")], images: vec![image.clone()] };
    import(&image, "1", &[]);
    let body = json!({
        "Image": image, "Cmd": ["/bin/busybox", "sleep", "600"], "StopTimeout": 1,
        "Labels": {"a": "b"}, "MacAddress": "02:42:ac:11:00:99",
        "HostConfig": {"RestartPolicy": {"Name": "always"}, "ShmSize": 1048576}
    });
    let id = engine.create(&name, &body).await.unwrap();
    let inspect = engine.inspect_container(id.as_str()).await.unwrap().unwrap();
    assert_eq!(inspect.pointer("/Config/MacAddress"), Some(&json!("02:42:ac:11:00:99")), "fields survive");
    assert_eq!(inspect.pointer("/HostConfig/ShmSize"), Some(&json!(1_048_576)));
    assert!(engine.inspect_image(&image).await.unwrap().is_some());

    let taken = engine.create(&name, &body).await.unwrap_err();
    assert!(matches!(taken, EngineError::Conflict(_)), "{taken}");
    let missing = engine.create(&unique("dbt"), &json!({"Image": "dbt-no-such:1"})).await.unwrap_err();
    assert!(matches!(missing, EngineError::NotFound(_)), "{missing}");

    engine.stop(id.as_str(), None, None).await.expect("stopping what never ran");
    engine.start(id.as_str()).await.unwrap();
    engine.start(id.as_str()).await.expect("starting what runs");
    engine.set_restart_policy(id.as_str(), &json!({"Name": "no"})).await.unwrap();
    engine.stop(id.as_str(), Some(Duration::from_secs(1)), None).await.unwrap();
    engine.stop(id.as_str(), Some(Duration::from_secs(1)), None).await.expect("stopping what is stopped");
    engine.rename(id.as_str(), &format!("{name}.old")).await.unwrap();
    let parked = engine.inspect_container(&format!("{name}.old")).await.unwrap().unwrap();
    assert_eq!(parked.pointer("/HostConfig/RestartPolicy/Name"), Some(&json!("no")));
    assert_eq!(parked.pointer("/State/Running"), Some(&json!(false)));
    engine.remove(id.as_str(), false, true).await.unwrap();
    engine.wait_gone(id.as_str(), Duration::from_secs(20)).await.unwrap();
    assert_eq!(engine.inspect_container(id.as_str()).await.unwrap(), None);
    assert!(matches!(engine.remove(id.as_str(), false, true).await, Err(EngineError::NotFound(_))));
    drop(litter);
}

#[tokio::test]
async fn networks_tags_and_logs() {
    let engine = engine().await;
    let (name, image, net) = (unique("dbt-net"), unique("dbt-net-image"), unique("dbt-net"));
    let litter =
        Litter { containers: vec![name.clone()], images: vec![image.clone(), format!("{image}:kept")] };
    let id_of_image = import(&image, "1", &[]);
    docker(&["network", "create", &net]);
    let body =
        json!({"Image": image, "Cmd": ["/bin/busybox", "sh", "-c", "echo one; echo two >&2; echo three"]});
    let id = engine.create(&name, &body).await.unwrap();
    engine.connect_network(&net, id.as_str(), &json!({"Aliases": ["web"]})).await.unwrap();
    let inspect = engine.inspect_container(id.as_str()).await.unwrap().unwrap();
    let aliases = inspect["NetworkSettings"]["Networks"][&net]["Aliases"].to_string();
    assert!(aliases.contains("\"web\""), "{aliases}");
    engine.start(id.as_str()).await.unwrap();
    docker(&["wait", &name]);
    let mut lines = engine.logs_tail(id.as_str(), 10).await.unwrap();
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);
    assert_eq!(engine.logs_tail(id.as_str(), 1).await.unwrap().len(), 1);

    engine.tag(&id_of_image, &image, "kept").await.unwrap();
    assert!(engine.inspect_image(&format!("{image}:kept")).await.unwrap().is_some());
    engine.untag(&format!("{image}:kept")).await.unwrap();
    assert_eq!(engine.inspect_image(&format!("{image}:kept")).await.unwrap(), None);
    assert!(matches!(engine.untag(&image).await, Err(EngineError::Conflict(_))), "a container uses it");
    drop(litter);
    docker(&["network", "rm", &net]);
}

#[tokio::test]
async fn the_inventory_names_what_is_there() {
    let engine = engine().await;
    let (image, web, side) = (unique("dbt-inv-image"), unique("dbt-inv-web"), unique("dbt-inv-side"));
    let litter = Litter { containers: vec![side.clone(), web.clone()], images: vec![image.clone()] };
    let first = import(&image, "1", &["HEALTHCHECK --interval=1s CMD [\"/bin/busybox\",\"true\"]"]);
    docker(&["run", "-d", "--name", &web, "--label", "x=y", &image, "/bin/busybox", "sleep", "600"]);
    let link = format!("{web}:alias");
    let network = format!("container:{web}");
    docker(&[
        "run",
        "-d",
        "--rm",
        "--name",
        &side,
        "--network",
        &network,
        "--no-healthcheck",
        &image,
        "/bin/busybox",
        "sleep",
        "600",
    ]);
    let linked = unique("dbt-inv-linked");
    let litter_too = Litter { containers: vec![linked.clone()], images: vec![] };
    docker(&["create", "--name", &linked, "--link", &link, &image, "/bin/busybox", "true"]);
    // The tag moves on: from here the listing shows the id instead of the name.
    import(&image, "2", &[]);

    let hurry = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let mut inventory = engine.inventory().await.unwrap();
            let found = inventory.by_name(&web).expect("listed under its own name");
            if found.health == Some(Health::Healthy) {
                engine.details(&mut inventory).await.unwrap();
                return inventory;
            }
        }
    });
    let inventory = hurry.await.unwrap();
    let found = inventory.by_name(&web).unwrap();
    assert_eq!(found.image, image, "what the owner wrote, not an id");
    assert_eq!(found.image_id.as_str(), first);
    assert_eq!((found.state, found.labels.get("x")), (ContainerState::Running, Some("y")));
    assert!(!found.auto_remove && found.joins.is_empty());
    let side = inventory.by_name(&side).unwrap();
    assert!(side.auto_remove && side.health.is_none());
    assert_eq!((side.joins[0].kind, side.joins[0].target.as_str()), (JoinKind::Network, found.id.as_str()));
    let linked = inventory.by_name(&linked).unwrap();
    assert_eq!((linked.joins[0].kind, linked.joins[0].target.as_str()), (JoinKind::Link, web.as_str()));
    let newer = inventory.images.iter().find(|i| i.tags.contains(&format!("{image}:latest"))).unwrap();
    assert_ne!(newer.id.as_str(), first);
    assert!(newer.size > 0 && newer.created.is_some());
    drop((litter_too, litter));
    docker(&["rmi", "-f", &first]);
}

#[tokio::test]
async fn pulls_by_digest_and_reads_errors_out_of_the_stream() {
    let engine = engine().await;
    let registry = RegistryServer::start(&Serve::default());
    let repo = format!("{}/{}", registry.address, unique("dbt-pull"));
    let tagged = format!("{repo}:1");
    let mut litter = Litter { containers: vec![], images: vec![tagged.clone()] };
    import(&tagged, "pulled", &[]);
    docker(&["push", &tagged]);
    let by_digest = docker(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &tagged]);
    docker(&["rmi", "-f", &tagged, &by_digest]);
    litter.images.push(by_digest.clone());
    assert_eq!(engine.inspect_image(&by_digest).await.unwrap(), None);

    let mut seen = Vec::new();
    engine.pull(&by_digest, None, SILENCE, |p| seen.push(p)).await.unwrap();
    let last = seen.last().unwrap();
    assert_eq!((last.layers_done, last.layers_total), (1, 1), "{seen:?}");
    let inspect = engine.inspect_image(&by_digest).await.unwrap().unwrap();
    assert_eq!(inspect["RepoTags"], json!([]), "a pull by digest moves no tag");
    // Again: everything is here already, and that is fine.
    engine.pull(&by_digest, None, SILENCE, |_| {}).await.unwrap();

    for wrong in
        [format!("{repo}@sha256:{}", "0".repeat(64)), format!("{repo}:none"), "127.0.0.1:1/x:1".to_owned()]
    {
        let error = engine.pull(&wrong, None, SILENCE, |_| {}).await.unwrap_err();
        assert!(matches!(&error, EngineError::Pull { image, .. } if *image == wrong), "{error}");
    }
    drop(litter);
}

#[tokio::test]
async fn events_are_hints() {
    let engine = engine().await;
    let (name, image) = (unique("dbt-event"), unique("dbt-event-image"));
    let litter = Litter { containers: vec![], images: vec![image.clone()] };
    import(&image, "1", &[]);
    let id = engine.create(&name, &json!({"Image": image, "Cmd": ["/bin/busybox", "true"]})).await.unwrap();
    let mut events = Box::pin(engine.events());
    // What happens before the subscription is there is not heard, so it happens again until it is.
    for turn in 0..60 {
        let renamed = format!("{name}-{turn}");
        engine.rename(id.as_str(), &renamed).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(1), async {
            loop {
                let hint = events.next().await.unwrap().unwrap();
                if hint.action == "rename" && hint.name == renamed {
                    return hint;
                }
            }
        });
        if let Ok(hint) = heard.await {
            assert_eq!(hint.id, id.as_str());
            engine.remove(id.as_str(), true, true).await.unwrap();
            drop(litter);
            return;
        }
    }
    panic!("no hint of sixty renames");
}

#[tokio::test]
async fn a_vanished_engine_ends_the_events_with_an_error() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fake.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let served = tokio::spawn(async move {
        let version =
            r#"{"Version":"99","ApiVersion":"1.99","MinAPIVersion":"1.40","Os":"linux","Arch":"arm64"}"#;
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{version}",
            version.len()
        );
        let mut asked = Vec::new();
        for answer in [head.as_str(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let n = stream.read(&mut bytes).await.unwrap();
            asked.push(String::from_utf8_lossy(&bytes[..n]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    let engine = Engine::connect(path.to_str().unwrap()).await.unwrap();
    let hints: Vec<_> = engine.events().collect().await;
    assert_eq!(hints.len(), 1, "{hints:?}");
    assert!(hints[0].as_ref().unwrap_err().engine_is_away());
    let asked = served.await.unwrap();
    assert!(asked[0].starts_with("GET /version "), "{asked:?}");
    assert!(asked[1].contains("/events?filters="), "{asked:?}");
}
