//! Records as they are sent and as they come back, and their hash.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::contract::{check, fail};

const LARGE_BYTES: usize = 900_000;
/// November 2023: old enough that a broker which takes its own clock for the record's is found.
pub const BASE_TIME_MS: i64 = 1_700_000_000_000;

/// A key or value of `None` is null; an empty one is empty.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The record of that number: nulls, empties and one large among them.
pub fn sample(index: usize, partitions: usize) -> Record {
    let key = (index % 7 != 0).then(|| format!("key-{}", index % 101).into_bytes());
    let value = if index % 11 == 0 {
        None
    } else if index % 13 == 0 {
        Some(Vec::new())
    } else if index == 17 {
        let pattern = (0..1000).map(|at| ((index * 31 + at * 7) % 251) as u8);
        Some(pattern.collect::<Vec<u8>>().repeat(LARGE_BYTES / 1000))
    } else {
        Some(format!("value-{index}-{}", "x".repeat(index % 200)).into_bytes())
    };
    let headers = if index % 5 == 0 {
        let number = index.to_string();
        [("number", number.as_str()), ("same", "1"), ("same", "2")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .to_vec()
    } else {
        Vec::new()
    };
    let (partition, timestamp_ms) = ((index % partitions) as i32, BASE_TIME_MS + index as i64);
    Record { partition, offset: -1, timestamp_ms, key, value, headers }
}

/// sha256 over records in order of partition and offset; it tells null from empty.
fn digest(records: &[Record]) -> String {
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by_key(|record| (record.partition, record.offset));
    let mut hash = Sha256::new();
    for record in sorted {
        hash.update(record.partition.to_be_bytes());
        hash.update(record.offset.to_be_bytes());
        hash.update(record.timestamp_ms.to_be_bytes());
        let parts = [&record.key, &record.value];
        for part in parts {
            hash.update(part.as_ref().map_or(-1, |part| part.len() as i64).to_be_bytes());
            hash.update(part.as_deref().unwrap_or_default());
        }
        for (name, value) in &record.headers {
            hash.update((name.len() as i64).to_be_bytes());
            hash.update(name);
            hash.update((value.len() as i64).to_be_bytes());
            hash.update(value);
        }
    }
    hex(&hash.finalize())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything sent came back, once, in offset order, byte by byte.
pub fn compare(text: &str, sent: &[Record], found: &[Record]) {
    check(&format!("{text}: count"), sent.len(), found.len());
    let mut next = BTreeMap::new();
    for Record { partition, offset, .. } in found {
        let expected = next.entry(*partition).or_insert(0);
        if offset != expected {
            fail(&format!(
                "{text}: partition {partition}: offset {offset} where {expected} follows"
            ));
        }
        *expected += 1;
    }
    check(&format!("{text}: sha256"), digest(sent), digest(found));
}
