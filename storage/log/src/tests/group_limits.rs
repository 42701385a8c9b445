//! What is too large is refused by the leader, and what it takes every replica reads.

use bytes::Bytes;

use super::support::{Leader, commit, record, slot};
use crate::{
    CommandOutcome, ENTRY_COMMANDS_MAX_BYTES, EntryBuilder, GROUP_RECORD_MAX_BYTES,
    GROUP_TEXT_MAX_BYTES, GroupRecord, NewOffset, Proposal, Refused,
};

fn put(record: &GroupRecord, name: &str) -> CommandOutcome {
    Leader::new()
        .admin(|decider, _, entry, _| decider.propose_put_group(entry, slot(name), name, record))
}

/// A record that takes this many bytes.
fn record_of(bytes: usize) -> GroupRecord {
    let mut record = record(1, &["a"]);
    record.members[0].subscription = Bytes::new();
    let mut encoded = Vec::new();
    crate::group::put_record(&mut encoded, &record);
    record.members[0].subscription = vec![7; bytes - encoded.len()].into();
    record
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn a_record_of_768_kib_is_stored_and_one_byte_more_is_refused_for_ever() {
    let name = long(GROUP_TEXT_MAX_BYTES);
    let fits = record_of(GROUP_RECORD_MAX_BYTES);
    assert_eq!(put(&fits, &name), CommandOutcome::GroupPut);
    let refused = put(&record_of(GROUP_RECORD_MAX_BYTES + 1), &name);
    let (bytes, limit_bytes) = (GROUP_RECORD_MAX_BYTES as u64 + 1, GROUP_RECORD_MAX_BYTES as u64);
    assert_eq!(refused, CommandOutcome::Refused(Refused::GroupTooLarge { bytes, limit_bytes }));
}

#[test]
fn every_text_of_a_group_has_the_length_a_client_can_send_at_most() {
    let text = long(GROUP_TEXT_MAX_BYTES + 1);
    let too_long = CommandOutcome::Refused(Refused::GroupTooLarge {
        bytes: text.len() as u64,
        limit_bytes: GROUP_TEXT_MAX_BYTES as u64,
    });
    assert_eq!(put(&record(1, &[]), &text), too_long);
    let changes: [fn(&mut GroupRecord, String); 7] = [
        |record, text| record.protocol_type = text,
        |record, text| record.protocol = Some(text),
        |record, text| record.leader = Some(text),
        |record, text| record.members[0].member_id = text,
        |record, text| record.members[0].instance_id = Some(text),
        |record, text| record.members[0].client_id = text,
        |record, text| record.members[0].client_host = text,
    ];
    for change in changes {
        let mut wrong = record(1, &["a"]);
        change(&mut wrong, text.clone());
        assert_eq!(put(&wrong, "g"), too_long);
        let mut right = record(1, &["a"]);
        change(&mut right, long(GROUP_TEXT_MAX_BYTES));
        assert_eq!(put(&right, "g"), CommandOutcome::GroupPut);
    }
    let wrong = NewOffset { metadata: text.clone(), ..commit(0, 1) };
    for (name, offsets) in [("g", &[wrong][..]), (&text, &[commit(0, 1)][..])] {
        let outcome = Leader::new().admin(|decider, _, entry, _| {
            decider.propose_commit_offsets(entry, slot(name), name, offsets)
        });
        assert_eq!(outcome, too_long);
    }
    let mut entry = EntryBuilder::new();
    let decider = crate::Decider::new();
    let at = slot(&text);
    assert!(decider.propose_remove_group(&mut entry, at, &text).is_err());
    assert!(decider.propose_remove_offsets(&mut entry, at, &text, &[]).is_err());
    assert!(entry.is_empty());
}

#[test]
fn members_out_of_order_or_twice_are_never_proposed() {
    for members in [["b", "a"], ["a", "a"]] {
        let outcome = put(&record(1, &members), "g");
        assert!(matches!(outcome, CommandOutcome::Refused(Refused::InvalidGroup { .. })));
    }
}

#[test]
fn a_commit_fills_an_entry_waits_for_the_next_or_never_fits() {
    // Head 6, slot 2, id 2 + 1, count 4; each offset 34 with its metadata.
    let metadata_bytes = 10_000;
    let row = NewOffset { metadata: long(metadata_bytes), ..commit(0, 1) };
    let each = 34 + metadata_bytes;
    let count = (ENTRY_COMMANDS_MAX_BYTES - 15) / each;
    let mut offsets = vec![row.clone(); count];
    let left = ENTRY_COMMANDS_MAX_BYTES - 15 - count * each;
    offsets.push(NewOffset { metadata: long(left - 34), ..row });

    let decider = crate::Decider::new();
    let mut entry = EntryBuilder::new();
    let proposed = decider.propose_commit_offsets(&mut entry, slot("g"), "g", &offsets);
    assert_eq!(proposed, Ok(Proposal::Command { ordinal: 0 }));
    assert_eq!(entry.commands_len(), ENTRY_COMMANDS_MAX_BYTES);
    let full = decider.propose_commit_offsets(&mut entry, slot("g"), "g", &[commit(0, 1)]);
    assert_eq!(full, Err(Refused::EntryFull));
    assert_eq!((entry.command_count(), entry.commands_len()), (1, ENTRY_COMMANDS_MAX_BYTES));
    let mut leader = Leader::new();
    leader.send(entry);
    leader.commit_one().unwrap();

    let mut begun = EntryBuilder::new();
    decider.propose_remove_group(&mut begun, slot("g"), "g").unwrap();
    let later = decider.propose_commit_offsets(&mut begun, slot("g"), "g", &offsets);
    assert_eq!(later, Err(Refused::EntryFull), "it fits an entry of its own to the last byte");

    offsets.last_mut().unwrap().metadata.push('x');
    for mut entry in [EntryBuilder::new(), begun] {
        let before = (entry.command_count(), entry.commands_len());
        let never = decider.propose_commit_offsets(&mut entry, slot("g"), "g", &offsets);
        assert!(matches!(never, Err(Refused::GroupTooLarge { .. })), "{never:?}");
        assert_eq!((entry.command_count(), entry.commands_len()), before);
    }
}
