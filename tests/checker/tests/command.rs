//! The command as a script sees it: its exit status is the verdict.

use std::path::PathBuf;
use std::process::{Command, Output};

fn check(name: &str, lines: &str, flags: &[&str]) -> Output {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.jsonl"));
    std::fs::write(&file, lines).expect("cargo made the directory");
    Command::new(env!("CARGO_BIN_EXE_holdfast-checker"))
        .arg("check")
        .arg(file)
        .args(flags)
        .output()
        .expect("cargo built the command")
}

const SENT: &str = r#"{"process":1,"call":1,"kind":"invoke","time_ns":1,"op":{"send":{"partition":"t-0","values":[41]}}}
{"process":1,"call":1,"kind":"ok","time_ns":2,"op":{"send":{"partition":"t-0","offset":0}}}
"#;
const READ: &str = r#"{"process":2,"call":1,"kind":"ok","time_ns":3,"op":{"poll":{"partition":"t-0","final":true,"records":[[0,41]],"high_watermark":1}}}
"#;

#[test]
fn a_clean_history_exits_with_0() {
    let output = check("clean", &format!("{SENT}{READ}"), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("verdict   clean"));
}

#[test]
fn an_anomaly_exits_with_1_and_shows_the_lines_that_prove_it() {
    let phantom = READ.replace("41", "42");
    let output = check("anomaly", &format!("{SENT}{phantom}"), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("phantom: 1"), "{text}");
    assert!(text.contains(r#"line 3: {"process":2"#), "{text}");
    let output = check("anomaly-json", &format!("{SENT}{phantom}"), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["anomalies"]["phantom"], 1);
}

#[test]
fn a_switch_lets_pass_what_another_system_does_not_promise() {
    assert_eq!(check("unread", SENT, &[]).status.code(), Some(1));
    assert_eq!(check("unread", SENT, &["--allow-no-final-read"]).status.code(), Some(0));
}

#[test]
fn a_history_that_cannot_be_read_exits_with_2_and_names_the_line() {
    let output = check("torn", &format!("{SENT}{}", &READ[..40]), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 3"));
}
