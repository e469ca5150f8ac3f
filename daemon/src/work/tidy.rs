//! Images that an update leaves behind.
//!
//! Owns the tags that keep earlier images for going back, and letting go of those beyond the kept generations. Must never
//! force a removal: an image that anybody uses stays.

use dockbeacon_core::model::ImageId;
use dockbeacon_core::update::journal::Tx;
use dockbeacon_core::update::names;
use serde_json::Value;

use super::Work;
use crate::docker::{Engine, EngineError};

impl Work {
    /// Keeps the image just left behind, and lets go of those beyond the kept generations.
    pub(super) async fn tidy_images(&self, engine: &Engine, tx: &Tx) -> Result<(), EngineError> {
        let plan = &tx.plan;
        let name = plan.name.as_str();
        let (repository, tag) = names::kept(&plan.name, &plan.old_image);
        let kept = format!("{repository}:{tag}");
        if engine.inspect_image(plan.old_image.as_str()).await?.is_some() {
            engine.tag(plan.old_image.as_str(), &repository, &tag).await?;
            let version = serde_json::json!(plan.from).to_string();
            let reference = plan.reference.as_written();
            let at = (self.clock)().civil;
            if let Err(error) =
                self.store.generation_add(name, plan.old_image.as_str(), reference, &kept, &version, at)
            {
                tracing::warn!(%error, "an earlier image could not be noted");
            }
        }
        let generations = self.store.generations(name).unwrap_or_else(|error| {
            tracing::warn!(%error, "the earlier images could not be listed");
            Vec::new()
        });
        let keep = usize::try_from(plan.keep_generations).unwrap_or(usize::MAX);
        let now_running = tx.new_image.as_ref().map(ImageId::as_str);
        let (current, earlier): (Vec<_>, Vec<_>) =
            generations.into_iter().partition(|g| Some(g.image_id.as_str()) == now_running);
        for generation in current.into_iter().chain(earlier.into_iter().skip(keep)) {
            let is_current = Some(generation.image_id.as_str()) == now_running;
            let let_go = Self::let_go(
                engine,
                &generation.image_id,
                &generation.kept_tag,
                plan.cleanup && !is_current,
                now_running,
            );
            if let Err(error) = let_go.await {
                tracing::warn!(container = name, image = generation.image_id, %error, "an earlier image stays");
            }
            if let Err(error) = self.store.generation_remove(name, &generation.image_id) {
                tracing::warn!(%error, "an earlier image could not be forgotten");
            }
        }
        Ok(())
    }

    /// Takes our tag off, and with `cleanup` the registry's digests too, one by one: the last one deletes the image, unless
    /// a container uses it. Without `cleanup` the image stays.
    async fn let_go(
        engine: &Engine,
        image: &str,
        kept_tag: &str,
        cleanup: bool,
        other: Option<&str>,
    ) -> Result<(), EngineError> {
        let Some(inspect) = engine.inspect_image(image).await? else { return Ok(()) };
        let strings = |key: &str| -> Vec<String> {
            let list = inspect.get(key).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let tags = strings("RepoTags");
        let used = engine.containers().await?.iter().any(|c| c.image_id.as_str() == image);
        let others = tags.iter().any(|tag| tag != kept_tag);
        // The digests go first: with our tag gone the engine might hold the image by nothing that we could name.
        if cleanup && !used && !others {
            for digest in strings("RepoDigests") {
                forgive(engine.untag(&digest).await)?;
            }
        }
        // containerd's store deletes an image with its last name. Taken over by another image, the name leaves it behind
        // without one, as every moved tag does.
        if let (false, false, Some(other), Some((repository, tag))) =
            (cleanup, others, other.filter(|o| *o != image), kept_tag.rsplit_once(':'))
        {
            engine.tag(other, repository, tag).await?;
            return forgive(engine.untag(kept_tag).await);
        }
        if tags.iter().any(|tag| tag == kept_tag) && !(used && tags.len() == 1 && cleanup) {
            forgive(engine.untag(kept_tag).await)?;
        }
        Ok(())
    }
}

/// What is gone already, or used by somebody, is left as it is.
fn forgive(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::NotFound(_) | EngineError::Conflict(_)) => Ok(()),
        other => other,
    }
}
