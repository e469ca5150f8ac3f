//! Who could move, and why not.
//!
//! Owns the decision for one container, from what the engine lists, what the registry said and what is remembered. Must
//! never ask anybody anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::names;
use super::policy::Policy;
use crate::model::{Container, ContainerId, ContainerName, Digest, Image, ImageId, ImageRef, Inventory};
use crate::reason::Reason;
use crate::settings::Mode;

/// What the registry said about a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// The tag leads to this digest.
    Digest(Digest),
    /// It did not say.
    Failed(String),
    /// It asks to wait until then (civil time, RFC 3339).
    RateLimited(String),
}

/// What is remembered, and what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Digests that were tried and put back, with the reason, by container.
    pub bad: BTreeMap<(String, String), String>,
    /// Digests that somebody approved, and who, by container.
    pub approved: BTreeMap<(String, String), String>,
    /// Containers asked for by name.
    pub requested: BTreeSet<String>,
    /// Automatic updates are paused until then (civil time, RFC 3339).
    pub paused_until: Option<String>,
    /// Containers with a transaction that is not over.
    pub unfinished: BTreeSet<String>,
}

/// What the next run does with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Update it.
    Update,
    /// Wait for an approval.
    Approve,
    /// Tell that there is something newer.
    Report,
    /// Nothing.
    None,
}

impl Action {
    /// The name, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Approve => "approve",
            Self::Report => "report",
            Self::None => "none",
        }
    }
}

/// Where a container could move to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The registry's digest.
    Registry(Digest),
    /// An image that is here already.
    Local(ImageId),
}

impl Target {
    /// The digest or image id: what memories are kept by.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Registry(digest) => digest.as_str(),
            Self::Local(image) => image.as_str(),
        }
    }
}

/// The decision for one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The container.
    pub name: ContainerName,
    /// Its id.
    pub id: ContainerId,
    /// The owner's reference, as written.
    pub image: String,
    /// What the next run does.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Where it could move to, also where it may not.
    pub target: Option<Target>,
}

/// The references worth asking a registry about.
#[must_use]
pub fn wanted<'a>(
    inventory: &Inventory,
    containers: impl Iterator<Item = (&'a Container, &'a Policy)>,
) -> BTreeSet<ImageRef> {
    containers
        .filter_map(|(container, policy)| match eligible(container, policy, inventory) {
            Ok((reference, image)) if policy.no_pull.is_none() && !image.is_some_and(is_local) => {
                Some(reference)
            }
            Ok(_) | Err(_) => None,
        })
        .collect()
}

/// The decision for one container.
#[must_use]
pub fn finding(
    container: &Container,
    policy: &Policy,
    inventory: &Inventory,
    remote: &BTreeMap<ImageRef, Remote>,
    known: &Known,
) -> Finding {
    let (action, reason, target) = match eligible(container, policy, inventory) {
        Err(reason) => (Action::None, reason, None),
        Ok((reference, image)) => match newer(container, policy, inventory, &reference, image, remote) {
            Err(reason) => (Action::None, reason, None),
            Ok((target, reason)) => {
                let (action, reason) = permitted(container, policy, inventory, known, &target, reason);
                (action, reason, Some(target))
            }
        },
    };
    Finding {
        name: container.name.clone(),
        id: container.id.clone(),
        image: container.image.clone(),
        action,
        reason,
        target,
    }
}

/// Whether a newer image would matter at all.
fn eligible<'a>(
    container: &Container,
    policy: &Policy,
    inventory: &'a Inventory,
) -> Result<(ImageRef, Option<&'a Image>), Reason> {
    if names::parse(container.name.as_str()).is_some() {
        return Err(Reason::PartOfUpdate);
    }
    if container.labels.get("com.docker.swarm.task.id").is_some() {
        return Err(Reason::SwarmTask);
    }
    if let Some(reason) = &policy.excluded {
        return Err(reason.clone());
    }
    if policy.mode == Mode::Off {
        return Err(Reason::Excluded { why: policy.origin.clone() });
    }
    if !container.is_running() {
        return Err(Reason::NotRunning { state: container.state.word().to_owned() });
    }
    let reference = ImageRef::parse(&container.image).map_err(|_| Reason::NoReference)?;
    if reference.digest.is_some() {
        return Err(Reason::Pinned);
    }
    Ok((reference, inventory.image(&container.image_id)))
}

/// An image that no registry has ever named.
fn is_local(image: &Image) -> bool {
    image.digests.is_empty()
}

fn newer(
    container: &Container,
    policy: &Policy,
    inventory: &Inventory,
    reference: &ImageRef,
    image: Option<&Image>,
    remote: &BTreeMap<ImageRef, Remote>,
) -> Result<(Target, Reason), Reason> {
    let tagged = inventory
        .images
        .iter()
        .find(|i| i.tags.iter().any(|t| ImageRef::parse(t).is_ok_and(|t| t.same_tag(reference))));
    let moved = tagged.filter(|i| i.id != container.image_id);
    let here = || moved.map(|i| (Target::Local(i.id.clone()), Reason::NewImageLocal));
    if let Some(why) = &policy.no_pull {
        return here().ok_or_else(|| Reason::NoPull { why: why.clone() });
    }
    if image.is_some_and(is_local) {
        return here().ok_or(Reason::LocalImage);
    }
    let digest = match remote.get(reference) {
        None => return Err(Reason::CheckFailed { error: "not asked yet".to_owned() }),
        Some(Remote::Failed(error)) => return Err(Reason::CheckFailed { error: error.clone() }),
        Some(Remote::RateLimited(until)) => return Err(Reason::RateLimited { until: until.clone() }),
        Some(Remote::Digest(digest)) => digest,
    };
    let runs_it = image.is_some_and(|i| has_digest(i, reference, digest));
    if runs_it { Err(Reason::UpToDate) } else { Ok((Target::Registry(digest.clone()), Reason::NewImage)) }
}

/// Whether the image is known under this digest of this repository.
#[must_use]
pub fn has_digest(image: &Image, reference: &ImageRef, digest: &Digest) -> bool {
    // containerd's store lists one repository of those that an image is known in; but there its id is that very digest. In
    // the other store it is the digest of the configuration, which no registry gives for a tag.
    if image.id.as_str() == digest.as_str() {
        return true;
    }
    image.digests.iter().any(|entry| {
        entry.split_once('@').is_some_and(|(name, d)| {
            d == digest.as_str() && ImageRef::parse(name).is_ok_and(|r| r.name() == reference.name())
        })
    })
}

fn permitted(
    container: &Container,
    policy: &Policy,
    inventory: &Inventory,
    known: &Known,
    target: &Target,
    reason: Reason,
) -> (Action, Reason) {
    let name = container.name.as_str();
    let key = (name.to_owned(), target.key().to_owned());
    let requested = known.requested.contains(name);
    if known.unfinished.contains(name) {
        return (Action::None, Reason::Unfinished);
    }
    if let Some(why) = known.bad.get(&key)
        && !requested
    {
        let digest =
            target.key().split_once(':').map_or(target.key(), |(_, hex)| hex).chars().take(12).collect();
        return (Action::None, Reason::BadDigest { digest, why: why.clone() });
    }
    if policy.mode == Mode::Monitor {
        return (Action::Report, Reason::MonitorOnly { why: policy.origin.clone() });
    }
    if let Err(reason) = reproducible(container, inventory) {
        return (Action::Report, reason);
    }
    if requested {
        return (Action::Update, Reason::Requested);
    }
    if let Some(by) = known.approved.get(&key) {
        return (Action::Update, Reason::Approved { by: by.clone() });
    }
    match (policy.mode, &known.paused_until) {
        (Mode::Approve, _) => (Action::Approve, Reason::NeedsApproval),
        (_, Some(until)) => (Action::Report, Reason::Paused { until: until.clone() }),
        (_, None) => (Action::Update, reason),
    }
}

/// Whether a successor can take its place without cutting anybody off.
fn reproducible(container: &Container, inventory: &Inventory) -> Result<(), Reason> {
    if container.auto_remove {
        return Err(Reason::AutoRemove);
    }
    let is = |target: &str, c: &Container| target == c.name.as_str() || c.id.as_str().starts_with(target);
    let users: Vec<&str> = inventory
        .containers
        .iter()
        .filter(|c| c.id != container.id && c.joins.iter().any(|j| is(&j.target, container)))
        .map(|c| c.name.as_str())
        .collect();
    if !users.is_empty() {
        return Err(Reason::UsedByOthers { users: users.join(", ") });
    }
    for join in &container.joins {
        if !inventory.containers.iter().any(|c| is(&join.target, c)) {
            return Err(Reason::DanglingJoin { target: join.target.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;
