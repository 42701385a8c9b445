//! The running node: connections come in until a signal or the lane's end, then what is in flight
//! is answered and the lane is told to stop.
//!
//! ```text
//! SIGTERM, SIGINT ─▶ no new connections ─▶ open ones finish what was sent (10 s at most)
//!                                       ─▶ lane answers what it has ─▶ exit 0
//! device failed   ─▶ lane's end ─────────────────────────────────────▶ exit 1
//! ```

use crate::boot::context;
use crate::connection::budget::Budget;
use crate::connection::{Shared, serve};
use crate::lane_thread::{LaneDoor, LaneEnd};
use crate::service_manager;
use holdfast_broker::{Broker, Endpoint};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// After a signal, connections get this long to have what they sent answered; long polls are cut.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// After accept fails for want of descriptors, so that the log is not flooded.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Idle seconds before the first probe of a connection whose peer may be gone, and between probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A node that is ready.
pub struct Service {
    /// Listens.
    pub socket: TcpListener,
    /// Answers.
    pub broker: Arc<Broker>,
    /// Bounds requests in flight.
    pub budget: Budget,
    /// Largest request.
    pub request_bytes_max: usize,
    /// The listener's name.
    pub listener: Arc<str>,
    /// What its clients are told.
    pub advertised: Arc<Endpoint>,
}

/// Serves until a signal, or until the lane ends by itself.
pub async fn serve_until_stopped(
    service: Service,
    door: LaneDoor,
    lane: JoinHandle<LaneEnd>,
) -> LaneEnd {
    let (stop, stopping) = watch::channel(false);
    let mut lane_end = watch_lane(lane);
    let shared = Arc::new(Shared {
        broker: Arc::clone(&service.broker),
        budget: service.budget.clone(),
        request_bytes_max: service.request_bytes_max,
        stopping,
    });
    let mut connections = JoinSet::new();
    let mut signals = Box::pin(stop_signal());
    let early_end = loop {
        tokio::select! {
            accepted = service.socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    let context = context(&service, peer);
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        prepare(&stream, peer);
                        serve(stream, peer, context, &shared).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            // Finished ones are taken off the set; a panic in one has been printed and is its own.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            end = &mut lane_end => break Some(end.unwrap_or(LaneEnd::Stopped)),
            name = &mut signals => {
                tracing::info!("{name}: stopping");
                break None;
            }
        }
    };
    service_manager::stopping();
    drop(service.socket);
    if stop.send(true).is_err() {
        tracing::debug!("no connection is open");
    }
    if let Some(end) = early_end {
        connections.shutdown().await;
        return end;
    }
    let drained = timeout(DRAIN_LIMIT, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::info!(open = connections.len(), "closing connections that wait for records");
    }
    connections.shutdown().await;
    door.stop();
    lane_end.await.unwrap_or(LaneEnd::Stopped)
}

/// The end of the lane's thread as a future. A panic there has been printed: the node is dead.
fn watch_lane(lane: JoinHandle<LaneEnd>) -> oneshot::Receiver<LaneEnd> {
    let (tell, end) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let end = lane.join().unwrap_or_else(|_| {
            LaneEnd::DeviceFailed("the lane's thread panicked; its message stands above".to_owned())
        });
        drop(tell.send(end));
    });
    end
}

fn prepare(stream: &TcpStream, peer: SocketAddr) {
    use nix::sys::socket::{setsockopt, sockopt};
    let seconds = |limit: Duration| u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
    let set = stream.set_nodelay(true).and_then(|()| {
        setsockopt(stream, sockopt::KeepAlive, &true)?;
        setsockopt(stream, sockopt::TcpKeepIdle, &seconds(KEEPALIVE_IDLE))?;
        setsockopt(stream, sockopt::TcpKeepInterval, &seconds(KEEPALIVE_INTERVAL))?;
        Ok(())
    });
    if let Err(error) = set {
        // The connection works all the same, only slower or longer.
        tracing::debug!(%peer, %error, "a socket option could not be set");
    }
}

async fn stop_signal() -> &'static str {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        },
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be received; stop the node with SIGKILL");
            std::future::pending().await
        }
    }
}
