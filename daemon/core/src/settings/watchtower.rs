//! Watchtower's variables that are not simply a setting of ours.
//!
//! Owns what is said about each of them: Watchtower's own and those of its two living forks. Variables that are honoured as
//! they are stand in the table of settings. Must never stay silent about a variable with Watchtower's prefix.

use super::table::{KEYS, nearest};
use super::value::truth;

/// What Watchtower's variables begin with.
pub const PREFIX: &str = "WATCHTOWER_";

/// Serves `/v1/update`, and turns polling off.
pub const UPDATE_API: &str = "WATCHTOWER_HTTP_API_UPDATE";

/// Keeps polling on beside the update API.
pub const PERIODIC_POLLS: &str = "WATCHTOWER_HTTP_API_PERIODIC_POLLS";

/// What becomes of a variable that is no setting of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Read, and works on other settings.
    Works,
    /// Is so in any case.
    Always,
    /// Will be honoured; this says what happens until then.
    NotYet(&'static str),
    /// Has no meaning here; this says why, and what to use instead.
    Meaningless(&'static str),
}

use Fate::{Always, Meaningless, NotYet, Works};

const NOTIFICATIONS: Fate = NotYet("notifications are not built yet, so nothing is sent");
const HOOKS: Fate = NotYet("lifecycle hooks are not built yet and are not run");
const COOLING: Fate = NotYet("cooling-off times are not built yet, so a new image is taken at once");
const STOPPED: Fate = NotYet("only running containers are updated so far");
const SERVER: Fate = Meaningless("the API has its own settings; see http.* in `dockbeacon config`");
const ENDPOINTS: Fate = Meaningless("the whole API is always there for those who may use it");
const BLUE_GREEN: Fate =
    NotYet("start-first updates are not built yet; the old version stops before the new one starts");
const TLS: Fate = NotYet("engines over TCP and TLS are not built yet; only unix sockets are");
const DEPENDS_ON: Fate = NotYet(
    "depends_on decides the order, but whoever depends on an updated container is not restarted with it",
);
const SELF: Fate = Meaningless("Dockbeacon is not a container and does not update itself this way");

/// Every known variable that is not in the table of settings, with its fate.
pub const OTHERS: &[(&str, Fate)] = &[
    // Watchtower's own.
    (PERIODIC_POLLS, Works),
    ("DOCKER_TLS_VERIFY", TLS),
    ("DOCKER_CERT_PATH", TLS),
    ("DOCKER_API_VERSION", Meaningless("the API version is negotiated with the engine")),
    (
        "WATCHTOWER_NO_RESTART",
        Meaningless(
            "an update here is verified by running it, so there is none without a restart; use WATCHTOWER_MONITOR_ONLY or mode approve",
        ),
    ),
    ("WATCHTOWER_NO_STARTUP_MESSAGE", NOTIFICATIONS),
    (
        "WATCHTOWER_REMOVE_VOLUMES",
        Meaningless("volumes are never removed: anonymous ones are carried over to the new version"),
    ),
    (
        "WATCHTOWER_LOG_FORMAT",
        Meaningless("the log goes to the journal with fields, or to standard error as text"),
    ),
    ("WATCHTOWER_INCLUDE_RESTARTING", STOPPED),
    ("WATCHTOWER_INCLUDE_STOPPED", STOPPED),
    ("WATCHTOWER_REVIVE_STOPPED", STOPPED),
    ("WATCHTOWER_LIFECYCLE_HOOKS", HOOKS),
    ("WATCHTOWER_ROLLING_RESTART", Always),
    ("WATCHTOWER_HTTP_API_METRICS", NotYet("metrics are not built yet")),
    ("WATCHTOWER_PORCELAIN", Meaningless("use --json with `dockbeacon check`, `plan` or `update`")),
    (
        "WATCHTOWER_WARN_ON_HEAD_FAILURE",
        Meaningless("a registry that cannot be asked is always told, as the reason of its containers"),
    ),
    ("WATCHTOWER_NOTIFICATIONS", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATIONS_LEVEL", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATIONS_DELAY", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATIONS_HOSTNAME", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_URL", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_TEMPLATE", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_REPORT", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_TITLE_TAG", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_SKIP_TITLE", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_LOG_STDOUT", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_FROM", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_TO", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_DELAY", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_SERVER", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_SERVER_PORT", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_SERVER_TLS_SKIP_VERIFY", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_SERVER_USER", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_SERVER_PASSWORD", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_EMAIL_SUBJECTTAG", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_SLACK_HOOK_URL", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_SLACK_IDENTIFIER", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_SLACK_CHANNEL", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_SLACK_ICON_EMOJI", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_SLACK_ICON_URL", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_MSTEAMS_HOOK_URL", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_MSTEAMS_USE_LOG_DATA", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_GOTIFY_URL", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_GOTIFY_TOKEN", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_GOTIFY_TLS_SKIP_VERIFY", NOTIFICATIONS),
    // Of the fork by nicholas-fedor.
    ("WATCHTOWER_COOLDOWN_DELAY", COOLING),
    ("WATCHTOWER_COOLDOWN_PLATFORM_OS", COOLING),
    ("WATCHTOWER_COOLDOWN_PLATFORM_ARCH", COOLING),
    ("WATCHTOWER_COOLDOWN_PLATFORM_VARIANT", COOLING),
    ("WATCHTOWER_USE_COMPOSE_DEPENDS_ON", DEPENDS_ON),
    ("WATCHTOWER_EPHEMERAL_SELF_UPDATE", SELF),
    ("WATCHTOWER_SELF_UPDATE_ORCHESTRATOR", SELF),
    ("WATCHTOWER_LIFECYCLE_UID", HOOKS),
    ("WATCHTOWER_LIFECYCLE_GID", HOOKS),
    ("WATCHTOWER_MONITOR_IMAGE_NAMES", NotYet("choosing by image name is not built yet; use labels")),
    (
        "WATCHTOWER_SKIP_IMAGE_NAMES",
        NotYet("choosing by image name is not built yet; use update.disable-containers or labels"),
    ),
    (
        "WATCHTOWER_ENABLE_CONTAINERS_BY_LABEL",
        NotYet("choosing by other labels is not built yet; use the enable label"),
    ),
    (
        "WATCHTOWER_DISABLE_CONTAINERS_BY_LABEL",
        NotYet("choosing by other labels is not built yet; use the enable label"),
    ),
    (
        "WATCHTOWER_REGISTRY_TLS_SKIP",
        Meaningless("certificates are checked unless the registry is named in registry.insecure"),
    ),
    ("WATCHTOWER_REGISTRY_TLS_MIN_VERSION", Meaningless("TLS 1.2 is always the least")),
    (
        "WATCHTOWER_DISABLE_MEMORY_SWAPPINESS",
        Meaningless(
            "a container's definition is carried over as the engine reported it; Podman is not supported",
        ),
    ),
    (
        "WATCHTOWER_CPU_COPY_MODE",
        Meaningless(
            "a container's definition is carried over as the engine reported it; Podman is not supported",
        ),
    ),
    ("WATCHTOWER_NOTIFICATION_TEMPLATE_FILE", NOTIFICATIONS),
    ("WATCHTOWER_NOTIFICATION_SPLIT_BY_CONTAINER", NOTIFICATIONS),
    ("WATCHTOWER_HTTP_API_ENDPOINTS", ENDPOINTS),
    ("WATCHTOWER_HTTP_API_CONTAINERS", ENDPOINTS),
    ("WATCHTOWER_HTTP_API_HOST", Meaningless("http.listen says where the API is served")),
    ("WATCHTOWER_HTTP_API_PORT", Meaningless("http.listen says where the API is served")),
    ("WATCHTOWER_HTTP_API_EVENTS_TOKEN", SERVER),
    ("WATCHTOWER_HTTP_API_RATE_LIMIT", SERVER),
    ("WATCHTOWER_HTTP_API_TLS_CERT", NotYet("TLS is not built yet; put a reverse proxy in front")),
    ("WATCHTOWER_HTTP_API_TLS_KEY", NotYet("TLS is not built yet; put a reverse proxy in front")),
    ("WATCHTOWER_HTTP_API_TRUSTED_PROXIES", SERVER),
    ("WATCHTOWER_HTTP_API_PROXY_HEADER", SERVER),
    ("WATCHTOWER_HTTP_API_CORS_ORIGINS", SERVER),
    ("WATCHTOWER_HTTP_API_CHECK_TIMEOUT", SERVER),
    ("WATCHTOWER_HTTP_API_UPDATE_TIMEOUT", SERVER),
    // Of the fork by openserbia.
    ("WATCHTOWER_HEALTH_CHECK_GATED", Always),
    (
        "WATCHTOWER_HEALTH_CHECK_TIMEOUT",
        Meaningless(
            "a container's own health check says how long it may take; update.settle is for those without one",
        ),
    ),
    ("WATCHTOWER_UPDATE_STRATEGY", BLUE_GREEN),
    ("WATCHTOWER_BLUE_GREEN_DRAIN", BLUE_GREEN),
    ("WATCHTOWER_IMAGE_COOLDOWN", COOLING),
    ("WATCHTOWER_COMPOSE_DEPENDS_ON", DEPENDS_ON),
    ("WATCHTOWER_RERUN_INIT_DEPS", NotYet("one-shot dependencies are not run again yet")),
    (
        "WATCHTOWER_WATCH_DOCKER_EVENTS",
        NotYet("an image that was built again on this machine is found at the next check, not at once"),
    ),
    (
        "WATCHTOWER_PREFLIGHT",
        NotYet(
            "what the engine's socket lets us do is not tried at the start; a refusal is told when it comes",
        ),
    ),
    (
        "WATCHTOWER_AUDIT_UNMANAGED",
        Meaningless("page and `dockbeacon plan` list every container with its reason"),
    ),
    (
        "WATCHTOWER_HTTP_API_AUDIT",
        Meaningless("page and `dockbeacon plan` list every container with its reason"),
    ),
    ("WATCHTOWER_HTTP_API_METRICS_NO_AUTH", NotYet("metrics are not built yet")),
    ("WATCHTOWER_INSECURE_REGISTRY", Meaningless("name the registries in registry.insecure")),
    ("WATCHTOWER_NO_WATCHDOG", Meaningless("the watchdog belongs to the systemd unit")),
];

/// What to say about a variable that is set and not honoured; `None` for those that are, that are not Watchtower's, or that
/// switch something off that is not done anyway.
#[must_use]
pub fn unhonoured(name: &str, text: &str) -> Option<String> {
    if text.trim().is_empty() || honoured().any(|n| n == name) {
        return None;
    }
    if let Some((_, fate)) = OTHERS.iter().find(|(n, _)| *n == name) {
        let off = truth(text) == Some(false);
        return match fate {
            Works => None,
            Always => off.then(|| "not honoured: Dockbeacon always does this".to_owned()),
            NotYet(_) | Meaningless(_) if off => None,
            NotYet(why) => Some(format!("not honoured yet: {why}")),
            Meaningless(why) => Some(format!("not honoured: {why}")),
        };
    }
    let near = name.starts_with(PREFIX).then(|| {
        let known = honoured().chain(OTHERS.iter().map(|(n, _)| *n)).filter(|n| n.starts_with(PREFIX));
        nearest(name, known).map(|n| format!("; did you mean {n}?")).unwrap_or_default()
    })?;
    Some(format!("not honoured: no variable of Watchtower has this name{near}"))
}

/// Variables that are read into a setting.
pub fn honoured() -> impl Iterator<Item = &'static str> {
    KEYS.iter().flat_map(|k| k.compat.iter().map(|c| c.name))
}
