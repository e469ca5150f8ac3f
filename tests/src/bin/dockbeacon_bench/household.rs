//! A hundred sleeping containers on twenty images from a registry behind a slow line.
//!
//! Owns engine names, registry and line; all of it is gone when dropped. Must never keep anything running that costs CPU.

use std::time::Duration;

use anyhow::{Context as _, Result};
use dockbeacon_tests::engine::TestEngine;
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::registry::{Registry, RegistryOptions};
use dockbeacon_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::delay::Line;
use super::say;

/// Containers.
pub const CONTAINERS: usize = 100;
/// Images that they run.
pub const IMAGES: usize = 20;
/// What the line to the registry takes there and back.
pub const ROUND_TRIP: Duration = Duration::from_millis(50);

/// The containers and where their images come from.
pub struct Household {
    /// Names and a folder; removes the containers and images when dropped.
    pub place: Sandbox,
    /// The registry, as it sees its requests.
    pub registry: Registry,
    /// The line in front of it; its address is in the images' names.
    pub line: Line,
}

impl Household {
    /// Builds, pushes, pulls and starts everything.
    pub async fn build(engine: &TestEngine) -> Result<Self> {
        say(&format!("starting {CONTAINERS} containers on {IMAGES} images on {}", engine.name));
        let registry = Registry::start_with(RegistryOptions { tls: true, ..Default::default() }).await?;
        let line = Line::start(registry.address.clone()).await?;
        let place = Sandbox::new(engine)?;
        for number in 0..IMAGES {
            let mut image = ImageSpec::demo(&format!("1.0.{number}"))?;
            image.set("Healthcheck", Value::Null);
            let repository = place.name(&format!("image{number}"));
            registry.push(&repository, "latest", &image).await?;
            place.raw().pull(&format!("{}/{repository}:latest", line.address)).await?;
        }
        let mut starts = JoinSet::new();
        for number in 0..CONTAINERS {
            let (raw, name) = (place.raw(), place.name(&format!("c{number}")));
            let image =
                format!("{}/{}:latest", line.address, place.name(&format!("image{}", number % IMAGES)));
            let body = json!({"Image": image, "HostConfig": {"NetworkMode": "none"}});
            if starts.len() >= 3 {
                starts.join_next().await.context("a start")???;
            }
            starts.spawn(async move { raw.run(&name, &body).await.map(drop) });
        }
        while let Some(started) = starts.join_next().await {
            started??;
        }
        line.set_round_trip(ROUND_TRIP);
        Ok(Self { place, registry, line })
    }

    /// Settings that trust the registry and leave the rest to the defaults.
    pub fn settings(&self) -> String {
        let ca = self.registry.ca.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        format!("registry:\n  ca-file: {ca}\n")
    }
}
