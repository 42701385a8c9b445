//! A TOML file and the drop-ins beside it, as flat values with the line each stands on.
//!
//! ```text
//! holdfast.toml          conf.d/10-site.toml   conf.d/20-rack.toml      by name, a later one wins
//! [wal]
//! size = "8GiB"     ──▶  wal.size = "8GiB"  at holdfast.toml:2
//! ```
//!
//! Kafka's names have dots of their own: `"num.partitions" = 3` and `num.partitions = 3` under
//! `[kafka]` say the same. Some of its names begin with another's (`max.connections`,
//! `max.connections.per.ip`); TOML refuses both unquoted in one file.

use super::{Given, Source};
use crate::report::{Code, Report};
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The drop-ins' directory, beside the file.
const DROP_INS: &str = "conf.d";
/// No configuration of ours is near this; a log given by mistake is beyond.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// `path`, if it is there, and its drop-ins.
pub(crate) fn with_drop_ins(path: &Path, named: bool) -> Result<Vec<PathBuf>, Report> {
    let mut files = Vec::new();
    match fs::metadata(path) {
        Ok(_) => files.push(path.to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound && !named => {}
        Err(error) => return Err(unreadable(path, &error)),
    }
    let directory = path.parent().unwrap_or(Path::new("")).join(DROP_INS);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(unreadable(&directory, &error)),
    };
    let mut drop_ins = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(&directory, &error))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            drop_ins.push(path);
        }
    }
    drop_ins.sort_unstable();
    files.extend(drop_ins);
    Ok(files)
}

/// What the file says.
pub(crate) fn read(path: &Path) -> Result<Vec<Given>, Report> {
    let length = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(Report::new(
            Code::ConfigUnreadable,
            format!("the configuration file {} cannot be read", path.display()),
            format!("it has {length} bytes, a configuration has at most {FILE_BYTES_MAX}"),
            "name a configuration file",
        ));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    parse(path, &text)
}

/// As [`read`], from `text`.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Given>, Report> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, &span));
        Report::new(
            Code::ConfigUnreadable,
            format!("the configuration file {} is not TOML at line {line}", path.display()),
            error.message().to_owned(),
            "correct that line; text and sizes stand in quotes, and so do Kafka's names where one \
             begins with another",
        )
    })?;
    let mut flat = Flat { path: Arc::from(path), text, given: Vec::new() };
    flat.table("", table.get_ref())?;
    // Messages name the first wrong line, not the first in alphabetical order.
    flat.given.sort_by_key(|given| match &given.source {
        Source::File { line, .. } => *line,
        _ => 0,
    });
    Ok(flat.given)
}

struct Flat<'a> {
    path: Arc<Path>,
    text: &'a str,
    given: Vec<Given>,
}

impl Flat<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), Report> {
        for (name, value) in table {
            let name_text: &str = name.get_ref();
            let key = match prefix {
                "" => name_text.to_owned(),
                _ => format!("{prefix}.{name_text}"),
            };
            if let DeValue::Table(inner) = value.get_ref() {
                self.table(&key, inner)?;
                continue;
            }
            let line = line_of(self.text, &name.span());
            let source = Source::File { path: Arc::clone(&self.path), line };
            let text = text_of(value).ok_or_else(|| {
                Report::new(
                    Code::SettingInvalid,
                    format!("{key} at {source} has a value of a wrong type"),
                    format!("it is {}", value.get_ref().type_str()),
                    "give text in quotes, a number, true or false, or a list of texts",
                )
            })?;
            self.given.push(Given { key, text, source });
        }
        Ok(())
    }
}

/// A value as text; a list is comma-separated, as Kafka writes lists.
fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            Some(parsed.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Array(_) => None,
                    _ => text_of(item),
                })
                .collect();
            Some(items?.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = &text.as_bytes()[..span.start.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn unreadable(path: &Path, error: &std::io::Error) -> Report {
    let try_next = match error.kind() {
        ErrorKind::NotFound => "name a file that is there, or leave --config out",
        ErrorKind::PermissionDenied => {
            "let the daemon's user read it, for example `chown root:holdfast` and `chmod 640`"
        }
        ErrorKind::InvalidData => "a configuration file is text in UTF-8",
        _ => "name a readable file",
    };
    Report::new(
        Code::ConfigUnreadable,
        format!("the configuration file {} cannot be read", path.display()),
        error.to_string(),
        try_next,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(String, String, usize)> {
        let given = parse(Path::new("x.toml"), text).expect("good");
        let line = |given: &Given| match given.source {
            Source::File { line, .. } => line,
            _ => 0,
        };
        given.iter().map(|given| (given.key.clone(), given.text.clone(), line(given))).collect()
    }

    #[test]
    fn every_value_knows_its_line() {
        let text = "dev = true\n\n[wal]\nsize = \"1GiB\"\n[kafka]\nnum.partitions = 0x10\n\
                    \"log.cleanup.policy\" = [\"compact\", \"delete\"]\n";
        let expected = [
            ("dev", "true", 1),
            ("wal.size", "1GiB", 4),
            ("kafka.num.partitions", "16", 6),
            ("kafka.log.cleanup.policy", "compact,delete", 7),
        ];
        let expected = expected.map(|(key, text, line)| (key.to_owned(), text.to_owned(), line));
        assert_eq!(lines(text), expected);
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        let report = parse(Path::new("x.toml"), "[wal]\nsize = 8GiB\n").expect_err("unquoted");
        assert_eq!(report.code, Code::ConfigUnreadable);
        assert!(report.what.contains("x.toml") && report.what.contains("line 2"), "{report}");
        let report = parse(Path::new("x.toml"), "dev = 2026-01-01\n").expect_err("a date");
        assert_eq!(report.code, Code::SettingInvalid);
        assert!(report.what.contains("x.toml:1"), "{report}");
    }
}
