//! The steps beside the daemon, against real engines and Compose.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dockbeacon_tests::engine::{TestEngine, compose_program, on_each};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::sandbox::Sandbox;
use serde_json::Value;

use crate::card::Card;

/// A card with a network and the true time.
pub fn connected() -> Card {
    let card = Card::new();
    card.write("proc/net/route", "Iface\tDestination\tGateway\neth0\t00000000\t0102A8C0\n");
    card
}

/// The program's environment: the test's engine, and Compose as the docker command finds it.
pub fn docker(place: &Sandbox) -> Result<Vec<(String, String)>> {
    let config: PathBuf = place.path().join("docker");
    std::fs::create_dir_all(config.join("cli-plugins"))?;
    let plugin = config.join("cli-plugins/docker-compose");
    if !plugin.exists() {
        std::os::unix::fs::symlink(compose_program()?, plugin)?;
    }
    let text = |path: PathBuf| path.display().to_string();
    Ok(vec![("DOCKER_HOST".into(), place.engine.host.clone()), ("DOCKER_CONFIG".into(), text(config))])
}

pub fn boots(card: &Card, env: &[(String, String)]) -> (Option<i32>, String) {
    let output = card
        .command("late")
        .args(["--patience", "1"])
        .envs(env.iter().cloned())
        .env_remove("DOCKER_CONTEXT")
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

/// Puts the service `web` with its image onto the boot partition.
pub fn with_service(card: &Card, place: &Sandbox, project: &str) -> Result<String> {
    let image = format!("{}:1", place.name("web"));
    let spec = ImageSpec::demo("1.0.0")?;
    card.boot(
        &format!("apps/{project}/compose.yaml"),
        &format!("services:\n  web:\n    image: {image}\n    env_file: .env\n"),
    );
    card.boot(&format!("apps/{project}/.env"), "SECRET=yes\n");
    std::fs::write(
        card.path(&format!("boot/firmware/apps/{project}/web.tar")),
        spec.build()?.archive(&image)?,
    )?;
    Ok(image)
}

pub async fn running(place: &Sandbox, project: &str) -> Result<Vec<Value>> {
    let all = place.raw().get("/containers/json?all=1").await?;
    let of =
        |one: &Value| one["Labels"]["com.docker.compose.project"] == project && one["State"] == "running";
    Ok(all.as_array().context("no list")?.iter().filter(|one| of(one)).cloned().collect())
}

#[test]
fn services_on_the_boot_partition_start_from_images_beside_them() {
    on_each(|engine: TestEngine| async move {
        let place = Sandbox::new(&engine)?;
        let (card, env) = (connected(), docker(&place)?);
        let project = place.name("shelf");
        with_service(&card, &place, &project)?;
        let (code, said) = boots(&card, &env);
        ensure!(code == Some(0), "{said}");
        let first = running(&place, &project).await?;
        ensure!(first.len() == 1, "{first:?}\n{said}");
        ensure!(card.mode(&format!("srv/apps/{project}/.env")) == 0o600, "a secret may be read by all");
        ensure!(!card.has(&format!("srv/apps/{project}/web.tar")), "an image is not copied");
        // Again: nothing is done.
        let (code, said) = boots(&card, &env);
        ensure!(code == Some(0) && said.contains("8/8 -: no service"), "{said}");
        ensure!(running(&place, &project).await?[0]["Id"] == first[0]["Id"]);
        // A corrected file runs it again.
        card.boot(&format!("apps/{project}/.env"), "SECRET=no\n");
        let (code, said) = boots(&card, &env);
        ensure!(code == Some(0) && said.contains(&format!("started {project}")), "{said}");
        ensure!(running(&place, &project).await?[0]["Id"] != first[0]["Id"]);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_power_cut_while_services_start_is_made_up_for_also_with_an_owner() {
    on_each(|engine: TestEngine| async move {
        for point in ["firstboot.apps.copied#2", "firstboot.apps.loaded", "firstboot.apps.up"] {
            let place = Sandbox::new(&engine)?;
            let (card, env) = (connected(), docker(&place)?);
            let project = place.name("cut");
            with_service(&card, &place, &project)?;
            let mut cut = env.clone();
            cut.push(("DOCKBEACON_FAILPOINT".into(), point.into()));
            let (code, said) = boots(&card, &cut);
            ensure!(code.is_none(), "{point} was not passed: {said}");
            // Meanwhile somebody has claimed the device: what was copied is started all the same.
            if point == "firstboot.apps.loaded" {
                card.write("var/lib/dockbeacon/claimed", "");
            }
            let (code, said) = boots(&card, &env);
            ensure!(code == Some(0), "{point}: {said}");
            ensure!(running(&place, &project).await?.len() == 1, "{point}: {said}");
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn with_an_owner_no_service_is_taken_from_the_boot_partition() {
    let card = connected();
    card.write("var/lib/dockbeacon/claimed", "");
    card.boot("apps/web/compose.yaml", "services: {}\n");
    let (code, said) = boots(&card, &[("DOCKER_HOST".into(), "unix:///nowhere".into())]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!card.has("srv/apps/web"));
}

#[test]
fn what_is_wrong_is_told_and_the_rest_goes_on() {
    on_each(|engine: TestEngine| async move {
        let place = Sandbox::new(&engine)?;
        let (card, env) = (connected(), docker(&place)?);
        let (good, bad) = (place.name("good"), place.name("bad"));
        with_service(&card, &place, &good)?;
        card.boot(&format!("apps/{bad}/compose.yaml"), "services:\n  web:\n    imagge: x\n");
        card.boot("apps/my app/compose.yaml", "services: {}\n");
        card.boot("dockbeacon-backup-shop-20261122T023005Z.tar.gz", "no archive");
        let (code, said) = boots(&card, &env);
        ensure!(code == Some(1), "{said}");
        let (outcome, message) = card.step("late", "apps");
        ensure!(
            outcome == "failed"
                && message.contains("compose.yaml is not valid")
                && message.contains("imagge"),
            "{message}"
        );
        ensure!(card.report("late")["problems"].to_string().contains("apps/my app"), "{said}");
        let (outcome, message) = card.step("late", "restore");
        ensure!(outcome == "failed" && message.contains("it is damaged or not complete"), "{message}");
        ensure!(running(&place, &good).await?.len() == 1, "{said}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn nothing_is_pulled_before_the_time_is_true_and_no_network_is_needed_for_images_that_are_here() {
    on_each(|engine: TestEngine| async move {
        let place = Sandbox::new(&engine)?;
        let (card, env) = (connected(), docker(&place)?);
        // systemd is here, its time service is on and has no answer; and there is no way out.
        card.write("run/systemd/system/here", "");
        card.write("etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service", "");
        std::fs::remove_file(card.path("proc/net/route"))?;
        card.boot("dockbeacon.yaml", "wifi: {ssid: Home, password: secret123}\n");
        let (here, away) = (place.name("here"), place.name("away"));
        with_service(&card, &place, &here)?;
        let compose = format!("services:\n  web:\n    image: {}:missing\n", place.name("away"));
        card.boot(&format!("apps/{away}/compose.yaml"), &compose);
        let (code, said) = boots(&card, &env);
        ensure!(code == Some(1), "{said}");
        ensure!(
            said.contains("no network after 1 s; check name and password of \"Home\" (dockbeacon.yaml:1)"),
            "{said}"
        );
        ensure!(said.contains("none is pulled before the time is true"), "{said}");
        ensure!(running(&place, &here).await?.len() == 1, "{said}");
        Ok(())
    })
    .unwrap();
}
