//! How the device is claimed: the code, and where it is shown.
//!
//! Owns making the code before the daemon starts, the file on the boot partition and the text above the login prompt. Must never
//! show a code once there is an owner. What it shares with the daemon is described in `owner.rs`.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use dockbeacon_core::provision::claim::{FILE, Offer, owned_banner};
use dockbeacon_core::settings::HttpSettings;
use nix::unistd::chown;

use super::card::{Card, DAEMON_STATE, make_folder};
use super::identity;
use super::report::say;
use crate::http::tls::Identity;
use crate::owner::{self, Owner};
use crate::runner::{Run, installed};
use crate::{config, failpoint};

/// agetty shows what lies here above the login prompt.
const BANNER: &str = "run/issue.d/60-dockbeacon.issue";

/// Whether the device has an owner.
pub fn claimed(card: &Card) -> bool {
    Owner::new(card.path(DAEMON_STATE)).is_claimed()
}

/// Whether the device has, or has had, an owner since it was new, or since a reset that wiped its data too.
pub fn had_owner(card: &Card) -> bool {
    let marks = [owner::CLAIMED, owner::HAD_OWNER].map(|mark| format!("{DAEMON_STATE}/{mark}"));
    marks.iter().any(|mark| card.path(mark).exists()) || card.state(owner::HAD_OWNER).exists()
}

/// Makes what is shown agree with what is so.
pub fn run(card: &Card) -> Result<String> {
    let host_name = identity::name(card).unwrap_or_else(|| "dockbeacon".to_owned());
    let settings = settings(card);
    let port = settings.as_ref().map_or(3625, |http| http.listen.port());
    if claimed(card) {
        if card.boot_is_there() {
            card.remove(&format!("boot/firmware/{FILE}"))?;
        }
        card.write(BANNER, owned_banner(&host_name, port).as_bytes(), 0o644, None)?;
        return Ok("the device has an owner".to_owned());
    }
    let code = match Owner::new(card.path(DAEMON_STATE)).offered() {
        Some(code) => code,
        None => {
            let code = owner::new_code()
                .map_err(|error| anyhow::anyhow!("the kernel gives no random numbers: {error}"))?;
            let state = card.path(DAEMON_STATE);
            let made = !state.exists();
            make_folder(&state)?;
            let daemon = card.daemon_owner();
            if made {
                std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o750))?;
                if let Some((uid, gid)) = daemon {
                    chown(&state, Some(uid), Some(gid)).context("giving the state folder to the daemon")?;
                }
            }
            card.write(
                &format!("{DAEMON_STATE}/{}", owner::CODE),
                format!("{code}\n").as_bytes(),
                0o600,
                daemon,
            )?;
            code
        }
    };
    failpoint::hit("firstboot.claim.code");
    let certificate = settings.map(|http| certificate(card, &http, &host_name)).transpose();
    // Without a fingerprint the page can be claimed all the same, and the daemon says what is wrong with its certificate.
    let fingerprint = certificate.unwrap_or_else(|error| {
        say(&format!("first boot: the certificate: {error:#}"));
        None
    });
    let offer = Offer { host_name, port, code, fingerprint };
    card.write(BANNER, offer.banner().as_bytes(), 0o600, None)?;
    if card.boot_is_there() {
        card.write_boot(FILE, offer.file().as_bytes())?;
    }
    // Without the code: this is shown to all and kept in the journal.
    Ok(format!("the claim code stands above the login prompt and in {FILE} on the boot partition"))
}

/// The same, for a device that runs: login prompts that wait are shown anew.
pub async fn run_and_show(card: &Card) -> Result<String> {
    let said = run(card)?;
    if card.is_live() && installed("agetty") {
        // Without a console there is none to reload.
        let _ = Run::new("agetty", ["--reload"]).run().await;
    }
    Ok(said)
}

/// The settings of the page; the defaults where the file is not valid, which the daemon complains about.
fn settings(card: &Card) -> Option<HttpSettings> {
    let path = card.path("etc/dockbeacon/config.yaml");
    let named = path.exists().then_some(path.as_path());
    config::load(named, []).or_else(|_| config::load(None, [])).ok().map(|loaded| loaded.settings.http)
}

/// The fingerprint of the certificate that the page shows. It is made here at the first time, so that it can be shown before the
/// daemon starts, whose it is.
fn certificate(card: &Card, settings: &HttpSettings, host_name: &str) -> Result<String> {
    let identity = Identity::open(&card.path(DAEMON_STATE), settings, host_name)?;
    let folder = card.path(&format!("{DAEMON_STATE}/tls"));
    if let (Some((uid, gid)), Ok(entries)) = (card.daemon_owner(), std::fs::read_dir(&folder)) {
        let all = entries.flatten().map(|entry| entry.path()).chain([folder]);
        for path in all {
            chown(&path, Some(uid), Some(gid))
                .with_context(|| format!("giving {} to the daemon", path.display()))?;
        }
    }
    Ok(identity.fingerprint)
}
