//! The third stage: from one value per key to the settings that the program runs by.
//!
//! Owns what combinations of values mean, and says which of them contradict each other. Must never read text: types were
//! checked before.

use super::merge::{Input, Merged, Notice, Origin, SettingErrors, merge};
use super::value::Value;
use super::{
    DeviceSettings, EngineSettings, HttpSettings, LogSettings, Mode, PanelDriver, PanelSettings,
    RegistrySettings, ScheduleSettings, Secret, Settings, UpdateSettings, watchtower,
};
use crate::auth::Plain;
use crate::panel::{LampHours, LineName};
use crate::window::Schedule;

/// Settings with everything that there is to say about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What the program runs by.
    pub settings: Settings,
    /// Every value with its origin.
    pub merged: Merged,
    /// What the owner should know.
    pub notices: Vec<Notice>,
}

/// All three stages.
///
/// # Errors
/// Everything that is wrong, with its place and remedy.
pub fn resolve(input: &Input<'_>) -> Result<Resolved, SettingErrors> {
    let merged = merge(input)?;
    let (settings, mut notices) = validate(&merged);
    notices.splice(0..0, merged.notices.iter().cloned());
    Ok(Resolved { settings, merged, notices })
}

macro_rules! pick {
    ($merged:expr, $key:literal, $variant:ident, $otherwise:expr) => {
        match $merged.slots.get($key).map(|s| &s.value) {
            Some(Value::$variant(value)) => value.clone(),
            // The table's types and these fields agree, which a test makes sure of.
            _ => $otherwise,
        }
    };
}

fn text(merged: &Merged, key: &str) -> Option<String> {
    match merged.slots.get(key).map(|s| &s.value) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// A line that is `none` is not wired.
fn line(merged: &Merged, key: &str) -> Option<LineName> {
    match merged.slots.get(key).map(|s| &s.value) {
        Some(Value::Line(line)) => line.clone(),
        _ => None,
    }
}

fn secret(merged: &Merged, key: &str) -> Option<Secret> {
    match merged.slots.get(key).map(|s| &s.value) {
        Some(Value::Secret(secret)) => Some(secret.clone()),
        _ => None,
    }
}

/// Puts the values together and says what contradicts.
#[must_use]
pub fn validate(merged: &Merged) -> (Settings, Vec<Notice>) {
    let mut notices = Vec::new();
    let settings = Settings {
        engine: EngineSettings { host: text(merged, "engine.host").unwrap_or_default() },
        update: UpdateSettings {
            mode: pick!(merged, "update.mode", Mode, Mode::Auto),
            label_enable: pick!(merged, "update.label-enable", Flag, false),
            label_take_precedence: pick!(merged, "update.label-take-precedence", Flag, false),
            disable_containers: pick!(merged, "update.disable-containers", List, Vec::new()),
            scope: text(merged, "update.scope"),
            cleanup: pick!(merged, "update.cleanup", Flag, false),
            keep_generations: pick!(merged, "update.keep-generations", Count, 0),
            settle: pick!(merged, "update.settle", Length, std::time::Duration::ZERO),
            stop_timeout: pick!(merged, "update.stop-timeout", Length, std::time::Duration::ZERO),
            no_pull: pick!(merged, "update.no-pull", Flag, false),
            pull_silence: pick!(merged, "update.pull-silence", Length, std::time::Duration::ZERO),
        },
        schedule: ScheduleSettings {
            when: when(merged, &mut notices),
            time_zone: pick!(merged, "schedule.time-zone", Zone, chrono_tz::Tz::UTC),
            check_on_start: pick!(merged, "schedule.check-on-start", Flag, false),
        },
        registry: RegistrySettings {
            docker_config: text(merged, "registry.docker-config"),
            user: text(merged, "registry.user"),
            password: secret(merged, "registry.password"),
            insecure: pick!(merged, "registry.insecure", List, Vec::new()),
            ca_file: text(merged, "registry.ca-file"),
            timeout: pick!(merged, "registry.timeout", Length, std::time::Duration::ZERO),
        },
        http: HttpSettings {
            enabled: pick!(merged, "http.enabled", Flag, false),
            listen: pick!(merged, "http.listen", Listen, ([127, 0, 0, 1], 3625).into()),
            allowed_hosts: pick!(merged, "http.allowed-hosts", List, Vec::new()),
            token: secret(merged, "http.token"),
            update_api: pick!(merged, "http.update-api", Flag, false),
            plain: pick!(merged, "http.plain", Plain, Plain::Explain),
            tls_certificate: text(merged, "http.tls-certificate"),
            tls_key: text(merged, "http.tls-key"),
        },
        panel: PanelSettings {
            driver: pick!(merged, "panel.driver", Driver, PanelDriver::Auto),
            health: line(merged, "panel.health"),
            update: line(merged, "panel.update"),
            fault: line(merged, "panel.fault"),
            lamps_active_low: pick!(merged, "panel.lamps-active-low", Flag, false),
            button: line(merged, "panel.button"),
            button_active_low: pick!(merged, "panel.button-active-low", Flag, true),
            led: text(merged, "panel.led").filter(|led| led != "none"),
            brightness: u8::try_from(pick!(merged, "panel.brightness", Count, 100)).unwrap_or(100),
            lamps: pick!(merged, "panel.lamps", Lamps, LampHours::On),
        },
        device: DeviceSettings {
            ladder: pick!(merged, "device.ladder", Flag, false),
            engine_patience: pick!(merged, "device.engine-patience", Length, std::time::Duration::MAX),
            reboots_per_day: pick!(merged, "device.reboots-per-day", Count, 0),
            keep_journal: pick!(merged, "device.keep-journal", Flag, false),
            min_free: pick!(merged, "device.min-free", Count, 0),
            max_temperature: pick!(merged, "device.max-temperature", Count, 80),
        },
        log: LogSettings { level: text(merged, "log.level").unwrap_or_default() },
        run_once: pick!(merged, "run-once", Flag, false),
    };
    contradictions(merged, &settings, &mut notices);
    (settings, notices)
}

/// The cron expression wins over the interval.
fn when(merged: &Merged, notices: &mut Vec<Notice>) -> Schedule {
    let interval = pick!(merged, "schedule.interval", Schedule, Schedule::Never);
    let Some(cron) = merged.slots.get("schedule.cron") else { return interval };
    let Value::Schedule(schedule) = &cron.value else { return interval };
    if let Some(slot) = merged.slots.get("schedule.interval")
        && slot.origin != Origin::Default
    {
        notices.push(Notice {
            place: slot.origin.to_string(),
            text: format!("schedule.interval is not used, because schedule.cron is set ({})", cron.origin),
        });
    }
    schedule.clone()
}

fn contradictions(merged: &Merged, settings: &Settings, notices: &mut Vec<Notice>) {
    let origin = |key: &str| merged.slots.get(key).map_or(Origin::Default, |s| s.origin.clone());
    let mut say = |key: &str, text: &str| {
        notices.push(Notice { place: origin(key).to_string(), text: text.to_owned() });
    };
    let panel = &settings.panel;
    let lines = [
        ("panel.health", &panel.health),
        ("panel.update", &panel.update),
        ("panel.fault", &panel.fault),
        ("panel.button", &panel.button),
    ];
    for (at, (key, line)) in lines.iter().enumerate() {
        if let Some(line) = line
            && let Some((other, _)) = lines.iter().take(at).find(|(_, other)| other.as_ref() == Some(line))
        {
            say(key, &format!("{key} is {line}, which {other} has already; a line does one thing"));
        }
    }
    if panel.health.is_none() && (panel.update.is_some() || panel.fault.is_some()) {
        say("panel.health", "panel.health is none, so the lamps have no lines; the first lamp is health");
    }
    let http = &settings.http;
    if http.update_api && http.token.is_none() {
        say(
            "http.update-api",
            "http.token is not set, so /v1/update knows no token of Watchtower's kind; set one",
        );
    }
    if http.tls_certificate.is_some() != http.tls_key.is_some() {
        let (there, missing) = if http.tls_key.is_some() {
            ("http.tls-key", "http.tls-certificate")
        } else {
            ("http.tls-certificate", "http.tls-key")
        };
        say(there, &format!("{there} has no effect without {missing}; set both or neither"));
    }
    if http.update_api && !http.enabled {
        say("http.enabled", "http.update-api has no effect while http.enabled is false");
    }
    if http.token.is_some() && !http.update_api {
        say("http.token", "http.token has no effect while http.update-api is false");
    }
    let by_watchtower = Origin::Env { name: watchtower::UPDATE_API.to_owned() };
    if http.update_api
        && origin("http.update-api") == by_watchtower
        && origin("http.listen") == Origin::Default
    {
        let text =
            format!("/v1/update is served at {}, not at port 8080; http.listen changes that", http.listen);
        say("http.update-api", &text);
    }
    match (&settings.registry.user, &settings.registry.password) {
        (Some(_), None) => say("registry.user", "registry.password is not set, so registry.user is not used"),
        (None, Some(_)) => {
            say("registry.password", "registry.user is not set, so registry.password is not used")
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
}
