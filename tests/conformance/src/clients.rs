//! Stock clients, each through its own library: the matrix of client × scenario.
//!
//! ```text
//! programs   which programs there are          cell      one program plays one scenario
//! findings   known failures, from a page       matrix    the judgement, printed and written
//! results    the last run of each program
//! ```
//!
//! Every program has a node to itself, because scenarios kill it; programs run beside each other,
//! their scenarios one after the other. Most of a cell's time is waiting (session timeouts), so two
//! at once on two cores disturb neither. The contract between this runner and a program is
//! `clients/README.md`.

mod cell;
mod findings;
mod matrix;
mod programs;
mod results;

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use holdfast_bench::broker::Kind;

use crate::node::{self, Place};
use crate::{Outcome, Result};
use cell::{Cell, Node, Task, Verdict};
use programs::{PROGRAMS, Program};
use results::Row;

/// The scenarios of the contract, in the order of the matrix.
const SCENARIOS: [&str; 8] =
    ["codecs", "seek", "group", "admin", "idempotent", "tools", "compatibility", "suite"];

/// How much a run does.
#[derive(Debug, Clone, Copy)]
struct Size {
    records: usize,
    kills: usize,
    limit: Duration,
}

/// In the test run. A cell waits for one session timeout and a restart or two, so half a minute on
/// an idle machine.
const SHORT: Size = Size { records: 2_000, kills: 1, limit: Duration::from_secs(150) };
/// `--full`. The slowest client here makes 5,000 records a second.
const FULL: Size = Size { records: 100_000, kills: 5, limit: Duration::from_secs(900) };

#[derive(Args, Debug, Clone)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    node: node::Options,
    /// Only the programs of these names.
    #[arg(long)]
    program: Vec<String>,
    /// Only the scenarios of these names.
    #[arg(long)]
    scenario: Vec<String>,
    /// 100,000 records and 5 kills instead of 2,000 and 1.
    #[arg(long)]
    full: bool,
    /// Another number of records.
    #[arg(long)]
    records: Option<usize>,
    /// Writes the matrix to this file, as Markdown; rows of programs that are not played now stay,
    /// from the file beside it that ends in .json.
    #[arg(long)]
    matrix: Option<PathBuf>,
    /// Programs that run beside each other.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// The directory of the programs.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/clients"))]
    clients: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    if options.matrix.is_some() && !options.scenario.is_empty() {
        return Err("a row of the matrix is a run of all scenarios of a program: leave out \
                    --scenario, or --matrix"
            .into());
    }
    let mut programs = chosen(PROGRAMS.iter(), |program| program.name, &options.program)?;
    let scenarios = chosen(SCENARIOS.into_iter(), |name| *name, &options.scenario)?;
    programs.retain(|program| {
        let left_out = program.only_full && !options.full && options.program.is_empty();
        !left_out && scenarios.iter().any(|scenario| program.scenarios.contains(scenario))
    });
    let names: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
    let listed = findings::read(&options.clients.join("FINDINGS.md"), &names, &SCENARIOS)?;
    let mut size = if options.full { FULL } else { SHORT };
    size.records = options.records.unwrap_or(size.records);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut scenarios = scenarios.clone();
                    scenarios.retain(|scenario| program.scenarios.contains(scenario));
                    let cells = play(options, program, &scenarios, size);
                    done.lock().unwrap_or_else(PoisonError::into_inner).extend(cells);
                }
            });
        }
    });
    let mut cells = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let place = |cell: &Cell| PROGRAMS.iter().position(|program| program.name == cell.program);
    cells.sort_by_key(place);
    if let Some(page) = &options.matrix {
        let rows = rows(&cells, &programs, options, size);
        let rows = results::keep(&page.with_extension("json"), rows)?;
        std::fs::write(page, matrix::page(&rows, &listed))
            .map_err(|error| format!("{}: {error}", page.display()))?;
    }
    let judgement = matrix::judge(cells, &listed, options.node.kafka_libs.is_some());
    print!("{}", judgement.text());
    judgement.outcome()
}

/// A row for each program that was played.
fn rows(cells: &[Cell], programs: &[&'static Program], options: &Options, size: Size) -> Vec<Row> {
    let (node, date) = (version(options), date());
    let row = |program: &&'static Program| Row {
        program: program.name,
        node: node.clone(),
        date: date.clone(),
        records: size.records,
        kills: size.kills,
        cells: cells.iter().filter(|cell| cell.program == program.name).cloned().collect(),
    };
    programs.iter().map(row).collect()
}

/// Those of the names in `wanted`; all when none is named.
fn chosen<T>(
    all: impl Iterator<Item = T>,
    name: fn(&T) -> &str,
    wanted: &[String],
) -> Result<Vec<T>> {
    let all: Vec<T> = all.collect();
    if let Some(unknown) =
        wanted.iter().find(|wanted| !all.iter().any(|item| name(item) == *wanted))
    {
        let known: Vec<&str> = all.iter().map(name).collect();
        return Err(format!("{unknown}: there are {}", known.join(", ")));
    }
    let keep = |item: &T| wanted.is_empty() || wanted.iter().any(|wanted| name(item) == wanted);
    Ok(all.into_iter().filter(keep).collect())
}

/// All scenarios of one program on a node of its own.
fn play(
    options: &Options,
    program: &'static Program,
    scenarios: &[&'static str],
    size: Size,
) -> Vec<Cell> {
    let directory = options.node.work.join(program.name);
    let with = |kind: Kind| {
        program.settings.iter().fold(kind, |kind, (setting, value)| kind.with(setting, value))
    };
    let place =
        options.node.kind(&[]).and_then(|kind| Place::fresh(with(kind), directory.join("node")));
    let mut node = match place.and_then(Node::start) {
        Ok(node) => node,
        Err(why) => {
            let cell = |scenario| Cell::new(program, scenario, Verdict::Failed(why.clone()));
            return scenarios.iter().copied().map(cell).collect();
        }
    };
    let mut cells = Vec::new();
    for &scenario in scenarios {
        let task = Task { program, scenario, size, clients: &options.clients, logs: &directory };
        let cell = task.run(&mut node);
        println!("{cell}");
        cells.push(cell);
    }
    if let Err(why) = node.stop() {
        cells.push(Cell::new(program, "end of the node", Verdict::Failed(why)));
    }
    cells
}

/// What ran, for the page.
fn version(options: &Options) -> String {
    let Ok(binary) = options.node.binary() else { return "Apache Kafka".into() };
    if options.node.kafka_libs.is_some() {
        return "Apache Kafka".into();
    }
    first_line(Command::new(binary).arg("--version")).unwrap_or_else(|| "holdfastd".into())
}

/// Today, as the system tells it.
fn date() -> String {
    first_line(Command::new("date").args(["-u", "+%F"])).unwrap_or_else(|| "unknown".into())
}

fn first_line(command: &mut Command) -> Option<String> {
    let out = command.output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).lines().next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_program_is_refused_naming_those_there_are() {
        let wanted = ["kcatt".to_owned()];
        let why = chosen(PROGRAMS.iter(), |program| program.name, &wanted).unwrap_err();
        assert!(why.contains("kcatt") && why.contains("aiokafka"), "{why}");
    }
}
