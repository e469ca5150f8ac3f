//! `scripts/bench`: size, memory, CPU, the time of a check, the gap of an update, and the SD card image, measured and
//! printed beside targets.
//!
//! Owns the order of the measurements and the table. Must never fail for a number: it reports, people judge.
//!
//! The bare client that a check is compared with is this same program, started again as `dockbeacon_bench bare …`, so that
//! both sides are whole processes built in the same way.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line program that reports")]
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

mod bare;
mod card;
mod check;
mod delay;
mod gap;
mod household;
mod process;
mod rest;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use dockbeacon_tests::engine::engines;
use household::Household;

/// The parts, in the order in which they run.
const PARTS: [&str; 5] = ["size", "check", "rest", "gap", "card"];

/// One line of the table.
pub struct Row {
    what: String,
    value: String,
    target: String,
    ok: Option<bool>,
}

impl Row {
    /// A number with its upper limit.
    pub fn limit(what: &str, value: f64, unit: &str, digits: usize, limit: f64) -> Self {
        Self {
            what: what.to_owned(),
            value: format!("{value:.digits$} {unit}"),
            target: format!("{limit} {unit}"),
            ok: Some(value <= limit),
        }
    }

    /// Something to know, without a limit.
    pub fn note(what: &str, value: String) -> Self {
        Self { what: what.to_owned(), value, target: String::new(), ok: None }
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bare", socket, ca, address] => bare::run(socket, ca, address),
        [] => measure(&PARTS),
        parts if parts.iter().all(|p| PARTS.contains(p)) => measure(parts),
        _ => bail!("usage: dockbeacon_bench [{}]; scripts/bench does it all", PARTS.join("|")),
    }
}

fn measure(parts: &[&str]) -> Result<()> {
    let program = PathBuf::from(
        std::env::var_os("DOCKBEACON_TEST_DAEMON").context("DOCKBEACON_TEST_DAEMON names no program")?,
    );
    let wants = |part: &str| parts.contains(&part);
    let mut rows = vec![Row::note("machine", machine())];
    if wants("size") {
        let size = std::fs::metadata(&program).with_context(|| format!("{}", program.display()))?.len();
        rows.push(Row::limit("binary, static", megabytes(size), "MB", 2, 8.0));
    }
    if parts.iter().any(|p| ["check", "rest", "gap"].contains(p)) {
        let engine = engines()?.first().context("there is no test engine")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            if wants("check") || wants("rest") {
                let house = Household::build(engine).await?;
                if wants("check") {
                    rows.extend(check::measure(&house).await?);
                }
                if wants("rest") {
                    rows.extend(rest::measure(&house).await?);
                }
            }
            if wants("gap") {
                rows.extend(gap::measure(engine).await?);
            }
            anyhow::Ok(())
        })?;
    }
    if wants("card") {
        rows.extend(card::measure()?);
    }
    print(&rows);
    Ok(())
}

/// Says what is being done, beside the table.
pub fn say(what: &str) {
    eprintln!("==> bench: {what}");
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The smallest and the largest one.
pub fn span(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below the precision of a double")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!("{}, {cores} cores, load {load} at the start", std::env::consts::ARCH)
}

fn print(rows: &[Row]) {
    let width = rows.iter().map(|r| r.what.len()).max().unwrap_or(0);
    let value = rows.iter().filter(|r| r.ok.is_some()).map(|r| r.value.len()).max().unwrap_or(0);
    println!("{:width$}  {:value$}  target", "measure", "value");
    for row in rows {
        let verdict = match row.ok {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        println!("{:width$}  {:value$}  {:8} {verdict}", row.what, row.value, row.target);
    }
}
