//! Looking for newer images.
//!
//! Owns one check: list, ask every registry once, look into what is new. Must never change anything on the engine.

use std::collections::BTreeSet;

use dockbeacon_core::event::What;
use dockbeacon_core::model::{ImageRef, Inventory};
use dockbeacon_core::update::candidate::{Remote, Target, wanted};
use dockbeacon_core::update::version;

use super::board::Board;
use super::jobs::JobError;
use super::{Interrupted, Work};
use crate::docker::EngineError;
use crate::exit::ExitCode;
use crate::handles::Summary;
use crate::registry::RegistryError;

/// What a check came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Containers looked at.
    pub scanned: usize,
    /// Images asked for.
    pub images: usize,
    /// Containers with a newer image.
    pub candidates: usize,
    /// Images whose registry could not be asked.
    pub failed: usize,
}

impl Checked {
    /// The same for people and programs.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let message = told(self.images, self.candidates, self.failed);
        let code = if self.failed > 0 { ExitCode::Failed } else { ExitCode::Done };
        let (scanned, candidates) = (self.scanned, self.candidates);
        Summary { message, code: code.code(), scanned, candidates, ..Summary::default() }
    }
}

/// A check in a sentence.
pub(super) fn told(images: usize, candidates: usize, failed: usize) -> String {
    let noun = if images == 1 { "image" } else { "images" };
    let found = match (candidates, failed) {
        (0, 0) => "everything is current".to_owned(),
        (newer, 0) => format!("{newer} newer"),
        (0, failed) => format!("nothing newer, {failed} could not be asked for"),
        (newer, failed) => format!("{newer} newer, {failed} could not be asked for"),
    };
    format!("checked {images} {noun}: {found}")
}

impl Work {
    /// Lists the engine and puts the listing on the board.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn look(&self) -> Result<Inventory, EngineError> {
        let _alone = self.one_look.lock().await;
        let inventory = async { self.engine().await?.inventory().await };
        self.seen(inventory.await).await
    }

    /// The same after something happened to a container. Images cost an engine most of a listing, so those of the last one stay as
    /// long as every container's is among them.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn look_at_containers(&self) -> Result<Inventory, EngineError> {
        let _alone = self.one_look.lock().await;
        let known = self.board.state().inventory.clone();
        let inventory = async {
            let engine = self.engine().await?;
            let containers = engine.containers().await?;
            let known = known.filter(|known| containers.iter().all(|c| known.image(&c.image_id).is_some()));
            let images = match known {
                Some(known) => known.images.clone(),
                None => engine.images().await?,
            };
            Ok(Inventory { engine: engine.info().await?, containers, images })
        };
        self.seen(inventory.await).await
    }

    /// Puts the answer of the engine on the board.
    async fn seen(&self, inventory: Result<Inventory, EngineError>) -> Result<Inventory, EngineError> {
        let host = &self.settings.engine.host;
        match inventory {
            Ok(inventory) => {
                let said = (inventory.engine.version.clone(), inventory.engine.api_version.clone());
                self.board.engine_state(Ok(said), host);
                self.post(inventory.clone());
                Ok(inventory)
            }
            Err(error) => {
                if error.engine_is_away() {
                    self.hang_up().await;
                    self.board.engine_state(Err(error.to_string()), host);
                }
                Err(error)
            }
        }
    }

    fn post(&self, inventory: Inventory) {
        self.board.review_lost(&inventory);
        let mut state = self.board.state();
        let changed = state.inventory.as_deref() != Some(&inventory);
        if changed {
            state.inventory = Some(std::sync::Arc::new(inventory));
        }
        drop(state);
        if changed {
            self.board.touch();
        }
    }

    /// Fills in what only a closer look shows (ties between containers, `--rm`), where anything could move.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn look_closer(&self) -> Result<Inventory, EngineError> {
        let _alone = self.one_look.lock().await;
        let engine = self.engine().await?;
        let mut inventory = engine.inventory().await?;
        engine.details(&mut inventory).await?;
        self.seen(Ok(inventory)).await
    }

    /// Asks the registries, all at once and each image once. Empty names mean all containers. Of two at the same time the
    /// second waits: it would ask the same again and mix its answers with those of the first.
    ///
    /// # Errors
    /// When the engine does not answer, there is no container of such a name, or the process stops in the middle. A
    /// registry that does not answer is a reason on its containers.
    pub async fn check(&self, names: &[String]) -> Result<Checked, JobError> {
        let _alone = self.one_check.lock().await;
        self.registry.prepare();
        let inventory = self.look().await?;
        let names = known(&inventory, names)?;
        let policies = self.board.policies(&inventory);
        let asked = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
        let references =
            wanted(&inventory, policies.iter().filter(|(c, _)| asked(c.name.as_str())).map(|(c, p)| (*c, p)));
        let checking = Checking::begin(&self.board);
        self.board.tell(What::CheckStarted);
        let answers = tokio::select! {
            answers = self.registry.heads(&references) => answers,
            // Not asked is not the same as current: nothing is told of this check.
            () = self.shutdown.cancelled() => return Err(Interrupted::Stopping.into()),
        };
        drop(checking);
        let failed = answers.values().filter(|a| a.is_err()).count();
        {
            let mut state = self.board.state();
            for (reference, answer) in answers {
                state.remote.insert(reference, remote(answer.map(|head| head.digest)));
            }
            if names.is_empty() {
                // What nobody runs any more is forgotten.
                state.remote.retain(|reference, _| references.contains(reference));
                state.last_check = Some((self.clock)().civil);
            }
        }
        self.board.touch();
        let moving = self.board.state().plan.entries.iter().any(|f| f.target.is_some());
        if moving {
            self.look_closer().await?;
            self.describe_targets().await;
        }
        let candidates = self.announce(&asked);
        self.board.tell(What::CheckFinished { images: references.len(), candidates, failed });
        Ok(Checked { scanned: inventory.containers.len(), images: references.len(), candidates, failed })
    }

    /// Finds the versions behind digests not looked into yet.
    async fn describe_targets(&self) {
        let (targets, platform) = {
            let state = self.board.state();
            let platform = state.inventory.as_ref().map(|i| i.engine.platform.clone()).unwrap_or_default();
            let mut targets = BTreeSet::new();
            for finding in &state.plan.entries {
                if let (Some(Target::Registry(digest)), Ok(reference)) =
                    (&finding.target, ImageRef::parse(&finding.image))
                    && !state.versions.contains_key(digest.as_str())
                {
                    targets.insert((reference, digest.clone()));
                }
            }
            (targets, platform)
        };
        let looks = targets.into_iter().map(|(reference, digest)| {
            let platform = platform.clone();
            async move {
                let described = self.registry.describe(&reference, &digest, &platform).await;
                (reference, digest, described)
            }
        });
        for (reference, digest, described) in futures_util::future::join_all(looks).await {
            match described {
                Ok(remote) => {
                    let built = remote.created.map(|t| t.to_rfc3339());
                    let target = Target::Registry(digest.clone());
                    let version = version::of_remote(
                        remote.version.as_deref(),
                        built.as_deref(),
                        Some(&reference),
                        &target,
                    );
                    self.board.state().versions.insert(digest.as_str().to_owned(), version);
                }
                Err(error) => {
                    tracing::warn!(image = %reference, %error, "cannot read the new image's description")
                }
            }
        }
    }

    /// Tells of candidates seen for the first time; counts those there are.
    fn announce(&self, asked: &dyn Fn(&str) -> bool) -> usize {
        let entries = self.board.state().plan.entries.clone();
        let mut count = 0;
        for finding in entries.iter().filter(|f| asked(f.name.as_str())) {
            let Some(target) = &finding.target else { continue };
            count += 1;
            let name = finding.name.as_str();
            match self.store.candidate_seen(name, target.key(), (self.clock)().civil) {
                Ok(true) => {
                    self.board.tell(What::CandidateFound {
                        container: name.to_owned(),
                        image: finding.image.clone(),
                        digest: target
                            .key()
                            .split(':')
                            .next_back()
                            .unwrap_or_default()
                            .chars()
                            .take(12)
                            .collect(),
                    });
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "cannot note a candidate"),
            }
        }
        count
    }
}

/// Shows that registries are being asked, for as long as it lives.
struct Checking<'a>(&'a Board);

impl<'a> Checking<'a> {
    fn begin(board: &'a Board) -> Self {
        board.state().checking = true;
        Self(board)
    }
}

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        self.0.state().checking = false;
        self.0.changed.notify_one();
    }
}

/// Names as a person gives them, with or without a slash in front, all of which must be there.
pub(super) fn known(inventory: &Inventory, names: &[String]) -> Result<Vec<String>, JobError> {
    let find = |name: &String| {
        let name = name.trim_start_matches('/');
        let there = inventory.by_name(name).is_some();
        there.then(|| name.to_owned()).ok_or_else(|| {
            JobError::NotFound(format!("there is no container {name}; `dockbeacon status` lists them"))
        })
    };
    names.iter().map(find).collect()
}

fn remote(answer: Result<dockbeacon_core::model::Digest, RegistryError>) -> Remote {
    match answer {
        Ok(digest) => Remote::Digest(digest),
        Err(RegistryError::RateLimited { until, .. }) => Remote::RateLimited(until.to_rfc3339()),
        Err(error) => Remote::Failed(error.to_string()),
    }
}
