//! Every string that the page shows of its own, in one file, so that one reading checks the tone and one file is
//! translated.
//!
//! Owns labels, sentences and the words for codes. Must never decide: what is known as a sentence comes from the core.

/// The product's name.
pub const NAME: &str = "Dockbeacon";
/// First stop of the keyboard.
pub const SKIP: &str = "Skip to the content";
/// The main navigation's name.
pub const PLACES: &str = "Places";
/// Places.
pub const OVERVIEW: &str = "Overview";
/// Places.
pub const CONTAINERS: &str = "Containers";
/// Places.
pub const UPDATES: &str = "Updates";
/// Places.
pub const DEVICE: &str = "Device";
/// Places.
pub const SETTINGS: &str = "Settings";
/// Places.
pub const CLAIM: &str = "Make it yours";
/// Places.
pub const LOGIN: &str = "Log in";
/// Ends the session.
pub const LOGOUT: &str = "Log out";

// Actions: the label, and what it says while it is under way.
/// Look for newer images.
pub const CHECK: &str = "Check now";
/// Under way.
pub const CHECK_BUSY: &str = "Checking…";
/// What it will do.
pub const CHECK_DOES: &str = "asks the registries for newer images and changes nothing.";
/// Approve one.
pub const APPROVE: &str = "Approve";
/// Under way.
pub const APPROVE_BUSY: &str = "Approving…";
/// Update one by hand.
pub const UPDATE: &str = "Update now";
/// Under way.
pub const UPDATE_BUSY: &str = "Updating…";
/// Start the planned run now.
pub const RUN: &str = "Run this plan now";
/// Go back.
pub const ROLLBACK: &str = "Put back";
/// Under way.
pub const ROLLBACK_BUSY: &str = "Putting back…";
/// No automatic updates.
pub const PAUSE: &str = "Pause for 24 hours";
/// Under way.
pub const PAUSE_BUSY: &str = "Pausing…";
/// What it will do.
pub const PAUSE_DOES: &str =
    "nothing is updated by itself meanwhile. Approving and updating by hand still work.";
/// Updates again.
pub const RESUME: &str = "Resume updates";
/// Under way.
pub const RESUME_BUSY: &str = "Resuming…";
/// The virtual button.
pub const PRESS: &str = "Press";
/// Under way.
pub const PRESS_BUSY: &str = "Pressing…";
/// The virtual button twice.
pub const DOUBLE_PRESS: &str = "Double press";
/// Find the device in the cupboard.
pub const IDENTIFY: &str = "Identify";
/// Under way.
pub const IDENTIFY_BUSY: &str = "Flashing…";
/// What it will do.
pub const IDENTIFY_DOES: &str =
    "Flashes all lamps fast for 15 seconds, so that you can tell this device from its neighbours.";
/// Leaves a dialog.
pub const CANCEL: &str = "Leave it as it is";
/// Dismisses a message.
pub const DISMISS: &str = "Dismiss";

// Overview.
/// Before the first answer of the engine.
pub const STARTING: &str = "Dockbeacon is starting and asks the engine for its containers.";
/// No check yet.
pub const NEVER_CHECKED: &str = "No check for newer images yet";
/// A check is under way.
pub const CHECKING: &str = "Looking for newer images now";
/// Only when asked.
pub const NO_NEXT: &str = "no next one is planned";
/// What is wrong.
pub const WRONG: &str = "What is wrong";
/// To know.
pub const NOTICES: &str = "Good to know";
/// Under way.
pub const RUNNING: &str = "Being done now";
/// Approvals.
pub const WAITING: &str = "Waiting for you";
/// No approvals: part of the answer.
pub const WAITING_NONE: &str = "Nothing waits for you.";
/// The panel.
pub const PANEL: &str = "Front panel";
/// What happened.
pub const LATELY: &str = "What happened last";
/// Nothing happened.
pub const LATELY_NONE: &str =
    "Nothing yet. Checks, updates and everything that goes wrong will be listed here, newest first.";
/// Engine out of reach.
pub const ENGINE_DOWN: &str = "The Docker engine does not answer";
/// What still holds then.
pub const ENGINE_DOWN_DOES: &str =
    "Dockbeacon keeps trying and goes on by itself as soon as the engine answers.";
/// Above data of an engine that is silent.
pub const AGED: &str = "The engine does not answer. This is what it said last";
/// The time is unknown.
pub const TIME_UNKNOWN: &str =
    "The time of day is not known yet, so nothing that follows a clock is started. Checks by hand work.";

// Containers.
/// Without a project.
pub const ALONE: &str = "On their own";
/// The filter.
pub const FILTER: &str = "Filter by name, project or image";
/// The filter found nothing.
pub const FILTER_NONE: &str = "No container has that in its name, project, image or reason.";
/// The engine has not answered yet.
pub const CONTAINERS_UNKNOWN: &str = "Nothing is known of the containers yet";
/// When they come.
pub const CONTAINERS_UNKNOWN_HOW: &str = "They appear here as soon as the Docker engine answers.";
/// No containers.
pub const CONTAINERS_NONE: &str = "No containers yet";
/// How to get some.
pub const CONTAINERS_NONE_HOW: &str =
    "Every container on this engine appears here by itself. Start one, for example with";
/// An example to copy.
pub const CONTAINERS_NONE_EXAMPLE: &str = "docker compose up -d";
/// Back to the list.
pub const ALL_CONTAINERS: &str = "All containers";
/// Its updates.
pub const HISTORY: &str = "History";
/// No updates of it.
pub const HISTORY_NONE: &str =
    "Not updated yet. Every update of it will be told here, with how long it took and how to go back.";
/// An update's facts.
pub const DETAILS: &str = "Details";
/// Facts.
pub const FACTS: &str = "What it is";

// Updates.
/// The plan.
pub const PLAN: &str = "The plan";
/// No plan yet.
pub const PLAN_NONE: &str =
    "No plan yet. It appears after the first check: every container, with what would be done and why.";
/// Nothing would move.
pub const PLAN_STILL: &str = "Nothing would move now.";
/// Ended runs.
pub const PAST: &str = "History of updates";
/// None of them.
pub const PAST_NONE: &str = "No updates yet. Each one will be told here: from which version to which, how it ended, and how to go back.";
/// Back to the list.
pub const ALL_UPDATES: &str = "All updates";
/// A plan's entry that the next run takes.
pub const NEXT_RUN: &str = "next run";
/// A plan's entry that is only reported.
pub const WATCHED: &str = "only watched";
/// Neither message nor cause was recorded.
pub const BY_HAND: &str = "Asked for by hand.";
/// The log's end.
pub const LOG: &str = "Last lines of its log";
/// The steps.
pub const STEPS: &str = "Steps";
/// What an update does, once for all plans.
pub const PLAN_HOW: &str = "Each update keeps the old container until the new one is healthy. If it is not, the old one is put back.";

// Device.
/// The engine.
pub const ENGINE: &str = "Engine";
/// The program.
pub const PROGRAM: &str = "This device";
/// Time.
pub const TIME: &str = "Time";
/// Confirmed.
pub const TIME_TRUSTED: &str = "confirmed";
/// Not confirmed.
pub const TIME_NOT_TRUSTED: &str = "not confirmed yet";

// Settings.
/// What this place is.
pub const SETTINGS_LEAD: &str = "What is in force and where it came from. Change the configuration file or the environment, then restart the daemon.";
/// No settings.
pub const SETTINGS_NONE: &str = "The settings appear here as soon as the daemon has read them.";
/// Not from the built-in values.
pub const SET_BY_YOU: &str = "set by you";

// The way to https.

/// Title.
pub const PLAIN: &str = "This way, safely";
/// Why.
pub const PLAIN_WHY: &str = "You came over plain http, where anybody on the way could read along. This device shows itself over https only.";
/// Button.
pub const PLAIN_GO: &str = "Go on over https";
/// What comes next.
pub const PLAIN_WARNING: &str =
    "Your browser will warn you once: the device signs its own certificate, so nobody vouches for it.";
/// How to be sure.
pub const PLAIN_COMPARE: &str = "To be sure, let the browser show the certificate and compare its SHA-256 fingerprint with the one on the device's console, which also stands beside the claim code.";

// Claim and login.
/// Lead.
pub const CLAIM_LEAD: &str = "This device has no owner yet. Show that you can reach it, and it is yours.";
/// Where the code is.
pub const CLAIM_WHERE: &str =
    "It was printed where Dockbeacon started: on the console, or in the system's log.";
/// Where it is when it has scrolled away.
pub const CLAIM_AGAIN: &str = "The code has scrolled away? On the device, as root, this prints a new one:";
/// Label.
pub const CODE: &str = "Claim code";
/// Help.
pub const CODE_HELP: &str = "Letters and digits. Dashes and spaces do not matter.";
/// Label.
pub const NEW_PASSWORD: &str = "New password";
/// Help.
pub const NEW_PASSWORD_HELP: &str =
    "At least 10 characters. A few words that only you would put together are best.";
/// The board itself.
pub const BOARD: &str = "Board";
/// Do it.
pub const CLAIM_PRESS: &str = "Claim with the button";
/// While the press is waited for.
pub const CLAIM_PRESS_BUSY: &str = "Press the button on the device now…";
/// What the button does.
pub const CLAIM_PRESS_HELP: &str = "Then press the button on the device within two minutes: that shows that you are there, and no code is needed.";
/// Between the two ways.
pub const CLAIM_OR: &str = "Or with the claim code:";
/// The button of the form with the code.
pub const CLAIM_DO: &str = "Claim this device";
/// Under way.
pub const CLAIM_BUSY: &str = "Claiming…";
/// Already done.
pub const CLAIMED_LEAD: &str = "This device has an owner already.";
/// How to become it.
pub const CLAIMED_HOW: &str = "Log in with the password. If it is lost, reset it on the device with";
/// The command.
pub const RESET_COMMAND: &str = "dockbeacon reset-password";
/// Heading.
pub const RESET: &str = "Factory reset";
/// Opens the form.
pub const RESET_OPEN: &str = "Make this a new device again";
/// Which.
pub const RESET_WHAT: &str = "What is wiped";
/// The smaller one.
pub const RESET_SETTINGS: &str = "Owner, settings, accounts and networks. Services and their data stay.";
/// The larger one.
pub const RESET_ALL: &str = "All of that, and services with all their data.";
/// Asks for the second time.
pub const RESET_NAME: &str = "For the data, also enter this device's name:";
/// When.
pub const RESET_NOW: &str = "Restart the device now; else its next start does it";
/// Do it.
pub const RESET_DO: &str = "Reset";
/// Under way.
pub const RESET_BUSY: &str = "Asking for the reset…";
/// What the next start will do.
pub const RESET_ASKED: &str = "The next start of this device forgets its owner, settings, accounts and networks. Services and their data stay.";
/// The same, the larger one.
pub const RESET_ASKED_ALL: &str =
    "The next start of this device wipes everything: owner, settings, services and all their data.";
/// Takes it back.
pub const RESET_CANCEL: &str = "Keep everything as it is";
/// Under way.
pub const RESET_CANCEL_BUSY: &str = "Taking it back…";
/// Lead.
pub const LOGIN_LEAD: &str = "Enter the password that was set when the device was claimed.";
/// Label.
pub const PASSWORD: &str = "Password";
/// Under way.
pub const LOGIN_BUSY: &str = "Logging in…";
/// Lost password.
pub const LOST: &str = "Lost the password?";

// Not found.
/// Heading.
pub const LOST_PLACE: &str = "There is nothing here";
/// What to do.
pub const LOST_PLACE_HOW: &str =
    "The container may have been removed or renamed since, or the address has a typing error.";
/// A way out.
pub const TO_OVERVIEW: &str = "To the overview";

/// What the script says; it reads them from one `meta` element, because it must hold no strings of its own.
pub const SCRIPT: &[(&str, &str)] = &[
    ("lost", "Connection lost. What you see is from {time}; trying again by itself."),
    ("failed", "That did not reach the device. Check the connection and try again."),
    ("done", "Done."),
    ("copied", "Copied."),
    ("dismiss", DISMISS),
    ("now", "just now"),
    ("minute", "{n} minute ago"),
    ("minutes", "{n} minutes ago"),
    ("hour", "{n} hour ago"),
    ("hours", "{n} hours ago"),
    ("day", "{n} day ago"),
    ("days", "{n} days ago"),
    ("themeSystem", "Colours: as the system"),
    ("themeLight", "Colours: light"),
    ("themeDark", "Colours: dark"),
    ("found", "{n} of {all} shown"),
];

/// A meaning's word, for those who see neither its colour nor its shape.
#[must_use]
pub const fn mood(mood: crate::view::Mood) -> &'static str {
    use crate::view::Mood;
    match mood {
        Mood::Well => "well",
        Mood::Waiting => "waiting",
        Mood::Working => "working",
        Mood::Fault => "fault",
        Mood::Starting => "starting",
    }
}

/// A policy as people say it; an unknown one as it is.
#[must_use]
pub fn policy(code: &str) -> &str {
    match code {
        "auto" => "Updates by itself",
        "approve" => "Asks first",
        "monitor" => "Only watched",
        "off" => "Left alone",
        other => other,
    }
}

/// A step of an update: while it lasts.
#[must_use]
pub fn step(code: &str) -> String {
    let words = match code.replace('_', "-").as_str() {
        "planned" => "Planned",
        "pulling" => "Pulling the new image",
        "creating" => "Creating the new container",
        "stopping" => "Stopping the old one",
        "parking" => "Setting the old one aside",
        "starting" => "Starting the new one",
        "verifying" => "Checking its health",
        "committing" => "Tidying up",
        "done" => "Done",
        "rolling-back" => "Putting the old one back",
        "rolled-back" => "The old one runs again",
        "stood-back" => "Stood back",
        other => return sentence(other),
    };
    words.to_owned()
}

/// How an update ended, or that it has not.
#[must_use]
pub fn outcome(code: &str, kind: &str) -> &'static str {
    match code.replace('_', "-").as_str() {
        "running" if kind == "rollback" => "Being put back",
        "running" => "Being updated",
        "updated" if kind == "rollback" => "Put back by hand",
        "updated" => "Updated",
        "unchanged" => "Was current already",
        "failed" => "Failed, left as it was",
        "rolled-back" => "Put back",
        "stood-back" => "Stood back",
        "lost" => "Needs your eyes",
        _ => "Ended",
    }
}

/// What a press on `update` or `approve` leads to.
#[must_use]
pub fn update_does(name: &str, from: &str, to: &str) -> String {
    if from.is_empty() || to.is_empty() {
        return format!(
            "{name} gets the newest image. The old container is put back if the new one is not healthy."
        );
    }
    format!("{name} goes from {from} to {to}. {from} is put back if {to} does not become healthy.")
}

/// The question before a rollback.
#[must_use]
pub fn rollback_ask(name: &str, to: &str) -> String {
    if to.is_empty() { format!("Put {name} back?") } else { format!("Put {name} back to {to}?") }
}

/// What a rollback will do.
#[must_use]
pub fn rollback_does(name: &str, from: &str) -> String {
    if from.is_empty() {
        return format!(
            "{name} stops for a moment while the earlier version takes its place. Its data stays as it is."
        );
    }
    format!(
        "{name} stops for a moment while the earlier version takes the place of {from}. Its data stays as it is. You can update again later."
    )
}

/// The question before an update by hand.
#[must_use]
pub fn update_ask(name: &str) -> String {
    format!("Update {name} now?")
}

/// The question before a whole run by hand.
#[must_use]
pub fn run_ask(count: usize) -> String {
    format!("Update {} now?", containers(count))
}

/// `1 container`, `14 containers`.
#[must_use]
pub fn containers(count: usize) -> String {
    if count == 1 { "1 container".to_owned() } else { format!("{count} containers") }
}

/// The summary of those that do not move.
#[must_use]
pub fn stay(count: usize) -> String {
    if count == 1 {
        "1 container stays as it is, and why".to_owned()
    } else {
        format!("{count} containers stay as they are, and why")
    }
}

/// The label of the button for all approvals.
#[must_use]
pub fn approve_all(count: usize) -> String {
    format!("Approve all {count}")
}

/// How many wait, as part of the answer.
#[must_use]
pub fn wait_here(count: usize) -> String {
    if count == 1 { "One update waits for you".to_owned() } else { format!("{count} updates wait for you") }
}

/// How many wait, beside the heading and on the place's badge.
#[must_use]
pub fn waiting(count: usize) -> String {
    format!("{count} waiting for your approval")
}

/// How long something took; whole seconds, two units at most.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let whole = if seconds.is_finite() && seconds > 0.0 { seconds.round() as u64 } else { 0 };
    match whole {
        0 => "under 1 s".to_owned(),
        1..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A reason as a sentence of its own: a capital at the start, a stop at the end.
#[must_use]
pub fn sentence(text: &str) -> String {
    sentence_unless(text, |_| false)
}

/// As `sentence`, but a first word that is somebody's name keeps its case.
#[must_use]
pub fn sentence_unless(text: &str, name: impl Fn(&str) -> bool) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    // A name keeps its case: only a plain lower-case word is raised.
    let word = text.split_whitespace().next().unwrap_or_default();
    let plain = !name(word.trim_end_matches([',', ':', ';']))
        && word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, ',' | ':' | ';' | '\''));
    let mut out = if plain { first.to_uppercase().collect::<String>() } else { first.to_string() };
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '!', '?', '…', ':']) {
        out.push('.');
    }
    out
}
