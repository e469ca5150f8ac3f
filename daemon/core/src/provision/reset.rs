//! Back to a new card.
//!
//! Owns how a reset is asked for and what it takes away. Must never be read from anything but `dockbeacon-reset` on the boot
//! partition and the flag that the daemon writes for the page.

/// The file on the boot partition.
pub const FILE: &str = "dockbeacon-reset";

/// What is wiped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Owner, settings, accounts and networks; containers, images and their data stay.
    Settings,
    /// Everything but the system itself.
    Everything,
}

/// What a request asks for. An empty file means the settings; data goes only if it is asked for twice: two lines that both
/// say `data`.
#[must_use]
pub fn extent(text: &str) -> Extent {
    let asked = text
        .trim_start_matches('\u{feff}')
        .lines()
        .filter(|line| line.trim().trim_end_matches(['.', '!']).eq_ignore_ascii_case("data"))
        .count();
    if asked >= 2 { Extent::Everything } else { Extent::Settings }
}

impl Extent {
    /// What the flag holds.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Settings => "settings\n",
            Self::Everything => "data\ndata\n",
        }
    }

    /// Folders whose contents go, relative to the root. The folders themselves stay: they may be mount points.
    #[must_use]
    pub const fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Settings => &["var/lib/dockbeacon"],
            Self::Everything => &["var/lib/dockbeacon", "var/lib/docker", "var/lib/containerd", "srv"],
        }
    }

    /// For the console.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Settings => {
                "the owner, settings, accounts and networks are forgotten; services and their data stay"
            }
            Self::Everything => {
                "the owner, settings, accounts, networks, services and all their data are wiped"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_only_if_asked_twice() {
        let table = [
            ("", Extent::Settings),
            ("data\n", Extent::Settings),
            ("data data\n", Extent::Settings),
            ("data\ndata\n", Extent::Everything),
            ("\u{feff}Data\r\nDATA!\r\n", Extent::Everything),
            ("please wipe the data\nand the data\n", Extent::Settings),
        ];
        for (text, expected) in table {
            assert_eq!(extent(text), expected, "{text:?}");
        }
        for extent_ in [Extent::Settings, Extent::Everything] {
            assert_eq!(extent(extent_.flag()), extent_);
        }
    }
}
