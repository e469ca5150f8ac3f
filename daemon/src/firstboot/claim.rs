//! How the device is claimed: the code, and where it is shown.
//!
//! Owns making the code before the daemon starts, the file on the boot partition and the text above the login prompt. Must never
//! show a code once there is an owner. What it shares with the daemon is described in `owner.rs`.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use dockbeacon_core::provision::claim::{FILE, Offer, fingerprint, owned_banner};
use sha2::{Digest as _, Sha256};

use super::card::{Card, DAEMON_STATE, make_folder};
use super::identity;
use super::runner::{Run, installed};
use crate::config;
use crate::owner::{self, Owner};

/// agetty shows what lies here above the login prompt.
const BANNER: &str = "run/issue.d/60-dockbeacon.issue";

/// Whether the device has an owner.
pub fn claimed(card: &Card) -> bool {
    Owner::new(card.path(DAEMON_STATE)).is_claimed()
}

/// Makes what is shown agree with what is so.
pub fn run(card: &Card) -> Result<String> {
    let host_name = identity::name(card).unwrap_or_else(|| "dockbeacon".to_owned());
    let port = port(card);
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
                    nix::unistd::chown(&state, Some(uid), Some(gid))
                        .context("giving the state folder to the daemon")?;
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
    let offer = Offer { host_name, port, code, fingerprint: certificate(card) };
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

/// The page's port.
fn port(card: &Card) -> u16 {
    let path = card.path("etc/dockbeacon/config.yaml");
    let named = path.exists().then_some(path.as_path());
    config::load(named, []).map_or(3625, |loaded| loaded.settings.http.listen.port())
}

/// The fingerprint of the certificate that the page shows.
fn certificate(card: &Card) -> Option<String> {
    use base64::Engine as _;
    let pem = card.text(&format!("{DAEMON_STATE}/tls/certificate.pem"))?;
    let body: String = pem
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN CERTIFICATE"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .map(str::trim)
        .collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).ok().filter(|der| !der.is_empty())?;
    Some(fingerprint(&Sha256::digest(der)))
}
