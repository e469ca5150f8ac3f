//! Somebody meddles while an update is under way, which waits at a gate in front of the engine.
//!
//! Owns the moments. Must never wait for luck: the request stands still until the meddling is done.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use dockbeacon_tests::compose::compose;
use dockbeacon_tests::daemon::Home;
use dockbeacon_tests::engine::{TestEngine, on_each};
use dockbeacon_tests::proxy::Proxy;
use serde_json::{Value, json};

use crate::bed::{Bed, SOON, Said, command, labels};

/// A bed whose program reaches the engine through the proxy.
async fn gated(engine: &TestEngine) -> Result<(Bed, Proxy)> {
    let mut bed = Bed::new(engine, &[]).await?;
    let proxy = Proxy::start(engine, bed.place.path())?;
    bed.home = Home::new(bed.place.path(), &proxy.host, &crate::bed::settings(&bed.place, &[]))?;
    Ok((bed, proxy))
}

/// Runs `dockbeacon update` up to the gate, does something, opens it; what the command said.
async fn meddle(
    bed: &Bed,
    proxy: &Proxy,
    gate: (&str, &str),
    deed: impl AsyncFnOnce() -> Result<()>,
) -> Result<Said> {
    proxy.close_gate(gate.0, gate.1);
    let home = bed.home.clone();
    let running = tokio::task::spawn_blocking(move || command(&home, &["update"]));
    proxy.at_gate(SOON).await?;
    let done = deed().await;
    proxy.open_gate();
    let said = running.await??;
    done?;
    Ok(said)
}

async fn bed_with_candidate(engine: &TestEngine) -> Result<(Bed, Proxy, String)> {
    let (bed, proxy) = gated(engine).await?;
    bed.push_demo("web", "1").await?;
    let id = bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
    bed.push_demo("web", "2").await?;
    Ok((bed, proxy, id))
}

#[test]
fn a_container_removed_while_its_update_is_prepared_stays_removed() {
    on_each(|engine| async move {
        let (bed, proxy, id) = bed_with_candidate(&engine).await?;
        let raw = bed.raw();
        let said = meddle(&bed, &proxy, ("POST", "/containers/create"), async || {
            raw.delete(&format!("/containers/{id}?force=1")).await.map(|_| ())
        })
        .await?;
        said.ended(1).with(&["somebody removed"]);
        assert_eq!(bed.names().await?, Vec::<String>::new());
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_container_removed_while_it_is_put_aside_is_followed_by_the_new_one() {
    on_each(|engine| async move {
        let (bed, proxy, id) = bed_with_candidate(&engine).await?;
        let raw = bed.raw();
        let said = meddle(&bed, &proxy, ("POST", "/rename"), async || {
            raw.delete(&format!("/containers/{id}?force=1")).await.map(|_| ())
        })
        .await?;
        said.ended(0);
        bed.stands("web", "2").await?;
        Ok(())
    })
    .unwrap();
}

#[test]
fn the_new_container_removed_before_it_starts_brings_the_old_one_back() {
    on_each(|engine| async move {
        let (bed, proxy, id) = bed_with_candidate(&engine).await?;
        let (raw, name) = (bed.raw(), bed.name("web"));
        let said = meddle(&bed, &proxy, ("POST", "/start"), async || {
            raw.delete(&format!("/containers/{name}?force=1")).await.map(|_| ())
        })
        .await?;
        said.ended(5).with(&["put back"]);
        bed.stands("web", "1").await?;
        assert_eq!(bed.inspect("web").await?["Id"], *id);
        Ok(())
    })
    .unwrap();
}

fn compose_file(bed: &Bed) -> Result<PathBuf> {
    let file = bed.place.path().join("compose.yaml");
    std::fs::write(
        &file,
        format!(
            "services:\n  web:\n    image: {}\n    labels: {{dockbeacon.scope: {}}}\n",
            bed.image("web"),
            bed.place.prefix
        ),
    )?;
    Ok(file)
}

#[test]
fn compose_up_by_hand_in_the_middle_leaves_one_service_and_nothing_else() {
    on_each(|engine| async move {
        for gate in
            [("POST", "/containers/create"), ("POST", "/stop"), ("POST", "/rename"), ("POST", "/start")]
        {
            let (bed, proxy) = gated(&engine).await?;
            bed.push_demo("web", "1").await?;
            let (file, project, service) = (compose_file(&bed)?, bed.name("p"), "p-web-1");
            compose(&engine, &project, &file, &["up", "-d"])?;
            bed.healthy(service).await?;
            bed.push_demo("web", "2").await?;
            let said = meddle(&bed, &proxy, gate, async || {
                // It may fail over our containers; what counts is what stands afterwards.
                let _ = compose(&engine, &project, &file, &["up", "-d", "--force-recreate"]);
                Ok(())
            })
            .await?;
            let names = bed.names().await?;
            let running =
                bed.healthy(service).await.with_context(|| format!("{gate:?}: {said:?}, {names:?}"))?;
            assert_eq!(running["State"]["Running"], true);
            assert_eq!(names, [bed.name(service)], "{gate:?}: {said:?}");
            assert!(matches!(said.code, 0 | 1 | 5), "{gate:?}: {said:?}");
            // The next run finds it as it is.
            bed.dockbeacon(&["update"])?.ended(0);
            bed.stands(service, "2").await?;
            compose(&engine, &project, &file, &["down"])?;
        }
        Ok(())
    })
    .unwrap();
}

/// A file system of a megabyte in the place of the state folder.
struct TinyDisk(PathBuf);

impl TinyDisk {
    fn mount(folder: PathBuf) -> Result<Self> {
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&folder).status()?;
        anyhow::ensure!(done.success(), "cannot mount a small disk; are we root?");
        Ok(Self(folder))
    }

    fn fill(&self) {
        // As much as fits; that it ends in an error is the point.
        let _ = std::fs::write(self.0.join("filler"), vec![0u8; 2 << 20]);
        let _ = std::fs::write(self.0.join("filler2"), vec![0u8; 4096]);
    }

    fn empty(&self) -> Result<()> {
        for file in ["filler", "filler2"] {
            let _ = std::fs::remove_file(self.0.join(file));
        }
        Ok(())
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_while_the_journal_is_written_never_costs_a_service() {
    on_each(|engine| async move {
        // Before the stop nothing has been touched; after it the old one comes back; once verified, the new one stays.
        for (gate, codes, version) in [
            (("POST", "/images/create"), &[1][..], "1"),
            (("POST", "/containers/create"), &[1], "1"),
            (("POST", "/stop"), &[5], "1"),
            (("POST", "/rename"), &[5], "1"),
            (("DELETE", "/containers/"), &[0], "2"),
        ] {
            let (bed, proxy, _) = bed_with_candidate(&engine).await?;
            let disk = TinyDisk::mount(bed.home.state.clone())?;
            let said = meddle(&bed, &proxy, gate, async || {
                disk.fill();
                Ok(())
            })
            .await?;
            assert!(codes.contains(&said.code), "{gate:?}: {said:#?}");
            let said = if said.code == 0 { said } else { said.with(&["disk", "full"]) };
            bed.stands("web", version).await.with_context(|| format!("{gate:?}: {said:?}"))?;
            // With room again the next run ends what the journal says was under way, and tells; the one after is as any.
            disk.empty()?;
            let said = bed.dockbeacon(&["update", &bed.name("web")])?;
            assert!(matches!(said.code, 0 | 1 | 5), "{gate:?}: {said:#?}");
            bed.dockbeacon(&["update", &bed.name("web")])?.ended(0);
            bed.stands("web", "2").await?;
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_disk_that_is_full_from_the_start_is_said_and_nothing_is_touched() {
    on_each(|engine| async move {
        let (bed, proxy, id) = bed_with_candidate(&engine).await?;
        let disk = TinyDisk::mount(bed.home.state.clone())?;
        disk.fill();
        proxy.clear();
        bed.dockbeacon(&["update"])?.ended(1).with(&["full"]);
        assert!(proxy.seen().iter().all(|(method, _)| method == "GET"), "{:?}", proxy.seen());
        assert_eq!(bed.inspect("web").await?["Id"], *id);
        bed.stands("web", "1").await
    })
    .unwrap();
}

#[test]
fn a_stop_signal_label_is_obeyed() {
    on_each(|engine| async move {
        let (bed, proxy) = gated(&engine).await?;
        for (label, part) in
            [("dockbeacon.stop-signal", "a"), ("com.centurylinklabs.watchtower.stop-signal", "b")]
        {
            bed.push_demo(part, "1").await?;
            bed.run(part, json!({"Labels": labels(&bed.place, &[(label, "SIGUSR1")])})).await?;
            bed.push_demo(part, "2").await?;
            proxy.clear();
            bed.dockbeacon(&["update"])?.ended(0);
            let signalled = |(_, path): &(String, String)| path.contains("signal=SIGUSR1");
            assert!(proxy.seen().iter().any(signalled), "{:?}", proxy.seen());
            bed.stands(part, "2").await?;
        }
        let _: Value = bed.raw().get("/version").await?;
        Ok(())
    })
    .unwrap();
}

#[test]
fn the_engine_pulls_only_another_digest_and_by_that_digest() {
    on_each(|engine| async move {
        let (bed, proxy) = gated(&engine).await?;
        bed.push_demo("web", "1").await?;
        bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let changes = || proxy.seen().into_iter().filter(|(method, _)| method != "GET").collect::<Vec<_>>();
        bed.dockbeacon(&["update"])?.ended(0);
        assert_eq!(changes(), []);
        let new = bed.push_demo("web", "2").await?;
        bed.dockbeacon(&["check"])?.ended(0);
        assert_eq!(changes(), []);
        bed.dockbeacon(&["update"])?.ended(0);
        let pulls: Vec<_> = changes().into_iter().filter(|(_, p)| p.contains("/images/create")).collect();
        assert_eq!(pulls.len(), 1, "{pulls:?}");
        assert!(pulls[0].1.contains(&format!("tag={}", new.digest)), "{pulls:?}");
        bed.stands("web", "2").await
    })
    .unwrap();
}
