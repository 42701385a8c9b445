//! Bytes of the Kafka protocol, written and read by hand.
//!
//! The generator must cost next to nothing beside the broker it measures, and must not share code
//! with it: a mistake in a shared encoder would cancel out. So requests are written into a plain
//! `Vec<u8>` once, and answers are read with a cursor that checks every length against what is
//! left.
//!
//! ```text
//! request   size:i32 | api:i16 | version:i16 | correlation:i32 | client id | [tags] | body
//! answer    size:i32 | correlation:i32 | [tags] | body
//! ```
//! Flexible versions (Produce ≥ 9, Fetch ≥ 12 here) write lengths as unsigned varints plus one and
//! close every structure with a tag section.

use std::fmt;

/// Where the correlation id stands in a request frame, so that a prepared frame can be sent again.
pub const CORRELATION_AT: usize = 8;

/// An answer that cannot be read as the API and version asked for.
#[derive(Debug)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer ends or lies in `{}`", self.0)
    }
}

impl std::error::Error for Malformed {}

/// A request frame under construction. `finish` fills in the size.
pub struct Request {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Request {
    /// Opens a frame with header version 1, or 2 where `flexible`.
    pub fn new(api: i16, version: i16, flexible: bool, client_id: &str) -> Self {
        let mut request = Self { bytes: vec![0; 4], flexible };
        request.i16(api).i16(version).i32(0);
        request.bytes.extend_from_slice(&(client_id.len() as i16).to_be_bytes());
        request.bytes.extend_from_slice(client_id.as_bytes());
        request.tags();
        request
    }

    /// One byte.
    pub fn i8(&mut self, value: i8) -> &mut Self {
        self.bytes.push(value as u8);
        self
    }

    /// Two bytes, big-endian.
    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Four bytes, big-endian.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Eight bytes, big-endian.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// An array's count in the form the version asks for.
    pub fn count(&mut self, count: usize) -> &mut Self {
        if self.flexible {
            unsigned_varint(&mut self.bytes, count as u32 + 1);
            self
        } else {
            self.i32(count as i32)
        }
    }

    /// A string in the form the version asks for.
    pub fn string(&mut self, value: &str) -> &mut Self {
        if self.flexible {
            unsigned_varint(&mut self.bytes, value.len() as u32 + 1);
        } else {
            self.i16(value.len() as i16);
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self
    }

    /// The absent string.
    pub fn null_string(&mut self) -> &mut Self {
        if self.flexible { self.i8(0) } else { self.i16(-1) }
    }

    /// The length of a `bytes` field whose content follows.
    pub fn bytes_len(&mut self, len: usize) -> &mut Self {
        self.count(len)
    }

    /// Content as it is.
    pub fn raw(&mut self, content: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(content);
        self
    }

    /// An empty tag section, where the version has them.
    pub fn tags(&mut self) -> &mut Self {
        if self.flexible {
            self.bytes.push(0);
        }
        self
    }

    /// The frame, with its size filled in; `follows` counts bytes sent after it from elsewhere.
    pub fn finish(mut self, follows: usize) -> Vec<u8> {
        let size = (self.bytes.len() - 4 + follows) as i32;
        self.bytes[..4].copy_from_slice(&size.to_be_bytes());
        self.bytes
    }
}

/// Puts a correlation id into a prepared frame.
pub fn set_correlation(frame: &mut [u8], correlation: i32) {
    frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation.to_be_bytes());
}

/// Appends an unsigned varint.
pub fn unsigned_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Appends a zig-zag varint, as records use them.
pub fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads an answer; every step checks what is left.
pub struct Reader<'a> {
    left: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// Over the bytes behind the correlation id.
    pub fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Self { left: bytes, flexible }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.left.split_at_checked(len).ok_or(Malformed(what))?;
        self.left = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.left.split_first_chunk::<N>().ok_or(Malformed(what))?;
        self.left = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn i8(&mut self, what: &'static str) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array(what)?))
    }

    /// Two bytes.
    pub fn i16(&mut self, what: &'static str) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array(what)?))
    }

    /// Four bytes.
    pub fn i32(&mut self, what: &'static str) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array(what)?))
    }

    /// Eight bytes.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array(what)?))
    }

    fn unsigned_varint(&mut self, what: &'static str) -> Result<u32, Malformed> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array::<1>(what)?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed(what))
    }

    /// An array's count; the null array counts as empty.
    pub fn count(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let count = if self.flexible {
            i64::from(self.unsigned_varint(what)?) - 1
        } else {
            i64::from(self.i32(what)?)
        };
        let count = usize::try_from(count.max(0)).map_err(|_| Malformed(what))?;
        if count > self.left.len() { Err(Malformed(what)) } else { Ok(count) }
    }

    /// A string; null reads as empty.
    pub fn string(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        let len = if self.flexible {
            i64::from(self.unsigned_varint(what)?) - 1
        } else {
            i64::from(self.i16(what)?)
        };
        let len = usize::try_from(len.max(0)).map_err(|_| Malformed(what))?;
        std::str::from_utf8(self.take(len, what)?).map_err(|_| Malformed(what))
    }

    /// A `bytes` field; null reads as empty.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let len = self.count(what)?;
        self.take(len, what)
    }

    /// Skips a tag section, where the version has them.
    pub fn tags(&mut self) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint("tags")? {
            self.unsigned_varint("tag")?;
            let len = self.unsigned_varint("tag length")? as usize;
            self.take(len, "tag content")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_the_answer_are_refused() {
        let lies: [(bool, &[u8]); 4] = [
            (false, &[0x7f, 0xff, 0xff, 0xff]),
            (false, &[0x00, 0x40, 0x00, 0x40]),
            (true, &[0xff, 0xff, 0xff, 0xff, 0x07]),
            (true, &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (flexible, lie) in lies {
            let reader = || Reader::new(lie, flexible);
            assert!(reader().string("string").is_err(), "{lie:02x?}");
            assert!(reader().bytes("bytes").is_err(), "{lie:02x?}");
            assert!(reader().count("count").is_err(), "{lie:02x?}");
        }
    }

    #[test]
    fn a_prepared_frame_counts_what_follows_it() {
        let mut frame = Request::new(3, 1, false, "id").finish(10);
        set_correlation(&mut frame, 77);
        assert_eq!(frame[..4], (frame.len() as i32 - 4 + 10).to_be_bytes());
        assert_eq!(frame[CORRELATION_AT..CORRELATION_AT + 4], 77i32.to_be_bytes());
    }
}
