//! What a frame turns into.

use super::*;
use crate::response::{Response, encode_api_versions_refusal, encode_response};
use crate::samples::client_requests;

fn frame(api_key: i16, version: i16, rest: &[u8]) -> Bytes {
    let mut bytes = api_key.to_be_bytes().to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&9_i32.to_be_bytes());
    bytes.extend_from_slice(rest);
    Bytes::from(bytes)
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_not_closed() {
    for version in [5, 6, i16::MAX, -1] {
        // Whatever follows the correlation id belongs to a version we do not know.
        let incoming = read_header(frame(18, version, &[0xff; 9])).unwrap();
        assert_eq!(incoming, Incoming::UnknownApiVersions { correlation_id: 9 });
    }
    let answer = encode_api_versions_refusal(9).unwrap();
    // Length, correlation id, error 35, one key: 18 from 0 to 4. No tags anywhere.
    let expected = [0, 0, 0, 16, 0, 0, 0, 9, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
    assert_eq!(answer[..], expected);
}

#[test]
fn other_unknown_versions_and_keys_close_the_connection() {
    for version in [-1, 0, 2, 14] {
        let refusal = Refusal::UnsupportedVersion { api: Api::Produce, version };
        assert_eq!(read_header(frame(0, version, &[])), Err(refusal));
    }
    for api_key in [-1, 4, 7, 24, 36, 61, 1000] {
        assert_eq!(read_header(frame(api_key, 0, &[])), Err(Refusal::UnknownApi { api_key }));
    }
    let short = read_header(Bytes::from_static(&[0, 18, 0, 0, 0, 0, 0]));
    assert_eq!(short, Err(Refusal::ShortHeader { bytes: 7 }));
}

#[test]
fn a_client_id_is_believed_as_far_as_it_reaches() {
    let read = |rest: &[u8]| read_header(frame(18, 0, rest));
    let id = |rest: &[u8]| match read(rest) {
        Ok(Incoming::Request { header, .. }) => Some(header.client_id.map(|id| id.to_string())),
        _ => None,
    };
    assert_eq!(id(&[0xff, 0xff]), Some(None));
    assert_eq!(id(&[0, 0]), Some(Some(String::new())));
    assert_eq!(id(&[0, 1, b'c']), Some(Some("c".to_owned())));
    for wrong in [[].as_slice(), &[0], &[0xff, 0xfe], &[0, 1], &[0x7f, 0xff, 1], &[0, 1, 0xff]] {
        assert!(matches!(read(wrong), Err(Refusal::MalformedHeader { .. })), "{wrong:?}");
    }
    // Header v2: the tags are walked too.
    let hostile = read_header(frame(18, 3, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert!(matches!(hostile, Err(Refusal::MalformedHeader { .. })));
}

#[test]
fn produced_records_are_slices_of_the_frame() {
    let records = Bytes::from(vec![7; 50_000]);
    let mut seen = 0;
    for sent in client_requests(&records).into_iter().filter(|sent| sent.api == Api::Produce) {
        let span = sent.frame.as_ptr_range();
        let Ok(Incoming::Request { header, body }) = read_header(sent.frame.clone()) else {
            panic!("{sent:?}")
        };
        let Ok(Request::Produce(request)) = decode_request(&header, body) else { panic!() };
        for partition in &request.topic_data[0].partition_data {
            let slice = partition.records.as_ref().unwrap();
            assert_eq!(slice, &records);
            assert!(span.contains(&slice.as_ptr()), "v{} copies records", sent.version);
            seen += 1;
        }
    }
    assert_eq!(seen, 2 * 11);
}

#[test]
fn only_flexible_answers_other_than_api_versions_have_header_tags() {
    let api_versions = Response::ApiVersions(Default::default());
    let metadata = Response::Metadata(Default::default());
    for version in 0..=4 {
        let bytes = encode_response(1, version, &api_versions).unwrap();
        // The error code follows the correlation id at once.
        assert_eq!(bytes[8..10], [0, 0]);
        let body_bytes = kafka_protocol::protocol::Encodable::compute_size(
            &kafka_protocol::messages::ApiVersionsResponse::default(),
            version,
        );
        assert_eq!(bytes.len(), 8 + body_bytes.unwrap());
    }
    for version in 0..=13 {
        let bytes = encode_response(1, version, &metadata).unwrap();
        let body_bytes = kafka_protocol::protocol::Encodable::compute_size(
            &kafka_protocol::messages::MetadataResponse::default(),
            version,
        );
        assert_eq!(bytes.len(), 8 + usize::from(version >= 9) + body_bytes.unwrap());
        assert_eq!(bytes[..4], u32::try_from(bytes.len() - 4).unwrap().to_be_bytes());
    }
}

#[test]
fn bytes_behind_the_last_field_are_nobodys_as_in_kafka() {
    // librdkafka 2.16 asks for all topics: its null array keeps the four bytes it was reserved.
    let frame = b"\0\x03\0\x0d\0\0\0\x03\0\x07rdkafka\0\0\0\0\0\x01\0\0";
    let Ok(Incoming::Request { header, body }) = read_header(Bytes::from_static(frame)) else {
        panic!("a Metadata request")
    };
    let Ok(Request::Metadata(request)) = decode_request(&header, body) else {
        panic!("it is answered")
    };
    assert!(request.topics.is_none(), "all topics");
}
