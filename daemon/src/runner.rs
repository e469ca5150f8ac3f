//! Running other programs.
//!
//! Owns their time limit, their environment and what is said when one fails. Must never hang.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Where programs are, whatever the environment says.
const PATHS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a program has to say about its failure is at the end.
const SAID: usize = 600;

/// A program and its arguments.
#[derive(Debug)]
pub struct Run<'a> {
    program: &'a str,
    arguments: Vec<String>,
    input: Option<String>,
    output: Option<File>,
    tolerated: i32,
    folder: Option<&'a Path>,
    patience: Duration,
}

impl<'a> Run<'a> {
    /// A program with a minute to do its work.
    pub fn new(program: &'a str, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let patience = Duration::from_secs(60);
        Self { program, arguments, input: None, output: None, tolerated: 0, folder: None, patience }
    }

    /// With that on its standard input.
    pub fn input(mut self, text: String) -> Self {
        self.input = Some(text);
        self
    }

    /// With its standard output there.
    pub fn output(mut self, file: File) -> Self {
        self.output = Some(file);
        self
    }

    /// With a status that is a success beside 0.
    pub const fn tolerate(mut self, status: i32) -> Self {
        self.tolerated = status;
        self
    }

    /// In that folder.
    pub const fn folder(mut self, folder: &'a Path) -> Self {
        self.folder = Some(folder);
        self
    }

    /// With that much time.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it; its answer.
    ///
    /// # Errors
    /// When it cannot be started, takes too long or fails, with the end of what it said.
    pub async fn run(self) -> Result<String> {
        self.finish().await.map(|(_, answer)| answer)
    }

    /// Runs it; its status, 0 or the tolerated one.
    ///
    /// # Errors
    /// As [`Run::run`].
    pub async fn status(self) -> Result<i32> {
        self.finish().await.map(|(status, _)| status)
    }

    async fn finish(self) -> Result<(i32, String)> {
        let program = self.program;
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .env("PATH", path())
            .env("LC_ALL", "C.UTF-8")
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(self.output.map_or_else(Stdio::piped, Stdio::from))
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        let mut child =
            command.spawn().with_context(|| format!("{program} cannot be run; is it installed?"))?;
        let stdin = child.stdin.take();
        let work = async {
            if let (Some(mut stdin), Some(text)) = (stdin, &self.input) {
                // A program that does not read to the end says itself why.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
            child.wait_with_output().await
        };
        let output = match tokio::time::timeout(self.patience, work).await {
            Ok(output) => output.with_context(|| format!("waiting for {program}"))?,
            Err(_) => bail!("{program} took longer than {} s and was ended", self.patience.as_secs()),
        };
        if let Some(status) = output.status.code().filter(|status| *status == 0 || *status == self.tolerated)
        {
            return Ok((status, String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = if said.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { said };
        let said = said.trim();
        let start = said.len().saturating_sub(SAID);
        let start = (start..=said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or_default();
        bail!("{program}: {} ({})", said.get(start..).unwrap_or_default().replace('\n', "; "), output.status)
    }
}

/// Whether a program is installed.
pub fn installed(program: &str) -> bool {
    path().split(':').any(|folder| Path::new(folder).join(program).is_file())
}

/// The environment's own paths come first: that is how a test puts another program in a program's place.
pub fn path() -> String {
    match std::env::var("PATH") {
        Ok(own) if !own.is_empty() => format!("{own}:{PATHS}"),
        Ok(_) | Err(_) => PATHS.to_owned(),
    }
}
