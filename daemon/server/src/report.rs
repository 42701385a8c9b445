//! What an operator is told when the daemon cannot go on: what happened, why, what to try, under
//! a code that stays the same for ever and has a page in `packaging/docs/errors`.
//!
//! ```text
//! holdfastd: cannot listen on 127.0.0.1:9092 [HF-1007]
//!   why: another process holds the port (Address already in use)
//!   try: find it with `ss -ltnp sport = :9092`, or pass another --listen
//!   page: packaging/docs/errors/HF-1007.md
//! ```
//!
//! Invariant: every [`Code`] has a page (a test in this file walks them).

use holdfast_base::PartitionKey;
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = ($number:literal, $exit:literal);)*) => {
        /// A stable name for a cause. Numbers are never reused.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them, for the test that looks for their pages.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// As printed and as the page is named.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Code::$name => concat!("HF-", $number),)* }
            }

            /// The process's exit status: 1 failed, 2 wrong usage, as the command line contract
            /// says.
            #[must_use]
            pub fn exit_status(self) -> u8 {
                match self { $(Code::$name => $exit,)* }
            }
        }
    };
}

codes! {
    /// An argument cannot be understood, or contradicts another.
    Usage = ("1001", 2);
    /// The data directory cannot be created, read or written.
    DataDirectoryDenied = ("1002", 1);
    /// The data directory holds what is not ours.
    DataDirectoryForeign = ("1003", 1);
    /// Another process uses the data directory.
    DataDirectoryLocked = ("1004", 1);
    /// The write-ahead log is damaged or of an unknown version.
    WalUnreadable = ("1005", 1);
    /// Not enough space for the write-ahead log.
    WalNoSpace = ("1006", 1);
    /// The listener's port is taken.
    PortInUse = ("1007", 1);
    /// The listener's address cannot be used.
    CannotListen = ("1008", 1);
    /// The address that clients would be told is none they could reach.
    CannotAdvertise = ("1009", 2);
    /// The device failed under a running node.
    DeviceFailed = ("1010", 1);
    /// The kernel refuses the write-ahead log's back end that was asked for.
    BackendRefused = ("1011", 1);
    /// A thread or a kernel object the daemon cannot live without could not be made.
    SystemRefused = ("1012", 1);
    /// A configuration file cannot be read, or is not TOML.
    ConfigUnreadable = ("1013", 2);
    /// A name that is no setting.
    SettingUnknown = ("1014", 2);
    /// A setting has a value it cannot have.
    SettingInvalid = ("1015", 2);
    /// The address for metrics and health is refused or cannot be used.
    AdminRefused = ("1016", 2);
    /// The object store cannot be opened.
    StoreUnusable = ("1017", 2);
    /// The store of states cannot be used; not told at a start, it keeps none until the next.
    StateUnusable = ("1018", 1);
    /// The store of states was damaged and is made anew. The node serves.
    StateDamaged = ("1019", 1);
    /// The store of states has no room. The node serves.
    StateFull = ("1020", 1);
    /// An object in the store is not what was written. The node serves what is whole.
    ObjectWrong = ("1021", 1);
    /// A sealed segment of the write-ahead log is damaged. The node serves what is whole.
    SegmentDamaged = ("1022", 1);
}

/// One message for the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Stable, with a page.
    pub code: Code,
    /// What could not be done.
    pub what: String,
    /// The cause, with the system's own words where there are any.
    pub why: String,
    /// The next step for a person.
    pub try_next: String,
}

impl Report {
    /// Puts the four parts together.
    pub fn new(
        code: Code,
        what: impl Into<String>,
        why: impl Into<String>,
        try_next: impl Into<String>,
    ) -> Report {
        Report { code, what: what.into(), why: why.into(), try_next: try_next.into() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.text();
        writeln!(f, "{} [{code}]", self.what)?;
        writeln!(f, "  why: {}", self.why)?;
        writeln!(f, "  try: {}", self.try_next)?;
        write!(f, "  page: packaging/docs/errors/{code}.md")
    }
}

impl std::error::Error for Report {}

/// How records are named to people, wherever damage is.
#[must_use]
pub fn records_between(partition: &PartitionKey, first: i64, last: i64) -> String {
    format!("{partition}, offsets {first} to {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_that_starts_with_its_name() {
        let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/docs/errors");
        for code in Code::ALL {
            let path = format!("{pages}/{}.md", code.text());
            let page = std::fs::read_to_string(&path).unwrap_or_else(|error| {
                panic!("{path}: {error}");
            });
            assert!(page.starts_with(&format!("# {}", code.text())), "{path}");
            for part in ["## What happened", "## Why", "## What to do"] {
                assert!(page.contains(part), "{path} lacks {part}");
            }
        }
    }

    #[test]
    fn a_report_says_what_why_and_what_to_try() {
        let report = Report::new(Code::PortInUse, "cannot listen", "taken", "another port");
        assert_eq!(
            report.to_string(),
            "cannot listen [HF-1007]\n  why: taken\n  try: another port\n  \
             page: packaging/docs/errors/HF-1007.md"
        );
    }
}
