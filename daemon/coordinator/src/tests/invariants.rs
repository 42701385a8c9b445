//! What must hold inside a coordinator between any two calls.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_log::GroupRecord;

use crate::deadlines::{Due, Timer};
use crate::group::Group;
use crate::record::member_bytes;
use crate::turn::Purpose;
use crate::{Coordinator, GroupState};

pub(super) fn check(coordinator: &Coordinator, log: &BTreeMap<String, GroupRecord>) {
    let mut held = BTreeSet::new();
    let mut parked = 0;
    for group in coordinator.groups.values() {
        counts(group);
        states(group, coordinator);
        parked += members(group, coordinator, &mut held);
        held.extend(group.join_timer.map(|timer| (timer, group.id.to_string(), Due::Join)));
        held.extend(group.sync_timer.map(|timer| (timer, group.id.to_string(), Due::Sync)));
        if group.state == GroupState::Stable {
            let stored = log.get(&*group.id).map(|record| record.generation);
            assert_eq!(stored, Some(group.generation), "a stable generation is stored");
        }
    }
    for write in coordinator.writes.open.values() {
        parked += u64::from(matches!(
            write.purpose,
            Purpose::Emptied(Some(_)) | Purpose::Removal(Some(_), _)
        ));
    }
    assert_eq!(coordinator.outstanding, parked, "whoever is not answered waits somewhere");
    let all = coordinator.deadlines.all();
    let armed: BTreeSet<_> =
        all.map(|(timer, (group, due))| (*timer, group.to_string(), due.clone())).collect();
    assert_eq!(armed, held, "a deadline belongs to someone alive, and is armed");
}

fn counts(group: &Group) {
    let members = || group.members.values();
    let awaiting = members().filter(|member| member.awaiting_join.is_some()).count();
    assert_eq!(group.awaiting_join, awaiting);
    assert_eq!(group.pending_sync, members().filter(|member| member.pending_sync).count());
    assert_eq!(group.members_bytes, members().map(member_bytes).sum::<usize>());
    let mut supported = BTreeMap::new();
    for (name, _) in members().flat_map(|member| &member.protocols) {
        *supported.entry(name.clone()).or_insert(0) += 1;
    }
    assert_eq!(group.supported, supported);
    let statics = members().filter_map(|member| {
        Some((member.instance_id.clone()?, std::sync::Arc::clone(&member.id)))
    });
    assert_eq!(group.statics, statics.collect());
    let leader = group.leader.as_ref();
    assert_eq!(leader.is_some(), !group.members.is_empty(), "a leader exactly if members");
    assert!(leader.is_none_or(|leader| group.members.contains_key(leader)));
}

fn states(group: &Group, coordinator: &Coordinator) {
    let awaiting_sync = group.members.values().any(|member| member.awaiting_sync.is_some());
    let preparing = group.state == GroupState::PreparingRebalance;
    let completing = group.state == GroupState::CompletingRebalance;
    assert_eq!(group.join_timer.is_some(), preparing, "the join phase ends by itself");
    assert!(group.initial.is_none() || preparing);
    assert!(!awaiting_sync || completing);
    assert!(group.storing.is_none() || completing);
    assert!(group.pending_sync == 0 || group.sync_timer.is_some(), "nobody is waited for in vain");
    match group.state {
        GroupState::Empty => assert!(group.members.is_empty() && group.protocol.is_none()),
        GroupState::PreparingRebalance => {}
        GroupState::CompletingRebalance => {
            assert_eq!(group.awaiting_join, 0);
            assert!(group.storing.is_some() || group.sync_timer.is_some(), "it ends by itself");
        }
        GroupState::Stable => {
            for member in group.members.values().filter(|one| one.awaiting_join.is_some()) {
                let mut open = coordinator.writes.open.values();
                let stored = open.any(|write| match &write.purpose {
                    Purpose::Replacement(undo) => Some(undo.caller) == member.awaiting_join,
                    _ => false,
                });
                assert!(stored, "in a stable group a join waits only for its own store");
            }
        }
        GroupState::Dead => panic!("a dead group is not kept"),
    }
}

/// Checks the sessions; gives how many callers are parked.
fn members(
    group: &Group,
    coordinator: &Coordinator,
    held: &mut BTreeSet<(Timer, String, Due)>,
) -> u64 {
    let mut parked = 0;
    for (id, timer) in &group.pending {
        assert!(!group.members.contains_key(id));
        held.insert((*timer, group.id.to_string(), Due::Session(id.clone())));
    }
    for (id, member) in &group.members {
        assert_eq!(*id, member.id);
        let waits = [member.awaiting_join, member.awaiting_sync];
        parked += waits.iter().flatten().count() as u64;
        match member.session.timer {
            Some(timer) => {
                assert!(timer.at_ns <= member.session.deadline_ns, "it rings in time");
                held.insert((timer, group.id.to_string(), Due::Session(id.clone())));
            }
            None => assert!(member.may_be_silent(), "only who waits for us may be silent"),
        }
    }
    assert!(coordinator.groups.contains_key(&group.id));
    parked
}
