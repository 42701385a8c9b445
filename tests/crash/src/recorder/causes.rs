//! Causes before effects.
//!
//! Lines of two clients are ordered by arrival, and a line may be long on its way: a member may
//! tell of a record, or a watcher of a commit, before the line that says it was about to be sent has
//! come. Sending comes first all the same, for values are unique. So an invocation that arrived
//! behind the first sight of its value is put before it, together with that process's invocations
//! before it, whose order is kept.
//!
//! Invariant: only invocations move, and only to the front: calls may come to overlap that did not,
//! which takes away a reason for an alarm and never adds one. A value nobody sent is still nobody's.

use std::collections::BTreeMap;

use holdfast_checker::{Event, Kind, Op};

/// The history in an order that can have been.
pub(super) fn before_effects(events: Vec<Event>) -> Vec<Event> {
    let mut records: BTreeMap<u64, usize> = BTreeMap::new();
    let mut commits: BTreeMap<u64, usize> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        match &event.op {
            Op::Poll(poll) => {
                for (_, value) in &poll.records {
                    records.entry(*value).or_insert(place);
                }
            }
            Op::FetchOffsets(fetch) => {
                for shown in &fetch.offsets {
                    commits.entry(shown.value).or_insert(place);
                }
            }
            _ => {}
        }
    }
    let seen = |event: &Event| match &event.op {
        Op::Send(send) => send.values.iter().filter_map(|value| records.get(value)).min(),
        Op::Commit(commit) => commits.get(&commit.value),
        _ => None,
    };
    // From the end: no invocation may stay behind one of its process that has to move.
    let mut places: Vec<(usize, bool)> = (0..events.len()).map(|place| (place, true)).collect();
    let mut next_of: BTreeMap<u32, usize> = BTreeMap::new();
    for (place, event) in events.iter().enumerate().rev() {
        let moves = event.kind == Kind::Invoke && matches!(event.op, Op::Send(_) | Op::Commit(_));
        if !moves {
            continue;
        }
        let next = next_of.entry(event.process).or_insert(usize::MAX);
        let latest = seen(event).map_or(*next, |seen| (*seen).min(*next));
        *next = latest;
        if latest < place {
            places[place] = (latest, false);
        }
    }
    let mut ordered: Vec<_> = places.into_iter().zip(events).collect();
    // Stable, and an invocation that has moved stands before what stood at its new place.
    ordered.sort_by_key(|(place, _)| *place);
    ordered.into_iter().map(|(_, event)| event).collect()
}
