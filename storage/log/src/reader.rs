//! Little-endian numbers from bytes nobody vouches for. Never allocates, never panics.

use crate::refusal::BrokenInvariant;

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

macro_rules! number {
    ($($name:ident -> $type:ty),*) => {
        $(pub(crate) fn $name(&mut self) -> Result<$type, BrokenInvariant> {
            Ok(<$type>::from_le_bytes(self.bytes()?))
        })*
    };
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], BrokenInvariant> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.short(N));
        };
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn slice(&mut self, len_bytes: usize) -> Result<&'a [u8], BrokenInvariant> {
        let Some((head, rest)) = self.rest.split_at_checked(len_bytes) else {
            return Err(self.short(len_bytes));
        };
        self.rest = rest;
        Ok(head)
    }

    number!(u8 -> u8, u16 -> u16, u32 -> u32, u64 -> u64, i16 -> i16, i32 -> i32, i64 -> i64);

    /// Nothing may follow.
    pub(crate) fn end(&self, of: &str) -> Result<(), BrokenInvariant> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(BrokenInvariant::new(format!("{} bytes follow the end of {of}", self.rest.len())))
    }

    fn short(&self, wanted: usize) -> BrokenInvariant {
        BrokenInvariant::new(format!("{wanted} bytes wanted where {} are left", self.rest.len()))
    }
}
