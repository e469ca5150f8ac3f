//! Answers as people read them on a terminal.
//!
//! Owns columns and words. Must never hold a fact that the JSON form lacks.

use std::fmt::Write as _;

use dockbeacon_core::doctor::{Finding, Verdict};
use serde_json::json;

use super::backup::Made;
use super::pretty;
use crate::config::Loaded;
use crate::view::{ContainerView, PanelView, PlanView, Status};

/// `config`.
pub fn config(loaded: &Loaded, as_json: bool) -> String {
    if as_json {
        let settings: Vec<_> = loaded
            .explained
            .iter()
            .map(|e| json!({ "key": e.key, "value": e.value, "origin": e.origin, "doc": e.doc }))
            .collect();
        let notices: Vec<String> = loaded.notices.iter().map(ToString::to_string).collect();
        return pretty(&json!({ "settings": settings, "notices": notices }));
    }
    let rows: Vec<[&str; 3]> =
        loaded.explained.iter().map(|e| [e.key, e.value.as_str(), e.origin.as_str()]).collect();
    let mut text = table(["SETTING", "VALUE", "FROM"], &rows);
    for notice in &loaded.notices {
        let _ = writeln!(text, "note: {notice}");
    }
    text
}

/// `doctor`.
pub fn doctor(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => "ok",
            Verdict::Unknown => "-",
            Verdict::Warning => "WARNING",
            Verdict::Bad => "BAD",
        };
        let _ = writeln!(text, "{mark:<8} {:<12} {}", finding.topic, finding.what);
        if !finding.remedy.is_empty() {
            let _ = writeln!(text, "{:<21} do: {}", "", finding.remedy);
        }
    }
    text
}

/// `backup`.
pub fn backup(made: &Made) -> String {
    let mut text = format!(
        "{}: {} MB, read once more and found whole; {} and {} in it\n",
        made.file.display(),
        made.bytes.div_ceil(1_000_000),
        count(made.manifest.volumes.len(), "volume"),
        count(made.manifest.apps.len(), "Compose project"),
    );
    for what in &made.manifest.left_out {
        let _ = writeln!(text, "not in it: {what}");
    }
    if made.changed {
        text.push_str(
            "note: files changed while they were read; stop what must not change meanwhile, above all databases, and make it again\n",
        );
    }
    text.push_str("note: it is not encrypted; keep it where nobody else can read it\n");
    text
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `plan`.
pub fn plan(plan: &PlanView) -> String {
    if plan.entries.is_empty() {
        return "no containers: nothing to plan. Start one with `docker run` or `docker compose up -d`.\n"
            .to_owned();
    }
    let versions: Vec<(String, String)> = plan
        .entries
        .iter()
        .map(|e| {
            let to = e.to.as_ref().map(|v| v.name.clone()).unwrap_or_default();
            (e.from.name.clone(), to)
        })
        .collect();
    let rows: Vec<[&str; 5]> = plan
        .entries
        .iter()
        .zip(&versions)
        .map(|(e, (from, to))| [e.container.as_str(), e.action.as_str(), from, to, e.reason.text.as_str()])
        .collect();
    let mut text = table(["CONTAINER", "ACTION", "RUNS", "NEWER", "WHY"], &rows);
    for entry in plan.entries.iter().filter(|e| e.action == "update") {
        let _ = writeln!(text, "\n{}:", entry.container);
        for (number, step) in entry.steps.iter().enumerate() {
            let _ = writeln!(text, "  {}. {step}", number + 1);
        }
    }
    text
}

/// The panel's lines of `status`.
pub fn panel(panel: &PanelView) -> String {
    let mut text = format!("front panel: {}; lamps by {} ({})\n", panel.words, panel.driver, panel.why);
    if !panel.button.is_empty() {
        let _ = writeln!(text, "button: {}", panel.button);
    }
    for problem in &panel.problems {
        let _ = writeln!(text, "note: {problem}");
    }
    text
}

/// `status`.
pub fn status(status: &Status, more: &str, containers: &[ContainerView]) -> String {
    let mut text = format!("{}\n", status.sentence);
    for notice in &status.notices {
        let _ = writeln!(text, "note: {notice}");
    }
    let _ = writeln!(
        text,
        "engine {} (API {}) at {}",
        status.engine.version, status.engine.api_version, status.engine.address
    );
    let checked =
        status.last_check.map_or("never".to_owned(), |t| t.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    let _ = writeln!(text, "last check: {checked}; {}", status.schedule);
    if let Some(until) = status.paused_until {
        let _ = writeln!(text, "automatic updates are paused until {}", until.format("%Y-%m-%d %H:%M UTC"));
    }
    text.push_str(more);
    if containers.is_empty() {
        return text;
    }
    let rows: Vec<[&str; 5]> = containers
        .iter()
        .map(|c| {
            [
                c.name.as_str(),
                c.status.as_str(),
                c.version.name.as_str(),
                c.policy.as_str(),
                c.reason.text.as_str(),
            ]
        })
        .collect();
    let _ = write!(text, "\n{}", table(["CONTAINER", "STATE", "VERSION", "POLICY", "NEXT"], &rows));
    text
}

/// Columns as wide as their longest entry; the last one as long as it likes.
fn table<const N: usize>(head: [&str; N], rows: &[[&str; N]]) -> String {
    let mut widths = head.map(|h| h.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
