//! Histories as files.

use std::io::Cursor;

use super::*;

fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = HistoryWriter::new(Vec::new());
    for event in events {
        writer.write(event).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn a_history_comes_back_as_it_was_written() {
    let story = clean::clean();
    let bytes = written(&story.events);
    let read: Vec<Event> =
        HistoryReader::new(Cursor::new(&bytes)).map(|read| read.unwrap().1).collect();
    assert_eq!(read, story.events);
}

#[test]
fn a_line_written_by_hand_may_leave_out_what_it_does_not_know() {
    let text = r#"
{"process":1,"call":7,"kind":"invoke","time_ns":10,"op":{"send":{"partition":"t-0","values":[41]}}}
{"process":1,"call":7,"kind":"ok","time_ns":30,"op":{"send":{"partition":"t-0","offset":0}}}
{"process":2,"call":1,"kind":"ok","time_ns":40,"op":{"poll":{"partition":"t-0","final":true,"records":[[0,41]],"high_watermark":1}}}
"#;
    let mut checker = Checker::new(Expectations::default());
    for read in HistoryReader::new(Cursor::new(text)) {
        let (line, event) = read.unwrap();
        checker.observe(line, &event);
    }
    let report = checker.finish();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.acked, report.worst_lag_line), (1, 3));
}

#[test]
fn a_torn_or_foreign_line_is_an_error_that_names_it_and_ends_the_reading() {
    let good = written(&clean::clean().events);
    let torn = &good[..good.len() - 5];
    let read: Vec<_> = HistoryReader::new(Cursor::new(torn)).collect();
    let error = read.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.line, read.len() as u64);
    let unknown = br#"{"process":1,"call":1,"kind":"ok","time_ns":1,"op":{"fly":{}}}"#;
    assert!(HistoryReader::new(Cursor::new(unknown)).next().unwrap().is_err());
}

#[test]
fn a_report_is_json_and_comes_back() {
    let mut story = clean::clean();
    story.fact(leader(1, 1, 1, 1)).read(9, &[(0, 77)]);
    let report = story.check();
    assert!(!report.is_clean());
    let text = serde_json::to_string(&report).unwrap();
    assert!(text.contains(r#""anomaly":"phantom""#), "{text}");
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn a_log_lost_whole_is_counted_in_full_and_kept_in_part() {
    let mut story = Story::default();
    let values: Vec<u64> = (0..500).collect();
    story.sent(1, &values, 0);
    story.final_read(0, &[]);
    let report = story.check();
    assert_eq!(report.count("lost-write"), 500);
    let kept = report.findings.iter().filter(|f| f.anomaly.name() == "lost-write").count();
    assert_eq!(kept as u64, FINDINGS_PER_ANOMALY_MAX);
}
