//! What is typed and what is understood.

use super::*;
use clap::CommandFactory;

fn understood(line: &str) -> std::result::Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_declaration_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn what_operators_type_is_understood() {
    for line in [
        "holdfast status -o json",
        "holdfast --bootstrap a:1,b:2 health --wait",
        "holdfast topic list -o name",
        "holdfast topic create orders -p 8 -r 1 -c retention.ms=1000 -c cleanup.policy=compact",
        "holdfast topic alter orders -p 16 -c retention.ms=5 --unset segment.ms --dry-run",
        "holdfast topic trim orders --before end --yes",
        "holdfast topic delete a b --yes --timeout 500ms",
        "holdfast group describe g1 g2 -o yaml",
        "holdfast group reset-offsets g --to earliest",
        "holdfast group reset-offsets g --to -10 --topic t:0,1 --execute",
        "holdfast group reset-offsets g --to +5",
        "holdfast group reset-offsets g --to @2026-11-21T10:00:00Z",
        "holdfast produce t -k : -H a=b -z zstd -p 3",
        "holdfast consume t -o start -n 10 -f %k:%v\\n -e",
        "holdfast consume t -o -5 -p 0",
        "holdfast consume t -o @-15min -e",
        "holdfast config get topic/t retention.ms",
        "holdfast config set broker/1 log.retention.ms=5 --dry-run",
        "holdfast config unset group/g session.timeout.ms",
        "holdfast config list topic/t --changed",
        "holdfast wal inspect --data-dir /d",
        "holdfast wal verify --data-dir /d --read-locked -o json",
        "holdfast check --data-dir /d",
        "holdfast bench --seconds 1 --record-bytes 100",
        "holdfast explain HF-1001",
        "holdfast explain -1",
        "holdfast completions bash",
        "holdfast man --out /tmp",
    ] {
        if let Err(error) = understood(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn wrong_usage_is_refused_with_exit_code_two() {
    for line in [
        "holdfast",
        "holdfast topic",
        "holdfast topic create",
        "holdfast topic create t -c novalue",
        "holdfast group reset-offsets g",
        "holdfast group reset-offsets g --to sideways",
        "holdfast consume t -o sideways",
        "holdfast consume t -f %q",
        "holdfast config get orders retention.ms",
        "holdfast produce t -z brotli",
        "holdfast status --timeout soon",
        "holdfast completions tcsh",
    ] {
        assert_eq!(understood(line).err().map(|error| error.exit_code()), Some(2), "{line}");
    }
}

#[test]
fn where_an_address_came_from_is_known_wherever_it_was_typed() {
    for line in [
        "holdfast --bootstrap a:1 topic list",
        "holdfast topic list --bootstrap a:1",
        "holdfast topic --bootstrap a:1 list",
    ] {
        let matches = Cli::command().try_get_matches_from(line.split(' ')).unwrap();
        assert_eq!(source(&matches, "bootstrap", "--bootstrap", "V").0, "--bootstrap", "{line}");
        assert_eq!(source(&matches, "admin", "--admin", "NOT_SET").0, DEFAULT, "{line}");
    }
}
