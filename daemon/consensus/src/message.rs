//! What nodes say to each other about one shard.
//!
//! ```text
//! 0       4         6      8       12            20          28        36           44          52
//! ┌───────┬─────────┬──────┬───────┬─────────────┬───────────┬─────────┬────────────┬───────────┐
//! │ crc32c│ version │ rsvd │ shard │ from replica│ to replica│ boot    │ free bytes │hashed index│
//! ├───────┴─────────┴──────┴───────┴─┬───────────┴──┬────────┴─────────┴─┬──────────┴───────────┘
//! │ 52 state hash u64 │ 60 raft len  │ 64 payloads  │ 68 sent ns u64 │ 76 echo ns u64 │
//! │                   │     u32      │  count u32   │                │                │
//! ├───────────────────┴──────────────┴──────────────┴────────────────┴────────────────┘
//! │ 84 raft message (prost), then per payload: index u64, term u64, len u32, bytes
//! └────────────────────
//! ```
//!
//! Little-endian; the CRC covers everything behind it. Every message carries the sender's boot
//! count (a node that comes back with less is fenced), the free bytes of its WAL (admission looks
//! at the quorum's) and the newest state hash it computed (compared among replicas).
//! `sent ns` is the sender's boottime; a follower gives the newest one it heard from the leader of
//! the message's term back as `echo ns`, so that a leader knows until when it has been followed
//! however long the answer took.
//! `MsgPropose` is refused both ways: raft-rs would let a deposed leader's offsets in.

use bytes::Bytes;
use holdfast_base::{BootCount, Index, ReplicaId, ShardId, Term};
use prost::Message as _;
use raft::eraftpb::{Message, MessageType};
use thiserror::Error;

/// The head before the raft message.
const HEAD_BYTES: usize = 84;
const PAYLOAD_HEAD_BYTES: usize = 20;
const VERSION: u16 = 1;

/// A payload section beside the raft entries of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct SentPayload {
    /// The entry's index.
    pub index: Index,
    /// The entry's term.
    pub term: Term,
    /// The record bytes.
    pub bytes: Bytes,
}

/// One message between two replicas of a shard.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerMessage {
    /// The shard.
    pub shard: ShardId,
    /// Sender.
    pub from: ReplicaId,
    /// Receiver; a message for another replica id is dropped.
    pub to: ReplicaId,
    /// The sender's boot count.
    pub boot: BootCount,
    /// What the sender's WAL can still take.
    pub free_bytes: u64,
    /// The index at which `state_hash` was taken; 0 is none yet.
    pub hashed_index: Index,
    /// The sender's state hash at `hashed_index`.
    pub state_hash: u64,
    /// The sender's boottime when it sent this.
    pub sent_ns: u64,
    /// The newest `sent_ns` that the sender has heard from the leader of the raft message's term;
    /// 0 is none.
    pub echo_ns: u64,
    /// The raft message; entries hold command sections only.
    pub raft: Message,
    /// The payload sections of those entries that have one.
    pub payloads: Vec<SentPayload>,
}

/// Why bytes are not a message. The connection is closed: the stream has lost its frame.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("not a peer message: {0}")]
pub struct MessageError(&'static str);

impl PeerMessage {
    /// Whether raft-rs may see it.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.raft.get_msg_type() != MessageType::MsgPropose
            && self.raft.from == self.from.0
            && self.raft.to == self.to.0
    }

    /// The bytes of the message.
    ///
    /// # Panics
    /// When a section exceeds 4 GiB: entries are limited to 4 MiB or one request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let raft = self.raft.encode_to_vec();
        let payload_bytes: usize =
            self.payloads.iter().map(|sent| PAYLOAD_HEAD_BYTES + sent.bytes.len()).sum();
        let mut out = Vec::with_capacity(HEAD_BYTES + raft.len() + payload_bytes);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.shard.0.to_le_bytes());
        out.extend_from_slice(&self.from.0.to_le_bytes());
        out.extend_from_slice(&self.to.0.to_le_bytes());
        out.extend_from_slice(&self.boot.0.to_le_bytes());
        out.extend_from_slice(&self.free_bytes.to_le_bytes());
        out.extend_from_slice(&self.hashed_index.0.to_le_bytes());
        out.extend_from_slice(&self.state_hash.to_le_bytes());
        out.extend_from_slice(&length(raft.len()));
        out.extend_from_slice(&length(self.payloads.len()));
        out.extend_from_slice(&self.sent_ns.to_le_bytes());
        out.extend_from_slice(&self.echo_ns.to_le_bytes());
        assert_eq!(out.len(), HEAD_BYTES);
        out.extend_from_slice(&raft);
        for sent in &self.payloads {
            out.extend_from_slice(&sent.index.0.to_le_bytes());
            out.extend_from_slice(&sent.term.0.to_le_bytes());
            out.extend_from_slice(&length(sent.bytes.len()));
            out.extend_from_slice(&sent.bytes);
        }
        let crc = crc32c::crc32c(&out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a message; payloads are slices of `bytes`.
    ///
    /// # Errors
    /// Whatever does not add up. Allocates no more than the bytes that are there.
    pub fn decode(bytes: &Bytes) -> Result<PeerMessage, MessageError> {
        let head = bytes.get(..HEAD_BYTES).ok_or(MessageError("shorter than its head"))?;
        let half =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let word = |at: usize| u64::from(half(at)) | (u64::from(half(at + 4)) << 32);
        if half(0) != crc32c::crc32c(&bytes[4..]) {
            return Err(MessageError("its checksum is wrong"));
        }
        if u16::from_le_bytes([head[4], head[5]]) != VERSION {
            return Err(MessageError("its version is not known here"));
        }
        let raft_end = HEAD_BYTES
            .checked_add(half(60) as usize)
            .filter(|end| *end <= bytes.len())
            .ok_or(MessageError("its raft section ends beyond it"))?;
        let raft = Message::decode(&bytes[HEAD_BYTES..raft_end])
            .map_err(|_| MessageError("its raft section cannot be decoded"))?;
        let mut payloads = Vec::new();
        let mut at = raft_end;
        for _ in 0..half(64) {
            let (sent, next) = decode_payload(bytes, at)?;
            payloads.push(sent);
            at = next;
        }
        if at != bytes.len() {
            return Err(MessageError("bytes follow its last payload"));
        }
        Ok(PeerMessage {
            shard: ShardId(half(8)),
            from: ReplicaId(word(12)),
            to: ReplicaId(word(20)),
            boot: BootCount(word(28)),
            free_bytes: word(36),
            hashed_index: Index(word(44)),
            state_hash: word(52),
            sent_ns: word(68),
            echo_ns: word(76),
            raft,
            payloads,
        })
    }
}

fn decode_payload(bytes: &Bytes, at: usize) -> Result<(SentPayload, usize), MessageError> {
    let head = bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<PAYLOAD_HEAD_BYTES>())
        .ok_or(MessageError("a payload head ends beyond it"))?;
    let word = |from: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&head[from..from + 8]);
        u64::from_le_bytes(word)
    };
    let len = u32::from_le_bytes([head[16], head[17], head[18], head[19]]) as usize;
    let start = at + PAYLOAD_HEAD_BYTES;
    let end = start
        .checked_add(len)
        .filter(|end| *end <= bytes.len())
        .ok_or(MessageError("a payload ends beyond it"))?;
    let sent =
        SentPayload { index: Index(word(0)), term: Term(word(8)), bytes: bytes.slice(start..end) };
    Ok((sent, end))
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("sections are limited to 4 MiB or one request").to_le_bytes()
}
