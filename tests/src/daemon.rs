//! The daemon as its users have it: the real program, with a state folder and a configuration of its own.
//!
//! Owns building, starting, killing and the captured log. Must never look into the daemon but through its outside.

#![allow(clippy::disallowed_methods, reason = "the test bed waits against real time")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::{free_port, locked};

/// The program with fail points in it: `DOCKBEACON_TEST_DAEMON`, else built once by cargo.
///
/// # Errors
/// It does not build.
pub fn program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("DOCKBEACON_TEST_DAEMON").filter(|v| !v.is_empty()) {
            return Ok(given.into());
        }
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--workspace", "--bins", "--features", "dockbeacon/failpoints"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("the daemon does not build: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(crate::demo::target_dir().join("debug/dockbeacon"))
    });
    found.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Where a daemon lives: its folder, configuration file and environment. Outlives the daemon, so that it can be started
/// again on the same state.
#[derive(Debug, Clone)]
pub struct Home {
    /// The state folder.
    pub state: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// The port of the page.
    pub port: u16,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
}

impl Home {
    /// Makes the state folder and the configuration in `folder`. `settings` is YAML without `http` and `engine`, which
    /// come from here.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn new(folder: &Path, engine_host: &str, settings: &str) -> Result<Self> {
        let (state, config, port) = (folder.join("state"), folder.join("config.yaml"), free_port()?);
        std::fs::create_dir_all(&state)?;
        std::fs::write(
            &config,
            format!("engine:\n  host: {engine_host}\nhttp:\n  listen: 127.0.0.1:{port}\n{settings}\n"),
        )?;
        Ok(Self { state, config, port, env: Vec::new() })
    }

    /// Adds to the environment of everything started here.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(program()?);
        command.arg("--config").arg(&self.config).arg("--state-dir").arg(&self.state).args(args);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["DOCKER_", "DOCKBEACON_", "WATCHTOWER_"].iter().any(|p| name.starts_with(p)) {
                command.env_remove(name.as_ref());
            }
        }
        command.env_remove("NOTIFY_SOCKET").env_remove("STATE_DIRECTORY");
        command.env("DOCKER_CONFIG", &self.state);
        command.envs(self.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs one command to its end, `dockbeacon ARGS…`.
    ///
    /// # Errors
    /// It cannot be run; its exit status is in the output.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        self.command(args)?.output().context("cannot run dockbeacon")
    }

    /// Starts `dockbeacon run`; see [`Daemon::wait_ready`].
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start(&self) -> Result<Daemon> {
        let mut child = self
            .command(&["run"])?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run dockbeacon")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(out) = child.stdout.take() {
            capture(out, &log);
        }
        if let Some(err) = child.stderr.take() {
            capture(err, &log);
        }
        Ok(Daemon { base: format!("http://127.0.0.1:{}", self.port), child, log })
    }
}

fn capture(stream: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(std::io::Result::ok) {
            locked(&log).push(line);
        }
    });
}

/// A running daemon; killed when dropped, with its log printed if the test failed.
#[derive(Debug)]
pub struct Daemon {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// It ended, or the time is up; the log is in the message.
    pub async fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        // An error means that somebody set it before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended with {status}:\n{}", self.log());
            }
            match client.get(format!("{}/readyz", self.base)).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                other if Instant::now() > end => {
                    bail!("the daemon is not ready after {limit:?} ({other:?}):\n{}", self.log())
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits until a line of the log holds this text; gives the line.
    ///
    /// # Errors
    /// The time is up; the log is in the message.
    pub async fn wait_log(&self, text: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            if let Some(line) = locked(&self.log).iter().find(|line| line.contains(text)) {
                return Ok(line.clone());
            }
            if Instant::now() > end {
                bail!("no line with {text:?} after {limit:?}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it ends by itself (a fail point).
    ///
    /// # Errors
    /// The time is up.
    pub async fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                bail!("the daemon still runs after {limit:?}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill_9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the clean end.
    ///
    /// # Errors
    /// The time is up.
    pub async fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        self.wait_exit(limit).await
    }

    /// All that it printed so far.
    pub fn log(&self) -> String {
        locked(&self.log).join("\n")
    }
}

impl Drop for Daemon {
    #[allow(clippy::print_stderr, reason = "the log of a failed test belongs into its output")]
    fn drop(&mut self) {
        self.kill_9();
        if std::thread::panicking() {
            eprintln!("--- log of the daemon ---\n{}\n---", self.log());
        }
    }
}
