//! The button of our device-tree overlay, which the kernel shows as an input device.
//!
//! Owns the reading of its events. Must never listen to any other keyboard.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockbeacon_core::panel::drivers::OVERLAY_BUTTON;

use super::button::Edges;
use super::gpio::LineError;
use crate::clock;

/// `struct input_event` on machines of 64 bits: two words of time, type, code, value.
const EVENT: usize = 24;
const EV_KEY: u16 = 1;
/// What comes so soon after the opening is how the button was found.
const AT_ONCE: Duration = Duration::from_millis(250);

/// The device file of our button, where the overlay is loaded.
#[must_use]
pub fn find(class: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(class).ok()?;
    entries.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| name.starts_with("event"))?;
        let device = std::fs::read_to_string(entry.path().join("device/name")).ok()?;
        (device.trim() == OVERLAY_BUTTON).then(|| Path::new("/dev/input").join(name))
    })
}

/// What an event says of the button: `None` where it is about something else, or a repetition.
fn pressed(event: &[u8; EVENT]) -> Option<bool> {
    let kind = u16::from_ne_bytes([event[16], event[17]]);
    let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
    match (kind, value) {
        (EV_KEY, 0) => Some(false),
        (EV_KEY, 1) => Some(true),
        _ => None,
    }
}

/// Follows the button. One that is down already is told by the kernel as a press at once after the opening; that is how it
/// was found, and no press.
///
/// # Errors
/// When the device cannot be read.
pub fn follow(path: &Path, edges: Edges) -> Result<(), LineError> {
    let mut file = File::open(path).map_err(|error| {
        LineError(format!(
            "the overlay's button {} cannot be read: {error}; systemd/udev/70-dockbeacon.rules gives it to the group gpio",
            path.display()
        ))
    })?;
    edges.first(false);
    let path = path.to_owned();
    let follow = move || {
        let mut event = [0; EVENT];
        let opened = clock::now().monotonic;
        while !edges.unheard() {
            if let Err(error) = file.read_exact(&mut event) {
                tracing::error!(%error, path = %path.display(), "the button cannot be read any more");
                return;
            }
            match pressed(&event) {
                Some(pressed) if clock::now().monotonic.saturating_sub(opened) < AT_ONCE => {
                    edges.first(pressed)
                }
                Some(pressed) => edges.changed(pressed),
                None => {}
            }
        }
    };
    std::thread::Builder::new()
        .name("button".to_owned())
        .spawn(follow)
        .map_err(|error| LineError(format!("no thread for the button: {error}")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_presses_and_releases_of_a_key_count() {
        let event = |kind: u16, value: i32| {
            let mut bytes = [0; EVENT];
            bytes[16..18].copy_from_slice(&kind.to_ne_bytes());
            bytes[20..].copy_from_slice(&value.to_ne_bytes());
            bytes
        };
        let table = [(1, 1, Some(true)), (1, 0, Some(false)), (1, 2, None), (0, 0, None), (4, 1, None)];
        for (kind, value, expected) in table {
            assert_eq!(pressed(&event(kind, value)), expected, "{kind} {value}");
        }
    }
}
