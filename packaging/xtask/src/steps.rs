//! Named steps with their times, and the table at the end.
//!
//! A step passes, fails or is skipped with a reason; nothing is skipped silently and a failure does
//! not keep the later steps from telling what they know. The whole run has one time limit, which
//! each step's programs inherit as what is left of it.

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::run::Result;

/// The test run fails past this.
const WHOLE_MAX: Duration = Duration::from_secs(60 * 60);

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did what it claims.
    Passed,
    /// It could not run here, and why.
    Skipped(String),
    /// It ran and found something.
    Failed(String),
}

/// What ran, in order.
pub(crate) struct Steps {
    clock: Stopwatch,
    only: Vec<String>,
    done: Vec<(&'static str, Duration, Verdict)>,
}

impl Steps {
    /// None yet; with names in `only`, other steps are left out.
    pub(crate) fn new(only: Vec<String>) -> Self {
        Self { clock: Stopwatch::start(), only, done: Vec::new() }
    }

    /// Time left of the whole run.
    pub(crate) fn left(&self) -> Duration {
        WHOLE_MAX.saturating_sub(self.clock.elapsed())
    }

    /// Runs a step.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce(Duration) -> Result<Verdict>,
    ) {
        if !self.only.is_empty() && !self.only.iter().any(|wanted| wanted == name) {
            return;
        }
        println!("\n── {name}");
        let clock = Stopwatch::start();
        let left = self.left();
        let verdict = if left.is_zero() {
            Verdict::Failed("the run was over its time limit before this step".into())
        } else {
            work(left).unwrap_or_else(Verdict::Failed)
        };
        match &verdict {
            Verdict::Passed => {}
            Verdict::Skipped(why) => println!("skipped: {why}"),
            Verdict::Failed(why) => println!("FAILED: {why}"),
        }
        self.done.push((name, clock.elapsed(), verdict));
    }

    /// Did a step of this name fail?
    pub(crate) fn failed(&self, name: &str) -> bool {
        self.done
            .iter()
            .any(|(done, _, verdict)| *done == name && matches!(verdict, Verdict::Failed(_)))
    }

    /// Prints the tables; an error if anything failed.
    pub(crate) fn close(self) -> Result<()> {
        println!("\n{:<28} {:>9}  result", "step", "time");
        for (name, time, verdict) in &self.done {
            let word = match verdict {
                Verdict::Passed => "passed",
                Verdict::Skipped(_) => "skipped",
                Verdict::Failed(_) => "FAILED",
            };
            println!("{name:<28} {:>7.1} s  {word}", time.as_secs_f64());
        }
        println!("{:<28} {:>7.1} s", "all", self.clock.elapsed().as_secs_f64());
        let of = |wanted: fn(&Verdict) -> Option<&String>| {
            let told = |(name, _, verdict): &(&'static str, Duration, Verdict)| {
                wanted(verdict).map(|why| (*name, why.clone()))
            };
            self.done.iter().filter_map(told).collect::<Vec<_>>()
        };
        let skipped = of(|verdict| match verdict {
            Verdict::Skipped(why) => Some(why),
            _ => None,
        });
        let failed = of(|verdict| match verdict {
            Verdict::Failed(why) => Some(why),
            _ => None,
        });
        if skipped.is_empty() {
            println!("\nNothing was skipped.");
        } else {
            println!("\nSkipped:");
            skipped.iter().for_each(|(name, why)| println!("  {name}: {why}"));
        }
        if !failed.is_empty() {
            println!("\nFailed:");
            failed.iter().for_each(|(name, why)| println!("  {name}: {why}"));
        }
        let passed = self.done.len() - skipped.len() - failed.len();
        let late = self.clock.elapsed() > WHOLE_MAX;
        println!("\n{passed} passed, {} failed", failed.len() + usize::from(late));
        if late {
            return Err(format!("the run took longer than {} minutes", WHOLE_MAX.as_secs() / 60));
        }
        if failed.is_empty() { Ok(()) } else { Err("the test run failed".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_fails_the_run_and_later_steps_still_run() {
        let mut steps = Steps::new(Vec::new());
        steps.step("one", |_| Err("broken".into()));
        let mut ran = false;
        steps.step("two", |_| {
            ran = true;
            Ok(Verdict::Passed)
        });
        assert!(ran && steps.failed("one") && !steps.failed("two"));
        assert!(steps.close().is_err());
    }

    #[test]
    fn a_skip_alone_does_not_fail_the_run() {
        let mut steps = Steps::new(Vec::new());
        steps.step("one", |_| Ok(Verdict::Skipped("no root".into())));
        assert!(steps.close().is_ok());
    }

    #[test]
    fn only_named_steps_run() {
        let mut steps = Steps::new(vec!["two".into()]);
        steps.step("one", |_| Err("must not run".into()));
        steps.step("two", |_| Ok(Verdict::Passed));
        assert!(steps.close().is_ok());
    }
}
