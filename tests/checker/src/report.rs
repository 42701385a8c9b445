//! What the checker says: for people by `Display`, for programs by serde.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::anomaly::{Anomaly, Finding};

/// So many findings of one anomaly are kept; the rest are counted. A log lost whole would
/// otherwise fill memory with evidence of the same fault.
pub const FINDINGS_PER_ANOMALY_MAX: u64 = 100;

/// How much was judged. A clean report about nothing is worth nothing: look here first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Lines of the history.
    pub events: u64,
    /// Partitions named.
    pub partitions: u64,
    /// Records sent.
    pub sent: u64,
    /// Records acknowledged with an offset.
    pub acked: u64,
    /// Records whose send certainly failed.
    pub failed: u64,
    /// Records whose fate the client does not know, acks=0 and calls never completed included.
    pub unknown: u64,
    /// Of those, records that are there.
    pub unknown_found: u64,
    /// Answers to polls.
    pub polls: u64,
    /// Records in them.
    pub read: u64,
    /// Records in final reads.
    pub read_finally: u64,
    /// Further copies of records of producers that are not idempotent: allowed.
    pub duplicates_allowed: u64,
    /// Acknowledged records below the log start: deleted on request.
    pub deleted: u64,
    /// Calls that never completed.
    pub never_completed: u64,
    /// Copies compared by hash.
    pub replica_hashes: u64,
    /// Audit records compared with actions.
    pub audit_records: u64,
    /// Leader facts.
    pub leader_facts: u64,
    /// Commits of groups' offsets.
    #[serde(default)]
    pub commits: u64,
    /// Of those, acknowledged.
    #[serde(default)]
    pub commits_acked: u64,
    /// Answers that show committed offsets.
    #[serde(default)]
    pub offset_fetches: u64,
    /// Answers that give a member its part.
    #[serde(default)]
    pub assignments: u64,
    /// Records given to groups.
    #[serde(default)]
    pub consumed: u64,
    /// Partitions in which a group went on after an assignment.
    #[serde(default)]
    pub resumed: u64,
}

/// The judgement.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// How much was judged.
    pub counts: Counts,
    /// How often each anomaly was found.
    pub anomalies: BTreeMap<String, u64>,
    /// The first of each.
    pub findings: Vec<Finding>,
    /// Longest time from an acknowledgement to the first time any reader saw the record, over
    /// records that were read.
    pub worst_lag_ns: u64,
    /// The acknowledgement's line of that record; 0 when there is none.
    pub worst_lag_line: u64,
    /// Most records acknowledged and not yet read by anyone at one time.
    pub unseen_max: u64,
}

impl Report {
    /// Whether no promise was broken.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.anomalies.is_empty()
    }

    /// How often an anomaly was found, by its name.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.anomalies.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, anomaly: Anomaly, mut evidence: Vec<u64>) {
        let count = self.anomalies.entry(anomaly.name().to_owned()).or_default();
        *count += 1;
        if *count <= FINDINGS_PER_ANOMALY_MAX {
            evidence.retain(|line| *line != 0);
            evidence.sort_unstable();
            evidence.dedup();
            self.findings.push(Finding { anomaly, evidence });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(f, "history   {} events, {} partitions", counts.events, counts.partitions)?;
        writeln!(
            f,
            "sent      {} records: {} acknowledged, {} failed, {} unknown ({} of them found)",
            counts.sent, counts.acked, counts.failed, counts.unknown, counts.unknown_found
        )?;
        writeln!(
            f,
            "read      {} records in {} polls, {} in the final read; {} deleted on request, {} \
             duplicates allowed",
            counts.read,
            counts.polls,
            counts.read_finally,
            counts.deleted,
            counts.duplicates_allowed
        )?;
        writeln!(
            f,
            "facts     {} leaders, {} replica hashes, {} audit records; {} calls never completed",
            counts.leader_facts,
            counts.replica_hashes,
            counts.audit_records,
            counts.never_completed
        )?;
        if counts.commits > 0 {
            writeln!(
                f,
                "groups    {} commits, {} acknowledged; offsets shown {} times, {} assignments; \
                 {} records consumed, {} partitions resumed",
                counts.commits,
                counts.commits_acked,
                counts.offset_fetches,
                counts.assignments,
                counts.consumed,
                counts.resumed
            )?;
        }
        writeln!(
            f,
            "lag       worst {:.3} ms from acknowledgement to first read (line {}), at most {} \
             records unseen at once",
            self.worst_lag_ns as f64 / 1e6,
            self.worst_lag_line,
            self.unseen_max
        )?;
        if self.is_clean() {
            return write!(f, "verdict   clean");
        }
        for (name, count) in &self.anomalies {
            writeln!(f, "anomaly   {name}: {count}")?;
            let shown = self.findings.iter().filter(|finding| finding.anomaly.name() == name);
            for finding in shown.take(5) {
                writeln!(f, "          {} (lines {:?})", finding.anomaly, finding.evidence)?;
            }
        }
        write!(f, "verdict   {} anomalies", self.anomalies.values().sum::<u64>())
    }
}
