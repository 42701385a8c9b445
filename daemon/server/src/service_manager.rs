//! What systemd is told: READY once clients can connect, STATUS for `systemctl status`, WATCHDOG
//! from the lane's own turns, EXTEND_TIMEOUT during recovery, RELOADING, STOPPING.
//!
//! The watchdog is fed by the thread that makes records durable, never by a timer: a lane that
//! hangs in the kernel is a node that is dead, whatever its sockets say.
//!
//! Every message is lost without harm when nobody listens (no `NOTIFY_SOCKET`).

use sd_notify::NotifyState;
use std::time::Duration;

/// Asked of systemd again and again while the write-ahead log is read.
const RECOVERY_EXTENSION: Duration = Duration::from_secs(60);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

/// Clients can connect.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A line for `systemctl status`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Whether anybody listens.
#[must_use]
pub fn is_listening() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The configuration is being read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // Without the time systemd takes it for no reload; it says so itself.
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The configuration was read, whether or not anything was changed.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Recovery goes on: do not kill us for being slow.
pub fn still_starting(status: &str) {
    let extension_usec = u32::try_from(RECOVERY_EXTENSION.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(extension_usec), NotifyState::Status(status)]);
}

/// No new connections from here on.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: answering what is in flight")]);
}

/// Feeds the watchdog at most every quarter of its limit, and says by when it wants to be called
/// again.
#[derive(Debug)]
pub struct Watchdog {
    /// `None` when systemd watches nothing.
    interval_ns: Option<u64>,
    next_ns: u64,
}

impl Watchdog {
    /// Reads `WATCHDOG_USEC` and `WATCHDOG_PID`.
    #[must_use]
    pub fn from_environment() -> Watchdog {
        Watchdog::with_limit(sd_notify::watchdog_enabled())
    }

    fn with_limit(limit: Option<Duration>) -> Watchdog {
        let interval_ns = limit
            .map(|limit| u64::try_from(limit.as_nanos() / 4).unwrap_or(u64::MAX).max(1_000_000));
        Watchdog { interval_ns, next_ns: 0 }
    }

    /// Called once per turn of the lane. Returns whether systemd was told.
    pub fn feed(&mut self, boottime_ns: u64) -> bool {
        let Some(interval_ns) = self.interval_ns else { return false };
        if boottime_ns < self.next_ns {
            return false;
        }
        self.next_ns = boottime_ns.saturating_add(interval_ns);
        tell(&[NotifyState::Watchdog]);
        true
    }

    /// The lane must turn again by then, even if nobody asks for anything.
    #[must_use]
    pub fn next_wake_ns(&self) -> Option<u64> {
        self.interval_ns.map(|_| self.next_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_four_times_as_often_as_it_bites() {
        let mut watchdog = Watchdog::with_limit(Some(Duration::from_secs(30)));
        assert!(watchdog.feed(1));
        assert!(!watchdog.feed(7_000_000_000));
        assert_eq!(watchdog.next_wake_ns(), Some(7_500_000_001));
        assert!(watchdog.feed(7_500_000_001));
    }

    #[test]
    fn without_a_watchdog_nothing_wakes_the_lane() {
        let mut watchdog = Watchdog::with_limit(None);
        assert!(!watchdog.feed(1));
        assert_eq!(watchdog.next_wake_ns(), None);
    }
}
