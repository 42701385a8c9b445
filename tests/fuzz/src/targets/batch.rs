//! Record batches: what a client sends, and what is read back.

use bytes::Bytes;
use holdfast_base::{Rng, SplitMix64};
use holdfast_batch::{
    BATCH_OVERHEAD_BYTES, BatchBuilder, CRC_START, Codec, Depth, HEADER_BYTES, Limits, OpenBatch,
    RecordDraft, SnappyFraming, find_by_timestamp, max_timestamp_record, validate_produced,
};

use super::{Bound, Target, Verdict};

/// Small, so that bombs are refused often and runs stay fast.
const LIMITS: Limits = Limits {
    batch_bytes_max: 1 << 20,
    inflate_ratio_max: 32,
    inflated_bytes_floor: 1 << 20,
    zstd_window_log_max: 23,
    keys_required: false,
};
/// What the codecs' decoders reserve whatever the batch: lz4's largest blocks are 4 MiB, and it
/// keeps two of them; a corpus entry asks for them.
const CODEC_BYTES: u64 = 9 << 20;

pub(crate) struct Validation;
pub(crate) struct Walk;

impl Target for Validation {
    fn name(&self) -> &'static str {
        "batch"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        batches()
    }

    fn repair(&self, input: &mut [u8], rng: &mut SplitMix64) {
        repair(input, rng);
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let bytes = Bytes::copy_from_slice(input);
        let shallow = validate_produced(&bytes, Depth::Header, &LIMITS);
        let deep = validate_produced(&bytes, Depth::Records, &LIMITS);
        match (shallow, deep) {
            (Err(shallow), Ok(_)) => Verdict::Wrong(format!("only header depth says {shallow}")),
            (Ok(_), Ok(deep)) if deep.walked().is_none() => {
                Verdict::Wrong("accepted without looking".to_owned())
            }
            (Ok(_), Ok(_)) => Verdict::Accepted,
            (_, Err(_)) => Verdict::Refused,
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        // Snappy's blocks are the only part that grows with the input.
        let largest_bytes = 22 * input_bytes as u64 + CODEC_BYTES;
        Bound { largest_bytes, peak_bytes: 2 * largest_bytes }
    }
}

impl Target for Walk {
    fn name(&self) -> &'static str {
        "walk"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        batches()
    }

    fn repair(&self, input: &mut [u8], rng: &mut SplitMix64) {
        repair(input, rng);
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let bytes = Bytes::copy_from_slice(input);
        let valid = validate_produced(&bytes, Depth::Records, &LIMITS);
        let found = find_by_timestamp(input, i64::MIN, &LIMITS);
        let largest = max_timestamp_record(input, &LIMITS);
        let open = match OpenBatch::open(input, &LIMITS) {
            Ok(open) => open,
            Err(error) if valid.is_ok() => {
                return Verdict::Wrong(format!("valid, but cannot be opened: {error}"));
            }
            Err(_) => return Verdict::Refused,
        };
        let claimed = open.header().records_count.max(0);
        let records: Vec<(i64, i64)> = open
            .records()
            .map(|record| {
                let headers = record.headers.count();
                let held = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                assert!(held + 2 * headers <= 32 << 20, "slices of an inflated batch");
                (record.offset, record.timestamp_ms)
            })
            .collect();
        if records.len() != claimed as usize {
            return Verdict::Wrong(format!("{} records of {claimed}", records.len()));
        }
        // The same answers by the streaming walk and by hand.
        if found != Ok(records.first().copied()) {
            return Verdict::Wrong(format!("found {found:?}, records {records:?}"));
        }
        let by_hand = records.iter().copied().rev().max_by_key(|(_, timestamp)| *timestamp);
        if largest != Ok(by_hand) {
            return Verdict::Wrong(format!("largest {largest:?}, records {records:?}"));
        }
        if valid.is_ok() { Verdict::Accepted } else { Verdict::Refused }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        let inflated = LIMITS.inflated_bytes_max(input_bytes);
        // A vector doubles; records as tuples take more than the 7 bytes of the smallest record.
        let largest_bytes = (4 * inflated + 16 * input_bytes as u64) + CODEC_BYTES;
        Bound { largest_bytes, peak_bytes: 3 * largest_bytes }
    }
}

fn batches() -> Vec<Vec<u8>> {
    let mut corpus = Vec::new();
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for framing in [SnappyFraming::Xerial, SnappyFraming::Raw] {
            for values in [vec![1], vec![0, 10, 100], vec![5; 40], vec![3_000, 70_000]] {
                let mut builder = BatchBuilder::new(codec).producer(9, 1, 0);
                builder.snappy_framing = framing;
                for (number, bytes) in (0_i64..).zip(values) {
                    builder = builder.record(RecordDraft {
                        headers: vec![("trace".into(), Some("abc".into())), ("none".into(), None)],
                        ..RecordDraft::keyed(1_000 + 7 * (number % 3), "key", vec![b'v'; bytes])
                    });
                }
                corpus.push(builder.build().expect("a real batch").to_vec());
            }
        }
    }
    // A bomb of each kind.
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = BatchBuilder::new(codec).record(RecordDraft::value(0, vec![0; 4 << 20]));
        corpus.push(bomb.build().expect("a real batch").to_vec());
    }
    corpus.push(large_blocks());
    corpus.retain(|batch| batch.len() < 100_000);
    corpus
}

/// A small lz4 batch whose frame announces blocks of 4 MiB: `04 22 4d 18`, flags `60`, size `70`
/// and their checksum, one stored block that holds the records, the end.
fn large_blocks() -> Vec<u8> {
    let plain = BatchBuilder::new(Codec::None).record(RecordDraft::value(0, "small"));
    let plain = plain.build().expect("a real batch");
    let records = &plain[HEADER_BYTES..];
    let mut batch = plain[..HEADER_BYTES].to_vec();
    batch[22] |= Codec::Lz4.id() as u8;
    batch.extend_from_slice(&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73]);
    let length = u32::try_from(records.len()).expect("a small sample") | 1 << 31;
    batch.extend_from_slice(&length.to_le_bytes());
    batch.extend_from_slice(records);
    batch.extend_from_slice(&[0; 4]);
    sign(&mut batch);
    batch
}

fn sign(batch: &mut [u8]) {
    let length = u32::try_from(batch.len() - BATCH_OVERHEAD_BYTES).expect("inputs are small");
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = holdfast_batch::checksum(batch);
    batch[17..CRC_START].copy_from_slice(&crc.to_be_bytes());
}

/// Mostly a true length and CRC, so that what lies behind them is judged.
fn repair(input: &mut [u8], rng: &mut SplitMix64) {
    if input.len() < HEADER_BYTES || rng.chance(1, 16) {
        return;
    }
    input[16] = 2;
    sign(input);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_valid_unless_it_is_a_bomb() {
        let judged: Vec<bool> = batches()
            .into_iter()
            .map(|batch| validate_produced(&Bytes::from(batch), Depth::Records, &LIMITS).is_ok())
            .collect();
        let refused = judged.iter().filter(|valid| !**valid).count();
        assert!(judged.len() > 40 && refused <= 4, "{refused} of {}", judged.len());
        assert!(judged[judged.len() - 1], "the batch of large lz4 blocks");
    }
}
