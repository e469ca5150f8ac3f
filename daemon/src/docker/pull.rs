//! Pulling an image.
//!
//! Owns the stream of progress and the errors that hide in it. Must never give up on a slow link: only silence ends a pull.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Method;
use serde::Deserialize;
use tokio::time::timeout;

use super::raw::{self, Call, encode};
use super::{Engine, EngineError};

/// How far a pull is. Counts grow while the engine finds out more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Layers that are here and unpacked.
    pub layers_done: usize,
    /// Layers known so far.
    pub layers_total: usize,
    /// Bytes downloaded.
    pub bytes: u64,
    /// Bytes to download, as far as known.
    pub total: u64,
}

impl Engine {
    /// Pulls `repo:tag` or `repo@digest`. `auth` is the value of `X-Registry-Auth`. `silence` is how long the engine may say
    /// nothing; `progress` is called whenever the numbers change.
    ///
    /// # Errors
    /// `Pull` with the engine's words, also when they come in the middle of the stream; `TimedOut` after silence.
    pub async fn pull(
        &self,
        image: &str,
        auth: Option<String>,
        silence: Duration,
        mut progress: impl FnMut(PullProgress) + Send,
    ) -> Result<(), EngineError> {
        let (name, tag) = split(image);
        let path = format!("/images/create?fromImage={}&tag={}", encode(name), encode(tag));
        let what = format!("pulling {image}");
        let late =
            || EngineError::TimedOut { what: format!("{what} (no progress for {} s)", silence.as_secs()) };
        let mut call = Call::change(Method::POST, "pull", path, what.clone(), silence);
        call.auth = auth.as_deref();
        let opened = timeout(silence, raw::open(&self.inner.socket, &self.inner.prefix, &call)).await;
        let response = match opened.map_err(|_| late())? {
            Ok(response) => response,
            Err(
                EngineError::NotFound(msg) | EngineError::Conflict(msg) | EngineError::Refused { msg, .. },
            ) => {
                return Err(EngineError::Pull { image: image.to_owned(), msg });
            }
            Err(other) => return Err(other),
        };
        let mut body = response.into_body();
        let mut lines = Lines::default();
        let mut layers = Layers::default();
        let mut told = PullProgress::default();
        loop {
            let Some(frame) = timeout(silence, body.frame()).await.map_err(|_| late())? else { break };
            let frame = frame.map_err(|e| EngineError::hung_up(&what, &e))?;
            let Ok(data) = frame.into_data() else { continue };
            for line in lines.feed(&data) {
                layers.take(&line).map_err(|msg| EngineError::Pull { image: image.to_owned(), msg })?;
            }
            let now = layers.sum();
            if now != told {
                told = now;
                progress(now);
            }
        }
        // The engine's stream ends with a status line; what is cut off in the middle of one was not finished.
        if let Some(rest) = lines.rest() {
            layers.take(&rest).map_err(|msg| EngineError::Pull { image: image.to_owned(), msg })?;
        }
        raw::after(&call);
        if layers.finished { Ok(()) } else { Err(EngineError::hung_up(&what, &"the stream ended too early")) }
    }
}

/// Name and tag or digest, as the API wants them.
fn split(image: &str) -> (&str, &str) {
    if let Some(pair) = image.split_once('@') {
        return pair;
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn feed(&mut self, data: &[u8]) -> Vec<Vec<u8>> {
        self.0.extend_from_slice(data);
        let Some(end) = self.0.iter().rposition(|b| *b == b'\n') else { return Vec::new() };
        let rest = self.0.split_off(end + 1);
        let whole = std::mem::replace(&mut self.0, rest);
        whole.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).map(<[u8]>::to_vec).collect()
    }

    fn rest(self) -> Option<Vec<u8>> {
        (!self.0.trim_ascii().is_empty()).then_some(self.0)
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    status: String,
    #[serde(default)]
    id: String,
    #[serde(rename = "progressDetail")]
    detail: Option<Detail>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    current: u64,
    #[serde(default)]
    total: u64,
}

#[derive(Default)]
struct Layer {
    done: bool,
    bytes: u64,
    total: u64,
}

#[derive(Default)]
struct Layers {
    layers: BTreeMap<String, Layer>,
    finished: bool,
}

impl Layers {
    /// Reads one line; `Err` is the engine's own error text.
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        // A line that is no JSON is no reason to fail a pull that goes on.
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return Ok(()) };
        if let Some(error) = line.error {
            return Err(error);
        }
        if line.status.starts_with("Status: ") || line.status.starts_with("Digest: ") {
            self.finished = true;
        }
        if line.id.is_empty() || line.status.starts_with("Pulling from") {
            return Ok(());
        }
        let layer = self.layers.entry(line.id).or_default();
        match line.status.as_str() {
            "Downloading" => {
                if let Some(detail) = line.detail {
                    layer.bytes = detail.current;
                    layer.total = detail.total.max(detail.current);
                }
            }
            "Download complete" | "Verifying Checksum" => layer.bytes = layer.total,
            "Pull complete" | "Already exists" => {
                layer.done = true;
                layer.bytes = layer.total;
            }
            _ => {}
        }
        Ok(())
    }

    fn sum(&self) -> PullProgress {
        let mut sum = PullProgress { layers_total: self.layers.len(), ..PullProgress::default() };
        for layer in self.layers.values() {
            sum.layers_done += usize::from(layer.done);
            sum.bytes += layer.bytes;
            sum.total += layer.total;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_split() {
        for (image, name, tag) in [
            ("a/b@sha256:1", "a/b", "sha256:1"),
            ("127.0.0.1:5000/a:1", "127.0.0.1:5000/a", "1"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a", "latest"),
        ] {
            assert_eq!(split(image), (name, tag));
        }
    }

    #[test]
    fn progress_adds_up_and_errors_in_the_stream_are_errors() {
        let mut layers = Layers::default();
        for line in [
            r#"{"status":"Pulling from a/b","id":"sha256:1"}"#,
            r#"{"status":"Already exists","progressDetail":{},"id":"aa"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"bb"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":10,"total":40},"id":"bb"}"#,
        ] {
            assert_eq!(layers.take(line.as_bytes()), Ok(()));
        }
        let sum = PullProgress { layers_done: 1, layers_total: 2, bytes: 10, total: 40 };
        assert_eq!(layers.sum(), sum);
        let bad = br#"{"errorDetail":{"message":"no space left"},"error":"no space left"}"#;
        assert_eq!(layers.take(bad), Err("no space left".to_owned()));
    }

    #[test]
    fn lines_survive_any_cut() {
        let mut lines = Lines::default();
        assert!(lines.feed(b"{\"a\"").is_empty());
        assert_eq!(lines.feed(b":1}\r\n{\"b\":2}\n{").len(), 2);
        assert_eq!(lines.rest(), Some(b"{".to_vec()));
    }
}
