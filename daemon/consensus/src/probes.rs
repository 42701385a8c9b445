//! How often a rare situation came about, for tests that must have seen it and for status pages.

/// Counts since the start of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Probes {
    /// Entries another leader's entries replaced.
    pub entries_truncated: u64,
    /// Committed entries that did nothing because another term had decided them.
    pub decided_in_another_term: u64,
    /// Times a follower that lagged behind the cache was fed from the WAL.
    pub fed_from_wal: u64,
    /// Times there was nothing to feed it: the bytes on this device cannot be read or are damaged.
    pub feeds_refused: u64,
    /// Messages dropped because their sender had been heard with a higher boot count.
    pub old_boots_dropped: u64,
    /// Vote requests not looked at because this replica had just started.
    pub votes_held_back: u64,
    /// Start-ups that cut a torn tail off the WAL.
    pub torn_tails_cut: u64,
}
