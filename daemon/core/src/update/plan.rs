//! The plan of one run: every container, what would be done with it, in which order, and why.
//!
//! Owns the order, the words of the steps and the fingerprint that an approval names. Must never contain a choice that is
//! still open.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::candidate::{Action, Finding};
use crate::model::{Container, Inventory, compose};

/// What one run would do now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Changes when the substance does: which container would move, or wait, to what.
    pub fingerprint: String,
    /// Those that would move first, in their order; then the waiting, the reported, the rest, by name.
    pub entries: Vec<Finding>,
}

/// Puts the findings in order: whoever others depend on goes first.
#[must_use]
pub fn plan(findings: Vec<Finding>, inventory: &Inventory) -> Plan {
    let rank = depth(inventory);
    let mut entries = findings;
    entries.sort_by(|a, b| {
        let depth = |f: &Finding| rank.get(f.name.as_str()).copied().unwrap_or_default();
        (a.action, depth(a), &a.name).cmp(&(b.action, depth(b), &b.name))
    });
    Plan { fingerprint: fingerprint(&entries), entries }
}

/// The steps of one entry in words, as a person would say them.
#[must_use]
pub fn steps(finding: &Finding, has_health_check: bool) -> Vec<String> {
    if finding.action != Action::Update && finding.action != Action::Approve {
        return Vec::new();
    }
    let verify = if has_health_check {
        "wait until its health check passes"
    } else {
        "watch that it stays up (it has no health check)"
    };
    [
        &format!("pull {} while the old one runs", finding.image),
        "make the new container beside it",
        "stop the old one and put it aside",
        "start the new one under its name",
        verify,
        "remove the old one; or bring it back if the new one fails",
    ]
    .map(str::to_owned)
    .into()
}

/// FNV-1a over what an approval is about. No secret is guarded by it: it only has to differ when the plan does.
fn fingerprint(entries: &[Finding]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for entry in entries.iter().filter(|e| matches!(e.action, Action::Update | Action::Approve)) {
        let target = entry.target.as_ref().map(super::candidate::Target::key).unwrap_or_default();
        for byte in [entry.name.as_str(), "\u{1f}", target, "\u{1e}"].concat().bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// How many others stand before a container, along Compose's `depends_on`, links and Watchtower's label. A circle ends
/// where it closes.
fn depth(inventory: &Inventory) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    for container in &inventory.containers {
        visit(container, inventory, &mut found, &mut BTreeSet::new());
    }
    found
}

fn visit<'a>(
    container: &'a Container,
    inventory: &'a Inventory,
    found: &mut BTreeMap<&'a str, usize>,
    path: &mut BTreeSet<&'a str>,
) -> usize {
    let name = container.name.as_str();
    if let Some(depth) = found.get(name) {
        return *depth;
    }
    if !path.insert(name) {
        return 0;
    }
    let depth =
        needs(container, inventory).map(|other| visit(other, inventory, found, path) + 1).max().unwrap_or(0);
    path.remove(name);
    found.insert(name, depth);
    depth
}

fn needs<'a>(container: &'a Container, inventory: &'a Inventory) -> impl Iterator<Item = &'a Container> {
    let project = container.labels.get(compose::PROJECT);
    let services: BTreeSet<&str> = container
        .labels
        .get(compose::DEPENDS_ON)
        .into_iter()
        .flat_map(|list| list.split(','))
        .filter_map(|entry| entry.split(':').next())
        .filter(|service| !service.is_empty())
        .collect();
    let names: BTreeSet<&str> = ["com.centurylinklabs.watchtower.depends-on", "dockbeacon.depends-on"]
        .into_iter()
        .filter_map(|label| container.labels.get(label))
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().trim_start_matches('/'))
        .chain(container.joins.iter().map(|join| join.target.as_str()))
        .collect();
    inventory.containers.iter().filter(move |other| {
        let of_project = project.is_some() && other.labels.get(compose::PROJECT) == project;
        let service = other.labels.get(compose::SERVICE).unwrap_or_default();
        (of_project && services.contains(service)) || names.contains(other.name.as_str())
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
