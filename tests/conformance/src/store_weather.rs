//! A store in bad weather: records are taken as ever, no wrong one is ever handed out, nothing is lost.
//!
//! ```text
//! holdfastd ─▶ proxy (tests/weather) ─▶ VersityGW
//!
//! history into objects, restart ─▶ clear ─▶ each weather: produce at a pace, read history all the while
//!   ─▶ clear: everything goes up ─▶ the store refuses, more records, kill -9, start ─▶ they are there
//!   ─▶ clear: everything goes up ─▶ every record is read from offset 0 and compared
//! ```
//!
//! Every value follows from its partition and offset, so whatever is read at any time is compared on the
//! spot: an error is allowed while the weather lasts, another byte never. History is read from objects
//! because a start keeps in mind only what no object holds, and the cache is small. A weather that did not
//! strike fails the check: then nothing was shown.

mod records;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use holdfast_bench::broker::{Running, free_port};
use holdfast_bench::client::Client;
use holdfast_bench::clock::{Stopwatch, nap};
use holdfast_tier::store::{self, Patience};
use holdfast_weather::{Front, Weather};

use crate::admin_page::metric;
use crate::node::{self, Place};
use crate::stores::{Programs, StoreKind, TestStore};
use crate::{Outcome, Result};
use records::{Drained, PARTITIONS, Pace, Produced, TOPIC, drain};

const WAL_BYTES: &str = "256MiB";
/// History before the weather comes, a tenth of the log.
const HISTORY_BYTES: u64 = 24 << 20;
/// Records refused by the store, which only the log has.
const ONLY_IN_LOG_BYTES: u64 = 4 << 20;
/// A node under `--dev` keeps its states every 5 s: after twice that they know all objects, and a start
/// leaves history to these.
const KEPT_WITHIN: Duration = Duration::from_secs(11);
/// The longest pause between tries, and one try.
const CATCH_UP_S: f64 = 75.0;
/// Numbers of the metrics page are younger.
const PAGE_AGE_S: f64 = 1.2;
/// A median that is slower than so many of the clear one's, and this much, is touched by the weather:
/// whoever waited for a store would wait for the pause between two tries, 100 ms. What is below is the
/// machine's own business.
const MEDIAN_FACTOR: u64 = 3;
const MEDIAN_SLACK_US: u64 = 50_000;
/// No produce waits for a store.
const LONGEST_US: u64 = 2_000_000;

#[derive(Args, Debug, Clone)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    node: node::Options,
    #[command(flatten)]
    programs: Programs,
    /// What the weather is drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Half a minute of each weather, and everything goes up after each.
    #[arg(long)]
    long: bool,
    /// Only these, in this order.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    if !options.programs.has(StoreKind::Versitygw) {
        return Ok(Outcome::Skipped("HOLDFAST_VERSITYGW is not set: there is no store".into()));
    }
    let mut site = Site::fresh(options)?;
    site.run(options)?;
    let _ = fs::remove_dir_all(&site.directory);
    Ok(Outcome::Passed)
}

/// What of a hundred requests meets each.
fn share(weather: Weather) -> u64 {
    match weather {
        // Each costs ten seconds: some get through.
        Weather::Stalled => 20,
        // Nobody waits for these: the more the better.
        Weather::Refused | Weather::Twice => 100,
        _ => 60,
    }
}

struct Site {
    directory: PathBuf,
    /// Before the store, so that it ends first.
    front: Front,
    _store: TestStore,
    admin: SocketAddr,
    place: Place,
}

impl Site {
    fn fresh(options: &Options) -> Result<Site> {
        fs::create_dir_all(&options.node.work).map_err(text)?;
        let directory = options.node.work.canonicalize().map_err(text)?.join("store-weather");
        let _ = fs::remove_dir_all(&directory);
        let store =
            TestStore::fresh(StoreKind::Versitygw, &options.programs, directory.join("store"))?;
        let objects = store::open(&store.bucket_url(), &store.options()?, Patience::READING);
        let front = Front::raise(store.address(), objects.map_err(text)?, options.seed);
        let front = front.map_err(text)?;
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port().map_err(text)?));
        let of_store = store.arguments(front.address());
        let admin_setting = format!("admin.address={admin}");
        let mut arguments =
            vec!["--wal-size", WAL_BYTES, "--set", &admin_setting, "--set", "store.cache=1MiB"];
        arguments.extend(of_store.iter().map(String::as_str));
        let place = Place::fresh(options.node.kind(&arguments)?, directory.join("node"))?;
        Ok(Site { directory, front, _store: store, admin, place })
    }

    fn run(&mut self, options: &Options) -> Result<()> {
        let mut produced = Produced::default();
        let running = self.place.start()?;
        let mut client = Client::connect(running.address).map_err(text)?;
        client.create_topic_and_wait(TOPIC, PARTITIONS).map_err(text)?;
        produced.fill(&mut client, HISTORY_BYTES)?;
        self.goes_up("history")?;
        nap(KEPT_WITHIN);
        running.stop().map_err(text)?;
        let running = self.place.start()?;

        let history = produced;
        let seconds = if options.long { 30.0 } else { 4.0 };
        let clear = self.under(Weather::Clear, seconds, &running, &mut produced, &history)?;
        if clear.drained.errors > 0 || clear.drained.records < history.records() {
            return Err(format!("in clear weather: {:?}", clear.drained));
        }
        let from_objects = metric(self.admin, "holdfast_store_read_bytes_total")?;
        if from_objects < HISTORY_BYTES as f64 {
            return Err(format!("only {from_objects} bytes of history were read from objects"));
        }
        for weather in chosen(&options.only)? {
            let under = self.under(weather, seconds, &running, &mut produced, &history)?;
            under.judge(weather, &clear)?;
            self.front.set(Weather::Clear, 0);
            if options.long {
                self.goes_up(&format!("{weather:?}"))?;
            }
        }
        self.goes_up("all weathers")?;

        self.front.set(Weather::Refused, share(Weather::Refused));
        let mut client = Client::connect(running.address).map_err(text)?;
        let stored = produced;
        produced.fill(&mut client, ONLY_IN_LOG_BYTES)?;
        running.kill().map_err(text)?;
        let running = self.place.start()?;
        println!("kill -9, started while the store refuses: {:.2} s", running.start_seconds);
        let mut client = Client::connect(running.address).map_err(text)?;
        produced.fill(&mut client, ONLY_IN_LOG_BYTES)?;
        let tail = drain(running.address, &produced, stored, &never())?;
        println!("its log answers for {} records that no object has", tail.records);
        if tail.records != produced.records() - stored.records() || tail.errors > 0 {
            return Err(format!("what only the log has: {tail:?}"));
        }
        self.front.set(Weather::Clear, 0);
        self.goes_up("the refusal")?;
        let all = drain(running.address, &produced, Produced::default(), &never())?;
        println!("{} records from offset 0 are what was produced", all.records);
        if all.records != produced.records() {
            return Err(format!("{} of {} records came", all.records, produced.records()));
        }
        running.stop().map_err(text)
    }

    /// Produces at a pace and reads history, both until the time is over and the weather has struck.
    fn under(
        &self,
        weather: Weather,
        seconds: f64,
        running: &Running,
        produced: &mut Produced,
        history: &Produced,
    ) -> Result<Under> {
        let stop = AtomicBool::new(false);
        let address = running.address;
        self.front.set(weather, share(weather));
        let failures_before = self.failures()?;
        let (pace, drained) = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut sum = Drained::default();
                while !stop.load(Ordering::Relaxed) {
                    let one = drain(address, history, Produced::default(), &stop)?;
                    sum.records += one.records;
                    sum.errors += one.errors;
                }
                Ok::<_, String>(sum)
            });
            let pace = Pace::run(address, produced, |elapsed| {
                let struck = weather == Weather::Clear || self.front.struck(weather) > 0;
                elapsed < seconds || (!struck && elapsed < 5.0 * seconds)
            });
            stop.store(true, Ordering::Relaxed);
            let drained = reader.join().map_err(|_| "the reader panicked".to_owned())?;
            Ok::<_, String>((pace?, drained?))
        })?;
        let under = Under {
            pace,
            drained,
            struck: self.front.struck(weather),
            failures: self.failures()? - failures_before,
        };
        println!("{:<14} {under}", format!("{weather:?}"));
        Ok(under)
    }

    fn failures(&self) -> Result<f64> {
        let of = |what: &str| {
            metric(self.admin, &format!("holdfast_store_failures_total{{work=\"{what}\"}}"))
        };
        Ok(of("upload")? + of("checkpoint")? + of("read")?)
    }

    /// Waits until nothing waits for the store, nor has for longer than the page's numbers may be old.
    fn goes_up(&self, after: &str) -> Result<()> {
        let clock = Stopwatch::start();
        let mut up = Stopwatch::start();
        loop {
            let waiting = metric(self.admin, "holdfast_store_waiting_bytes")?;
            let failing = metric(self.admin, "holdfast_store_failing")?;
            if waiting > 0.0 || failing > 0.0 {
                up = Stopwatch::start();
            } else if up.seconds() > PAGE_AGE_S {
                let took = clock.seconds() - up.seconds();
                println!("{after}: all is in the store {took:.1} s later");
                return Ok(());
            }
            if clock.seconds() > CATCH_UP_S {
                return Err(format!("{after}: {waiting} bytes still wait for the store"));
            }
            nap(Duration::from_millis(100));
        }
    }
}

/// What happened under a weather.
struct Under {
    pace: Pace,
    drained: Drained,
    struck: u64,
    failures: f64,
}

impl std::fmt::Display for Under {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, longest] = self.pace.latencies_us();
        write!(
            f,
            "struck {:>5}; {:>4} batches, p50 {:.2} p99 {:.2} longest {:.2} ms; {:>6} records read, {} \
             errors; {} failures counted",
            self.struck,
            self.pace.batches(),
            p50 as f64 / 1e3,
            p99 as f64 / 1e3,
            longest as f64 / 1e3,
            self.drained.records,
            self.drained.errors,
            self.failures
        )
    }
}

impl Under {
    fn judge(&self, weather: Weather, clear: &Under) -> Result<()> {
        if self.struck == 0 {
            return Err(format!("{weather:?} never struck: nothing was shown"));
        }
        // A port that is closed cannot count who knocks; the node does.
        if weather == Weather::Refused && self.failures == 0.0 {
            return Err("the port was closed and the node noticed nothing".into());
        }
        let [p50, _, longest] = self.pace.latencies_us();
        let [clear_p50, ..] = clear.pace.latencies_us();
        if p50 > MEDIAN_FACTOR * clear_p50 + MEDIAN_SLACK_US || longest > LONGEST_US {
            return Err(format!("{weather:?} touches who produces: p50 {p50} µs, {longest} µs"));
        }
        Ok(())
    }
}

fn chosen(only: &[String]) -> Result<Vec<Weather>> {
    if only.is_empty() {
        return Ok(Weather::BAD.to_vec());
    }
    let named = |name: &String| {
        let mut all = Weather::BAD.into_iter();
        let found = all.find(|weather| format!("{weather:?}").eq_ignore_ascii_case(name));
        found.ok_or_else(|| format!("no weather is called {name}"))
    };
    only.iter().map(named).collect()
}

fn never() -> AtomicBool {
    AtomicBool::new(false)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
