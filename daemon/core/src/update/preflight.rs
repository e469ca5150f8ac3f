//! What must hold before anything is touched.
//!
//! Owns the checks of one candidate against its machine. Must never be skipped because somebody asked by name.

use super::names;
use crate::model::{ContainerName, Inventory};
use crate::reason::Reason;

/// Room that must be left after the download and unpacking, in bytes.
const RESERVE: u64 = 256 << 20;
/// Layers unpack to about this many times their download.
const UNPACKED: u64 = 3;

/// What is known of a candidate before its update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Bytes to download; `None` when the registry did not say.
    pub download: Option<u64>,
    /// Bytes free where the engine keeps its images; `None` when that folder is not ours to see.
    pub free: Option<u64>,
    /// The platforms that the registry offers, when ours is not among them.
    pub offered_instead: Option<String>,
    /// Whether the configuration of the container's present image is known.
    pub image_config_known: bool,
}

/// The first thing that forbids the update.
///
/// # Errors
/// The reason.
pub fn preflight(name: &ContainerName, inventory: &Inventory, facts: &Facts) -> Result<(), Reason> {
    if let Some(offered) = &facts.offered_instead {
        let wanted = &inventory.engine.platform;
        return Err(Reason::WrongPlatform {
            offered: offered.clone(),
            wanted: format!("{}/{}", wanted.os, wanted.architecture),
        });
    }
    if let (Some(free), Some(download)) = (facts.free, facts.download) {
        let needed = download.saturating_mul(UNPACKED).saturating_add(RESERVE);
        if free < needed {
            return Err(Reason::NoSpace { free: megabytes(free), needed: megabytes(needed) });
        }
    }
    if let Some(left) = leftover(name, inventory) {
        return Err(Reason::Leftover { name: left });
    }
    if !facts.image_config_known {
        return Err(Reason::UnknownImageConfig);
    }
    Ok(())
}

/// A container that an earlier run of this service's update left behind.
#[must_use]
pub fn leftover(name: &ContainerName, inventory: &Inventory) -> Option<String> {
    inventory
        .containers
        .iter()
        .map(|c| c.name.as_str())
        .find(|other| names::parse(other).is_some_and(|(service, _, _)| service == name.as_str()))
        .map(str::to_owned)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_has_its_reason() {
        let name = ContainerName::new("web").unwrap();
        let inventory = Inventory::default();
        let good = Facts {
            image_config_known: true,
            download: Some(10 << 20),
            free: Some(1 << 40),
            offered_instead: None,
        };
        assert_eq!(preflight(&name, &inventory, &good), Ok(()));
        let code = |facts: Facts| preflight(&name, &inventory, &facts).err().map(|r| r.code());
        assert_eq!(code(Facts { free: Some(1 << 20), ..good.clone() }).as_deref(), Some("no-space"));
        assert_eq!(
            code(Facts { image_config_known: false, ..good.clone() }).as_deref(),
            Some("unknown-image-config")
        );
        let wrong = Facts { offered_instead: Some("linux/amd64".to_owned()), ..good };
        assert_eq!(code(wrong).as_deref(), Some("wrong-platform"));
    }
}
