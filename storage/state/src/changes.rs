//! What one write does, in order. A later change of the same key wins.

use bytes::Bytes;

/// One key's new value, or its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Without the owner in front.
    pub key: Bytes,
    /// `None` deletes.
    pub value: Option<Bytes>,
}

/// The changes of one write; may be empty when only the applied index moves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    list: Vec<Change>,
    len_bytes: usize,
}

impl Changes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Changes::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.push(Change { key: key.into(), value: Some(value.into()) });
    }

    /// Deletes a key; one that is not there stays so.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.push(Change { key: key.into(), value: None });
    }

    /// In the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Change> {
        self.list.iter()
    }

    /// Keys and values together: write before it grows past 4 MiB.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// No change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn push(&mut self, change: Change) {
        self.len_bytes += change.key.len() + change.value.as_ref().map_or(0, Bytes::len);
        self.list.push(change);
    }
}
