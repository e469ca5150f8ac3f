//! What may be done with one container: settings and labels together.
//!
//! Owns the names and meanings of labels, Watchtower's and the same under `dockbeacon.`. Must never look at images: whether
//! there is anything to take is decided elsewhere.
//!
//! Precedence. A name in `update.disable-containers` and an `enable=false` label always exclude. Then `dockbeacon.update`
//! decides, over any setting and any other label: it is the owner's explicit word about this one container. Then the
//! monitor-only label and `update.mode`, of which the more careful wins, unless `update.label-take-precedence` lets the label
//! win. `dockbeacon.` labels beat Watchtower's of the same name; a label that cannot be read is told and passed over.

use std::time::Duration;

use crate::model::Container;
use crate::reason::Reason;
use crate::settings::{Mode, UpdateSettings, duration, table};

/// Prefix of our own labels.
pub const OWN: &str = "dockbeacon.";
/// Prefix of Watchtower's labels.
pub const WATCHTOWER: &str = "com.centurylinklabs.watchtower.";

/// Labels with the same name under both prefixes.
const SHARED: [&str; 6] = ["enable", "monitor-only", "no-pull", "scope", "stop-signal", "depends-on"];
/// Labels that only we have.
const OURS: [&str; 4] = ["update", "rollback", "stop-timeout", "settle"];
/// Labels under both prefixes that are not honoured yet, with what happens instead.
const NOT_YET: [(&str, &str); 14] = [
    ("lifecycle.pre-check", "hooks are not run yet"),
    ("lifecycle.post-check", "hooks are not run yet"),
    ("lifecycle.pre-update", "hooks are not run yet"),
    ("lifecycle.post-update", "hooks are not run yet"),
    ("lifecycle.pre-update-timeout", "hooks are not run yet"),
    ("lifecycle.post-update-timeout", "hooks are not run yet"),
    ("lifecycle.uid", "hooks are not run yet"),
    ("lifecycle.gid", "hooks are not run yet"),
    ("cooldown-delay", "a new image is taken at once"),
    ("image-cooldown", "a new image is taken at once"),
    ("update-strategy", "the old version stops before the new one starts"),
    ("blue-green.drain", "the old version stops before the new one starts"),
    ("health-check-timeout", "its own health check says how long it may take"),
    ("update.order", "the old version stops before the new one starts"),
];

/// What may be done with one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What is done when its image has a newer digest.
    pub mode: Mode,
    /// The label or setting that decided the mode: `label dockbeacon.update=approve`, `setting update.mode=auto`.
    pub origin: String,
    /// Why it is left alone altogether; the mode is `Off` then.
    pub excluded: Option<Reason>,
    /// The label or setting that says to compare with images on this machine only.
    pub no_pull: Option<String>,
    /// The signal to stop it with, where a label names one; else the container's own.
    pub stop_signal: Option<String>,
    /// How long it may take to stop, where a label says so; else the container's own, else `update.stop-timeout`.
    pub stop_timeout: Option<Duration>,
    /// False where going back would harm its data.
    pub rollback: bool,
    /// Without a health check: how long a successor must stay up.
    pub settle: Duration,
    /// Names of containers that must be up before it; `None` without such a label. Replaces what links and Compose say.
    pub depends_on: Option<Vec<String>>,
    /// Labels that are not honoured, in sentences.
    pub warnings: Vec<String>,
}

/// Reads one container's labels and keeps the warnings.
struct Reader<'a> {
    container: &'a Container,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// The first of both labels that `read` understands, with its name and text. The other one is then not looked at.
    fn first<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Option<(T, String)> {
        let prefixes: &[&str] = if OURS.contains(&name) { &[OWN] } else { &[OWN, WATCHTOWER] };
        for prefix in prefixes {
            let label = format!("{prefix}{name}");
            let Some(text) = self.container.labels.get(&label) else { continue };
            // As Compose leaves a label whose variable is not set.
            if text.trim().is_empty() {
                continue;
            }
            match read(text.trim()) {
                Some(value) => return Some((value, format!("label {label}={}", text.trim()))),
                None => {
                    self.warnings.push(format!("label {label}={text} is not {expected} and is passed over"))
                }
            }
        }
        None
    }

    fn truth(&mut self, name: &str) -> Option<(bool, String)> {
        self.first(name, "true or false", |text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        })
    }

    /// Says which labels do nothing: known ones that are not built, and near misses of known ones.
    fn others(&mut self) {
        for label in self.container.labels.0.keys() {
            let own = label.strip_prefix(OWN);
            let Some(name) = own.or_else(|| label.strip_prefix(WATCHTOWER)) else { continue };
            if SHARED.contains(&name) || (own.is_some() && OURS.contains(&name)) {
                continue;
            }
            if let Some((_, instead)) = NOT_YET.iter().find(|(n, _)| *n == name) {
                self.warnings.push(format!("label {label} is not honoured yet: {instead}"));
                continue;
            }
            let known = SHARED.iter().chain(OURS.iter().filter(|_| own.is_some())).copied();
            if let Some(near) = table::nearest(name, known) {
                let prefix = if own.is_some() { OWN } else { WATCHTOWER };
                self.warnings.push(format!("label {label} is not known; did you mean {prefix}{near}?"));
            }
        }
    }
}

/// What may be done with this container.
#[must_use]
pub fn policy(settings: &UpdateSettings, container: &Container) -> Policy {
    let mut reader = Reader { container, warnings: Vec::new() };
    let update = reader.first("update", "auto, approve, monitor or off", Mode::parse);
    let enable = reader.truth("enable");
    let (mode, origin) = mode(settings, update.as_ref(), &mut reader);
    let excluded = excluded(settings, update.is_some(), enable.as_ref(), &mut reader);
    let (mode, origin) = match &excluded {
        Some(Reason::Excluded { why }) => (Mode::Off, why.clone()),
        Some(_) | None => (mode, origin),
    };
    let excluded = excluded.or_else(|| (mode == Mode::Off).then(|| Reason::Excluded { why: origin.clone() }));
    let no_pull = match reader.truth("no-pull") {
        Some((true, origin)) => Some(origin),
        Some((false, _)) if settings.label_take_precedence => None,
        Some(_) | None => settings.no_pull.then(|| "setting update.no-pull=true".to_owned()),
    };
    let stop_signal = reader.first("stop-signal", "a signal such as SIGTERM", signal).map(|(s, _)| s);
    let length = "a length of time such as 90s or 5m";
    let stop_timeout = reader.first("stop-timeout", length, duration::parse).map(|(d, _)| d);
    let settle = reader.first("settle", length, duration::parse).map_or(settings.settle, |(d, _)| d);
    let rollback = reader.truth("rollback").is_none_or(|(rollback, _)| rollback);
    let depends_on = reader.first("depends-on", "a list of names", |text| Some(names(text))).map(|(n, _)| n);
    reader.others();
    let warnings = reader.warnings;
    Policy {
        mode,
        origin,
        excluded,
        no_pull,
        stop_signal,
        stop_timeout,
        rollback,
        settle,
        depends_on: depends_on.filter(|names| !names.is_empty()),
        warnings,
    }
}

fn mode(
    settings: &UpdateSettings,
    update: Option<&(Mode, String)>,
    reader: &mut Reader<'_>,
) -> (Mode, String) {
    let monitor = reader.truth("monitor-only");
    let setting = (settings.mode, format!("setting update.mode={}", settings.mode.word()));
    match (update, monitor, settings.mode) {
        (Some((mode, origin)), monitor, _) => {
            if let (Some((true, other)), Mode::Auto | Mode::Approve) = (monitor, mode) {
                reader.warnings.push(format!("{other} is passed over, because {origin} says otherwise"));
            }
            (*mode, origin.clone())
        }
        (None, _, Mode::Off) => setting,
        (None, Some((true, label)), Mode::Auto | Mode::Approve | Mode::Monitor) => (Mode::Monitor, label),
        (None, Some((false, label)), Mode::Monitor) if settings.label_take_precedence => (Mode::Auto, label),
        (None, Some((false, _)) | None, Mode::Auto | Mode::Approve | Mode::Monitor) => setting,
    }
}

/// Why a container is left alone altogether.
fn excluded(
    settings: &UpdateSettings,
    has_update: bool,
    enable: Option<&(bool, String)>,
    reader: &mut Reader<'_>,
) -> Option<Reason> {
    let name = reader.container.name.as_str();
    let why = |why: String| Some(Reason::Excluded { why });
    if settings.disable_containers.iter().any(|n| n.trim_start_matches('/') == name) {
        return why(format!("setting update.disable-containers names {name}"));
    }
    if let Some((false, label)) = enable {
        return why(label.clone());
    }
    // Naming a mode for one container is opting in.
    if settings.label_enable && enable.is_none() && !has_update {
        return why("setting update.label-enable=true, and it has no enabling label".to_owned());
    }
    let wanted = settings.scope.as_deref()?;
    let scope =
        reader.first("scope", "a scope", Some).map(|(s, _)| s).filter(|s| !s.is_empty()).unwrap_or("none");
    if scope == wanted {
        return None;
    }
    why(format!("setting update.scope={wanted}, and its scope is {scope}"))
}

/// `SIGTERM`, `TERM` or a number up to 64, as the engine takes them.
fn signal(text: &str) -> Option<String> {
    let number = text.parse::<u8>().is_ok_and(|n| (1..=64).contains(&n));
    let name = text.len() >= 3
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '-');
    (number || name).then(|| text.to_uppercase())
}

/// Names separated by commas, without leading slashes.
fn names(text: &str) -> Vec<String> {
    text.split(',').map(|n| n.trim().trim_start_matches('/').to_owned()).filter(|n| !n.is_empty()).collect()
}

#[cfg(test)]
mod tests;
