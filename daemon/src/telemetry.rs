//! Where the log goes, and how much of it.
//!
//! Owns the set-up of tracing and the ids by which other programs find our events in the journal. Must never be given a
//! secret: secrets are of a type that does not print.
//!
//! Under systemd the log goes to the journal with its fields; anywhere else to standard error, with colour and times only
//! on a terminal. An event that others may act on carries a field `message_id` from [`message_id`], which the journal
//! shows as `MESSAGE_ID` (`journalctl MESSAGE_ID=...`).

use std::io::IsTerminal;
use std::os::linux::fs::MetadataExt;
use std::path::Path;

use dockbeacon_core::event::What;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::format::{FormatFields, Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

/// Overrides the level of the settings; a level, or directives as `dockbeacon=debug,hyper=info`.
pub const LEVEL_VARIABLE: &str = "DOCKBEACON_LOG";

const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Ids of events that other programs may act on. They never change.
pub mod message_id {
    use dockbeacon_core::event::What;

    /// The daemon is up.
    pub const STARTED: &str = "659e556d47714f08974221776ede1d12";
    /// An update was verified and committed.
    pub const UPDATED: &str = "4f0ceb847c0c4a7684554c2a6f231d6e";
    /// An update failed; services are as they were.
    pub const UPDATE_FAILED: &str = "3d50fca51dda440584f9f9755665fc87";
    /// An update was rolled back.
    pub const ROLLED_BACK: &str = "2e60a62fd91b4ac9818b1c0e928bbe7a";
    /// An update stood back for somebody else's container.
    pub const STOOD_BACK: &str = "bf49785a1e654c99b325cb5eee6ad8c3";
    /// A service is not as it was.
    pub const SERVICE_LOST: &str = "9b6e6450205c45b48140d5e5a1a948cc";
    /// The engine does not answer.
    pub const ENGINE_DOWN: &str = "57d8203bc1df4853aba4571b5db1a0e5";
    /// The engine answers again.
    pub const ENGINE_UP: &str = "de3f7c7ae0ca4b0b95f8829044105a6d";
    /// A newer image was seen for the first time.
    pub const CANDIDATE_FOUND: &str = "3532719fb0274214a869a3ea77ef72ff";
    /// The device has an owner now.
    pub const CLAIMED: &str = "5ead96052cb9450398c1e14dd8022489";
    /// Automatic updates are paused.
    pub const PAUSED: &str = "42f6788ad4444fddb0e5b7fd7e7702e9";
    /// Automatic updates go on.
    pub const RESUMED: &str = "498283d423cf48c6bf40de1031d7ac53";

    /// Power, heat, card or memory of the device are not as they should be, or are again.
    pub const DEVICE: &str = "abe2d2e075db88f6a8735a5b83a694d4";
    /// The engine stays away, or an unhealthy container does: something was restarted.
    pub const LADDER: &str = "eb48486f937fe02bfb97bf183c46655e";

    /// All of them, with the names that the documentation uses.
    pub const ALL: [(&str, &str); 14] = [
        ("started", STARTED),
        ("updated", UPDATED),
        ("update-failed", UPDATE_FAILED),
        ("rolled-back", ROLLED_BACK),
        ("stood-back", STOOD_BACK),
        ("service-lost", SERVICE_LOST),
        ("engine-down", ENGINE_DOWN),
        ("engine-up", ENGINE_UP),
        ("candidate-found", CANDIDATE_FOUND),
        ("claimed", CLAIMED),
        ("paused", PAUSED),
        ("resumed", RESUMED),
        ("device", DEVICE),
        ("ladder", LADDER),
    ];

    /// The id of an event; `None` for those that nobody else need act on.
    #[must_use]
    pub fn of(what: &What) -> Option<&'static str> {
        match what {
            What::Started { .. } => Some(STARTED),
            What::EngineUp { .. } => Some(ENGINE_UP),
            What::EngineDown { .. } => Some(ENGINE_DOWN),
            What::CandidateFound { .. } => Some(CANDIDATE_FOUND),
            What::UpdateFinished { outcome, .. } => match outcome.as_str() {
                "updated" => Some(UPDATED),
                "unchanged" => None,
                "rolled-back" => Some(ROLLED_BACK),
                "stood-back" => Some(STOOD_BACK),
                "lost" => Some(SERVICE_LOST),
                _ => Some(UPDATE_FAILED),
            },
            What::Claimed => Some(CLAIMED),
            What::Paused { .. } => Some(PAUSED),
            What::Resumed { .. } => Some(RESUMED),
            What::DeviceChanged { .. } => Some(DEVICE),
            What::Ladder { .. } => Some(LADDER),
            What::InventoryChanged
            | What::CheckStarted
            | What::CheckFinished { .. }
            | What::UpdateStarted { .. }
            | What::UpdateStep { .. }
            | What::Approved { .. }
            | What::PanelChanged { .. }
            | What::Gesture { .. }
            | What::FactoryReset { .. }
            | What::LoggedIn { .. } => None,
        }
    }
}

/// The log could not be set up, or its level not be changed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a level.
    #[error(
        "{text:?} is not a log level ({source}); use error, warn, info, debug or trace, or directives as dockbeacon=debug,hyper=info"
    )]
    Level {
        /// What was given.
        text: String,
        /// Why not.
        source: ParseError,
    },
    /// Something else has set up logging in this process.
    #[error("logging is set up already: {0}")]
    Twice(String),
}

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// The journal, with fields.
    Journal,
    /// Standard error.
    StandardError,
}

/// The log, set up.
#[derive(Debug, Clone)]
pub struct Telemetry {
    sink: Sink,
    overridden: bool,
    filter: reload::Handle<Targets, Registry>,
}

impl Telemetry {
    /// Sets up the log of this process, once. `level` is that of the settings (`error` to `trace`); `DOCKBEACON_LOG` wins.
    ///
    /// # Errors
    /// When the level is none, or logging was set up before.
    pub fn init(level: &str) -> Result<Self, TelemetryError> {
        let forced = std::env::var(LEVEL_VARIABLE).ok().filter(|text| !text.trim().is_empty());
        let (filter, handle) = reload::Layer::new(filter(forced.as_deref().unwrap_or(level))?);
        let journal = wants_journal().then(tracing_journald::layer).and_then(Result::ok);
        let sink = if journal.is_some() { Sink::Journal } else { Sink::StandardError };
        let registry = tracing_subscriber::registry().with(filter);
        let done = match journal {
            // Without a prefix, so that `message_id` becomes MESSAGE_ID.
            Some(journal) => registry
                .with(
                    journal
                        .with_field_prefix(None)
                        .with_priority_mappings(priorities())
                        .with_syslog_identifier("dockbeacon".to_owned()),
                )
                .try_init(),
            None => registry.with(standard_error()).try_init(),
        };
        done.map_err(|e| TelemetryError::Twice(e.to_string()))?;
        Ok(Self { sink, overridden: forced.is_some(), filter: handle })
    }

    /// Where the log goes.
    #[must_use]
    pub const fn sink(&self) -> Sink {
        self.sink
    }

    /// Changes the level while running; does nothing while `DOCKBEACON_LOG` is set, which the owner wanted to win.
    ///
    /// # Errors
    /// When the level is none.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let new = filter(level)?;
        if self.overridden {
            return Ok(());
        }
        self.filter.reload(new).map_err(|e| TelemetryError::Twice(e.to_string()))
    }
}

/// Writes an event to the log with its id and fields. `text` is its sentence for people.
pub fn tell(what: &What, text: &str) {
    let (event, id) = (what.name(), message_id::of(what));
    let (container, tx) = match what {
        What::UpdateStarted { tx, container, .. }
        | What::UpdateStep { tx, container, .. }
        | What::UpdateFinished { tx, container, .. } => (Some(container.as_str()), Some(tx.as_str())),
        What::CandidateFound { container, .. } => (Some(container.as_str()), None),
        What::Started { .. }
        | What::EngineUp { .. }
        | What::EngineDown { .. }
        | What::InventoryChanged
        | What::CheckStarted
        | What::CheckFinished { .. }
        | What::Approved { .. }
        | What::Paused { .. }
        | What::Resumed { .. }
        | What::PanelChanged { .. }
        | What::Gesture { .. }
        | What::DeviceChanged { .. }
        | What::Ladder { .. }
        | What::Claimed
        | What::FactoryReset { .. }
        | What::LoggedIn { .. } => (None, None),
    };
    match what {
        What::EngineDown { .. } | What::Ladder { .. } => tracing::warn!(message_id = id, event, "{text}"),
        What::DeviceChanged { verdict, .. } if verdict == "bad" => {
            tracing::warn!(message_id = id, event, "{text}");
        }
        What::UpdateFinished { outcome, .. } if !matches!(outcome.as_str(), "updated" | "unchanged") => {
            tracing::warn!(message_id = id, event, container, tx, "{text}");
        }
        What::InventoryChanged | What::UpdateStep { .. } | What::PanelChanged { .. } => {
            tracing::debug!(message_id = id, event, container, tx, "{text}");
        }
        What::Started { .. }
        | What::EngineUp { .. }
        | What::CheckStarted
        | What::CheckFinished { .. }
        | What::CandidateFound { .. }
        | What::UpdateStarted { .. }
        | What::UpdateFinished { .. }
        | What::Approved { .. }
        | What::Paused { .. }
        | What::Resumed { .. }
        | What::Gesture { .. }
        | What::DeviceChanged { .. }
        | What::Claimed
        | What::FactoryReset { .. }
        | What::LoggedIn { .. } => tracing::info!(message_id = id, event, container, tx, "{text}"),
    }
}

/// One word is our level, and keeps the libraries one step quieter; anything else is directives.
fn filter(text: &str) -> Result<Targets, TelemetryError> {
    let text = text.trim();
    let directives = match text.to_ascii_lowercase().as_str() {
        level @ ("off" | "error" | "warn") => level.to_owned(),
        "info" => "warn,dockbeacon=info,dockbeacon_core=info".to_owned(),
        level @ ("debug" | "trace") => format!("info,dockbeacon={level},dockbeacon_core={level}"),
        // Nothing at all would be taken for everything.
        "" => "=nothing".to_owned(),
        _ if !text.contains('=') && !text.contains(',') => "=".to_owned() + text,
        _ => text.to_owned(),
    };
    directives.parse::<Targets>().map_err(|source| TelemetryError::Level { text: text.to_owned(), source })
}

/// By name: by default the crate moves everything below a warning up by one.
fn priorities() -> PriorityMappings {
    PriorityMappings { info: Priority::Informational, debug: Priority::Debug, ..PriorityMappings::new() }
}

/// True when systemd connected our standard error to the journal and nobody has redirected it since.
fn wants_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    is_stream(&stream, stderr.st_dev(), stderr.st_ino()) && Path::new(JOURNAL_SOCKET).exists()
}

/// `JOURNAL_STREAM` is the device and inode of the connection, `8:12345`.
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(d, i)| d.parse() == Ok(device) && i.parse() == Ok(inode))
}

fn standard_error<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .fmt_fields(Fields);
    // Whoever collects standard error stamps the lines; on a terminal nobody does.
    if terminal { layer.boxed() } else { layer.without_time().boxed() }
}

/// Fields as text, without the ids that only the journal has a use for.
struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        writer: Writer<'w>,
        fields: R,
    ) -> std::fmt::Result {
        let first = std::cell::Cell::new(true);
        debug_fn(
            move |writer: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                if field.name() == "message_id" {
                    return Ok(());
                }
                let space = if first.replace(false) { "" } else { " " };
                match field.name() {
                    "message" => write!(writer, "{space}{value:?}"),
                    name => write!(writer, "{space}{name}={value:?}"),
                }
            },
        )
        .format_fields(writer, fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_of_the_journals_form() {
        let ids: BTreeSet<&str> = message_id::ALL.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), message_id::ALL.len());
        for id in ids {
            assert!(
                id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{id}"
            );
        }
    }

    #[test]
    fn levels_are_understood_and_nonsense_is_refused() {
        for good in
            ["off", "error", "warn", "INFO", "debug", "trace", "dockbeacon=trace,hyper=info", "warn,a=debug"]
        {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["verbose", "", "dockbeacon=loud"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_journal_is_used_only_for_its_own_stream() {
        assert!(is_stream("8:123", 8, 123));
        for other in ["8:124", "9:123", "8", "", "8:123:1", "x:y"] {
            assert!(!is_stream(other, 8, 123), "{other}");
        }
    }
}
