//! `cargo xtask stores`: every store that can be had, against everything that is asked of one.
//!
//! ```text
//!                 versitygw   s3proxy   minio
//! suite           passed      ...               holdfast-conformance store-suite
//! cold history                                  holdfast-conformance cold-history
//! probe                                         holdfast-conformance store-probe
//! ```
//!
//! The words of the probe stand above the table. A store that cannot be fetched or built is told, and
//! fails nothing; what a store does not do fails the run.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::binaries::{self, CLI, CONFORMANCE, DAEMON};
use crate::install;
use crate::run::{Result, root, shown, status};
use crate::store_programs;

const STORES: [&str; 3] = ["versitygw", "s3proxy", "minio"];
const CHECKS: [&str; 3] = ["store-suite", "cold-history", "store-probe"];
/// Of one check of one store.
const CHECK_MAX: Duration = Duration::from_secs(5 * 60);

pub(crate) fn run() -> Result<()> {
    install::ensure(install::BUILD)?;
    install::ensure(install::CLIENTS)?;
    binaries::build(&[CONFORMANCE, DAEMON, CLI])?;
    let minio = store_programs::minio();
    if let Err(why) = &minio {
        println!("MinIO cannot be had: {why}");
    }
    let mut rows: Vec<(&str, Vec<&str>)> = CHECKS.map(|check| (check, Vec::new())).into();
    let mut failed = 0;
    for store in STORES {
        for (check, results) in &mut rows {
            let result = match (&minio, store) {
                (Err(_), "minio") => "not here",
                _ => match one(check, store, minio.as_ref().ok()) {
                    Ok(()) => "passed",
                    Err(why) => {
                        println!("{why}");
                        failed += 1;
                        "FAILED"
                    }
                },
            };
            results.push(result);
        }
    }
    println!("\n{:<14} {:<11} {:<11} {:<11}", "", STORES[0], STORES[1], STORES[2]);
    for (check, results) in rows {
        println!("{check:<14} {:<11} {:<11} {:<11}", results[0], results[1], results[2]);
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} checks of stores failed")) }
}

fn one(check: &str, store: &str, minio: Option<&PathBuf>) -> Result<()> {
    let mut command = Command::new(binaries::path(CONFORMANCE));
    command.args([check, "--store", store]).arg("--work").arg(root().join("target/stores"));
    match check {
        "cold-history" => command.arg("--holdfastd").arg(binaries::path(DAEMON)),
        "store-probe" => command.arg("--holdfast").arg(binaries::path(CLI)),
        _ => &mut command,
    };
    store_programs::provide(&mut command)?;
    if let Some(minio) = minio {
        command.env("HOLDFAST_MINIO", minio);
    }
    println!("\n── {store}: {check}\nRunning: {}", shown(&command));
    let ended = status(&mut command, Some(CHECK_MAX))?;
    if ended.success() { Ok(()) } else { Err(format!("{check} of {store} ended: {ended}")) }
}
