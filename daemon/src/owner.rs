//! The files by which the daemon and first boot's units tell each other about the owner.
//!
//! Owns small files in the state folder: the claim code while there is no owner (first boot makes it before the daemon
//! starts, since root may write the boot partition and the console and the daemon may not), a mark that there is an owner, one
//! that there was, a request for a reset, and what was stopped for switching off, which outlives a reset of the settings. Of the
//! owner the store stays the truth; these follow it. Must never be asked who may log in.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use dockbeacon_core::auth::{code_from, normalise_code};
use dockbeacon_core::provision::reset::{Extent, extent};

/// The claim code, while there is no owner.
pub const CODE: &str = "claim-code";
/// There is an owner.
pub const CLAIMED: &str = "claimed";
/// There is, or was, an owner; stays when the owner is forgotten.
pub const HAD_OWNER: &str = "had-owner";
/// A reset is asked for; carried out at the next start of the device.
pub const RESET: &str = "reset-asked";

/// The containers that were stopped for switching off, as JSON; they are started again.
pub const STOPPED: &str = "stopped-for-shutdown";

/// The length of a code without its dashes.
const LENGTH: usize = 12;

/// The files in one state folder.
#[derive(Debug, Clone)]
pub struct Owner {
    folder: PathBuf,
}

/// A new code of 60 random bits.
///
/// # Errors
/// When the kernel has no random numbers to give.
pub fn new_code() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(code_from(bytes))
}

impl Owner {
    /// Those in `folder`.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Whether the mark says that there is an owner.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.folder.join(CLAIMED).exists()
    }

    /// The code that first boot made; `None` where there is none, or a damaged one.
    #[must_use]
    pub fn offered(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.join(CODE)).ok()?;
        let code = text.trim();
        (normalise_code(code).len() == LENGTH).then(|| code.to_owned())
    }

    /// There is no owner, and this is the code.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn offer(&self, code: &str) -> std::io::Result<()> {
        remove(&self.folder.join(CLAIMED))?;
        if self.offered().as_deref() != Some(code) {
            self.write(CODE, &format!("{code}\n"))?;
        }
        self.sync()
    }

    /// There is an owner.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn claimed(&self) -> std::io::Result<()> {
        for mark in [HAD_OWNER, CLAIMED] {
            if !self.folder.join(mark).exists() {
                self.write(mark, "")?;
            }
        }
        remove(&self.folder.join(CODE))?;
        self.sync()
    }

    /// Asks for a reset, to be carried out at the next start of the device.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn ask_for_reset(&self, extent: Extent) -> std::io::Result<()> {
        self.write(RESET, extent.flag())?;
        self.sync()
    }

    /// The reset that is asked for, if one is.
    #[must_use]
    pub fn asked_reset(&self) -> Option<Extent> {
        fs::read_to_string(self.folder.join(RESET)).ok().map(|text| extent(&text))
    }

    /// Asks for none any more.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn cancel_reset(&self) -> std::io::Result<()> {
        remove(&self.folder.join(RESET))?;
        self.sync()
    }

    /// Remembers which containers are stopped for switching off, before the first one is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_stopped(&self, names: &[&str]) -> std::io::Result<()> {
        self.write(STOPPED, &serde_json::to_string(names)?)?;
        self.sync()
    }

    /// Those that were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stopped(&self) -> std::io::Result<Vec<String>> {
        match fs::read_to_string(self.folder.join(STOPPED)) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// They are up again.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget_stopped(&self) -> std::io::Result<()> {
        remove(&self.folder.join(STOPPED))?;
        self.sync()
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<()> {
        let new = self.folder.join(format!(".{name}.new"));
        remove(&new)?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        crate::lock::give_to_owner(&file, &self.folder)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))
    }

    fn sync(&self) -> std::io::Result<()> {
        fs::File::open(&self.folder)?.sync_all()
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_code_is_there_until_there_is_an_owner() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::new(folder.path().to_owned());
        assert_eq!((owner.offered(), owner.is_claimed()), (None, false));
        owner.offer("K7QF-2M9T-XW3B").unwrap();
        owner.offer("K7QF-2M9T-XW3B").unwrap();
        assert_eq!(owner.offered().as_deref(), Some("K7QF-2M9T-XW3B"));
        owner.claimed().unwrap();
        assert_eq!((owner.offered(), owner.is_claimed()), (None, true));
        assert!(folder.path().join(HAD_OWNER).exists());
        owner.offer(&new_code().unwrap()).unwrap();
        assert!(owner.offered().is_some() && !owner.is_claimed() && folder.path().join(HAD_OWNER).exists());
        assert_eq!(owner.asked_reset(), None);
        for wanted in [Extent::Settings, Extent::Everything] {
            owner.ask_for_reset(wanted).unwrap();
            assert_eq!(owner.asked_reset(), Some(wanted));
        }
        owner.cancel_reset().unwrap();
        owner.cancel_reset().unwrap();
        assert_eq!(owner.asked_reset(), None);
        assert!(owner.stopped().unwrap().is_empty());
        owner.keep_stopped(&["web", "db"]).unwrap();
        assert_eq!(owner.stopped().unwrap(), ["web", "db"]);
        owner.forget_stopped().unwrap();
        assert!(owner.stopped().unwrap().is_empty());
        fs::write(folder.path().join(CODE), "K7Q").unwrap();
        assert_eq!(owner.offered(), None);
    }
}
