//! Asking a running daemon over its control socket.
//!
//! Owns the little HTTP that this takes. Must never touch the state folder.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::way::Failure;

/// A daemon.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// The daemon behind that socket.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// `GET`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(self.send(Method::GET, path, None).await?).await
    }

    /// `POST` with a JSON body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        read(self.send(Method::POST, path, Some(body)).await?).await
    }

    /// The event stream, line by line, to `line`, for as long as it lasts.
    pub async fn follow(&self, mut line: impl FnMut(&str)) {
        let Ok(response) = self.send(Method::GET, "/api/v1/events", None).await else { return };
        let mut body = response.into_body();
        let mut rest = String::new();
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            rest.push_str(&String::from_utf8_lossy(&data));
            while let Some(end) = rest.find('\n') {
                line(rest[..end].trim_end());
                rest.drain(..=end);
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Failure> {
        let busy = |why: String| {
            Failure::Busy(format!(
                "the daemon that owns the state folder cannot be asked ({}: {why}); run this as root or as a member of the group dockbeacon, or see `systemctl status dockbeacon`",
                self.socket.display()
            ))
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| busy(e.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| busy(e.to_string()))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
            .map_err(|e| Failure::Other(e.to_string()))?;
        sender.send_request(request).await.map_err(|e| busy(e.to_string()))
    }
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Failure> {
    let status = response.status();
    let bytes = response
        .into_body()
        .collect()
        .await
        .map_err(|e| Failure::Other(format!("the daemon hung up: {e}")))?;
    let bytes = bytes.to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|e| {
            Failure::Other(format!("the daemon's answer is not understood ({e}); is it of another version?"))
        });
    }
    let error: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |pointer: &str| error.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let message = match (text("/error/message"), text("/error/remedy")) {
        (message, _) if message.is_empty() => format!("the daemon answered with status {status}"),
        (message, remedy) if remedy.is_empty() => message,
        (message, remedy) => format!("{message}; {remedy}"),
    };
    Err(match (status, text("/error/code").as_str()) {
        (_, "busy") => Failure::Busy(message),
        (_, "engine-away") => Failure::EngineAway(message),
        (StatusCode::NOT_FOUND, _) => Failure::NotFound(message),
        _ => Failure::Other(message),
    })
}
