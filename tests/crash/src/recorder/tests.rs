//! Lines as clients write them, and the history they become.

use super::*;
use holdfast_checker::{Expectations, check};

fn told(speaker: &Speaker, lines: &[&str]) -> Recorder {
    let recorder = Recorder::default();
    lines.iter().for_each(|line| recorder.line(speaker, line));
    recorder
}

/// A member that finds nothing, takes two records, commits one, and is killed in its next commit.
const MEMBER: [&str; 12] = [
    "group g m",
    "asking 2",
    "asked",
    "assigned 0 1",
    "taken 0 0 7",
    "taken 0 1 8",
    "commit 100 3 0 1",
    "committed 100",
    "asking 2",
    "shown 0 1 100",
    "asked",
    "commit 101 3 0 2",
];

#[test]
fn a_member_s_lines_become_the_calls_of_its_group() {
    let speaker = Speaker::listener(4, "t");
    let recorder = told(&speaker, &MEMBER);
    recorder.ended(&speaker);
    assert_eq!((recorder.tally(4).commits, recorder.tally(4).looks), (1, 2));
    let history = recorder.finish().unwrap();
    let polls: Vec<&Poll> = history
        .iter()
        .filter_map(|event| match (&event.op, event.kind) {
            (Op::Poll(poll), Kind::Ok) => Some(poll),
            _ => None,
        })
        .collect();
    assert_eq!(polls.len(), 1);
    assert_eq!((&polls[0].records[..], polls[0].position), (&[(0, 7), (1, 8)][..], None));
    assert_eq!(polls[0].group.as_deref(), Some("g"));
    let commits: Vec<Kind> = history
        .iter()
        .filter(|event| matches!(event.op, Op::Commit(_)))
        .map(|event| event.kind)
        .collect();
    assert_eq!(commits, [Kind::Invoke, Kind::Ok, Kind::Invoke, Kind::Info]);
    let places = |is_it: fn(&Event) -> bool| history.iter().position(is_it).unwrap();
    let poll = places(|event| matches!(event.op, Op::Poll(_)) && event.kind == Kind::Ok);
    assert!(
        poll < places(|event| matches!(event.op, Op::Commit(_))),
        "a commit covers what is told"
    );
}

#[test]
fn a_history_of_members_is_one_the_checker_can_judge() {
    let producer = Speaker { acks: -1, ..Speaker::listener(1, "t") };
    let member = Speaker::listener(4, "t");
    let next = Speaker::listener(5, "t");
    let reader = Speaker::listener(10, "t");
    let recorder = told(&producer, &["invoke 7 0", "invoke 8 0", "ok 7 0 0", "ok 8 0 1", "done"]);
    MEMBER.iter().for_each(|line| recorder.line(&member, line));
    recorder.ended(&member);
    for line in ["group g n", "asking 2", "shown 0 1 100", "asked", "assigned 0", "taken 0 1 8"] {
        recorder.line(&next, line);
    }
    recorder.ended(&next);
    for line in ["start 0 0 2", "start 1 0 0", "record 0 0 7", "record 0 1 8", "done"] {
        recorder.line(&reader, line);
    }
    let report = check(&recorder.finish().unwrap(), Expectations::default());
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.commits, report.counts.commits_acked), (2, 1));
    assert_eq!((report.counts.consumed, report.counts.resumed), (3, 2));
}

#[test]
fn a_record_told_of_before_its_sending_was_sent_before_and_in_its_order() {
    let producer = Speaker { acks: -1, ..Speaker::listener(1, "t") };
    let member = Speaker::listener(4, "t");
    let reader = Speaker::listener(10, "t");
    let recorder =
        told(&member, &["group g m", "assigned 0", "taken 0 0 7", "taken 0 1 8", "ready"]);
    recorder.line(&member, "asking 1");
    for line in ["invoke 7 0", "invoke 8 0", "ok 7 0 0", "ok 8 0 1", "done"] {
        recorder.line(&producer, line);
    }
    for line in ["start 0 0 2", "record 0 0 7", "record 0 1 8", "done"] {
        recorder.line(&reader, line);
    }
    let history = recorder.finish().unwrap();
    let report = check(&history, Expectations::default());
    assert!(report.is_clean(), "{report}");
    let sent: Vec<u64> = history
        .iter()
        .filter(|event| event.kind == Kind::Invoke && matches!(event.op, Op::Send(_)))
        .map(|event| event.call)
        .collect();
    assert_eq!(sent, [7, 8]);
}

#[test]
fn a_record_nobody_sent_stays_one() {
    let member = Speaker::listener(4, "t");
    let reader = Speaker::listener(10, "t");
    let recorder = told(&member, &["group g m", "assigned 0", "taken 0 0 7"]);
    recorder.ended(&member);
    for line in ["start 0 0 1", "record 0 0 7", "done"] {
        recorder.line(&reader, line);
    }
    let report = check(&recorder.finish().unwrap(), Expectations::default());
    assert!(report.count("phantom") > 0, "{report}");
}

#[test]
fn what_verifiable_producer_acknowledges_was_sent_in_the_order_of_its_numbers() {
    let speaker =
        Speaker { acks: -1, idempotent: true, verifiable: Some(50), ..Speaker::listener(1, "t") };
    let success = |number: u64, offset: i64| {
        format!(
            r#"{{"timestamp":1,"name":"producer_send_success","key":null,"value":"5.{number}","topic":"t","partition":0,"offset":{offset}}}"#
        )
    };
    let recorder = told(&speaker, &[r#"{"timestamp":1,"name":"startup_complete"}"#]);
    recorder.note("first event".to_owned());
    recorder.line(&speaker, &success(1, 1));
    recorder.line(&speaker, &success(0, 0));
    recorder.line(&speaker, r#"{"timestamp":1,"name":"shutdown_complete"}"#);
    assert!(recorder.tally(1).ready && recorder.tally(1).done);
    assert_eq!(recorder.tally(1).acked, 2);
    let history = recorder.finish().unwrap();
    let sends: Vec<(Kind, u64)> = history
        .iter()
        .filter(|event| matches!(event.op, Op::Send(_)))
        .map(|event| (event.kind, event.call))
        .collect();
    assert_eq!(sends, [(Kind::Invoke, 50), (Kind::Invoke, 51), (Kind::Ok, 51), (Kind::Ok, 50)]);
}

#[test]
fn a_line_that_says_nothing_known_spoils_the_history() {
    let member = Speaker::listener(4, "t");
    for line in ["nonsense", "committed 9", "taken 0 1 8", "asked"] {
        assert!(told(&member, &[line]).finish().is_err(), "{line}");
    }
    let speaker = Speaker { verifiable: Some(0), ..Speaker::listener(1, "t") };
    let failed = r#"{"name":"producer_send_error","value":"0.1"}"#;
    assert!(told(&speaker, &[failed]).finish().is_err());
}
