//! A line that tells how far something is, with rate and time left: on a terminal's standard
//! error only, never in a pipe, a few times a second.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::clock::Stopwatch;

const REDRAW: Duration = Duration::from_millis(200);
const BAR_CELLS: usize = 24;

/// One line on standard error.
pub(crate) struct Progress {
    label: &'static str,
    shown: bool,
    started: Stopwatch,
    drawn_at: Option<Duration>,
}

impl Progress {
    pub(crate) fn start(label: &'static str) -> Progress {
        let shown = io::stderr().is_terminal();
        Progress { label, shown, started: Stopwatch::start(), drawn_at: None }
    }

    /// `done` of 0 to 1, and what is worth saying beside it.
    pub(crate) fn at(&mut self, done: f64, rate: &str) {
        let elapsed = self.started.elapsed();
        let is_due = self.drawn_at.is_none_or(|last| elapsed.saturating_sub(last) >= REDRAW);
        if self.shown && is_due {
            self.drawn_at = Some(elapsed);
            let line = line(self.label, done, rate, elapsed);
            let _ = write!(io::stderr(), "\r{line}\u{1b}[K");
            let _ = io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn_at.is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn line(label: &str, done: f64, rate: &str, elapsed: Duration) -> String {
    let done = if done.is_finite() { done.clamp(0.0, 1.0) } else { 0.0 };
    let full = (done * BAR_CELLS as f64) as usize;
    let bar = format!("{}{}", "#".repeat(full), ".".repeat(BAR_CELLS - full));
    // Before the first percent a guess would jump about.
    let left = if done > 0.01 {
        format!("{:.0} s left", elapsed.as_secs_f64() * (1.0 - done) / done)
    } else {
        "-".to_owned()
    };
    format!("{label:<10} [{bar}] {:3.0} %  {rate}  {left}", done * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_share_rate_and_time_left() {
        let text = line("produce", 0.25, "12 MiB/s", Duration::from_secs(5));
        assert_eq!(text, "produce    [######..................]  25 %  12 MiB/s  15 s left");
        assert!(line("x", f64::NAN, "", Duration::ZERO).ends_with("  0 %    -"));
        assert!(line("x", 7.0, "", Duration::ZERO).contains("100 %"));
    }
}
