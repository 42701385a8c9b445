//! The tables: what a reader sees of figures, and of figures nobody measured.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::compare::Part;
use crate::fio::Device;
use crate::sample::Figures;

const ROWS: [Row; 2] = [("a", "label of a, ms", 1), ("b", "label of b", 0)];

fn comparison(brokers: &[(&'static str, &[(&'static str, f64)])]) -> Comparison {
    let device = Device { p50_us: 100.0, p99_us: 200.0, mb_per_s: 1e3 };
    let brokers = brokers
        .iter()
        .map(|(name, figures)| (*name, vec![figures.iter().copied().collect::<Figures>()]))
        .collect();
    Comparison { brokers, device: (device, device), load_before: "0 0 0".into() }
}

fn lines(comparison: &Comparison) -> Vec<String> {
    let mut page = String::new();
    table(&mut page, comparison, &ROWS);
    page.lines().map(str::to_owned).collect()
}

#[test]
fn a_second_build_has_a_column_and_a_ratio_of_its_own() {
    let with = comparison(&[
        ("kafka", &[("a", 4.0), ("b", 10.0)]),
        (HOLDFAST, &[("a", 1.0), ("b", 5.0)]),
        (COMPARED, &[("a", 2.0)]),
    ]);
    assert_eq!(
        lines(&with)[..4],
        [
            "| | kafka | holdfast | compared | Holdfast / Kafka | holdfast / compared |",
            "| --- | --- | --- | --- | --- | --- |",
            "| label of a, ms | 4.0 | 1.0 | 2.0 | 0.25 | 0.50 |",
            "| label of b | 10 | 5 | – | 0.50 | – |",
        ]
    );
}

#[test]
fn what_was_not_measured_or_is_nothing_has_no_ratio() {
    let without = comparison(&[("kafka", &[("a", 0.0)]), (HOLDFAST, &[("a", 3.0)])]);
    assert_eq!(
        lines(&without)[..4],
        [
            "| | kafka | holdfast | Holdfast / Kafka |",
            "| --- | --- | --- | --- |",
            "| label of a, ms | 0.0 | 3.0 | – |",
            "| label of b | – | – | – |",
        ]
    );
}

fn options(quick: bool) -> Options {
    Options {
        kafka_libs: None,
        kafka_version: "4".into(),
        holdfastd: None,
        holdfastd_arguments: String::new(),
        compare_binary: Some(PathBuf::from("/somewhere/holdfastd")),
        compare_name: "commit 1234".into(),
        part: Part::All,
        versitygw: None,
        work: PathBuf::from("/tmp"),
        runs: 1,
        quick,
        out: None,
        commit: "c".into(),
        date: "d".into(),
    }
}

#[test]
fn a_quick_run_says_how_little_it_measured() {
    let comparison = comparison(&[(HOLDFAST, &[])]);
    let note = format!("{} partitions, whatever", crowd::Size::QUICK.partitions);
    assert!(render(&options(true), &comparison).contains(&note));
    assert!(!render(&options(false), &comparison).contains(&note));
}

#[test]
fn every_row_shows_another_figure_and_every_table_row_has_every_column() {
    let names: Vec<_> = rows::LOAD.iter().chain(&rows::CROWDS).map(|(name, ..)| *name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let options = options(false);
    let comparison = comparison(&[("kafka", &[]), (HOLDFAST, &[]), (COMPARED, &[])]);
    let page = render(&options, &comparison);
    assert!(page.contains("commit 1234") && !page.contains("/somewhere"), "names, not paths");
    let crowds = page.split("## Crowds").nth(1).unwrap_or_default();
    let rows: Vec<_> = crowds.lines().take_while(|line| !line.starts_with("## ")).collect();
    let rows: Vec<_> = rows.iter().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), rows::CROWDS.len() + 2);
    assert!(rows.iter().all(|row| row.matches(" |").count() == 6), "{rows:?}");
}
