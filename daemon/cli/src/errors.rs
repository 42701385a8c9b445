//! What a command says when it does not succeed: what, why, what to try, and the exit code.
//!
//! ```text
//! holdfast: topic orders cannot be created                       what
//!   why: the node answered TOPIC_ALREADY_EXISTS (36): ...        why
//!   try: choose another name, or `holdfast topic alter`          try
//!   see: holdfast explain TOPIC_ALREADY_EXISTS                   hint
//! ```
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | failed: a connection, a file, an answer that cannot be read |
//! | 2 | wrong usage (clap's own errors end here too) |
//! | 3 | reached and unhealthy |
//! | 4 | the node understood and refused |
//!
//! The codes are part of the contract with scripts; a meaning is never changed.

use std::fmt;
use std::io;

use crate::kafka_errors;

/// Which of the exit codes an error ends in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Failed,
    Usage,
    Unhealthy,
    Refused,
}

/// A command's result.
pub(crate) type Result<T> = std::result::Result<T, CliError>;

/// See the picture above.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CliError {
    pub(crate) kind: Kind,
    what: String,
    why: Vec<String>,
    try_next: Option<String>,
    /// What `holdfast explain` takes.
    explain: Option<String>,
    /// Kafka's error code, where a node answered with one.
    pub(crate) code: Option<i16>,
    /// The reader of standard output went away: not worth a word.
    quiet: bool,
}

impl CliError {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> CliError {
        CliError {
            kind,
            what: what.into(),
            why: Vec::new(),
            try_next: None,
            explain: None,
            code: None,
            quiet: false,
        }
    }

    pub(crate) fn failed(what: impl Into<String>, why: impl Into<String>) -> CliError {
        CliError::new(Kind::Failed, what).why(why)
    }

    pub(crate) fn usage(what: impl Into<String>, try_next: impl Into<String>) -> CliError {
        CliError::new(Kind::Usage, what).try_next(try_next)
    }

    /// A node's answer to `what`. Timeouts and the like are failures, not refusals: the node did
    /// not decide against anything.
    pub(crate) fn of_code(what: impl Into<String>, code: i16, message: Option<&str>) -> CliError {
        let known = kafka_errors::by_code(code);
        let name = known.map_or_else(|| "an error unknown here".to_owned(), |e| e.name.to_owned());
        let why = match message {
            Some(message) if !message.is_empty() => {
                format!("the node answered {name} ({code}): {}", safe(message))
            }
            _ => format!("the node answered {name} ({code})"),
        };
        let kind = if known.is_some_and(|e| e.passing) { Kind::Failed } else { Kind::Refused };
        CliError {
            try_next: known.map(|e| e.try_next.to_owned()),
            explain: known.map(|e| e.name.to_owned()),
            code: Some(code),
            ..CliError::new(kind, what).why(why)
        }
    }

    /// `Ok` for code 0.
    pub(crate) fn check(what: impl Into<String>, code: i16, message: Option<&str>) -> Result<()> {
        if code == 0 { Ok(()) } else { Err(CliError::of_code(what, code, message)) }
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> CliError {
        self.why.push(why.into());
        self
    }

    pub(crate) fn try_next(mut self, try_next: impl Into<String>) -> CliError {
        self.try_next = Some(try_next.into());
        self
    }

    pub(crate) fn explain(mut self, page: impl Into<String>) -> CliError {
        self.explain = Some(page.into());
        self
    }

    /// What a failed write of standard output means: a closed pipe ends the command without words.
    pub(crate) fn output(error: &io::Error) -> CliError {
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        let failed = CliError::failed("standard output cannot be written", error.to_string());
        CliError { quiet, ..failed }
    }

    /// What and why in one line, for lists of troubles.
    pub(crate) fn brief(&self) -> String {
        self.why.iter().fold(self.what.clone(), |text, why| text + ": " + why)
    }

    /// True when nobody is there to read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holdfast: {}", self.what)?;
        for why in &self.why {
            write!(f, "\n  why: {why}")?;
        }
        if let Some(try_next) = &self.try_next {
            write!(f, "\n  try: {try_next}")?;
        }
        if let Some(page) = &self.explain {
            write!(f, "\n  see: holdfast explain {page}")?;
        }
        Ok(())
    }
}

/// Text that came from elsewhere, without what could move a terminal's cursor.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_node_says_what_why_and_what_to_try() {
        let error =
            CliError::of_code("topic t cannot be created", 36, Some("it is \u{1b}[31mhere"));
        assert_eq!(error.kind, Kind::Refused);
        assert_eq!(
            error.to_string(),
            "holdfast: topic t cannot be created\n  \
             why: the node answered TOPIC_ALREADY_EXISTS (36): it is \\u{1b}[31mhere\n  \
             try: choose another name, or change the existing topic with `holdfast topic alter`\n  \
             see: holdfast explain TOPIC_ALREADY_EXISTS"
        );
    }

    #[test]
    fn what_passes_by_itself_is_a_failure_and_what_was_decided_a_refusal() {
        assert_eq!(CliError::of_code("x", 6, None).kind, Kind::Failed);
        assert_eq!(CliError::of_code("x", 29, None).kind, Kind::Refused);
        assert_eq!(CliError::of_code("x", 4242, None).kind, Kind::Refused);
        assert!(CliError::check("x", 0, None).is_ok());
    }
}
