//! Batches that lie about themselves, sent in Produce requests that are right.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use holdfast_bench::batch::{self, CRC_AT, HEADER_BYTES, LAST_OFFSET_DELTA_AT};
use holdfast_bench::client::{Client, Failed, PRODUCE_TAIL, produce_head};
use holdfast_bench::clock::unix_ms;
use holdfast_bench::load::value_of;
use holdfast_bench::wire::varint;

use super::{Taken, provoke};
use crate::Result;

const TOPIC: &str = "spoilt";
const COUNT_AT: usize = 57;
const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;
const GZIP: i16 = 1;
/// What the bombs inflate to.
const BOMB_BYTES: usize = 512 << 20;
/// CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_VERSION, INVALID_REQUEST,
/// UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD, INVALID_TIMESTAMP:
/// codes that say "this batch is wrong". A stock producer tries CORRUPT_MESSAGE again, as with Kafka.
const REFUSALS: [i16; 8] = [2, 10, 35, 42, 43, 76, 87, 32];

pub(super) fn run(address: SocketAddr) -> Result<usize> {
    let mut client = Client::connect(address).map_err(|error| error.to_string())?;
    client.create_topic_and_wait(TOPIC, 1).map_err(|error| error.to_string())?;
    let good = good();
    client.produce(TOPIC, 0, &good).map_err(|error| format!("a good batch: {error}"))?;
    let end = client.end_offset(TOPIC, 0).map_err(|error| error.to_string())?;
    let mut faults = Vec::new();
    let spoilt = spoilt();
    for (name, bytes) in &spoilt {
        let mut liar = Client::connect(address).map_err(|error| error.to_string())?;
        match liar.produce(TOPIC, 0, bytes) {
            Err(Failed::Code { code, .. }) if REFUSALS.contains(&code) => {}
            Err(Failed::Socket(_)) => {}
            Err(other) => faults.push(format!("{name}: {other}")),
            Ok(_) => faults.push(format!("{name}: taken")),
        }
    }
    // Valid in form: a broker may take it, what it costs in memory is judged by the caller.
    let mut liar = Client::connect(address).map_err(|error| error.to_string())?;
    match liar.produce(TOPIC, 0, &bomb_record()) {
        Ok(_) => println!("a record that inflates to {} MiB was taken", BOMB_BYTES >> 20),
        Err(why) => println!("a record that inflates to {} MiB: {why}", BOMB_BYTES >> 20),
    }
    without_acks(address, &good)?;
    let now = client.end_offset(TOPIC, 0).map_err(|error| error.to_string())?;
    if now > end + 1 {
        faults.push(format!("{} records of spoilt batches were appended", now - end));
    }
    if faults.is_empty() { Ok(spoilt.len() + 2) } else { Err(faults.join("; ")) }
}

/// With acks=0 the only thing a client can see of an error is that the connection closes.
fn without_acks(address: SocketAddr, good: &[u8]) -> Result<()> {
    let mut batch = good.to_vec();
    batch[CRC_AT] ^= 1;
    let mut frame = produce_head(TOPIC, 0, 0, batch.len());
    frame.extend_from_slice(&batch);
    frame.extend_from_slice(&PRODUCE_TAIL);
    match provoke(address, &frame, false, Duration::from_secs(5))? {
        Taken::Closed => Ok(()),
        other => Err(format!("acks=0 with a wrong CRC: {other:?}")),
    }
}

fn good() -> Vec<u8> {
    let values: Vec<_> = (0..5).map(|seed| value_of(100, seed + 1)).collect();
    batch::build(values.iter().map(Vec::as_slice), unix_ms())
}

/// A change and the CRC that goes with it.
fn sealed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut batch = good();
    change(&mut batch);
    batch::seal(&mut batch);
    batch
}

fn put<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) {
    batch[at..at + N].copy_from_slice(&bytes);
}

fn compressed(codec: i16, body: &[u8], count: i32) -> Vec<u8> {
    batch::around(body, count, codec, unix_ms())
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into a Vec cannot fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

fn spoilt() -> Vec<(String, Vec<u8>)> {
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| cases.push((name.into(), bytes));
    let mut crc = good();
    crc[CRC_AT] ^= 0x80;
    add("a wrong CRC", crc);
    let mut flipped = good();
    let last = flipped.len() - 3;
    flipped[last] ^= 1;
    add("a flipped bit in a record", flipped);
    for count in [0, 4, 6, -1, i32::MAX] {
        let name = format!("a count of {count} for 5 records");
        add(&name, sealed(|batch| put(batch, COUNT_AT, count.to_be_bytes())));
    }
    for delta in [3, 5, -1, i32::MAX] {
        let name = format!("a last offset delta of {delta} for 5 records");
        add(&name, sealed(|batch| put(batch, LAST_OFFSET_DELTA_AT, delta.to_be_bytes())));
    }
    for both in [4, 6, i32::MAX] {
        let name = format!("count and delta that agree on {both} for 5 records");
        add(
            &name,
            sealed(|batch| {
                put(batch, COUNT_AT, both.to_be_bytes());
                put(batch, LAST_OFFSET_DELTA_AT, (both - 1).to_be_bytes());
            }),
        );
    }
    for magic in [0, 1, 3, 127, 255] {
        let mut batch = good();
        batch[MAGIC_AT] = magic;
        add(&format!("magic {magic}"), batch);
    }
    for codec in [5i16, 6, 7] {
        let name = format!("codec {codec}");
        add(&name, sealed(|batch| put(batch, ATTRIBUTES_AT, codec.to_be_bytes())));
    }
    for codec in [1i16, 2, 3, 4] {
        add(&format!("noise as codec {codec}"), compressed(codec, &value_of(300, 9), 1));
        let name = format!("plain records that claim codec {codec}");
        add(&name, sealed(|batch| put(batch, ATTRIBUTES_AT, codec.to_be_bytes())));
    }
    let length = good().len() as i32;
    for lie in [-1, 0, 48, length, length - 13, i32::MAX] {
        let mut batch = good();
        put(&mut batch, LENGTH_AT, lie.to_be_bytes());
        add(&format!("a length of {lie}"), batch);
    }
    add("no bytes at all", Vec::new());
    add("half a header", good()[..HEADER_BYTES / 2].to_vec());
    add("a header without records", sealed(|batch| batch.truncate(HEADER_BYTES)));
    add("two batches in one", [good(), good()].concat());
    add(
        "a record that is longer than its batch",
        sealed(|batch| put(batch, HEADER_BYTES, [0xff, 0xff])),
    );
    add("a negative record length", sealed(|batch| put(batch, HEADER_BYTES, [0x01, 0x00])));
    let records = &good()[HEADER_BYTES..];
    add("gzip, one record fewer than the count", compressed(GZIP, &gzip(records), 6));
    add("gzip, one record more than the count", compressed(GZIP, &gzip(records), 4));
    let zipped = gzip(records);
    add("gzip, cut", compressed(GZIP, &zipped[..zipped.len() / 2], 5));
    add("gzip, zeros without end", compressed(GZIP, &bomb_zeros(), 1));
    cases
}

/// Zeros: every byte reads as a record of length 0.
fn bomb_zeros() -> Vec<u8> {
    zip_zeros(&[], BOMB_BYTES, &[])
}

/// One record, right in form, whose value is zeros.
fn bomb_record() -> Vec<u8> {
    let mut head = vec![0];
    varint(&mut head, 0);
    varint(&mut head, 0);
    varint(&mut head, -1);
    varint(&mut head, BOMB_BYTES as i64);
    let mut length = Vec::new();
    varint(&mut length, (head.len() + BOMB_BYTES + 1) as i64);
    length.extend_from_slice(&head);
    compressed(GZIP, &zip_zeros(&length, BOMB_BYTES, &[0]), 1)
}

fn zip_zeros(before: &[u8], zeros: usize, after: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let block = vec![0; 1 << 20];
    // Writing into a Vec cannot fail.
    let _ = encoder.write_all(before);
    for _ in 0..zeros / block.len() {
        let _ = encoder.write_all(&block);
    }
    let _ = encoder.write_all(after);
    encoder.finish().unwrap_or_default()
}
