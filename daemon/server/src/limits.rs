//! Limits on connections, under Kafka's names, changed while connections are open: by the cluster
//! (`kafka-configs.sh`) and by SIGHUP.
//!
//! Connections never get the process's last descriptors: some are kept for the log's files, the
//! admin pages and whatever the node opens while it runs.
//!
//! ```text
//! RLIMIT_NOFILE  = connections + kept;   kept = files of a full log + DESCRIPTORS_KEPT
//! connections    = min(max.connections, RLIMIT_NOFILE - kept), at least CONNECTIONS_MIN
//! ```

use holdfast_metadata::BrokerSettings;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Beside the log's files: listeners, rings, timers, sealed segments being read, admin pages.
const DESCRIPTORS_KEPT: u64 = 64;
/// However few descriptors there are, an operator's own client gets in; what then fails is tried
/// again (accept, and the log's next file).
const CONNECTIONS_MIN: u32 = 32;

/// What holds now.
#[derive(Debug)]
pub struct Limits {
    /// Descriptors that connections do not get.
    kept: AtomicU64,
    idle_ms: AtomicI64,
    connections_max: AtomicU32,
    per_ip_max: AtomicU32,
}

impl Limits {
    /// From what holds for this node.
    #[must_use]
    pub fn new(settings: &BrokerSettings) -> Limits {
        let limits = Limits {
            kept: AtomicU64::new(DESCRIPTORS_KEPT),
            idle_ms: AtomicI64::new(0),
            connections_max: AtomicU32::new(0),
            per_ip_max: AtomicU32::new(0),
        };
        limits.set(settings);
        limits
    }

    /// Keeps descriptors for a log of at most so many files.
    pub fn keep_for_log(&self, files_max: u64) {
        self.kept.store(files_max + DESCRIPTORS_KEPT, Ordering::Relaxed);
    }

    /// Takes what holds now.
    pub fn set(&self, settings: &BrokerSettings) {
        self.idle_ms.store(settings.connection_idle_ms_max, Ordering::Relaxed);
        self.connections_max.store(settings.connections_max, Ordering::Relaxed);
        self.per_ip_max.store(settings.connections_per_ip_max, Ordering::Relaxed);
    }

    /// `connections.max.idle.ms`; `None` is without bound.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        u64::try_from(self.idle_ms.load(Ordering::Relaxed)).ok().map(Duration::from_millis)
    }

    /// `max.connections`, as far as descriptors go. The kernel is asked each time: `prlimit`
    /// changes the limit of a running process.
    #[must_use]
    pub fn connections_max(&self) -> u32 {
        let wanted = self.connections_max.load(Ordering::Relaxed);
        match getrlimit(Resource::RLIMIT_NOFILE) {
            Ok((soft, _)) => wanted.min(affordable(soft, self.kept.load(Ordering::Relaxed))),
            Err(_) => wanted,
        }
    }

    /// `max.connections.per.ip`.
    #[must_use]
    pub fn per_ip_max(&self) -> u32 {
        self.per_ip_max.load(Ordering::Relaxed)
    }
}

/// Takes all the descriptors the process may have: the soft limit of a shell is 1,024, for
/// programs that still use select(2).
pub fn raise_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

/// Connections that `descriptors` allow when `kept` of them are not for connections.
fn affordable(descriptors: u64, kept: u64) -> u32 {
    let left = descriptors.saturating_sub(kept);
    u32::try_from(left).unwrap_or(u32::MAX).max(CONNECTIONS_MIN)
}

/// Who is connected.
#[derive(Default, Debug)]
pub struct Seats {
    open: AtomicUsize,
    by_ip: Mutex<BTreeMap<IpAddr, u32>>,
}

/// One connection's place, given back on drop, however the connection ends.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    ip: IpAddr,
}

impl Seats {
    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for one more from `ip`, unless it has `per_ip_max`.
    pub fn take(self: &Arc<Self>, ip: IpAddr, per_ip_max: u32) -> Option<Seat> {
        // One client over IPv4 and its mapped form is one client.
        let ip = ip.to_canonical();
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_ip.entry(ip).or_default();
        if *count >= per_ip_max {
            if *count == 0 {
                by_ip.remove(&ip);
            }
            return None;
        }
        *count += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Seat { seats: Arc::clone(self), ip })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut by_ip = self.seats.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                by_ip.remove(&self.ip);
            }
        }
        self.seats.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_never_get_the_descriptors_the_log_needs() {
        assert_eq!(affordable(1 << 20, 192), (1 << 20) - 192);
        assert_eq!(affordable(1024, 192), 832);
        assert_eq!(affordable(200, 192), CONNECTIONS_MIN);
        assert_eq!(affordable(0, 192), CONNECTIONS_MIN);
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let seats = Arc::new(Seats::default());
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let first = seats.take(ip("192.0.2.1"), 2).expect("one");
        let _second = seats.take(ip("::ffff:192.0.2.1"), 2).expect("two, in its other form");
        assert!(seats.take(ip("192.0.2.1"), 2).is_none());
        let _other = seats.take(ip("192.0.2.2"), 2).expect("another client");
        assert_eq!(seats.open(), 3);
        drop(first);
        assert_eq!(seats.open(), 2);
        assert!(seats.take(ip("192.0.2.1"), 2).is_some());
        assert!(seats.take(ip("192.0.2.3"), 0).is_none());
        assert!(!seats.by_ip.lock().expect("whole").contains_key(&ip("192.0.2.3")));
    }
}
