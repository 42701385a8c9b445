//! Stock clients under load, what they tell as one history, and the verdict on it: shared by the
//! programs that strike a node down, `holdfast-crash` and `holdfast-powercut`.
//!
//! ```text
//! plan ─▶ clients ─▶ librdkafka, Java ── lines ──▶ recorder ─▶ history ─▶ judge (and the checker)
//!         members ─▶ groups, a watcher ──┘
//! ```

pub mod clients;
pub mod clock;
pub mod judge;
pub mod members;
pub mod plan;
pub mod recorder;

use std::fs::File;
use std::io::BufWriter;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use holdfast_checker::{Event, HistoryWriter};

/// What went wrong, in words.
pub type Result<T> = std::result::Result<T, String>;

/// Keeps a history for a look after a failure, and for `holdfast-checker check`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_history(path: &Path, history: &[Event]) -> Result<()> {
    let broken = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::create(path).map_err(broken)?;
    let mut writer = HistoryWriter::new(BufWriter::new(file));
    for event in history {
        writer.write(event).map_err(broken)?;
    }
    writer.finish().map_err(broken)?;
    Ok(())
}

/// A port nobody listens on at this moment.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}
