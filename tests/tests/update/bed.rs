//! What every test of an update stands on: an engine's corner, a registry, a state folder and the program.
//!
//! Owns the short words for them. Must never decide whether an update went well.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dockbeacon_tests::daemon::Home;
use dockbeacon_tests::engine::TestEngine;
use dockbeacon_tests::image::{BuiltImage, ImageSpec};
use dockbeacon_tests::raw::Raw;
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::Sandbox;
use serde_json::{Value, json};

/// Longer than anything here takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// What one command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The answer of a command with `--json`.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Demands this exit code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Demands these words on either stream.
    #[track_caller]
    pub fn with(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "no {word:?} in {self:#?}");
        }
        self
    }
}

/// One command in a state folder.
pub fn command(home: &Home, args: &[&str]) -> Result<Said> {
    let output = home.cli(args)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said {
        code: output.status.code().context("killed by a signal")?,
        out: text(output.stdout),
        err: text(output.stderr),
    })
}

pub struct Bed {
    pub registry: Registry,
    pub place: Sandbox,
    pub home: Home,
}

impl Bed {
    /// `update` is what stands under `update:` in the configuration, one `key: value` a line.
    pub async fn new(engine: &TestEngine, update: &[&str]) -> Result<Self> {
        let place = Sandbox::new(engine)?;
        let home = Home::new(place.path(), &engine.host, &settings(&place, update))?;
        Ok(Self { registry: Registry::start().await?, place, home })
    }

    pub fn raw(&self) -> Raw {
        self.place.raw()
    }

    pub fn name(&self, part: &str) -> String {
        self.place.name(part)
    }

    /// `dockbeacon ARGS`.
    pub fn dockbeacon(&self, args: &[&str]) -> Result<Said> {
        command(&self.home, args)
    }

    /// The reference under which the service's image is pushed and run.
    pub fn image(&self, part: &str) -> String {
        format!("{}:latest", self.registry.name(&self.name(part)))
    }

    /// Pushes an image under that reference.
    pub async fn push(&self, part: &str, image: &ImageSpec) -> Result<BuiltImage> {
        self.registry.push(&self.name(part), "latest", &self.own(image)).await
    }

    /// The same image with a digest of this test's own: tests that run beside it remove theirs.
    pub fn own(&self, image: &ImageSpec) -> ImageSpec {
        let mut image = image.clone();
        let mut labels = image.config.remove("Labels").unwrap_or_else(|| json!({}));
        labels["test.bed"] = json!(self.place.prefix);
        image.with("Labels", labels)
    }

    /// What `dockbeacon plan` says of the container; the engine has other tests' containers too.
    pub fn planned(&self, part: &str) -> Result<Value> {
        let plan = self.dockbeacon(&["--json", "plan"])?.json();
        let name = self.name(part);
        let mut entries = plan["entries"].as_array().into_iter().flatten();
        Ok(entries
            .find(|e| e["container"] == *name)
            .with_context(|| format!("{name} not in {plan}"))?
            .clone())
    }

    /// Pushes the demo service in this version.
    pub async fn push_demo(&self, part: &str, version: &str) -> Result<BuiltImage> {
        self.push(part, &ImageSpec::demo(version)?).await
    }

    /// Pulls the image and runs a container of it, both of that name; waits until it is well.
    pub async fn run(&self, part: &str, mut body: Value) -> Result<String> {
        let image = self.image(part);
        self.raw().pull(&image).await?;
        body["Image"] = json!(image);
        let id = self.raw().run(&self.name(part), &body).await?;
        self.healthy(part).await?;
        Ok(id)
    }

    /// The container, once it is healthy (or running, where it has no health check).
    pub async fn healthy(&self, part: &str) -> Result<Value> {
        self.raw()
            .wait_for(&self.name(part), SOON, |c| {
                let health = &c["State"]["Health"]["Status"];
                c["State"]["Running"] == true && (health.is_null() || health == "healthy")
            })
            .await
    }

    pub async fn inspect(&self, part: &str) -> Result<Value> {
        self.raw().inspect(&self.name(part)).await
    }

    /// The version that the service's environment names.
    pub async fn version(&self, part: &str) -> Result<String> {
        let container = self.inspect(part).await?;
        anyhow::ensure!(container["State"]["Running"] == true, "not running: {}", container["State"]);
        let env = container["Config"]["Env"].as_array().cloned().unwrap_or_default();
        let found = env.iter().filter_map(Value::as_str).find_map(|e| e.strip_prefix("VERSION="));
        Ok(found.context("no VERSION")?.to_owned())
    }

    /// Every container of this test, by name, in order.
    pub async fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for container in self.raw().list(&self.place.prefix).await? {
            names.push(container["Names"][0].as_str().unwrap_or_default().trim_start_matches('/').to_owned());
        }
        names.sort();
        Ok(names)
    }

    /// The service runs this version under its name and nothing of an update is left over.
    pub async fn stands(&self, part: &str, version: &str) -> Result<()> {
        self.healthy(part).await?;
        anyhow::ensure!(self.version(part).await? == version, "{part} runs {}", self.version(part).await?);
        let name = self.name(part);
        let left: Vec<String> =
            self.names().await?.into_iter().filter(|n| n.starts_with(&format!("{name}."))).collect();
        anyhow::ensure!(left.is_empty(), "left over: {left:?}");
        Ok(())
    }

    /// The id of an image, if it is here.
    pub async fn image_id(&self, reference: &str) -> Option<String> {
        let image = self.raw().get(&format!("/images/{reference}/json")).await.ok()?;
        image["Id"].as_str().map(str::to_owned)
    }
}

/// Only this test's containers are looked at: the engine is everybody's. Nothing is checked but when asked.
pub fn settings(place: &Sandbox, update: &[&str]) -> String {
    let mut lines = vec![
        "schedule: {interval: never, check-on-start: false}".to_owned(),
        "update:".to_owned(),
        format!("  scope: {}", place.prefix),
    ];
    lines.extend(update.iter().map(|line| format!("  {line}")));
    lines.join("\n")
}

/// The labels that put a container into this test's scope, and these.
pub fn labels(place: &Sandbox, more: &[(&str, &str)]) -> Value {
    let mut labels = json!({"dockbeacon.scope": place.prefix});
    for (key, value) in more {
        labels[key] = json!(value);
    }
    labels
}

/// Asks again until the answer is as wanted.
pub async fn wait<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("{what}: not after {SOON:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the service answers on a published port.
pub async fn answer(port: u16, path: &str) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    Ok(client.get(format!("http://127.0.0.1:{port}{path}")).send().await?.text().await?)
}
