//! A stream of requests, cut into pieces.

use bytes::Bytes;
use holdfast_protocol::frame::{
    FIRST_CAPACITY_BYTES, FrameRefusal, MAX_REQUEST_BYTES, Step, TYPICAL_MAX_BYTES,
};
use holdfast_protocol::samples::client_requests;
use holdfast_protocol::{next_capacity, next_step};

use super::{Bound, Target, Verdict};

pub(crate) struct Frame;

/// What the parser made of a stream: the sizes of its frames, and how it ended.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    frames: Vec<usize>,
    refusal: Option<FrameRefusal>,
}

impl Target for Frame {
    fn name(&self) -> &'static str {
        "frame"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let mut corpus = Vec::new();
        let mut stream = Vec::new();
        for sent in client_requests(&Bytes::from_static(&[7; 3_000])) {
            let length = u32::try_from(sent.frame.len()).expect("a small sample");
            stream.extend_from_slice(&length.to_be_bytes());
            stream.extend_from_slice(&sent.frame);
            if stream.len() > 10_000 {
                corpus.push(std::mem::take(&mut stream));
            }
        }
        corpus.push(stream);
        corpus.push(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec());
        corpus.push(vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
        corpus
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let whole = match feed(input, input.len().max(1)) {
            Ok(outcome) => outcome,
            Err(what) => return Verdict::Wrong(what),
        };
        // Pieces that do not line up with anything, from the input itself.
        let piece = 1 + input.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 977;
        match feed(input, piece) {
            Err(what) => Verdict::Wrong(what),
            Ok(cut) if cut != whole => {
                Verdict::Wrong(format!("{cut:?} in pieces of {piece}, else {whole:?}"))
            }
            Ok(_) if whole.refusal.is_some() => Verdict::Refused,
            Ok(_) => Verdict::Accepted,
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        // Two passes, one after the other; each remembers a number per frame of 12 bytes or more.
        let bytes = (FIRST_CAPACITY_BYTES + 4 * input_bytes) as u64 + 4096;
        Bound { largest_bytes: bytes, peak_bytes: 2 * bytes }
    }
}

/// What a connection does, with a buffer that follows the policy.
fn feed(input: &[u8], piece_bytes: usize) -> Result<Outcome, String> {
    let mut outcome = Outcome { frames: Vec::new(), refusal: None };
    let mut buffer: Vec<u8> = Vec::new();
    let mut typical = 0;
    for piece in input.chunks(piece_bytes) {
        // What came in one piece may hold several frames: they are taken before more is asked.
        buffer.extend_from_slice(piece);
        loop {
            match next_step(&buffer, MAX_REQUEST_BYTES) {
                Err(refusal) => {
                    outcome.refusal = Some(refusal);
                    return Ok(outcome);
                }
                Ok(Step::NeedLength) => break,
                Ok(Step::NeedBytes { frame_bytes }) => {
                    let room = next_capacity(buffer.len(), frame_bytes, typical);
                    let earned = (2 * buffer.len()).max(FIRST_CAPACITY_BYTES);
                    if room > earned.max(typical.min(TYPICAL_MAX_BYTES)) || room <= buffer.len() {
                        return Err(format!("{room} of room for {} bytes", buffer.len()));
                    }
                    buffer.reserve_exact(room - buffer.len());
                    break;
                }
                Ok(Step::Complete { frame_bytes }) => {
                    if frame_bytes > buffer.len() {
                        return Err(format!("{frame_bytes} complete of {}", buffer.len()));
                    }
                    buffer.drain(..frame_bytes);
                    typical = frame_bytes;
                    outcome.frames.push(frame_bytes);
                }
            }
        }
    }
    Ok(outcome)
}
