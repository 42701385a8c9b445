//! Each lie is refused by name; nothing panics.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn three_records(codec: Codec) -> BatchBuilder {
    BatchBuilder::new(codec)
        .record(RecordDraft::keyed(1_000, "a", "first"))
        .record(RecordDraft {
            headers: vec![("h".into(), Some("v".into())), ("empty".into(), None)],
            ..RecordDraft::value(3_000, vec![7; 100_000])
        })
        .record(RecordDraft { timestamp_ms: 2_000, ..RecordDraft::default() })
}

fn check(bytes: &Bytes) -> Result<ValidBatch, BatchError> {
    validate_produced(bytes, Depth::Records, &Limits::default())
}

/// Changes the batch and makes its CRC true again, so that only the change can be refused.
fn lie(batch: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let length = i32::try_from(bytes.len() - BATCH_OVERHEAD_BYTES).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    sign(&mut bytes);
    Bytes::from(bytes)
}

fn sign(bytes: &mut [u8]) {
    let crc = crc32c::crc32c(&bytes[CRC_START..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn set<const N: usize>(at: usize, value: [u8; N]) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| bytes[at..at + N].copy_from_slice(&value)
}

#[test]
fn every_codec_passes_and_reads_back() {
    for codec in CODECS {
        for framing in [SnappyFraming::Xerial, SnappyFraming::Raw] {
            let builder = BatchBuilder { snappy_framing: framing, ..three_records(codec) };
            let bytes = builder.build().unwrap();
            let valid = check(&bytes).unwrap();
            assert_eq!(valid.max_timestamp_ms(), 3_000);
            assert_eq!(valid.walked().unwrap().min_timestamp_ms, 1_000);
            assert_eq!(valid.walked().unwrap().max_timestamp_offset_delta, 1);
            let open = OpenBatch::open(&bytes, &Limits::default()).unwrap();
            let records: Vec<_> = open.records().collect();
            assert_eq!(records.len(), 3, "{codec:?}");
            assert_eq!(records[0].key, Some(b"a".as_slice()));
            assert_eq!(records[1].value.map(<[u8]>::len), Some(100_000));
            let headers: Vec<_> = records[1].headers.collect();
            assert_eq!(headers[0], Header { key: b"h", value: Some(b"v") });
            assert_eq!(headers[1], Header { key: b"empty", value: None });
            assert_eq!((records[2].offset, records[2].key, records[2].value), (2, None, None));
        }
    }
}

#[test]
fn the_stored_form_differs_in_offset_and_epoch_only() {
    let bytes = three_records(Codec::Zstd).build().unwrap();
    let valid = check(&bytes).unwrap();
    let mut stored = stored_prefix(valid.header(), 77, 5).to_vec();
    stored.extend_from_slice(&valid.unpatched());
    let header = BatchHeader::parse(&stored).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch), (77, 5));
    assert_eq!(header.last_offset(), 79);
    assert_eq!(crc32c::crc32c(&stored[CRC_START..]), header.crc);
    assert_eq!(stored[8..12], bytes[8..12]);
    assert_eq!(stored[16..], bytes[16..]);
    let mut in_place = bytes.to_vec();
    patch_in_place(&mut in_place, 77, 5).unwrap();
    assert_eq!(in_place, stored);
}

#[test]
fn log_append_time_gives_every_record_the_brokers_time_and_a_true_crc() {
    let bytes = three_records(Codec::Gzip).build().unwrap();
    let mut stored = with_log_append_time(&bytes, 9_999).unwrap().to_vec();
    stored.extend_from_slice(&bytes[HEADER_BYTES..]);
    let header = BatchHeader::parse(&stored).unwrap();
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(crc32c::crc32c(&stored[CRC_START..]), header.crc);
    let open = OpenBatch::open(&stored, &Limits::default()).unwrap();
    assert!(open.records().all(|record| record.timestamp_ms == 9_999));
    assert_eq!(find_by_timestamp(&stored, 9_999, &Limits::default()).unwrap(), Some((0, 9_999)));
    assert_eq!(find_by_timestamp(&stored, 10_000, &Limits::default()).unwrap(), None);
}

#[test]
fn a_timestamp_finds_the_first_record_not_the_batch() {
    for codec in CODECS {
        let mut bytes = three_records(codec).build().unwrap().to_vec();
        patch_in_place(&mut bytes, 500, 0).unwrap();
        let limits = Limits::default();
        assert_eq!(find_by_timestamp(&bytes, 0, &limits).unwrap(), Some((500, 1_000)));
        assert_eq!(find_by_timestamp(&bytes, 1_001, &limits).unwrap(), Some((501, 3_000)));
        assert_eq!(find_by_timestamp(&bytes, 3_001, &limits).unwrap(), None);
        assert_eq!(max_timestamp_record(&bytes, &limits).unwrap(), Some((501, 3_000)));
    }
}

#[test]
fn each_lie_of_the_header_is_refused_by_its_name() {
    let honest = three_records(Codec::None).build().unwrap();
    let cases: [(&str, Bytes, Refusal); 15] = [
        ("magic 0", lie(&honest, set(16, [0])), Refusal::UnsupportedForMessageFormat),
        ("magic 1", lie(&honest, set(16, [1])), Refusal::UnsupportedForMessageFormat),
        ("magic 3", lie(&honest, set(16, [3])), Refusal::CorruptMessage),
        ("count 0", lie(&honest, set(57, 0_i32.to_be_bytes())), Refusal::InvalidRecord),
        ("count -1", lie(&honest, set(57, (-1_i32).to_be_bytes())), Refusal::InvalidRecord),
        ("count 2", lie(&honest, set(57, 2_i32.to_be_bytes())), Refusal::InvalidRecord),
        ("delta 3", lie(&honest, set(23, 3_i32.to_be_bytes())), Refusal::InvalidRecord),
        ("control", lie(&honest, set(21, 0x20_i16.to_be_bytes())), Refusal::InvalidRecord),
        ("horizon", lie(&honest, set(21, 0x40_i16.to_be_bytes())), Refusal::InvalidRecord),
        ("transaction", lie(&honest, set(21, 0x10_i16.to_be_bytes())), Refusal::InvalidRecord),
        (
            "codec 5",
            lie(&honest, set(21, 5_i16.to_be_bytes())),
            Refusal::UnsupportedCompressionType,
        ),
        ("append time", lie(&honest, set(21, 8_i16.to_be_bytes())), Refusal::InvalidTimestamp),
        ("base time", lie(&honest, set(27, (-2_i64).to_be_bytes())), Refusal::InvalidTimestamp),
        ("max time", lie(&honest, set(35, (-2_i64).to_be_bytes())), Refusal::InvalidTimestamp),
        ("no sequence", lie(&honest, set(43, 9_i64.to_be_bytes())), Refusal::InvalidRecord),
    ];
    for (name, bytes, refusal) in cases {
        let error = check(&bytes).expect_err(name);
        assert_eq!(error.refusal(), refusal, "{name}: {error}");
    }
}

#[test]
fn lengths_and_crc_must_be_true() {
    let honest = three_records(Codec::None).build().unwrap();
    for end in 0..honest.len().min(200) {
        let error = check(&honest.slice(..end)).unwrap_err();
        assert_eq!(error.refusal(), Refusal::CorruptMessage, "cut at {end}: {error}");
    }
    let mut longer = honest.to_vec();
    longer.push(0);
    assert_eq!(check(&longer.into()).unwrap_err(), BatchError::TrailingBytes { extra: 1 });
    let mut twice = honest.to_vec();
    twice.extend_from_slice(&honest);
    assert_eq!(check(&twice.into()).unwrap_err().refusal(), Refusal::InvalidRecord);
    for length in [i32::MIN, -1, 0, 48] {
        let mut bytes = honest.to_vec();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let error = check(&bytes.into()).unwrap_err();
        assert_eq!(error, BatchError::LengthTooSmall { batch_length: length });
    }
    let mut flipped = honest.to_vec();
    flipped[100] ^= 1;
    assert!(matches!(check(&flipped.into()).unwrap_err(), BatchError::WrongCrc { .. }));
    let limits = Limits { batch_bytes_max: honest.len() - 1, ..Limits::default() };
    let error = validate_produced(&honest, Depth::Records, &limits).unwrap_err();
    assert_eq!(error.refusal(), Refusal::MessageTooLarge);
}

#[test]
fn a_lie_inside_a_compressed_batch_is_found_at_full_depth_only() {
    for codec in CODECS {
        let honest = three_records(codec).build().unwrap();
        // One record more than there is, consistently in count and delta.
        let bytes = lie(&honest, |bytes| {
            set(57, 4_i32.to_be_bytes())(bytes);
            set(23, 3_i32.to_be_bytes())(bytes);
        });
        assert_eq!(check(&bytes).unwrap_err().refusal(), Refusal::InvalidRecord, "{codec:?}");
        let shallow = validate_produced(&bytes, Depth::Header, &Limits::default());
        assert_eq!(shallow.is_ok(), codec != Codec::None, "{codec:?}");
    }
}

#[test]
fn each_lie_of_a_record_is_refused() {
    // One record: length 8, attributes, time 0, offset 0, key "k", value "v", no headers.
    let record = [16, 0, 0, 0, 2, b'k', 2, b'v', 0];
    let batch = |body: &[u8]| {
        let empty = BatchBuilder::default().record(RecordDraft::default()).build().unwrap();
        lie(&empty, |bytes| {
            bytes.truncate(HEADER_BYTES);
            bytes.extend_from_slice(body);
        })
    };
    check(&batch(&record)).unwrap();
    let cases: [(&str, usize, u8); 9] = [
        ("shorter than its fields", 0, 14),
        ("longer than what is there", 0, 18),
        ("negative", 0, 1),
        ("offset delta", 3, 2),
        ("key too long", 4, 100),
        ("key -2", 4, 3),
        ("value too long", 6, 4),
        ("header count", 8, 2),
        ("negative header count", 8, 1),
    ];
    for (name, at, value) in cases {
        let mut wrong = record;
        wrong[at] = value;
        let error = check(&batch(&wrong)).expect_err(name);
        assert!(matches!(error, BatchError::WrongRecord { record: 0, .. }), "{name}: {error}");
    }
    let mut after = record.to_vec();
    after.push(0);
    assert_eq!(check(&batch(&after)).unwrap_err(), BatchError::BytesAfterRecords { count: 1 });
}

#[test]
fn a_field_that_reaches_into_the_next_record_is_refused() {
    // Two records as above; the first one's value claims the second's first byte as well.
    let records = [16, 0, 0, 0, 2, b'k', 6, b'v', 0, 16, 0, 0, 2, 2, b'k', 2, b'v', 0];
    let two = BatchBuilder::default()
        .record(RecordDraft::default())
        .record(RecordDraft::default())
        .build()
        .unwrap();
    let bytes = lie(&two, |bytes| {
        bytes.truncate(HEADER_BYTES);
        bytes.extend_from_slice(&records);
    });
    let what = "its value length is not true";
    assert_eq!(check(&bytes).unwrap_err(), BatchError::WrongRecord { record: 0, what });
}

#[test]
fn of_records_with_the_same_timestamp_the_first_is_found() {
    let tie = BatchBuilder::default()
        .record(RecordDraft::value(1_000, "a"))
        .record(RecordDraft::value(2_000, "b"))
        .record(RecordDraft::value(2_000, "c"))
        .build()
        .unwrap();
    let limits = Limits::default();
    assert_eq!(max_timestamp_record(&tie, &limits).unwrap(), Some((1, 2_000)));
    assert_eq!(find_by_timestamp(&tie, 1_500, &limits).unwrap(), Some((1, 2_000)));
}

#[test]
fn a_compacted_topic_asks_every_record_for_a_key() {
    let limits = Limits { keys_required: true, ..Limits::default() };
    for codec in CODECS {
        let bytes = three_records(codec).build().unwrap();
        let error = validate_produced(&bytes, Depth::Records, &limits).unwrap_err();
        assert_eq!(error, BatchError::MissingKey { record: 1 });
        assert_eq!(error.record_index(), Some(1));
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    for codec in CODECS.into_iter().skip(1) {
        let bomb = BatchBuilder::new(codec)
            .record(RecordDraft::value(0, vec![0; 4 << 20]))
            .build()
            .unwrap();
        let limits =
            Limits { inflated_bytes_floor: 1 << 20, inflate_ratio_max: 2, ..Limits::default() };
        let error = validate_produced(&bomb, Depth::Records, &limits).unwrap_err();
        assert_eq!(error.refusal(), Refusal::InvalidRecord, "{codec:?}: {error}");
        assert!(matches!(error, BatchError::InflatesTooFar { .. }), "{codec:?}: {error}");
        assert!(OpenBatch::open(&bomb, &limits).is_err());
        check(&bomb).unwrap();
    }
}

#[test]
fn a_snappy_block_is_not_believed_beyond_what_snappy_can_do() {
    let honest = BatchBuilder {
        snappy_framing: SnappyFraming::Raw,
        ..BatchBuilder::new(Codec::Snappy).record(RecordDraft::value(0, "x"))
    };
    let bytes = lie(&honest.build().unwrap(), |bytes| {
        bytes.truncate(HEADER_BYTES);
        // 2^32 - 1 bytes, says the block.
        bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
    });
    let error = check(&bytes).unwrap_err();
    assert!(error.to_string().contains("claims more"), "{error}");
}

#[test]
fn lz4_blocks_that_depend_on_each_other_are_refused() {
    use std::io::Write;
    let honest = three_records(Codec::Lz4).build().unwrap();
    let plain = three_records(Codec::None).build().unwrap();
    let info = lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Linked);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&plain[HEADER_BYTES..]).unwrap();
    let linked = encoder.finish().unwrap();
    let bytes = lie(&honest, |bytes| {
        bytes.truncate(HEADER_BYTES);
        bytes.extend_from_slice(&linked);
    });
    let error = check(&bytes).unwrap_err();
    assert!(error.to_string().contains("depend on each other"), "{error}");
}

#[test]
fn sequences_wrap_to_zero() {
    let batch = three_records(Codec::None).producer(5, 0, i32::MAX - 1).build().unwrap();
    assert_eq!(check(&batch).unwrap().header().last_sequence(), 0);
}

fn drafts() -> impl Strategy<Value = Vec<RecordDraft>> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80));
    let headers = proptest::collection::vec((".{0,8}", bytes()), 0..3);
    let record = (0..i64::MAX / 4, bytes(), bytes(), headers).prop_map(
        |(timestamp_ms, key, value, headers)| RecordDraft {
            timestamp_ms,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: headers
                .into_iter()
                .map(|(key, value)| (Bytes::from(key), value.map(Bytes::from)))
                .collect(),
        },
    );
    proptest::collection::vec(record, 1..20)
}

proptest! {
    #[test]
    fn what_is_built_is_valid_and_reads_back(records in drafts(), codec in 0..5_i16) {
        let codec = Codec::from_id(codec).unwrap();
        let builder = BatchBuilder { records: records.clone(), ..BatchBuilder::new(codec) };
        let bytes = builder.build().unwrap();
        check(&bytes).unwrap();
        let open = OpenBatch::open(&bytes, &Limits::default()).unwrap();
        let read: Vec<RecordDraft> = open.records().map(|record| RecordDraft {
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(Bytes::copy_from_slice),
            value: record.value.map(Bytes::copy_from_slice),
            headers: record.headers.map(|header| (
                Bytes::copy_from_slice(header.key),
                header.value.map(Bytes::copy_from_slice),
            )).collect(),
        }).collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn mutated_batches_never_panic(
        codec in 0..5_i16,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let codec = Codec::from_id(codec).unwrap();
        let mut bytes = three_records(codec).build().unwrap().to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()).max(HEADER_BYTES));
        }
        sign(&mut bytes);
        let bytes = Bytes::from(bytes);
        let limits = Limits { inflated_bytes_floor: 1 << 20, ..Limits::default() };
        let judged = validate_produced(&bytes, Depth::Records, &limits);
        let opened = OpenBatch::open(&bytes, &limits);
        if judged.is_ok() {
            let opened = opened.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(opened.records().count(), opened.header().records_count as usize);
        }
        let _ = find_by_timestamp(&bytes, 2_000, &limits);
        let _ = max_timestamp_record(&bytes, &limits);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = check(&bytes);
        let _ = OpenBatch::open(&bytes, &Limits::default());
    }
}
