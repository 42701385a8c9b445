//! What a failed seed leaves behind: its timeline for people, its history for the checker.
//!
//! ```text
//! DIR/seed-17.timeline.txt      what happened, in order
//! DIR/seed-17.history.jsonl     what clients did and saw: `holdfast-checker check` judges it again
//! ```
//!
//! The same seed gives the same files.
//!
//! Caveat: what no client can see (two votes in one term, damage that is not noticed) stands in the
//! run's own output, not in the history.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use holdfast_checker::{Event, HistoryWriter};

use crate::command::Arguments;
use crate::seed::SeedResult;

/// Writes a history in the checker's format.
///
/// # Errors
/// The file cannot be written: which, and why.
pub(crate) fn write_history(path: &Path, history: &[Event]) -> Result<(), String> {
    let write = || {
        let mut writer = HistoryWriter::new(BufWriter::new(File::create(path)?));
        for event in history {
            writer.write(event)?;
        }
        writer.finish().map(drop)
    };
    write().map_err(|error| format!("{}: the history cannot be written: {error}", path.display()))
}

/// Leaves the files of a failed seed and says how to judge its history again.
pub(crate) fn leave(arguments: &Arguments, result: &SeedResult) {
    let stem = format!("seed-{}", result.seed);
    let timeline = arguments.evidence.join(format!("{stem}.timeline.txt"));
    let history = arguments.evidence.join(format!("{stem}.history.jsonl"));
    let left = fs::create_dir_all(&arguments.evidence)
        .and_then(|()| fs::write(&timeline, &result.timeline))
        .map_err(|error| format!("{}: {error}", timeline.display()))
        .and_then(|()| write_history(&history, &result.history));
    match left {
        Ok(()) => {
            println!("  timeline: {}", timeline.display());
            println!("  judge its history: {}", judge_command(&history));
        }
        Err(why) => println!("  nothing is left of it: {why}"),
    }
}

/// The command that judges a history again.
fn judge_command(history: &Path) -> String {
    format!("cargo run --release -p holdfast-checker -- check {}", history.display())
}

#[cfg(test)]
mod tests {
    use holdfast_checker::{Expectations, check_file};

    use super::*;
    use crate::planted::{self, Planted};
    use crate::seed::{self, Options};

    /// What the checker says of the file a run leaves.
    fn judged_again(
        seed: u64,
        planted: Planted,
        name: &str,
    ) -> (SeedResult, holdfast_checker::Report) {
        let options = Options { planted, keeps_timeline: false, timeline_rows: 0 };
        let result = seed::run(seed, options);
        let name = format!("holdfast-sim-{}-{name}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        write_history(&path, &result.history).unwrap();
        let report = check_file(&path, Expectations::default()).unwrap();
        fs::remove_file(path).unwrap();
        (result, report)
    }

    #[test]
    fn a_history_written_by_a_clean_seed_is_clean_to_the_checker() {
        let (result, report) = judged_again(1, Planted::default(), "clean");
        assert!(result.passed() && report.is_clean(), "{report}");
        assert!(report.counts.acked > 300, "{report}");
        assert_eq!(report, result.report);
    }

    #[test]
    fn a_history_written_by_a_failed_seed_fails_at_the_checker_with_the_same_anomalies() {
        let bug = planted::find("duplicate-appended").unwrap();
        let (result, report) = judged_again(1, bug.planted(), "failed");
        assert!(report.count("duplicate") > 0, "{report}");
        assert_eq!(report, result.report);
    }
}
