//! The runner's protocol: arguments, lines of JSON out, `done` in.

use std::fmt::Debug;
use std::io::{Write, stdin, stdout};
use std::process::exit;
use std::time::Duration;

use serde_json::{Value, json};

/// Nothing that works takes longer, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The contract's arguments; the last four are for a member of a group, which is this program again.
#[derive(Default)]
pub struct Options {
    pub bootstrap: String,
    pub scenario: String,
    pub prefix: String,
    pub records: usize,
    pub kills: usize,
    pub topic: String,
    pub group: String,
    /// Empty: a dynamic member.
    pub instance: String,
    pub session_ms: String,
}

impl Options {
    pub fn of_arguments() -> Self {
        let mut options = Self { kills: 1, ..Self::default() };
        let mut words = std::env::args().skip(1);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let number =
                || value.parse().unwrap_or_else(|_| fail(&format!("{name} {value}: no number")));
            match name.as_str() {
                "--bootstrap" => options.bootstrap = value,
                "--scenario" => options.scenario = value,
                "--prefix" => options.prefix = value,
                "--records" => options.records = number(),
                "--kills" => options.kills = number(),
                "--topic" => options.topic = value,
                "--group" => options.group = value,
                "--instance" => options.instance = value,
                "--session-ms" => options.session_ms = value,
                other => fail(&format!("no argument is called {other}")),
            }
        }
        options
    }
}

pub fn fail(text: &str) -> ! {
    eprintln!("{}", text.replace('\n', " "));
    exit(1)
}

/// The value, or the program's end.
pub trait OrFail<T> {
    fn or_fail(self, doing: &str) -> T;
}

impl<T, E: Debug> OrFail<T> for Result<T, E> {
    fn or_fail(self, doing: &str) -> T {
        self.unwrap_or_else(|error| fail(&format!("{doing}: {error:?}")))
    }
}

pub fn tell(line: Value) {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).or_fail("standard output");
}

pub fn ask(what: &str) {
    tell(json!({"need": what}));
}

/// Waits until what was asked for is done.
pub fn answered(what: &str) {
    let mut line = String::new();
    stdin().read_line(&mut line).or_fail("standard input");
    if line.trim() != "done" {
        fail(&format!("the runner answered {line:?} to need {what}"));
    }
}

pub fn lacks(what: &str) {
    tell(json!({"lacks": what}));
}

pub fn check<T: PartialEq + Debug>(text: &str, expected: T, found: T) {
    if expected != found {
        fail(&format!("{text}: expected {expected:?}, found {found:?}"));
    }
    tell(
        json!({"check": text, "expected": format!("{expected:?}"), "found": format!("{found:?}")}),
    );
}
