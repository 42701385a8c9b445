//! The kernel's clocks behind [`holdfast_base::Clock`]: the one place of the daemon that reads
//! them.
//!
//! CLOCK_BOOTTIME counts suspend, so a lease cannot outlive a laptop lid or a paused machine.

use holdfast_base::{Clock, Now};
use nix::time::{ClockId, clock_gettime};

/// CLOCK_BOOTTIME and CLOCK_REALTIME.
#[derive(Clone, Copy, Default, Debug)]
pub struct KernelClock;

impl Clock for KernelClock {
    fn now(&self) -> Now {
        let boottime = clock_gettime(ClockId::CLOCK_BOOTTIME)
            .expect("Linux has had CLOCK_BOOTTIME since 2.6.39, and the pointer is ours");
        let wall = clock_gettime(ClockId::CLOCK_REALTIME)
            .expect("CLOCK_REALTIME always exists, and the pointer is ours");
        let boottime_ns = boottime.tv_sec() * 1_000_000_000 + boottime.tv_nsec();
        Now {
            boottime_ns: u64::try_from(boottime_ns).unwrap_or(0),
            wall_ms: wall.tv_sec() * 1_000 + wall.tv_nsec() / 1_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_never_goes_back() {
        let mut last = 0;
        for _ in 0..1_000 {
            let now = KernelClock.now();
            assert!(now.boottime_ns >= last);
            assert!(now.wall_ms > 1_600_000_000_000, "after 2020");
            last = now.boottime_ns;
        }
    }
}
