//! Docker Compose 2, as its users run it, against a test's own engine.
//!
//! Owns the call of the program. Must never use the machine's Docker contexts or environment.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::engine::{TestEngine, compose_program};

/// Does what `docker compose -p PROJECT -f FILE ARGS…` does, on the engine; gives what it printed, both streams together.
///
/// # Errors
/// The program is missing, or it failed; its output is in the message.
pub fn compose(engine: &TestEngine, project: &str, file: &Path, args: &[&str]) -> Result<String> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let output = Command::new(compose_program()?)
        .args(["--ansi", "never", "-p", project, "-f"])
        .arg(file)
        .args(args)
        .current_dir(folder)
        .env_remove("DOCKER_CONTEXT")
        .env("DOCKER_CONFIG", folder)
        .env("DOCKER_HOST", &engine.host)
        .output()
        .context("cannot run docker compose")?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("docker compose {args:?} ended with {}: {said}", output.status);
    }
    Ok(said)
}
