//! One owner for the state folder.
//!
//! Owns the folder's creation, the lock on it, and whose its files are. The lock is the kernel's (`flock`), so it ends with
//! the process in every case; the file's content only tells others whom to ask. Must never remove the file, or two
//! processes could each hold a lock on a file of that name.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::clock;

/// The name of the file in the state folder.
pub const FILE_NAME: &str = "lock";
/// Locked for as long as a backup is being made.
const BACKUP: &str = "backup.lock";
/// So long to wait for whoever has the folder for a moment only.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// How often to try meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// The state folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process owns it: ask it over its control socket.
    #[error("{dir}: in use by another Dockbeacon{}; stop it, or wait until it is done", by(*pid))]
    Held {
        /// The state folder.
        dir: PathBuf,
        /// Where its owner listens; absent while it starts, and for a short command.
        control_socket: Option<PathBuf>,
        /// Its owner, where it has said so.
        pid: Option<u32>,
    },
    /// Not ours to use.
    #[error("{path}: no permission; use sudo, or join the group dockbeacon to talk to a running daemon")]
    NoPermission {
        /// The folder or file.
        path: PathBuf,
    },
    /// The file system refuses writing.
    #[error(
        "{path}: the file system is read-only; remount it, check the card, or choose another folder with --state-dir"
    )]
    ReadOnly {
        /// The folder or file.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{path}: is not a folder; choose another one with --state-dir, or move it away")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// No room.
    #[error("{path}: the disk is full; free some space, for example with `docker image prune`")]
    Full {
        /// The folder or file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{path}: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// Tells the daemon that a backup is being made, until what is given back is dropped. Without a state folder there is no daemon
/// to be told, and a backup is worth more than a lamp.
#[must_use]
pub fn back_up(dir: &Path) -> Option<Flock<File>> {
    let path = dir.join(BACKUP);
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(&path);
    let file = made.and_then(|file| give_to_owner(&file, dir).map(|()| file));
    match file {
        // Whoever looks whether one is being made holds it for an instant only.
        Ok(file) => Flock::lock(file, FlockArg::LockShared).ok(),
        Err(error) => {
            tracing::debug!(%error, "{}: the lamps do not show the backup", path.display());
            None
        }
    }
}

/// Whether a backup is being made. Asked by the daemon, which must not make a backup wait.
#[must_use]
pub fn is_backing_up(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join(BACKUP)) else { return false };
    matches!(Flock::lock(file, FlockArg::LockExclusiveNonblock), Err((_, Errno::EWOULDBLOCK)))
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl LockError {
    fn from_io(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        #[allow(clippy::wildcard_enum_match_arm, reason = "not our enum, and it may grow")]
        match source.kind() {
            ErrorKind::PermissionDenied => Self::NoPermission { path },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => Self::NotADirectory { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, source },
        }
    }
}

/// The state folder is ours while this lives.
#[derive(Debug)]
pub struct StateLock {
    file: Flock<File>,
    path: PathBuf,
}

/// Makes the state folder (mode 0700) where there is none, and takes it.
///
/// # Errors
/// [`LockError::Held`] while another process has it; else what is wrong with the folder, and what to do.
pub fn take(dir: &Path) -> Result<StateLock, LockError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| LockError::from_io(dir, e))?;
    let path = dir.join(FILE_NAME);
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(&path);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::PermissionDenied => return Err(look(dir, &path)),
        Err(e) => return Err(LockError::from_io(&path, e)),
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => {
            let mut lock = StateLock { file, path };
            give_to_owner(&lock.file, dir).map_err(|e| LockError::from_io(&lock.path, e))?;
            // Whatever the umask: the group must be able to read whom to ask. The folder's own mode still decides.
            lock.file
                .set_permissions(Permissions::from_mode(0o640))
                .map_err(|e| LockError::from_io(&lock.path, e))?;
            lock.announce(None)?;
            Ok(lock)
        }
        Err((file, Errno::EWOULDBLOCK)) => Err(held(dir, file)),
        Err((_, errno)) => Err(LockError::from_io(&path, errno.into())),
    }
}

/// [`take`], with patience for a short command, and for a daemon that is about to say where it listens.
///
/// # Errors
/// As [`take`].
pub async fn take_within(dir: &Path, patience: Duration) -> Result<StateLock, LockError> {
    let end = clock::now().monotonic + patience;
    loop {
        match take(dir) {
            Err(LockError::Held { control_socket: None, .. }) if clock::now().monotonic < end => {
                tokio::time::sleep(LOOK).await;
            }
            other => return other,
        }
    }
}

/// What root makes in a folder of somebody else's is theirs: a command of root's before the daemon's first start must not lock
/// the daemon out.
///
/// # Errors
/// When the folder cannot be looked at, or the file not be given away.
pub fn give_to_owner(file: &File, dir: &Path) -> std::io::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let (owner, is) = (std::fs::metadata(dir)?, file.metadata()?);
    if (is.uid(), is.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

impl StateLock {
    /// Writes whom others should ask. Without a socket, only the process id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&mut self, control_socket: Option<&Path>) -> Result<(), LockError> {
        let socket = control_socket.map(|s| s.display().to_string()).unwrap_or_default();
        let text = format!("{}\n{socket}\n", std::process::id());
        let file: &mut File = &mut self.file;
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write(file).map_err(|e| LockError::from_io(&self.path, e))
    }
}

/// For those who may read the file but not write it: held, or no permission.
fn look(dir: &Path, path: &Path) -> LockError {
    let denied = LockError::NoPermission { path: path.to_owned() };
    let Ok(file) = File::open(path) else { return denied };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Err((file, Errno::EWOULDBLOCK)) => held(dir, file),
        Ok(_) | Err(_) => denied,
    }
}

/// Reads whom to ask; whatever is not of our form is as good as nothing.
fn held(dir: &Path, mut file: File) -> LockError {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.parse().ok());
    let control_socket = lines.next().filter(|line| line.starts_with('/')).map(PathBuf::from);
    LockError::Held { dir: dir.to_owned(), control_socket, pid }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn the_second_is_told_whom_to_ask_and_gets_its_turn_when_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("a/b");
        let mut first = take(&dir).unwrap();
        let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let Err(LockError::Held { control_socket: None, pid, .. }) = take(&dir) else { panic!("held") };
        assert_eq!(pid, Some(std::process::id()));
        first.announce(Some(Path::new("/run/x/control.sock"))).unwrap();
        let Err(LockError::Held { control_socket, .. }) = take(&dir) else { panic!("held") };
        assert_eq!(control_socket, Some(PathBuf::from("/run/x/control.sock")));
        drop(first);
        let second = take(&dir).unwrap();
        assert_eq!(std::fs::read_to_string(&second.path).unwrap(), format!("{}\n\n", std::process::id()));
    }

    #[test]
    fn what_root_makes_is_the_folders_owners() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(65_534), Some(65_533)).unwrap();
        drop(take(dir.path()).unwrap());
        let made = std::fs::metadata(dir.path().join(FILE_NAME)).unwrap();
        assert_eq!((made.uid(), made.gid()), (65_534, 65_533));
    }

    #[tokio::test]
    async fn a_command_of_a_moment_is_waited_for_and_a_long_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).unwrap();
        let moment = Duration::from_millis(1);
        assert!(matches!(take_within(dir.path(), moment).await, Err(LockError::Held { .. })));
        let (second, ()) = tokio::join!(take_within(dir.path(), PATIENCE), async { drop(first) });
        second.unwrap();
    }

    #[test]
    fn stale_content_is_harmless() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(FILE_NAME),
            "4294967295\n/run/long/gone.sock\nand more, longer than ours\n",
        )
        .unwrap();
        let lock = take(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&lock.path).unwrap(), format!("{}\n\n", std::process::id()));
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(take(&path), Err(LockError::NotADirectory { .. })));
        assert!(matches!(take(&path.join("below")), Err(LockError::NotADirectory { .. })));
    }
}
