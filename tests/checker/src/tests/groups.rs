//! Consumer groups: what is allowed, and each fault under its own name.

use super::*;

const G: &str = "g";

fn commit(generation: i32, value: u64, offset: i64) -> Op {
    let offsets = vec![(T.to_owned(), offset)];
    let member = "m".to_owned();
    Op::Commit(Commit { group: G.to_owned(), member, generation, value, offsets })
}

fn fetch(shown: Option<(i64, u64)>) -> Op {
    let row = |(offset, value)| Committed { partition: T.to_owned(), offset, value };
    Op::FetchOffsets(OffsetFetch {
        group: G.to_owned(),
        partitions: vec![T.to_owned()],
        offsets: shown.into_iter().map(row).collect(),
    })
}

fn sync(member: &str, generation: i32, plan: &[(&str, &str)], assignment: &str) -> Op {
    let part = |(member, text): &(&str, &str)| ((*member).to_owned(), (*text).to_owned());
    Op::SyncGroup(SyncGroup {
        group: G.to_owned(),
        member: member.to_owned(),
        generation,
        plan: plan.iter().map(part).collect(),
        assignment: assignment.to_owned(),
    })
}

fn join(generation: i32) -> Op {
    Op::JoinGroup(JoinGroup { group: G.to_owned(), member: "m".to_owned(), generation })
}

impl Story {
    /// A call of process 1 from beginning to end.
    fn call(&mut self, kind: Kind, op: Op) -> &mut Self {
        self.begin(1_000 + self.events.len() as u64, kind, op)
    }

    fn begin(&mut self, call: u64, kind: Kind, op: Op) -> &mut Self {
        self.line(1, call, Kind::Invoke, op.clone()).line(1, call, kind, op)
    }
}

#[test]
fn commits_assignments_and_offsets_that_are_one_story_are_clean_and_counted() {
    let mut story = Story::default();
    story.call(Kind::Ok, fetch(None)).call(Kind::Ok, join(1));
    story.call(Kind::Ok, sync("a", 1, &[("a", "1|0"), ("b", "1|1")], "1|0"));
    story.call(Kind::Ok, commit(1, 10, 5)).call(Kind::Ok, fetch(Some((5, 10))));
    story.call(Kind::Ok, sync("a", 2, &[("a", "2|0"), ("b", "2|1")], "2|0"));
    story.call(Kind::Ok, sync("b", 2, &[], "2|1"));
    story.call(Kind::Fail, commit(1, 11, 6)).call(Kind::Ok, fetch(Some((5, 10))));
    story.finds(&[]);
    let counts = story.check().counts;
    assert_eq!((counts.commits, counts.commits_acked), (2, 1));
    assert_eq!((counts.offset_fetches, counts.assignments), (3, 3));
}

#[test]
fn a_commit_of_unknown_fate_may_be_shown_or_not_but_not_vanish_once_shown() {
    let mut story = Story::default();
    story.call(Kind::Ok, commit(1, 10, 5)).call(Kind::Info, commit(1, 11, 6));
    story.call(Kind::Ok, fetch(Some((5, 10)))).call(Kind::Ok, fetch(Some((6, 11))));
    story.finds(&[]);
    story.call(Kind::Ok, fetch(Some((5, 10))));
    story.finds(&["lost-commit"]);
}

#[test]
fn commits_that_overlap_may_end_in_any_order() {
    for last in [(5, 10), (6, 11)] {
        let mut story = Story::default();
        story.line(1, 1, Kind::Invoke, commit(1, 10, 5));
        story.line(1, 2, Kind::Invoke, commit(1, 11, 6));
        story.line(1, 1, Kind::Ok, commit(1, 10, 5));
        story.line(1, 2, Kind::Ok, commit(1, 11, 6));
        story.call(Kind::Ok, fetch(Some(last)));
        story.finds(&[]);
    }
}

#[test]
fn an_acknowledged_commit_that_is_not_shown_is_lost() {
    let mut story = Story::default();
    story.call(Kind::Ok, commit(1, 10, 5)).call(Kind::Ok, fetch(None));
    story.finds(&["lost-commit"]);
}

#[test]
fn an_earlier_commit_shown_after_a_later_one_was_acknowledged_is_a_loss() {
    let mut story = Story::default();
    story.call(Kind::Ok, commit(1, 10, 5)).call(Kind::Ok, commit(1, 11, 6));
    story.call(Kind::Ok, fetch(Some((5, 10))));
    story.finds(&["lost-commit"]);
}

#[test]
fn a_commit_of_unknown_fate_does_not_come_after_one_of_a_newer_generation() {
    let mut story = Story::default();
    story.call(Kind::Info, commit(1, 10, 5)).call(Kind::Ok, commit(2, 11, 6));
    story.call(Kind::Ok, fetch(Some((5, 10))));
    story.finds(&["lost-commit"]);
}

#[test]
fn an_offset_that_nobody_sent_is_invented() {
    for shown in [(4, 10), (5, 12)] {
        let mut story = Story::default();
        story.call(Kind::Ok, commit(1, 10, 5)).call(Kind::Ok, fetch(Some(shown)));
        story.finds(&["invented-commit"]);
    }
}

#[test]
fn a_commit_that_failed_for_certain_must_not_be_shown() {
    let mut story = Story::default();
    story.call(Kind::Fail, commit(1, 10, 5)).call(Kind::Ok, fetch(Some((5, 10))));
    story.finds(&["failed-commit-shown"]);
}

#[test]
fn a_commit_acknowledged_after_a_newer_generation_was_established_is_a_zombie_s() {
    let mut story = Story::default();
    story.call(Kind::Ok, commit(1, 10, 5));
    story.call(Kind::Ok, sync("a", 2, &[("a", "2|0")], "2|0"));
    story.call(Kind::Ok, commit(1, 11, 6));
    story.finds(&["zombie-commit"]);
}

#[test]
fn a_member_let_into_an_older_generation_is_told() {
    let mut story = Story::default();
    story.call(Kind::Ok, commit(3, 10, 5)).call(Kind::Ok, join(3)).call(Kind::Ok, join(2));
    story.finds(&["generation-regress"]);
}

#[test]
fn a_part_that_no_leader_sent_for_this_member_is_invented() {
    for (member, part) in [("a", "9|0"), ("a", "1|1"), ("c", "1|0"), ("b", "")] {
        let mut story = Story::default();
        story.call(Kind::Ok, sync("a", 1, &[("a", "1|0"), ("b", "1|1")], "1|0"));
        story.call(Kind::Ok, sync(member, 1, &[], part));
        story.finds(&["invented-assignment"]);
    }
}

#[test]
fn parts_of_two_plans_in_one_generation_are_told() {
    let mut story = Story::default();
    story.call(Kind::Ok, commit(1, 10, 5));
    story.call(Kind::Ok, sync("a", 2, &[("a", "2|0"), ("b", "2|1")], "2|0"));
    story.call(Kind::Ok, sync("b", 2, &[("a", "3|0"), ("b", "3|1")], "3|1"));
    story.finds(&["two-assignments"]);
}

/// A group's poll; without a position it is the first after an assignment.
fn group_poll(position: Option<i64>, records: &[(i64, u64)]) -> Poll {
    let group = Some(G.to_owned());
    Poll { mode: Mode::Subscribe, group, position, ..poll(records) }
}

/// Three records, the first two consumed and committed.
fn half_consumed() -> Story {
    let mut story = Story::default();
    story.sent(1, &[1, 2, 3], 0).call(Kind::Ok, fetch(None));
    story.poll(2, group_poll(None, &[(0, 1), (1, 2)])).call(Kind::Ok, commit(1, 10, 2));
    story
}

#[test]
fn a_group_that_goes_on_from_its_committed_offset_and_misses_nothing_is_clean_and_counted() {
    let mut story = half_consumed();
    story.poll(3, group_poll(None, &[(2, 3)])).final_read(0, &[(0, 1), (1, 2), (2, 3)]);
    story.finds(&[]);
    let counts = story.check().counts;
    assert_eq!((counts.consumed, counts.resumed), (3, 2));
}

#[test]
fn a_group_that_goes_on_before_or_behind_its_committed_offset_is_told() {
    for records in [&[(1, 2), (2, 3)][..], &[(0, 1), (1, 2), (2, 3)]] {
        let mut story = half_consumed();
        story.poll(3, group_poll(None, records)).final_read(0, &[(0, 1), (1, 2), (2, 3)]);
        story.finds(&["resumed-elsewhere"]);
    }
    let mut story = half_consumed();
    story.sent(1, &[4], 3).poll(3, group_poll(None, &[(3, 4)]));
    story.final_read(0, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
    story.finds(&["not-consumed", "resumed-elsewhere"]);
}

#[test]
fn a_group_may_go_on_from_a_commit_whose_end_nobody_knows_but_not_from_one_that_failed() {
    for (kind, found) in
        [(Kind::Info, &[][..]), (Kind::Fail, &["not-consumed", "resumed-elsewhere"])]
    {
        let mut story = half_consumed();
        story.sent(1, &[4], 3).call(kind, commit(1, 11, 3));
        story.poll(3, group_poll(None, &[(3, 4)]));
        story.final_read(0, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
        if kind == Kind::Info {
            story.poll(4, group_poll(Some(2), &[(2, 3)]));
        }
        story.finds(found);
    }
}

#[test]
fn a_member_that_goes_on_behind_its_last_record_needs_no_commit_and_may_not_skip() {
    let mut story = half_consumed();
    story.poll(2, group_poll(Some(2), &[(2, 3)])).final_read(0, &[(0, 1), (1, 2), (2, 3)]);
    story.finds(&[]);
    let mut story = half_consumed();
    story.sent(1, &[4], 3).poll(2, group_poll(Some(2), &[(3, 4)]));
    story.final_read(0, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
    story.finds(&["not-consumed", "poll-skip"]);
}

#[test]
fn an_acknowledged_record_no_member_was_given_is_told_also_in_a_partition_never_read() {
    let mut story = half_consumed();
    story.final_read(0, &[(0, 1), (1, 2), (2, 3)]);
    story.finds(&["not-consumed"]);
    let mut story = half_consumed();
    story.poll(3, group_poll(None, &[(2, 3)])).final_read(0, &[(0, 1), (1, 2), (2, 3)]);
    let elsewhere = "t-1".to_owned();
    let call = story.invoke(1, Send { partition: elsewhere.clone(), ..send(&[9]) });
    let answer = Send { partition: elsewhere.clone(), offset: Some(0), ..Send::default() };
    story.line(1, call, Kind::Ok, Op::Send(answer));
    story.poll(
        51,
        Poll {
            partition: elsewhere.clone(),
            is_final: true,
            high_watermark: Some(1),
            ..poll(&[(0, 9)])
        },
    );
    story.finds(&[]);
    let asks =
        OffsetFetch { group: G.to_owned(), partitions: vec![elsewhere], offsets: Vec::new() };
    story.call(Kind::Ok, Op::FetchOffsets(asks));
    story.finds(&["not-consumed"]);
}

#[test]
fn a_commit_that_ended_without_an_answer_comes_after_no_later_one_where_that_is_its_end() {
    let mut story = Story::default();
    story.call(Kind::Info, commit(-1, 10, 5)).call(Kind::Ok, commit(-1, 11, 6));
    story.call(Kind::Ok, fetch(Some((5, 10))));
    story.finds(&[]);
    let strict = Expectations { ended_commits_are_over: true, ..Expectations::default() };
    let report = check(&story.events, strict);
    assert_eq!(report.count("lost-commit"), 1, "{report}");
    let mut open = Story::default();
    open.line(1, 1, Kind::Invoke, commit(-1, 10, 5)).call(Kind::Ok, commit(-1, 11, 6));
    open.call(Kind::Ok, fetch(Some((5, 10))));
    assert!(check(&open.events, strict).is_clean());
}
