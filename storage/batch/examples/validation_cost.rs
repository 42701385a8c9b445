//! What checking a produced batch costs at either depth, beside a copy of the same bytes:
//! `cargo run --release -p holdfast-batch --example validation_cost`.
//!
//! Each line: codec, stored bytes of a batch of 120 records of 1 KiB, and processor seconds per
//! 10^9 payload bytes (one thread, so wall time is processor time on an idle machine). Records
//! are text that compresses about threefold, as logs and JSON do.

#![expect(clippy::disallowed_methods, reason = "a measurement reads a clock")]

use bytes::Bytes;
use holdfast_batch::{BatchBuilder, Codec, Depth, Limits, RecordDraft, validate_produced};
use std::hint::black_box;
use std::time::Instant;

const RECORDS: usize = 120;
const RECORD_BYTES: usize = 1024;
const ROUNDS: usize = 400;

fn main() {
    println!("codec   stored bytes   header s/GB   records s/GB   copy s/GB");
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let batch = batch(codec);
        let header = seconds_per_gb(|| check(&batch, Depth::Header));
        let records = seconds_per_gb(|| check(&batch, Depth::Records));
        let copy = seconds_per_gb(|| {
            black_box(black_box(&batch[..]).to_vec());
        });
        let name = format!("{codec:?}").to_lowercase();
        println!("{name:<8}{:>12}{header:>14.3}{records:>15.3}{copy:>12.3}", batch.len());
    }
}

fn batch(codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    let mut state = 1_u64;
    for number in 0..RECORDS {
        let mut value = Vec::with_capacity(RECORD_BYTES + 64);
        while value.len() < RECORD_BYTES {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let line = format!(
                "{{\"order\":{number},\"customer\":\"{:08x}\",\"state\":\"accepted\"}}\n",
                state >> 32
            );
            value.extend_from_slice(line.as_bytes());
        }
        value.truncate(RECORD_BYTES);
        builder = builder.record(RecordDraft::value(1_700_000_000_000, value));
    }
    builder.build().expect("a batch of plain records can be built")
}

fn check(batch: &Bytes, depth: Depth) {
    let valid = validate_produced(batch, depth, &Limits::default());
    assert!(black_box(valid).is_ok());
}

/// The median of five, per payload byte as the producer counts it (before compression).
fn seconds_per_gb(mut run: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                run();
            }
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[2] / (ROUNDS * RECORDS * RECORD_BYTES) as f64 * 1e9
}
