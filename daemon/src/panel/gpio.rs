//! Lamps and button on the kernel's GPIO character device.
//!
//! Owns the lines while it has them. Must never find a chip by its number, nor take a line that somebody else has.

use std::path::PathBuf;
use std::time::Duration;

use dockbeacon_core::panel::drivers::{OVERLAY_BUTTON, OVERLAY_LEDS};
use dockbeacon_core::panel::line::BOARD_CHIPS;
use dockbeacon_core::panel::{Lamp, LampSet, Levels, LineName};
use gpiocdev::Request;
use gpiocdev::chip::Chip;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Offset, Value};

use super::button::Edges;
use super::{LampError, Lamps};

/// The name under which we hold lines, as `gpioinfo` shows it.
const CONSUMER: &str = "dockbeacon";
/// In the kernel, so that a bouncing contact does not wake us.
const DEBOUNCE: Duration = Duration::from_millis(30);
/// The thread of the button looks so often whether it is still needed.
const LOOK: Duration = Duration::from_secs(60);

/// A line cannot be had; in words with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineError(pub String);

/// A line that was found.
struct Found {
    chip: PathBuf,
    label: String,
    offset: Offset,
    /// Who has it.
    owner: Option<String>,
}

fn find(name: &LineName) -> Result<Found, LineError> {
    let chips = gpiocdev::chip::chips()
        .map_err(|error| LineError(format!("the GPIO chips cannot be listed: {error}")))?;
    let mut found: Vec<Found> = Vec::new();
    let (mut refused, mut labels) = (Vec::new(), Vec::new());
    for path in chips {
        let chip = match Chip::from_path(&path) {
            Ok(chip) => chip,
            Err(error) => {
                refused.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let Ok(info) = chip.info() else { continue };
        let line = match name {
            // Some kernels give the header's lines no names; their offsets are the same numbers.
            LineName::Named(text) => chip.find_line_info(text).or_else(|| {
                let number = name.bcm().filter(|_| BOARD_CHIPS.contains(&info.label.as_str()))?;
                chip.line_info(number.into()).ok().filter(|line| line.name.is_empty())
            }),
            LineName::OfChip { label, offset } if *label == info.label => chip.line_info(*offset).ok(),
            LineName::OfChip { .. } => None,
        };
        if let Some(line) = line {
            let owner = line
                .used
                .then(|| if line.consumer.is_empty() { "the kernel".to_owned() } else { line.consumer });
            found.push(Found { chip: path, label: info.label.clone(), offset: line.offset, owner });
        }
        labels.push(format!("{} ({} lines)", info.label, info.num_lines));
    }
    // The names of the header's lines may come twice, on a board with an expander.
    found.sort_by_key(|found| !BOARD_CHIPS.contains(&found.label.as_str()));
    found.into_iter().next().ok_or_else(|| {
        let mut text = format!("there is no line {name}");
        if !labels.is_empty() {
            text = format!("{text} on {}; `gpioinfo` lists the lines", labels.join(", "));
        }
        if !refused.is_empty() {
            text = format!("{text}; not allowed to look at {}: join the group gpio", refused.join(", "));
        }
        LineError(text)
    })
}

/// Says plainly who has a line, and what to do.
fn taken(name: &LineName, owner: &str) -> LineError {
    let overlay = OVERLAY_LEDS.contains(&owner) || owner.starts_with(OVERLAY_BUTTON);
    LineError(if overlay {
        format!(
            "the line {name} belongs to the kernel's {owner} of the device-tree overlay dockbeacon-panel; the overlay and the drivers gpio and rppal exclude each other: set panel.driver to led, or take dtoverlay=dockbeacon-panel out of config.txt"
        )
    } else if owner == CONSUMER {
        format!("the line {name} is held by another dockbeacon; stop that one first")
    } else {
        format!("the line {name} is in use by {owner:?}; free it, or choose another line in the settings")
    })
}

/// Whether a line is free, for drivers that do not ask the kernel.
///
/// # Errors
/// Who has it.
pub fn free(name: &LineName) -> Result<(), LineError> {
    match find(name) {
        Ok(Found { owner: Some(owner), .. }) => Err(taken(name, &owner)),
        // A line that the kernel has no name for cannot be asked about.
        Ok(Found { owner: None, .. }) | Err(_) => Ok(()),
    }
}

fn request(
    name: &LineName,
    set: impl FnOnce(&mut gpiocdev::request::Builder),
) -> Result<(Request, Offset), LineError> {
    let Found { chip, offset, owner, .. } = find(name)?;
    if let Some(owner) = owner {
        return Err(taken(name, &owner));
    }
    let mut builder = Request::builder();
    builder.on_chip(&chip).with_consumer(CONSUMER).with_line(offset);
    set(&mut builder);
    let request = builder.request().map_err(|error| {
        let why = error.to_string();
        LineError(format!("the line {name} ({} line {offset}) cannot be had: {why}", chip.display()))
    })?;
    Ok((request, offset))
}

fn output(name: &LineName, active_low: bool) -> Result<(Request, Offset), LineError> {
    request(name, |builder| {
        builder.as_output(Value::Inactive);
        if active_low {
            builder.as_active_low();
        }
    })
}

/// Up to three lamps on lines of their own.
pub struct Gpio {
    lamps: Vec<(Lamp, LineName, Request, Offset)>,
    set: LampSet,
}

impl Gpio {
    /// Takes the lines; all lamps are dark then.
    ///
    /// # Errors
    /// When one of them cannot be had; those taken before are let go.
    pub fn take(lines: &[(Lamp, LineName)], active_low: bool) -> Result<Self, LineError> {
        let mut lamps = Vec::new();
        for (lamp, name) in lines {
            let (request, offset) = output(name, active_low)?;
            lamps.push((*lamp, name.clone(), request, offset));
        }
        let set = if lamps.len() == Lamp::ALL.len() { LampSet::Three } else { LampSet::One };
        Ok(Self { lamps, set })
    }
}

impl Lamps for Gpio {
    fn driver(&self) -> &'static str {
        "gpio"
    }

    fn set_of_lamps(&self) -> LampSet {
        self.set
    }

    fn fades(&self) -> bool {
        false
    }

    fn show(&mut self, levels: &Levels) -> Result<(), LampError> {
        for (lamp, name, request, offset) in &self.lamps {
            let value = if levels.of(*lamp).lit { Value::Active } else { Value::Inactive };
            request
                .set_value(*offset, value)
                .map_err(|error| LampError { driver: "gpio", why: format!("line {name}: {error}") })?;
        }
        Ok(())
    }

    fn hand_back(&mut self) {
        for (_, name, request, offset) in self.lamps.drain(..) {
            // Some chips keep the last level when a line is let go.
            if let Err(error) = request.set_value(offset, Value::Inactive) {
                tracing::warn!(%error, line = %name, "the lamp could not be put out");
            }
        }
    }
}

/// Puts out a lamp that a dead process may have left lit.
///
/// # Errors
/// When the line cannot be had.
pub fn put_out(name: &LineName, active_low: bool) -> Result<(), LineError> {
    output(name, active_low).map(drop)
}

/// Follows the button on a line.
///
/// # Errors
/// When the line cannot be had.
pub fn follow(name: &LineName, active_low: bool, edges: Edges) -> Result<(), LineError> {
    let (request, _) = request(name, |builder| {
        builder.as_input().with_debounce_period(DEBOUNCE).with_edge_detection(EdgeDetection::BothEdges);
        // Open, the line must read as not pressed.
        builder.with_bias(if active_low { Bias::PullUp } else { Bias::PullDown });
        if active_low {
            builder.as_active_low();
        }
    })?;
    let failed =
        |error: gpiocdev::Error| LineError(format!("the button's line {name} cannot be read: {error}"));
    edges.first(request.lone_value().map_err(failed)? == Value::Active);
    let name = name.clone();
    let follow = move || loop {
        match request.wait_edge_event(LOOK) {
            Ok(false) => {}
            Ok(true) => match request.read_edge_event() {
                Ok(event) => edges.changed(event.kind == EdgeKind::Rising),
                Err(error) => {
                    tracing::error!(%error, line = %name, "the button cannot be read any more");
                    return;
                }
            },
            Err(error) => {
                tracing::error!(%error, line = %name, "the button cannot be read any more");
                return;
            }
        }
        if edges.unheard() {
            return;
        }
    };
    std::thread::Builder::new()
        .name("button".to_owned())
        .spawn(follow)
        .map_err(|error| LineError(format!("no thread for the button: {error}")))?;
    Ok(())
}
