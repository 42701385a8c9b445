//! `holdfast store probe`, against a real store: what it says, and that it leaves nothing.
//!
//! A store of these is usable; one whose bucket is not there is not, and that is exit code 3.

use std::path::PathBuf;
use std::process::{Command, Output};

use clap::Args;
use serde_json::Value;

use crate::stores::{Programs, StoreKind, TestStore};
use crate::{Outcome, Result};

const NOT_USABLE: i32 = 3;
/// What every store is asked; the rest is a bucket's.
const ASKED: [&str; 8] = [
    "put",
    "ranged-get",
    "list",
    "list-from",
    "multipart",
    "delete",
    "delete-of-nothing",
    "clean-up",
];

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Which store.
    #[arg(long, value_enum)]
    store: StoreKind,
    #[command(flatten)]
    programs: Programs,
    /// The operator's command.
    #[arg(long, env = "HOLDFAST")]
    holdfast: PathBuf,
    /// Directory for its data; emptied.
    #[arg(long)]
    work: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    std::fs::create_dir_all(&options.work).map_err(|error| error.to_string())?;
    let work = options.work.canonicalize().map_err(|error| error.to_string())?;
    let store = TestStore::fresh(options.store, &options.programs, work.join("store-probe"))?;
    let before = store.bytes()?;
    let table = probe(options, &store, &store.url(), "table")?;
    print!("{}", String::from_utf8_lossy(&table.stdout));
    let json = probe(options, &store, &store.url(), "json")?;
    if !json.status.success() {
        return Err(format!("ended: {}: {}", json.status, String::from_utf8_lossy(&json.stderr)));
    }
    let report: Value = serde_json::from_slice(&json.stdout).map_err(|error| error.to_string())?;
    let checks = report["checks"].as_array().ok_or("the report has no checks")?;
    for name in ASKED {
        let check = checks.iter().find(|check| check["check"] == name);
        let verdict = check.map(|check| &check["verdict"]);
        if verdict.is_none_or(|verdict| verdict != "ok") {
            return Err(format!("{name} is {verdict:?}"));
        }
    }
    let after = store.bytes()?;
    if after > before {
        return Err(format!("{} bytes of the probe are left", after - before));
    }
    if options.store != StoreKind::Directory {
        let order = checks.iter().find(|check| check["check"] == "list-order");
        if order.is_none_or(|check| check["verdict"] != "ok") {
            return Err(format!("the order of a listing: {order:?}"));
        }
        let missing = probe(options, &store, "s3://no-such-bucket", "json")?;
        if missing.status.code() != Some(NOT_USABLE) {
            return Err(format!("a bucket that is not there: {}", missing.status));
        }
    }
    Ok(Outcome::Passed)
}

fn probe(options: &Options, store: &TestStore, url: &str, form: &str) -> Result<Output> {
    let mut command = Command::new(&options.holdfast);
    command.args(["store", "probe", url, "-o", form]);
    if options.store != StoreKind::Directory {
        command.arg(format!("--endpoint=http://{}", store.address()));
        command.arg(format!("--credentials={}", store.key().display()));
    }
    command.output().map_err(|error| error.to_string())
}
