//! Which drivers move the lamps and follow the button.
//!
//! Owns the trying, in the order that the core gives. Must never give up because a driver fails: the next one is tried,
//! and in the end there is the panel on the page.

use std::path::Path;

use dockbeacon_core::panel::drivers::{OVERLAY_LEDS, Seen, Way, ways};
use dockbeacon_core::panel::{Lamp, LineName};
use dockbeacon_core::settings::{PanelDriver, PanelSettings};

use super::button::Edges;
use super::{Lamps, VirtualPanel, evdev, gpio, led};

/// The panel as it was found.
pub struct Chosen {
    /// What moves lamps; the first is the panel, the others repeat it with one lamp.
    pub lamps: Vec<Box<dyn Lamps>>,
    /// The first one's name.
    pub driver: &'static str,
    /// Why it was chosen, and why those before it were not.
    pub why: String,
    /// Where the button is, in words; empty without one.
    pub button: String,
    /// What the owner should know.
    pub problems: Vec<String>,
    /// Held while the button is followed.
    held: Option<super::rppal::Button>,
}

impl Chosen {
    /// Whether a real button is followed.
    #[must_use]
    pub fn has_button(&self) -> bool {
        !self.button.is_empty()
    }

    /// What must live as long as the button is followed.
    pub fn take_button(&mut self) -> Option<super::rppal::Button> {
        self.held.take()
    }
}

fn seen() -> Seen {
    Seen {
        gpiomem: ["/dev/gpiomem", "/dev/gpiomem0"].iter().any(|path| Path::new(path).exists()),
        chips: have_chips(),
        leds: led::names(Path::new(led::CLASS)),
    }
}

fn have_chips() -> bool {
    let Ok(entries) = std::fs::read_dir("/dev") else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("gpiochip"))
}

/// The lamps that have lines: three, or the first alone.
fn lines(settings: &PanelSettings) -> Vec<(Lamp, LineName)> {
    let Some(health) = settings.health.clone() else { return Vec::new() };
    let mut lines = vec![(Lamp::Health, health)];
    if let (Some(update), Some(fault)) = (&settings.update, &settings.fault) {
        lines.extend([(Lamp::Update, update.clone()), (Lamp::Fault, fault.clone())]);
    }
    lines
}

fn take(way: Way, settings: &PanelSettings) -> Result<Box<dyn Lamps>, String> {
    let class = Path::new(led::CLASS);
    let lines = lines(settings);
    let low = settings.lamps_active_low;
    let wired = || {
        if lines.is_empty() { Err("panel.health is none, so no lamp is wired".to_owned()) } else { Ok(()) }
    };
    Ok(match way {
        Way::Rppal => {
            wired()?;
            Box::new(super::rppal::Rppal::take(&lines, low).map_err(|e| e.to_string())?)
        }
        Way::Gpio => {
            wired()?;
            Box::new(gpio::Gpio::take(&lines, low).map_err(|e| e.to_string())?)
        }
        Way::OverlayLeds => Box::new(led::Leds::of_overlay(class, settings.brightness)?),
        Way::OwnLed => {
            let name = settings.led.as_deref().unwrap_or_default();
            Box::new(led::Leds::own(class, name, settings.brightness)?)
        }
        Way::Virtual => Box::new(VirtualPanel::new()),
    })
}

/// Tries the drivers in their order, and follows the button.
#[must_use]
pub fn choose(settings: &PanelSettings, edges: Edges) -> Chosen {
    let seen = seen();
    let mut failed: Vec<String> = Vec::new();
    let mut chosen = Chosen {
        lamps: vec![Box::new(VirtualPanel::new())],
        driver: Way::Virtual.name(),
        why: String::new(),
        button: String::new(),
        problems: Vec::new(),
        held: None,
    };
    let mut taken = Way::Virtual;
    for (way, why) in ways(settings.driver, settings.led.as_deref(), &seen) {
        match take(way, settings) {
            Ok(lamps) => {
                chosen.lamps = vec![lamps];
                chosen.driver = way.name();
                chosen.why = why;
                taken = way;
                break;
            }
            Err(why) => {
                tracing::info!(driver = way.name(), reason = why, "front panel: a driver does not work here");
                failed.push(format!("{}: {why}", way.name()));
            }
        }
    }
    let asked = settings.driver;
    if !matches!(asked, PanelDriver::Auto | PanelDriver::Virtual) && chosen.driver != asked.word() {
        let why = if failed.is_empty() { "there is no such LED".to_owned() } else { failed.join("; ") };
        chosen.problems.push(format!("panel.driver is {}, which does not work here: {why}", asked.word()));
    }
    if !failed.is_empty() {
        chosen.why = format!("{}; {}", chosen.why, failed.join("; "));
    }
    follow_button(taken, settings, edges, &mut chosen);
    mirror(taken, settings, &seen, &mut chosen);
    tracing::info!(driver = chosen.driver, reason = chosen.why, button = chosen.button, "front panel");
    for problem in &chosen.problems {
        tracing::warn!("front panel: {problem}");
    }
    chosen
}

fn follow_button(way: Way, settings: &PanelSettings, edges: Edges, chosen: &mut Chosen) {
    let low = settings.button_active_low;
    let overlay = evdev::find(Path::new("/sys/class/input"));
    if let Some(path) = overlay {
        match evdev::follow(&path, edges) {
            Ok(()) => chosen.button = format!("the overlay's input device {}", path.display()),
            Err(error) => chosen.problems.push(error.to_string()),
        }
        return;
    }
    let Some(line) = &settings.button else { return };
    match way {
        Way::Rppal => match super::rppal::follow(line, low, edges) {
            Ok(button) => {
                chosen.held = Some(button);
                chosen.button = format!("{line}, by rppal");
            }
            Err(error) => chosen.problems.push(error.to_string()),
        },
        // Also where the lamps are LEDs of the kernel: the button has a line of its own.
        Way::Gpio | Way::OverlayLeds | Way::OwnLed => match gpio::follow(line, low, edges) {
            Ok(()) => chosen.button = format!("{line}, by the character device"),
            Err(error) => chosen.problems.push(error.to_string()),
        },
        Way::Virtual => {}
    }
}

/// A bare board with nothing wired to it cannot be told from one with lamps, so its own LED speaks in any case.
fn mirror(way: Way, settings: &PanelSettings, seen: &Seen, chosen: &mut Chosen) {
    let wanted = matches!(way, Way::Rppal | Way::Gpio | Way::OverlayLeds);
    let Some(name) = settings.led.as_deref().filter(|name| wanted && seen.leds.iter().any(|led| led == name))
    else {
        return;
    };
    match led::Leds::own(Path::new(led::CLASS), name, settings.brightness) {
        Ok(leds) => {
            chosen.lamps.push(Box::new(leds));
            chosen.why = format!("{}; the board's LED {name} says the same with one lamp", chosen.why);
        }
        Err(why) => chosen.problems.push(format!("the board's LED {name} cannot be used: {why}")),
    }
}

/// Hands back everything that a dead daemon may have left lit: for the unit's stop action. Says what it did.
#[must_use]
pub fn release(settings: &PanelSettings) -> Vec<String> {
    let mut said = Vec::new();
    if settings.driver == PanelDriver::Virtual {
        return said;
    }
    let class = Path::new(led::CLASS);
    let there = led::names(class);
    let own = settings.led.as_deref().filter(|own| there.iter().any(|led| led == own));
    for name in
        own.into_iter().chain(OVERLAY_LEDS.into_iter().filter(|name| there.iter().any(|led| led == name)))
    {
        match led::release(class, name) {
            Ok(()) => said.push(format!("LED {name}: handed back")),
            Err(why) => said.push(format!("LED {name}: {why}")),
        }
    }
    // Lines that belong to the overlay's LEDs are handed back with them.
    let overlay = OVERLAY_LEDS.iter().all(|name| there.iter().any(|led| led == name));
    if have_chips() && !overlay && settings.driver != PanelDriver::Led {
        for (_, line) in lines(settings) {
            match gpio::put_out(&line, settings.lamps_active_low) {
                Ok(()) => said.push(format!("line {line}: put out")),
                Err(error) => said.push(error.to_string()),
            }
        }
    }
    said
}
