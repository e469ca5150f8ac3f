//! One run and out: exit codes and answers of `check`, `plan` and `update`, without a daemon and through one.
//!
//! Owns W10 and W19. Must never accept another answer on one way than on the other.

use std::collections::BTreeMap;

use anyhow::Result;
use dockbeacon_tests::daemon::Home;
use dockbeacon_tests::engine::on_each;
use dockbeacon_tests::image::ImageSpec;
use serde_json::{Value, json};

use crate::bed::{Bed, SOON, labels, settings};

/// Every code that these commands can give, in an order in which each case leads to the next.
async fn all_codes(bed: &mut Bed, away: &Home) -> Result<()> {
    let name = bed.name("web");
    bed.dockbeacon(&["check", "--exit-code", &name])?.ended(0).with(&["everything is current"]);
    bed.dockbeacon(&["update", &name])?.ended(0).with(&["runs what the registry has"]);
    let said = bed.dockbeacon(&["--json", "update", &name])?.ended(0).json();
    assert_eq!(
        (&said["updated"], &said["failed"], &said["code"]),
        (&json!([]), &json!([]), &json!(0)),
        "{said}"
    );

    bed.push_demo("web", "2").await?;
    bed.dockbeacon(&["check", "--exit-code", &name])?.ended(10).with(&["1 newer"]);
    bed.dockbeacon(&["check", &name])?.ended(0);
    bed.dockbeacon(&["plan", "--exit-code"])?.ended(10).with(&[&name, "a newer image is in the registry"]);
    bed.stands("web", "1").await?;
    let said = bed.dockbeacon(&["--json", "update", &name])?.ended(0).json();
    assert_eq!((&said["updated"], &said["candidates"]), (&json!([name]), &json!(1)), "{said}");
    bed.stands("web", "2").await?;

    bed.push("web", &ImageSpec::demo("3")?.env("UNHEALTHY", "1")).await?;
    let said = bed.dockbeacon(&["--json", "update", &name])?.ended(5).json();
    assert_eq!((&said["rolled_back"], &said["code"]), (&json!([name]), &json!(5)), "{said}");
    bed.stands("web", "2").await?;

    bed.dockbeacon(&["update", "nobody"])?
        .ended(1)
        .with(&["there is no container nobody", "dockbeacon status"]);
    bed.dockbeacon(&["check", "--frobnicate"])?.ended(2);

    // The owner forbids going back.
    bed.push_demo("keep", "1").await?;
    bed.run("keep", json!({"Labels": labels(&bed.place, &[("dockbeacon.rollback", "false")])})).await?;
    bed.push("keep", &ImageSpec::demo("2")?.env("UNHEALTHY", "1")).await?;
    let said = bed.dockbeacon(&["update", &bed.name("keep")])?.ended(6);
    said.with(&["not healthy", "forbids going back"]);
    assert_eq!(bed.version("keep").await?, "2");

    bed.registry.stop();
    bed.dockbeacon(&["check", &name])?.ended(1).with(&["could not be asked"]);
    bed.dockbeacon(&["update", &name])?.ended(1).with(&[&name, "could not be asked"]);
    bed.stands("web", "2").await?;

    crate::bed::command(away, &["check"])?.ended(4).with(&["cannot be reached", "systemctl start docker"]);
    crate::bed::command(away, &["update"])?.ended(4).with(&["cannot be reached"]);
    Ok(())
}

#[test]
fn w10_one_run_and_out_says_by_its_exit_code_what_happened() {
    on_each(|engine| async move {
        let mut bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let folder = bed.place.path().join("away");
        let away = Home::new(&folder, "unix:///nowhere/docker.sock", &settings(&bed.place, &[]))?;
        all_codes(&mut bed, &away).await?;
        // Somebody else works on the state folder.
        let held = dockbeacon::lock::take(&bed.home.state)?;
        bed.dockbeacon(&["update"])?
            .ended(7)
            .with(&["in use by another Dockbeacon", "wait until it is done"]);
        drop(held);
        Ok(())
    })
    .unwrap();
}

#[test]
fn w10_through_a_daemon_the_answers_are_the_same() {
    on_each(|engine| async move {
        let mut bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let mut daemon = bed.home.start()?;
        daemon.wait_ready(SOON).await?;
        let folder = bed.place.path().join("away");
        let away = Home::new(&folder, "unix:///nowhere/docker.sock", &settings(&bed.place, &[]))?;
        let lonely = away.start()?;
        crate::bed::wait("the control socket", async || {
            let said = crate::bed::command(&away, &["status"])?;
            Ok((said.code != 7).then_some(()))
        })
        .await?;
        all_codes(&mut bed, &away).await?;
        // It was the daemon that did it.
        assert!(daemon.stop(SOON).await?.success(), "{}", daemon.log());
        drop(lonely);
        Ok(())
    })
    .unwrap();
}

/// The lines about this test's containers, with columns as wide as they like.
fn normal(bed: &Bed, text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in
        text.replace(&format!("{}-", bed.place.prefix), "").replace(&bed.registry.address, "REGISTRY").lines()
    {
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
        lines.push(cells.join(" | "));
    }
    lines.join("\n")
}

const ORDER: [&str; 9] = ["new", "ask", "watch", "bad", "current", "local", "off", "pinned", "stopped"];

#[test]
fn w19_plan_says_for_every_container_what_would_happen_and_why() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        for (part, label) in [
            ("new", None),
            ("ask", Some("approve")),
            ("watch", Some("monitor")),
            ("bad", None),
            ("current", None),
            ("off", Some("off")),
            ("stopped", None),
        ] {
            bed.push_demo(part, "1").await?;
            let more: Vec<(&str, &str)> = label.map(|l| ("dockbeacon.update", l)).into_iter().collect();
            bed.run(part, json!({"Labels": labels(&bed.place, &more)})).await?;
        }
        let pinned = bed.push_demo("pinned", "1").await?;
        let image = format!("{}@{}", bed.registry.name(&bed.name("pinned")), pinned.digest);
        bed.raw().pull(&image).await?;
        bed.raw().run(&bed.name("pinned"), &json!({"Image": image, "Labels": labels(&bed.place, &[])})).await?;
        bed.raw().post(&format!("/containers/{}/stop?t=1", bed.name("stopped")), &Value::Null).await?;

        bed.push("bad", &ImageSpec::demo("2")?.env("UNHEALTHY", "1")).await?;
        bed.dockbeacon(&["update", &bed.name("bad")])?.ended(5);
        for part in ["new", "ask", "watch", "stopped"] {
            bed.push_demo(part, "2").await?;
        }
        let said = bed.dockbeacon(&["plan"])?.ended(0);
        let text = normal(&bed, &said.out);
        let own: Vec<&str> =
            text.lines().filter(|l| l.starts_with("CONTAINER") || ORDER.iter().any(|p| l.starts_with(&format!("{p} |")))).collect();
        let digest = |l: &str| l.contains("was tried: ");
        assert_eq!(own.iter().filter(|l| digest(l)).count(), 1, "{text}");
        let own: Vec<&str> = own.into_iter().filter(|l| !digest(l)).collect();
        expect_test::expect![[r"
            CONTAINER | ACTION | RUNS | NEWER | WHY
            new | update | 1 | 2 | a newer image is in the registry
            ask | approve | 1 | 2 | waiting for your approval
            watch | report | 1 | 2 | only watched: label dockbeacon.update=monitor
            current | none | 1 | runs what the registry has
            off | none | 1 | left alone: label dockbeacon.update=off
            pinned | none | 1 | pinned to a digest, so no newer image can exist
            stopped | none | 1 | not running (exited)"]]
        .assert_eq(&own.join("\n"));
        let steps = text.split("\n\n").find(|p| p.starts_with("new:")).unwrap_or_default();
        expect_test::expect![[r"
            new:
            1. pull REGISTRY/new:latest while the old one runs
            2. make the new container beside it
            3. stop the old one and put it aside
            4. start the new one under its name
            5. wait until its health check passes
            6. remove the old one; or bring it back if the new one fails"]]
        .assert_eq(steps.trim_end());

        let plan = bed.dockbeacon(&["--json", "plan"])?.ended(0).json();
        let found: BTreeMap<String, Value> = plan["entries"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| {
                let name = e["container"].as_str()?.strip_prefix(&format!("{}-", bed.place.prefix))?;
                Some((name.to_owned(), json!([e["action"], e["reason"]["code"], e["from"]["name"], e["to"]["name"],
                                               e["steps"].as_array()?.len()])))
            })
            .collect();
        assert_eq!(
            json!(found),
            json!({
                "new": ["update", "new-image", "1", "2", 6], "ask": ["approve", "needs-approval", "1", "2", 6],
                "watch": ["report", "monitor-only", "1", "2", 0], "bad": ["none", "bad-digest", "1", "2", 0],
                "current": ["none", "up-to-date", "1", null, 0], "off": ["none", "excluded", "1", null, 0],
                "pinned": ["none", "pinned", "1", null, 0], "stopped": ["none", "not-running", "1", null, 0],
            })
        );
        assert_eq!(plan["fingerprint"].as_str().map(str::len), Some(16), "{plan}");
        // Asked again, it is the same plan.
        let again = bed.dockbeacon(&["--json", "plan"])?.ended(0).json();
        assert_eq!(again["fingerprint"], plan["fingerprint"]);
        bed.stands("new", "1").await
    })
    .unwrap();
}
