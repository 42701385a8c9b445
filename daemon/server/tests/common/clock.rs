//! The one place where a test lets time pass.

use std::time::Duration;

/// Waits, where nothing that could be waited for will come.
#[expect(clippy::disallowed_methods, reason = "a real process needs real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
