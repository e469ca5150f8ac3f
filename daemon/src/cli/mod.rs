//! The commands.
//!
//! Owns which of them need the state folder, and the exit code of each. Must never decide about containers: it asks the
//! daemon, or does the same work itself where none runs.

mod backup;
mod client;
mod show;
mod way;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use dockbeacon_core::doctor::{Verdict, examine};
use dockbeacon_core::settings;
use serde_json::{Value, json};

use crate::args::{Cli, Cmd, RunArgs};
use crate::config::{self, Loaded};
use crate::exit::ExitCode;
use crate::handles::{Actor, Summary, UpdateRequest};
use crate::lock::{self, LockError};
use crate::{app, doctor, firstboot, http, telemetry};
use way::{Failure, Way};

/// Where the state is kept unless told otherwise.
const STATE_DIR: &str = "/var/lib/dockbeacon";

/// Carries the command out.
pub async fn run(cli: Cli) -> ExitCode {
    match Box::pin(carry_out(&cli)).await {
        Ok(code) => code,
        Err(failure) => {
            complain(&failure.to_string());
            failure.exit()
        }
    }
}

async fn carry_out(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        Cmd::Openapi => print(&http::openapi()),
        Cmd::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "dockbeacon", &mut text);
            print(&String::from_utf8_lossy(&text))
        }
        Cmd::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut text)
                .map_err(|e| Failure::Other(e.to_string()))?;
            print(&String::from_utf8_lossy(&text))
        }
        Cmd::Version => print(concat!("dockbeacon ", env!("CARGO_PKG_VERSION"), "\n")),
        Cmd::Config(args) if args.default => print(&settings::sample()),
        Cmd::Config(args) => {
            let loaded = load(cli, &[])?;
            if args.check {
                return print("the settings are valid\n");
            }
            print(&show::config(&loaded, cli.json))
        }
        Cmd::Run(args) => Box::pin(serve(cli, args)).await,
        Cmd::Firstboot(args) => Ok(Box::pin(firstboot::run(args)).await),
        Cmd::Check(args) => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            let summary = way.check(&args.names.names).await?;
            report(cli, &summary, args.exit_code && summary.candidates > 0)
        }
        Cmd::Plan(args) => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            let checked = way.check(&[]).await?;
            let plan = way.plan().await?;
            print(&if cli.json { pretty(&json!(plan)) } else { show::plan(&plan) })?;
            let newer = args.exit_code && checked.candidates > 0;
            Ok(if newer { ExitCode::Candidates } else { code(&checked) })
        }
        Cmd::Update(names) => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            report(cli, &way.update(&names.names).await?, false)
        }
        Cmd::Approve(names) => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            report(cli, &way.approve(&names.names).await?, false)
        }
        Cmd::Rollback { name } => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            report(cli, &way.roll_back(name).await?, false)
        }
        Cmd::Pause { length } => {
            let parsed = settings::duration::parse(length).filter(|l| !l.is_zero());
            let length = parsed.ok_or_else(|| {
                Failure::Usage(format!("{length:?} is no length of time; write for example 24h or 90m"))
            })?;
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            report(cli, &way.pause(length).await?, false)
        }
        Cmd::Resume => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            report(cli, &way.resume().await?, false)
        }
        Cmd::ResetPassword => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            report(cli, &way.reset_password().await?, false)
        }
        Cmd::Doctor => {
            let loaded = load(cli, &[])?;
            let findings = examine(&Box::pin(doctor::look(&loaded.settings, &state_dir(cli))).await);
            print(&if cli.json { pretty(&json!(findings)) } else { show::doctor(&findings) })?;
            let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
            Ok(if bad { ExitCode::Failed } else { ExitCode::Done })
        }
        Cmd::Status => {
            let way = Way::open(&load(cli, &[])?, &state_dir(cli)).await?;
            let (status, containers) = way.status().await?;
            let panel = way.panel().await?;
            print(&if cli.json {
                pretty(&json!({ "status": status, "containers": containers, "panel": panel }))
            } else {
                let panel = panel.as_ref().map(show::panel).unwrap_or_default();
                show::status(&status, &panel, &containers)
            })
        }
        Cmd::Backup(args) => {
            let loaded = load(cli, &[])?;
            let made = Box::pin(backup::make(&loaded.settings.engine.host, &state_dir(cli), args)).await?;
            print(&if cli.json { pretty(&json!(made)) } else { show::backup(&made) })
        }
        Cmd::PanelRelease => {
            let loaded = load(cli, &[])?;
            let said = crate::panel::release(&loaded.settings.panel);
            print(&said.iter().map(|line| format!("{line}\n")).collect::<String>())
        }
        Cmd::Host { folder } => {
            let done = crate::host::carry_out(folder).await.map_err(Failure::Other)?;
            print(&done.iter().map(|verb| format!("{verb}\n")).collect::<String>())
        }
    }
}

/// `run`: the daemon, or with `--run-once` one update run.
async fn serve(cli: &Cli, args: &RunArgs) -> Result<ExitCode, Failure> {
    let loaded = load(cli, &arguments(args))?;
    let state_dir = state_dir(cli);
    if loaded.settings.run_once {
        let way = Way::open(&loaded, &state_dir).await?;
        return report(cli, &way.update(&[]).await?, false);
    }
    let _telemetry =
        telemetry::Telemetry::init(&loaded.settings.log.level).map_err(|e| Failure::Other(e.to_string()))?;
    let lock = lock::take_within(&state_dir, lock::PATIENCE).await.map_err(|error| match error {
        LockError::Held { .. } => {
            Failure::Busy(format!("{error}; another daemon or command works on this state folder"))
        }
        LockError::NoPermission { .. }
        | LockError::ReadOnly { .. }
        | LockError::NotADirectory { .. }
        | LockError::Full { .. }
        | LockError::Io { .. } => Failure::Lock(error),
    })?;
    let (config, options) = (cli.config.clone(), arguments(args));
    let source = Box::new(move || config::load_with(config.as_deref(), std::env::vars(), options.clone()));
    app::run(loaded, source, &state_dir, lock).await.map_err(|e| Failure::Other(format!("{e:#}")))
}

/// Watchtower's options of `run` as settings.
fn arguments(args: &RunArgs) -> Vec<config::Argument> {
    let flag = |on: bool, option: &str, key: &'static str, text: &str| {
        on.then(|| config::Argument { option: option.to_owned(), key, text: text.to_owned() })
    };
    let text = |value: &Option<String>, option: &str, key: &'static str| {
        value.as_ref().map(|v| config::Argument { option: option.to_owned(), key, text: v.clone() })
    };
    [
        text(&args.interval, "--interval", "schedule.interval"),
        text(&args.schedule, "--schedule", "schedule.cron"),
        flag(args.run_once, "--run-once", "run-once", "true"),
        flag(args.monitor_only, "--monitor-only", "update.mode", "monitor"),
        flag(args.label_enable, "--label-enable", "update.label-enable", "true"),
        flag(args.cleanup, "--cleanup", "update.cleanup", "true"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn load(cli: &Cli, arguments: &[config::Argument]) -> Result<Loaded, Failure> {
    config::load_with(cli.config.as_deref(), std::env::vars(), arguments.to_vec()).map_err(Failure::Settings)
}

fn state_dir(cli: &Cli) -> PathBuf {
    let systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from).filter(|dir| dir.is_absolute());
    cli.state_dir.clone().or_else(systemd).unwrap_or_else(|| Path::new(STATE_DIR).to_owned())
}

fn report(cli: &Cli, summary: &Summary, newer: bool) -> Result<ExitCode, Failure> {
    print(&if cli.json { pretty(&json!(summary)) } else { format!("{}\n", summary.message) })?;
    Ok(if newer { ExitCode::Candidates } else { code(summary) })
}

fn code(summary: &Summary) -> ExitCode {
    ExitCode::from_code(summary.code)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Answers go to standard output. A closed pipe is the reader's choice.
fn print(text: &str) -> Result<ExitCode, Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(ExitCode::Done),
    }
}

/// Errors go to standard error, in colour only on a terminal.
fn complain(text: &str) {
    let mut err = std::io::stderr();
    let colour = err.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (on, off) = if colour { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") };
    // There is nowhere else to complain.
    let _ = writeln!(err, "{on}dockbeacon: {text}{off}");
}

/// Who asks, when a person does on the command line.
fn person() -> Actor {
    Actor { way: "command line".to_owned(), who: String::new() }
}

/// A run of these containers, or of all.
fn run_of(names: &[String]) -> UpdateRequest {
    UpdateRequest { names: names.to_vec(), ..UpdateRequest::default() }
}
