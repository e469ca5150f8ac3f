//! What makes this device another than all that were flashed from the same image.
//!
//! Owns host keys and the first name. The machine id is systemd's: the image ships none, so PID 1 makes one. Must never
//! replace a key or a name that is there.

use std::fs;

use anyhow::Result;
use dockbeacon_core::provision::acts::host_name;

use super::Done;
use super::card::Card;
use super::customise;
use crate::runner::Run;

/// The name until somebody gives another.
const NAME: &str = "dockbeacon";

/// Whether keys or the name are missing.
pub fn faceless(card: &Card) -> bool {
    !keys(card) || name(card).is_none()
}

/// The name in `/etc/hostname`, where it is one.
pub fn name(card: &Card) -> Option<String> {
    let text = card.text("etc/hostname")?;
    let name = text.trim();
    (!name.is_empty() && name != "localhost").then(|| name.to_owned())
}

/// Whether all three kinds of key are there, whole: a power cut leaves an empty file.
fn keys(card: &Card) -> bool {
    ["ed25519", "ecdsa", "rsa"].iter().all(|kind| {
        let size = |end: &str| {
            fs::metadata(card.path(&format!("etc/ssh/ssh_host_{kind}_key{end}"))).map_or(0, |meta| meta.len())
        };
        size("") > 0 && size(".pub") > 0
    })
}

/// Makes what is missing.
pub async fn make(card: &Card) -> Done {
    match work(card).await {
        Ok(()) => Done::well("host keys and name are this device's own"),
        Err(error) => error.into(),
    }
}

async fn work(card: &Card) -> Result<()> {
    if name(card).is_none() {
        for act in host_name(NAME, &card.text("etc/hosts").unwrap_or_default()) {
            customise::act(card, &act).await?;
        }
    }
    if keys(card) {
        return Ok(());
    }
    // Half a pair is no pair, and ssh-keygen leaves what exists.
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = format!("etc/ssh/ssh_host_{kind}_key");
        let whole = |inside: &str| fs::metadata(card.path(inside)).is_ok_and(|meta| meta.len() > 0);
        if !whole(&key) || !whole(&format!("{key}.pub")) {
            card.remove(&key)?;
            card.remove(&format!("{key}.pub"))?;
        }
    }
    super::card::make_folder(&card.path("etc/ssh"))?;
    let root = card.root().display().to_string();
    let arguments =
        if card.is_live() { vec!["-A".to_owned()] } else { vec!["-A".to_owned(), "-f".to_owned(), root] };
    Run::new("ssh-keygen", arguments).run().await?;
    for entry in fs::read_dir(card.path("etc/ssh"))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_")) {
            fs::File::open(&path)?.sync_all()?;
        }
    }
    super::card::sync_folder(&card.path("etc/ssh"))?;
    Ok(())
}
