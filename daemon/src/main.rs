//! The program: arguments in, exit code out.

use clap::Parser as _;
use dockbeacon::args::Cli;
use dockbeacon::{cli, clock};

fn main() -> std::process::ExitCode {
    // The first call starts the monotonic clock.
    let _started = clock::now();
    let args = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(cli::run(args)).into(),
        Err(error) => {
            use std::io::Write as _;
            // There is nowhere else to complain.
            let _ = writeln!(std::io::stderr(), "dockbeacon: the runtime cannot start: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
