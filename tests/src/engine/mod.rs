//! The two engines that every test against an engine runs on.
//!
//! Owns finding them (in the environment, where `scripts/test` put them) or having them kept by `keeper.sh` for as long
//! as this process lives. Must never talk to the machine's own engine.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::raw::Raw;

const KEEPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/keeper.sh");

/// An engine that belongs to the tests.
#[derive(Debug, Clone)]
pub struct TestEngine {
    /// `engine20` or `engine26`; good in messages and file names.
    pub name: &'static str,
    /// As in `DOCKER_HOST`: `unix:///…/docker.sock`.
    pub host: String,
    /// The newest API that it speaks: `1.41`, `1.45`.
    pub api: &'static str,
}

impl TestEngine {
    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        PathBuf::from(self.host.strip_prefix("unix://").unwrap_or(&self.host))
    }

    /// Plain calls to it, at its own API version.
    pub fn raw(&self) -> Raw {
        Raw::new(&self.socket(), self.api)
    }

    /// True where images lie in containerd's store, whose image ids are manifest digests.
    pub fn containerd_store(&self) -> bool {
        self.name == "engine26"
    }
}

/// What the keeper told us, and the keeper itself: it ends with its standard input, so with this process.
struct Kept {
    _keeper: Option<Own>,
    engines: Vec<TestEngine>,
    compose: PathBuf,
}

static KEPT: OnceLock<std::result::Result<Kept, String>> = OnceLock::new();

fn kept() -> Result<&'static Kept> {
    match KEPT.get_or_init(|| start().map_err(|error| format!("{error:#}"))) {
        Ok(kept) => Ok(kept),
        Err(error) => bail!("the test engines did not start: {error}"),
    }
}

/// Both engines, started at the first call.
///
/// # Errors
/// The keeper says what it lacks: root, a package, the network for the first fetch.
pub fn engines() -> Result<&'static [TestEngine]> {
    Ok(&kept()?.engines)
}

/// The Compose 2 program that came with the engines.
///
/// # Errors
/// As [`engines`].
pub fn compose_program() -> Result<&'static Path> {
    Ok(&kept()?.compose)
}

/// Runs one asynchronous test on each engine in turn, with the engine's name in the error.
///
/// # Errors
/// The first error that the test gives.
pub fn on_each<F>(test: impl Fn(TestEngine) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for engine in engines()? {
        runtime.block_on(test(engine.clone())).with_context(|| format!("on {}", engine.name))?;
    }
    Ok(())
}

fn pair(host20: String, host26: String) -> Vec<TestEngine> {
    vec![
        TestEngine { name: "engine20", host: host20, api: "1.41" },
        TestEngine { name: "engine26", host: host26, api: "1.45" },
    ]
}

fn start() -> Result<Kept> {
    let env = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    if let (Some(host20), Some(host26), Some(compose)) =
        (env("DOCKBEACON_TEST_ENGINE20"), env("DOCKBEACON_TEST_ENGINE26"), env("DOCKBEACON_TEST_COMPOSE"))
    {
        return Ok(Kept { _keeper: None, engines: pair(host20, host26), compose: compose.into() });
    }
    let own = Own::start()?;
    Ok(Kept { engines: own.engines.clone(), compose: own.compose.clone(), _keeper: Some(own) })
}

/// What a test does to an engine that it has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// SIGKILL to the engine alone.
    Kill,
    /// SIGKILL to the engine, everything under it, and all containers, at once.
    CutPower,
    /// Start it again and wait until it answers.
    Start,
}

/// Engines that one test has to itself; they end when this is dropped.
#[derive(Debug)]
pub struct Own {
    /// The same two.
    pub engines: Vec<TestEngine>,
    keeper: Child,
    said: BufReader<ChildStdout>,
    compose: PathBuf,
}

impl Own {
    /// Starts them.
    ///
    /// # Errors
    /// As [`engines`].
    pub fn start() -> Result<Self> {
        let mut command = if nix::unistd::geteuid().is_root() {
            Command::new("bash")
        } else {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "env"]);
            sudo.arg(format!("DOCKBEACON_TEST_GROUP={}", nix::unistd::getegid()));
            sudo.arg("bash");
            sudo
        };
        let mut keeper = command
            .arg(KEEPER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("cannot run {KEEPER}"))?;
        let out = keeper.stdout.take().context("the keeper has no output")?;
        let (mut host20, mut host26, mut compose) = (None, None, None);
        let mut said = BufReader::new(out);
        for line in said.by_ref().lines() {
            let line = line?;
            if let Some(why) = line.strip_prefix("failed: ") {
                bail!("{why}");
            }
            match line.split_once('=') {
                Some(("engine20", value)) => host20 = Some(value.to_owned()),
                Some(("engine26", value)) => host26 = Some(value.to_owned()),
                Some(("compose", value)) => compose = Some(PathBuf::from(value)),
                _ if line == "ready" => break,
                _ => {}
            }
        }
        let (Some(host20), Some(host26), Some(compose)) = (host20, host26, compose) else {
            bail!("{KEEPER} ended before the engines were ready; its messages are above");
        };
        Ok(Self { engines: pair(host20, host26), keeper, said, compose })
    }

    /// Does that to one of them, and waits until it is done.
    ///
    /// # Errors
    /// The keeper's words.
    pub fn make(&mut self, trouble: Trouble, engine: &TestEngine) -> Result<()> {
        let order = match trouble {
            Trouble::Kill => "kill",
            Trouble::CutPower => "cut",
            Trouble::Start => "start",
        };
        let name = engine.name.trim_start_matches("engine");
        let orders = self.keeper.stdin.as_mut().context("the keeper takes no orders")?;
        writeln!(orders, "{order} {name}")?;
        let mut answer = String::new();
        self.said.read_line(&mut answer)?;
        if answer.trim() != "done" {
            bail!("{order} {name}: {answer}");
        }
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // `wait` closes the standard input first, which ends it.
        let _ = self.keeper.wait();
    }
}
