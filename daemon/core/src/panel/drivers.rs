//! Which drivers of the panel are tried, in which order, and why.
//!
//! Owns the order. Must never open anything: what there is to see is an argument.

use crate::settings::PanelDriver;

/// What can be seen of the board without touching a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// `/dev/gpiomem` or `/dev/gpiomem0`: a kernel of Raspberry Pi OS.
    pub gpiomem: bool,
    /// At least one GPIO chip.
    pub chips: bool,
    /// The LEDs that the kernel drives, by name.
    pub leds: Vec<String>,
}

/// A driver to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Raspberry Pi OS's memory of the GPIO registers.
    Rppal,
    /// The kernel's GPIO character device.
    Gpio,
    /// The three LEDs of our device-tree overlay.
    OverlayLeds,
    /// One LED of the board.
    OwnLed,
    /// Only the panel on the page.
    Virtual,
}

impl Way {
    /// As settings, API and log call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rppal => "rppal",
            Self::Gpio => "gpio",
            Self::OverlayLeds | Self::OwnLed => "led",
            Self::Virtual => "virtual",
        }
    }
}

/// What the overlay `dockbeacon-panel` calls its LEDs: health, update, fault.
pub const OVERLAY_LEDS: [&str; 3] =
    ["dockbeacon:green:health", "dockbeacon:amber:update", "dockbeacon:red:fault"];
/// What it calls its button.
pub const OVERLAY_BUTTON: &str = "dockbeacon-button";

/// The drivers in the order in which they are tried, each with its reason. One that was asked for comes first, and those of
/// `auto` after it: a panel that works otherwise is better than none. Never empty; the last one always works.
#[must_use]
pub fn ways(wanted: PanelDriver, led: Option<&str>, seen: &Seen) -> Vec<(Way, String)> {
    let overlay = OVERLAY_LEDS.iter().all(|name| seen.leds.iter().any(|led| led == name));
    let own = led.filter(|name| seen.leds.iter().any(|led| led == name));
    let set = format!("panel.driver is {}", wanted.word());
    let mut ways: Vec<(Way, String)> = Vec::new();
    match wanted {
        PanelDriver::Virtual => return vec![(Way::Virtual, set)],
        PanelDriver::Rppal => ways.push((Way::Rppal, set)),
        PanelDriver::Gpio => ways.push((Way::Gpio, set)),
        PanelDriver::Led => {
            if overlay {
                ways.push((Way::OverlayLeds, format!("{set}, and the overlay dockbeacon-panel is loaded")));
            }
            if let Some(own) = own {
                ways.push((Way::OwnLed, format!("{set}, and the kernel has the LED {own}")));
            }
        }
        PanelDriver::Auto => {}
    }
    let mut rest = Vec::new();
    if overlay {
        let why = "the overlay dockbeacon-panel is loaded, so the lines belong to the kernel's LEDs";
        rest.push((Way::OverlayLeds, why.to_owned()));
    }
    if seen.gpiomem {
        rest.push((Way::Rppal, "/dev/gpiomem is there: a kernel of Raspberry Pi OS".to_owned()));
    }
    if seen.chips {
        let why = if seen.gpiomem {
            "rppal did not work, and the kernel has GPIO chips"
        } else {
            "the kernel has GPIO chips and no /dev/gpiomem"
        };
        rest.push((Way::Gpio, why.to_owned()));
    }
    if let Some(own) = own {
        rest.push((Way::OwnLed, format!("no GPIO lines can be had, and the kernel has the LED {own}")));
    }
    let last = "no lamps that can be driven were found; the panel on the page is there";
    rest.push((Way::Virtual, last.to_owned()));
    rest.retain(|(way, _)| ways.iter().all(|(before, _)| before != way));
    ways.extend(rest);
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_drivers() {
        let leds = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let raspios = Seen { gpiomem: true, chips: true, leds: leds(&["ACT", "PWR"]) };
        let debian = Seen { gpiomem: false, ..raspios.clone() };
        let mut three = OVERLAY_LEDS.to_vec();
        three.push("ACT");
        let overlay = Seen { leds: leds(&three), gpiomem: false, chips: true };
        let bare = Seen::default();
        use PanelDriver as D;
        use Way::{Gpio, OverlayLeds, OwnLed, Rppal, Virtual};
        let table: [(D, &Seen, &[Way]); 11] = [
            (D::Auto, &raspios, &[Rppal, Gpio, OwnLed, Virtual]),
            (D::Auto, &debian, &[Gpio, OwnLed, Virtual]),
            (D::Auto, &overlay, &[OverlayLeds, Gpio, OwnLed, Virtual]),
            (D::Auto, &bare, &[Virtual]),
            (D::Rppal, &debian, &[Rppal, Gpio, OwnLed, Virtual]),
            (D::Gpio, &raspios, &[Gpio, Rppal, OwnLed, Virtual]),
            (D::Gpio, &bare, &[Gpio, Virtual]),
            (D::Led, &debian, &[OwnLed, Gpio, Virtual]),
            (D::Led, &overlay, &[OverlayLeds, OwnLed, Gpio, Virtual]),
            (D::Led, &bare, &[Virtual]),
            (D::Virtual, &overlay, &[Virtual]),
        ];
        for (wanted, seen, expected) in table {
            let got: Vec<Way> = ways(wanted, Some("ACT"), seen).into_iter().map(|(way, _)| way).collect();
            assert_eq!(got, expected, "{wanted:?} {seen:?}");
        }
        let none: Vec<Way> = ways(D::Auto, None, &debian).into_iter().map(|(way, _)| way).collect();
        assert_eq!(none, [Gpio, Virtual], "a LED that is not wanted is left alone");
    }
}
