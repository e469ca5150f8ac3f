//! The names by which a transaction knows its own containers and images.
//!
//! Owns `<name>.dockbeacon-<tx>.new`, `<name>.dockbeacon-<tx>.old` and the tags that guard earlier images. Must never use
//! labels for that: they stay, and they get copied.

use crate::model::{ContainerName, ImageId, TxId};

const MARK: &str = ".dockbeacon-";
/// The repository under which earlier images are kept from a plain prune.
const KEPT: &str = "dockbeacon.local/kept";

/// The part that a marked container plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Made, not committed yet.
    Successor,
    /// Put aside until the successor is committed.
    Parked,
}

/// The successor's name until it takes the service's own.
#[must_use]
pub fn successor(name: &ContainerName, tx: &TxId) -> String {
    format!("{name}{MARK}{tx}.new")
}

/// The old container's name while it is put aside.
#[must_use]
pub fn parked(name: &ContainerName, tx: &TxId) -> String {
    format!("{name}{MARK}{tx}.old")
}

/// Takes a marked name apart: the service's name, the transaction and the part. `None` for any other name.
#[must_use]
pub fn parse(name: &str) -> Option<(&str, &str, Part)> {
    let (service, rest) = name.rsplit_once(MARK)?;
    let (tx, part) = rest.rsplit_once('.')?;
    let part = match part {
        "new" => Part::Successor,
        "old" => Part::Parked,
        _ => return None,
    };
    (!service.is_empty() && !tx.is_empty() && tx.bytes().all(|b| b.is_ascii_hexdigit()))
        .then_some((service, tx, part))
}

/// Repository and tag that keep an earlier image of a service, one per image.
#[must_use]
pub fn kept(service: &ContainerName, image: &ImageId) -> (String, String) {
    let safe: String = service
        .as_str()
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    (format!("{KEPT}/{}", safe.trim_matches('-')), image.short().to_owned())
}

/// Whether a tag is one of ours.
#[must_use]
pub fn is_kept(tag: &str) -> bool {
    tag.starts_with(KEPT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn marked_names_come_apart_again() {
        let (name, tx) = (ContainerName::new("web.v2").unwrap(), TxId::new("00ab12cd").unwrap());
        assert_eq!(parse(&successor(&name, &tx)), Some(("web.v2", "00ab12cd", Part::Successor)));
        assert_eq!(parse(&parked(&name, &tx)), Some(("web.v2", "00ab12cd", Part::Parked)));
        for other in [
            "web",
            "web.dockbeacon-.old",
            ".dockbeacon-00ab.old",
            "web.dockbeacon-xyz.old",
            "web.dockbeacon-00ab.bak",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
