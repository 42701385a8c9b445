//! Histories as files: one event per line, written and read as a stream.

use std::io::{self, BufRead, Write};

use thiserror::Error;

use crate::event::Event;

/// A line longer than this is no event: a poll of 100 MiB of one-byte records would be shorter.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// Writes events. Give it a `BufWriter`; share it behind one lock, so that lines have an order.
#[derive(Debug)]
pub struct HistoryWriter<W: Write> {
    to: W,
    lines: u64,
}

impl<W: Write> HistoryWriter<W> {
    /// Starts a history.
    pub fn new(to: W) -> Self {
        HistoryWriter { to, lines: 0 }
    }

    /// Writes one line and says its number.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&mut self, event: &Event) -> io::Result<u64> {
        serde_json::to_writer(&mut self.to, event)?;
        self.to.write_all(b"\n")?;
        self.lines += 1;
        Ok(self.lines)
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

/// A history that cannot be read to its end, so that nothing can be said about it.
#[derive(Debug, Error)]
#[error(
    "line {line} of the history cannot be read: {why}; a writer that was killed leaves a torn \
     last line, write the history from a process that is not"
)]
pub struct BadHistory {
    /// From 1.
    pub line: u64,
    /// What the parser or the file says.
    pub why: String,
}

/// Reads events. Empty lines are skipped and counted.
#[derive(Debug)]
pub struct HistoryReader<R: BufRead> {
    from: R,
    line: u64,
    buffer: Vec<u8>,
    failed: bool,
}

impl<R: BufRead> HistoryReader<R> {
    /// Starts at the first line.
    pub fn new(from: R) -> Self {
        HistoryReader { from, line: 0, buffer: Vec::new(), failed: false }
    }

    fn read_line(&mut self) -> Result<Option<(u64, Event)>, BadHistory> {
        loop {
            self.line += 1;
            let line = self.line;
            let bad = |why: String| BadHistory { line, why };
            self.buffer.clear();
            let mut bounded = io::Read::take(&mut self.from, LINE_BYTES_MAX);
            let read = bounded
                .read_until(b'\n', &mut self.buffer)
                .map_err(|error| bad(error.to_string()))?;
            if read == 0 {
                return Ok(None);
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let event = serde_json::from_slice(&self.buffer).map_err(|e| bad(e.to_string()))?;
            return Ok(Some((line, event)));
        }
    }
}

impl<R: BufRead> Iterator for HistoryReader<R> {
    type Item = Result<(u64, Event), BadHistory>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read_line().transpose()?;
        self.failed = read.is_err();
        Some(read)
    }
}
