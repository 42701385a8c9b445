//! Doctored histories: a judge that finds nothing wrong in these would find nothing at all.

use std::collections::BTreeMap;

use holdfast_checker::{Commit, Committed, Event, Kind, Mode, OffsetFetch, Op, Poll, Send};

use super::{Verdict, judge};

const IDEMPOTENT: u32 = 1;
const PLAIN: u32 = 2;
const READERS: [u32; 2] = [10, 11];
const RECORDS: u64 = 300;

/// Two producers, three partitions, every record acknowledged where both readers find it.
fn clean() -> Vec<Event> {
    let mut history = Vec::new();
    let mut log: BTreeMap<String, Vec<(i64, u64)>> = BTreeMap::new();
    for number in 0..RECORDS {
        let process = if number % 2 == 0 { IDEMPOTENT } else { PLAIN };
        let value = u64::from(process) * 1_000_000 + number;
        let partition = format!("t-{}", number % 3);
        let records = log.entry(partition.clone()).or_default();
        let offset = records.len() as i64;
        records.push((offset, value));
        let sent = Send {
            partition,
            values: vec![value],
            acks: -1,
            idempotent: process == IDEMPOTENT,
            ..Send::default()
        };
        let acked = Send { values: Vec::new(), offset: Some(offset), ..sent.clone() };
        for (kind, send) in [(Kind::Invoke, sent), (Kind::Ok, acked)] {
            history.push(event(process, value, kind, Op::Send(send)));
        }
    }
    for reader in READERS {
        for (call, (partition, records)) in (0..).zip(&log) {
            let poll = Poll {
                partition: partition.clone(),
                position: Some(0),
                is_final: true,
                high_watermark: Some(records.len() as i64),
                log_start: Some(0),
                records: records.clone(),
                ..Poll::default()
            };
            history.push(event(reader, call, Kind::Ok, Op::Poll(poll)));
        }
    }
    history
}

fn event(process: u32, call: u64, kind: Kind, op: Op) -> Event {
    Event { process, call, kind, time_ns: 0, op }
}

/// Changes what readers found in `t-0`.
fn doctored(change: impl Fn(&mut Vec<(i64, u64)>)) -> Vec<Event> {
    let mut history = clean();
    for event in &mut history {
        if let Op::Poll(poll) = &mut event.op
            && poll.partition == "t-0"
        {
            change(&mut poll.records);
            let end = poll.records.last().map_or(0, |(offset, _)| offset + 1);
            poll.high_watermark = Some(end);
        }
    }
    history
}

fn found(verdict: &Verdict) -> bool {
    verdict.fault(RECORDS, READERS.len()).is_some()
}

#[test]
fn a_round_in_which_nothing_went_wrong_passes() {
    let verdict = judge(&clean());
    assert_eq!(verdict.fault(RECORDS, READERS.len()), None);
    assert_eq!(verdict.counts[&IDEMPOTENT].acked + verdict.counts[&PLAIN].acked, RECORDS);
}

#[test]
fn an_acknowledged_record_that_nobody_finds_is_lost() {
    // The end of the log is gone, as if the last frame had not been flushed.
    let verdict = judge(&doctored(|records| records.truncate(90)));
    assert!(found(&verdict));
    let lost: u64 = verdict.counts.values().map(|count| count.lost).sum();
    assert_eq!(lost, 10);
    assert_eq!(verdict.report.count("lost-write"), 10);
}

#[test]
fn a_record_lost_in_the_middle_is_found_although_the_end_is_there() {
    let verdict = judge(&doctored(|records| records.retain(|(offset, _)| *offset != 17)));
    assert!(found(&verdict));
    assert_eq!(verdict.report.count("offset-gap"), 1);
}

#[test]
fn a_record_one_of_two_readers_does_not_see_is_found() {
    let mut history = clean();
    let poll = history.iter_mut().rev().find_map(|event| match &mut event.op {
        Op::Poll(poll) => Some(poll),
        _ => None,
    });
    poll.unwrap().records.pop();
    let verdict = judge(&history);
    assert!(found(&verdict));
    assert_eq!(verdict.counts.values().map(|count| count.lost).sum::<u64>(), 1);
}

#[test]
fn an_idempotent_record_that_is_there_twice_is_found_and_a_plain_one_is_counted() {
    for process in [IDEMPOTENT, PLAIN] {
        let of = move |value: u64| value / 1_000_000 == u64::from(process);
        let verdict = judge(&doctored(move |records| {
            let (_, value) = *records.iter().find(|(_, value)| of(*value)).unwrap();
            records.push((records.len() as i64, value));
        }));
        assert_eq!(found(&verdict), process == IDEMPOTENT);
        assert_eq!(verdict.counts[&process].doubled, 1);
    }
}

#[test]
fn records_acknowledged_at_offsets_against_the_order_of_sending_are_found() {
    for process in [IDEMPOTENT, PLAIN] {
        let mut history = clean();
        let mut acked = |skip: usize| {
            let mut places =
                history.iter_mut().enumerate().filter_map(|(place, event)| match &mut event.op {
                    Op::Send(send) if event.process == process && event.kind == Kind::Ok => {
                        (send.partition == "t-0").then_some((place, send.offset.unwrap()))
                    }
                    _ => None,
                });
            places.nth(skip).unwrap()
        };
        let (first, second) = (acked(3), acked(4));
        for (place, offset) in [(first.0, second.1), (second.0, first.1)] {
            if let Op::Send(send) = &mut history[place].op {
                send.offset = Some(offset);
            }
        }
        let verdict = judge(&history);
        assert!(found(&verdict));
        assert_eq!(verdict.counts[&process].out_of_order, 1);
    }
}

#[test]
fn a_damaged_record_is_found() {
    let verdict = judge(&doctored(|records| records[5].1 = crate::recorder::DAMAGED));
    assert!(found(&verdict));
    assert!(verdict.report.count("phantom") > 0);
}

#[test]
fn a_history_in_which_the_checker_sees_no_promise_is_no_round_that_passed() {
    let mut history = clean();
    for event in &mut history {
        if let Op::Send(send) = &mut event.op {
            send.acks = 0;
        }
    }
    let verdict = judge(&history);
    assert!(verdict.report.is_clean());
    assert!(found(&verdict));
}

#[test]
fn too_few_records_or_readers_are_no_round_that_passed() {
    let verdict = judge(&clean());
    assert!(verdict.fault(RECORDS + 1, READERS.len()).is_some());
    assert!(verdict.fault(RECORDS, READERS.len() + 1).is_some());
    let unread: Vec<Event> =
        clean().into_iter().filter(|event| !matches!(event.op, Op::Poll(_))).collect();
    assert!(found(&judge(&unread)));
}

const GROUP: &str = "g";
const MEMBERS: [u32; 2] = [100, 101];
const WATCHER: u32 = 90;
const COMMITTED: i64 = 90;

/// What a group did with `t-0` of [`clean`], which has 100 records: its first member takes 60 and
/// commits as it goes, the second goes on from 54, the last commit acknowledged is of 90.
fn with_group() -> Vec<Event> {
    let mut history = clean();
    let records: Vec<(i64, u64)> = history
        .iter()
        .find_map(|event| match &event.op {
            Op::Poll(poll) if poll.partition == "t-0" => Some(poll.records.clone()),
            _ => None,
        })
        .unwrap();
    let mut value = 0;
    for (member, from, end) in [(MEMBERS[0], 0, 60), (MEMBERS[1], 54, 100)] {
        if from > 0 {
            look(&mut history, WATCHER, Some((from, value)));
            look(&mut history, member, Some((from, value)));
        }
        let mut position = None;
        for start in (from..end).step_by(6) {
            let next = (start + 6).min(end);
            let poll = Poll {
                partition: "t-0".to_owned(),
                mode: Mode::Subscribe,
                group: Some(GROUP.to_owned()),
                position,
                records: records[start as usize..next as usize].to_vec(),
                ..Poll::default()
            };
            history.push(event(member, next as u64, Kind::Ok, Op::Poll(poll)));
            position = Some(next);
            if start > 0 && start <= COMMITTED && start != from {
                value += 1;
                let commit = Commit {
                    group: GROUP.to_owned(),
                    member: "m".to_owned(),
                    generation: -1,
                    value,
                    offsets: vec![("t-0".to_owned(), start)],
                };
                for kind in [Kind::Invoke, Kind::Ok] {
                    let call = 1_000 + value;
                    history.push(event(member, call, kind, Op::Commit(commit.clone())));
                }
            }
        }
    }
    look(&mut history, READERS[0], Some((COMMITTED, value)));
    history
}

fn look(history: &mut Vec<Event>, process: u32, shown: Option<(i64, u64)>) {
    let call = 100_000 + history.len() as u64;
    let partition = "t-0".to_owned();
    let asked = OffsetFetch {
        group: GROUP.to_owned(),
        partitions: vec![partition.clone()],
        offsets: Vec::new(),
    };
    let row = |(offset, value)| Committed { partition: partition.clone(), offset, value };
    let answer = OffsetFetch { offsets: shown.into_iter().map(row).collect(), ..asked.clone() };
    history.push(event(process, call, Kind::Invoke, Op::FetchOffsets(asked)));
    history.push(event(process, call, Kind::Ok, Op::FetchOffsets(answer)));
}

/// As if the group had subscribed to `t-0` alone: what it did not take elsewhere is not its own.
fn of_t0(history: Vec<Event>) -> Vec<Event> {
    let is_there = |event: &Event| match &event.op {
        Op::Send(send) => send.partition == "t-0",
        Op::Poll(poll) => poll.partition == "t-0",
        _ => true,
    };
    history.into_iter().filter(is_there).collect()
}

fn faults(history: &[Event]) -> Option<String> {
    let verdict = judge(history);
    verdict.fault(RECORDS / 3, READERS.len()).or_else(|| verdict.fault_of_groups(1))
}

#[test]
fn a_group_that_committed_went_on_and_took_everything_passes_and_is_counted() {
    let history = of_t0(with_group());
    assert_eq!(faults(&history), None);
    let count = &judge(&history).groups[GROUP];
    assert_eq!((count.commits_acked, count.looks, count.resumed), (15, 3, 2));
    assert_eq!((count.lower, count.missed), (0, 0));
}

#[test]
fn a_commit_that_the_log_forgot_is_found_by_both_counts() {
    // Acknowledged, and gone: an earlier one is shown, or none, as if the last frames were lost.
    for shown in [Some((84, 14)), None] {
        let mut history = of_t0(with_group());
        look(&mut history, READERS[1], shown);
        let verdict = judge(&history);
        assert_eq!(verdict.report.count("lost-commit"), 1, "{shown:?}");
        assert_eq!(verdict.groups[GROUP].lower, 1, "{shown:?}");
        assert!(faults(&history).is_some());
    }
}

#[test]
fn a_commit_nobody_made_and_one_that_was_given_up_before_a_later_one_are_found() {
    let mut history = of_t0(with_group());
    look(&mut history, READERS[1], Some((95, 99)));
    assert_eq!(judge(&history).report.count("invented-commit"), 1);

    let mut history = of_t0(with_group());
    let given_up = history
        .iter()
        .position(|event| {
            event.kind == Kind::Ok && matches!(&event.op, Op::Commit(one) if one.value == 14)
        })
        .unwrap();
    history[given_up].kind = Kind::Info;
    assert_eq!(faults(&history), None);
    look(&mut history, READERS[1], Some((84, 14)));
    assert_eq!(judge(&history).report.count("lost-commit"), 1);
}

#[test]
fn a_successor_that_goes_on_behind_what_was_committed_is_found() {
    let mut history = of_t0(with_group());
    for event in &mut history {
        if let Op::Poll(poll) = &mut event.op
            && event.process == MEMBERS[1]
            && poll.position.is_none()
        {
            poll.records.remove(0);
        }
    }
    let verdict = judge(&history);
    assert_eq!(verdict.report.count("resumed-elsewhere"), 1);
}

#[test]
fn a_record_that_no_member_was_given_is_found_by_both_counts() {
    let mut history = of_t0(with_group());
    for event in &mut history {
        if let (Op::Poll(poll), true) = (&mut event.op, MEMBERS.contains(&event.process)) {
            poll.records.retain(|(offset, _)| *offset != 99);
        }
    }
    let verdict = judge(&history);
    assert_eq!((verdict.report.count("not-consumed"), verdict.groups[GROUP].missed), (1, 1));
}

#[test]
fn a_group_that_did_nothing_is_no_group_that_was_judged() {
    let verdict = judge(&clean());
    assert_eq!(verdict.fault(RECORDS, READERS.len()), None);
    assert!(verdict.fault_of_groups(1).is_some());
    let mut history = of_t0(with_group());
    history.retain(|event| event.process != WATCHER);
    assert!(judge(&history).fault_of_groups(1).is_some());
}
