//! Bodies made from the schema itself: valid ones, and ones in which a single length lies. For
//! tests and fuzzing.

use super::schema;
use super::table::{Field, Shape};

/// A valid body in which every array, text and tag is present, and where each of its lengths lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The request's API key.
    pub api_key: i16,
    /// Its version.
    pub version: i16,
    /// Behind the request header.
    pub body: Vec<u8>,
    /// Every length and count in it.
    pub lengths: Vec<LengthAt>,
}

/// Where a length lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LengthAt {
    /// First byte.
    pub at: usize,
    /// How many bytes it takes here; a varint may take another number.
    pub bytes: usize,
    /// A varint, in flexible versions.
    pub varint: bool,
    /// Counts elements, not bytes.
    pub array: bool,
}

impl Sample {
    /// The body with this length replaced by the largest its form can hold.
    #[must_use]
    pub fn with_hostile_length(&self, length: LengthAt) -> Vec<u8> {
        let hostile: &[u8] = match (length.varint, length.bytes) {
            (true, _) => &[0xff, 0xff, 0xff, 0xff, 0x0f],
            (false, 2) => &[0x7f, 0xff],
            (false, _) => &[0x7f, 0xff, 0xff, 0xff],
        };
        let mut body = self.body[..length.at].to_vec();
        body.extend_from_slice(hostile);
        body.extend_from_slice(&self.body[length.at + length.bytes..]);
        body
    }
}

/// One sample per request and version; `elements` in every array, `text_bytes` in every text.
#[must_use]
pub fn all(elements: u8, text_bytes: u8) -> Vec<Sample> {
    assert!(elements < 0x7f && text_bytes < 0x7f, "lengths here are varints of one byte");
    let mut samples = Vec::new();
    for message in schema::MESSAGES {
        for version in message.versions.0..=message.versions.1 {
            let sample =
                Sample { api_key: message.api_key, version, body: Vec::new(), lengths: Vec::new() };
            let flexible = version >= message.flexible_from;
            let mut writer = Writer { sample, flexible, elements, text_bytes };
            writer.structure(message.fields);
            samples.push(writer.sample);
        }
    }
    samples
}

struct Writer {
    sample: Sample,
    flexible: bool,
    elements: u8,
    text_bytes: u8,
}

impl Writer {
    fn structure(&mut self, fields: &[Field]) {
        let version = self.sample.version;
        for field in fields.iter().filter(|field| field.stands_in(version)) {
            self.value(&field.shape);
        }
        if self.flexible {
            self.tagged(fields);
        }
    }

    fn tagged(&mut self, fields: &[Field]) {
        let version = self.sample.version;
        let tagged: Vec<&Field> =
            fields.iter().filter(|f| f.tag.is_some() && f.exists_in(version)).collect();
        self.count(tagged.len() as u8 + 1);
        for field in tagged {
            self.sample.body.push(field.tag.expect("filtered") as u8);
            let size_at = self.sample.body.len();
            self.sample.body.push(0);
            self.note(size_at, 1, false);
            self.value(&field.shape);
            let size = self.sample.body.len() - size_at - 1;
            self.sample.body[size_at] = u8::try_from(size).expect("a small sample");
        }
        // One that nobody knows.
        self.sample.body.extend_from_slice(&[99, 3, 1, 2, 3]);
        self.note(self.sample.body.len() - 4, 1, false);
    }

    fn value(&mut self, shape: &Shape) {
        match shape {
            Shape::Fixed(bytes) => {
                let filled = self.sample.body.len() + bytes;
                self.sample.body.resize(filled, 0);
            }
            Shape::Text => self.bytes(2),
            Shape::Bytes => self.bytes(4),
            Shape::Array(element) => {
                self.length(self.elements, 4, true);
                for _ in 0..self.elements {
                    self.value(element);
                }
            }
            Shape::Struct(fields) => self.structure(fields),
            Shape::OptionalStruct(fields) => {
                if self.elements == 0 {
                    self.sample.body.push(0xff);
                } else {
                    self.sample.body.push(1);
                    self.structure(fields);
                }
            }
        }
    }

    fn bytes(&mut self, width: usize) {
        self.length(self.text_bytes, width, false);
        let filled = self.sample.body.len() + usize::from(self.text_bytes);
        self.sample.body.resize(filled, b'x');
    }

    fn length(&mut self, value: u8, width: usize, array: bool) {
        if self.flexible {
            self.note(self.sample.body.len(), 1, array);
            self.sample.body.push(value + 1);
        } else {
            self.note(self.sample.body.len(), width, array);
            let filled = self.sample.body.len() + width - 1;
            self.sample.body.resize(filled, 0);
            self.sample.body.push(value);
        }
    }

    fn count(&mut self, value: u8) {
        self.note(self.sample.body.len(), 1, true);
        self.sample.body.push(value);
    }

    fn note(&mut self, at: usize, bytes: usize, array: bool) {
        self.sample.lengths.push(LengthAt { at, bytes, varint: self.flexible, array });
    }
}
