//! The suite that every store of ours must pass, against a real one.
//!
//! What it claims stands in `storage/tier/src/store/conformance.rs`; here is only the store. A claim that
//! does not hold panics there with its words, and is this check's fault.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use clap::Args;
use holdfast_bench::clock::Stopwatch;
use holdfast_tier::store::{self, Patience, conformance};

use crate::stores::{Programs, StoreKind, TestStore};
use crate::{Outcome, Result};

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Which store.
    #[arg(long, value_enum)]
    store: StoreKind,
    #[command(flatten)]
    programs: Programs,
    /// Directory for its data; emptied.
    #[arg(long)]
    work: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    std::fs::create_dir_all(&options.work).map_err(|error| error.to_string())?;
    let work = options.work.canonicalize().map_err(|error| error.to_string())?;
    let running = TestStore::fresh(options.store, &options.programs, work.join("store-suite"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let opened = store::open(&running.url(), &running.options()?, Patience::WRITING);
    let opened = opened.map_err(|error| error.to_string())?;
    let clock = Stopwatch::start();
    let suite = AssertUnwindSafe(|| runtime.block_on(conformance::run(&*opened)));
    if catch_unwind(suite).is_err() {
        return Err("a claim of the suite does not hold; it stands above".into());
    }
    println!("every claim of the suite holds, {:.1} s", clock.seconds());
    Ok(Outcome::Passed)
}
