//! What is wrong before or around an update: each ends in words that say what to do, with the services as they were.
//!
//! Owns one test a kind of trouble. Must never be satisfied with an exit code alone.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use dockbeacon_tests::daemon::{Home, program};
use dockbeacon_tests::engine::on_each;
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::registry::{Registry, RegistryOptions};
use serde_json::{Value, json};

use crate::bed::{Bed, labels};

#[test]
fn settings_that_cannot_be_read_are_told_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("update: [", &["config.yaml"][..]),
        ("update:\n  mode: auto\n mode: x", &["config.yaml:7", "indentation"]),
        ("updat: {mode: auto}", &["updat", "did you mean"]),
        ("update: {clean-up: true}", &["clean-up", "did you mean", "cleanup"]),
        ("update: {mode: always}", &["always", "auto, approve, monitor or off"]),
        ("schedule: {cron: '0 0 25 * * *'}", &["schedule.cron", "25"]),
        ("schedule: {cron: '* * *'}", &["schedule.cron", "not six"]),
        ("schedule: {time-zone: Mars/Olympus}", &["Mars/Olympus"]),
    ] {
        let home = Home::new(folder.path(), "unix:///nowhere/docker.sock", text).unwrap();
        for command in [&["update"][..], &["check"], &["plan"], &["run"], &["config", "--check"]] {
            let said = crate::bed::command(&home, command).unwrap().ended(3);
            assert!(said.out.is_empty(), "{said:?}");
            said.with(words);
        }
    }
}

#[test]
fn registry_that_is_gone_or_refuses_is_a_reason_and_no_harm() {
    on_each(|engine| async move {
        let mut bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        let id = bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        bed.registry.stop();
        for args in [&["update"][..], &["update", &bed.name("web")]] {
            bed.dockbeacon(args)?.ended(1).with(&["could not be asked", &bed.registry.address]);
        }
        assert_eq!(bed.planned("web")?["reason"]["code"], "check-failed");

        // The same address asks for a password now.
        let port = bed.registry.address.rsplit(':').next().unwrap().parse()?;
        let login = Some(("me".to_owned(), "secret".to_owned()));
        bed.registry = Registry::start_with(RegistryOptions { tls: false, login, port: Some(port) }).await?;
        bed.push_demo("web", "2").await?;
        bed.dockbeacon(&["update"])?.ended(1).with(&[&bed.registry.address, "docker login"]);
        assert_eq!(bed.inspect("web").await?["Id"], *id);
        bed.stands("web", "1").await?;

        // With the right password it goes on.
        let mut home = bed.home.clone();
        home = home.env("REPO_USER", "me").env("REPO_PASS", "wrong");
        crate::bed::command(&home, &["update"])?.ended(1).with(&[&bed.registry.address]);
        home = home.env("REPO_PASS", "secret");
        crate::bed::command(&home, &["update"])?.ended(0);
        bed.stands("web", "2").await
    })
    .unwrap();
}

#[test]
fn socket_that_is_missing_deaf_or_forbidden_is_told_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.sock");
    let deaf = folder.path().join("deaf.sock");
    drop(std::os::unix::net::UnixListener::bind(&deaf).unwrap());
    for (socket, words) in [
        (&missing, ["there is no socket at", "apt install docker.io"]),
        (&deaf, ["nobody listens at", "systemctl start docker"]),
    ] {
        let home = Home::new(folder.path(), &format!("unix://{}", socket.display()), "").unwrap();
        for command in ["check", "update", "status", "plan"] {
            let said = crate::bed::command(&home, &[command]).unwrap().ended(4);
            said.with(&words);
        }
    }
    on_each(|engine| async move {
        // As somebody who is neither root nor in the socket's group.
        let folder = tempfile::tempdir()?;
        let home = Home::new(folder.path(), &engine.host, "")?;
        for (path, mode) in [(folder.path(), 0o755), (&home.config, 0o644)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        std::os::unix::fs::chown(&home.state, Some(65534), Some(65534))?;
        let own = folder.path().join("dockbeacon");
        std::fs::copy(program()?, &own)?;
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&own)
            .arg("--config")
            .arg(&home.config)
            .arg("--state-dir")
            .arg(&home.state)
            .arg("update")
            .env_remove("DOCKER_HOST")
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
        for word in ["no permission on", "usermod -aG docker"] {
            assert!(said.contains(word), "{said}");
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn leftover_of_a_crash_is_named_and_left_to_its_owner() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        for part in ["new", "old"] {
            let left = format!("{}.dockbeacon-00ab12cd.{part}", bed.name("web"));
            let body = json!({"Image": bed.image("web"), "Labels": labels(&bed.place, &[])});
            bed.raw().post(&format!("/containers/create?name={left}"), &body).await?;
            bed.push_demo("web", "2").await?;
            bed.dockbeacon(&["update"])?.ended(1).with(&[&left, "left over", "remove it"]);
            assert_eq!(bed.version("web").await?, "1");
            bed.dockbeacon(&["status"])?.ended(0).with(&[&left, "docker rm"]);
            bed.raw().delete(&format!("/containers/{left}")).await?;
        }
        bed.dockbeacon(&["update"])?.ended(0);
        bed.stands("web", "2").await
    })
    .unwrap();
}

#[test]
fn image_for_another_platform_is_not_even_pulled() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        let id = bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let foreign = |arch: &str| {
            let mut image = ImageSpec::empty(arch);
            image.arch = arch.into();
            image
        };
        bed.registry.push_index(&bed.name("web"), "latest", &[foreign("riscv64"), foreign("s390x")]).await?;
        bed.registry.clear_log();
        let said = bed.dockbeacon(&["update"])?.ended(1);
        said.with(&["riscv64", "this machine runs linux/"]);
        assert!(
            !bed.registry.log().iter().any(|a| a.agent.contains("docker") && !a.agent.contains("dockbeacon")),
            "the engine pulled"
        );
        assert_eq!(bed.inspect("web").await?["Id"], *id);
        bed.stands("web", "1").await
    })
    .unwrap();
}

#[test]
fn those_that_cannot_be_made_again_are_skipped_with_the_reason() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        let host = |host: Value| json!({"Labels": labels(&bed.place, &[]), "HostConfig": host});
        bed.run("web", host(json!({}))).await?;
        let user = json!({"Image": bed.image("web"), "Labels": labels(&bed.place, &[]), "Env": ["PORT=8081"],
                          "HostConfig": {"NetworkMode": format!("container:{}", bed.name("web"))}});
        bed.raw().run(&bed.name("user"), &user).await?;
        let brief = json!({"Image": bed.image("web"), "Labels": labels(&bed.place, &[]), "HostConfig": {"AutoRemove": true}});
        bed.raw().run(&bed.name("brief"), &brief).await?;
        let before = bed.raw().list(&bed.place.prefix).await?.len();
        bed.push_demo("web", "2").await?;
        bed.dockbeacon(&["check"])?.ended(0);
        for (part, code) in [("web", "used-by-others"), ("brief", "auto-remove")] {
            assert_eq!(bed.planned(part)?["reason"]["code"], code, "{part}");
        }
        assert!(bed.planned("web")?["reason"]["text"].as_str().unwrap().contains(&bed.name("user")));
        for part in ["web", "brief"] {
            bed.dockbeacon(&["update", &bed.name(part)])?.ended(1).with(&[&bed.name(part), "was not updated"]);
            assert_eq!(bed.version(part).await?, "1");
        }
        assert_eq!(bed.raw().list(&bed.place.prefix).await?.len(), before);
        Ok(())
    })
    .unwrap();
}

#[test]
fn image_that_exits_or_does_not_start_is_put_back_with_its_last_words() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &["settle: 1s"]).await?;
        bed.push_demo("web", "1").await?;
        let id = bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let exits = ImageSpec::demo("2")?
            .env("EXIT_AFTER_MS", "1")
            .env("EXIT_CODE", "3")
            .with("Healthcheck", Value::Null);
        let missing = ImageSpec::demo("3")?.with("Entrypoint", json!(["/no-such-program"]));
        for (image, words) in [(exits, "exited with code 3"), (missing, "no-such-program")] {
            bed.push("web", &image).await?;
            bed.dockbeacon(&["update"])?.ended(5).with(&["put back", words]);
            assert_eq!(bed.inspect("web").await?["Id"], *id);
            bed.stands("web", "1").await?;
        }
        Ok(())
    })
    .unwrap();
}
