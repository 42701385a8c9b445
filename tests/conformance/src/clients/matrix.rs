//! The judgement over all cells, as text and as a page.
//!
//! | the cell | listed in FINDINGS.md | not listed |
//! | --- | --- | --- |
//! | passed | fails the run: take the row away | good |
//! | unsupported | shown with its cause | fails the run |
//! | failed | shown as known | fails the run |
//!
//! Against Kafka the list is not held to shrink: a row may tell of Holdfast alone.

use std::fmt::Write as _;

use super::SCENARIOS;
use super::cell::{Cell, Verdict};
use super::findings::Finding;
use crate::{Outcome, Result};

/// What the page says of the run.
pub(super) struct About {
    pub(super) node: String,
    pub(super) date: String,
    pub(super) records: usize,
    pub(super) kills: usize,
}

pub(super) struct Judged {
    cells: Vec<(Cell, Option<Finding>)>,
    /// Why the run fails.
    faults: Vec<String>,
}

pub(super) fn judge(cells: Vec<Cell>, findings: Vec<Finding>, kafka: bool) -> Judged {
    let listed = |cell: &Cell| {
        let same = |row: &&Finding| row.client == cell.program && row.scenario == cell.scenario;
        findings.iter().find(same).cloned()
    };
    let cells: Vec<_> = cells.into_iter().map(|cell| (listed(&cell), cell)).collect();
    let fault = |(finding, cell): &(Option<Finding>, Cell)| match (&cell.verdict, finding) {
        (Verdict::Passed(_), Some(_)) if !kafka => Some(format!(
            "{} {}: passes, and FINDINGS.md lists it: the list may only shrink, take the row away",
            cell.program, cell.scenario
        )),
        (Verdict::Unsupported(why), None) => Some(format!(
            "{} {}: unsupported and not listed in FINDINGS.md: {why}",
            cell.program, cell.scenario
        )),
        (Verdict::Failed(why), None) => Some(format!("{} {}: {why}", cell.program, cell.scenario)),
        _ => None,
    };
    let faults = cells.iter().filter_map(fault).collect();
    Judged { cells: cells.into_iter().map(|(finding, cell)| (cell, finding)).collect(), faults }
}

fn word(cell: &Cell, finding: Option<&Finding>) -> &'static str {
    match (&cell.verdict, finding) {
        (Verdict::Passed(_), _) => "passed",
        (Verdict::Unsupported(_), _) => "unsupported",
        (Verdict::Failed(_), Some(_)) => "known failure",
        (Verdict::Failed(_), None) => "FAILED",
    }
}

impl Judged {
    /// One row per program: name, the library's own account of itself, a word per scenario.
    fn rows(&self) -> Vec<(&str, &str, Vec<String>)> {
        let mut rows: Vec<(&str, &str, Vec<String>)> = Vec::new();
        for (cell, _) in &self.cells {
            if rows.iter().all(|(name, ..)| *name != cell.program) {
                rows.push((cell.program, "", vec![String::new(); SCENARIOS.len()]));
            }
        }
        for (cell, finding) in &self.cells {
            let column = SCENARIOS.iter().position(|name| *name == cell.scenario);
            for (name, client, words) in &mut rows {
                if *name == cell.program {
                    *client = cell.client.as_deref().unwrap_or(client);
                    if let Some(at) = column {
                        words[at] = word(cell, finding.as_ref()).to_owned();
                    }
                }
            }
        }
        rows
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = format!("\n{:<18}", "client");
        for scenario in SCENARIOS {
            let _ = write!(text, " {scenario:<13}");
        }
        for (name, _, words) in self.rows() {
            let _ = write!(text, "\n{name:<18}");
            for word in words {
                let _ = write!(text, " {:<13}", if word.is_empty() { "–" } else { &word });
            }
        }
        text.push('\n');
        for (cell, finding) in &self.cells {
            if let Some(finding) = finding {
                let place = if finding.outside { "outside Holdfast" } else { "in Holdfast" };
                let _ = writeln!(
                    text,
                    "listed: {} {}, {place}: {}",
                    cell.program, cell.scenario, finding.cause
                );
            }
        }
        text
    }

    /// For readers.
    pub(super) fn page(&self, about: &About) -> String {
        let mut text = format!(
            "# Stock clients against Holdfast\n\nWritten by `cargo xtask conformance clients [--full] --matrix \
             tests/conformance/MATRIX.md`; do not edit.\n\n{}, {}: {} records per scenario and codec, {} kill -9 \
             under the idempotent producer. What each scenario asserts: `clients/README.md`.\n\n| client |",
            about.node, about.date, about.records, about.kills
        );
        for scenario in SCENARIOS {
            let _ = write!(text, " {scenario} |");
        }
        text.push_str("\n| --- |");
        text.push_str(&" --- |".repeat(SCENARIOS.len()));
        for (name, client, words) in self.rows() {
            let _ = write!(text, "\n| {} |", if client.is_empty() { name } else { client });
            for word in words {
                let _ = write!(text, " {} |", if word.is_empty() { "–" } else { &word });
            }
        }
        text.push('\n');
        let told: Vec<_> = self
            .cells
            .iter()
            .filter(|(cell, _)| !matches!(cell.verdict, Verdict::Passed(_)))
            .collect();
        if !told.is_empty() {
            text.push_str("\n## What did not pass\n\n");
        }
        for (cell, finding) in told {
            let why = match (&cell.verdict, finding) {
                (_, Some(finding)) => &finding.cause,
                (Verdict::Unsupported(why) | Verdict::Failed(why), None) => why,
                (Verdict::Passed(_), None) => continue,
            };
            let place = match finding {
                Some(finding) if finding.outside => " (outside Holdfast)",
                Some(_) => " (in Holdfast)",
                None => "",
            };
            let _ = writeln!(text, "- {}, {}{place}: {why}", cell.program, cell.scenario);
        }
        let lacking: Vec<_> =
            self.cells.iter().filter(|(cell, _)| !cell.lacks.is_empty()).collect();
        if !lacking.is_empty() {
            text.push_str("\n## What a library has no call for\n\n");
        }
        for (cell, _) in lacking {
            let _ =
                writeln!(text, "- {}, {}: {}", cell.program, cell.scenario, cell.lacks.join(", "));
        }
        text
    }

    /// The run's end.
    pub(super) fn outcome(&self) -> Result<Outcome> {
        if self.faults.is_empty() {
            return Ok(Outcome::Passed);
        }
        Err(format!("{} cells:\n  {}", self.faults.len(), self.faults.join("\n  ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(verdict: Verdict, listed: bool, kafka: bool) -> Judged {
        let cell = Cell {
            program: "kcat",
            scenario: "admin",
            client: None,
            lacks: Vec::new(),
            seconds: 0.0,
            verdict,
        };
        let [client, scenario, cause] = ["kcat", "admin", "no call"].map(str::to_owned);
        let row = Finding { client, scenario, cause, outside: true };
        judge(vec![cell], if listed { vec![row] } else { Vec::new() }, kafka)
    }

    #[test]
    fn a_failure_that_is_listed_does_not_fail_the_run_and_one_that_is_not_does() {
        let failed = || Verdict::Failed("no".into());
        assert!(judged(failed(), true, false).outcome().is_ok());
        assert!(judged(failed(), false, false).outcome().is_err());
        let unsupported = || Verdict::Unsupported("no".into());
        assert!(judged(unsupported(), true, false).outcome().is_ok());
        assert!(judged(unsupported(), false, false).outcome().is_err());
    }

    #[test]
    fn a_listed_cell_that_passes_fails_the_run_but_not_against_kafka() {
        assert!(judged(Verdict::Passed(1), true, false).outcome().is_err());
        assert!(judged(Verdict::Passed(1), true, true).outcome().is_ok());
        assert!(judged(Verdict::Passed(1), false, false).outcome().is_ok());
    }

    #[test]
    fn the_page_names_every_cell_that_did_not_pass_with_its_cause() {
        let about =
            About { node: "holdfastd 1".into(), date: "2026-01-01".into(), records: 1, kills: 1 };
        let page = judged(Verdict::Failed("seen".into()), true, false).page(&about);
        assert!(page.contains("| known failure |"), "{page}");
        assert!(page.contains("kcat, admin (outside Holdfast): no call"), "{page}");
    }
}
