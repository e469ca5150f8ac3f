//! How far the root partition may grow.
//!
//! Owns the arithmetic. Must never shrink anything, nor move anything, nor touch what lies behind.

/// A partition, in sectors of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the table.
    pub number: u32,
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub size: u64,
}

/// A card and what lies on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its length in sectors of 512 bytes.
    pub sectors: u64,
    /// The partition with the root file system.
    pub root: Partition,
    /// The others.
    pub others: Vec<Partition>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Nothing, and why.
    Nothing(&'static str),
    /// The root partition becomes that long.
    To {
        /// In sectors of 512 bytes.
        size: u64,
    },
}

const SECTOR: u64 = 512;
/// Partitions end where a MiB does.
const ALIGN: u64 = 1024 * 1024 / SECTOR;
/// Cards that are sold as 16 GB have at least so many bytes.
const LARGE: u64 = 15_000_000_000 / SECTOR;
/// What is left at the end of a large card, for a second root: 3 GiB.
const KEPT: u64 = 3 * 1024 * 1024 * 1024 / SECTOR;
/// An MBR cannot count further.
const MBR: u64 = 0xffff_ffff;
/// Less is not worth a write to the partition table.
const WORTH: u64 = 16 * ALIGN;

/// How far the root partition may grow.
#[must_use]
pub fn growth(card: &Card) -> Growth {
    let start = card.root.start;
    let next = card.others.iter().map(|other| other.start).filter(|begin| *begin > start).min();
    let end = match next {
        Some(next) => next,
        None if card.sectors >= LARGE => card.sectors.saturating_sub(KEPT),
        None => card.sectors,
    };
    let end = (end.min(MBR) / ALIGN) * ALIGN;
    let size = end.saturating_sub(start);
    if size >= card.root.size + WORTH {
        Growth::To { size }
    } else if next.is_some() {
        Growth::Nothing("another partition lies behind the root partition")
    } else {
        Growth::Nothing("the root partition has the space that it should have")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = ALIGN;
    const GIB: u64 = 1024 * MIB;

    #[test]
    fn cards_of_all_sizes() {
        let root = Partition { number: 2, start: 513 * MIB, size: GIB };
        let boot = Partition { number: 1, start: MIB, size: 512 * MIB };
        let table = [
            ("4 GB", 4_000_000_000 / 512, None, Some(3814 * MIB - 513 * MIB)),
            ("8 GB, odd", 15_523_839, None, Some(7579 * MIB - 513 * MIB)),
            ("16 GB, small", 15_931_539_456 / 512, None, Some(15_193 * MIB - 3 * GIB - 513 * MIB)),
            ("64 GB", 64 * GIB, None, Some(61 * GIB - 513 * MIB)),
            ("4 TB", 4096 * GIB, None, Some((MBR / MIB) * MIB - 513 * MIB)),
            ("no room", 2 * GIB - 500 * MIB, None, None),
            ("a little room", 1552 * MIB, None, None),
            ("a second root", 64 * GIB, Some(20 * GIB), Some(20 * GIB - 513 * MIB)),
            ("a second root, at once", 64 * GIB, Some(513 * MIB + GIB), None),
        ];
        for (case, sectors, behind, expected) in table {
            let mut others = vec![boot];
            others.extend(behind.map(|start| Partition { number: 3, start, size: GIB }));
            let grown = match growth(&Card { sectors, root, others }) {
                Growth::To { size } => Some(size),
                Growth::Nothing(_) => None,
            };
            assert_eq!(grown, expected, "{case}");
        }
    }

    #[test]
    fn it_never_shrinks_and_is_done_when_done() {
        for gib in 1..200_u64 {
            let mut card = Card {
                sectors: gib * GIB + 777,
                root: Partition { number: 2, start: 513 * MIB, size: 200 * MIB },
                others: Vec::new(),
            };
            if let Growth::To { size } = growth(&card) {
                assert!(size > card.root.size && card.root.start + size <= card.sectors);
                card.root.size = size;
            }
            assert!(matches!(growth(&card), Growth::Nothing(_)), "{gib}");
        }
    }
}
