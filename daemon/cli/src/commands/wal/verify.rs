//! Every entry that counts, read back: its commands by the frame's checksum, its records by the
//! checksum their producer gave them.

use holdfast_batch::{BatchHeader, HEADER_BYTES, checksum};
use holdfast_io::Disk;
use holdfast_wal::{EntryRun, Recovered, Wal};
use serde_json::{Value, json};

use crate::output::{Table, size};
use crate::progress::Progress;

/// More findings than this are counted and not listed.
const LISTED_MAX: usize = 100;

/// What was read and what was wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Checked {
    entries: u64,
    batches: u64,
    payload_bytes: u64,
    pub(super) findings: Vec<Finding>,
    unlisted: u64,
}

/// An unreadable entry, or a frame's worth of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    shard: u32,
    index: u64,
    segment: u64,
    offset: u64,
    why: String,
}

/// Reads everything that recovery found.
pub(super) fn check<D: Disk>(wal: &Wal<D>, recovered: &Recovered) -> Checked {
    let mut checked = Checked::default();
    let mut progress = Progress::start("verify");
    let runs: Vec<&EntryRun> =
        recovered.replicas.values().flat_map(|replica| &replica.runs).collect();
    for (at, run) in runs.iter().enumerate() {
        progress.at(at as f64 / runs.len() as f64, &size(checked.payload_bytes as f64));
        match wal.read_run(run) {
            Err(error) => checked.add(run, run.first.0, error.to_string()),
            Ok(entries) => {
                for entry in entries {
                    checked.entries += 1;
                    if entry.payload.len_bytes == 0 {
                        continue;
                    }
                    checked.payload_bytes += u64::from(entry.payload.len_bytes);
                    let verdict = wal
                        .read_payload(entry.payload)
                        .map_err(|error| error.to_string())
                        .and_then(|payload| batches(&payload));
                    match verdict {
                        Ok(count) => checked.batches += count,
                        Err(why) => checked.add(run, entry.index.0, why),
                    }
                }
            }
        }
    }
    checked
}

/// Record batches of a payload, each whole and with the checksum it came with.
fn batches(mut payload: &[u8]) -> Result<u64, String> {
    let mut count = 0;
    while !payload.is_empty() {
        if payload.len() < HEADER_BYTES {
            return Err(format!("{} bytes follow the last batch", payload.len()));
        }
        let header = BatchHeader::parse(payload).map_err(|error| error.to_string())?;
        let (batch, rest) = payload
            .split_at_checked(header.total_len_bytes())
            .ok_or_else(|| format!("batch {count} is cut short"))?;
        if checksum(batch) != header.crc {
            return Err(format!("batch {count} (offset {}): wrong checksum", header.base_offset));
        }
        payload = rest;
        count += 1;
    }
    Ok(count)
}

impl Checked {
    fn add(&mut self, run: &EntryRun, index: u64, why: String) {
        if self.findings.len() >= LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        let (segment, offset) = (run.frame.segment.0, run.frame.offset);
        self.findings.push(Finding { shard: run.shard.0, index, segment, offset, why });
    }

    pub(super) fn summary(&self) -> String {
        let wrong = match (self.findings.len(), self.unlisted) {
            (0, _) => "nothing is wrong".to_owned(),
            (listed, 0) => format!("{listed} are unreadable"),
            (listed, more) => format!("{} are unreadable", listed as u64 + more),
        };
        format!(
            "read {} entries with {} batches, {}: {wrong}",
            self.entries,
            self.batches,
            size(self.payload_bytes as f64)
        )
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&[">SHARD", ">INDEX", ">SEGMENT", ">OFFSET", "WHY"]);
        for finding in &self.findings {
            table.row([
                finding.shard.to_string(),
                finding.index.to_string(),
                finding.segment.to_string(),
                finding.offset.to_string(),
                finding.why.clone(),
            ]);
        }
        table
    }

    pub(super) fn json(&self) -> Value {
        let findings: Value = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "shard": finding.shard, "index": finding.index, "segment": finding.segment,
                    "offset": finding.offset, "why": finding.why,
                })
            })
            .collect();
        json!({
            "entries": self.entries, "batches": self.batches, "payload_bytes": self.payload_bytes,
            "findings": findings, "findings_not_listed": self.unlisted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_batch::{BatchBuilder, Codec, RecordDraft};

    #[test]
    fn a_flipped_bit_and_a_missing_byte_are_found() {
        let batch =
            BatchBuilder::new(Codec::None).record(RecordDraft::value(1, "v")).build().unwrap();
        let payload = [&batch[..], &batch[..]].concat();
        assert_eq!(batches(&payload), Ok(2));
        assert_eq!(batches(b""), Ok(0));
        let mut flipped = payload.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(batches(&flipped), Err("batch 1 (offset 0): wrong checksum".to_owned()));
        assert!(batches(&payload[..payload.len() - 1]).is_err());
        assert!(batches(&[&payload[..], b"x"].concat()).is_err());
    }
}
