//! Plain calls to an engine, independent of the daemon's own adapter, so that a test never checks code with itself.
//!
//! Owns one request per connection over a unix socket. Must never interpret more of an answer than a test asks for.

#![allow(clippy::disallowed_methods, reason = "the test bed waits against real time")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

/// Calls to one engine.
#[derive(Debug, Clone)]
pub struct Raw {
    socket: PathBuf,
    api: String,
}

/// A status and a body, whatever they are.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as one JSON value; null where there is none, an array of values where the engine streamed several.
    ///
    /// # Errors
    /// The body is not JSON.
    pub fn json(&self) -> Result<Value> {
        let mut values = serde_json::Deserializer::from_slice(&self.body)
            .into_iter::<Value>()
            .collect::<std::result::Result<Vec<_>, _>>()
            .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(&self.body)))?;
        Ok(match values.len() {
            0 => Value::Null,
            1 => values.remove(0),
            _ => Value::Array(values),
        })
    }
}

impl Raw {
    /// Calls over this socket with this API version (`1.41`); an empty version leaves the prefix out.
    pub fn new(socket: &Path, api: &str) -> Self {
        Self { socket: socket.to_owned(), api: api.to_owned() }
    }

    /// Any request, any status.
    ///
    /// # Errors
    /// The engine cannot be reached or the connection breaks.
    pub async fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Result<Answer> {
        let what = || format!("{method} {path} on {}", self.socket.display());
        let stream = UnixStream::connect(&self.socket).await.with_context(what)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(what)?;
        let driver = tokio::spawn(connection);
        let prefix = if self.api.is_empty() { String::new() } else { format!("/v{}", self.api) };
        let request = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"))
            .header("host", "engine")
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await.with_context(what)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.with_context(what)?.to_bytes().to_vec();
        driver.abort();
        Ok(Answer { status, body })
    }

    async fn ok(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let answer = self.send(method, path, "application/json", bytes).await?;
        if answer.status >= 400 {
            bail!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        answer.json()
    }

    /// GET; a status from 400 is an error.
    ///
    /// # Errors
    /// No answer, an error status, or no JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ok("GET", path, None).await
    }

    /// POST with a JSON body; [`Value::Null`] sends none.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ok("POST", path, (!body.is_null()).then_some(body)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.ok("DELETE", path, None).await
    }

    /// Pulls `NAME:TAG` or `NAME@DIGEST`, and reads the errors that the engine hides in the stream.
    ///
    /// # Errors
    /// As [`Self::get`], or the stream holds an error.
    pub async fn pull(&self, image: &str) -> Result<()> {
        let lines = self.post(&format!("/images/create?fromImage={}", encode(image)), &Value::Null).await?;
        let lines = if let Value::Array(lines) = lines { lines } else { vec![lines] };
        match lines.iter().find_map(|line| line["error"].as_str()) {
            Some(error) => bail!("pull of {image}: {error}"),
            None => Ok(()),
        }
    }

    /// Creates and starts a container from a raw create body; gives its id.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn run(&self, name: &str, body: &Value) -> Result<String> {
        let made = self.post(&format!("/containers/create?name={name}"), body).await?;
        let id = made["Id"].as_str().context("create gave no id")?.to_owned();
        self.post(&format!("/containers/{id}/start"), &Value::Null).await?;
        Ok(id)
    }

    /// Inspects a container.
    ///
    /// # Errors
    /// As [`Self::get`]; 404 when there is none.
    pub async fn inspect(&self, name: &str) -> Result<Value> {
        self.get(&format!("/containers/{name}/json")).await
    }

    /// All containers whose name holds this text, running or not.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list(&self, name: &str) -> Result<Vec<Value>> {
        let filters = json!({"name": [name]}).to_string();
        let found = self.get(&format!("/containers/json?all=1&filters={}", encode(&filters))).await?;
        Ok(found.as_array().cloned().unwrap_or_default())
    }

    /// Inspects a container again and again until it is as wanted.
    ///
    /// # Errors
    /// The time is up; the last state is in the message.
    pub async fn wait_for(
        &self,
        name: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let end = Instant::now() + limit;
        loop {
            let now = self.inspect(name).await;
            match now {
                Ok(value) if wanted(&value) => return Ok(value),
                state if Instant::now() > end => bail!("{name} is not as wanted after {limit:?}: {state:?}"),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Loads a `docker save` archive.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn load(&self, archive: Vec<u8>) -> Result<()> {
        let answer = self.send("POST", "/images/load?quiet=1", "application/x-tar", archive).await?;
        if answer.status >= 400 {
            bail!("load: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(())
    }
}

/// Percent-encodes a query value.
pub fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
