//! A log that was trimmed, and starts in the middle of it.

use super::*;

/// The state of the shard as it is now, for the next start.
pub(super) fn kept(node: &mut Node, read_from: Index) -> Start<Notebook> {
    let driver = node.driver();
    let status = driver.status().next().unwrap();
    let machine = Notebook { applied: driver.machine(SHARD).unwrap().applied.clone() };
    Start {
        machine,
        applied: status.applied,
        term: status.term,
        time_ms: 5_000,
        read_from,
        read_from_term: status.term,
    }
}

/// As many entries as fill `bytes`, a kilobyte each; the last one's index.
fn fill(node: &mut Node, bytes: u64) -> Index {
    let mut last = Index(0);
    for number in 0..bytes / 1024 {
        last = node.propose(SHARD, format!("command {number}").as_bytes(), &[7; 1024]);
        if number % 64 == 0 {
            node.run(6);
        }
    }
    node.run(30);
    last
}

fn restart(node: &mut Node) {
    node.device.power_cut();
    node.driver = None;
    node.start();
}

fn quarantine(node: &mut Node) -> Option<String> {
    node.driver().status().next().unwrap().quarantine.map(|why| why.0)
}

#[test]
fn a_start_with_a_state_applies_only_what_came_after_it() {
    let mut node = Node::new(1);
    fill(&mut node, 20 << 10);
    let state = kept(&mut node, Index(0));
    let (applied, before) = (state.applied, state.machine.applied.len());
    let later = node.propose(SHARD, b"later", b"");
    node.run(20);
    node.kept.insert(SHARD, state);
    restart(&mut node);
    let recalled = node.events.iter().filter_map(|event| match event {
        Event::Recalled { index, outcome: Some(_), .. } => Some(*index),
        _ => None,
    });
    assert_eq!(recalled.count(), before, "payloads of the state's entries are indexed again");
    let first_applied = node.events.iter().find_map(|event| match event {
        Event::Applied { index, .. } => Some(*index),
        _ => None,
    });
    assert_eq!(first_applied, Some(applied.next()));
    assert_eq!(node.driver().machine(SHARD).unwrap().applied.last().unwrap().0, later);
    assert_eq!(node.driver().machine(SHARD).unwrap().applied.len(), before + 1);
}

#[test]
fn what_nobody_wants_from_the_log_is_not_read_at_a_start() {
    let mut node = Node::new(1);
    let last = fill(&mut node, 20 << 10);
    let state = kept(&mut node, Index(last.0 - 3));
    node.kept.insert(SHARD, state);
    restart(&mut node);
    let recalled: Vec<Index> = node
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Recalled { index, .. } => Some(*index),
            _ => None,
        })
        .collect();
    assert_eq!(recalled, [last.0 - 2, last.0 - 1, last.0].map(Index));
}

#[test]
fn a_log_of_64_mib_takes_200_and_starts_behind_what_it_let_go() {
    let mut node = Node::new(1);
    let mut written = Vec::new();
    for _ in 0..20 {
        let last = fill(&mut node, 10 << 20);
        written.push(last);
        assert!(node.driver().trim(SHARD, last));
        node.run(10);
    }
    let oldest = node.driver().wal().oldest_segment();
    assert!(oldest.0 > 1, "segments were given back");
    let state = kept(&mut node, *written.last().unwrap());
    node.kept.insert(SHARD, state);
    let later = node.propose(SHARD, b"later", b"");
    node.run(20);
    restart(&mut node);
    assert_eq!(quarantine(&mut node), None);
    assert_eq!(node.driver().machine(SHARD).unwrap().applied.last().unwrap().0, later);
    let again = node.propose(SHARD, b"again", b"");
    node.run(20);
    assert_eq!(node.driver().machine(SHARD).unwrap().applied.last().unwrap().0, again);
}

#[test]
fn a_trimmed_log_without_its_state_serves_nothing_instead_of_an_empty_shard() {
    let mut node = Node::new(1);
    for _ in 0..8 {
        let last = fill(&mut node, 10 << 20);
        node.driver().trim(SHARD, last);
        node.run(10);
    }
    restart(&mut node);
    let why = quarantine(&mut node).expect("the state is gone");
    assert!(why.contains("state of this shard was lost"), "{why}");
    let now = node.now;
    assert!(!node.driver().serves_reads(SHARD, now));
}

#[test]
fn a_state_that_is_ahead_of_the_log_is_refused() {
    let mut node = Node::new(1);
    fill(&mut node, 20 << 10);
    let mut state = kept(&mut node, Index(0));
    state.applied = Index(state.applied.0 + 5);
    node.kept.insert(SHARD, state);
    restart(&mut node);
    let why = quarantine(&mut node).expect("records are gone");
    assert!(why.contains("acknowledged records are gone"), "{why}");
}

#[test]
fn what_a_state_reflects_is_committed_although_the_last_hard_state_does_not_say_so() {
    let mut node = Node::new(1);
    let last = node.propose(SHARD, b"the only one", b"");
    node.run(20);
    let state = kept(&mut node, Index(0));
    assert_eq!(state.applied, last);
    node.kept.insert(SHARD, state);
    restart(&mut node);
    assert_eq!(quarantine(&mut node), None);
    assert_eq!(node.driver().machine(SHARD).unwrap().applied.len(), 1, "not applied twice");
}
