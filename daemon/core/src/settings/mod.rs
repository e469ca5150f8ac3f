//! Settings in three stages: raw, merged with the origin of every value, validated.
//!
//! Owns the one table of keys. Must never read a file or the environment: both are arguments.

pub mod duration;
mod explain;
pub mod flat;
mod merge;
pub mod table;
mod validate;
mod value;
pub mod watchtower;

use std::time::Duration;

use crate::panel::LineName;

pub use explain::{Explained, explain, sample};
pub use merge::{
    Argument, Input, Merged, Notice, Origin, RawEntry, SettingError, SettingErrors, SettingsFile, Slot,
    changed, merge,
};
pub use validate::{Resolved, resolve, validate};
pub use value::{Kind, RawValue, Refused, Value, truth};

/// What the program runs by: every value present and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The engine.
    pub engine: EngineSettings,
    /// What may be done with containers.
    pub update: UpdateSettings,
    /// When to look.
    pub schedule: ScheduleSettings,
    /// How registries are asked.
    pub registry: RegistrySettings,
    /// The page and the API.
    pub http: HttpSettings,
    /// The front panel.
    pub panel: PanelSettings,
    /// The device under it all.
    pub device: DeviceSettings,
    /// What is logged.
    pub log: LogSettings,
    /// Do one update run, then exit; `WATCHTOWER_RUN_ONCE`.
    pub run_once: bool,
}

/// `engine.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// `unix:///var/run/docker.sock`; from `DOCKER_HOST` as everywhere. Only unix sockets so far.
    pub host: String,
}

/// What may be done with a container whose image has a newer digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Update it.
    #[default]
    Auto,
    /// Ask first.
    Approve,
    /// Report only.
    Monitor,
    /// Do not even look.
    Off,
}

impl Mode {
    /// Reads `auto`, `approve`, `monitor`, `off`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "auto" => Some(Self::Auto),
            "approve" => Some(Self::Approve),
            "monitor" => Some(Self::Monitor),
            "off" | "false" | "no" => Some(Self::Off),
            _ => None,
        }
    }

    /// The word that `parse` reads.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Approve => "approve",
            Self::Monitor => "monitor",
            Self::Off => "off",
        }
    }
}

/// `update.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSettings {
    /// For containers without a label of their own.
    pub mode: Mode,
    /// Opt-in: only containers with an enabling label.
    pub label_enable: bool,
    /// A label beats the setting also where it is the more permissive one.
    pub label_take_precedence: bool,
    /// Names that are left alone.
    pub disable_containers: Vec<String>,
    /// Only containers of this scope.
    pub scope: Option<String>,
    /// Delete old images after a commit.
    pub cleanup: bool,
    /// How many earlier images are kept per container for going back.
    pub keep_generations: u32,
    /// Without a health check: how long a successor must stay up.
    pub settle: Duration,
    /// For containers without a stop timeout of their own.
    pub stop_timeout: Duration,
    /// Compare with images on this machine only.
    pub no_pull: bool,
    /// A pull without progress for so long is given up.
    pub pull_silence: Duration,
}

/// `schedule.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSettings {
    /// When to look.
    pub when: crate::window::Schedule,
    /// The time zone of the schedule and of times on the page.
    pub time_zone: chrono_tz::Tz,
    /// Look once shortly after the start too.
    pub check_on_start: bool,
}

/// `registry.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// The folder of the engine's `config.json`; `DOCKER_CONFIG`.
    pub docker_config: Option<String>,
    /// User for registries that `config.json` does not know; `REPO_USER`.
    pub user: Option<String>,
    /// Its password; `REPO_PASS`.
    pub password: Option<Secret>,
    /// Registries spoken to in plain HTTP or without checking the certificate, besides loopback.
    pub insecure: Vec<String>,
    /// A PEM file with additional authorities.
    pub ca_file: Option<String>,
    /// Patience for one answer.
    pub timeout: Duration,
}

/// `http.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// False: no page, no API.
    pub enabled: bool,
    /// `127.0.0.1:3625`.
    pub listen: std::net::SocketAddr,
    /// Host names besides the device's own and loopback.
    pub allowed_hosts: Vec<String>,
    /// The token of `/v1/update`, Watchtower's `WATCHTOWER_HTTP_API_TOKEN`.
    pub token: Option<Secret>,
    /// Whether `/v1/update` is served.
    pub update_api: bool,
    /// What plain HTTP from other machines gets.
    pub plain: crate::auth::Plain,
    /// A PEM file with the own certificate and its chain; `None`: one that we sign ourselves.
    pub tls_certificate: Option<String>,
    /// A PEM file with that certificate's key.
    pub tls_key: Option<String>,
}

/// Which driver moves the lamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PanelDriver {
    /// The first that works.
    #[default]
    Auto,
    /// The registers of Raspberry Pi OS's `/dev/gpiomem`.
    Rppal,
    /// The kernel's GPIO character device.
    Gpio,
    /// The kernel's LEDs.
    Led,
    /// None but the one on the page.
    Virtual,
}

impl PanelDriver {
    /// All of them, as they are tried.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Rppal, Self::Gpio, Self::Led, Self::Virtual];

    /// The word that the setting has.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rppal => "rppal",
            Self::Gpio => "gpio",
            Self::Led => "led",
            Self::Virtual => "virtual",
        }
    }
}

/// `panel.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelSettings {
    /// Which driver moves the lamps.
    pub driver: PanelDriver,
    /// The line of the lamp `health`; without it the panel has no lines of its own.
    pub health: Option<LineName>,
    /// The line of the lamp `update`.
    pub update: Option<LineName>,
    /// The line of the lamp `fault`.
    pub fault: Option<LineName>,
    /// A lamp is lit while its line is low.
    pub lamps_active_low: bool,
    /// The line of the button.
    pub button: Option<LineName>,
    /// The button is pressed while its line is low.
    pub button_active_low: bool,
    /// The board's own LED that speaks the language of one lamp.
    pub led: Option<String>,
    /// In percent, for lamps that know anything between on and off.
    pub brightness: u8,
    /// When the lamps are lit.
    pub lamps: crate::panel::LampHours,
}

/// `device.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSettings {
    /// An engine that stays away is restarted, and in the end the device.
    pub ladder: bool,
    /// How long the engine may be away before that.
    pub engine_patience: Duration,
    /// How often a day the device may be restarted for it.
    pub reboots_per_day: u32,
    /// The journal of a start in which something went wrong is kept on the card.
    pub keep_journal: bool,
    /// Less free space than this is a fault, in megabytes.
    pub min_free: u32,
    /// From this temperature on it is too hot, in degrees Celsius.
    pub max_temperature: u32,
}

/// `log.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub level: String,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; name the reason where you call it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests;
