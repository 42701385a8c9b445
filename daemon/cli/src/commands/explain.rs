//! `holdfast explain`: what an error means and what to do.
//!
//! Holdfast's own codes (HF-1001) show the page from `packaging/docs/errors`, which is built in;
//! Kafka's, by name or number, show one sentence.

use clap::Args;
use serde_json::{Value, json};

use crate::args::Shown;
use crate::errors::{CliError, Result};
use crate::kafka_errors::{self, KAFKA_ERRORS, KafkaError};
use crate::output::{Answer, Table};

/// Code and page.
macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        &[$(($code, include_str!(concat!("../../../../packaging/docs/errors/", $code, ".md")))),*]
    };
}

/// Every page of `packaging/docs/errors`; a test compares this list with the directory.
const PAGES: &[(&str, &str)] = pages![
    "HF-1001", "HF-1002", "HF-1003", "HF-1004", "HF-1005", "HF-1006", "HF-1007", "HF-1008",
    "HF-1009", "HF-1010", "HF-1011", "HF-1012", "HF-1013", "HF-1014", "HF-1015", "HF-1016",
    "HF-1017", "HF-1018", "HF-1019", "HF-1020", "HF-1021", "HF-1022",
];

/// Options of `explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// HF-1001, or Kafka's NOT_COORDINATOR or 16. All codes without.
    #[arg(allow_hyphen_values = true, value_name = "CODE")]
    code: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<()> {
    let answer = args.code.as_ref().map_or_else(|| Ok(all()), |code| explain(code))?;
    answer.print(args.shown.format)
}

fn explain(code: &str) -> Result<Answer> {
    if let Some((code, page)) = own_page(code) {
        return Ok(Answer::new(json!({"code": code, "page": page}))
            .text(page)
            .names([code.to_owned()]));
    }
    let found = match code.parse::<i16>() {
        Ok(number) => kafka_errors::by_code(number),
        Err(_) => kafka_errors::by_name(code),
    };
    let found = found.ok_or_else(|| {
        let try_next =
            "give a code such as HF-1001, NOT_COORDINATOR or 16; `holdfast explain` lists all";
        CliError::usage(format!("{code} is no code of Holdfast or Kafka"), try_next)
    })?;
    let passing =
        if found.passing { "clients retry it by themselves" } else { "it does not pass by itself" };
    Ok(Answer::new(row_json(found))
        .line(format!("{} ({}): {passing}", found.name, found.code))
        .line(format!("  try: {}", found.try_next))
        .names([found.name.to_owned()]))
}

/// `HF-1001`, `hf1001` or `1001`: Kafka's numbers end far below.
fn own_page(code: &str) -> Option<(&'static str, &'static str)> {
    let code = code.to_ascii_uppercase();
    let number = code.strip_prefix("HF").unwrap_or(&code).trim_start_matches('-');
    PAGES.iter().copied().find(|(known, _)| known.strip_prefix("HF-") == Some(number))
}

/// The heading of a page, without the code.
fn title(page: &str) -> &str {
    page.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, title)| title)
}

fn row_json(row: &KafkaError) -> Value {
    json!({"code": row.code, "name": row.name, "retriable": row.passing, "try": row.try_next})
}

fn all() -> Answer {
    let mut table = Table::new(&["CODE", "NAME"]);
    let mut values = Vec::new();
    for (code, page) in PAGES {
        table.row([(*code).to_owned(), title(page).to_owned()]);
        values.push(json!({"code": code, "name": title(page)}));
    }
    for row in KAFKA_ERRORS {
        table.row([row.code.to_string(), row.name.to_owned()]);
        values.push(row_json(row));
    }
    let names = PAGES.iter().map(|(code, _)| (*code).to_owned());
    let names = names.chain(KAFKA_ERRORS.iter().map(|row| row.name.to_owned()));
    Answer::new(Value::Array(values)).table(table).names(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_page_there_is_can_be_explained_and_begins_with_its_code() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/docs/errors");
        let mut there: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .filter(|name| name.starts_with("HF-"))
            .collect();
        there.sort();
        let known: Vec<&str> = PAGES.iter().map(|(code, _)| *code).collect();
        assert_eq!(there, known, "add the page's code to PAGES");
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}: ")) && !title(page).is_empty(), "{code}");
            assert!(page.contains("## What to do"), "{code} does not say what to do");
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for code in ["HF-1003", "hf1003", "hf-1003", "1003"] {
            assert_eq!(own_page(code).map(|(code, _)| code), Some("HF-1003"), "{code}");
        }
        for code in ["16", "NOT_COORDINATOR", "not-coordinator"] {
            let text = explain(code).unwrap().render(None, true);
            assert!(text.starts_with("NOT_COORDINATOR (16): clients retry"), "{text}");
        }
        assert!(explain("HF-9999").is_err() && explain("31000").is_err());
    }

    #[test]
    fn a_page_is_shown_as_it_was_written() {
        let text = explain("HF-1003").unwrap().render(None, false);
        assert_eq!(text.trim_end(), PAGES[2].1.trim_end());
    }
}
