//! What the store was found to do when the node last looked: a light probe behind the start.
//!
//! ```text
//! serving ─▶ a moment ─▶ probe: small objects under a name of its own, removed ─▶ kept, shown in /status
//!                          └─ the store is away ─▶ again after 5 min
//! ```
//!
//! Never on the path of a start, and nothing depends on it: `holdfast store probe` asks more.

use crate::settings::Options;
use crate::store::described;
use holdfast_base::{Clock, Rng, SplitMix64};
use holdfast_tier::store::probe::{Depth, Report, Standing, probe};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Clients come first.
const AFTER_START: Duration = Duration::from_secs(2);
/// A store that is away, or slow.
const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// About twenty small requests.
const LIMIT: Duration = Duration::from_secs(120);

/// The newest result.
#[derive(Default, Debug)]
pub struct LookedAt(Mutex<Option<Look>>);

/// A look at the store.
#[derive(Clone, Debug)]
pub struct Look {
    /// When, by the wall, ms.
    pub at_ms: i64,
    /// What was found.
    pub report: Report,
}

impl LookedAt {
    /// The newest result; `None` before the first.
    #[must_use]
    pub fn newest(&self) -> Option<Look> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, look: Look) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }
}

/// Looks at the store of these settings until it could be asked.
pub async fn look(
    options: &Options,
    looked: &LookedAt,
    clock: Arc<dyn Clock + Send + Sync>,
    mut rng: SplitMix64,
) {
    // Who opened the store has told what is wrong with its description.
    let Ok(Some((url, described))) = described(options) else { return };
    sleep(AFTER_START).await;
    loop {
        let wall_s = || clock.now().wall_ms / 1_000;
        let id = rng.next_u64();
        let asked = timeout(LIMIT, probe(&url, &described, id, wall_s, Depth::Light)).await;
        let found = match asked {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it did not answer for {} s", LIMIT.as_secs())),
        };
        match found {
            Ok(report) => {
                let verdict = report.verdict();
                tracing::info!(verdict, "the object store was looked at");
                let could_be_asked = was_asked(&report);
                looked.put(Look { at_ms: clock.now().wall_ms, report });
                if could_be_asked {
                    return;
                }
            }
            Err(why) => tracing::warn!(why, "the object store could not be looked at"),
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// The first thing worked: the rest was asked.
fn was_asked(report: &Report) -> bool {
    report.findings.first().is_some_and(|first| first.standing == Standing::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::arguments::Arguments;
    use crate::clock::KernelClock;
    use crate::settings::load_from;
    use crate::store::testing::Scratch;
    use clap::Parser;

    #[tokio::test(start_paused = true)]
    async fn a_look_is_kept_and_leaves_nothing_in_the_store() {
        let directory = Scratch::new();
        let data = directory.path().join("node").display().to_string();
        let url = format!("file://{}", directory.path().join("store").display());
        std::fs::create_dir(directory.path().join("store")).expect("a directory for the store");
        let arguments =
            Arguments::parse_from(["holdfastd", "--dev", "--data-dir", &data, "--store", &url]);
        let options = load_from(&arguments, &[]).expect("good settings").options;
        let looked = LookedAt::default();
        assert!(looked.newest().is_none());
        look(&options, &looked, Arc::new(KernelClock), SplitMix64::new(1)).await;
        let report = looked.newest().expect("it was looked at").report;
        assert!(report.is_usable() && report.findings.len() >= 6, "{report:?}");
        assert!(!report.findings.iter().any(|finding| finding.name == "multipart"));
        let left: Vec<_> =
            std::fs::read_dir(directory.path().join("store")).expect("readable").collect();
        assert!(left.len() <= 1, "nothing of it but what the store is made of: {left:?}");
    }
}
