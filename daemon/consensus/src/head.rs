//! The head of every command section: who decided it, in which term, when.
//!
//! ```text
//! 0        1          2         4                 12               20             28            32
//! ┌────────┬──────────┬─────────┬─────────────────┬────────────────┬──────────────┬─────────────┐
//! │version │ reserved │ feature │ deciding replica│ deciding term  │ entry time ms│ payload len │ commands…
//! └────────┴──────────┴─────────┴─────────────────┴────────────────┴──────────────┴─────────────┘
//!    u8        u8        u16          u64                u64             i64           u32
//! ```
//!
//! Little-endian. `feature` is the finalised feature level the leader decided under: a replica
//! that does not know it quarantines itself instead of applying differently from the others.
//! Entry time is the leader's clock, never less than the previous entry's.

use holdfast_base::{ReplicaId, Term};

use crate::machine::Quarantine;

/// Length of the head in bytes.
pub const HEAD_BYTES: usize = 32;
const VERSION: u8 = 1;
/// The only feature level so far.
const FEATURE_LEVEL: u16 = 1;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The replica that decided the commands.
    pub deciding_replica: ReplicaId,
    /// The term it led in.
    pub deciding_term: Term,
    /// Milliseconds since 1970 on the leader's wall, made monotone per shard.
    pub time_ms: i64,
    /// Bytes of the payload section that belongs to the entry.
    pub payload_len_bytes: u32,
}

impl Head {
    /// Head and commands as one `Entry.data`.
    #[must_use]
    pub fn encode(&self, commands: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(HEAD_BYTES + commands.len());
        data.push(VERSION);
        data.push(0);
        data.extend_from_slice(&FEATURE_LEVEL.to_le_bytes());
        data.extend_from_slice(&self.deciding_replica.0.to_le_bytes());
        data.extend_from_slice(&self.deciding_term.0.to_le_bytes());
        data.extend_from_slice(&self.time_ms.to_le_bytes());
        data.extend_from_slice(&self.payload_len_bytes.to_le_bytes());
        assert_eq!(data.len(), HEAD_BYTES);
        data.extend_from_slice(commands);
        data
    }

    /// The head of `data` and the commands behind it.
    ///
    /// # Errors
    /// A committed entry this build cannot read must not be skipped: quarantine.
    pub fn decode(data: &[u8]) -> Result<(Head, &[u8]), Quarantine> {
        let Some((head, commands)) = data.split_first_chunk::<HEAD_BYTES>() else {
            return Err(Quarantine(format!("an entry of {} bytes has no head", data.len())));
        };
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&head[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let feature = u16::from_le_bytes([head[2], head[3]]);
        if head[0] != VERSION || feature > FEATURE_LEVEL {
            return Err(Quarantine(format!(
                "an entry has head version {} and feature level {feature}; this build knows \
                 version {VERSION} and level {FEATURE_LEVEL}: install the version that wrote it",
                head[0]
            )));
        }
        let head = Head {
            deciding_replica: ReplicaId(word(4)),
            deciding_term: Term(word(12)),
            time_ms: i64::from_le_bytes(word(20).to_le_bytes()),
            payload_len_bytes: u32::from_le_bytes([head[28], head[29], head[30], head[31]]),
        };
        Ok((head, commands))
    }
}
