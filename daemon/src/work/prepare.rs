//! From a finding to a transaction's plan: everything that must be known before anything is touched.
//!
//! Owns the gathering. Must never change anything on the engine.

use std::path::Path;

use dockbeacon_core::model::{ContainerName, Image, ImageId, ImageRef, Inventory, TxId};
use dockbeacon_core::reason::Reason;
use dockbeacon_core::update::candidate::{Finding, Target};
use dockbeacon_core::update::definition::{Surroundings, definition};
use dockbeacon_core::update::journal::{Kind, Source, TxPlan, Version};
use dockbeacon_core::update::policy::policy;
use dockbeacon_core::update::preflight::{Facts, preflight};
use dockbeacon_core::update::version;
use serde_json::Value;

use super::Work;
use crate::docker::{Engine, EngineError};

/// Why no transaction was begun.
#[derive(Debug, thiserror::Error)]
pub enum NotPrepared {
    /// The update must not be.
    #[error("{0}")]
    Forbidden(Reason),
    /// The engine does not answer.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The system did not give random bytes.
    #[error("no random bytes for a transaction id: {0}")]
    Random(String),
}

impl Work {
    /// Gathers what the update needs.
    ///
    /// # Errors
    /// The reason why it must not be, or an engine that does not answer.
    pub async fn prepare(&self, finding: &Finding, kind: Kind, cause: &str) -> Result<TxPlan, NotPrepared> {
        let engine = self.engine().await?;
        let inventory = self.look_closer().await?;
        let forbid = |reason| Err(NotPrepared::Forbidden(reason));
        let container = inventory.containers.iter().find(|c| c.id == finding.id);
        let (Some(container), Some(target)) = (container, &finding.target) else {
            return forbid(Reason::NotRunning { state: "gone".to_owned() });
        };
        let Ok(reference) = ImageRef::parse(&finding.image) else { return forbid(Reason::NoReference) };
        let policy = policy(&self.settings.update, container);
        let mut facts = Facts { free: free_space(), ..Facts::default() };
        let to;
        let source = match target {
            Target::Registry(digest) => {
                match self.registry.describe(&reference, digest, &inventory.engine.platform).await {
                    Ok(remote) => {
                        facts.download = Some(remote.download_size);
                        facts.offered_instead =
                            remote.platform_ok.clone().err().map(|offered| offered.join(", "));
                        let built = remote.created.map(|t| t.to_rfc3339());
                        to = version::of_remote(
                            remote.version.as_deref(),
                            built.as_deref(),
                            Some(&reference),
                            target,
                        );
                    }
                    Err(error) => return forbid(Reason::CheckFailed { error: error.to_string() }),
                }
                Source::Registry { digest: digest.clone() }
            }
            Target::Local(image) => {
                to = version_of(&inventory, image, &reference);
                Source::Local { image: image.clone() }
            }
        };
        let image_config = self.image_config(&engine, &container.image_id).await?;
        facts.image_config_known = image_config.is_some();
        if let Err(reason) = preflight(&container.name, &inventory, &facts) {
            return forbid(reason);
        }
        let Some(inspect) = engine.inspect_container(container.id.as_str()).await? else {
            return forbid(Reason::NotRunning { state: "gone".to_owned() });
        };
        let around = Surroundings { api: api_of(&inventory), host_name: &crate::clock::host_name() };
        let definition = match definition(&inspect, &image_config.unwrap_or_default(), around) {
            Ok(definition) => definition,
            Err(error) => return forbid(Reason::NotReproducible { why: error.to_string() }),
        };
        let reference_before = engine.inspect_image(reference.as_written()).await?.and_then(|i| image_id(&i));
        let own_timeout = inspect.pointer("/Config/StopTimeout").and_then(Value::as_u64).is_some();
        let stop_timeout =
            policy.stop_timeout.or((!own_timeout).then_some(self.settings.update.stop_timeout));
        let from = version_of(&inventory, &container.image_id, &reference);
        let (from, to) = version::told_apart(from, to);
        Ok(TxPlan {
            tx: new_id()?,
            kind,
            cause: cause.to_owned(),
            name: container.name.clone(),
            old: container.id.clone(),
            old_image: container.image_id.clone(),
            old_restart: inspect.pointer("/HostConfig/RestartPolicy").cloned().unwrap_or_default(),
            reference,
            reference_before,
            source,
            definition,
            stop_timeout: stop_timeout.map(|t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX)),
            stop_signal: policy.stop_signal.clone(),
            settle: policy.settle,
            may_roll_back: policy.rollback,
            from,
            to,
            cleanup: self.settings.update.cleanup,
            keep_generations: self.settings.update.keep_generations,
        })
    }

    /// The configuration of an image: from the engine, or as it was saved at first sight.
    async fn image_config(&self, engine: &Engine, image: &ImageId) -> Result<Option<Value>, EngineError> {
        if let Some(inspect) = engine.inspect_image(image.as_str()).await? {
            return Ok(inspect.get("Config").cloned());
        }
        let saved = self.store.image_config_get(image.as_str()).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read a saved image configuration");
            None
        });
        Ok(saved.and_then(|json| serde_json::from_str(&json).ok()))
    }

    /// Saves the configuration of every image in use, once: it can be removed under a running container.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn save_image_configs(&self, inventory: &Inventory) -> Result<(), EngineError> {
        let known = self.store.image_config_ids().unwrap_or_default();
        let in_use: std::collections::BTreeSet<&str> =
            inventory.containers.iter().map(|c| c.image_id.as_str()).collect();
        for id in in_use.iter().filter(|id| !known.iter().any(|k| k == *id)) {
            self.mark();
            let engine = self.engine().await?;
            if let Some(config) = engine.inspect_image(id).await?.and_then(|i| i.get("Config").cloned())
                && let Err(error) = self.store.image_config_put(id, &config.to_string())
            {
                tracing::warn!(%error, image = id, "cannot save an image's configuration");
            }
        }
        for id in known.iter().filter(|id| !in_use.contains(id.as_str())) {
            if let Err(error) = self.store.image_config_forget(id) {
                tracing::warn!(%error, image = id, "cannot forget an image's configuration");
            }
        }
        Ok(())
    }

    /// The version that a container runs.
    #[must_use]
    pub fn running_version(inventory: &Inventory, name: &ContainerName) -> Version {
        inventory.by_name(name.as_str()).map_or_else(Version::default, |c| {
            version::of_image(inventory.image(&c.image_id), ImageRef::parse(&c.image).ok().as_ref())
        })
    }
}

fn version_of(inventory: &Inventory, image: &ImageId, reference: &ImageRef) -> Version {
    let found: Option<&Image> = inventory.image(image);
    version::of_image(found, Some(reference))
}

/// `1.45` as numbers.
fn api_of(inventory: &Inventory) -> (u32, u32) {
    let text = &inventory.engine.api_version;
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    (major.parse().unwrap_or(1), minor.parse().unwrap_or(0))
}

pub(super) fn image_id(inspect: &Value) -> Option<ImageId> {
    inspect.get("Id").and_then(Value::as_str).and_then(|id| ImageId::new(id).ok())
}

/// Bytes free where a Debian engine keeps its images, if that folder is on this machine.
fn free_space() -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(Path::new("/var/lib/docker")).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

fn new_id() -> Result<TxId, NotPrepared> {
    let mut bytes = [0u8; 4];
    getrandom::fill(&mut bytes).map_err(|e| NotPrepared::Random(e.to_string()))?;
    let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    TxId::new(text).map_err(|e| NotPrepared::Random(e.to_string()))
}
