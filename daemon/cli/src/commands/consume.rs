//! `holdfast consume`: prints records of a topic, without a group and without a trace.
//!
//! ```text
//! --offset ─▶ a position per partition ─▶ Fetch per leader, again and again
//!                    ▲                          │ batches: opened, records before the
//!                    └── behind the last batch ─┘ position and control batches skipped
//! ```
//!
//! Within a partition records come in order; between partitions as they arrive. Nothing is printed
//! twice.

mod format;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use holdfast_batch::{BatchHeader, HEADER_BYTES, Limits, OpenBatch};

use crate::args::Context;
use crate::client::Cluster;
use crate::clock::nap;
use crate::errors::{CliError, Result};
use crate::offsets::{self, Target, parse_target};
use crate::records::{Fetched, fetch};
use format::Pattern;

/// A Fetch waits so long for a record; several leaders are asked in turn.
const WAIT_MS: i32 = 500;
/// One answer of Fetch, unless a batch alone is larger.
const FETCH_BYTES: i32 = 4 << 20;
/// Pause before a partition whose leader is moving is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What the node stored was bounded by its own limits; ours only keep a bomb from going off.
const LIMITS: Limits = Limits {
    batch_bytes_max: 128 << 20,
    inflate_ratio_max: 1024,
    inflated_bytes_floor: 64 << 20,
    zstd_window_log_max: 27,
    keys_required: false,
};

/// Options of `consume`.
#[derive(Args, Debug)]
pub(crate) struct ConsumeArgs {
    /// The topic.
    topic: String,
    /// Where to begin in each partition: start, end, an offset, -N from the end, or @TIME.
    #[arg(
        short,
        long,
        default_value = "end",
        value_parser = parse_target,
        allow_hyphen_values = true,
        value_name = "PLACE"
    )]
    offset: Target,
    /// End after so many records.
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<u64>,
    /// Only these partitions.
    #[arg(short, long, value_delimiter = ',', value_name = "PARTITION")]
    partition: Vec<i32>,
    /// How a record is written: %k key, %v value, %o offset, %p partition, %t time in ms, %T time,
    /// %h headers, \n, \t, \0; or `json`.
    #[arg(short, long, default_value = "%v\\n", value_parser = format::parse, value_name = "PATTERN")]
    format: Pattern,
    /// End behind the records that are there now.
    #[arg(short = 'e', long)]
    exit_at_end: bool,
}

/// Where a partition is read, and where to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Position {
    next: i64,
    /// With `--exit-at-end`: the end when we began.
    until: Option<i64>,
}

impl Position {
    fn is_done(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }
}

pub(crate) fn run(args: &ConsumeArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let mut leaders = cluster.leaders(&args.topic)?;
    if let Some(missing) = args.partition.iter().find(|asked| !leaders.contains_key(asked)) {
        return Err(CliError::usage(
            format!("topic {} has no partition {missing}", args.topic),
            format!("it has 0 to {}", leaders.len().saturating_sub(1)),
        ));
    }
    leaders.retain(|partition, _| args.partition.is_empty() || args.partition.contains(partition));
    let mut positions = begin(&mut cluster, args, &leaders)?;
    let mut printer = Printer {
        args,
        terminal: io::stdout().is_terminal(),
        left: args.count.unwrap_or(u64::MAX),
        out: Vec::new(),
    };
    loop {
        let mut by_node: BTreeMap<i32, Vec<(i32, i64)>> = BTreeMap::new();
        for (partition, position) in positions.iter().filter(|(_, position)| !position.is_done()) {
            let leader = leaders.get(partition).copied().unwrap_or(-1);
            by_node.entry(leader).or_default().push((*partition, position.next));
        }
        if by_node.is_empty() || printer.left == 0 {
            return Ok(());
        }
        let mut moved = false;
        for (node, from) in by_node {
            let fetched = fetch(cluster.node(node)?, &args.topic, &from, WAIT_MS, FETCH_BYTES)?;
            for part in fetched {
                moved |= printer.part(&part, &mut positions)?;
            }
            printer.flush()?;
            if printer.left == 0 {
                return Ok(());
            }
        }
        if moved {
            nap(RETRY_PAUSE);
            leaders = cluster.leaders(&args.topic)?;
        }
    }
}

fn begin(
    cluster: &mut Cluster,
    args: &ConsumeArgs,
    leaders: &BTreeMap<i32, i32>,
) -> Result<BTreeMap<i32, Position>> {
    let starts = offsets::at(cluster, &args.topic, leaders, offsets::START)?;
    let ends = offsets::at(cluster, &args.topic, leaders, offsets::END)?;
    let times = match args.offset {
        Target::Time(time_ms) => offsets::at(cluster, &args.topic, leaders, time_ms)?,
        _ => BTreeMap::new(),
    };
    let mut positions = BTreeMap::new();
    for (partition, end) in ends {
        let start = starts.get(&partition).copied().unwrap_or(0);
        let next = first(args.offset, start, end, times.get(&partition).copied());
        positions.insert(partition, Position { next, until: args.exit_at_end.then_some(end) });
    }
    Ok(positions)
}

/// The first offset to read, kept within what is there.
fn first(target: Target, start: i64, end: i64, at_time: Option<i64>) -> i64 {
    match target {
        Target::Start => start,
        Target::End => end,
        Target::Offset(offset) => offset.clamp(start, end.max(start)),
        Target::Time(_) => at_time.filter(|offset| *offset >= 0).unwrap_or(end),
        Target::Shift(by) if by < 0 => end.saturating_add(by).max(start),
        Target::Shift(by) => start.saturating_add(by).min(end),
    }
}

struct Printer<'a> {
    args: &'a ConsumeArgs,
    terminal: bool,
    /// Records still to be printed.
    left: u64,
    out: Vec<u8>,
}

impl Printer<'_> {
    /// Prints a partition's records. True: its leader has to be found anew.
    fn part(&mut self, part: &Fetched, positions: &mut BTreeMap<i32, Position>) -> Result<bool> {
        const OFFSET_OUT_OF_RANGE: i16 = 1;
        const MOVING: [i16; 6] = [3, 5, 6, 74, 75, 78];
        let (topic, partition) = (&self.args.topic, part.partition);
        if MOVING.contains(&part.code) {
            return Ok(true);
        }
        let what = || format!("{topic} partition {partition} cannot be read");
        if part.code == OFFSET_OUT_OF_RANGE {
            let error = CliError::of_code(what(), part.code, None);
            return Err(error.why("the records were deleted (or cut off) while they were read"));
        }
        CliError::check(what(), part.code, None)?;
        let Some(position) = positions.get_mut(&partition) else { return Ok(false) };
        let mut rest = &part.records[..];
        while rest.len() >= HEADER_BYTES && self.left > 0 {
            let unreadable = |error: holdfast_batch::BatchError| {
                CliError::failed(what(), format!("a batch makes no sense: {error}"))
            };
            let header = BatchHeader::parse(rest).map_err(unreadable)?;
            let Some((batch, behind)) = rest.split_at_checked(header.total_len_bytes()) else {
                break;
            };
            rest = behind;
            if !header.is_control() {
                let open = OpenBatch::open(batch, &LIMITS).map_err(unreadable)?;
                let wanted = |offset: i64| {
                    offset >= position.next && position.until.is_none_or(|until| offset < until)
                };
                for record in open.records().filter(|record| wanted(record.offset)) {
                    if self.left == 0 {
                        break;
                    }
                    self.left -= 1;
                    let (out, pattern) = (&mut self.out, &self.args.format);
                    format::write(out, pattern, topic, partition, &record, self.terminal);
                }
            }
            position.next = header.next_offset().max(position.next);
        }
        Ok(false)
    }

    fn flush(&mut self) -> Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        written.map_err(|error| CliError::output(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_to_begin_lies_within_the_partition() {
        for (target, at_time, expected) in [
            (Target::Start, None, 10),
            (Target::End, None, 20),
            (Target::Offset(15), None, 15),
            (Target::Offset(1), None, 10),
            (Target::Offset(99), None, 20),
            (Target::Time(0), Some(12), 12),
            (Target::Time(0), Some(-1), 20),
            (Target::Shift(-3), None, 17),
            (Target::Shift(-99), None, 10),
            (Target::Shift(2), None, 12),
        ] {
            assert_eq!(first(target, 10, 20, at_time), expected, "{target:?}");
        }
    }

    #[test]
    fn a_partition_is_done_at_the_end_it_had_when_we_began() {
        assert!(!Position { next: 5, until: None }.is_done());
        assert!(!Position { next: 5, until: Some(6) }.is_done());
        assert!(Position { next: 6, until: Some(6) }.is_done());
    }
}
