//! One number for a whole run, and for people a timeline.
//!
//! Everything that happens is mixed into the hash in its order; two runs of a seed with the same
//! hash did the same. The timeline keeps only what a person would tell of the run, and only when
//! asked: a failing seed is run again for it.

use std::fmt::Write as _;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    rows: Option<Vec<Row>>,
}

#[derive(Clone, Debug)]
struct Row {
    at_ns: u64,
    node: Option<usize>,
    text: String,
}

impl Trace {
    pub(crate) fn new(keeps_timeline: bool) -> Self {
        Trace { hash: 0xcbf2_9ce4_8422_2325, events: 0, rows: keeps_timeline.then(Vec::new) }
    }

    /// Mixes one word.
    pub(crate) fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    /// Mixes an event: when, what kind, what about.
    pub(crate) fn event(&mut self, at_ns: u64, kind: u64, about: u64) {
        self.events += 1;
        self.mix(at_ns);
        self.mix(kind);
        self.mix(about);
    }

    /// Tells people; the text costs nothing when nobody listens.
    pub(crate) fn tell(&mut self, at_ns: u64, node: Option<usize>, text: impl FnOnce() -> String) {
        if let Some(rows) = &mut self.rows {
            rows.push(Row { at_ns, node, text: text() });
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The last rows, with their columns explained.
    pub(crate) fn timeline(&self, rows_max: usize) -> String {
        let Some(rows) = &self.rows else { return String::new() };
        let mut out = String::from(
            "timeline: seconds of simulated time | where (n1..n3 a node, -- the world or a client) \
             | what\n",
        );
        let skipped = rows.len().saturating_sub(rows_max);
        if skipped > 0 {
            let _ = writeln!(out, "  ... {skipped} earlier rows left out (--trace shows all)");
        }
        for row in &rows[skipped..] {
            let node = row.node.map_or_else(|| "--".to_owned(), |node| format!("n{}", node + 1));
            let seconds = row.at_ns / 1_000_000_000;
            let micros = row.at_ns % 1_000_000_000 / 1000;
            let _ = writeln!(out, "  {seconds:>4}.{micros:06} | {node} | {}", row.text);
        }
        out
    }
}
