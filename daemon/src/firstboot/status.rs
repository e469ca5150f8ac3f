//! How first boot goes, for the daemon.
//!
//! Owns reading the reports that the units leave. Must never fail: where there are none, there is no first boot.

use std::fs;
use std::path::Path;

use dockbeacon_core::provision::report::{FOLDER, Report};
use dockbeacon_core::provision::steps::Stage;

/// The reports of both stages, below `root`.
#[must_use]
pub fn reports(root: &Path) -> Vec<Report> {
    [Stage::Early, Stage::Late]
        .into_iter()
        .filter_map(|stage| fs::read(root.join(FOLDER).join(Report::file(stage))).ok())
        .filter_map(|text| serde_json::from_slice(&text).ok())
        .collect()
}

/// Whether a stage is at work.
#[must_use]
pub fn is_at_work(root: &Path) -> bool {
    reports(root).iter().any(|report| report.lamp().is_some())
}
