//! A request without its length: header, guard, decode.

use bytes::Bytes;
use holdfast_protocol::guard::samples;
use holdfast_protocol::samples::client_requests;
use holdfast_protocol::{Incoming, decode_request, read_header};

use super::{Bound, Target, Verdict};

/// Decoded elements are larger than on the wire: an empty topic name is 2 bytes there and some
/// 90 here.
const LARGEST_FACTOR: u64 = 64;
/// Elements that hold arrays and tags of their own.
const PEAK_FACTOR: u64 = 128;
/// Messages of errors, and the first growth of small vectors and maps.
const CONSTANT_BYTES: u64 = 8 << 10;

pub(crate) struct Guard;

impl Target for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let records = Bytes::from_static(&[7; 100]);
        let mut corpus: Vec<Vec<u8>> =
            client_requests(&records).into_iter().map(|sent| sent.frame.to_vec()).collect();
        for sample in samples::all(3, 4).into_iter().chain(samples::all(20, 0)) {
            let mut frame = sample.api_key.to_be_bytes().to_vec();
            frame.extend_from_slice(&sample.version.to_be_bytes());
            // Correlation id 0, no client id.
            frame.extend_from_slice(&[0, 0, 0, 0, 0xff, 0xff]);
            let flexible =
                holdfast_protocol::guard::is_flexible(sample.api_key, sample.version) == Some(true);
            if flexible {
                frame.push(0);
            }
            for length in sample.lengths.iter().take(8) {
                let mut hostile = frame.clone();
                hostile.extend_from_slice(&sample.with_hostile_length(*length));
                corpus.push(hostile);
            }
            frame.extend_from_slice(&sample.body);
            corpus.push(frame);
        }
        corpus
    }

    fn run(&self, input: &[u8]) -> Verdict {
        match read_header(Bytes::copy_from_slice(input)) {
            Err(_) => Verdict::Refused,
            Ok(Incoming::UnknownApiVersions { .. }) => Verdict::Refused,
            Ok(Incoming::Request { header, body }) => match decode_request(&header, body) {
                Ok(_) => Verdict::Accepted,
                Err(_) => Verdict::Refused,
            },
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        let bytes = input_bytes as u64;
        Bound {
            largest_bytes: LARGEST_FACTOR * bytes + CONSTANT_BYTES,
            peak_bytes: PEAK_FACTOR * bytes + CONSTANT_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_protocol::SUPPORTED;

    use super::*;

    #[test]
    fn the_corpus_holds_an_accepted_request_of_every_api_and_version() {
        let corpus = Guard.corpus();
        for row in SUPPORTED {
            for version in row.accepted_min..=row.max {
                let head = [row.api.key().to_be_bytes(), version.to_be_bytes()].concat();
                let accepted = corpus
                    .iter()
                    .filter(|input| input.starts_with(&head))
                    .filter(|input| matches!(Guard.run(input), Verdict::Accepted))
                    .count();
                assert!(accepted >= 3, "{:?} v{version}: {accepted}", row.api);
            }
        }
    }
}
