//! A proxy in front of an engine's socket that writes down every request, and can keep a request or an answer back.
//!
//! Owns its socket and its log. Must never change a request or an answer.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::engine::TestEngine;
use crate::sandbox::locked;

/// One request that went through: method and path with query.
pub type Seen = (String, String);

#[derive(Debug, Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    held: Mutex<Option<Seen>>,
    gate: Mutex<Option<Seen>>,
    /// Requests that stand at the gate, and the bell for whoever waits on either side of it.
    waiting: AtomicUsize,
    moved: Notify,
    delayed: watch::Sender<Option<Seen>>,
    severed: AtomicBool,
}

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where to reach it, as in `DOCKER_HOST`.
    pub host: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on `FOLDER/proxy.sock` in front of the engine. Needs a running runtime.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(engine: &TestEngine, folder: &Path) -> Result<Self> {
        let socket = folder.join("proxy.sock");
        let listener =
            UnixListener::bind(&socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
        let state = Arc::new(State::default());
        let (shared, upstream) = (Arc::clone(&state), engine.socket());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, upstream) = (Arc::clone(&shared), upstream.clone());
                tokio::spawn(async move {
                    let service =
                        service_fn(move |request| forward(request, upstream.clone(), Arc::clone(&state)));
                    // A client that goes away is none of our business.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                });
            }
        });
        Ok(Self { host: format!("unix://{}", socket.display()), state, task })
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.state.seen).clone()
    }

    /// Forgets them.
    pub fn clear(&self) {
        locked(&self.state.seen).clear();
    }

    /// From now on the engine gets requests of this method whose path holds this text, and nobody gets the answer.
    pub fn hold(&self, method: &str, path: &str) {
        *locked(&self.state.held) = Some((method.into(), path.into()));
    }

    /// From now on requests of this method whose path holds this text wait before they reach the engine.
    pub fn close_gate(&self, method: &str, path: &str) {
        *locked(&self.state.gate) = Some((method.into(), path.into()));
    }

    /// Waits until a request stands at the gate.
    ///
    /// # Errors
    /// None came in time; what came instead is in the message.
    pub async fn at_gate(&self, limit: Duration) -> Result<()> {
        let arrived = async {
            loop {
                let moved = self.state.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if self.state.waiting.load(Ordering::SeqCst) > 0 {
                    return;
                }
                moved.await;
            }
        };
        let seen = || format!("nothing came to the gate; seen: {:?}", self.seen());
        tokio::time::timeout(limit, arrived).await.with_context(seen)
    }

    /// Lets everything through that stands at the gate, and whatever comes.
    pub fn open_gate(&self) {
        *locked(&self.state.gate) = None;
        self.state.moved.notify_waiters();
    }

    /// From now on answers to requests of this method whose path holds this text wait until [`Self::release`].
    pub fn delay(&self, method: &str, path: &str) {
        self.state.severed.store(false, Ordering::SeqCst);
        self.state.delayed.send_replace(Some((method.into(), path.into())));
    }

    /// Hangs up on whoever waits for a delayed answer, as an engine that died would.
    pub fn sever(&self) {
        self.state.severed.store(true, Ordering::SeqCst);
        self.state.delayed.send_replace(None);
    }

    /// Ends [`Self::hold`] for requests to come, and [`Self::delay`].
    pub fn release(&self) {
        *locked(&self.state.held) = None;
        self.state.delayed.send_replace(None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(
    mut request: Request<Incoming>,
    upstream: PathBuf,
    state: Arc<State>,
) -> Result<Response<Incoming>> {
    let seen = (
        request.method().to_string(),
        request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
    );
    let held = locked(&state.held).as_ref().is_some_and(|(m, p)| *m == seen.0 && seen.1.contains(p));
    let mut delayed = state.delayed.subscribe();
    let late = delayed.borrow().as_ref().is_some_and(|(m, p)| *m == seen.0 && seen.1.contains(p));
    locked(&state.seen).push(seen.clone());
    pass_gate(&state, &seen).await;
    let stream = UnixStream::connect(&upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let from_client = hyper::upgrade::on(&mut request);
    let mut response = sender.send_request(request).await?;
    if held {
        std::future::pending::<()>().await;
    }
    if late {
        delayed.wait_for(Option::is_none).await?;
        if state.severed.load(Ordering::SeqCst) {
            bail!("severed");
        }
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let from_engine = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(client), Ok(engine)) = (from_client.await, from_engine.await) {
                let _ =
                    tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(engine)).await;
            }
        });
    }
    Ok(response)
}

async fn pass_gate(state: &State, seen: &Seen) {
    let closed = || locked(&state.gate).as_ref().is_some_and(|(m, p)| *m == seen.0 && seen.1.contains(p));
    if !closed() {
        return;
    }
    state.waiting.fetch_add(1, Ordering::SeqCst);
    state.moved.notify_waiters();
    loop {
        let moved = state.moved.notified();
        tokio::pin!(moved);
        // Listening before looking, or the opening in between would be missed.
        moved.as_mut().enable();
        if !closed() {
            break;
        }
        moved.await;
    }
    state.waiting.fetch_sub(1, Ordering::SeqCst);
}
