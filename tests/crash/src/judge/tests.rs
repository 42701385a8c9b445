//! Doctored histories: a judge that finds nothing wrong in these would find nothing at all.

use std::collections::BTreeMap;

use holdfast_checker::{Event, Kind, Op, Poll, Send};

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
