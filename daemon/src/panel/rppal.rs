//! Lamps and button through rppal, which writes the registers of Raspberry Pi OS's `/dev/gpiomem`.
//!
//! Owns the only use of that crate. Its author retired it in 2025, so it stays in this file, behind the trait, and the
//! character device takes over where it fails. Must never take a line that the kernel says somebody has: rppal does not ask.

use std::time::Duration;

use dockbeacon_core::panel::{Lamp, LampSet, Levels, LineName};
use rppal::gpio::{Bias, Gpio, InputPin, Level, OutputPin, Trigger};

use super::button::Edges;
use super::gpio::{LineError, free};
use super::{LampError, Lamps};

const DEBOUNCE: Duration = Duration::from_millis(30);

fn open() -> Result<Gpio, LineError> {
    Gpio::new().map_err(|error| {
        LineError(format!("rppal cannot use this board: {error}; is the user in the group gpio?"))
    })
}

/// The number of a line, if rppal can have it.
fn number(name: &LineName) -> Result<u8, LineError> {
    free(name)?;
    let unknown =
        || LineError(format!("rppal knows lines by their numbers only; {name} has none, GPIO17 has"));
    name.bcm().ok_or_else(unknown)
}

/// Up to three lamps.
pub struct Rppal {
    lamps: Vec<(Lamp, OutputPin)>,
    active_low: bool,
}

impl Rppal {
    /// Takes the lines; all lamps are dark then.
    ///
    /// # Errors
    /// When the board is not a Raspberry Pi that rppal knows, or a line cannot be had.
    pub fn take(lines: &[(Lamp, LineName)], active_low: bool) -> Result<Self, LineError> {
        let gpio = open()?;
        let mut lamps = Vec::new();
        for (lamp, name) in lines {
            let pin = gpio
                .get(number(name)?)
                .map_err(|error| LineError(format!("rppal cannot have the line {name}: {error}")))?;
            lamps.push((*lamp, if active_low { pin.into_output_high() } else { pin.into_output_low() }));
        }
        Ok(Self { lamps, active_low })
    }
}

impl Lamps for Rppal {
    fn driver(&self) -> &'static str {
        "rppal"
    }

    fn set_of_lamps(&self) -> LampSet {
        if self.lamps.len() == Lamp::ALL.len() { LampSet::Three } else { LampSet::One }
    }

    fn fades(&self) -> bool {
        false
    }

    fn show(&mut self, levels: &Levels) -> Result<(), LampError> {
        for (lamp, pin) in &mut self.lamps {
            pin.write(if levels.of(*lamp).lit == self.active_low { Level::Low } else { Level::High });
        }
        Ok(())
    }

    /// Letting a pin go sets its mode back to what it was.
    fn hand_back(&mut self) {
        for (_, pin) in &mut self.lamps {
            pin.write(if self.active_low { Level::High } else { Level::Low });
        }
        self.lamps.clear();
    }
}

/// The button; it is followed for as long as this lives.
pub struct Button(#[expect(dead_code, reason = "held, not read")] InputPin);

/// Follows the button on a line.
///
/// # Errors
/// When the line cannot be had.
pub fn follow(name: &LineName, active_low: bool, edges: Edges) -> Result<Button, LineError> {
    let failed =
        |error: rppal::gpio::Error| LineError(format!("rppal cannot follow the button {name}: {error}"));
    let mut pin = open()?.get(number(name)?).map_err(failed)?.into_input();
    pin.set_bias(if active_low { Bias::PullUp } else { Bias::PullDown });
    edges.first((pin.read() == Level::Low) == active_low);
    pin.set_async_interrupt(Trigger::Both, Some(DEBOUNCE), move |event| {
        edges.changed((event.trigger == Trigger::FallingEdge) == active_low);
    })
    .map_err(failed)?;
    Ok(Button(pin))
}
