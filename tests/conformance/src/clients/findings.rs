//! Known failures: the rows of `clients/FINDINGS.md`.
//!
//! ```text
//! | client | scenario | cause | outside Holdfast? |
//! ```
//!
//! The scenario may be followed by a part of it, a test of a library's own suite: then the row is
//! that part's alone.
//!
//! The list may only shrink: a listed cell that passes fails the run, and so does a row whose client
//! or scenario does not exist. What does not look like such a row is text for the reader.

use std::path::Path;

use crate::Result;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) client: String,
    pub(super) scenario: String,
    /// The part of the scenario, if the row is of that alone.
    pub(super) part: Option<String>,
    pub(super) cause: String,
    /// Is the cause in the client, or in the contract's reach beyond it, so not ours to mend?
    pub(super) outside: bool,
}

/// Reads the page.
pub(super) fn read(file: &Path, clients: &[&str], scenarios: &[&str]) -> Result<Vec<Finding>> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    parse(&text, clients, scenarios).map_err(|why| format!("{}: {why}", file.display()))
}

fn parse(text: &str, clients: &[&str], scenarios: &[&str]) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| line.starts_with('|')) {
        let columns: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [client, scenario, cause, outside] = columns[..] else {
            return Err(format!("not four columns: {line}"));
        };
        if client == "client" || client.starts_with("---") {
            continue;
        }
        let (scenario, part) = match scenario.split_once(' ') {
            Some((scenario, part)) => (scenario, Some(part.trim().to_owned())),
            None => (scenario, None),
        };
        if !clients.contains(&client) || !scenarios.contains(&scenario) {
            return Err(format!("no such client and scenario: {line}"));
        }
        let outside = match outside {
            "yes" => true,
            "no" => false,
            _ => return Err(format!("outside Holdfast: yes or no? {line}")),
        };
        if cause.is_empty() {
            return Err(format!("no cause: {line}"));
        }
        let same = |other: &Finding| {
            other.client == client && other.scenario == scenario && other.part == part
        };
        if findings.iter().any(same) {
            return Err(format!("listed twice: {line}"));
        }
        let [client, scenario, cause] = [client, scenario, cause].map(str::to_owned);
        findings.push(Finding { client, scenario, part, cause, outside });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(row: &str) -> Result<Vec<Finding>> {
        let head = "# Findings\n\n| client | scenario | cause | outside Holdfast? |\n| --- | --- | --- | --- |\n";
        parse(&format!("{head}{row}\n"), &["kcat"], &["admin"])
    }

    #[test]
    fn rows_are_read_and_the_head_is_not() {
        let rows = parsed("| kcat | admin | it has no such call | yes |").unwrap();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].outside && rows[0].cause == "it has no such call");
        assert_eq!(rows[0].part, None);
    }

    #[test]
    fn a_row_may_be_of_one_part_of_a_scenario() {
        let rows = parsed(
            "| kcat | admin test_a[1] | why | yes |\n| kcat | admin test_b | why | no |\n\
             | kcat | admin | why | no |",
        );
        let parts: Vec<_> = rows.unwrap().into_iter().map(|row| row.part).collect();
        assert_eq!(parts, [Some("test_a[1]".to_owned()), Some("test_b".to_owned()), None]);
    }

    #[test]
    fn a_row_that_could_not_match_anything_is_refused() {
        for row in [
            "| kcatt | admin | why | yes |",
            "| kcat | admins | why | yes |",
            "| kcat | admin | | yes |",
            "| kcat | admin | why | perhaps |",
            "| kcat | admin | why |",
            "| kcat | admin | why | yes |\n| kcat | admin | why | no |",
            "| kcat | admin a | why | yes |\n| kcat | admin a | why | no |",
            "| kcat | admins a | why | yes |",
        ] {
            assert!(parsed(row).is_err(), "{row}");
        }
    }
}
