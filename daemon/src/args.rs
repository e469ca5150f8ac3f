//! The command line as it is typed.
//!
//! Owns names, help and defaults. Must never do anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Keeps the containers of this machine running and current, and says why.
#[derive(Debug, Parser)]
#[command(name = "dockbeacon", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = AFTER)]
pub struct Cli {
    /// The settings file [default: /etc/dockbeacon/config.yaml, which need not exist]
    #[arg(long, global = true, env = "DOCKBEACON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the journal and the history are kept
    #[arg(long, global = true, env = "DOCKBEACON_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Cmd,
}

const AFTER: &str = "\
Every command works with and without a running daemon: it asks the daemon where one runs on the same state folder, and does \
the work itself where none does.

Exit codes, the worst wins: 0 done; 1 something failed, services as they were; 2 wrong usage; 3 settings invalid; 4 engine \
out of reach; 5 an update was rolled back; 6 a service is not as it was; 7 busy, or no access to the daemon; 10 there are \
candidates (check and plan with --exit-code).

Examples:
  dockbeacon plan                what an update run would do now, and why not
  dockbeacon update web          update one container now, and wait until it is verified or back
  dockbeacon rollback web        put the previous version of web back
  dockbeacon config              every setting, its value, and where it came from";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Cmd {
    /// Be the daemon: keep watch, update by the schedule, serve the page
    Run(RunArgs),
    /// Look for newer images once; changes nothing
    Check(CheckArgs),
    /// Show what an update run would do now, and why, for every container
    Plan(PlanArgs),
    /// One update run now: recover, check, plan, act; waits until all is verified or rolled back
    Update(Names),
    /// Approve updates that wait
    Approve(SomeNames),
    /// Put the previous version of a container back
    Rollback {
        /// The container
        name: String,
    },
    /// No automatic updates for a while
    Pause {
        /// How long, for example 24h or 90m
        #[arg(default_value = "24h")]
        length: String,
    },
    /// Automatic updates again
    Resume,
    /// How the containers are
    Status,
    /// Look at everything that Dockbeacon needs, and say what to do about what is not well
    Doctor,
    /// Save services, volumes, settings and state into one file; a new card restores it at its first boot
    Backup(BackupArgs),
    /// Forget the password and all API tokens; prints the code with which the device is claimed anew
    ResetPassword,
    /// Hand back lamps that a dead daemon left lit; the service's unit runs this when the daemon ends
    #[command(hide = true)]
    PanelRelease,
    /// Switch off, restart, or restart the engine, as the daemon asked for in this folder; for a unit of root's
    #[command(hide = true)]
    Host {
        /// The daemon's runtime folder
        folder: PathBuf,
    },
    /// The settings in force, each with its origin
    Config(ConfigArgs),
    /// Make a device of a card that was flashed with the image; its units run it at every start
    Firstboot(FirstbootArgs),
    /// Print the OpenAPI document of the API
    Openapi,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
    /// Print the version
    Version,
}

/// Containers, by name.
#[derive(Debug, Args)]
pub struct Names {
    /// Containers; without any, all that their policies allow
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// At least one container, by name.
#[derive(Debug, Args)]
pub struct SomeNames {
    /// Containers
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    /// Which ones
    pub names: Names,
    /// Exit with 10 when there are candidates
    #[arg(long)]
    pub exit_code: bool,
}

/// `plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Exit with 10 when there are candidates
    #[arg(long)]
    pub exit_code: bool,
}

/// `config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Print a commented settings file with every key and its default
    #[arg(long, conflicts_with = "check")]
    pub default: bool,
    /// Only say whether the settings are valid
    #[arg(long)]
    pub check: bool,
}

/// `backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where the file goes; a disk labelled DOCKBEACON is found by a new device
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The file is not encrypted: whoever reads it has every secret of the services. Needed, since this version cannot encrypt
    #[arg(long)]
    pub in_clear: bool,
    /// Whose /srv and settings are saved; for tests
    #[arg(long, hide = true, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// `firstboot`
#[derive(Debug, Args)]
pub struct FirstbootArgs {
    /// Which part of it
    #[arg(long, value_enum, default_value = "early")]
    pub stage: FirstbootStage,
    /// A folder that stands for the card; for tests
    #[arg(long, hide = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Seconds to wait for the network, and again for the true time
    #[arg(long, default_value = "90", value_name = "SECONDS")]
    pub patience: u64,
    /// Ask this web server for the time where no time server answers, instead of well-known ones
    #[arg(long, hide = true, value_name = "URL")]
    pub time_from: Vec<String>,
}

/// A part of first boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FirstbootStage {
    /// Before the daemon and the engine: card, clock, identity, customisation, claim code
    Early,
    /// Beside the daemon: network, true time, backup, services from the boot partition
    Late,
    /// Show the claim code where it belongs, or take it away once there is an owner
    Claim,
    /// Save the time, so that the next start is not earlier
    SaveClock,
}

/// `run`, with Watchtower's options of the same meaning.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Seconds between two checks (Watchtower's option)
    #[arg(long, short = 'i', value_name = "SECONDS")]
    pub interval: Option<String>,
    /// Six-field cron expression (Watchtower's option); wins over --interval
    #[arg(long, short = 's', value_name = "CRON")]
    pub schedule: Option<String>,
    /// One run, then exit (Watchtower's option)
    #[arg(long, short = 'R')]
    pub run_once: bool,
    /// Report only (Watchtower's option)
    #[arg(long, short = 'm')]
    pub monitor_only: bool,
    /// Only containers with an enabling label (Watchtower's option)
    #[arg(long, short = 'e')]
    pub label_enable: bool,
    /// Delete old images after an update (Watchtower's option)
    #[arg(long, short = 'c')]
    pub cleanup: bool,
}
