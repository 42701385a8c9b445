//! The form of the schema: what a walker has to know about a request, and no more.

/// "In every later version too."
pub(super) const FOREVER: i16 = i16::MAX;
/// "In no version."
pub(super) const NEVER: i16 = i16::MAX;

/// One request.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) api_key: i16,
    pub(super) name: &'static str,
    /// First and last version described here.
    pub(super) versions: (i16, i16),
    /// From here on lengths are varints and structs end in tagged fields (KIP-482); may be
    /// [`NEVER`].
    pub(super) flexible_from: i16,
    pub(super) fields: &'static [Field],
}

/// One field of a struct, in wire order.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    from: i16,
    to: i16,
    /// `Some`: sent only when not at its default, among the tagged fields.
    pub(super) tag: Option<u32>,
    pub(super) shape: Shape,
    nullable_from: i16,
}

/// How a value lies on the wire.
#[derive(Debug)]
pub(super) enum Shape {
    /// This many bytes.
    Fixed(usize),
    /// A length of 16 bits (flexible: varint) and bytes.
    Text,
    /// A length of 32 bits (flexible: varint) and bytes.
    Bytes,
    /// A count of 32 bits (flexible: varint) and elements.
    Array(&'static Shape),
    /// Fields in order, then tagged fields if flexible.
    Struct(&'static [Field]),
    /// One byte: 1, and the struct follows, or -1, and nothing does.
    OptionalStruct(&'static [Field]),
}

impl Field {
    pub(super) const fn new(
        name: &'static str,
        from: i16,
        to: i16,
        shape: Shape,
        nullable_from: i16,
    ) -> Field {
        Field { name, from, to, tag: None, shape, nullable_from }
    }

    pub(super) const fn tagged(
        tag: u32,
        name: &'static str,
        from: i16,
        to: i16,
        shape: Shape,
        nullable_from: i16,
    ) -> Field {
        Field { name, from, to, tag: Some(tag), shape, nullable_from }
    }

    pub(super) fn exists_in(&self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }

    /// Present in this version, outside the tagged fields.
    pub(super) fn stands_in(&self, version: i16) -> bool {
        self.tag.is_none() && self.exists_in(version)
    }

    pub(super) fn nullable_in(&self, version: i16) -> bool {
        self.nullable_from != NEVER && version >= self.nullable_from
    }
}

impl Shape {
    /// No value of this shape is shorter: an element count times this can be checked against the
    /// bytes that are left.
    pub(super) fn bytes_min(&self, version: i16, flexible: bool) -> usize {
        match self {
            Shape::Fixed(bytes) => *bytes,
            Shape::Text => {
                if flexible {
                    1
                } else {
                    2
                }
            }
            Shape::Bytes | Shape::Array(_) => {
                if flexible {
                    1
                } else {
                    4
                }
            }
            Shape::Struct(fields) => {
                let fixed: usize = fields
                    .iter()
                    .filter(|field| field.stands_in(version))
                    .map(|field| field.shape.bytes_min(version, flexible))
                    .sum();
                fixed + usize::from(flexible)
            }
            Shape::OptionalStruct(_) => 1,
        }
    }
}
