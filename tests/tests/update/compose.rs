//! Services that Docker Compose made: it must find nothing to do after us.
//!
//! Owns the compose file. Must never call Compose with other options than a person would.

use std::path::PathBuf;

use anyhow::Result;
use dockbeacon_tests::compose::compose;
use dockbeacon_tests::engine::on_each;
use dockbeacon_tests::image::ImageSpec;
use serde_json::json;

use crate::bed::Bed;

/// Two services, the web one after the store, with everything that Compose adds by itself.
fn file(bed: &Bed) -> Result<PathBuf> {
    let file = bed.place.path().join("compose.yaml");
    let labels = format!("labels: {{dockbeacon.scope: {}}}", bed.place.prefix);
    std::fs::write(
        &file,
        format!(
            "services:\n  web:\n    image: {}\n    {labels}\n    depends_on: [store]\n    volumes: [data:/data, /anonymous]\n    \
             environment: {{DATA: /data/log}}\n    networks: {{front: {{aliases: [www]}}, back: }}\n  store:\n    image: {}\n    \
             {labels}\n    networks: [back]\nvolumes:\n  data:\nnetworks:\n  front:\n  back:\n",
            bed.image("web"),
            bed.image("store")
        ),
    )?;
    Ok(file)
}

/// The ids of the project's containers, in order.
async fn ids(bed: &Bed) -> Result<Vec<String>> {
    let mut ids: Vec<String> = bed
        .raw()
        .list(&bed.place.prefix)
        .await?
        .iter()
        .map(|c| c["Id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    Ok(ids)
}

#[test]
fn compose_up_changes_nothing_after_an_update_and_after_a_rollback() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        bed.push_demo("web", "1").await?;
        bed.push_demo("store", "1").await?;
        let (file, project) = (file(&bed)?, bed.name("p"));
        let up = || compose(&engine, &project, &file, &["up", "-d"]);
        up()?;
        for service in ["p-web-1", "p-store-1"] {
            bed.healthy(service).await?;
        }
        let made = ids(&bed).await?;

        bed.push_demo("web", "2").await?;
        bed.push_demo("store", "2").await?;
        // The store goes first: the other one depends on it.
        let plan = bed.dockbeacon(&["--json", "check"])?.ended(0).json();
        assert_eq!(plan["candidates"], 2, "{plan}");
        let said = bed.dockbeacon(&["--json", "update"])?.ended(0).json();
        assert_eq!(said["updated"], json!([bed.name("p-store-1"), bed.name("p-web-1")]), "{said:#}");
        for service in ["p-web-1", "p-store-1"] {
            bed.stands(service, "2").await?;
        }
        let updated = ids(&bed).await?;
        assert!(updated.iter().all(|id| !made.contains(id)));
        let said = up()?;
        assert_eq!(ids(&bed).await?, updated, "{said}");

        bed.push("web", &ImageSpec::demo("3")?.env("UNHEALTHY", "1")).await?;
        bed.dockbeacon(&["update"])?.ended(5);
        bed.stands("p-web-1", "2").await?;
        let said = up()?;
        assert_eq!(ids(&bed).await?, updated, "{said}");

        bed.dockbeacon(&["rollback", &bed.name("p-web-1")])?.ended(0);
        bed.stands("p-web-1", "1").await?;
        let back = ids(&bed).await?;
        let said = up()?;
        assert_eq!(ids(&bed).await?, back, "{said}");
        compose(&engine, &project, &file, &["down", "-v"])?;
        Ok(())
    })
    .unwrap();
}
