//! A line of 50 ms round trip, made of a TCP proxy on loopback.
//!
//! Owns its port. Delays every piece of data by half a round trip each way without holding up what comes after it, so
//! bandwidth stays what it was. Loopback's handshake takes no time, while on a real line it takes one round trip: the
//! client's first bytes wait that much longer. Must never look into what it carries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A running proxy; lives as long as the runtime.
pub struct Line {
    /// Where to reach the far side through it.
    pub address: String,
    round_trip: Arc<AtomicU64>,
}

impl Line {
    /// Listens on a free port before it is known what lies behind.
    pub async fn start(far: String) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let round_trip = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&round_trip);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let begun = Instant::now();
                let trip = Duration::from_millis(shared.load(Ordering::Relaxed));
                let far = far.clone();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(far).await else { return };
                    let _ = (near.set_nodelay(true), far.set_nodelay(true));
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    carry(near_in, far_out, trip / 2, begun + trip + trip / 2);
                    carry(far_in, near_out, trip / 2, begun);
                });
            }
        });
        Ok(Self { address, round_trip })
    }

    /// From the next connection on, a round trip takes so long.
    pub fn set_round_trip(&self, length: Duration) {
        self.round_trip.store(u64::try_from(length.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Carries one direction: each piece `delay` after it came, and none before `earliest`.
fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, earliest: Instant) {
    let (pieces, mut queue) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let due = (Instant::now() + delay).max(earliest);
            if pieces.send((due, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, piece)) = queue.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    });
}
