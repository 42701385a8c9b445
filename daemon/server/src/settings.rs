//! What the operator may set: one declaration each, from which the sample file, the reference
//! page, the names in the environment and the messages about wrong values all come.
//!
//! ```text
//! weakest                                                                          strongest
//! default ─▶ holdfast.toml ─▶ conf.d/*.toml by name ─▶ HOLDFAST_… ─▶ --set, --wal-size, …
//!            └────────── file ──────────────────┘     environment     flags
//!                          │
//!                          ▼
//!              Given { key, text, source }  ─▶ Effective: one value and its source a key
//!                                                  │
//!                                                  ▼
//!                                               Options: parsed, checked together
//! ```
//!
//! Idea: every source is turned into the same flat list of (key, text, source) first, so that a
//! size is read by the same rule wherever it stands, and every message can name the file and line,
//! the variable or the flag that it is about.
//!
//! Kafka's own broker settings stand in the table `[kafka]` under Kafka's names and are judged by
//! the registry of `holdfast_metadata`; they are what a node's static `server.properties` is there.
//!
//! Invariant: nothing that is misspelt is silently ignored. The one exception are variables of the
//! environment that resemble none of ours: they belong to somebody else.

pub mod declared;
pub mod docs;
mod effective;
mod environment;
mod file;
mod kafka;
mod nearest;
pub mod options;
mod size;

pub use declared::{Applies, DECLARED, Declared, Kind};
pub(crate) use effective::is_reloaded;
pub use effective::{Effective, Held};
pub use options::{Admin, LogFormat, Options};

use crate::boot::arguments::Arguments;
use crate::report::Report;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Read when no `--config` is given, if it is there.
pub const DEFAULT_FILE: &str = "/etc/holdfast/holdfast.toml";

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// Nobody set it, and `dev` is on.
    DevDefault,
    /// A line of a file.
    File {
        /// Which file.
        path: Arc<Path>,
        /// From 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::DevDefault => f.write_str("default with dev"),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One value, as somebody wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// Dotted, e.g. `wal.size` or `kafka.num.partitions`.
    pub key: String,
    /// Numbers, flags and lists as text: `true`, `3`, `a,b`.
    pub text: String,
    /// Who wrote it.
    pub source: Source,
}

/// Everything an operator set, checked.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Every setting with its value and source.
    pub effective: Effective,
    /// The same, parsed.
    pub options: Options,
    /// Files that were read, weakest first.
    pub files: Vec<PathBuf>,
    /// What is not wrong, and yet should be known.
    pub warnings: Vec<String>,
}

/// Reads and checks all sources. Nothing is touched.
///
/// # Errors
/// One report for the first thing that is wrong.
pub fn load(arguments: &Arguments) -> Result<Loaded, Report> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    load_from(arguments, &environment)
}

/// As [`load`], with an environment of the caller's.
///
/// # Errors
/// As [`load`].
pub fn load_from(
    arguments: &Arguments,
    environment: &[(String, String)],
) -> Result<Loaded, Report> {
    let mut warnings = Vec::new();
    let mut given = Vec::new();
    let files = files_of(arguments)?;
    for path in &files {
        given.extend(file::read(path)?);
    }
    given.extend(environment::read(environment, &mut warnings)?);
    given.extend(arguments.given()?);
    let effective = Effective::of(given)?;
    let options = Options::of(&effective, &mut warnings)?;
    Ok(Loaded { effective, options, files, warnings })
}

/// The files to read. `--dev` on the command line means a node of one's own: it never picks up the
/// configuration (and the data) of the machine's service.
fn files_of(arguments: &Arguments) -> Result<Vec<PathBuf>, Report> {
    let (path, named) = match &arguments.config {
        Some(path) => (path.clone(), true),
        None if arguments.dev => return Ok(Vec::new()),
        None => (PathBuf::from(DEFAULT_FILE), false),
    };
    file::with_drop_ins(&path, named)
}

#[cfg(test)]
mod tests;
