//! Many seeds over a few threads, what came of them, and the summary.
//!
//! A seed that panics has failed like one that lost a record: the panic's place is its anomaly.
//! Of one that failed otherwise, timeline and history are left in files, see `evidence`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::command::Arguments;
use crate::evidence;
use crate::planted::{self, Planted};
use crate::seed::{self, Options, SeedResult};
use crate::states::{OUT_OF_REACH, State, States};

/// Every state must be reached in a run of at least so many seeds; a shorter run only tells.
const SEEDS_FOR_ALL_STATES: u64 = 500;
/// Seeds where the command line does not say.
pub(crate) const SEEDS_DEFAULT: u64 = 500;
/// Timeline rows shown of a failed seed.
const TIMELINE_ROWS: usize = 60;
/// Failed seeds told in full.
const FAILURES_TOLD_MAX: usize = 5;

/// Seeds that failed once, each with what would have been lost.
const REGRESSIONS: &str = include_str!("../seeds.txt");

/// How a seed ended.
pub(crate) enum Outcome {
    Done(Box<SeedResult>),
    Panicked(String),
}

impl Outcome {
    pub(crate) fn passed(&self) -> bool {
        matches!(self, Outcome::Done(result) if result.passed())
    }

    pub(crate) fn detector(&self) -> String {
        match self {
            Outcome::Done(result) => result.detector(),
            Outcome::Panicked(_) => "panic".to_owned(),
        }
    }
}

pub(crate) fn run(seed: u64, planted: Planted, timeline_rows: usize) -> Outcome {
    let options = Options { planted, keeps_timeline: timeline_rows > 0, timeline_rows };
    match catch_unwind(AssertUnwindSafe(|| seed::run(seed, options))) {
        Ok(result) => Outcome::Done(Box::new(result)),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_default();
            Outcome::Panicked(words)
        }
    }
}

/// Runs a seed twice; a difference is a failure of its own.
fn run_checked(seed: u64, once: bool) -> Outcome {
    let mut first = run(seed, Planted::default(), 0);
    if !once
        && let Outcome::Done(result) = &mut first
        && let Outcome::Done(again) = run(seed, Planted::default(), 0)
        && again.trace_hash != result.trace_hash
    {
        result.broken.push(format!(
            "not-deterministic: trace hash {:016x}, then {:016x}",
            result.trace_hash, again.trace_hash
        ));
    }
    first
}

/// `--seed`.
pub(crate) fn run_one(seed: u64, arguments: &Arguments) -> bool {
    let rows = if arguments.trace { usize::MAX } else { TIMELINE_ROWS };
    let planted = match arguments.planted.as_deref().map(planted::find) {
        None => Planted::default(),
        Some(Some(bug)) => bug.planted(),
        Some(None) => {
            println!("no such bug; `--planted list` shows them");
            return false;
        }
    };
    let outcome = run(seed, planted, rows);
    match &outcome {
        Outcome::Done(result) => {
            tell_seed(result);
            if let Some(file) = &arguments.history
                && let Err(why) = evidence::write_history(file, &result.history)
            {
                println!("{why}");
                return false;
            }
            if arguments.trace || !result.passed() {
                println!("{}", result.timeline);
            }
            let same = arguments.once
                || matches!(run(seed, planted, rows),
                    Outcome::Done(again) if again.trace_hash == result.trace_hash);
            if !same {
                println!("seed {seed} did something else the second time");
            }
            if !result.passed() {
                tell_failure(result);
                evidence::leave(arguments, result);
            }
            let passed = result.passed() && same;
            println!("{} passed, {} failed", u8::from(passed), u8::from(!passed));
            passed
        }
        Outcome::Panicked(words) => {
            println!("seed {seed} panicked: {words}");
            println!("0 passed, 1 failed");
            false
        }
    }
}

fn tell_seed(result: &SeedResult) {
    println!(
        "seed {}: {} operations, {} acknowledged records, {} crashes, {} events, {:.1} s \
         simulated, trace hash {:016x}",
        result.seed,
        result.operations,
        result.report.counts.acked,
        result.crashes,
        result.events,
        result.simulated_ns as f64 / 1e9,
        result.trace_hash
    );
}

fn tell_failure(result: &SeedResult) {
    println!("seed {} FAILED", result.seed);
    for text in &result.broken {
        println!("  {text}");
    }
    if !result.report.is_clean() {
        println!("{}", result.report);
    }
    println!("  again: cargo xtask sim --seed {}", result.seed);
}

/// What many seeds came to.
#[derive(Default)]
struct Totals {
    seeds: u64,
    failed: BTreeMap<u64, String>,
    operations: u64,
    operations_min: Option<u64>,
    acked: u64,
    read: u64,
    crashes: u64,
    without_crash: u64,
    simulated_ns: u64,
    events: u64,
    faults: BTreeMap<&'static str, u64>,
    states: States,
}

impl Totals {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        match outcome {
            Outcome::Done(result) => {
                self.operations += result.operations;
                self.operations_min =
                    Some(self.operations_min.unwrap_or(u64::MAX).min(result.operations));
                self.acked += result.report.counts.acked;
                self.read += result.report.counts.read;
                self.crashes += result.crashes;
                self.without_crash += u64::from(result.crashes == 0);
                self.simulated_ns += result.simulated_ns;
                self.events += result.events;
                for (fault, count) in &result.faults {
                    *self.faults.entry(fault).or_default() += count;
                }
                self.states.add(&result.states);
                if !result.passed() {
                    self.failed.insert(seed, result.detector());
                }
            }
            Outcome::Panicked(words) => {
                let line = words.lines().next().unwrap_or_default();
                self.failed.insert(seed, format!("panic: {line}"));
            }
        }
    }
}

/// Runs a failed seed again, this time for people.
fn leave_evidence(seed: u64, arguments: &Arguments) {
    if let Outcome::Done(result) = run(seed, Planted::default(), usize::MAX) {
        evidence::leave(arguments, &result);
    }
}

fn regression_seeds() -> Vec<u64> {
    REGRESSIONS
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// `--seeds`.
#[expect(clippy::disallowed_methods, reason = "tells how fast it was; nothing depends on it")]
pub(crate) fn run_many(arguments: &Arguments) -> bool {
    let started = std::time::Instant::now();
    let mut seeds = regression_seeds();
    let known: BTreeSet<u64> = seeds.iter().copied().collect();
    let fresh = arguments.from..arguments.from + arguments.seeds.unwrap_or(SEEDS_DEFAULT);
    seeds.extend(fresh.filter(|seed| !known.contains(seed)));
    let totals = Mutex::new(Totals::default());
    let next = AtomicUsize::new(0);
    let silent = silence_panics();
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_checked(*seed, arguments.once);
                    let mut totals =
                        totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    totals.add(*seed, &outcome);
                    if !outcome.passed() && totals.failed.len() <= FAILURES_TOLD_MAX {
                        match &outcome {
                            Outcome::Done(result) => {
                                tell_failure(result);
                                leave_evidence(*seed, arguments);
                            }
                            Outcome::Panicked(words) => println!("seed {seed} PANICKED: {words}"),
                        }
                    }
                }
            });
        }
    });
    drop(silent);
    let totals = totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    summarise(&totals, arguments, started.elapsed())
}

fn summarise(totals: &Totals, arguments: &Arguments, took: Duration) -> bool {
    let rounds = if arguments.once { 1 } else { 2 };
    println!(
        "{} seeds, each run {rounds} time(s): {} operations (at least {} a seed), {} records \
         acknowledged, {} read, {} events",
        totals.seeds,
        totals.operations,
        totals.operations_min.unwrap_or(0),
        totals.acked,
        totals.read,
        totals.events
    );
    println!(
        "{} crashes ({} seeds without one), {:.2} simulated hours, {:.1} runs a second on {} \
         threads, {:.0} s",
        totals.crashes,
        totals.without_crash,
        totals.simulated_ns as f64 / 3.6e12,
        (totals.seeds * rounds) as f64 / took.as_secs_f64(),
        arguments.jobs.max(1),
        took.as_secs_f64()
    );
    println!("faults fired:");
    for (fault, count) in &totals.faults {
        println!("  {count:>10}  {fault}");
    }
    println!("states reached:");
    let mut missing = 0;
    for state in State::ALL {
        let count = totals.states.count(*state);
        missing += usize::from(count == 0);
        let mark = if count == 0 { "   NEVER" } else { "" };
        println!("  {count:>10}  {}{mark}", state.text());
    }
    for reason in OUT_OF_REACH {
        println!("  out of reach: {reason}");
    }
    let states_count = totals.seeds >= SEEDS_FOR_ALL_STATES;
    if missing > 0 {
        let verdict =
            if states_count { "the run has failed" } else { "told only, the run is short" };
        println!("{missing} states were never reached: {verdict}");
    }
    for (seed, why) in &totals.failed {
        println!("failed: {why}; again: cargo xtask sim --seed {seed}");
    }
    let failed = totals.failed.len() as u64;
    println!("{} passed, {failed} failed", totals.seeds - failed);
    failed == 0 && (missing == 0 || !states_count)
}

/// Keeps panics of seeds off the terminal; they are told with their seed.
pub(crate) fn silence_panics() -> impl Drop {
    type Hook = Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Sync + Send + 'static>;
    struct Restore(Option<Hook>);
    impl Drop for Restore {
        fn drop(&mut self) {
            if let Some(hook) = self.0.take() {
                std::panic::set_hook(hook);
            }
        }
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    Restore(Some(before))
}
