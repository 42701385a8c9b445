//! The last whole run of each program, kept beside the page: `MATRIX.json` for `MATRIX.md`.
//!
//! ```text
//! [{"program": "kcat", "node": "holdfastd 0.1.0", "date": "2026-01-01", "records": 100000, "kills": 5,
//!   "cells": [{"scenario": "codecs", "passed": 21, "seconds": 40.1, …}, …]}, …]
//! ```
//!
//! A full run of all takes hours, so programs may be run one by one: each run replaces the rows of
//! the programs it played, whole, and every row says what was run. A run of some scenarios only is
//! not kept. Rows of programs that are gone, and cells of scenarios, are dropped.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::cell::{Cell, Part, Verdict};
use super::programs::PROGRAMS;
use crate::Result;

/// A program's last whole run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) program: &'static str,
    pub(super) node: String,
    pub(super) date: String,
    pub(super) records: usize,
    pub(super) kills: usize,
    pub(super) cells: Vec<Cell>,
}

impl Row {
    /// What was run, for the page.
    pub(super) fn told(&self) -> String {
        let seconds: f64 = self.cells.iter().map(|cell| cell.seconds).sum();
        let Self { node, date, records, kills, cells, .. } = self;
        let parts: usize = cells.iter().map(|cell| cell.parts.len()).sum();
        // Kills are one scenario's, and a suite has a size of its own.
        let size = if parts > 0 {
            format!("{parts} tests")
        } else if cells.iter().any(|cell| cell.scenario == "idempotent") {
            format!("{records} records, {kills} kills")
        } else {
            format!("{records} records")
        };
        format!("{size}, {seconds:.0} s; {node}, {date}")
    }

    fn write(&self) -> Value {
        json!({
            "program": self.program, "node": self.node, "date": self.date,
            "records": self.records, "kills": self.kills,
            "cells": self.cells.iter().map(write_cell).collect::<Vec<_>>(),
        })
    }

    /// Nothing for a program that is gone.
    fn read(value: &Value) -> Option<Self> {
        let program = PROGRAMS.iter().find(|program| value["program"] == program.name)?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| value[name].as_u64().unwrap_or_default() as usize;
        let cells = value["cells"].as_array().into_iter().flatten();
        let read = |cell: &Value| {
            let scenario = program.scenarios.iter().find(|name| cell["scenario"] == **name)?;
            Some(read_cell(program.name, scenario, cell))
        };
        Some(Self {
            program: program.name,
            node: text("node"),
            date: text("date"),
            records: number("records"),
            kills: number("kills"),
            cells: cells.filter_map(read).collect(),
        })
    }
}

fn write_cell(cell: &Cell) -> Value {
    let part = |part: &Part| json!({"part": part.name, "failed": part.failed});
    let (passed, unsupported, failed) = match &cell.verdict {
        Verdict::Passed(checks) => (json!(checks), Value::Null, Value::Null),
        Verdict::Unsupported(why) => (Value::Null, json!(why), Value::Null),
        Verdict::Failed(why) => (Value::Null, Value::Null, json!(why)),
    };
    json!({
        "scenario": cell.scenario, "client": cell.client, "lacks": cell.lacks,
        "parts": cell.parts.iter().map(part).collect::<Vec<_>>(),
        "seconds": (cell.seconds * 10.0).round() / 10.0,
        "passed": passed, "unsupported": unsupported, "failed": failed,
    })
}

fn read_cell(program: &'static str, scenario: &'static str, value: &Value) -> Cell {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let part = |value: &Value| Part {
        name: text(&value["part"]).unwrap_or_default(),
        failed: text(&value["failed"]),
    };
    let list = |name: &str| value[name].as_array().into_iter().flatten();
    let verdict = if let Some(checks) = value["passed"].as_u64() {
        Verdict::Passed(checks as usize)
    } else if let Some(why) = text(&value["unsupported"]) {
        Verdict::Unsupported(why)
    } else {
        Verdict::Failed(text(&value["failed"]).unwrap_or_else(|| "no verdict is kept".into()))
    };
    Cell {
        program,
        scenario,
        client: text(&value["client"]),
        lacks: list("lacks").filter_map(text).collect(),
        parts: list("parts").map(part).collect(),
        seconds: value["seconds"].as_f64().unwrap_or_default(),
        verdict,
    }
}

/// The rows of the file with `new` in the place of their former ones, written back; all of them, in
/// the order of the table.
pub(super) fn keep(file: &Path, new: Vec<Row>) -> Result<Vec<Row>> {
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut rows = new;
    if file.exists() {
        let value: Value = serde_json::from_str(&fs::read_to_string(file).map_err(told)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        for row in value.as_array().into_iter().flatten().filter_map(Row::read) {
            if rows.iter().all(|new| new.program != row.program) {
                rows.push(row);
            }
        }
    }
    rows.sort_by_key(|row| PROGRAMS.iter().position(|program| program.name == row.program));
    // A line a row: a run of one program changes one line.
    let lines: Vec<String> = rows.iter().map(|row| row.write().to_string()).collect();
    fs::write(file, format!("[\n{}\n]\n", lines.join(",\n"))).map_err(told)?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(program: &'static str, records: usize) -> Row {
        let scenario = "codecs";
        let cell = |scenario, verdict, failed: Option<&str>| Cell {
            program,
            scenario,
            client: Some("a client".into()),
            lacks: vec!["a call".into()],
            parts: vec![Part { name: "a".into(), failed: failed.map(str::to_owned) }],
            seconds: 1.5,
            verdict,
        };
        let cells = vec![
            cell(scenario, Verdict::Passed(3), Some("why")),
            cell("seek", Verdict::Failed("no".into()), None),
            cell("admin", Verdict::Unsupported("no call".into()), None),
        ];
        let [node, date] = ["holdfastd 1", "2026-01-01"].map(str::to_owned);
        Row { program, node, date, records, kills: 2, cells }
    }

    #[test]
    fn a_run_of_one_program_replaces_its_row_and_keeps_the_others() {
        let directory = std::env::temp_dir().join(format!("results-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("MATRIX.json");
        keep(&file, vec![row("kafkajs", 1), row("kcat", 1)]).unwrap();
        let rows = keep(&file, vec![row("kafkajs", 2)]).unwrap();
        assert_eq!(rows, [row("kcat", 1), row("kafkajs", 2)], "in the order of the table");
        let again = keep(&file, Vec::new()).unwrap();
        assert_eq!(again, rows, "what is read is what was written");
        fs::remove_dir_all(&directory).unwrap();
    }
}
