//! What only root may do to the machine: switch it off, restart it, restart the engine's service, keep the journal.
//!
//! Owns the four verbs. The daemon has no right to any of them: it leaves a file in its runtime folder, and a unit of root's
//! (`dockbeacon-host.path`) that knows just these names carries it out. Must never run anything else.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The unit's answer may take so long.
const PATIENCE: Duration = Duration::from_secs(15);

/// Something that only root may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `systemctl poweroff`
    PowerOff,
    /// `systemctl reboot`
    Reboot,
    /// `systemctl restart docker.service`
    RestartEngine,
    /// `systemctl start dockbeacon-journal.service`
    KeepJournal,
}

impl Verb {
    const ALL: [Self; 4] = [Self::KeepJournal, Self::PowerOff, Self::Reboot, Self::RestartEngine];

    /// The file that asks for it.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::PowerOff => "host-poweroff",
            Self::Reboot => "host-reboot",
            Self::RestartEngine => "host-restart-engine",
            Self::KeepJournal => "host-keep-journal",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::PowerOff => &["--no-block", "poweroff"],
            Self::Reboot => &["--no-block", "reboot"],
            Self::RestartEngine => &["--no-block", "restart", "docker.service"],
            // Waited for: a restart that follows would take the journal away.
            Self::KeepJournal => &["start", "dockbeacon-journal.service"],
        }
    }
}

/// The folder in which the daemon asks; only systemd's runtime folder will do.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from).filter(|dir| dir.is_absolute())
}

/// Asks for it, and waits until it is being done.
///
/// # Errors
/// In words, when nobody does it.
pub async fn ask(verb: Verb) -> Result<(), String> {
    if nix::unistd::geteuid().is_root() {
        return run(verb).await;
    }
    let Some(folder) = folder() else {
        return Err(format!(
            "only root may `systemctl {}`; run the daemon as the service dockbeacon, whose unit dockbeacon-host.path does it",
            verb.arguments().last().copied().unwrap_or_default()
        ));
    };
    let file = folder.join(verb.file());
    tokio::fs::write(&file, b"").await.map_err(|error| format!("{}: {error}", file.display()))?;
    let gone = async {
        while tokio::fs::try_exists(&file).await.unwrap_or(false) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, gone).await.is_ok() {
        return Ok(());
    }
    // Asked for later, nobody would expect it any more.
    let _ = tokio::fs::remove_file(&file).await;
    Err("nobody carried it out; `systemctl enable --now dockbeacon-host.path` lets root do so".to_owned())
}

/// Has the journal kept. That of the card is in memory: what led to a fault would be gone after the owner's first attempt,
/// which is to pull the plug.
pub async fn keep_journal() {
    if let Err(error) = ask(Verb::KeepJournal).await {
        tracing::warn!(error, "the journal is not kept");
    }
}

/// Carries out what the daemon asked for: run as root by `dockbeacon-host.service`.
///
/// # Errors
/// In words, when something that was asked for could not be done.
pub async fn carry_out(folder: &Path) -> Result<Vec<&'static str>, String> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for verb in Verb::ALL {
        // Before it is done, so that it is not done twice; the name alone counts, nothing is read.
        match tokio::fs::remove_file(folder.join(verb.file())).await {
            Ok(()) => match run(verb).await {
                Ok(()) => done.push(verb.file()),
                Err(why) => failed.push(why),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => failed.push(format!("{}: {error}", folder.join(verb.file()).display())),
        }
    }
    if failed.is_empty() { Ok(done) } else { Err(failed.join("; ")) }
}

async fn run(verb: Verb) -> Result<(), String> {
    let said = tokio::process::Command::new("systemctl")
        .args(verb.arguments())
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .map_err(|error| format!("systemctl cannot be run: {error}"))?;
    if said.status.success() {
        return Ok(());
    }
    let what = verb.arguments().join(" ");
    Err(format!("systemctl {what}: {} {}", said.status, String::from_utf8_lossy(&said.stderr).trim()))
}
