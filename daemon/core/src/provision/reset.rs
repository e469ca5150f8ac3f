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
            Self::Settings => {
                &["var/lib/dockbeacon", "etc/dockbeacon", "etc/NetworkManager/system-connections"]
            }
            Self::Everything => &[
                "var/lib/dockbeacon",
                "etc/dockbeacon",
                "etc/NetworkManager/system-connections",
                "var/lib/docker",
                "var/lib/containerd",
                "srv",
            ],
        }
    }

    /// Whether an account is somebody's: the numbers that Debian gives to people.
    #[must_use]
    pub const fn takes_account(uid: u32) -> bool {
        uid >= 1000 && uid < 60_000
    }

    /// Stable, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Everything => "everything",
        }
    }

    /// For console and page.
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
        let people = [0, 100, 999, 1000, 59_999, 60_000, 65_534].map(Extent::takes_account);
        assert_eq!(people, [false, false, false, true, true, false, false]);
        for extent_ in [Extent::Settings, Extent::Everything] {
            assert_eq!(extent(extent_.flag()), extent_);
        }
    }
}
