//! What a segment file still holds of a topic, whichever segment its bytes once belonged to: the
//! proof that a deletion reached the log.
//!
//! ```text
//! file  │frame│frame│ frame of an older segment │ torn │ seal │
//!        ╰─ locators name topic and bytes ────╯   ╰ the id itself, searched for ╯
//! ```
//!
//! Every block that begins with a frame header of this cluster counts, in the log or not. Where no whole
//! frame explains it, the topic's id itself is a finding: a locator of a torn frame, or a seal's
//! index. Commands that only name the topic (it was created, it was removed) are no records.
//!
//! Caveat: batches do not name their topic. Payload whose locator is gone is not found by this; it is in
//! a file that is erased as a whole, or not at all.

use bytes::Bytes;
use holdfast_base::TopicId;
use holdfast_io::BLOCK_BYTES;
use memchr::memmem;

use crate::config::WalConfig;
use crate::format::frame::{FrameHeader, RowKind, parse_entries};
use crate::format::padded;

/// What was found in one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Residue {
    /// Batches of the topic in whole frames.
    pub batches: u64,
    /// Their bytes.
    pub batch_bytes: u64,
    /// Places with the topic's id that no whole frame explains.
    pub torn: u64,
}

impl Residue {
    /// Nothing of the topic's records is there.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Residue::default()
    }
}

/// Looks through all bytes of a segment file. Of `config` only cluster, node and lane are used.
#[must_use]
pub fn residue_in(file: &Bytes, config: &WalConfig, topic: TopicId) -> Residue {
    let mut residue = Residue::default();
    let mut explained_to = 0;
    let mut marks = memmem::find_iter(file, &topic.0).peekable();
    for at in (0..file.len()).step_by(BLOCK_BYTES) {
        while let Some(mark) = marks.next_if(|mark| *mark < at) {
            residue.torn += u64::from(mark >= explained_to);
        }
        if at < explained_to {
            continue;
        }
        let Some(end) = frame_end(file, at, config) else { continue };
        let (batches, batch_bytes) = of_frame(&file.slice(at..end), config, topic);
        residue.batches += batches;
        residue.batch_bytes += batch_bytes;
        while marks.next_if(|mark| *mark < end).is_some() {}
        explained_to = end;
    }
    residue.torn += marks.filter(|mark| *mark >= explained_to).count() as u64;
    residue
}

/// Where a frame of ours that begins at `at` ends.
fn frame_end(file: &Bytes, at: usize, config: &WalConfig) -> Option<usize> {
    let rest = file.slice(at..);
    let head_bytes = padded(FrameHeader::peek_head_bytes(&rest)? as u64) as usize;
    let header = FrameHeader::decode(rest.get(..head_bytes)?, config).ok()?;
    let commands = rest.get(header.commands_start()..header.payload_start())?;
    let end = at + header.frame_bytes as usize;
    (crc32c::crc32c(commands) == header.commands_crc && end <= file.len()).then_some(end)
}

fn of_frame(frame: &Bytes, config: &WalConfig, topic: TopicId) -> (u64, u64) {
    let Ok(header) = FrameHeader::decode(frame, config) else { return (0, 0) };
    let commands = frame.slice(header.commands_start()..header.payload_start());
    let rows = header.rows.iter().filter(|row| row.kind == RowKind::Entries);
    let entries = rows.filter_map(|row| parse_entries(row, &commands)).flatten();
    let locators = entries.flat_map(|entry| entry.locators().collect::<Vec<_>>());
    let of_topic = locators.filter(|locator| locator.partition.topic == topic);
    of_topic.fold((0, 0), |(batches, bytes), locator| {
        (batches + 1, bytes + u64::from(locator.len_bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::*;

    #[test]
    fn batches_in_the_log_and_outside_of_it_are_counted_and_a_torn_one_is_a_finding() {
        let config = config();
        let device = formatted(1, &config, 1);
        let (mut wal, _) = recover(&device, &config).unwrap();
        let mut now_ns = 0;
        for index in 1..=3 {
            wal.append(vec![entry(1, index, 1, 30_000)], at(now_ns)).unwrap();
            settle(&device, &mut wal, &mut now_ns);
        }
        let name = crate::format::segment_name(config.lane, 1);
        let media = Bytes::from(device.media(&name).unwrap());
        let found = residue_in(&media, &config, TopicId([1; 16]));
        assert_eq!(found, Residue { batches: 3, batch_bytes: 90_000, torn: 0 });
        assert!(residue_in(&media, &config, TopicId([2; 16])).is_none());
        // Another lane's bytes are not believed, and not overlooked.
        let mut torn = media.to_vec();
        torn[crate::format::DATA_START as usize] ^= 1;
        let found = residue_in(&Bytes::from(torn), &config, TopicId([1; 16]));
        assert_eq!(found, Residue { batches: 2, batch_bytes: 60_000, torn: 1 });
    }
}
