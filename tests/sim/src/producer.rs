//! A producer of one partition: idempotent or plain, up to five batches in flight, in order.
//!
//! | a try ends | next |
//! | --- | --- |
//! | acknowledged | done, with its offset |
//! | refused, certainly not done | again, same sequence, after a pause |
//! | broken, timed out, fate unknown | again, same sequence; plain: given up as "perhaps" or again |
//! | duplicate older than remembered | done, offset unknown |
//!
//! Invariant: batches are sent first to last, and a batch is tried again only while every batch
//! before it is done or in flight, so that a retry never overtakes.

use std::collections::VecDeque;

use bytes::Bytes;
use holdfast_base::{PartitionKey, Rng, ShardId, SplitMix64};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft};
use holdfast_checker::{Kind, Op, Producer as Identity, Send};
use holdfast_lane::{
    Answer, Appended, Outcome, ProducePartition, Reason, Refusal, Request, Ticket,
};

use crate::clock::wall_ms;
use crate::states::State;
use crate::world::{ClientId, Ended, Event, World};

/// Kafka's `max.in.flight.requests.per.connection` limit for idempotent producers, and as many
/// batches as a broker remembers.
const IN_FLIGHT_MAX: usize = 5;
/// A first batch refused as out of order this often has lost its predecessor for good.
const OUT_OF_ORDER_MAX: u32 = 40;

/// Where to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) key: PartitionKey,
    pub(crate) shard: ShardId,
}

#[derive(Debug)]
struct Batch {
    call: u64,
    values: Vec<u64>,
    base_sequence: i32,
    bytes: Bytes,
    /// Ticket and when to give up on it.
    trying: Option<(Ticket, u64)>,
    retry_at_ns: u64,
    tries: u32,
    /// One of the tries may have happened.
    perhaps: bool,
    out_of_order: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Producer {
    id: ClientId,
    process: u32,
    target: Target,
    is_idempotent: bool,
    producer_id: Option<i64>,
    id_ticket: Option<(Ticket, u64)>,
    /// Grows when the producer begins anew under its id; who then writes under the old one is a
    /// zombie, and fenced.
    epoch: i16,
    zombie: Option<Ticket>,
    batches: VecDeque<Batch>,
    next_sequence: i32,
    next_call: u64,
    left: u32,
    next_batch_ns: u64,
    pace_ns: u64,
    timeout_ns: u64,
    value_bytes_max: u64,
    rng: SplitMix64,
    /// Its first batch is acknowledged.
    is_known: bool,
    met_full_wal: bool,
    /// A plain producer that tries again until it is answered.
    persists: bool,
    pub(crate) acked_records: u64,
}

/// What a producer is made from.
pub(crate) struct ProducerPlan {
    pub(crate) id: ClientId,
    pub(crate) target: Target,
    pub(crate) is_idempotent: bool,
    pub(crate) batches: u32,
    pub(crate) pace_ns: u64,
    pub(crate) value_bytes_max: u64,
    pub(crate) rng: SplitMix64,
}

impl Producer {
    pub(crate) fn new(plan: ProducerPlan) -> Self {
        let mut rng = plan.rng;
        Producer {
            id: plan.id,
            process: plan.id as u32 + 1,
            target: plan.target,
            is_idempotent: plan.is_idempotent,
            producer_id: None,
            id_ticket: None,
            epoch: 0,
            zombie: None,
            batches: VecDeque::new(),
            next_sequence: 0,
            next_call: 0,
            left: plan.batches,
            next_batch_ns: 0,
            pace_ns: plan.pace_ns,
            timeout_ns: 300_000_000 + rng.below(3_000_000_000),
            value_bytes_max: plan.value_bytes_max,
            rng,
            is_known: false,
            met_full_wal: false,
            persists: false,
            acked_records: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.batches.is_empty()
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// For people: why it does not get on.
    pub(crate) fn line(&self, world: &World) -> String {
        let first = self.batches.front();
        format!(
            "producer {} (idempotent {}, id {:?}, known {}): {} open, {} to come; first: sequence \
             {:?}, {:?} tries, in flight {:?}; last refused {:?}",
            self.process,
            self.is_idempotent,
            self.producer_id,
            self.is_known,
            self.batches.len(),
            self.left,
            first.map(|batch| batch.base_sequence),
            first.map(|batch| batch.tries),
            first.map(|batch| batch.trying.is_some()),
            world.last_refusals.get(&self.id)
        )
    }

    /// No new batches; what is open is still brought to an end.
    pub(crate) fn end(&mut self) {
        self.left = 0;
    }

    /// Adds work: after healing, every partition must take a write.
    pub(crate) fn extend(&mut self, batches: u32) {
        self.left += batches;
        self.persists = true;
    }

    pub(crate) fn wake(&mut self, world: &mut World) {
        let now_ns = world.now_ns;
        if self.is_done() {
            return;
        }
        if self.is_idempotent && self.producer_id.is_none() {
            self.ask_for_id(world);
        } else {
            self.time_out(world);
            if self.is_idempotent {
                self.begin_anew();
            }
            if self.left > 0 && self.batches.len() < IN_FLIGHT_MAX && now_ns >= self.next_batch_ns {
                self.begin_batch(world);
                self.next_batch_ns = now_ns + self.rng.below(2 * self.pace_ns);
            }
            self.try_batches(world);
        }
        let pause_ns = 1_000_000 + self.rng.below(self.pace_ns.max(10_000_000));
        world.after(pause_ns, Event::Wake(self.id));
    }

    fn ask_for_id(&mut self, world: &mut World) {
        if let Some((ticket, deadline_ns)) = self.id_ticket {
            if world.now_ns < deadline_ns {
                return;
            }
            world.give_up(ticket);
        }
        let to = world.leader_of(ShardId::METADATA).unwrap_or_else(|| world.any_node());
        let ticket = world.call(self.id, to, Request::AllocateProducerIds);
        self.id_ticket = Some((ticket, world.now_ns + self.timeout_ns));
    }

    fn begin_batch(&mut self, world: &mut World) {
        let count = 1 + self.rng.below(4) as usize;
        let mut builder = BatchBuilder::new(Codec::None);
        if let Some(id) = self.producer_id {
            builder = builder.producer(id, self.epoch, self.next_sequence);
        }
        let mut values = Vec::new();
        for _ in 0..count {
            let value = world.draw_value();
            values.push(value);
            let filler = self.rng.below(self.value_bytes_max) as usize;
            let mut bytes = vec![(value & 0xff) as u8; 8 + filler];
            bytes[..8].copy_from_slice(&value.to_le_bytes());
            builder = builder.record(RecordDraft::value(wall_ms(world.now_ns), bytes));
        }
        let Ok(bytes) = builder.build() else {
            world.broken.push("a batch cannot be built".to_owned());
            return;
        };
        let base_sequence = self.next_sequence;
        self.next_sequence += count as i32;
        self.left -= 1;
        self.next_call += 1;
        let send = Send {
            partition: self.target.name.clone(),
            values: values.clone(),
            acks: -1,
            idempotent: self.is_idempotent,
            producer: self.producer_id.map(|id| Identity {
                id,
                epoch: self.epoch,
                sequence: base_sequence,
            }),
            ..Send::default()
        };
        world.tell(self.process, self.next_call, Kind::Invoke, Op::Send(send));
        self.batches.push_back(Batch {
            call: self.next_call,
            values,
            base_sequence,
            bytes,
            trying: None,
            retry_at_ns: 0,
            tries: 0,
            perhaps: false,
            out_of_order: 0,
        });
    }

    /// With nothing open, now and then: a new epoch, whose sequences begin at 0.
    fn begin_anew(&mut self) {
        if self.is_known && self.batches.is_empty() && self.left > 0 && self.rng.chance(1, 30) {
            self.epoch += 1;
            self.next_sequence = 0;
            self.is_known = false;
        }
    }

    /// A producer of the epoch before this one, which somebody forgot to stop.
    fn send_zombie(&mut self, world: &mut World) {
        let Some(id) = self.producer_id.filter(|_| self.epoch > 0 && self.zombie.is_none()) else {
            return;
        };
        let value = 0_u64.to_le_bytes().to_vec();
        let batch = BatchBuilder::new(Codec::None)
            .producer(id, self.epoch - 1, self.next_sequence)
            .record(RecordDraft::value(wall_ms(world.now_ns), value))
            .build();
        let Ok(bytes) = batch else { return };
        let Ok(header) = BatchHeader::parse(&bytes) else { return };
        let part = ProducePartition { partition: self.target.key, bytes, header };
        let to = world.leader_of(self.target.shard).unwrap_or_else(|| world.any_node());
        self.zombie = Some(world.call(self.id, to, Request::Produce(vec![part])));
    }

    fn time_out(&mut self, world: &mut World) {
        let now_ns = world.now_ns;
        for batch in &mut self.batches {
            if let Some((ticket, deadline_ns)) = batch.trying
                && now_ns >= deadline_ns
            {
                world.give_up(ticket);
                batch.trying = None;
                batch.perhaps = true;
                world.states.reach(State::RequestTimedOut);
            }
        }
        self.drop_perhaps(world);
    }

    /// A plain producer often does not try again what may have happened.
    fn drop_perhaps(&mut self, world: &mut World) {
        if self.is_idempotent || self.persists {
            return;
        }
        let mut at = 0;
        while at < self.batches.len() {
            let batch = &self.batches[at];
            if batch.trying.is_none() && batch.perhaps && self.rng.chance(1, 2) {
                self.finish(at, Kind::Info, None, world);
            } else {
                at += 1;
            }
        }
    }

    /// As Java's producer does it: a batch that is tried again goes alone, and so does the very
    /// first, because a broker takes any first sequence of a producer it does not know.
    fn try_batches(&mut self, world: &mut World) {
        for at in 0..self.batches.len() {
            let in_flight = self.batches.iter().filter(|batch| batch.trying.is_some()).count();
            let batch = &self.batches[at];
            if batch.trying.is_some() {
                continue;
            }
            let goes_alone = self.is_idempotent && (batch.tries > 0 || !self.is_known);
            if batch.retry_at_ns > world.now_ns || (goes_alone && (at > 0 || in_flight > 0)) {
                return;
            }
            let to = world.leader_of(self.target.shard).unwrap_or_else(|| world.any_node());
            let Ok(header) = BatchHeader::parse(&self.batches[at].bytes) else { return };
            let part = ProducePartition {
                partition: self.target.key,
                bytes: self.batches[at].bytes.clone(),
                header,
            };
            let ticket = world.call(self.id, to, Request::Produce(vec![part]));
            let batch = &mut self.batches[at];
            batch.tries += 1;
            batch.trying = Some((ticket, world.now_ns + self.timeout_ns));
        }
    }

    /// The end of one of its calls.
    pub(crate) fn ended(&mut self, ticket: Ticket, node: usize, ended: Ended, world: &mut World) {
        if self.id_ticket.is_some_and(|(open, _)| open == ticket) {
            self.id_ticket = None;
            if let Ended::Answered(Answer::AllocateProducerIds(Ok((first, _)))) = ended {
                self.producer_id = Some(first);
                world.note_producer_id(first);
            }
            return;
        }
        if self.zombie == Some(ticket) {
            self.zombie = None;
            if let Ended::Answered(Answer::Produce(parts)) = ended {
                match parts.first() {
                    Some(Ok(_)) => world.broken.push(format!(
                        "zombie-accepted: {}: a fenced producer epoch was written",
                        self.target.name
                    )),
                    Some(Err(refusal)) if refusal.reason == Reason::StaleProducerEpoch => {
                        world.states.reach(State::ZombieFenced);
                    }
                    _ => {}
                }
            }
            return;
        }
        let Some(at) =
            self.batches.iter().position(|batch| batch.trying.is_some_and(|(t, _)| t == ticket))
        else {
            return;
        };
        self.batches[at].trying = None;
        match ended {
            Ended::Broken => {
                self.batches[at].perhaps = true;
                self.retry_later(at, world);
            }
            Ended::Answered(Answer::Produce(mut parts)) => match parts.pop() {
                Some(Ok(appended)) => {
                    // A batch tried before may be answered with its first copy.
                    if self.batches[at].tries == 1 && world.found_no_room(ticket) {
                        world.broken.push(format!(
                            "reserve-taken: {}: n{} wrote records into what was left for its own \
                             needs",
                            self.target.name,
                            node + 1
                        ));
                    }
                    self.acked(at, node, appended, world);
                }
                Some(Err(refusal)) => self.refused(at, &refusal, world),
                None => world.broken.push("a produce is answered without its part".to_owned()),
            },
            Ended::Answered(_) => world.broken.push("a produce is answered as another".to_owned()),
        }
        self.drop_perhaps(world);
    }

    fn acked(&mut self, at: usize, node: usize, appended: Appended, world: &mut World) {
        if self.batches[at].tries > 1 {
            world.states.reach(State::RetryAcknowledged);
        }
        let is_new = self.is_idempotent && !self.is_known;
        self.is_known = true;
        if is_new {
            self.send_zombie(world);
        }
        if std::mem::take(&mut self.met_full_wal) {
            world.states.reach(State::SpaceCameBack);
        }
        self.acked_records += self.batches[at].values.len() as u64;
        let send = Send {
            partition: self.target.name.clone(),
            offset: Some(appended.base_offset),
            node: Some(node as u32 + 1),
            ..Send::default()
        };
        self.finish(at, Kind::Ok, Some(send), world);
    }

    fn refused(&mut self, at: usize, refusal: &Refusal, world: &mut World) {
        world.note_refusal(self.id, 0, refusal, false);
        let batch = &mut self.batches[at];
        batch.perhaps |= refusal.outcome == Outcome::Unknown;
        match refusal.reason {
            Reason::NoSpace => self.met_full_wal = true,
            Reason::NotLeader | Reason::UnknownPartition | Reason::Storage => {}
            Reason::OutOfOrderSequence => {
                if at == 0 {
                    batch.out_of_order += 1;
                    if batch.out_of_order == OUT_OF_ORDER_MAX {
                        world.broken.push(format!(
                            "sequence-lost: {}: sequence {} is refused although all before it are \
                             acknowledged",
                            self.target.name, batch.base_sequence
                        ));
                    }
                }
            }
            Reason::DuplicateSequence => {
                let send = Send { partition: self.target.name.clone(), ..Send::default() };
                self.finish(at, Kind::Ok, Some(send), world);
                return;
            }
            other => {
                world
                    .broken
                    .push(format!("{}: a good batch is refused: {other:?}", self.target.name));
                self.finish(at, Kind::Info, None, world);
                return;
            }
        }
        self.retry_later(at, world);
    }

    fn retry_later(&mut self, at: usize, world: &World) {
        let pause_ns = 20_000_000 + self.rng.below(200_000_000);
        self.batches[at].retry_at_ns = world.now_ns + pause_ns;
    }

    fn finish(&mut self, at: usize, kind: Kind, send: Option<Send>, world: &mut World) {
        let Some(batch) = self.batches.remove(at) else { return };
        let send =
            send.unwrap_or_else(|| Send { partition: self.target.name.clone(), ..Send::default() });
        world.tell(self.process, batch.call, kind, Op::Send(send));
    }
}
