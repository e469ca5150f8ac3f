//! Accepting connections, and ending them well.
//!
//! Owns the limits on connections, telling TLS from plain HTTP by the first byte, and the drain at the end. Must never cut
//! a request that can still be answered in time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Extensions, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::caller::{OverTls, SocketPeer};
use super::tls::Identity;

/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// A head must be in after so long; an idle connection is closed after as long.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Open requests may take so long to end when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failed accept (no file descriptors left) we try again so much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The first byte of a TLS connection: a handshake record.
const HANDSHAKE: u8 = 0x16;

/// Serves until `shutdown`, then stops accepting, lets open requests end, and cuts what is left after five seconds. With a
/// certificate the one port speaks TLS and plain HTTP.
pub async fn serve_tcp(
    listener: TcpListener,
    app: Router,
    identity: Option<Identity>,
    shutdown: CancellationToken,
) {
    let tls = identity.map(|identity| identity.acceptor());
    serve(Listener::Tcp(listener, tls), app, shutdown).await;
}

/// The same on a unix socket. Who may connect is the file's mode; who it was goes into the audit log.
pub async fn serve_unix(listener: UnixListener, app: Router, shutdown: CancellationToken) {
    serve(Listener::Unix(listener), app, shutdown).await;
}

enum Listener {
    Tcp(TcpListener, Option<TlsAcceptor>),
    Unix(UnixListener),
}

enum Stream {
    Tcp(TcpStream, Option<TlsAcceptor>),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> std::io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener, tls) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and wanted at once.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream, tls.clone()), Peer::Tcp(peer, false)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                Ok((Stream::Unix(stream), Peer::Unix(SocketPeer { uid })))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Peer {
    /// From where, and whether over TLS.
    Tcp(SocketAddr, bool),
    Unix(SocketPeer),
}

impl Peer {
    fn mark(self, extensions: &mut Extensions) {
        match self {
            Self::Tcp(address, tls) => {
                extensions.insert(ConnectInfo(address));
                if tls {
                    extensions.insert(OverTls);
                }
            }
            Self::Unix(peer) => {
                extensions.insert(peer);
            }
        }
    }
}

async fn serve(listener: Listener, app: Router, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(std::io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (stream, peer, place))
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = next => match accepted {
                Ok((stream, peer, place)) => {
                    let (app, shutdown) = (app.clone(), shutdown.clone());
                    open.spawn(async move {
                        match stream {
                            Stream::Tcp(stream, tls) => greet(stream, tls, peer, app, shutdown).await,
                            Stream::Unix(stream) => connection(stream, peer, app, shutdown).await,
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted; trying again");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Nobody shall wait in the kernel's queue for a server that has left.
    drop(listener);
    let drained = tokio::time::timeout(DRAIN, async { while open.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(left = open.len(), "connections were cut after five seconds");
        open.shutdown().await;
    }
}

/// Looks at the first byte and takes off TLS where it is one of that. Whoever sends nothing is not waited for long.
async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: Peer,
    app: Router,
    shutdown: CancellationToken,
) {
    let (Some(tls), Peer::Tcp(address, _)) = (tls, peer) else {
        return connection(stream, peer, app, shutdown).await;
    };
    let mut first = [0_u8];
    let hello = async {
        if stream.peek(&mut first).await? == 0 {
            return Ok(None);
        }
        if first[0] != HANDSHAKE {
            return Ok(Some(Hello::Plain(stream)));
        }
        tls.accept(stream).await.map(|stream| Some(Hello::Tls(Box::new(stream))))
    };
    let hello: std::io::Result<Option<Hello>> = tokio::select! {
        () = shutdown.cancelled() => return,
        hello = tokio::time::timeout(HEAD_PATIENCE, hello) => hello.unwrap_or(Ok(None)),
    };
    match hello {
        Ok(Some(Hello::Plain(stream))) => connection(stream, peer, app, shutdown).await,
        Ok(Some(Hello::Tls(stream))) => connection(*stream, Peer::Tcp(address, true), app, shutdown).await,
        Ok(None) => {}
        // Browsers that do not trust the certificate hang up like this.
        Err(error) => tracing::debug!(%error, "a connection ended before its first request"),
    }
}

enum Hello {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

async fn connection<S>(stream: S, peer: Peer, app: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        async move {
            let mut request = request.map(Body::new);
            peer.mark(request.extensions_mut());
            let answer: Result<Response<Body>, Infallible> = app.oneshot(request).await;
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
