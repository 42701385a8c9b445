//! The judgement over all cells, as text and as a page.
//!
//! | the cell, or a part of it | listed in FINDINGS.md | not listed |
//! | --- | --- | --- |
//! | passed | fails the run: take the row away | good |
//! | unsupported | shown with its cause | fails the run |
//! | failed | shown as known | fails the run |
//!
//! Against Kafka the list is not held to shrink: a row may tell of Holdfast alone.

use std::fmt::Write as _;

use super::cell::{Cell, Verdict};
use super::findings::Finding;
use super::programs::{PROGRAMS, Program};
use super::results::Row;
use crate::{Outcome, Result};

/// A cell beside the rows of FINDINGS.md that tell of it.
struct Judged {
    cell: Cell,
    finding: Option<Finding>,
    /// Rows of parts of it.
    parts: Vec<Finding>,
}

/// Cells, and why they fail the run.
pub(super) struct Judgement {
    cells: Vec<Judged>,
    faults: Vec<String>,
}

pub(super) fn judge(cells: Vec<Cell>, findings: &[Finding], kafka: bool) -> Judgement {
    let beside = |cell: Cell| {
        let same = |row: &&Finding| row.client == cell.program && row.scenario == cell.scenario;
        let (parts, whole): (Vec<_>, Vec<_>) =
            findings.iter().filter(same).cloned().partition(|row| row.part.is_some());
        Judged { cell, finding: whole.into_iter().next(), parts }
    };
    let cells: Vec<Judged> = cells.into_iter().map(beside).collect();
    let faults = cells.iter().flat_map(|judged| judged.faults(kafka)).collect();
    Judgement { cells, faults }
}

impl Judged {
    fn faults(&self, kafka: bool) -> Vec<String> {
        let Cell { program, scenario, verdict, parts, .. } = &self.cell;
        let shrink = "FINDINGS.md lists it: the list may only shrink, take the row away";
        let mut faults = Vec::new();
        match (verdict, &self.finding) {
            (Verdict::Passed(_), Some(_)) if !kafka => {
                faults.push(format!("{program} {scenario}: passes, and {shrink}"));
            }
            (Verdict::Unsupported(why), None) => faults.push(format!(
                "{program} {scenario}: unsupported and not listed in FINDINGS.md: {why}"
            )),
            (Verdict::Failed(why), None) => faults.push(format!("{program} {scenario}: {why}")),
            _ => {}
        }
        for (name, why) in self.cell.failed_parts().filter(|(name, _)| self.row_of(name).is_none())
        {
            faults.push(format!("{program} {scenario} {name}: {why}"));
        }
        let played = matches!(verdict, Verdict::Passed(_));
        for name in self.parts.iter().filter_map(|row| row.part.as_deref()) {
            match parts.iter().find(|part| part.name == name) {
                Some(part) if part.failed.is_none() && !kafka => {
                    faults.push(format!("{program} {scenario} {name}: passes, and {shrink}"));
                }
                None if played => faults.push(format!(
                    "{program} {scenario} {name}: not played, and FINDINGS.md lists it"
                )),
                _ => {}
            }
        }
        faults
    }

    fn row_of(&self, part: &str) -> Option<&Finding> {
        self.parts.iter().find(|row| row.part.as_deref() == Some(part))
    }

    fn word(&self) -> String {
        let failed = self.cell.failed_parts().count();
        match (&self.cell.verdict, &self.finding) {
            (Verdict::Unsupported(_), _) => "unsupported".into(),
            (Verdict::Failed(_), Some(_)) => "known failure".into(),
            (Verdict::Failed(_), None) => "FAILED".into(),
            (Verdict::Passed(_), _) if failed == 0 => "passed".into(),
            (Verdict::Passed(_), _) => {
                let all = self.cell.parts.len();
                let known = self.cell.failed_parts().all(|(name, _)| self.row_of(name).is_some());
                format!(
                    "{}{} of {all}",
                    if known { "passed " } else { "FAILED, passed " },
                    all - failed
                )
            }
        }
    }

    /// What did not pass: its name, where the cause lies, the cause.
    fn told(&self) -> Vec<String> {
        let Cell { program, scenario, verdict, .. } = &self.cell;
        let line = |what: &str, finding: Option<&Finding>, why: &str| {
            let place = match finding {
                Some(finding) if finding.outside => " (outside Holdfast)",
                Some(_) => " (in Holdfast)",
                None => "",
            };
            format!("{program}, {what}{place}: {}", finding.map_or(why, |row| &row.cause))
        };
        let mut lines = Vec::new();
        if let Verdict::Unsupported(why) | Verdict::Failed(why) = verdict {
            lines.push(line(scenario, self.finding.as_ref(), why));
        }
        for (name, why) in self.cell.failed_parts() {
            lines.push(line(&format!("{scenario} {name}"), self.row_of(name), why));
        }
        lines
    }
}

impl Judgement {
    /// One row per program: a word for each of its scenarios.
    fn words(&self, program: &Program) -> Vec<String> {
        let of = |scenario: &&str| {
            let same = |judged: &&Judged| {
                (judged.cell.program, judged.cell.scenario) == (program.name, *scenario)
            };
            self.cells.iter().find(same).map_or_else(|| "–".into(), Judged::word)
        };
        program.scenarios.iter().map(of).collect()
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (scenarios, programs) in tables() {
            let played = |program: &&&Program| {
                self.cells.iter().any(|judged| judged.cell.program == program.name)
            };
            let programs: Vec<_> = programs.iter().filter(played).collect();
            if programs.is_empty() {
                continue;
            }
            let _ = write!(text, "\n{:<20}", "client");
            scenarios.iter().for_each(|scenario| _ = write!(text, " {scenario:<13}"));
            for program in programs {
                let _ = write!(text, "\n{:<20}", program.name);
                self.words(program).iter().for_each(|word| _ = write!(text, " {word:<13}"));
            }
            text.push('\n');
        }
        for line in self.cells.iter().flat_map(Judged::told) {
            let _ = writeln!(text, "{line}");
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

/// The programs that play the same scenarios, as one table each.
fn tables() -> Vec<(&'static [&'static str], Vec<&'static Program>)> {
    let mut tables: Vec<(&[&str], Vec<&Program>)> = Vec::new();
    for program in PROGRAMS {
        match tables.iter_mut().find(|(scenarios, _)| *scenarios == program.scenarios) {
            Some((_, programs)) => programs.push(program),
            None => tables.push((program.scenarios, vec![program])),
        }
    }
    tables
}

/// For readers: the last whole run of each program.
pub(super) fn page(rows: &[Row], findings: &[Finding]) -> String {
    let cells = rows.iter().flat_map(|row| row.cells.iter().cloned()).collect();
    let judgement = judge(cells, findings, false);
    let mut text = String::from(
        "# Stock clients against Holdfast\n\nWritten by `cargo xtask conformance clients [--full] --matrix \
         tests/conformance/MATRIX.md` from MATRIX.json beside it, which keeps the last whole run of each \
         program; do not edit. What each scenario asserts: `clients/README.md`.\n",
    );
    for (scenarios, programs) in tables() {
        let _ = write!(text, "\n| client |");
        scenarios.iter().for_each(|scenario| _ = write!(text, " {scenario} |"));
        let _ = write!(text, " run |\n| --- |{}", " --- |".repeat(scenarios.len() + 1));
        for program in programs {
            let row = rows.iter().find(|row| row.program == program.name);
            let client =
                row.and_then(|row| row.cells.iter().find_map(|cell| cell.client.as_deref()));
            let _ = write!(text, "\n| {} |", client.unwrap_or(program.name));
            judgement.words(program).iter().for_each(|word| _ = write!(text, " {word} |"));
            let _ = write!(text, " {} |", row.map_or_else(|| "not run".into(), Row::told));
        }
        text.push('\n');
    }
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = write!(text, "\n## {title}\n\n");
            lines.iter().for_each(|line| _ = writeln!(text, "- {line}"));
        }
    };
    section("What did not pass", judgement.cells.iter().flat_map(Judged::told).collect());
    let lacking = judgement.cells.iter().map(|judged| &judged.cell);
    let lacking = lacking.filter(|cell| !cell.lacks.is_empty());
    section(
        "What a library has no call for",
        lacking
            .map(|cell| format!("{}, {}: {}", cell.program, cell.scenario, cell.lacks.join(", ")))
            .collect(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::cell::Part;
    use super::*;

    fn cell(verdict: Verdict, parts: &[(&str, Option<&str>)]) -> Cell {
        let part = |(name, failed): &(&str, Option<&str>)| Part {
            name: (*name).to_owned(),
            failed: failed.map(str::to_owned),
        };
        Cell {
            program: "kcat",
            scenario: "admin",
            client: None,
            lacks: Vec::new(),
            parts: parts.iter().map(part).collect(),
            seconds: 0.0,
            verdict,
        }
    }

    fn row(part: Option<&str>) -> Finding {
        let [client, scenario, cause] = ["kcat", "admin", "no call"].map(str::to_owned);
        Finding { client, scenario, part: part.map(str::to_owned), cause, outside: true }
    }

    fn judged(verdict: Verdict, listed: bool, kafka: bool) -> Judgement {
        let findings = if listed { vec![row(None)] } else { Vec::new() };
        judge(vec![cell(verdict, &[])], &findings, kafka)
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
    fn a_part_is_judged_by_a_row_of_its_own() {
        let ends_well = |parts: &[(&str, Option<&str>)], rows: &[Finding]| {
            judge(vec![cell(Verdict::Passed(0), parts)], rows, false).outcome().is_ok()
        };
        let rows = [row(Some("a"))];
        assert!(ends_well(&[("a", Some("why")), ("b", None)], &rows));
        assert!(!ends_well(&[("a", Some("why")), ("b", Some("why"))], &rows), "b is not listed");
        assert!(!ends_well(&[("a", None), ("b", None)], &rows), "a is listed and passes");
        assert!(!ends_well(&[("b", None)], &rows), "a is listed and not there");
        assert!(
            !ends_well(&[("a", Some("why"))], &[row(None)]),
            "the cell's row is not the part's"
        );
    }

    #[test]
    fn the_page_names_what_did_not_pass_with_its_cause_and_what_was_not_run() {
        let row_of = |cell| Row {
            program: "kcat",
            node: "holdfastd 1".into(),
            date: "2026-01-01".into(),
            records: 7,
            kills: 1,
            cells: vec![cell],
        };
        let failed = row_of(cell(Verdict::Failed("seen".into()), &[]));
        let text = page(&[failed], &[row(None)]);
        assert!(
            text.contains("| known failure |") && text.contains("| 7 records, 0 s; "),
            "{text}"
        );
        assert!(text.contains("kcat, admin (outside Holdfast): no call"), "{text}");
        assert!(text.contains("| kafkajs | – | – | – | – | – | not run |"), "{text}");
        let parts = row_of(cell(Verdict::Passed(0), &[("a", Some("seen")), ("b", None)]));
        let text = page(&[parts], &[row(Some("a"))]);
        assert!(text.contains("| passed 1 of 2 |") && text.contains("| 2 tests, 0 s; "), "{text}");
        assert!(text.contains("kcat, admin a (outside Holdfast): no call"), "{text}");
    }
}
