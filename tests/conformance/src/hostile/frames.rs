//! Lies of the frame and of what stands in it.

use std::net::SocketAddr;
use std::time::Duration;

use holdfast_bench::client::{FetchFrom, FetchLimits, fetch_frame};
use holdfast_bench::load::value_of;
use holdfast_bench::wire::Request;

use super::{Taken, provoke};
use crate::Result;

/// A refusal needs no longer.
const REFUSAL: Duration = Duration::from_secs(5);
/// How long to look at a frame that may be valid by chance (and so may wait on purpose).
const GLANCE: Duration = Duration::from_millis(100);
const UNSUPPORTED_VERSION: i16 = 35;

pub(super) fn run(address: SocketAddr) -> Result<usize> {
    let mut cases = 0;
    for (name, bytes) in sizes().into_iter().chain(protocols()) {
        match provoke(address, &bytes, false, REFUSAL)? {
            Taken::Closed => cases += 1,
            other => return Err(format!("{name}: not closed but {other:?}")),
        }
    }
    for (name, bytes) in counts() {
        match provoke(address, &bytes, false, REFUSAL)? {
            Taken::Silent => return Err(format!("{name}: neither closed nor answered")),
            Taken::Closed | Taken::Answered(_) => cases += 1,
        }
    }
    unknown_version(address)?;
    for (name, frame) in valid() {
        for cut in [1, 3, 4, 7, 12, frame.len() / 2, frame.len() - 1] {
            match provoke(address, &frame[..cut.min(frame.len() - 1)], true, REFUSAL)? {
                Taken::Closed => cases += 1,
                other => return Err(format!("{name} cut at {cut}: {other:?}")),
            }
        }
        for lie in
            [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xf0], &[0x7f, 0xff], &[0xff]]
        {
            for at in 4..frame.len() {
                let mut bytes = frame.clone();
                let end = (at + lie.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&lie[..end - at]);
                provoke(address, &bytes, true, GLANCE)
                    .map_err(|why| format!("{name} with {lie:02x?} at byte {at}: {why}"))?;
                cases += 1;
            }
        }
    }
    for seed in 1..=100 {
        let noise = value_of(16 + seed as usize * 37, seed);
        provoke(address, &noise, true, GLANCE)?;
        let mut framed = (noise.len() as i32).to_be_bytes().to_vec();
        framed.extend_from_slice(&noise);
        provoke(address, &framed, true, GLANCE)?;
        cases += 2;
    }
    Ok(cases)
}

/// Sizes no frame can have: closed at once, without waiting for what they announce.
fn sizes() -> Vec<(String, Vec<u8>)> {
    [-1, i32::MIN, 0, 3, (100 << 20) + 1, i32::MAX]
        .into_iter()
        .map(|size| {
            // Enough behind it for a header: what is missing must not be what it waits for.
            let mut bytes = size.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0; 16]);
            (format!("a frame of size {size}"), bytes)
        })
        .collect()
}

/// Clients that came to the wrong port.
fn protocols() -> Vec<(String, Vec<u8>)> {
    let mut hello = vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    hello.extend(value_of(501, 5));
    vec![
        ("a TLS hello".into(), hello),
        ("an HTTP request".into(), b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec()),
        ("an HTTP post".into(), b"POST /topics/x HTTP/1.1\r\nHost: broker\r\n\r\n{}".to_vec()),
    ]
}

/// Counts and lengths far beyond the frame, each where an array, string or bytes field starts.
fn counts() -> Vec<(String, Vec<u8>)> {
    let mut cases = Vec::new();
    let mut lie = |name: &str, api: i16, version: i16, flexible: bool, body: &[u8]| {
        let mut request = Request::new(api, version, flexible, "liar");
        request.raw(body);
        cases.push((format!("{name} v{version}"), request.finish(0)));
    };
    let huge = [0x7f, 0xff, 0xff, 0xff];
    lie("Metadata, topics", 3, 1, false, &huge);
    lie("Metadata, topics", 3, 12, true, &[0xff, 0xff, 0xff, 0xff, 0x07]);
    lie("Metadata, a varint without end", 3, 12, true, &[0xff; 12]);
    lie("Produce, topics", 0, 3, false, &[&[0xff, 0xff, 0, 1, 0, 0, 0, 1][..], &huge].concat());
    lie("Produce, topics", 0, 9, true, &[0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x07]);
    lie("Fetch, topics", 1, 4, false, &[&[0xff; 4][..], &[0; 13], &huge].concat());
    lie("ListOffsets, topics", 2, 2, false, &[&[0xff, 0xff, 0xff, 0xff, 0][..], &huge].concat());
    lie("CreateTopics, topics", 19, 2, false, &huge);
    lie("CreateTopics, a name", 19, 2, false, &[0, 0, 0, 1, 0x7f, 0xff]);
    lie("CreateTopics, a negative name", 19, 2, false, &[0, 0, 0, 1, 0x80, 0x00]);
    lie("DeleteTopics, topics", 20, 1, false, &huge);
    lie("ApiVersions, a name", 18, 3, true, &[0xff, 0xff, 0xff, 0xff, 0x07]);
    lie("an API nobody knows", 9_999, 0, false, &[]);
    lie("a negative API", -1, 0, false, &[]);
    lie("a version nobody knows", 3, 99, true, &[]);
    // A client id longer than the frame.
    let mut bytes = 14i32.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, b'x', b'x', b'x', b'x']);
    cases.push(("a client id longer than its frame".into(), bytes));
    cases
}

/// KIP-511: an ApiVersions version nobody knows is answered in version 0 with error 35.
fn unknown_version(address: SocketAddr) -> Result<()> {
    let frame = Request::new(18, 99, true, "new").finish(0);
    match provoke(address, &frame, false, REFUSAL)? {
        Taken::Answered(answer) if answer.get(4..6) == Some(&UNSUPPORTED_VERSION.to_be_bytes()) => {
            Ok(())
        }
        other => Err(format!("ApiVersions v99: {other:?}")),
    }
}

/// Frames that are right, to be spoilt byte by byte. None of them changes anything.
fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let mut metadata = Request::new(3, 4, false, "x");
    metadata.count(1).string("honest").i8(0);
    let mut offsets = Request::new(2, 2, false, "x");
    offsets.i32(-1).i8(0).count(1).string("honest").count(1).i32(0).i64(-1);
    let mut create = Request::new(19, 2, false, "x");
    create.count(1).string("honest").i32(1).i16(1).count(0).count(0).i32(100).i8(1);
    let from = [FetchFrom { partition: 0, offset: 0 }];
    let limits = FetchLimits { wait_ms: 0, min_bytes: 0, partition_bytes: 1 << 10 };
    vec![
        ("ApiVersions", Request::new(18, 0, false, "x").finish(0)),
        ("Metadata", metadata.finish(0)),
        ("ListOffsets", offsets.finish(0)),
        ("CreateTopics, validate only", create.finish(0)),
        ("Fetch", fetch_frame("honest", &from, limits)),
    ]
}
