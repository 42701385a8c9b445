//! The header of a segment: where the log came from, and a table of every replica on the node as
//! it stood when the segment was opened, so that no older segment is needed for a hard state.
//!
//! Written twice (two copies) before the first frame of the segment is submitted.

use bytes::Bytes;
use holdfast_base::{BootCount, Index, ReplicaId, ShardId, Term};
use holdfast_io::{AlignedBuf, BLOCK_BYTES};

use super::{
    HEADER_COPY_BYTES, NUMBER_MAX, NotOurs, STAMP_BYTES, Stamp, get_checked, get_u16, get_u32,
    get_u64, set_checksum, set_u16, set_u32, set_u64,
};
use crate::config::WalConfig;
use crate::item::{FrameNumber, HardState, Identity, SegmentNumber};

pub(crate) const MAGIC: [u8; 8] = *b"HFWALSEG";
/// Flag: the segment was opened because the log before it was cut at `previous_end`.
pub(crate) const FLAG_AFTER_CUT: u16 = 1;

/// Offsets behind the stamp.
pub(crate) mod at {
    pub(crate) const SEGMENT_BYTES: usize = super::STAMP_BYTES;
    pub(crate) const FIRST_FRAME: usize = SEGMENT_BYTES + 8;
    pub(crate) const POSITION: usize = FIRST_FRAME + 8;
    pub(crate) const DURABLE: usize = POSITION + 8;
    pub(crate) const PREVIOUS_SEGMENT: usize = DURABLE + 8;
    pub(crate) const PREVIOUS_END: usize = PREVIOUS_SEGMENT + 8;
    pub(crate) const IN_FLIGHT_BYTES_MAX: usize = PREVIOUS_END + 8;
    pub(crate) const CHAIN: usize = IN_FLIGHT_BYTES_MAX + 8;
    pub(crate) const REPLICAS: usize = CHAIN + 4;
    pub(crate) const TOMBSTONES: usize = REPLICAS + 4;
    pub(crate) const RESERVED: usize = TOMBSTONES + 4;
    pub(crate) const OLDEST: usize = RESERVED + 4;
    pub(crate) const KEY_ID: usize = OLDEST + 8;
    pub(crate) const END: usize = KEY_ID + 16;
}

/// Bytes before the table.
pub(crate) const FIXED_BYTES: usize = at::END;
const _: () = assert!(FIXED_BYTES == 160);

/// Offsets in a row of the table; voters and learners follow, eight bytes each.
pub(crate) mod row_at {
    pub(crate) const SHARD: usize = 0;
    pub(crate) const VOTERS: usize = SHARD + 4;
    pub(crate) const LEARNERS: usize = VOTERS + 2;
    pub(crate) const REPLICA: usize = LEARNERS + 2;
    pub(crate) const TERM: usize = REPLICA + 8;
    pub(crate) const VOTE: usize = TERM + 8;
    pub(crate) const COMMIT: usize = VOTE + 8;
    pub(crate) const TRIMMED: usize = COMMIT + 8;
    pub(crate) const TRIMMED_TERM: usize = TRIMMED + 8;
    pub(crate) const LAST: usize = TRIMMED_TERM + 8;
    pub(crate) const END: usize = LAST + 8;
}

/// Bytes of a tombstone in the table: shard, four zeros, replica.
pub(crate) const TOMBSTONE_BYTES: usize = 16;

/// A replica as the table tells it. `trimmed ≤ last`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaRow {
    pub(crate) identity: Identity,
    pub(crate) hard_state: HardState,
    pub(crate) trimmed: Index,
    pub(crate) trimmed_term: Term,
    pub(crate) last: Index,
}

impl ReplicaRow {
    pub(crate) fn new(identity: Identity) -> ReplicaRow {
        ReplicaRow {
            identity,
            hard_state: HardState::default(),
            trimmed: Index(0),
            trimmed_term: Term(0),
            last: Index(0),
        }
    }

    fn bytes(&self) -> usize {
        row_at::END + identity_ids_bytes(&self.identity)
    }
}

/// A segment's header without its stamp.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) number: SegmentNumber,
    pub(crate) slot: u32,
    pub(crate) boot: BootCount,
    pub(crate) after_cut: bool,
    pub(crate) segment_bytes: u64,
    /// Number of the first frame in it.
    pub(crate) first_frame: FrameNumber,
    /// Bytes of all frames before it.
    pub(crate) position: u64,
    /// What was durable when the header was submitted. `< first_frame`.
    pub(crate) durable: FrameNumber,
    /// The segment the log came from; 0 for the first.
    pub(crate) previous: SegmentNumber,
    /// Where the frames of `previous` end that belong to the log.
    pub(crate) previous_end: u64,
    /// The oldest segment of the log at that moment; older ones are trimmed, and their files may
    /// be overwritten from then on. `≤ number`.
    pub(crate) oldest: SegmentNumber,
    /// W when the segment was opened.
    pub(crate) in_flight_bytes_max: u64,
    /// CRC of the last frame header before.
    pub(crate) chain: u32,
    pub(crate) replicas: Vec<ReplicaRow>,
    pub(crate) tombstones: Vec<(ShardId, ReplicaId)>,
}

impl SegmentHeader {
    /// Bytes of the table; must stay below [`TABLE_BYTES_MAX`].
    pub(crate) fn table_bytes<'a>(
        replicas: impl Iterator<Item = &'a ReplicaRow>,
        tombstones: usize,
    ) -> usize {
        replicas.map(ReplicaRow::bytes).sum::<usize>() + tombstones * TOMBSTONE_BYTES
    }

    /// One copy, padded; both copies are the same bytes.
    pub(crate) fn encode(&self, config: &WalConfig) -> Bytes {
        let table = SegmentHeader::table_bytes(self.replicas.iter(), self.tombstones.len());
        assert!(table <= TABLE_BYTES_MAX, "append admits no table beyond its copy");
        let length = FIXED_BYTES + table;
        let mut buffer = AlignedBuf::unpooled(length);
        let to = buffer.reserve_zeroed(length);
        let mut stamp = Stamp::of(config, self.slot, self.number, self.boot);
        stamp.length = length as u32;
        stamp.flags = if self.after_cut { FLAG_AFTER_CUT } else { 0 };
        stamp.put(&MAGIC, to);
        set_u64(to, at::SEGMENT_BYTES, self.segment_bytes);
        set_u64(to, at::FIRST_FRAME, self.first_frame.0);
        set_u64(to, at::POSITION, self.position);
        set_u64(to, at::DURABLE, self.durable.0);
        set_u64(to, at::PREVIOUS_SEGMENT, self.previous.0);
        set_u64(to, at::PREVIOUS_END, self.previous_end);
        set_u64(to, at::OLDEST, self.oldest.0);
        set_u64(to, at::IN_FLIGHT_BYTES_MAX, self.in_flight_bytes_max);
        set_u32(to, at::CHAIN, self.chain);
        set_u32(to, at::REPLICAS, self.replicas.len() as u32);
        set_u32(to, at::TOMBSTONES, self.tombstones.len() as u32);
        let mut rest = &mut to[FIXED_BYTES..];
        for row in &self.replicas {
            let (this, behind) = rest.split_at_mut(row.bytes());
            set_u32(this, row_at::SHARD, row.identity.shard.0);
            set_u16(this, row_at::VOTERS, row.identity.voters.len() as u16);
            set_u16(this, row_at::LEARNERS, row.identity.learners.len() as u16);
            set_u64(this, row_at::REPLICA, row.identity.replica.0);
            set_u64(this, row_at::TERM, row.hard_state.term.0);
            set_u64(this, row_at::VOTE, row.hard_state.vote.0);
            set_u64(this, row_at::COMMIT, row.hard_state.commit.0);
            set_u64(this, row_at::TRIMMED, row.trimmed.0);
            set_u64(this, row_at::TRIMMED_TERM, row.trimmed_term.0);
            set_u64(this, row_at::LAST, row.last.0);
            put_ids(&row.identity, &mut this[row_at::END..]);
            rest = behind;
        }
        for (shard, replica) in &self.tombstones {
            let (this, behind) = rest.split_at_mut(TOMBSTONE_BYTES);
            set_u32(this, 0, shard.0);
            set_u64(this, 8, replica.0);
            rest = behind;
        }
        set_checksum(to);
        buffer.freeze()
    }

    pub(crate) fn decode(from: &[u8], config: &WalConfig) -> Result<SegmentHeader, NotOurs> {
        let stamp = get_checked(&MAGIC, FIXED_BYTES, from, config)?;
        let mut rest = &from[FIXED_BYTES..stamp.length as usize];
        let mut replicas = Vec::new();
        for _ in 0..get_u32(from, at::REPLICAS) {
            if rest.len() < row_at::END {
                return Err(NotOurs::Shape);
            }
            let voters = usize::from(get_u16(rest, row_at::VOTERS));
            let learners = usize::from(get_u16(rest, row_at::LEARNERS));
            let ids = rest.get(row_at::END..row_at::END + 8 * (voters + learners));
            let (voters, learners) = get_ids(ids.ok_or(NotOurs::Shape)?, voters);
            let row = ReplicaRow {
                identity: Identity {
                    shard: ShardId(get_u32(rest, row_at::SHARD)),
                    replica: ReplicaId(get_u64(rest, row_at::REPLICA)),
                    voters,
                    learners,
                },
                hard_state: HardState {
                    term: Term(get_u64(rest, row_at::TERM)),
                    vote: ReplicaId(get_u64(rest, row_at::VOTE)),
                    commit: Index(get_u64(rest, row_at::COMMIT)),
                },
                trimmed: Index(get_u64(rest, row_at::TRIMMED)),
                trimmed_term: Term(get_u64(rest, row_at::TRIMMED_TERM)),
                last: Index(get_u64(rest, row_at::LAST)),
            };
            rest = &rest[row.bytes()..];
            replicas.push(row);
        }
        let mut tombstones = Vec::new();
        for _ in 0..get_u32(from, at::TOMBSTONES) {
            if rest.len() < TOMBSTONE_BYTES {
                return Err(NotOurs::Shape);
            }
            tombstones.push((ShardId(get_u32(rest, 0)), ReplicaId(get_u64(rest, 8))));
            rest = &rest[TOMBSTONE_BYTES..];
        }
        let sound = replicas.iter().all(|row: &ReplicaRow| {
            row.last.0 < NUMBER_MAX
                && row.hard_state.commit.0 < NUMBER_MAX
                && row.trimmed <= row.last
        });
        let counted = [at::FIRST_FRAME, at::POSITION, at::DURABLE, at::IN_FLIGHT_BYTES_MAX];
        if !sound
            || counted.iter().any(|field| get_u64(from, *field) >= NUMBER_MAX)
            || get_u64(from, at::DURABLE) >= get_u64(from, at::FIRST_FRAME)
            || get_u64(from, at::SEGMENT_BYTES) != config.segment_bytes
            || get_u64(from, at::OLDEST) > stamp.segment.0
            || get_u64(from, at::PREVIOUS_END) > config.segment_bytes
            || !get_u64(from, at::PREVIOUS_END).is_multiple_of(BLOCK_BYTES as u64)
        {
            return Err(NotOurs::Shape);
        }
        Ok(SegmentHeader {
            number: stamp.segment,
            slot: stamp.slot,
            boot: stamp.boot,
            after_cut: stamp.flags & FLAG_AFTER_CUT != 0,
            segment_bytes: get_u64(from, at::SEGMENT_BYTES),
            first_frame: FrameNumber(get_u64(from, at::FIRST_FRAME)),
            position: get_u64(from, at::POSITION),
            durable: FrameNumber(get_u64(from, at::DURABLE)),
            previous: SegmentNumber(get_u64(from, at::PREVIOUS_SEGMENT)),
            previous_end: get_u64(from, at::PREVIOUS_END),
            oldest: SegmentNumber(get_u64(from, at::OLDEST)),
            in_flight_bytes_max: get_u64(from, at::IN_FLIGHT_BYTES_MAX),
            chain: get_u32(from, at::CHAIN),
            replicas,
            tombstones,
        })
    }
}

/// What the table may take in one copy.
pub(crate) const TABLE_BYTES_MAX: usize = HEADER_COPY_BYTES as usize - FIXED_BYTES;

pub(crate) fn identity_ids_bytes(identity: &Identity) -> usize {
    8 * (identity.voters.len() + identity.learners.len())
}

/// Voters, then learners, eight bytes each.
pub(crate) fn put_ids(identity: &Identity, to: &mut [u8]) {
    let ids = identity.voters.iter().chain(&identity.learners);
    for (place, id) in to.chunks_exact_mut(8).zip(ids) {
        place.copy_from_slice(&id.0.to_le_bytes());
    }
}

pub(crate) fn get_ids(from: &[u8], voters: usize) -> (Vec<ReplicaId>, Vec<ReplicaId>) {
    let mut ids: Vec<ReplicaId> =
        from.chunks_exact(8).map(|id| ReplicaId(get_u64(id, 0))).collect();
    let learners = ids.split_off(voters.min(ids.len()));
    (ids, learners)
}
