//! A reader of one partition: long polls from a position, checks every byte it gets.
//!
//! Follows the partition (tail), or begins again from the start now and then (cold reads). When
//! the world is healed, a final reader goes from the log start to the high watermark.
//!
//! Bytes of a slice on disk count only if their segment is in the log after they were read.

use bytes::Bytes;
use holdfast_base::{Rng, SplitMix64};
use holdfast_batch::{BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START, Limits, OpenBatch, checksum};
use holdfast_checker::{Kind, Mode, Op, Poll};
use holdfast_lane::{
    Answer, FetchPartition, FetchRequest, FetchedPartition, FoundOffset, ListOffsetsPartition,
    OffsetQuery, Reason, RecordSlice, Request, Ticket,
};

use crate::producer::Target;
use crate::states::State;
use crate::store::ColdRead;
use crate::world::{ClientId, Ended, Event, World};

/// `fetch.max.wait.ms` of Kafka's clients.
const WAIT_NS: u64 = 500_000_000;
const TIMEOUT_NS: u64 = 3_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Fetch,
    Earliest,
    Latest,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reader {
    id: ClientId,
    process: u32,
    target: Target,
    position: i64,
    is_final: bool,
    is_cold: bool,
    trying: Option<(Ticket, u64, Asked)>,
    call: u64,
    rng: SplitMix64,
    is_over: bool,
    /// A final read is over when it has come to the high watermark.
    pub(crate) is_complete: bool,
}

impl Reader {
    pub(crate) fn new(
        id: ClientId,
        target: Target,
        is_cold: bool,
        is_final: bool,
        rng: SplitMix64,
    ) -> Self {
        Reader {
            id,
            process: id as u32 + 1,
            target,
            position: 0,
            is_final,
            is_cold,
            trying: None,
            call: 0,
            rng,
            is_over: false,
            is_complete: false,
        }
    }

    /// For people: why it does not get on.
    pub(crate) fn line(&self, world: &World) -> String {
        format!(
            "reader {} of {} stands at {}, call {}, trying {:?}, last refused {:?}",
            self.process,
            self.target.name,
            self.position,
            self.call,
            self.trying,
            world.last_refusals.get(&self.id)
        )
    }

    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    pub(crate) fn wake(&mut self, world: &mut World) {
        if self.is_over || self.is_complete {
            return;
        }
        if let Some((ticket, deadline_ns, asked)) = self.trying {
            if world.now_ns < deadline_ns {
                world.after(100_000_000, Event::Wake(self.id));
                return;
            }
            world.give_up(ticket);
            if asked == Asked::Fetch || asked == Asked::Latest {
                self.tell_failed(world);
            }
        }
        let asked = if self.is_final && self.call == 0 {
            Asked::Earliest
        } else if !self.is_final && self.rng.chance(1, 12) {
            Asked::Latest
        } else {
            Asked::Fetch
        };
        self.ask(asked, world);
        world.after(100_000_000 + self.rng.below(50_000_000), Event::Wake(self.id));
    }

    fn ask(&mut self, asked: Asked, world: &mut World) {
        if self.is_cold && asked == Asked::Fetch && self.rng.chance(1, 8) {
            self.position = 0;
        }
        let to = world.leader_of(self.target.shard).unwrap_or_else(|| world.any_node());
        // Now and then somebody asks a node that does not lead (any more): it must not answer.
        let to = if self.rng.chance(1, 10) { world.any_node() } else { to };
        self.call += 1;
        let list = |query| {
            let partition = self.target.key;
            let part = ListOffsetsPartition { partition, query, current_leader_epoch: -1 };
            Request::ListOffsets(vec![part])
        };
        let request = match asked {
            Asked::Earliest => list(OffsetQuery::Earliest),
            Asked::Latest => list(OffsetQuery::Latest),
            Asked::Fetch => Request::Fetch(FetchRequest {
                min_bytes: if self.is_final { 0 } else { 1 },
                max_bytes: 64 << 10,
                deadline_ns: world.nodes[to].clock.now(world.now_ns + WAIT_NS).boottime_ns,
                partitions: vec![FetchPartition {
                    partition: self.target.key,
                    fetch_offset: self.position,
                    max_bytes: 32 << 10,
                    current_leader_epoch: -1,
                    last_fetched_epoch: -1,
                }],
            }),
        };
        if asked != Asked::Earliest {
            let poll = Poll {
                partition: self.target.name.clone(),
                mode: Mode::Assign,
                position: (asked == Asked::Fetch).then_some(self.position),
                is_final: self.is_final,
                ..Poll::default()
            };
            world.tell(self.process, self.call, Kind::Invoke, Op::Poll(poll));
        }
        let ticket = world.call(self.id, to, request);
        self.trying = Some((ticket, world.now_ns + TIMEOUT_NS, asked));
    }

    pub(crate) fn ended(&mut self, ticket: Ticket, node: usize, ended: Ended, world: &mut World) {
        let Some((open, _, asked)) = self.trying else { return };
        if open != ticket {
            return;
        }
        self.trying = None;
        match ended {
            Ended::Answered(Answer::Fetch(mut parts)) => match parts.pop() {
                Some(Ok(fetched)) => self.fetched(node, &fetched, world),
                Some(Err(refusal)) => {
                    world.note_refusal(self.id, node, &refusal, true);
                    self.tell_failed(world);
                    if refusal.reason == Reason::OffsetOutOfRange {
                        world.states.reach(State::OffsetOutOfRange);
                        self.ask(Asked::Earliest, world);
                    }
                }
                None => world.broken.push("a fetch is answered without its part".to_owned()),
            },
            Ended::Answered(Answer::ListOffsets(mut parts)) => match (asked, parts.pop()) {
                (Asked::Earliest, Some(Ok(answer))) => {
                    if let FoundOffset::Offset { offset, .. } = answer.found {
                        self.position = self.position.max(offset);
                    }
                }
                (_, Some(Ok(answer))) => {
                    let mut poll = self.poll();
                    if let FoundOffset::Offset { offset, .. } = answer.found {
                        poll.high_watermark = Some(offset);
                        poll.node = Some(node as u32 + 1);
                        poll.leader_epoch = Some(answer.leader_epoch);
                    }
                    world.tell(self.process, self.call, Kind::Ok, Op::Poll(poll));
                }
                (_, Some(Err(refusal))) => {
                    world.note_refusal(self.id, node, &refusal, true);
                    if asked == Asked::Latest {
                        self.tell_failed(world);
                    } else if self.is_final {
                        self.call = 0;
                    }
                }
                (_, None) => world.broken.push("an offset is answered without its part".to_owned()),
            },
            Ended::Broken => {
                if asked == Asked::Earliest {
                    self.call = if self.is_final { 0 } else { self.call };
                } else {
                    self.tell_failed(world);
                }
            }
            Ended::Answered(_) => world.broken.push("a fetch is answered as another".to_owned()),
        }
    }

    fn poll(&self) -> Poll {
        Poll { partition: self.target.name.clone(), is_final: self.is_final, ..Poll::default() }
    }

    fn tell_failed(&self, world: &mut World) {
        let poll = self.poll();
        world.tell(self.process, self.call, Kind::Fail, Op::Poll(poll));
    }

    fn fetched(&mut self, node: usize, fetched: &FetchedPartition, world: &mut World) {
        let mut records = Vec::new();
        let asked_at = self.position;
        for slice in &fetched.records {
            let Some(bytes) = bytes_of(node, slice, world) else {
                // What cannot be read is not served; the client asks again.
                self.tell_failed(world);
                return;
            };
            if let Err(why) = parse(&bytes, asked_at, &mut records) {
                world.broken.push(format!("corrupt-bytes-served: {}: {why}", self.target.name));
                self.tell_failed(world);
                return;
            }
        }
        if let Some((offset, _)) = records.last() {
            self.position = offset + 1;
        }
        if self.is_final && self.position >= fetched.high_watermark {
            self.is_complete = records.is_empty();
        }
        let poll = Poll {
            records,
            high_watermark: Some(fetched.high_watermark),
            log_start: Some(fetched.log_start),
            node: Some(node as u32 + 1),
            ..self.poll()
        };
        world.tell(self.process, self.call, Kind::Ok, Op::Poll(poll));
        if !self.is_complete && self.rng.chance(2, 3) {
            self.ask(Asked::Fetch, world);
        }
    }
}

/// What a broker sends: from memory as it is, from the device only if base offset and CRC agree.
pub(crate) fn bytes_of(node: usize, slice: &RecordSlice, world: &mut World) -> Option<Bytes> {
    match slice {
        RecordSlice::Cached(bytes) => {
            world.states.reach(State::FetchFromMemory);
            Some(bytes.clone())
        }
        RecordSlice::OnDisk { file, extent, base_offset } => {
            world.states.reach(State::FetchFromDisk);
            let start = extent.offset;
            let range = start..start + u64::from(extent.len_bytes);
            let bytes = world.nodes[node].device.media_at(file, range)?;
            if world.bucket.is_some() {
                let lane = world.nodes[node].lane.as_ref()?;
                if !lane.oldest_segment().still_has(extent.segment) {
                    world.states.reach(State::SegmentGoneUnderRead);
                    return None;
                }
            }
            let is_whole = BatchHeader::parse(&bytes)
                .is_ok_and(|header| header.base_offset == *base_offset)
                && each_crc_is_true(&bytes);
            if !is_whole {
                world.states.reach(State::DamagedBytesNotServed);
                if !world.nodes[node].is_damaged {
                    world.broken.push(format!(
                        "bytes-lost-on-device: n{} {file} at {start}, {} bytes: offset \
                         {base_offset} is not there but {:02x?}",
                        node + 1,
                        extent.len_bytes,
                        &bytes[..bytes.len().min(24)]
                    ));
                }
            }
            is_whole.then(|| Bytes::from(bytes))
        }
        RecordSlice::InObject { object, partition, from_offset, max_bytes, .. } => {
            let (object, partition) = (*object, *partition);
            let (from_offset, max_bytes) = (*from_offset, *max_bytes);
            world.read_object(&ColdRead { object, partition, from_offset, max_bytes })
        }
    }
}

fn each_crc_is_true(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match split(bytes) {
            Ok((batch, rest)) if batch.1.crc == checksum(batch.0) => bytes = rest,
            _ => return false,
        }
    }
    true
}

/// The offset behind the last batch.
pub(crate) fn end_of(mut bytes: &[u8]) -> Option<i64> {
    let mut end = None;
    while let Ok(((_, header), rest)) = split(bytes) {
        end = Some(header.base_offset + i64::from(header.last_offset_delta) + 1);
        bytes = rest;
    }
    end
}

/// A batch with its header, and the bytes behind it.
type Split<'a> = ((&'a [u8], BatchHeader), &'a [u8]);

fn split(bytes: &[u8]) -> Result<Split<'_>, String> {
    let header = BatchHeader::parse(bytes).map_err(|error| error.to_string())?;
    let len = usize::try_from(header.batch_length)
        .ok()
        .and_then(|length| length.checked_add(BATCH_OVERHEAD_BYTES))
        .filter(|len| *len > CRC_START && *len <= bytes.len())
        .ok_or_else(|| "a batch ends beyond its slice".to_owned())?;
    let (batch, rest) = bytes.split_at(len);
    Ok(((batch, header), rest))
}

/// Offsets and values at or above the position.
fn parse(mut bytes: &[u8], position: i64, records: &mut Vec<(i64, u64)>) -> Result<(), String> {
    while !bytes.is_empty() {
        let ((batch, header), rest) = split(bytes)?;
        if header.crc != checksum(batch) {
            return Err(format!("the batch at offset {} has a wrong CRC", header.base_offset));
        }
        let open = OpenBatch::open(batch, &Limits::default()).map_err(|error| error.to_string())?;
        for record in open.records() {
            let value = record
                .value
                .and_then(|value| value.first_chunk::<8>())
                .ok_or_else(|| "a record has no value of ours".to_owned())?;
            if record.offset >= position {
                records.push((record.offset, u64::from_le_bytes(*value)));
            }
        }
        bytes = rest;
    }
    Ok(())
}
