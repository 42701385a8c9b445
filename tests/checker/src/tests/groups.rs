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
