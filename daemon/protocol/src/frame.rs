//! Where a request begins and ends in the stream of bytes.
//!
//! ```text
//! byte 0        4
//!      │ length │ request header │ body │ length │ ...
//!               └──────── length bytes ─┘
//! ```
//!
//! A length is a claim until its bytes have come. [`next_step`] says what to do with what is
//! there; [`next_capacity`] says how much room to make, so that memory is bounded by what was
//! received: 1,500 connections that claim 100 MiB and send nothing hold 64 KiB each at most, and
//! nothing at all if the caller waits for the length first.
//!
//! Bytes of another protocol cannot be a small frame: `G`, `P`, `H`, `O` and a TLS handshake all
//! read as lengths above 300 MB. They are named, because "request too large" would send an
//! operator looking in the wrong place.

/// Largest request: Kafka's default `socket.request.max.bytes`, so that what Kafka takes, we take.
pub const MAX_REQUEST_BYTES: usize = 100 << 20;
/// Largest request before a connection has authenticated, where that is asked. ApiVersions and
/// SASL tokens are far below it; Kerberos tickets with many groups reach 48 KiB.
pub const MAX_UNAUTHENTICATED_REQUEST_BYTES: usize = 64 << 10;
/// The length in front of every request.
pub const LENGTH_BYTES: usize = 4;
/// Room given without asking: one default Java batch with its header, four times over.
pub const FIRST_CAPACITY_BYTES: usize = 64 << 10;
/// What an earlier frame's size may claim for the next: beyond this a buffer has to be earned by
/// bytes again, or an idle connection that once sent 100 MiB would keep as much.
pub const TYPICAL_MAX_BYTES: usize = 1 << 20;

/// What the received bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Fewer than the four bytes of a length.
    NeedLength,
    /// The length is known; the frame is not complete.
    NeedBytes {
        /// The whole frame, its length included.
        frame_bytes: usize,
    },
    /// A frame is complete.
    Complete {
        /// The whole frame, its length included: the request is `[4..frame_bytes]`.
        frame_bytes: usize,
    },
}

/// Why the bytes are no request. The connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameRefusal {
    /// A TLS handshake.
    #[error("a TLS client reached a plaintext listener; set security.protocol=PLAINTEXT")]
    Tls,
    /// An HTTP request.
    #[error("an HTTP client reached the Kafka listener; the admin interface has its own port")]
    Http,
    /// Below the smallest request header.
    #[error("request length {length} is not possible; the client does not speak Kafka")]
    ImpossibleLength {
        /// As claimed.
        length: i32,
    },
    /// Above the listener's limit.
    #[error("request of {length} bytes exceeds the limit of {limit_bytes} on this listener")]
    TooLarge {
        /// As claimed.
        length: i32,
        /// Of the listener, at this stage of the connection.
        limit_bytes: usize,
    },
}

/// API key, version and correlation id.
const REQUEST_BYTES_MIN: i32 = 8;

/// Looks at the front of what was received and not yet taken.
///
/// # Errors
/// When it cannot become a request of at most `limit_bytes`.
pub fn next_step(received: &[u8], limit_bytes: usize) -> Result<Step, FrameRefusal> {
    let Some(first) = received.first_chunk::<LENGTH_BYTES>() else {
        // A TLS client that says no more than this is named as well.
        return if received.starts_with(&[0x16, 0x03]) {
            Err(FrameRefusal::Tls)
        } else {
            Ok(Step::NeedLength)
        };
    };
    let length = i32::from_be_bytes(*first);
    if first.starts_with(&[0x16, 0x03]) {
        return Err(FrameRefusal::Tls);
    }
    if [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI"].contains(&first) {
        return Err(FrameRefusal::Http);
    }
    if length < REQUEST_BYTES_MIN {
        return Err(FrameRefusal::ImpossibleLength { length });
    }
    let bytes = usize::try_from(length).expect("checked to be positive");
    if bytes > limit_bytes {
        return Err(FrameRefusal::TooLarge { length, limit_bytes });
    }
    let frame_bytes = LENGTH_BYTES + bytes;
    if received.len() < frame_bytes {
        Ok(Step::NeedBytes { frame_bytes })
    } else {
        Ok(Step::Complete { frame_bytes })
    }
}

/// Capacity of the buffer for a frame of which `received` bytes are there and `claimed` are to
/// come in all. `typical` is the size of this connection's frames so far (0 for a new one): bytes
/// it has proved to send.
///
/// The answer is at least `received` + 1 while bytes are missing, at most `claimed` or `received`,
/// and never more than the largest of [`FIRST_CAPACITY_BYTES`], twice `received`, and `typical`
/// up to [`TYPICAL_MAX_BYTES`].
#[must_use]
pub fn next_capacity(received: usize, claimed: usize, typical: usize) -> usize {
    let earned = received.saturating_mul(2);
    let allowed = earned.max(FIRST_CAPACITY_BYTES).max(typical.min(TYPICAL_MAX_BYTES));
    allowed.min(claimed).max(received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(bytes: &[u8]) -> Result<Step, FrameRefusal> {
        next_step(bytes, MAX_REQUEST_BYTES)
    }

    #[test]
    fn a_frame_is_complete_when_its_last_byte_is_there() {
        let mut frame = vec![0, 0, 0, 9];
        frame.extend_from_slice(&[1; 9]);
        for end in 0..4 {
            assert_eq!(step(&frame[..end]), Ok(Step::NeedLength));
        }
        for end in 4..13 {
            assert_eq!(step(&frame[..end]), Ok(Step::NeedBytes { frame_bytes: 13 }));
        }
        assert_eq!(step(&frame), Ok(Step::Complete { frame_bytes: 13 }));
        frame.extend_from_slice(&[0, 0]);
        assert_eq!(step(&frame), Ok(Step::Complete { frame_bytes: 13 }));
    }

    #[test]
    fn other_protocols_are_called_by_their_name() {
        assert_eq!(step(&[0x16, 0x03]), Err(FrameRefusal::Tls));
        assert_eq!(step(b"\x16\x03\x01\x02\x00\x01"), Err(FrameRefusal::Tls));
        for verb in ["GET / HTTP/1.1", "POST /", "HEAD /", "PUT /", "OPTIONS *"] {
            assert_eq!(step(verb.as_bytes()), Err(FrameRefusal::Http), "{verb}");
        }
    }

    #[test]
    fn lengths_outside_the_limits_are_refused_before_their_bytes() {
        let at = |length: i32| step(&length.to_be_bytes());
        for length in [i32::MIN, -1, 0, 7] {
            assert_eq!(at(length), Err(FrameRefusal::ImpossibleLength { length }));
        }
        let limit = i32::try_from(MAX_REQUEST_BYTES).unwrap();
        assert!(at(limit).is_ok());
        assert!(matches!(at(limit + 1), Err(FrameRefusal::TooLarge { .. })));
        let before_login = next_step(&65_537_i32.to_be_bytes(), MAX_UNAUTHENTICATED_REQUEST_BYTES);
        assert!(matches!(before_login, Err(FrameRefusal::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn capacity_is_bounded_by_what_was_received(
            claimed in 1..MAX_REQUEST_BYTES,
            received in 0..MAX_REQUEST_BYTES,
            typical in 0..2 * MAX_REQUEST_BYTES,
        ) {
            let received = received.min(claimed);
            let room = next_capacity(received, claimed, typical);
            prop_assert!(room <= claimed.max(received));
            prop_assert!(room > received || received == claimed);
            prop_assert!(room <= (2 * received).max(FIRST_CAPACITY_BYTES).max(TYPICAL_MAX_BYTES));
            let new = next_capacity(received, claimed, 0);
            prop_assert!(new <= (2 * received).max(FIRST_CAPACITY_BYTES));
        }
    }
}
