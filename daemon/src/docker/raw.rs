//! A thin HTTP client on the engine's socket that carries JSON as it is.
//!
//! Owns one request and its answer: time limits, status codes into meaning, the fail points around what changes something.
//! Must never know what a body means: a model would drop the fields that it does not know, and with them an owner's setting.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::EngineError;
use crate::failpoint;

/// One request. `verb` names the fail points `engine.VERB.before`, `.sent` and `.after`; reads have none.
pub(super) struct Call<'a> {
    pub method: Method,
    /// Path and query behind the version prefix, already encoded.
    pub path: String,
    pub body: Option<&'a Value>,
    /// `X-Registry-Auth`.
    pub auth: Option<&'a str>,
    pub verb: Option<&'static str>,
    /// For messages: `stopping web`.
    pub what: String,
    pub patience: Duration,
}

impl<'a> Call<'a> {
    /// A question.
    pub fn get(path: String, what: String, patience: Duration) -> Self {
        Self { method: Method::GET, path, body: None, auth: None, verb: None, what, patience }
    }

    /// A change, with its fail points.
    pub fn change(
        method: Method,
        verb: &'static str,
        path: String,
        what: String,
        patience: Duration,
    ) -> Self {
        Self { method, path, body: None, auth: None, verb: Some(verb), what, patience }
    }

    /// The same by another method: some waits are asked for by `POST`.
    pub fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// The same with a body.
    pub const fn with(mut self, body: &'a Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// A status of 2xx or 304, and the body.
pub(super) struct Answer {
    pub bytes: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, what: &str) -> Result<T, EngineError> {
        serde_json::from_slice(&self.bytes)
            .map_err(|e| EngineError::Garbled { what: what.to_owned(), why: e.to_string() })
    }
}

/// Sends one request and reads the whole answer.
pub(super) async fn call(socket: &str, prefix: &str, call: Call<'_>) -> Result<Answer, EngineError> {
    let late = || EngineError::TimedOut { what: call.what.clone() };
    let answer = timeout(call.patience, async {
        let response = open(socket, prefix, &call).await?;
        let body = response.into_body().collect().await.map_err(|e| EngineError::hung_up(&call.what, &e))?;
        Ok(Answer { bytes: body.to_bytes() })
    })
    .await
    .map_err(|_| late())??;
    after(&call);
    Ok(answer)
}

/// Passes the fail point behind an answer that has been read.
pub(super) fn after(call: &Call<'_>) {
    if let Some(verb) = call.verb {
        failpoint::hit(&format!("engine.{verb}.after"));
    }
}

/// Sends one request and reads the answer's head; a status that is neither 2xx nor 304 is an error already.
/// Without a time limit of its own.
pub(super) async fn open(
    socket: &str,
    prefix: &str,
    call: &Call<'_>,
) -> Result<Response<Incoming>, EngineError> {
    if let Some(verb) = call.verb {
        failpoint::hit(&format!("engine.{verb}.before"));
    }
    let stream = UnixStream::connect(socket).await.map_err(|e| EngineError::from_connect(socket, &e))?;
    let uri = format!("{prefix}{}", call.path);
    let body = match call.body {
        Some(value) => serde_json::to_vec(value)
            .map_err(|e| EngineError::Garbled { what: call.what.clone(), why: e.to_string() })?,
        None => Vec::new(),
    };
    if let Some(verb) = call.verb
        && failpoint::armed(&format!("engine.{verb}.sent"))
    {
        return send_and_die(stream, &uri, call, &body).await;
    }
    let mut builder = Request::builder().method(call.method.clone()).uri(&uri).header(header::HOST, "docker");
    if call.body.is_some() {
        builder = builder.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(auth) = call.auth {
        builder = builder.header("X-Registry-Auth", auth);
    }
    let request = builder
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| EngineError::Garbled { what: call.what.clone(), why: e.to_string() })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| EngineError::hung_up(&call.what, &e))?;
    // Ends by itself when the answer has been read or dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|e| EngineError::hung_up(&call.what, &e))?;
    let status = response.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(response);
    }
    let bytes = response.into_body().collect().await.map_err(|e| EngineError::hung_up(&call.what, &e))?;
    after(call);
    Err(EngineError::from_status(status.as_u16(), message(&bytes.to_bytes())))
}

/// The fail point between a request and its answer: the engine has all of it, nobody will read what it says.
async fn send_and_die(
    mut stream: UnixStream,
    uri: &str,
    call: &Call<'_>,
    body: &[u8],
) -> Result<Response<Incoming>, EngineError> {
    use tokio::io::AsyncWriteExt as _;
    let mut head =
        format!("{} {uri} HTTP/1.1\r\nHost: docker\r\nContent-Length: {}\r\n", call.method, body.len());
    if call.body.is_some() {
        head.push_str("Content-Type: application/json\r\n");
    }
    if let Some(auth) = call.auth {
        head.push_str("X-Registry-Auth: ");
        head.push_str(auth);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).await.map_err(|e| EngineError::hung_up(&call.what, &e))?;
    stream.flush().await.map_err(|e| EngineError::hung_up(&call.what, &e))?;
    failpoint::die();
    Err(EngineError::TimedOut { what: call.what.clone() })
}

/// The engine's words in an error's body.
fn message(bytes: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    match value.as_ref().and_then(|v| v.get("message")).and_then(Value::as_str) {
        Some(text) => text.trim().to_owned(),
        None => String::from_utf8_lossy(bytes).trim().to_owned(),
    }
}

/// Percent-encodes one path segment or query value; `/`, `:` and `@` stay, as image references need them.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{encode, message};

    #[test]
    fn paths_are_encoded() {
        for (text, encoded) in [
            ("web.dockbeacon-1a2b.new", "web.dockbeacon-1a2b.new"),
            ("my net", "my%20net"),
            ("a?b&c=%", "a%3Fb%26c%3D%25"),
            ("127.0.0.1:5000/a@sha256:00", "127.0.0.1:5000/a@sha256:00"),
        ] {
            assert_eq!(encode(text), encoded);
        }
    }

    #[test]
    fn errors_carry_the_engines_words() {
        assert_eq!(message(br#"{"message":"No such container: x\n"}"#), "No such container: x");
        assert_eq!(message(b"page not found\n"), "page not found");
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod crash {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    /// The child: one rename against the fake engine, which must kill it.
    #[tokio::test]
    #[ignore = "the other half of a_request_is_sent_whole_and_its_answer_never_read"]
    async fn child() {
        let Ok(socket) = std::env::var("DOCKBEACON_TEST_SOCKET") else { return };
        let body = serde_json::json!({"a": "b"});
        let change =
            Call::change(Method::POST, "rename", "/x".to_owned(), "x".to_owned(), Duration::from_secs(5));
        let _ = call(&socket, "/v1.41", change.with(&body)).await;
    }

    #[test]
    fn a_request_is_sent_whole_and_its_answer_never_read() {
        for (point, sent, died) in [
            ("engine.rename.before", false, true),
            ("engine.rename.sent", true, true),
            ("engine.rename.after", true, true),
            ("engine.rename.after#2", true, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("s");
            let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "docker::raw::crash::child", "--ignored"])
                .env("DOCKBEACON_FAILPOINT", point)
                .env("DOCKBEACON_TEST_SOCKET", &socket)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let mut heard = Vec::new();
            if sent {
                let (mut stream, _) = listener.accept().unwrap();
                while !heard.ends_with(br#"{"a":"b"}"#) {
                    let mut part = [0; 1024];
                    let n = stream.read(&mut part).unwrap();
                    assert!(n > 0, "{point}: {}", String::from_utf8_lossy(&heard));
                    heard.extend_from_slice(&part[..n]);
                }
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            }
            let status = child.wait().unwrap();
            assert_eq!(status.signal(), died.then_some(9), "{point}: {status}");
            assert_eq!(heard.starts_with(b"POST /v1.41/x HTTP/1.1\r\n"), sent, "{point}");
        }
    }
}
