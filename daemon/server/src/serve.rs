//! The running node: connections come in until a signal or the lane's end, then what is in flight
//! is answered and the lane is told to stop.
//!
//! ```text
//! SIGTERM, SIGINT ─▶ no new connections ─▶ open ones finish what was sent (stop.drain)
//!                                       ─▶ lane answers what it has ─▶ exit 0
//! SIGHUP ─▶ the configuration is read again, see `reload`
//! device failed   ─▶ lane's end ─────────────────────────────────────▶ exit 1
//! ```

use crate::boot::context;
use crate::connection::{Shared, serve};
use crate::lane_thread::{LaneDoor, LaneEnd};
use crate::node::{Node, Phase};
use crate::reload::Reload;
use crate::service_manager;
use crate::status_line;
use crate::wal_pace;
use holdfast_broker::{Broker, Endpoint};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// After accept fails for want of descriptors: the connection waits in the kernel, and a descriptor
/// comes free whenever another connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What happens again and again is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Idle seconds before the first probe of a connection whose peer may be gone, and between probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A node that is ready.
pub struct Service {
    /// Listens.
    pub socket: TcpListener,
    /// Answers.
    pub broker: Arc<Broker>,
    /// The node as an operator sees it; its limits and its budget hold here.
    pub node: Arc<Node>,
    /// Largest request.
    pub request_bytes_max: usize,
    /// The listener's name.
    pub listener: Arc<str>,
    /// What its clients are told.
    pub advertised: Arc<Endpoint>,
    /// For SIGHUP.
    pub reload: Reload,
}

/// Serves until a signal, or until the lane ends by itself.
pub async fn serve_until_stopped(
    mut service: Service,
    door: LaneDoor,
    lane: JoinHandle<LaneEnd>,
) -> LaneEnd {
    let (stop, stopping) = watch::channel(false);
    let mut lane_end = watch_lane(lane);
    let shared = Arc::new(Shared {
        broker: Arc::clone(&service.broker),
        node: Arc::clone(&service.node),
        request_bytes_max: service.request_bytes_max,
        stopping,
    });
    let node = Arc::clone(&service.node);
    let status = tokio::spawn(status_line::keep_current(Arc::clone(&node)));
    let pace = tokio::spawn(wal_pace::keep_noting(Arc::clone(&node)));
    let mut connections = JoinSet::new();
    let mut signals = Box::pin(stop_signal());
    let mut hang_ups = signal(SignalKind::hangup()).ok();
    let mut door_keeper = DoorKeeper::default();
    let early_end = loop {
        let full = connections.len() >= node.limits.connections_max() as usize;
        door_keeper.full(&node, full);
        tokio::select! {
            accepted = service.socket.accept(), if !full => match accepted {
                Ok((stream, peer)) => {
                    let Some(seat) = node.seats.take(peer.ip(), node.limits.per_ip_max()) else {
                        door_keeper.refused_per_ip(&node, peer);
                        continue;
                    };
                    node.metrics.connections_opened.add(1);
                    let context = context(&service, peer);
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        let _seat = seat;
                        prepare(&stream, peer);
                        serve(stream, peer, context, &shared).await;
                    });
                }
                Err(error) => {
                    door_keeper.failed(&node, &error);
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        // Finished ones are taken off the set; a panic in one has been printed and is its own.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            Some(()) = hang_up(&mut hang_ups) => service.reload.run(),
            end = &mut lane_end => break Some(end.unwrap_or(LaneEnd::Stopped)),
            name = &mut signals => {
                // First: whoever reads the line finds the node not ready.
                node.set_phase(Phase::Stopping);
                tracing::info!("{name}: stopping");
                break None;
            }
        }
    };
    node.set_phase(Phase::Stopping);
    status.abort();
    pace.abort();
    service_manager::stopping();
    let drain_limit = service.reload.drain_limit();
    drop(service.socket);
    if stop.send(true).is_err() {
        tracing::debug!("no connection is open");
    }
    if let Some(end) = early_end {
        connections.shutdown().await;
        return end;
    }
    let drained = timeout(drain_limit, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::info!(open = connections.len(), "closing connections that wait for records");
    }
    connections.shutdown().await;
    door.stop();
    lane_end.await.unwrap_or(LaneEnd::Stopped)
}

/// What goes wrong at the door, told once a minute with how often.
#[derive(Default)]
struct DoorKeeper {
    was_full: bool,
    full: Seldom,
    per_ip: Seldom,
    failures: Seldom,
}

impl DoorKeeper {
    /// Kafka's way with `max.connections`: who comes then waits in the kernel until one leaves.
    fn full(&mut self, node: &Node, full: bool) {
        if full && !self.was_full {
            node.metrics.waits_for_connections.add(1);
            if let Some(times) = self.full.happened() {
                tracing::warn!(
                    connections = node.open_connections(),
                    times,
                    "max.connections is reached, or what LimitNOFILE= allows; new ones wait until one \
                     ends"
                );
            }
        }
        self.was_full = full;
    }

    fn refused_per_ip(&mut self, node: &Node, peer: SocketAddr) {
        node.metrics.refused_per_ip.add(1);
        if let Some(times) = self.per_ip.happened() {
            tracing::warn!(
                peer = %peer.ip(),
                times,
                "a connection was closed: its address has max.connections.per.ip open"
            );
        }
    }

    fn failed(&mut self, node: &Node, error: &std::io::Error) {
        node.metrics.accept_failures.add(1);
        if let Some(times) = self.failures.happened() {
            tracing::error!(
                %error,
                times,
                connections = node.open_connections(),
                "connections cannot be taken and wait; raise LimitNOFILE= if descriptors are used up"
            );
        }
    }
}

/// Counts, and speaks up once in [`TELL_EVERY`].
#[derive(Default)]
struct Seldom {
    told_at: Option<Instant>,
    times: u64,
}

impl Seldom {
    /// How often it has happened since it was last told, if it is time to tell.
    fn happened(&mut self) -> Option<u64> {
        self.times += 1;
        if self.told_at.is_some_and(|told_at| told_at.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told_at = Some(Instant::now());
        Some(std::mem::take(&mut self.times))
    }
}

/// The next SIGHUP; never, when they cannot be received.
async fn hang_up(signals: &mut Option<Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{getsockopt, sockopt};

    #[tokio::test]
    async fn a_connection_answers_without_delay_and_notices_a_dead_client() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (_client, (stream, peer)) = (client.expect("connects"), accepted.expect("accepts"));
        prepare(&stream, peer);
        assert!(stream.nodelay().expect("a socket"));
        assert!(getsockopt(&stream, sockopt::KeepAlive).expect("a socket"));
        let idle = getsockopt(&stream, sockopt::TcpKeepIdle).expect("a socket");
        assert_eq!(u64::from(idle), KEEPALIVE_IDLE.as_secs());
    }
}
