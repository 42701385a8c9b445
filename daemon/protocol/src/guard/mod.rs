//! The length guard: walks a request's bytes by its schema before anything is allocated for it.
//!
//! Why: kafka-protocol 0.18 reserves room for as many array elements as four bytes claim; the
//! body `7f ff ff ff` aborts the process. The guard proves first that every length, count and tag
//! size fits into the bytes that are really there, so that what the decoder reserves is bounded
//! by what was received.
//!
//! ```text
//! body ──▶ check(api key, version) ──▶ decode      no schema, no decode
//! ```
//!
//! | claim | must hold |
//! | --- | --- |
//! | string, bytes, records | length ≤ bytes left; null only where the definition allows it |
//! | optional struct | announced by 1, or its absence by -1 |
//! | array | count × smallest element ≤ bytes left |
//! | tagged field | size ≤ bytes left; a known one is exactly as long as its size says |
//! | varint | ends within five bytes and 32 bits |
//! | all arrays and tags together | at most [`ITEMS_MAX`] items |
//! | end | nothing is left over |
//!
//! The schema is generated from Kafka's own message definitions: `examples/guard_schema.rs` says
//! how. Nesting cannot exceed the schema's own, because no Kafka request is recursive; the walk
//! takes one pass over the bytes and allocates nothing.
//!
//! Invariant: the guard and the decoder agree on where every field lies. A test encodes every
//! request in every version and compares; `tests/fuzz` mutates.
//!
//! Caveats: the guard does not check UTF-8 (the decoder does) nor the contents of records
//! (`holdfast-batch` does). kafka-protocol's array elements take up to some 200 bytes in memory
//! where 1 or 2 lie on the wire: that is what [`ITEMS_MAX`] is for.

mod schema;
mod table;

#[cfg(any(test, feature = "samples"))]
pub mod samples;
#[cfg(test)]
mod tests;

use table::{Field, Message, Shape};

/// Array elements and tagged fields in one request. The largest honest request we know of, a
/// Fetch or Metadata for every partition of a large cluster, has less than 200,000; decoded
/// elements are below 256 bytes each, so a request costs at most 64 MiB beside its own bytes.
pub const ITEMS_MAX: usize = 1 << 18;

/// Why a body is not decoded. The connection is closed: its sender does not speak this protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GuardRefusal {
    /// Not among the requests we know in this version.
    #[error("API key {api_key} version {version} has no schema and is not decoded")]
    NoSchema {
        /// As asked for.
        api_key: i16,
        /// As asked for.
        version: i16,
    },
    /// A length or count reaches past the end.
    #[error("{field} claims {claimed} but only {left_bytes} bytes are left")]
    PastTheEnd {
        /// Kafka's name of the field.
        field: &'static str,
        /// Bytes claimed, or elements.
        claimed: u64,
        /// Bytes that are there.
        left_bytes: usize,
    },
    /// A negative length, or null where it may not be.
    #[error("{field} has the length {claimed}, which it may not have")]
    WrongLength {
        /// Kafka's name of the field.
        field: &'static str,
        /// As claimed.
        claimed: i64,
    },
    /// A varint of more than 32 bits.
    #[error("{field} holds a varint of more than 32 bits")]
    WrongVarint {
        /// Kafka's name of the field.
        field: &'static str,
    },
    /// A tagged field is not as long as its size.
    #[error("tagged field {field} says {claimed} bytes but takes {taken}")]
    WrongTagSize {
        /// Kafka's name of the field.
        field: &'static str,
        /// As claimed.
        claimed: usize,
        /// As walked.
        taken: usize,
    },
    /// More than [`ITEMS_MAX`].
    #[error("{field} brings the request to more than {ITEMS_MAX} items; ask in smaller requests")]
    TooManyItems {
        /// Kafka's name of the field.
        field: &'static str,
    },
    /// The request is complete and yet bytes remain.
    #[error("{extra_bytes} bytes follow the request's last field")]
    TrailingBytes {
        /// How many.
        extra_bytes: usize,
    },
}

/// Whether `body`, the bytes behind the request header, is a request and nothing else.
///
/// # Errors
/// With the first claim that is not true.
pub fn check(api_key: i16, version: i16, body: &[u8]) -> Result<(), GuardRefusal> {
    match body.len() - measure(api_key, version, body)? {
        0 => Ok(()),
        extra_bytes => Err(GuardRefusal::TrailingBytes { extra_bytes }),
    }
}

/// How many bytes of `body` the request takes: those may be decoded. What follows is nobody's, and
/// Kafka does not look at it: librdkafka's Metadata for all topics carries three such bytes.
///
/// # Errors
/// With the first claim that is not true.
pub fn measure(api_key: i16, version: i16, body: &[u8]) -> Result<usize, GuardRefusal> {
    let message = message(api_key, version)?;
    let flexible = version >= message.flexible_from;
    let mut walk = Walk { rest: body, version, flexible, items_left: ITEMS_MAX };
    walk.structure(message.fields, message.name)?;
    Ok(body.len() - walk.rest.len())
}

/// Whether this request's header and body use varints and tagged fields. `None` without a schema.
#[must_use]
pub fn is_flexible(api_key: i16, version: i16) -> Option<bool> {
    message(api_key, version).ok().map(|message| version >= message.flexible_from)
}

/// Walks the tagged fields at the end of a request header (none is known yet); answers the rest.
pub(crate) fn skip_header_tags(bytes: &[u8]) -> Result<&[u8], GuardRefusal> {
    let mut walk = Walk { rest: bytes, version: 2, flexible: true, items_left: ITEMS_MAX };
    walk.tagged(&[], "RequestHeader")?;
    Ok(walk.rest)
}

fn message(api_key: i16, version: i16) -> Result<&'static Message, GuardRefusal> {
    schema::MESSAGES
        .iter()
        .find(|message| message.api_key == api_key)
        .filter(|message| message.versions.0 <= version && version <= message.versions.1)
        .ok_or(GuardRefusal::NoSchema { api_key, version })
}

struct Walk<'a> {
    /// What has not been walked.
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    /// `<= ITEMS_MAX`; falls with every array and tag section, before it is entered.
    items_left: usize,
}

impl Walk<'_> {
    fn structure(
        &mut self,
        fields: &'static [Field],
        name: &'static str,
    ) -> Result<(), GuardRefusal> {
        let version = self.version;
        for field in fields.iter().filter(|field| field.stands_in(version)) {
            self.value(&field.shape, field.name, field.nullable_in(self.version))?;
        }
        if self.flexible { self.tagged(fields, name) } else { Ok(()) }
    }

    fn tagged(&mut self, fields: &'static [Field], name: &'static str) -> Result<(), GuardRefusal> {
        let count = self.varint(name)? as usize;
        // A tag and a size of one byte each.
        self.enter_items(count, 2, name)?;
        for _ in 0..count {
            let tag = self.varint(name)?;
            let size = self.varint(name)? as usize;
            self.fits(size, name)?;
            let known =
                fields.iter().find(|field| field.tag == Some(tag) && field.exists_in(self.version));
            match known {
                None => self.rest = &self.rest[size..],
                Some(field) => {
                    let before = self.rest.len();
                    self.value(&field.shape, field.name, field.nullable_in(self.version))?;
                    let taken = before - self.rest.len();
                    if taken != size {
                        let field = field.name;
                        return Err(GuardRefusal::WrongTagSize { field, claimed: size, taken });
                    }
                }
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        shape: &'static Shape,
        field: &'static str,
        nullable: bool,
    ) -> Result<(), GuardRefusal> {
        match shape {
            Shape::Fixed(bytes) => self.skip(*bytes, field),
            Shape::Text => match self.length(LengthForm::Bits16, field, nullable)? {
                Some(length) => self.skip(length, field),
                None => Ok(()),
            },
            Shape::Bytes => match self.length(LengthForm::Bits32, field, nullable)? {
                Some(length) => self.skip(length, field),
                None => Ok(()),
            },
            Shape::Array(element) => match self.length(LengthForm::Bits32, field, nullable)? {
                Some(count) => self.array(element, count, field),
                None => Ok(()),
            },
            Shape::Struct(fields) => self.structure(fields, field),
            // The decoder takes every byte but 1 for "nothing follows"; only -1 says so.
            Shape::OptionalStruct(fields) => match self.take(field)?.map(u8::cast_signed) {
                [1] => self.structure(fields, field),
                [-1] if nullable => Ok(()),
                [claimed] => {
                    let claimed = i64::from(claimed);
                    Err(GuardRefusal::WrongLength { field, claimed })
                }
            },
        }
    }

    fn array(
        &mut self,
        element: &'static Shape,
        count: usize,
        field: &'static str,
    ) -> Result<(), GuardRefusal> {
        self.enter_items(count, element.bytes_min(self.version, self.flexible), field)?;
        if let Shape::Fixed(bytes) = element {
            return self.skip(count * bytes, field);
        }
        for _ in 0..count {
            self.value(element, field, false)?;
        }
        Ok(())
    }

    /// `count` items of at least `bytes_min` fit into what is left, and into the request's budget.
    fn enter_items(
        &mut self,
        count: usize,
        bytes_min: usize,
        field: &'static str,
    ) -> Result<(), GuardRefusal> {
        assert!(bytes_min > 0, "an element takes at least a byte, or a count could claim anything");
        if count > self.rest.len() / bytes_min {
            let (claimed, left_bytes) = (count as u64, self.rest.len());
            return Err(GuardRefusal::PastTheEnd { field, claimed, left_bytes });
        }
        self.items_left =
            self.items_left.checked_sub(count).ok_or(GuardRefusal::TooManyItems { field })?;
        Ok(())
    }

    /// A length or count; `None` for null.
    fn length(
        &mut self,
        form: LengthForm,
        field: &'static str,
        nullable: bool,
    ) -> Result<Option<usize>, GuardRefusal> {
        let claimed = match (self.flexible, form) {
            (true, _) => i64::from(self.varint(field)?) - 1,
            (false, LengthForm::Bits16) => i64::from(i16::from_be_bytes(self.take(field)?)),
            (false, LengthForm::Bits32) => i64::from(i32::from_be_bytes(self.take(field)?)),
        };
        if claimed == -1 && nullable {
            return Ok(None);
        }
        usize::try_from(claimed).map(Some).map_err(|_| GuardRefusal::WrongLength { field, claimed })
    }

    fn varint(&mut self, field: &'static str) -> Result<u32, GuardRefusal> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take(field)?;
            if shift == 28 && byte > 0x0f {
                return Err(GuardRefusal::WrongVarint { field });
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(GuardRefusal::WrongVarint { field })
    }

    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], GuardRefusal> {
        self.fits(N, field)?;
        let (taken, rest) = self.rest.split_first_chunk().expect("fits was asked");
        self.rest = rest;
        Ok(*taken)
    }

    fn skip(&mut self, bytes: usize, field: &'static str) -> Result<(), GuardRefusal> {
        self.fits(bytes, field)?;
        self.rest = &self.rest[bytes..];
        Ok(())
    }

    fn fits(&self, bytes: usize, field: &'static str) -> Result<(), GuardRefusal> {
        if bytes > self.rest.len() {
            let (claimed, left_bytes) = (bytes as u64, self.rest.len());
            return Err(GuardRefusal::PastTheEnd { field, claimed, left_bytes });
        }
        Ok(())
    }
}

/// Width of a length where it is not a varint.
#[derive(Clone, Copy)]
enum LengthForm {
    Bits16,
    Bits32,
}
