//! Little-endian bytes in and out, bounded: a length is believed only when the bytes are there.
//!
//! ```text
//! string   length u16 | UTF-8
//! list     count u32 | items          count <= bytes left / smallest item
//! ```

use holdfast_base::TopicId;
use thiserror::Error;

/// Bytes that are no command or snapshot of a version known here.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("byte {at}: {what}")]
pub struct Undecodable {
    /// Offset in what was read.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

/// Reads from a slice and remembers where it is.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn wrong<T>(&self, what: &'static str) -> Result<T, Undecodable> {
        Err(Undecodable { at: self.at, what })
    }

    pub(crate) fn finish(&self) -> Result<(), Undecodable> {
        if self.left() == 0 { Ok(()) } else { self.wrong("bytes left over") }
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], Undecodable> {
        if length > self.left() {
            return self.wrong("ends before its length says");
        }
        let slice = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(slice)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Undecodable> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Undecodable> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Undecodable> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Undecodable> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Undecodable> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Undecodable> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn topic_id(&mut self) -> Result<TopicId, Undecodable> {
        Ok(TopicId(self.array()?))
    }

    pub(crate) fn string(&mut self) -> Result<String, Undecodable> {
        let length = usize::from(self.u16()?);
        let start = self.at;
        match std::str::from_utf8(self.raw(length)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Undecodable { at: start, what: "string is not UTF-8" }),
        }
    }

    /// A list whose items take at least `item_bytes_min` each, so that a lying count allocates
    /// nothing.
    pub(crate) fn list<T>(
        &mut self,
        item_bytes_min: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Undecodable>,
    ) -> Result<Vec<T>, Undecodable> {
        let count = self.u32()? as usize;
        if count > self.left() / item_bytes_min {
            return self.wrong("count is larger than the bytes left allow");
        }
        (0..count).map(|_| item(self)).collect()
    }
}

/// Appends to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.raw(&value.to_le_bytes());
    }

    /// Writes a string; one longer than `u16::MAX` bytes is cut at a character (callers bound
    /// theirs far below).
    pub(crate) fn string(&mut self, text: &str) {
        let text = cut(text, usize::from(u16::MAX));
        self.u16(text.len() as u16);
        self.raw(text.as_bytes());
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        let count = u32::try_from(items.len()).expect("lists are bounded by the 4 MiB of an entry");
        self.u32(count);
        for value in items {
            item(self, value);
        }
    }
}

/// The longest beginning of `text` with at most `bytes_max` bytes.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
