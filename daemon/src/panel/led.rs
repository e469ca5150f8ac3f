//! Lamps that the kernel drives: `/sys/class/leds`.
//!
//! Owns a LED while it has it, and the trigger that it had before. Must never hand one back as a heartbeat, which looks
//! like all well.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use dockbeacon_core::panel::drivers::OVERLAY_LEDS;
use dockbeacon_core::panel::line::{current_trigger, trigger_to_hand_back};
use dockbeacon_core::panel::{Lamp, LampSet, Levels};

use super::{LampError, Lamps};

/// Where the kernel shows its LEDs.
pub const CLASS: &str = "/sys/class/leds";

/// The LEDs that there are.
#[must_use]
pub fn names(class: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(class) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

struct Led {
    lamp: Lamp,
    dir: PathBuf,
    /// The trigger before we came.
    had: Option<String>,
    max: u32,
    /// The board's own, not one of the overlay's.
    own: bool,
}

impl Led {
    fn take(class: &Path, name: &str, lamp: Lamp, own: bool) -> Result<Self, String> {
        let dir = class.join(name);
        let had = current_trigger(&read(&dir, "trigger")?).map(str::to_owned);
        let max = read(&dir, "max_brightness")?.trim().parse().unwrap_or(1);
        write(&dir, "trigger", "none")?;
        let led = Self { lamp, dir, had, max, own };
        // What can be written to may still not light: the ACT of an emulated board says EIO.
        if let Err(why) = write(&led.dir, "brightness", "0") {
            led.hand_back()?;
            return Err(why);
        }
        Ok(led)
    }

    fn hand_back(&self) -> Result<(), String> {
        let file = read(&self.dir, "trigger")?;
        let trigger = trigger_to_hand_back(&file, self.had.as_deref(), self.own);
        if trigger == "none" {
            write(&self.dir, "brightness", "0")?;
        }
        write(&self.dir, "trigger", trigger)
    }
}

fn read(dir: &Path, file: &str) -> Result<String, String> {
    let path = dir.join(file);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(dir: &Path, file: &str, text: &str) -> Result<(), String> {
    let path = dir.join(file);
    let write =
        || std::fs::OpenOptions::new().write(true).truncate(true).open(&path)?.write_all(text.as_bytes());
    write().map_err(|error| {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let help = if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) {
            "; systemd/udev/70-dockbeacon.rules gives it to the group gpio, and the unit must leave it writable"
        } else {
            ""
        };
        format!("{}: {error}{help}", path.display())
    })
}

/// LEDs of the kernel: the three of our overlay, or one of the board's.
pub struct Leds {
    leds: Vec<Led>,
    percent: u32,
}

impl Leds {
    /// Takes one LED of the board.
    ///
    /// # Errors
    /// When it is not there or may not be written.
    pub fn own(class: &Path, name: &str, percent: u8) -> Result<Self, String> {
        let led = Led::take(class, name, Lamp::Health, true)?;
        Ok(Self { leds: vec![led], percent: percent.into() })
    }

    /// Takes the three of our overlay.
    ///
    /// # Errors
    /// As [`Leds::own`].
    pub fn of_overlay(class: &Path, percent: u8) -> Result<Self, String> {
        let mut leds = Self { leds: Vec::new(), percent: percent.into() };
        for (lamp, name) in Lamp::ALL.into_iter().zip(OVERLAY_LEDS) {
            match Led::take(class, name, lamp, false) {
                Ok(led) => leds.leds.push(led),
                Err(why) => {
                    leds.hand_back();
                    return Err(why);
                }
            }
        }
        Ok(leds)
    }
}

impl Lamps for Leds {
    fn driver(&self) -> &'static str {
        "led"
    }

    fn set_of_lamps(&self) -> LampSet {
        if self.leds.len() == Lamp::ALL.len() { LampSet::Three } else { LampSet::One }
    }

    /// Most are on or off whatever they say, and a write each 40 ms costs more than the fade is worth.
    fn fades(&self) -> bool {
        false
    }

    fn show(&mut self, levels: &Levels) -> Result<(), LampError> {
        for led in &self.leds {
            let lit = levels.of(led.lamp).lit;
            let level = if lit { (led.max * self.percent / 100).max(1) } else { 0 };
            write(&led.dir, "brightness", &level.to_string())
                .map_err(|why| LampError { driver: "led", why })?;
        }
        Ok(())
    }

    fn hand_back(&mut self) {
        for led in self.leds.drain(..) {
            if let Err(why) = led.hand_back() {
                tracing::warn!(why, "a LED could not be handed back");
            }
        }
    }
}

/// Hands back what a dead process may have left: what the LED had before is not known any more.
///
/// # Errors
/// When the LED may not be written.
pub fn release(class: &Path, name: &str) -> Result<(), String> {
    let own = !OVERLAY_LEDS.contains(&name);
    Led { lamp: Lamp::Health, dir: class.join(name), had: None, max: 1, own }.hand_back()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use dockbeacon_core::panel::{State, levels};
    use std::time::Duration;

    fn led(class: &Path, name: &str, max: u32, trigger: &str) {
        let dir = class.join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("max_brightness"), format!("{max}\n")).unwrap();
        std::fs::write(dir.join("brightness"), "0\n").unwrap();
        std::fs::write(dir.join("trigger"), trigger).unwrap();
    }

    fn now(class: &Path, name: &str) -> (String, String) {
        let text = |file| std::fs::read_to_string(class.join(name).join(file)).unwrap();
        (text("trigger"), text("brightness"))
    }

    #[test]
    fn the_boards_led_speaks_and_is_given_back_to_the_card() {
        let class = tempfile::tempdir().unwrap();
        led(class.path(), "ACT", 255, "none timer [heartbeat] mmc0 \n");
        let mut leds = Leds::own(class.path(), "ACT", 50).unwrap();
        assert_eq!(now(class.path(), "ACT"), ("none".to_owned(), "0".to_owned()));
        leds.show(&levels(State::AllWell, LampSet::One, Duration::ZERO)).unwrap();
        assert_eq!(now(class.path(), "ACT").1, "127");
        // The kernel lists the triggers again whatever was written; the file here does not.
        std::fs::write(class.path().join("ACT/trigger"), "[none] timer heartbeat mmc0\n").unwrap();
        leds.hand_back();
        assert_eq!(now(class.path(), "ACT").0, "mmc0");
        std::fs::write(class.path().join("ACT/trigger"), "[none] timer heartbeat mmc0\n").unwrap();
        release(class.path(), "ACT").unwrap();
        assert_eq!(now(class.path(), "ACT").0, "mmc0");
    }

    #[test]
    fn the_overlays_leds_are_three_lamps_or_none_is_taken() {
        let class = tempfile::tempdir().unwrap();
        for name in OVERLAY_LEDS.iter().take(2) {
            led(class.path(), name, 1, "[none] timer heartbeat mmc0\n");
        }
        assert!(Leds::of_overlay(class.path(), 100).is_err());
        assert_eq!(names(class.path()).len(), 2);
        led(class.path(), OVERLAY_LEDS[2], 1, "[none] timer heartbeat mmc0\n");
        let mut leds = Leds::of_overlay(class.path(), 100).unwrap();
        assert_eq!(leds.set_of_lamps(), LampSet::Three);
        leds.show(&levels(State::Fault, LampSet::Three, Duration::ZERO)).unwrap();
        let lit: Vec<String> = OVERLAY_LEDS.iter().map(|name| now(class.path(), name).1).collect();
        assert_eq!(lit, ["0", "0", "1"]);
    }

    #[test]
    fn a_led_that_is_not_there_is_told_with_its_place() {
        let class = tempfile::tempdir().unwrap();
        let why = Leds::own(class.path(), "ACT", 100).err().unwrap();
        assert!(why.contains("ACT/trigger"), "{why}");
    }
}
