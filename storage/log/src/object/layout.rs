//! Where the fields of object commands lie in their bodies. Each module ends with the length.

/// Offsets in an intent.
pub mod intent_at {
    pub const OBJECT: usize = 0;
    pub const TERM: usize = OBJECT + 16;
    pub const SEQUENCE: usize = TERM + 8;
    pub const FIRST_INDEX: usize = SEQUENCE + 8;
    pub const LAST_INDEX: usize = FIRST_INDEX + 8;
    pub const END: usize = LAST_INDEX + 8;
}

/// Offsets in a manifest, before its rows.
pub mod manifest_at {
    pub const OBJECT: usize = 0;
    pub const OBJECT_BYTES: usize = OBJECT + 16;
    pub const TAIL_BYTES: usize = OBJECT_BYTES + 8;
    pub const ROWS: usize = TAIL_BYTES + 4;
    pub const SHA256: usize = ROWS + 4;
    pub const CREATED: usize = SHA256 + 32;
    pub const LAST_TERM: usize = CREATED + 8;
    pub const END: usize = LAST_TERM + 8;
}

/// Offsets in a step.
pub mod step_at {
    pub const OBJECT: usize = 0;
    pub const STEP: usize = OBJECT + 16;
    pub const END: usize = STEP + 1;
}

/// Offsets in a row of a manifest.
pub mod row_at {
    pub const TOPIC: usize = 0;
    pub const PARTITION: usize = TOPIC + 16;
    pub const BYTES: usize = PARTITION + 4;
    pub const BASE_OFFSET: usize = BYTES + 4;
    pub const LAST_OFFSET: usize = BASE_OFFSET + 8;
    pub const MAX_TIMESTAMP: usize = LAST_OFFSET + 8;
    pub const END: usize = MAX_TIMESTAMP + 8;
}
