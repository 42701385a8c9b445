//! Where log lines go and which are written; both can change while the node runs.
//!
//! | `log.format` | where | what |
//! | --- | --- | --- |
//! | `auto` | as `journal` when systemd started us (it sets `JOURNAL_STREAM`), else as `text` | |
//! | `journal` | the journal's own socket | one entry with fields: `TOPIC=`, `PARTITION=`, `SHARD=`, `CODE=` |
//! | `text` | stderr | one line |
//! | `json` | stderr | one object a line |
//!
//! Fields of an event are named in lower case in the code (`topic`, `partition`, `shard`, `code`)
//! and carry no prefix in the journal, so that `journalctl TOPIC=orders` and
//! `journalctl CODE=HF-1010` find them.
//!
//! A filter is a level, or a list such as `info,holdfast_lane=debug`.

use crate::report::Report;
use crate::settings::LogFormat;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

type Output = Box<dyn Layer<Registry> + Send + Sync>;
type Change = Box<dyn Fn(LogFormat, &str) + Send + Sync>;

/// Changes the subscriber of the process.
static CHANGE: OnceLock<Change> = OnceLock::new();

/// Installs the subscriber of the process, or changes it. A filter that cannot be read is `info`:
/// settings have been checked before.
pub fn apply(format: LogFormat, filter: &str) {
    if let Some(change) = CHANGE.get() {
        return change(format, filter);
    }
    let (output_layer, output_handle) = reload::Layer::new(output(format));
    let (filter_layer, filter_handle) = reload::Layer::new(filter_of(filter));
    let installed = tracing_subscriber::registry().with(output_layer).with(filter_layer).try_init();
    if installed.is_err() {
        // Somebody else's subscriber (a test's) is there, and stays.
        return;
    }
    let change: Change = Box::new(move |format, filter| {
        let changed = output_handle
            .reload(output(format))
            .and_then(|()| filter_handle.reload(filter_of(filter)));
        if let Err(error) = changed {
            tracing::error!(%error, "the log's settings could not be changed");
        }
    });
    // Two threads at once: the first one's subscriber was installed, and so is its handle.
    drop(CHANGE.set(change));
}

/// Says why the daemon ends: to the journal with its code as a field, to people as a block.
pub fn fatal(report: &Report) {
    if is_journal() {
        // Where the settings themselves are wrong nothing has been said about the log yet.
        if CHANGE.get().is_none() {
            apply(LogFormat::Auto, "info");
        }
        tracing::error!(
            code = report.code.text(),
            why = %report.why,
            try_next = %report.try_next,
            "{report}"
        );
    } else {
        eprintln!("holdfastd: {report}");
    }
}

fn is_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

fn filter_of(text: &str) -> EnvFilter {
    EnvFilter::try_new(text).unwrap_or_else(|_| EnvFilter::new("info"))
}

fn output(format: LogFormat) -> Output {
    match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Text => text(),
        LogFormat::Journal => journal().unwrap_or_else(text),
        LogFormat::Auto if is_journal() => journal().unwrap_or_else(text),
        LogFormat::Auto => text(),
    }
}

/// A journal that cannot be reached is no reason to be silent: stderr goes there as well.
fn journal() -> Option<Output> {
    Some(tracing_journald::layer().ok()?.with_field_prefix(None).boxed())
}

fn text() -> Output {
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !plain_wanted())
        .with_target(false)
        .boxed()
}

fn plain_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
