//! The one table of settings.
//!
//! Owns the name, type, default, meaning and environment names of every key; parser, sample file, documents and tests read
//! them here. Must never hold a value in force.

use super::value::Kind;

/// How the text of a compatible environment variable becomes the key's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Same,
    /// A truth value; true means this text, false means nothing.
    Means(&'static str),
    /// As it is; a text that cannot be read is told and passed over, because others set this variable for other programs.
    Lenient,
}

/// An environment variable of another program that is read as is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compat {
    /// The variable.
    pub name: &'static str,
    /// What its text means.
    pub form: Form,
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Where it stands in the file, `schedule.cron`.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// The default as text; empty means not set.
    pub default: &'static str,
    /// What it means, in a sentence or two.
    pub doc: &'static str,
    /// Compatible environment variables; a later one beats an earlier one.
    pub compat: &'static [Compat],
    /// Whether a change needs a restart of the daemon.
    pub restart: bool,
}

impl Key {
    /// Its own environment variable: `DOCKBEACON_SCHEDULE_CRON` for `schedule.cron`.
    #[must_use]
    pub fn env(&self) -> String {
        format!("{PREFIX}{}", self.name.replace(['.', '-'], "_").to_uppercase())
    }
}

/// What Dockbeacon's own environment variables begin with.
pub const PREFIX: &str = "DOCKBEACON_";

/// Variables with the prefix that are no settings: the command line reads them, and systemd's unit may.
pub const NOT_SETTINGS: [&str; 2] = ["DOCKBEACON_CONFIG", "DOCKBEACON_STATE_DIR"];

const fn same(name: &'static str) -> Compat {
    Compat { name, form: Form::Same }
}

const fn means(name: &'static str, text: &'static str) -> Compat {
    Compat { name, form: Form::Means(text) }
}

macro_rules! keys {
    ($($name:literal $kind:ident $default:literal [$($compat:expr),*] $restart:ident $doc:literal;)*) => {
        &[$(Key {
            name: $name, kind: Kind::$kind, default: $default, doc: $doc, compat: &[$($compat),*],
            restart: $restart,
        }),*]
    };
}

/// Every setting, by section.
pub const KEYS: &[Key] = keys! {
    "engine.host" Socket "unix:///var/run/docker.sock" [same("DOCKER_HOST")] true
        "The engine's socket.";
    "update.mode" Mode "auto" [means("WATCHTOWER_MONITOR_ONLY", "monitor")] false
        "What is done when a newer image is found: auto updates, approve asks first, monitor only tells, off does not look. A container's own label beats it.";
    "update.label-enable" Flag "false" [same("WATCHTOWER_LABEL_ENABLE")] false
        "Opt-in: only containers with an enabling label are looked at.";
    "update.label-take-precedence" Flag "false" [same("WATCHTOWER_LABEL_TAKE_PRECEDENCE")] false
        "A monitor-only or no-pull label also wins where it is the more permissive one.";
    "update.disable-containers" List "" [same("WATCHTOWER_DISABLE_CONTAINERS")] false
        "Names of containers that are left alone.";
    "update.scope" Text "" [same("WATCHTOWER_SCOPE")] false
        "Only containers whose scope label has this value; none means those without one.";
    "update.cleanup" Flag "false" [same("WATCHTOWER_CLEANUP")] false
        "Delete old images after an update, except the generations that are kept.";
    "update.keep-generations" Count "1" [] false
        "How many earlier images are kept per container for going back.";
    "update.settle" Length "10s" [] false
        "How long a new version without a health check must stay up before it counts as good.";
    "update.stop-timeout" Length "10s" [same("WATCHTOWER_TIMEOUT")] false
        "How long a container may take to stop, where it does not say so itself.";
    "update.no-pull" Flag "false" [same("WATCHTOWER_NO_PULL")] false
        "Ask no registry; only images that are already on this machine count.";
    "update.pull-silence" Length "5m" [] false
        "A download without any progress for so long is given up.";
    "schedule.interval" Interval "24h" [same("WATCHTOWER_POLL_INTERVAL")] false
        "How often to look for newer images; never means only when asked.";
    "schedule.cron" Cron "" [same("WATCHTOWER_SCHEDULE")] false
        "When to look for newer images, six fields: second minute hour day month weekday, such as 0 0 3 * * * for every day at three. Wins over the interval.";
    "schedule.time-zone" Zone "UTC" [Compat { name: "TZ", form: Form::Lenient }] false
        "The time zone of the schedule and of times on the page, such as Europe/Berlin.";
    "schedule.check-on-start" Flag "true" [same("WATCHTOWER_UPDATE_ON_START")] false
        "Look once shortly after the start too.";
    "registry.docker-config" Text "" [same("DOCKER_CONFIG")] false
        "The folder of the engine's config.json with the registries' credentials.";
    "registry.user" Text "" [same("REPO_USER")] false
        "User for registries that config.json does not know.";
    "registry.password" Secret "" [same("REPO_PASS")] false
        "That user's password, or the path of a file that holds it.";
    "registry.insecure" List "" [] false
        "Registries spoken to in plain HTTP or without checking their certificate, besides loopback.";
    "registry.ca-file" Text "" [same("WATCHTOWER_REGISTRY_CA_BUNDLE")] false
        "A PEM file with additional certificate authorities.";
    "registry.timeout" Length "20s" [] false
        "Patience for one answer of a registry.";
    "http.enabled" Flag "true" [] true
        "Serve the page and the API.";
    "http.listen" Listen "127.0.0.1:3625" [] true
        "Address and port of the page and the API.";
    "http.allowed-hosts" List "" [] false
        "Host names under which the page may be called, besides the device's own and loopback.";
    "http.token" Secret "" [same("WATCHTOWER_HTTP_API_TOKEN")] false
        "The bearer token of /v1/update, or the path of a file that holds it.";
    "http.update-api" Flag "false" [same("WATCHTOWER_HTTP_API_UPDATE")] false
        "Serve /v1/update, as Watchtower does.";
    "http.plain" Plain "explain" [] false
        "What plain HTTP from other machines gets: explain leads to https, allow serves all but claiming and logging in.";
    "http.tls-certificate" Text "" [] true
        "A PEM file with a certificate of your own, its chain included; without one a self-signed one is made.";
    "http.tls-key" Text "" [] true
        "The PEM file with that certificate's private key.";
    "panel.driver" Driver "auto" [] true
        "What moves the lamps: auto takes the first that works; rppal, gpio or led take that one; virtual only the one on the page.";
    "panel.health" Line "GPIO17" [] true
        "The line of the green lamp, or of the only one: its name, or a chip's label and offset such as pinctrl-bcm2711:17; none where nothing is wired.";
    "panel.update" Line "GPIO27" [] true
        "The line of the lamp for updates; none where there is only one lamp.";
    "panel.fault" Line "GPIO22" [] true
        "The line of the lamp for faults; none where there is only one lamp.";
    "panel.lamps-active-low" Flag "false" [] true
        "The lamps are lit while their lines are low.";
    "panel.button" Line "GPIO26" [] true
        "The line of the button; none where there is no button.";
    "panel.button-active-low" Flag "true" [] true
        "The button is pressed while its line is low, as with a button to ground and a pull-up.";
    "panel.led" Text "ACT" [] true
        "The board's own LED, which speaks the language of a single lamp beside or instead of wired ones; none leaves it alone.";
    "panel.brightness" Percent "100" [] true
        "Brightness in percent, for lamps that know anything between on and off.";
    "panel.lamps" Lamps "on" [] false
        "When the lamps are lit: on, off, or night 22:00-07:00 to keep them dark in those hours.";
    "device.ladder" Flag "false" [] true
        "When the engine stays away: restart its service, then the device, within bounds. The SD card image sets this; a machine with other work should not.";
    "device.engine-patience" Length "5m" [] true
        "How long the engine may be away before its service is restarted, and again before the device is.";
    "device.reboots-per-day" Count "3" [] true
        "How often in 24 hours the device may be restarted; then it stays up in safe mode, with the page reachable.";
    "device.keep-journal" Flag "false" [] true
        "When something goes wrong, the journal of this start is kept in /var/log/dockbeacon. The SD card image sets this: its journal is in memory.";
    "device.min-free" Count "512" [] true
        "Less free space than so many megabytes where the engine or the daemon keeps its data is a fault.";
    "device.max-temperature" Count "80" [] true
        "From so many degrees Celsius on the device is too hot; a Pi slows down at 80.";
    "log.level" Level "info" [same("WATCHTOWER_LOG_LEVEL"), means("WATCHTOWER_DEBUG", "debug"), means("WATCHTOWER_TRACE", "trace")] true
        "What is logged: error, warn, info, debug or trace.";
    "run-once" Flag "false" [same("WATCHTOWER_RUN_ONCE")] true
        "Do one update run, then exit.";
};

/// The setting of that name.
#[must_use]
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// The name that was probably meant, if one is near: spelling, `_` for `-`, or a missing section.
#[must_use]
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let flat = wrong.replace('_', "-").to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let plain = name.replace('_', "-").to_lowercase();
        let last = plain.rsplit('.').next().unwrap_or(&plain);
        let whole = strsim::damerau_levenshtein(&flat, &plain);
        let wrong_last = flat.rsplit('.').next().unwrap_or(&flat);
        // The right name in the wrong section is nearer than anything misspelt.
        let tail = if wrong_last == last { 1 } else { strsim::damerau_levenshtein(&flat, last) + 1 };
        let distance = whole.min(tail);
        if distance <= 1 + flat.len() / 5 && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}
