//! `--planted`: puts bugs in, one at a time, and looks for a seed that finds each.
//!
//! | bug | not found |
//! | --- | --- |
//! | in reach | the run has failed |
//! | out of reach here | told, with the test that finds it; the run has failed if a seed does find it |
//!
//! A bug's seed from an earlier search is tried first, because most searches then end there. It
//! lies in the range of the search itself, so nothing is found by it alone.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::command::Arguments;
use crate::planted::{self, BUGS, Bug, Reach};
use crate::report::{SEEDS_DEFAULT, run as run_seed, silence_panics};

/// Of all bugs, at least so many must be found, whatever the table excuses.
const FOUND_MIN: usize = 30;
/// A bug that is out of reach is looked for in so many seeds: whether it still is.
const SEEDS_OUT_OF_REACH: u64 = 60;

/// Looks for the bug of that name, or for all.
pub(crate) fn run(name: &str, arguments: &Arguments) -> bool {
    if name == "list" {
        for bug in BUGS {
            println!("{}", bug.name);
        }
        return true;
    }
    let bugs: Vec<&Bug> = if name == "all" {
        BUGS.iter().collect()
    } else {
        let Some(bug) = planted::find(name) else {
            println!("no bug is called {name}; `--planted list` shows them");
            return false;
        };
        vec![bug]
    };
    let silent = silence_panics();
    println!("{:<32} {:>6}  detector", "bug", "seed");
    let (mut found, mut failed) = (0, 0);
    for bug in &bugs {
        let outcome = look_for(bug, arguments);
        found += usize::from(outcome.is_some());
        let text = match (&outcome, bug.reach) {
            (Some((_, detector)), Reach::Here { .. }) => detector.clone(),
            (None, Reach::Here { .. }) => {
                failed += 1;
                "NOT FOUND".to_owned()
            }
            (None, Reach::Elsewhere { why, test }) => {
                format!("out of reach: {why}; found by {test}")
            }
            (Some((_, detector)), Reach::Elsewhere { .. }) => {
                failed += 1;
                format!("{detector}: it is called out of reach, and is not")
            }
        };
        let seed = outcome.map_or_else(|| "-".to_owned(), |(seed, _)| seed.to_string());
        println!("{:<32} {seed:>6}  {text}", bug.name);
    }
    drop(silent);
    println!("{found} planted bugs found of {}", bugs.len());
    if name == "all" && found < FOUND_MIN {
        println!("at least {FOUND_MIN} must be");
        failed = failed.max(1);
    }
    println!("{} passed, {failed} failed", bugs.len() - failed);
    failed == 0
}

/// A seed that finds a bug: the known one, else the lowest.
fn look_for(bug: &Bug, arguments: &Arguments) -> Option<(u64, String)> {
    let seeds = match bug.reach {
        Reach::Here { first } if !arguments.from_scratch => {
            let outcome = run_seed(first, bug.planted(), 0);
            if !outcome.passed() {
                return Some((first, outcome.detector()));
            }
            arguments.seeds.unwrap_or(SEEDS_DEFAULT)
        }
        Reach::Here { .. } => arguments.seeds.unwrap_or(SEEDS_DEFAULT),
        Reach::Elsewhere { .. } => arguments.seeds.unwrap_or(SEEDS_OUT_OF_REACH),
    };
    search(bug, seeds, arguments)
}

/// The lowest seed that finds a bug.
fn search(bug: &Bug, seeds: u64, arguments: &Arguments) -> Option<(u64, String)> {
    let found = Mutex::new(None::<(u64, String)>);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let offset = next.fetch_add(1, Ordering::Relaxed) as u64;
                    let seed = arguments.from + offset;
                    let lowest = |found: &Option<(u64, String)>| {
                        found.as_ref().is_some_and(|(lowest, _)| *lowest < seed)
                    };
                    let is_over =
                        found.lock().map_or(true, |found| lowest(&found)) || offset >= seeds;
                    if is_over {
                        return;
                    }
                    let outcome = run_seed(seed, bug.planted(), 0);
                    if !outcome.passed()
                        && let Ok(mut found) = found.lock()
                        && !lowest(&found)
                    {
                        *found = Some((seed, outcome.detector()));
                    }
                }
            });
        }
    });
    found.into_inner().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_seed_is_one_of_those_a_search_from_scratch_tries() {
        for bug in BUGS {
            if let Reach::Here { first } = bug.reach {
                assert!((1..=SEEDS_DEFAULT).contains(&first), "{}", bug.name);
            }
        }
    }
}
