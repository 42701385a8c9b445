//! How an answer is shown: one answer, four forms.
//!
//! | form | for | shape |
//! | --- | --- | --- |
//! | table on a terminal, or asked for | people | aligned columns, a heading |
//! | table into a pipe, not asked for | `cut`, `awk` | one line per row, tabs between, a heading |
//! | json, yaml | programs | the whole answer, units in names, keys sorted |
//! | name | `xargs` | one name per line |
//!
//! Invariants: standard output carries the answer and nothing else; never an ANSI sequence; text
//! from elsewhere cannot break a line, a column or the terminal (control characters are escaped).
//!
//! YAML is written here because no kept crate does it without an open advisory. Strings are always
//! in double quotes with JSON's escapes, of which YAML's are a superset, so that no text can be
//! taken for a number, a date or `no`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::errors::{CliError, Result, safe};

#[cfg(test)]
mod tests;

/// `-o`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns for people; tabs into a pipe.
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// Names only, one per line.
    Name,
}

/// How a column is aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a heading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns whose name begins with `>` are aligned right.
    pub(crate) fn new(columns: &[&'static str]) -> Table {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => (name, Align::Right),
            None => (*name, Align::Left),
        };
        Table { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// # Panics
    /// When the row has another number of cells than the heading.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.columns.len(), "a row has a cell for every column");
        self.rows.push(cells.iter().map(|cell| safe(cell)).collect());
    }

    fn aligned(&self) -> String {
        let width = |text: &str| text.chars().count();
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| width(name)).collect();
        for row in &self.rows {
            for (wide, cell) in widths.iter_mut().zip(row) {
                *wide = (*wide).max(width(cell));
            }
        }
        let mut out = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for ((cell, wide), (_, align)) in cells.zip(&widths).zip(&self.columns) {
                let padding = " ".repeat(wide - width(cell));
                let (before, after) = match align {
                    Align::Left => ("", padding.as_str()),
                    Align::Right => (padding.as_str(), ""),
                };
                let _ = write!(text, "{before}{cell}{after}  ");
            }
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(&mut self.columns.iter().map(|(name, _)| *name));
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str));
        }
        out
    }

    fn tabs(&self) -> String {
        let heading: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut out = heading.join("\t") + "\n";
        for row in &self.rows {
            out.push_str(&row.join("\t"));
            out.push('\n');
        }
        out
    }
}

/// A part of an answer for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Table(Table),
    Line(String),
}

/// What a command has to say, in every form at once.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Answer {
    pub(crate) parts: Vec<Part>,
    pub(crate) value: Value,
    pub(crate) names: Vec<String>,
}

impl Answer {
    pub(crate) fn new(value: Value) -> Answer {
        Answer { parts: Vec::new(), value, names: Vec::new() }
    }

    pub(crate) fn table(mut self, table: Table) -> Answer {
        self.parts.push(Part::Table(table));
        self
    }

    /// A line of text; into a pipe it is left out when there is a table, which is the answer then.
    pub(crate) fn line(mut self, line: impl Into<String>) -> Answer {
        self.parts.push(Part::Line(safe(&line.into())));
        self
    }

    /// A page of ours, with its lines.
    pub(crate) fn text(mut self, page: &str) -> Answer {
        self.parts.extend(page.trim_end().lines().map(|line| Part::Line(safe(line))));
        self
    }

    pub(crate) fn names(mut self, names: impl IntoIterator<Item = String>) -> Answer {
        self.names = names.into_iter().collect();
        self
    }

    fn for_people(&self, aligned: bool) -> String {
        let has_table = self.parts.iter().any(|part| matches!(part, Part::Table(_)));
        let mut out = String::new();
        let mut after_table = false;
        for part in &self.parts {
            let text = match part {
                Part::Line(_) if has_table && !aligned => continue,
                Part::Line(line) => format!("{line}\n"),
                Part::Table(table) if aligned => table.aligned(),
                Part::Table(table) => table.tabs(),
            };
            let is_table = matches!(part, Part::Table(_));
            if !out.is_empty() && (is_table || after_table) {
                out.push('\n');
            }
            after_table = is_table;
            out.push_str(&text);
        }
        out
    }

    /// The answer as it is written.
    pub(crate) fn render(&self, format: Option<Format>, terminal: bool) -> String {
        match format {
            None => self.for_people(terminal),
            Some(Format::Table) => self.for_people(true),
            Some(Format::Json) => format!("{:#}\n", self.value),
            Some(Format::Yaml) => yaml(&self.value),
            Some(Format::Name) => {
                self.names.iter().fold(String::new(), |out, name| out + &safe(name) + "\n")
            }
        }
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self, format: Option<Format>) -> Result<()> {
        let mut out = io::stdout().lock();
        let text = self.render(format, out.is_terminal());
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| CliError::output(&error))
    }
}

/// The value as a YAML document.
fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => yaml_block(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => yaml_block(&mut out, value, 0),
        scalar => {
            out.push_str(&yaml_scalar(scalar));
            out.push('\n');
        }
    }
    out
}

/// A non-empty object or array, each item on lines of its own, beginning at the line's start.
fn yaml_block(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                let _ = write!(out, "{indent}{}:", yaml_key(key));
                yaml_item(out, item, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{indent}-");
                yaml_item(out, item, depth);
            }
        }
        scalar => {
            let _ = writeln!(out, "{indent}{}", yaml_scalar(scalar));
        }
    }
}

/// What follows `key:` or `-`.
fn yaml_item(out: &mut String, item: &Value, depth: usize) {
    let is_block = match item {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        yaml_block(out, item, depth + 1);
    } else {
        let _ = writeln!(out, " {}", yaml_scalar(item));
    }
}

/// Keys are ours, or names of settings: a plain word where it is nothing but one.
fn yaml_key(key: &str) -> String {
    let plain = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&key);
    if plain && !reserved { key.to_owned() } else { yaml_string(key) }
}

fn yaml_scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => yaml_number(&number.to_string()),
        Value::String(text) => yaml_string(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// YAML 1.1 takes `1e16` for text: it wants a point and a sign.
fn yaml_number(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once('e') else { return number.to_owned() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn yaml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Not printable in YAML, or a line break to its older readers.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// `1 member`, `2 members`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Bytes as people read them.
pub(crate) fn size(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}
