//! Where log lines go: to the journal with their fields when systemd started us (it sets
//! `JOURNAL_STREAM`), else as plain text to stderr, without colours, so that pipes stay clean.
//!
//! `HOLDFAST_LOG` holds a filter (`info`, `holdfast_lane=debug`); the default is `info`.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The variable that holds the filter.
const FILTER_VARIABLE: &str = "HOLDFAST_LOG";

/// Installs the subscriber of the process. A second call changes nothing.
pub fn start() {
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    // A journal that cannot be reached is no reason to be silent: stderr goes there as well.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let installed = match journal {
        Some(layer) => registry.with(layer).try_init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(std::io::stderr().is_terminal() && !plain_wanted())
                    .with_target(false),
            )
            .try_init(),
    };
    // Tests of one process start several daemons; the first subscriber stays.
    drop(installed);
}

fn plain_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
