//! What the outside may see: the shapes that the API answers with and the page is drawn from.
//!
//! Owns the wire types. Must never hold a secret, nor a decision: every sentence in it comes from the core.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything that the page shows, published as one snapshot whenever any of it changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct View {
    /// The whole device in a few words.
    pub status: Status,
    /// Every container with its state and what comes next for it, ordered by project, then name.
    pub containers: Vec<ContainerView>,
    /// What an update run would do now.
    pub plan: PlanView,
    /// Update runs, the running ones first, then newest first; at most 200.
    pub updates: Vec<UpdateView>,
    /// What happened last, newest first; at most 50.
    pub events: Vec<EventView>,
    /// The front panel.
    pub panel: PanelView,
    /// Power, heat, card and memory of the device.
    #[serde(default)]
    pub device: DeviceView,
    /// The settings in force.
    pub settings: Vec<SettingView>,
}

/// The whole device in a few words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Dockbeacon's version.
    pub version: String,
    /// The device's own name.
    pub host_name: String,
    /// `well`, `waiting`, `working`, `fault`, `starting`.
    pub state: Mood,
    /// The one sentence on top of the page.
    pub sentence: String,
    /// False until the owner has claimed the device.
    pub claimed: bool,
    /// The engine.
    pub engine: EngineView,
    /// Containers that run and are not unhealthy.
    pub well: usize,
    /// Containers that were meant to run and do not, or are unhealthy.
    pub unwell: usize,
    /// How many of those are being brought back without anybody's doing.
    #[serde(default)]
    pub mending: usize,
    /// Containers in all.
    pub total: usize,
    /// Candidates that wait for approval.
    pub waiting: usize,
    /// When images were last asked for.
    pub last_check: Option<DateTime<Utc>>,
    /// When they will be asked for next.
    pub next_check: Option<DateTime<Utc>>,
    /// The schedule in words.
    pub schedule: String,
    /// True while a check is under way.
    pub checking: bool,
    /// Updates are paused until then.
    pub paused_until: Option<DateTime<Utc>>,
    /// False until civil time is confirmed.
    pub time_trusted: bool,
    /// When the daemon started.
    pub started: Option<DateTime<Utc>>,
    /// Things to know that are nobody's fault yet: settings not honoured, leftovers, a full disk.
    pub notices: Vec<String>,
}

/// The four meanings that have a colour, a shape and a word, and one for the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mood {
    /// Nothing to do.
    Well,
    /// Somebody is waited for.
    Waiting,
    /// Something is under way.
    Working,
    /// Something is wrong.
    Fault,
    /// Not known yet.
    #[default]
    Starting,
}

/// The engine as it answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EngineView {
    /// Whether it answers.
    pub up: bool,
    /// Its version.
    pub version: String,
    /// The API version spoken.
    pub api_version: String,
    /// Where it is, `unix:///var/run/docker.sock`.
    pub address: String,
    /// What went wrong and what to do, while it does not answer.
    pub error: Option<String>,
    /// Since when it has been up or down.
    pub since: Option<DateTime<Utc>>,
}

/// A version as people say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// The OCI version label, else the tag, else the short digest.
    pub name: String,
    /// The registry's digest, whole; empty when not known.
    pub digest: String,
    /// When the image was built.
    pub built: Option<DateTime<Utc>>,
}

/// A reason: the same code and sentence everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonView {
    /// Stable, for programs.
    pub code: String,
    /// A sentence, for people.
    pub text: String,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContainerView {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The compose project, empty where there is none.
    pub project: String,
    /// The image as the owner wrote it.
    pub image: String,
    /// What it runs.
    pub version: VersionView,
    /// The engine's word: `running`, `exited` and so on.
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`, or empty without a health check.
    pub health: String,
    /// The engine's words, `Up 3 hours`.
    pub status: String,
    /// `well`, `waiting`, `working`, `fault`.
    pub mood: Mood,
    /// `auto`, `approve`, `monitor`, `off`.
    pub policy: String,
    /// The setting or label that made the policy.
    pub policy_origin: String,
    /// The newer version, where there is one.
    pub candidate: Option<VersionView>,
    /// `none`, `update`, `approve`, `report`: what the next run does with it.
    pub next: String,
    /// Why.
    pub reason: ReasonView,
    /// Host ports that it publishes.
    pub ports: Vec<u16>,
    /// When it was made.
    pub created: Option<DateTime<Utc>>,
    /// The transaction under way for it.
    pub updating: Option<String>,
    /// Whether there is a previous version to go back to, and which.
    pub rollback_to: Option<VersionView>,
}

/// What an update run would do now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// Changes when the plan's substance does; an approval names it.
    pub fingerprint: String,
    /// When it was made.
    pub made: Option<DateTime<Utc>>,
    /// Every container: those that would move first, in the order in which they would.
    pub entries: Vec<PlanEntryView>,
}

/// The plan for one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanEntryView {
    /// The container.
    pub container: String,
    /// The image as the owner wrote it.
    pub image: String,
    /// `update`, `approve`, `report`, `none`.
    pub action: String,
    /// Why, or why not.
    pub reason: ReasonView,
    /// What it runs.
    pub from: VersionView,
    /// What it would run; the same as `from` where nothing moves.
    pub to: Option<VersionView>,
    /// The steps in words, empty where nothing moves.
    pub steps: Vec<String>,
}

/// One update of one container, running or ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateView {
    /// The transaction.
    pub tx: String,
    /// The container.
    pub container: String,
    /// The image as the owner wrote it.
    pub image: String,
    /// From which version.
    pub from: VersionView,
    /// To which.
    pub to: VersionView,
    /// `update` or `rollback`.
    pub kind: String,
    /// The state, `pulling` and so on.
    pub state: String,
    /// `running`, `updated`, `failed`, `rolled-back`, `stood-back`, `lost`.
    pub outcome: String,
    /// The whole story in a sentence, or what is being done.
    pub message: String,
    /// Why it was begun.
    pub cause: String,
    /// When it began.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// The states it went through, with the time of each.
    pub steps: Vec<StepView>,
    /// The last lines of the failed container's log.
    pub log: Vec<String>,
    /// Whether a click can put the previous version back.
    pub can_roll_back: bool,
}

/// One state of an update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// The state.
    pub state: String,
    /// When it was entered.
    pub at: Option<DateTime<Utc>>,
    /// Seconds spent in it; running on for the last one.
    pub seconds: f64,
    /// What was seen.
    pub detail: String,
}

/// One event for the list on the page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Ascending.
    pub id: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// The event's name.
    pub name: String,
    /// `well`, `waiting`, `working`, `fault`.
    pub mood: Mood,
    /// A sentence.
    pub text: String,
    /// The container it is about, or empty.
    pub container: String,
}

/// The front panel: which state it shows and how its lamps move.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PanelView {
    /// The driver that moves real lamps: `rppal`, `gpio`, `led`, `virtual`.
    pub driver: String,
    /// Why that one, and why not those before it.
    #[serde(default)]
    pub why: String,
    /// Where the real button is; empty without one.
    #[serde(default)]
    pub button: String,
    /// What is wrong with lamps or button, and what to do.
    #[serde(default)]
    pub problems: Vec<String>,
    /// The state's name, `all-well` and so on.
    pub state: String,
    /// The state in words.
    pub words: String,
    /// The lamps, as they are on the device.
    pub lamps: Vec<LampView>,
    /// What a press would do now, in words.
    pub press: String,
    /// What a double press would do now, in words.
    pub double_press: String,
    /// When the state began; patterns count from here.
    pub since: Option<DateTime<Utc>>,
}

/// Power, heat, card and memory of the device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceView {
    /// What the board calls itself; empty where it does not.
    pub model: String,
    /// True while everything that can be restarted was, and the engine still does not answer.
    pub safe_mode: bool,
    /// What was looked at.
    pub findings: Vec<FindingView>,
    /// The device can be made new again: it was set up by the image's first boot.
    pub can_reset: bool,
    /// The reset that its next start will carry out: `settings`, `everything`, or empty.
    pub reset_asked: String,
}

/// One thing of the device that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// `power`, `throttling`, `temperature`, `space`, `card`, `wear`, `memory`.
    pub measure: String,
    /// `good`, `note`, `bad`, or `unknown` where the kernel has no such sensor.
    pub verdict: String,
    /// The number with its unit; empty where there is none.
    pub value: String,
    /// A sentence.
    pub text: String,
}

/// One lamp and its rhythm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LampView {
    /// `health`, `update`, `fault`.
    pub name: String,
    /// The rhythm, repeated for ever.
    pub pattern: Vec<BeatView>,
}

/// One part of a rhythm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BeatView {
    /// Brightness at the end of the beat, 0 to 1.
    pub level: f32,
    /// Length in milliseconds.
    pub ms: u32,
    /// True where the level is reached by fading over the beat instead of at its start.
    pub fade: bool,
}

/// One setting in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingView {
    /// The key, `schedule.cron`.
    pub key: String,
    /// The value, secrets hidden.
    pub value: String,
    /// Where it came from: `default`, `config.yaml line 7`, `environment WATCHTOWER_SCHEDULE`.
    pub origin: String,
    /// What it means.
    pub doc: String,
}
