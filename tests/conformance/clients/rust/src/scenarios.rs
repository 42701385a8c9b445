//! `codecs`, `seek`, `idempotent`.

use std::collections::BTreeMap;

use rdkafka::Offset;

use crate::admin::create;
use crate::contract::{Options, answered, ask, check, fail};
use crate::library::{Producer, Reader};
use crate::record::{BASE_TIME_MS, Record, compare, sample};

const PARTITIONS: usize = 3;

pub fn codecs(options: &Options) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("{}-{codec}", options.prefix);
        create(options, &topic, PARTITIONS as i32);
        let mut sent: Vec<Record> =
            (0..options.records).map(|index| sample(index, PARTITIONS)).collect();
        let mut producer = Producer::new(&options.bootstrap, &topic, codec, false);
        sent.iter().for_each(|record| producer.send(record));
        let told = producer.finish();
        check(&format!("{codec}: acknowledged"), options.records, told.len());
        for (index, offset) in told {
            sent[index].offset = offset;
        }
        let reader = Reader::new(&options.bootstrap, &topic, PARTITIONS as i32);
        let found = reader.read(options.records);
        check(&format!("{codec}: after the last"), 0, reader.more());
        compare(codec, &sent, &found);
    }
}

pub fn seek(options: &Options) {
    const STEP_MS: i64 = 10;
    let (topic, count) = (format!("{}-times", options.prefix), options.records);
    create(options, &topic, 1);
    let value = |index: usize| format!("number-{index}").into_bytes();
    let of = |index: usize| Record {
        value: Some(value(index)),
        timestamp_ms: BASE_TIME_MS + index as i64 * STEP_MS,
        ..Record::default()
    };
    let mut producer = Producer::new(&options.bootstrap, &topic, "none", false);
    (0..count).for_each(|index| producer.send(&of(index)));
    let told = producer.finish();
    let same = told.iter().all(|(index, offset)| *index as i64 == *offset);
    check("acknowledged offsets are all there are", (count, true), (told.len(), same));
    let reader = Reader::new(&options.bootstrap, &topic, 1);
    check("first and end offset", (0, count as i64), reader.limits());
    let next_is = |text: &str, index: usize| {
        let found = reader.read(1).swap_remove(0);
        check(text, (index as i64, Some(value(index))), (found.offset, found.value));
    };
    for index in [count / 3, count - 1, 0, count / 2] {
        reader.seek(Offset::Offset(index as i64));
        next_is(&format!("after seek to offset {index}"), index);
    }
    for index in [count / 2, count - 1, 0] {
        let at = BASE_TIME_MS + index as i64 * STEP_MS;
        let expected = Some(index as i64);
        check(
            &format!("offset for the time of record {index}"),
            expected,
            reader.offset_for_time(at),
        );
        if index > 0 {
            let found = reader.offset_for_time(at - STEP_MS / 2);
            check("offset for a time between records", expected, found);
        }
        reader.seek(Offset::Offset(index as i64));
        next_is(&format!("after seek to the time of record {index}"), index);
    }
    let after = reader.offset_for_time(BASE_TIME_MS + count as i64 * STEP_MS);
    check("offset for a time after the last", None, after);
    reader.seek(Offset::Beginning);
    next_is("after seek to the beginning", 0);
    reader.seek(Offset::End);
    check("records at the end", 0, reader.more());
    producer.send(&of(count));
    producer.finish();
    next_is("after seek to the end, the next one sent", count);
}

pub fn idempotent(options: &Options) {
    let topic = format!("{}-once", options.prefix);
    create(options, &topic, PARTITIONS as i32);
    let (count, kills) = (options.records, options.kills);
    let at: Vec<usize> = (1..=kills).map(|kill| count * kill / (kills + 1)).collect();
    let value = |index: usize| format!("number-{index:09}").into_bytes();
    let mut producer = Producer::new(&options.bootstrap, &topic, "none", true);
    let mut waiting = false;
    for index in 0..count {
        if at.contains(&index) {
            if waiting {
                answered("kill9");
            }
            ask("kill9");
            waiting = true;
        }
        let (partition, timestamp_ms) = ((index % PARTITIONS) as i32, BASE_TIME_MS + index as i64);
        producer.send(&Record {
            partition,
            timestamp_ms,
            value: Some(value(index)),
            ..Record::default()
        });
    }
    if waiting {
        answered("kill9");
    }
    let told = producer.finish();
    check("acknowledged", count, told.len());
    let reader = Reader::new(&options.bootstrap, &topic, PARTITIONS as i32);
    let found = reader.read(count);
    check("after the last", 0, reader.more());
    let mut next = [0, 1, 2];
    let mut offsets = BTreeMap::new();
    for record in &found {
        let index = &mut next[record.partition as usize];
        if record.value != Some(value(*index)) {
            let value =
                String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
            let (partition, offset) = (record.partition, record.offset);
            fail(&format!(
                "partition {partition}, offset {offset}: expected number {index}, found {value}"
            ));
        }
        offsets.insert(*index, record.offset);
        *index += PARTITIONS;
    }
    check("each once and in order", count, found.len());
    // The library may not learn the offset of a batch that was stored but answered only as a duplicate.
    let other = |(index, offset): &&(usize, i64)| *offset >= 0 && offsets[index] != *offset;
    check("acknowledged offsets that are others", 0, told.iter().filter(other).count());
}
