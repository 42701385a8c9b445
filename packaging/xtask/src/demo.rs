//! `cargo xtask demo`: from a fresh clone to records on a flushed log, with nothing but Rust and the
//! distribution's packages.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;

use crate::binaries;
use crate::clock::{Stopwatch, nap};
use crate::install;
use crate::node::Node;
use crate::run::{Result, output, root};

/// Records of the round trip.
const RECORDS: &str = "1000";
/// Objects are there within this; `--dev` cuts them after five seconds.
const OBJECTS_WAIT: Duration = Duration::from_secs(60);
/// Most files listed of the data directory.
const LISTED_MAX: usize = 12;

#[derive(Args)]
pub(crate) struct Options {
    /// Does the round trip, stops the node and exits with a status.
    #[arg(long)]
    pub(crate) check: bool,
    /// Port on 127.0.0.1.
    #[arg(long, default_value_t = 9092)]
    pub(crate) port: u16,
    /// Where the node keeps its data; `target/demo` unless said otherwise.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    install::ensure(install::BUILD)?;
    binaries::build(&[binaries::DAEMON, binaries::BENCH])?;
    let data = options.data_dir.clone().unwrap_or_else(|| root().join("target/demo"));
    fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    if let Err(error) = TcpListener::bind(("127.0.0.1", options.port)) {
        return Err(format!(
            "port {} on 127.0.0.1 cannot be used ({error}); give another with --port",
            options.port
        ));
    }
    // Beside the data: a node refuses a directory that holds what is not its own.
    let objects = PathBuf::from(format!("{}-objects", data.display()));
    fs::create_dir_all(&objects).map_err(|error| format!("{}: {error}", objects.display()))?;
    let objects = objects.canonicalize().map_err(|error| error.to_string())?;
    let before = records_in(&objects).len();
    let node = Node::start(&data, options.port, Some(&objects), None)?;
    let bootstrap = node.address.to_string();
    let trip = |more: &[&str]| {
        let mut trip = Command::new(binaries::path(binaries::BENCH));
        trip.args(["roundtrip", "--bootstrap", &bootstrap, "--topic", "demo", "--partitions", "3"]);
        output(trip.args(["--records", RECORDS]).args(more))
    };
    let line = trip(&[])?;
    println!("\nProduced to topic `demo`, consumed and compared byte for byte:\n  {line}");
    // Three partitions in as many shards: each goes to an object of its own after five seconds.
    let clock = Stopwatch::start();
    while records_in(&objects).len() < before + 3 {
        if clock.elapsed() > OBJECTS_WAIT {
            return Err(format!("no objects in {} after a minute", objects.display()));
        }
        nap();
    }
    node.stop()?;
    let node = Node::start(&data, options.port, Some(&objects), None)?;
    let line = trip(&["--again"])?;
    println!(
        "\nThe node was stopped and started; what is in objects it reads from there. The same records, \
         from these objects:\n  {line}"
    );
    for (path, bytes) in records_in(&objects).into_iter().rev().take(3) {
        println!("  {bytes:>12} bytes  {}", path.display());
    }
    println!(
        "  a stranger reads them with: python3 storage/tier/reader/read_objects.py {}",
        objects.display()
    );
    tell(&bootstrap, &data);
    if options.check {
        node.stop()?;
        println!("\nThe node has stopped; the round trip passed.");
        return Ok(());
    }
    println!("\nThe node runs in the foreground (pid {}); Ctrl-C ends it.", node.pid());
    let status = node.wait()?;
    if status.success() { Ok(()) } else { Err(format!("holdfastd ended: {status}")) }
}

fn tell(bootstrap: &str, data: &Path) {
    println!(
        "\nBootstrap address: {bootstrap}\n\nThree clients, each reads or writes topic `demo`:"
    );
    println!("  kcat:    kcat -b {bootstrap} -t demo -C -o beginning -e -q");
    println!(
        "  Java:    java -cp \"$(cargo xtask kafka-libs)/*\" \
         org.apache.kafka.tools.ProducerPerformance --topic demo --num-records 1000 \
         --record-size 100 --throughput -1 --bootstrap-server {bootstrap}"
    );
    println!(
        "  Python:  pip install confluent-kafka && python3 -c \"from confluent_kafka import \
         Producer; p = Producer({{'bootstrap.servers': '{bootstrap}'}}); p.produce('demo', b'hello'); \
         print('not delivered:', p.flush(10))\""
    );
    println!("\nWhere the bytes are: {}", data.display());
    let mut files = files_under(data);
    files.sort();
    let total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    for (path, bytes) in files.iter().take(LISTED_MAX) {
        let path = path.strip_prefix(data).unwrap_or(path);
        println!("  {:>12} bytes  {}", bytes, path.display());
    }
    if files.len() > LISTED_MAX {
        println!("  ... and {} files more", files.len() - LISTED_MAX);
    }
    println!("  {total:>12} bytes in {} files, preallocated write-ahead log included", files.len());
}

/// Objects with records, oldest first; not the states beside them.
fn records_in(objects: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = files_under(objects);
    files.retain(|(path, _)| !path.components().any(|part| part.as_os_str() == "state"));
    files.sort();
    files
}

fn files_under(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => open.push(entry.path()),
                Ok(about) if about.is_file() => files.push((entry.path(), about.len())),
                _ => {}
            }
        }
    }
    files
}
