//! Services that an update could not bring back.
//!
//! Owns when such a service counts as well again, as given up by its owner, or as worth another start. Must never forget one merely because time
//! or a restart went by: somebody has to see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Container, ContainerState, Health, Inventory};

/// A service that was lost in an update and has not been well since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// What happened and what to do, as the update's end said it.
    pub why: String,
    /// A container of that name has been there since.
    #[serde(default)]
    pub seen: bool,
}

/// What remains lost in the light of a listing: a service that is well again is forgotten, and so is one whose container
/// was there and was then removed, because only its owner does that.
#[must_use]
pub fn remaining(lost: &BTreeMap<String, Lost>, inventory: &Inventory) -> BTreeMap<String, Lost> {
    lost.iter()
        .filter_map(|(name, lost)| {
            let container = inventory.by_name(name);
            let over = container.map_or(lost.seen, is_well);
            let seen = lost.seen || container.is_some();
            (!over).then(|| (name.clone(), Lost { why: lost.why.clone(), seen }))
        })
        .collect()
}

/// Lost services whose own container stands still, to be started once more when the engine came back: what stood in the
/// way may have gone with the earlier engine, such as a port that it held for nobody after a power cut.
#[must_use]
pub fn to_start<'a>(lost: &BTreeMap<String, Lost>, inventory: &'a Inventory) -> Vec<&'a Container> {
    lost.keys()
        .filter_map(|name| inventory.by_name(name))
        .filter(|c| matches!(c.state, ContainerState::Exited | ContainerState::Created))
        .collect()
}

/// Up, and not known to be ill or still on its way.
fn is_well(container: &Container) -> bool {
    container.is_running() && matches!(container.health, None | Some(Health::Healthy))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::{ContainerId, ContainerName, ImageId, Labels};

    fn inventory(state: Option<(ContainerState, Option<Health>)>) -> Inventory {
        let container = state.map(|(state, health)| Container {
            id: ContainerId::new("a".repeat(64)).unwrap(),
            name: ContainerName::new("web").unwrap(),
            image: "web:1".to_owned(),
            image_id: ImageId::new(format!("sha256:{}", "b".repeat(64))).unwrap(),
            state,
            status: String::new(),
            health,
            created: None,
            labels: Labels::default(),
            ports: Vec::new(),
            auto_remove: false,
            joins: Vec::new(),
        });
        Inventory { containers: container.into_iter().collect(), ..Inventory::default() }
    }

    #[test]
    fn a_lost_service_stays_so_until_it_is_well_or_its_owner_removed_it() {
        use ContainerState::{Exited, Restarting, Running};
        for (seen, state, stays) in [
            (false, None, true),
            (false, Some((Exited, None)), true),
            (true, Some((Restarting, None)), true),
            (true, Some((Running, Some(Health::Starting))), true),
            (true, Some((Running, Some(Health::Unhealthy))), true),
            (false, Some((Running, Some(Health::Healthy))), false),
            (false, Some((Running, None)), false),
            (true, None, false),
        ] {
            let lost = BTreeMap::from([("web".to_owned(), Lost { why: "x".to_owned(), seen })]);
            let left = remaining(&lost, &inventory(state));
            assert_eq!(left.contains_key("web"), stays, "{seen} {state:?}");
            assert!(left.values().all(|l| l.seen == (seen || state.is_some()) && l.why == "x"));
        }
    }

    #[test]
    fn what_stands_still_under_its_name_is_worth_another_start() {
        let lost = BTreeMap::from([("web".to_owned(), Lost::default())]);
        for (state, expected) in [
            (Some((ContainerState::Exited, None)), 1),
            (Some((ContainerState::Created, None)), 1),
            (Some((ContainerState::Running, None)), 0),
            (Some((ContainerState::Paused, None)), 0),
            (Some((ContainerState::Restarting, None)), 0),
            (None, 0),
        ] {
            assert_eq!(to_start(&lost, &inventory(state)).len(), expected, "{state:?}");
            assert!(to_start(&BTreeMap::new(), &inventory(state)).is_empty());
        }
    }
}
