//! What must not raise an alarm.

use super::*;

/// Every kind of event, nothing wrong.
pub(crate) fn clean() -> Story {
    let mut story = Story::default();
    story.fact(Op::Note { text: "three nodes, no faults".to_owned() });
    story.sent(1, &[10, 11, 12], 0);
    let first = story.invoke(2, idempotent(&[20]));
    let second = story.invoke(2, idempotent(&[21, 22]));
    story.complete(2, second, Kind::Ok, 4);
    story.complete(2, first, Kind::Ok, 3);
    story.poll(3, Poll { high_watermark: Some(6), ..poll(&[(0, 10), (1, 11)]) });
    story.read(3, &[(2, 12), (3, 20)]);
    let lost = story.invoke(1, send(&[13]));
    story.complete(1, lost, Kind::Info, 0);
    let failed = story.invoke(1, send(&[14]));
    story.complete(1, failed, Kind::Fail, 0);
    story.invoke(1, send(&[15]));
    let fire = story.invoke(4, Send { acks: 0, ..send(&[40, 41]) });
    story.complete(4, fire, Kind::Ok, 0);
    story.fact(leader(1, 1, 2, 3)).fact(leader(2, 1, 2, 3)).fact(leader(1, 1, 1, 4));
    for place in ["node 1", "node 2", "node 3"] {
        story.fact(Op::ReplicaHash {
            partition: T.to_owned(),
            place: place.to_owned(),
            end_offset: 6,
            hash: "abc".to_owned(),
        });
    }
    for (key, kind) in [("done", Kind::Ok), ("refused", Kind::Fail), ("open", Kind::Info)] {
        let action = Op::AuditAction { key: key.to_owned() };
        story.line(7, 1, Kind::Invoke, action.clone()).line(7, 1, kind, action);
    }
    story.fact(Op::AuditRecord { key: "done".to_owned(), refused: false });
    story.final_read(0, &[(0, 10), (1, 11), (2, 12), (3, 20), (4, 21), (5, 22), (6, 15), (7, 41)]);
    story
}

#[test]
fn a_clean_history_is_clean_and_its_counts_are_right() {
    let story = clean();
    story.finds(&[]);
    let counts = story.check().counts;
    assert_eq!((counts.sent, counts.acked, counts.failed, counts.unknown), (11, 6, 1, 4));
    assert_eq!((counts.unknown_found, counts.never_completed), (2, 1));
    assert_eq!((counts.polls, counts.read, counts.read_finally), (3, 12, 8));
    assert_eq!((counts.replica_hashes, counts.audit_records, counts.leader_facts), (3, 1, 3));
}

#[test]
fn an_empty_history_is_clean_and_says_that_it_judged_nothing() {
    let report = Story::default().check();
    assert!(report.is_clean());
    assert_eq!(report.counts.acked, 0);
}

#[test]
fn copies_of_a_producer_that_is_not_idempotent_are_counted_only() {
    let mut story = Story::default();
    story.sent(1, &[1], 1).final_read(0, &[(0, 1), (1, 1)]);
    story.finds(&[]);
    assert_eq!(story.check().counts.duplicates_allowed, 1);
}

#[test]
fn a_lost_send_without_acknowledgement_is_no_anomaly() {
    let mut story = Story::default();
    let call = story.invoke(1, Send { acks: 0, ..send(&[1]) });
    story.complete(1, call, Kind::Ok, 0);
    story.final_read(0, &[]);
    story.finds(&[]);
}

#[test]
fn records_deleted_on_request_are_not_lost_and_may_be_skipped() {
    let mut story = Story::default();
    story.sent(1, &[1, 2, 3], 0).read(2, &[(0, 1)]).read(3, &[(0, 1), (1, 2), (2, 3)]);
    let delete = |before_offset| Op::DeleteRecords { partition: T.to_owned(), before_offset };
    story.line(9, 1, Kind::Invoke, delete(2)).line(9, 1, Kind::Ok, delete(2));
    story.read(2, &[(2, 3)]).final_read(2, &[(2, 3)]);
    story.finds(&[]);
    assert_eq!(story.check().counts.deleted, 2);
}

#[test]
fn a_group_member_and_a_reader_that_seeks_may_move_an_assigned_one_may_not() {
    let mut story = Story::default();
    story.sent(1, &[1, 2, 3], 0);
    let member = |records| Poll { mode: Mode::Subscribe, ..poll(records) };
    story.poll(2, member(&[(0, 1), (1, 2)])).poll(2, member(&[(0, 1)])).poll(2, member(&[(2, 3)]));
    let seek = Poll { position: Some(0), ..poll(&[(0, 1)]) };
    story.read(3, &[(0, 1), (1, 2), (2, 3)]).poll(3, seek);
    story.final_read(0, &[(0, 1), (1, 2), (2, 3)]);
    story.finds(&[]);
}

#[test]
fn answers_that_overtook_each_other_are_not_steps_back() {
    let mut story = Story::default();
    story.sent(1, &[1, 2], 0);
    let watermark = |end| Op::Poll(Poll { high_watermark: Some(end), ..poll(&[]) });
    story.line(2, 1, Kind::Invoke, Op::Poll(poll(&[])));
    story.line(3, 1, Kind::Invoke, Op::Poll(poll(&[])));
    story.line(3, 1, Kind::Ok, watermark(5)).line(2, 1, Kind::Ok, watermark(2));
    story.line(2, 7, Kind::Invoke, leader(1, 1, 1, 0)).line(3, 7, Kind::Invoke, leader(1, 1, 1, 0));
    story.line(3, 7, Kind::Ok, leader(1, 1, 1, 5)).line(2, 7, Kind::Ok, leader(1, 1, 2, 4));
    story.final_read(0, &[(0, 1), (1, 2), (2, 1), (3, 2), (4, 2)]);
    story.finds(&[]);
}

#[test]
fn a_node_may_know_less_after_a_restart_and_minus_one_is_no_epoch() {
    let mut story = Story::default();
    story.fact(leader(1, 1, 1, 5)).fact(leader(1, 2, 2, 4)).fact(leader(1, 2, 3, -1));
    story.fact(leader(1, 2, 2, -1));
    story.finds(&[]);
}

#[test]
fn pipelined_sends_of_a_plain_producer_may_change_places() {
    let mut story = Story::default();
    let first = story.invoke(1, send(&[1]));
    let second = story.invoke(1, send(&[2]));
    story.complete(1, second, Kind::Ok, 0);
    story.complete(1, first, Kind::Ok, 1);
    story.final_read(0, &[(0, 2), (1, 1)]);
    story.finds(&[]);
}

#[test]
fn the_worst_lag_is_the_longest_wait_from_acknowledgement_to_first_read() {
    let mut story = Story::default();
    story.sent(1, &[1], 0).sent(1, &[2], 1); // acknowledged on lines 2 and 4
    story.read(2, &[(0, 1)]).read(3, &[(0, 1)]); // first read of 1 on line 6
    story.final_read(0, &[(0, 1), (1, 2)]); // first read of 2 on line 10
    let report = story.check();
    assert_eq!((report.worst_lag_ns, report.worst_lag_line, report.unseen_max), (6_000, 4, 2));
}
