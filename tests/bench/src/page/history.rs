//! The sections of history: each stands on the page by itself, with its own date, and replaces only
//! itself, so that a part that takes long is measured when there is time for it.

use std::fmt::Write as _;
use std::fs;

use super::rows::Row;
use super::{Verdict, at_least, at_most, bound, device, machine, table, verdicts};
use crate::client::Result;
use crate::compare::{Comparison, HOLDFAST, HOLDFAST_S3, Options, Part};
use crate::history::Size;

/// Share of the store's own GET that a cold read must reach.
const COLD_SHARE_MIN: f64 = 0.8;
/// What a cold reader may make of the tail's p99.
const TAIL_TIMES_MAX: f64 = 2.0;
/// Seconds to the last partition with 10 GB kept.
const START_MAX_S: f64 = 5.0;
/// A start with a hundred times as much kept may take this many times as long and still be flat.
const FLAT_TIMES_MAX: f64 = 1.5;

const HISTORY: [Row; 27] = [
    (
        "cold_fill_mb_s",
        "produce, 124 KB batches, held back so that 400 MB of the log stay free: MB/s",
        0,
    ),
    ("upload_cpu_s_per_gb", "broker CPU-s per GB produced and uploaded", 2),
    ("upload_bytes_per_byte", "bytes to the store per byte produced, merges included", 2),
    ("upload_objects_per_gb", "objects uploaded per GB", 1),
    ("upload_merges_per_gb", "objects merged per GB", 1),
    ("upload_deletions_per_gb", "objects deleted per GB", 1),
    ("upload_reads_per_gb", "ranged reads for consumers meanwhile, per GB", 1),
    ("upload_put_per_gb", "requests the store saw per GB: PUT", 1),
    ("upload_post_per_gb", "POST (multipart: begin, complete)", 1),
    ("upload_get_per_gb", "GET", 1),
    ("upload_head_per_gb", "HEAD", 1),
    ("upload_delete_per_gb", "DELETE", 1),
    ("upload_list_per_gb", "LIST", 1),
    ("cold_mb_s", "cold read from offset 0: MB/s", 0),
    ("plain_get_mb_s", "the store's objects by a plain client: MB/s", 0),
    ("cold_share_of_plain", "cold read / plain client", 2),
    ("cold_cpu_s_per_gb", "broker CPU-s per GB read cold", 2),
    ("plain_get_cpu_s_per_gb", "plain client CPU-s per GB", 2),
    ("cold_generator_cpu_s_per_gb", "generator CPU-s per GB", 2),
    ("cold_get_mib", "mean GET of the cold read, MiB", 2),
    ("cold_get_bytes_per_byte", "bytes got per byte read", 2),
    ("tail_alone_p99_ms", "4,000 rec/s: p99, ms", 2),
    ("tail_beside_p99_ms", "while another client reads the cold topic: p99, ms", 2),
    ("tail_beside_times", "how many times that is", 2),
    ("tail_beside_read_mb_s", "what that client reads: MB/s", 0),
    ("cold_rss_max_mib", "highest RSS, MiB", 0),
    ("cold_memory_settings_mib", "tail cache + store cache + 2 × in flight, as set, MiB", 0),
];

const START_UP: [Row; 17] = [
    ("small_clean_first_s", "0.1 GB, after a clean stop: first answer, s", 3),
    ("small_clean_s", "all partitions served, s", 3),
    ("small_killed_first_s", "after kill -9: first answer, s", 3),
    ("small_killed_s", "all partitions served, s", 3),
    ("middle_clean_first_s", "1 GB, after a clean stop: first answer, s", 3),
    ("middle_clean_s", "all partitions served, s", 3),
    ("middle_killed_first_s", "after kill -9: first answer, s", 3),
    ("middle_killed_s", "all partitions served, s", 3),
    ("large_clean_first_s", "10 GB, after a clean stop: first answer, s", 3),
    ("large_clean_s", "all partitions served, s", 3),
    ("large_killed_first_s", "after kill -9: first answer, s", 3),
    ("large_killed_s", "all partitions served, s", 3),
    ("state_mib", "RocksDB directory at the end, MiB", 2),
    ("state_in_store_mib", "files below 1 MiB in the store (checkpoints), MiB", 2),
    ("state_objects", "objects kept", 0),
    ("state_bytes_per_object", "RocksDB bytes per object", 0),
    ("state_bytes_per_batch", "RocksDB bytes per batch", 1),
];

const WIDE: [Row; 10] = [
    ("wide10k_create_s", "create the topic: s", 2),
    ("wide10k_rss_mib", "RSS at rest, MiB", 0),
    ("wide10k_rss_kib_each", "RSS per partition, KiB", 2),
    ("wide10k_idle_cores", "at rest: broker CPU, cores", 4),
    ("wide10k_flushes_per_s", "4,000 rec/s over all: device flushes/s", 0),
    ("wide10k_writes_per_s", "device writes/s", 0),
    ("wide10k_p99_ms", "p99, ms", 2),
    ("wide10k_cores", "broker CPU, cores", 2),
    ("wide10k_loaded_rss_mib", "RSS, MiB", 0),
    ("state_bytes_per_partition", "bytes of the RocksDB directory per partition", 0),
];

/// The headings, in their order on the page.
pub(super) const HEADINGS: [(Part, &str); 3] = [
    (Part::History, "## History"),
    (Part::StartUp, "## Start-up by data kept"),
    (Part::Wide, "## Ten thousand partitions"),
];

/// Writes the section of `options.part` into the page at `options.out`; the rest of it stays.
pub(crate) fn write(options: &Options, comparison: &Comparison, took_s: f64) -> Result<()> {
    let Some(out) = &options.out else { return Ok(()) };
    let page = fs::read_to_string(out).unwrap_or_else(|_| "# Bench, in part\n\n".to_owned());
    fs::write(out, spliced(&page, &section(options, comparison, took_s)))?;
    Ok(())
}

fn section(options: &Options, comparison: &Comparison, took_s: f64) -> String {
    let mut page = String::new();
    let size = if options.quick { Size::QUICK } else { Size::FULL };
    let heading = HEADINGS.iter().find(|(part, _)| *part == options.part);
    let _ = write!(
        page,
        "{}\n\n{}, commit {}. {}. Load average before: {}. Medians of {} run(s), {:.0} s in all{}.{}\n\n",
        heading.map_or("## History", |(_, heading)| *heading),
        options.date,
        options.commit,
        machine(options),
        comparison.load_before,
        options.runs,
        took_s,
        if options.quick { ", **quick run: amounts too small to judge by**" } else { "" },
        match options.compare_binary {
            Some(_) => format!(" *Compared* is a second Holdfast, {}.", options.compare_name),
            None => String::new(),
        },
    );
    match options.part {
        Part::StartUp => {
            page.push_str(
                "One topic of 8 partitions in 124 KB batches, filled step by step, `file://` store, WAL \
                 1 GiB; stopped, started, killed, started. *Served* is when every partition answers \
                 with its end offset, which is compared with what was acknowledged. Kafka is not \
                 measured here.\n\n",
            );
            table(&mut page, comparison, &START_UP);
            verdicts(&mut page, "#Floors of start-up", start_up_floors(comparison));
        }
        Part::Wide => {
            let _ = write!(
                page,
                "One topic of {} partitions; *holdfast* with a directory as store; vm.max_map_count and open files raised for \
                 Kafka. At rest: one Metadata call a second.\n\n",
                size.wide_partitions
            );
            table(&mut page, comparison, &WIDE);
            verdicts(&mut page, "#Floors of ten thousand partitions", wide_floors(comparison));
        }
        _ => {
            let _ = write!(
                page,
                "A topic of {:.1} GB of values, 8 partitions, then {:.1} GB more that drive it out of a \
                 WAL of 1 GiB; `store.cache=64MiB`, all else as `--dev`. *holdfast* keeps it in a \
                 directory (`file://`), *holdfast-s3* behind VersityGW over a directory, both on the \
                 measured disk, as Kafka's log is. The page cache of the whole machine is dropped \
                 (`drop_caches`) before each cold read. *Plain client*: the objects by ranged GETs as \
                 large as the node's were on average, 8 at once, same S3 client, nothing checked and \
                 nothing handed on. VersityGW and the clients share the two cores.\n\n",
                size.cold_bytes as f64 / 1e9,
                size.filler_bytes as f64 / 1e9
            );
            device(&mut page, comparison);
            table(&mut page, comparison, &HISTORY);
            verdicts(&mut page, "#Floors of history", history_floors(comparison));
        }
    }
    // Only whole sections may begin with two number signs: they are what is replaced.
    page.replace("\n## The disk", "\n### The disk").replace("\n## #", "\n### ")
}

/// A share that was measured within one broker's run.
fn at_least_share(what: &'static str, value: Option<f64>, least: f64) -> Verdict {
    match value {
        Some(value) => Verdict {
            what,
            numbers: format!("{value:.2}, bound {least:.2}"),
            held: Some(value >= least),
        },
        None => Verdict { what, numbers: "not measured".into(), held: None },
    }
}

fn history_floors(comparison: &Comparison) -> Vec<Verdict> {
    let of = |column, figure| comparison.median(column, figure);
    let memory = of(HOLDFAST, "cold_memory_settings_mib").unwrap_or(0.0);
    let share = |column| of(column, "cold_share_of_plain");
    let times = |column| of(column, "tail_beside_times");
    vec![
        at_least_share("cold read ≥ 80 % of the store, file://", share(HOLDFAST), COLD_SHARE_MIN),
        at_least_share("cold read ≥ 80 % of the store, s3://", share(HOLDFAST_S3), COLD_SHARE_MIN),
        at_least("cold read ≥ 1 × Kafka, file://", comparison, "cold_mb_s", 1.0, "kafka"),
        bound("tail p99 beside a cold reader, file://", times(HOLDFAST), "×", TAIL_TIMES_MAX),
        bound("tail p99 beside a cold reader, s3://", times(HOLDFAST_S3), "×", TAIL_TIMES_MAX),
        bound("highest RSS, file://", of(HOLDFAST, "cold_rss_max_mib"), "MiB", memory),
        bound("highest RSS, s3://", of(HOLDFAST_S3, "cold_rss_max_mib"), "MiB", memory),
    ]
}

fn start_up_floors(comparison: &Comparison) -> Vec<Verdict> {
    let of = |figure| comparison.median(HOLDFAST, figure);
    let flat = |small, large| of(large).zip(of(small)).map(|(large, small)| large / small);
    let (clean, killed) =
        (flat("small_clean_s", "large_clean_s"), flat("small_killed_s", "large_killed_s"));
    vec![
        bound("10 GB kept, clean stop: all served", of("large_clean_s"), "s", START_MAX_S),
        bound("10 GB kept, kill -9: all served", of("large_killed_s"), "s", START_MAX_S),
        bound("flat: 10 GB / 0.1 GB, clean stop", clean, "×", FLAT_TIMES_MAX),
        bound("flat: 10 GB / 0.1 GB, kill -9", killed, "×", FLAT_TIMES_MAX),
    ]
}

fn wide_floors(comparison: &Comparison) -> Vec<Verdict> {
    vec![
        at_most("RSS at rest ≤ 0.25 × Kafka", comparison, "wide10k_rss_mib", 0.25, "kafka"),
        at_most("CPU at rest ≤ 1 × Kafka", comparison, "wide10k_idle_cores", 1.0, "kafka"),
        at_most("4,000 rec/s p99 ≤ 1 × Kafka", comparison, "wide10k_p99_ms", 1.0, "kafka"),
    ]
}

/// `page` with `section` in the place of the one that begins with the same heading, or before the
/// floors of the load, or at the end.
fn spliced(page: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let section = section.trim_end();
    let begins = |line: &str| page.find(&format!("\n{line}\n")).map(|at| at + 1);
    if let Some(start) = begins(heading) {
        let end = page[start..].find("\n## ").map_or(page.len(), |at| start + at + 1);
        return format!("{}{section}\n\n{}", &page[..start], &page[end..]);
    }
    let at = begins("## Floors").unwrap_or(page.len());
    format!("{}{section}\n\n{}", &page[..at], &page[at..])
}

/// The sections of history of an earlier page, for a page that is written anew.
pub(super) fn kept(page: &str) -> String {
    let section = |heading: &str| {
        let start = page.find(&format!("\n{heading}\n"))? + 1;
        let end = page[start..].find("\n## ").map_or(page.len(), |at| start + at + 1);
        Some(&page[start..end])
    };
    HEADINGS.iter().filter_map(|(_, heading)| section(heading)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Bench\n\n## Figures\n\na\n\n## Floors\n\nb\n";

    #[test]
    fn a_section_stands_before_the_floors_and_replaces_only_itself() {
        let first = spliced(PAGE, "## History\n\nold\n\n### Floors of history\n\nx\n");
        assert_eq!(
            first,
            "# Bench\n\n## Figures\n\na\n\n## History\n\nold\n\n### Floors of history\n\nx\n\n\
             ## Floors\n\nb\n"
        );
        let second = spliced(&first, "## History\n\nnew\n");
        assert_eq!(second, "# Bench\n\n## Figures\n\na\n\n## History\n\nnew\n\n## Floors\n\nb\n");
        assert_eq!(kept(&second), "## History\n\nnew\n\n");
        assert_eq!(kept(PAGE), "");
    }

    #[test]
    fn every_row_shows_another_figure() {
        let rows = HISTORY.iter().chain(&START_UP).chain(&WIDE);
        let names: Vec<_> = rows.map(|(name, ..)| *name).collect();
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn a_floor_that_fails_is_shown_as_failing() {
        assert_eq!(at_least_share("", Some(0.79), COLD_SHARE_MIN).held, Some(false));
        assert_eq!(at_least_share("", Some(0.8), COLD_SHARE_MIN).held, Some(true));
        assert_eq!(at_least_share("", None, COLD_SHARE_MIN).held, None);
    }
}
