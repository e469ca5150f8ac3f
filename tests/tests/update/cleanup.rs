//! What becomes of old images, and of images that were refused.
//!
//! Owns W9 and W18. Must never prune what is not its own: the engines are everybody's.

use anyhow::Result;
use dockbeacon_tests::engine::on_each;
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::raw::encode;
use serde_json::{Value, json};

use crate::bed::{Bed, labels};

/// A version that never becomes healthy.
fn sick(version: &str) -> Result<ImageSpec> {
    Ok(ImageSpec::demo(version)?.env("UNHEALTHY", "1"))
}

async fn update_to(bed: &Bed, part: &str, version: &str) -> Result<()> {
    bed.push_demo(part, version).await?;
    bed.dockbeacon(&["update"])?.ended(0);
    bed.stands(part, version).await
}

#[test]
fn w9_cleanup_removes_the_old_image_but_none_that_is_used() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &["cleanup: true", "keep-generations: 0"]).await?;
        bed.push_demo("web", "1").await?;
        let body = json!({"Labels": labels(&bed.place, &[])});
        bed.run("web", body.clone()).await?;
        let first = bed.inspect("web").await?["Image"].as_str().unwrap().to_owned();
        update_to(&bed, "web", "2").await?;
        assert_eq!(bed.image_id(&first).await, None, "the old image is still here");

        // One more container of the same image, which is left alone: its image stays, and stays usable.
        let second = bed.inspect("web").await?["Image"].as_str().unwrap().to_owned();
        let peer = json!({"Image": bed.image("web"), "Labels": {"dockbeacon.update": "off"}});
        bed.raw().run(&bed.name("peer"), &peer).await?;
        update_to(&bed, "web", "3").await?;
        assert_eq!(bed.image_id(&second).await.as_ref(), Some(&second), "another container uses it");
        bed.raw().post(&format!("/containers/{}/restart?t=1", bed.name("peer")), &Value::Null).await?;
        bed.healthy("peer").await?;

        // An image with a name of the owner's own is the owner's.
        let third = bed.inspect("web").await?["Image"].as_str().unwrap().to_owned();
        let tag = format!("/images/{third}/tag?repo={}&tag=mine", bed.name("kept"));
        bed.raw().post(&tag, &Value::Null).await?;
        update_to(&bed, "web", "4").await?;
        assert_eq!(bed.image_id(&format!("{}:mine", bed.name("kept"))).await, Some(third));
        Ok(())
    })
    .unwrap();
}

#[test]
fn w9_a_kept_generation_survives_a_prune_and_the_one_before_goes() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &["cleanup: true", "keep-generations: 1"]).await?;
        bed.push_demo("web", "1").await?;
        bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let first = bed.inspect("web").await?["Image"].as_str().unwrap().to_owned();
        bed.push_demo("web", "2").await?;
        bed.dockbeacon(&["update"])?.ended(0);
        bed.stands("web", "2").await?;
        let filters = json!({"label": [format!("test.bed={}", bed.place.prefix)]}).to_string();
        bed.raw().post(&format!("/images/prune?filters={}", encode(&filters)), &Value::Null).await?;
        assert_eq!(bed.image_id(&first).await.as_ref(), Some(&first), "kept for going back");

        let second = bed.inspect("web").await?["Image"].as_str().unwrap().to_owned();
        bed.push_demo("web", "3").await?;
        bed.dockbeacon(&["update"])?.ended(0);
        bed.stands("web", "3").await?;
        assert_eq!(bed.image_id(&first).await, None);
        assert_eq!(bed.image_id(&second).await.as_ref(), Some(&second));
        Ok(())
    })
    .unwrap();
}

#[test]
fn without_cleanup_every_image_stays_and_only_the_guard_goes() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &["keep-generations: 0"]).await?;
        bed.push_demo("web", "1").await?;
        bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let first = bed.inspect("web").await?["Image"].as_str().unwrap().to_owned();
        update_to(&bed, "web", "2").await?;
        let image = bed.raw().get(&format!("/images/{first}/json")).await?;
        assert!(!image["RepoTags"].to_string().contains("dockbeacon.local"), "{}", image["RepoTags"]);
        Ok(())
    })
    .unwrap();
}

#[test]
fn w18_a_bad_digest_is_rolled_back_once_and_remembered() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        let id = bed.run("web", json!({"Labels": labels(&bed.place, &[]), "HostConfig": {"RestartPolicy": {"Name": "always"}}})).await?;
        let bad = bed.push("web", &sick("2")?).await?;
        let said = bed.dockbeacon(&["update"])?.ended(5).with(&["put back", "health check fails"]);
        assert!(!said.out.contains("panicked"));
        bed.stands("web", "1").await?;
        let back = bed.inspect("web").await?;
        assert_eq!(back["Id"], *id, "it is the same container");
        assert_eq!(back["HostConfig"]["RestartPolicy"]["Name"], "always");
        // The reference leads to what runs again.
        assert_eq!(bed.image_id(&bed.image("web")).await.as_deref(), back["Image"].as_str());

        // Every command is a new process: what was refused is not tried again, nor even downloaded.
        bed.registry.clear_log();
        bed.dockbeacon(&["update"])?.ended(0);
        let log = bed.registry.log();
        assert!(!log.is_empty() && !log.iter().any(|a| a.path.contains(&bad.layer_digest)), "{log:?}");
        let plan = bed.planned("web")?;
        assert_eq!(plan["reason"]["code"], "bad-digest", "{plan}");
        let short = &bad.digest["sha256:".len()..][..12];
        assert!(plan["reason"]["text"].as_str().unwrap().contains(short), "{plan}");
        assert_eq!(bed.inspect("web").await?["Id"], *id);

        // Until the registry has another one.
        update_to(&bed, "web", "3").await?;
        Ok(())
    })
    .unwrap();
}

#[test]
fn w18_going_back_on_demand_is_not_undone_by_the_next_run() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        bed.run("web", json!({"Labels": labels(&bed.place, &[])})).await?;
        let name = bed.name("web");
        bed.dockbeacon(&["rollback", &name])?.ended(1).with(&["nothing to go back to"]);
        update_to(&bed, "web", "2").await?;
        bed.dockbeacon(&["rollback", &name])?.ended(0);
        bed.stands("web", "1").await?;
        for _ in 0..2 {
            bed.dockbeacon(&["update"])?.ended(0);
            bed.stands("web", "1").await?;
        }
        let plan = bed.planned("web")?;
        assert_eq!(plan["reason"]["code"], "bad-digest", "{plan}");
        // Whoever asks for it by name gets it.
        bed.dockbeacon(&["update", &name])?.ended(0);
        bed.stands("web", "2").await?;
        bed.dockbeacon(&["rollback", "nobody"])?.ended(1).with(&["no container nobody", "dockbeacon status"]);
        Ok(())
    })
    .unwrap();
}
