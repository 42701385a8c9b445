//! The report: one row per round and client.

use holdfast_crash::judge::Count;

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// From 1.
    pub(crate) round: u32,
    /// Library.
    pub(crate) library: &'static str,
    /// Its setting.
    pub(crate) acks: &'static str,
    /// Its setting.
    pub(crate) idempotent: bool,
    /// The daemon's.
    pub(crate) backend: String,
    /// Acknowledgements that had arrived when the daemon was killed.
    pub(crate) acked_before: u64,
    /// Records without an answer then.
    pub(crate) in_flight: u64,
    /// Commits acknowledged to the group of its library when the daemon was killed.
    pub(crate) commits_before: u64,
    /// And at the end of the round.
    pub(crate) commits: u64,
    /// Where the kill fell.
    pub(crate) state: String,
    /// Records of both producers whole on the device beyond those acknowledged.
    pub(crate) whole_unacked: i64,
    /// From the new process to its first connection.
    pub(crate) recovery_ms: f64,
    /// Entries in the log that was recovered.
    pub(crate) replayed: u64,
    /// At the end of the round.
    pub(crate) count: Count,
}

const HEAD: &str = "round client     acks idem backend  acked  acked  in     commit commit whole,  \
                    recov. replayed         out of\n\
                    \x20                                    before total  flight before total  \
                    unacked ms     entries  lost dup order  state of the log at the kill";

/// As a line.
pub(crate) fn line(row: &Row) -> String {
    format!(
        "{:>5} {:<10} {:<4} {:<4} {:<8} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6.0} {:>8} {:>4} {:>3} {:>5}  {}",
        row.round,
        row.library,
        row.acks,
        if row.idempotent { "yes" } else { "no" },
        row.backend,
        row.acked_before,
        row.count.acked,
        row.in_flight,
        row.commits_before,
        row.commits,
        row.whole_unacked,
        row.recovery_ms,
        row.replayed,
        row.count.lost,
        row.count.doubled,
        row.count.out_of_order,
        row.state,
    )
}

/// All of them, explained.
pub(crate) fn page(rows: &[Row]) -> String {
    let lines: Vec<String> = rows.iter().map(line).collect();
    format!(
        "{HEAD}\n{}\ncommit: commits acknowledged to the group of that library; whole, unacked: \
         records of both producers that lay whole on the device and whose acknowledgement had not \
         arrived;\ndup: further copies, allowed where idem is no; recov.: start of the process to its \
         first connection; replayed: entries in the log",
        lines.join("\n")
    )
}
