//! Fetch (key 1): the lane waits and finds, this file reads what left memory.
//!
//! ```text
//! request ─▶ session: what is to be read ─▶ unknown partitions refused ─▶ lane (long poll)
//!   ─▶ room for the answer ─▶ slices ─▶ memory: as they are
//!                                   └─▶ device: read, CRC checked
//!   ─▶ session: what is to be said ─▶ answer
//! ```
//!
//! - Java's consumer knows 13 error codes here and dies of any other: [`answer::error_of`] is the
//!   whole list of what we answer.
//! - Sessions (KIP-227) are `fetch_session`'s; a fetch without one is a session that ends at once.
//! - A slice that cannot be read costs only its partition, and only if nothing before it could be
//!   served.

mod answer;

use crate::answer_room::Held;
use crate::broker::{Broker, View};
use crate::cold::ColdError;
use crate::context::Context;
use crate::fetch_session::{Asked, AskedKey, AskedTopic, Fetching, SessionRequest};
use holdfast_base::{PartitionKey, TopicId};
use holdfast_lane::{Answer, FetchedPartition, RecordSlice, Refusal, Request};
use holdfast_protocol::errors::{FetchError, FetchSessionError};
use holdfast_protocol::fetch_writer::FetchResponseParts;
use kafka_protocol::messages::fetch_request::FetchRequest;
use std::sync::Arc;

/// From here topics are named by id.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
/// No client waits longer for an answer; bounds what a lane parks.
const WAIT_MS_MAX: u64 = 5 * 60 * 1_000;

/// What becomes of one partition.
enum Part {
    Refused(FetchError),
    /// The n-th part of the lane's call.
    Asked(usize),
}

/// What the lane found for each of its parts; `None` where it cannot be had.
type Found = Vec<Option<Result<FetchedPartition, Refusal>>>;

/// Answers a fetch when its time has come; what the answer's records hold is given back by who
/// sends them.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    context: Arc<Context>,
    request: FetchRequest,
    version: i16,
) -> (FetchResponseParts, Option<Held>) {
    let view = broker.view();
    let fetching = match begin(&broker, &view, &request, version) {
        Ok(fetching) => fetching,
        Err(error) => return (FetchResponseParts { error, ..FetchResponseParts::default() }, None),
    };
    let mut asked = Vec::new();
    let parts: Vec<Part> =
        fetching.partitions.iter().map(|wanted| part_of(&view, wanted, &mut asked)).collect();
    let refused = parts.iter().any(|part| matches!(part, Part::Refused(_)));
    let mut found = if asked.is_empty() {
        Vec::new()
    } else {
        find(&broker, &view, &request, asked, refused).await
    };
    let held = take_room(&broker, &mut found).await;
    let asked_as = |at: usize| {
        let place =
            parts.iter().position(|part| matches!(part, Part::Asked(asked) if *asked == at));
        place.map(|place| &fetching.partitions[place])
    };
    load_cold(&broker, &mut found, asked_as).await;
    let mut answered = answer::Writer::new(&broker, &context, version);
    let partitions = parts.into_iter().zip(&fetching.partitions).map(|(part, wanted)| match part {
        Part::Refused(error) => answered.refused(wanted, error),
        Part::Asked(at) => answered.found(wanted, found.get_mut(at).and_then(Option::take)),
    });
    let partitions = partitions.collect();
    (answered.finish(&fetching, partitions), held)
}

/// What is to be read, after what the session remembers.
fn begin(
    broker: &Broker,
    view: &View,
    request: &FetchRequest,
    version: i16,
) -> Result<Fetching, FetchSessionError> {
    let by_id = version >= FIRST_VERSION_WITH_TOPIC_IDS;
    let topic_of = |id: uuid::Uuid, name: &str| {
        if by_id {
            AskedTopic::Id(TopicId(*id.as_bytes()))
        } else {
            AskedTopic::Name(Arc::from(name))
        }
    };
    let mut asked = Vec::new();
    for topic in &request.topics {
        let named = topic_of(topic.topic_id, &topic.topic);
        let known_as = match &named {
            AskedTopic::Name(_) => None,
            AskedTopic::Id(id) => {
                view.image.topic_by_id(*id).map(|topic| Arc::from(topic.name.as_str()))
            }
        };
        asked.extend(topic.partitions.iter().map(|partition| Asked {
            key: AskedKey { topic: named.clone(), partition: partition.partition },
            known_as: known_as.clone(),
            fetch_offset: partition.fetch_offset,
            max_bytes: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let named = topic_of(topic.topic_id, &topic.topic);
        let keys = topic.partitions.iter();
        forgotten.extend(keys.map(|at| AskedKey { topic: named.clone(), partition: *at }));
    }
    let session = SessionRequest { id: request.session_id, epoch: request.session_epoch, by_id };
    broker.fetch_sessions().begin(broker.now_ms(), session, asked, &forgotten)
}

fn part_of(view: &View, wanted: &Asked, asked: &mut Vec<holdfast_lane::FetchPartition>) -> Part {
    let topic = match &wanted.key.topic {
        AskedTopic::Name(name) => view.image.topic(name),
        AskedTopic::Id(id) => view.image.topic_by_id(*id),
    };
    let index = wanted.key.partition;
    let Some(topic) = topic else {
        let renewed = wanted.known_as.as_ref().is_some_and(|name| view.image.topic(name).is_some());
        return Part::Refused(match wanted.key.topic {
            AskedTopic::Name(_) => FetchError::UnknownTopicOrPartition,
            AskedTopic::Id(_) if renewed => FetchError::InconsistentTopicId,
            AskedTopic::Id(_) => FetchError::UnknownTopicId,
        });
    };
    if usize::try_from(index).is_ok_and(|at| at < topic.partitions.len()) {
        asked.push(holdfast_lane::FetchPartition {
            partition: PartitionKey { topic: topic.id, partition: index },
            fetch_offset: wanted.fetch_offset,
            max_bytes: u32::try_from(wanted.max_bytes).unwrap_or(0),
            current_leader_epoch: wanted.current_leader_epoch,
            last_fetched_epoch: wanted.last_fetched_epoch,
        });
        Part::Asked(asked.len() - 1)
    } else {
        Part::Refused(FetchError::UnknownTopicOrPartition)
    }
}

/// One outcome per part asked; `None` where it cannot be had.
async fn find(
    broker: &Broker,
    view: &View,
    request: &FetchRequest,
    asked: Vec<holdfast_lane::FetchPartition>,
    refused: bool,
) -> Found {
    let parts = asked.len();
    let wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0).min(WAIT_MS_MAX);
    // A client with a refusal to hear about does not wait for records of other partitions.
    let wait_ms = if refused { 0 } else { wait_ms };
    let max_bytes =
        u32::try_from(request.max_bytes).unwrap_or(0).min(view.settings.fetch_bytes_max);
    let call = holdfast_lane::FetchRequest {
        min_bytes: u32::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
        max_bytes,
        deadline_ns: broker.clock.now().boottime_ns.saturating_add(wait_ms * 1_000_000),
        partitions: asked,
    };
    match broker.lane.call(Request::Fetch(call)).await {
        Some(Answer::Fetch(found)) if found.len() == parts => found.into_iter().map(Some).collect(),
        answer => {
            if let Some(answer) = answer {
                tracing::error!(?answer, parts, "the lane answered Fetch with something else");
            }
            (0..parts).map(|_| None).collect()
        }
    }
}

/// Takes memory for what was found, and leaves out what it does not suffice for, from the end.
async fn take_room(broker: &Broker, found: &mut Found) -> Option<Held> {
    let parts = found.iter().flatten().flatten();
    let mut sizes = parts.flat_map(|part| &part.records).map(slice_bytes);
    let first = sizes.next()?;
    let wanted = sizes.fold(first, |sum, bytes| sum + bytes);
    let held = broker.answer_room().take(first, wanted).await;
    let mut left = held.as_ref().map_or(0, |held| held.bytes().max(first));
    for part in found.iter_mut().flatten().flatten() {
        let fits = |slice: &RecordSlice| match left.checked_sub(slice_bytes(slice)) {
            Some(less) => {
                left = less;
                true
            }
            None => {
                // Nothing behind the first that does not fit: the answer is what came first.
                left = 0;
                false
            }
        };
        let kept = part.records.iter().map(fits).take_while(|fits| *fits).count();
        part.records.truncate(kept);
    }
    held
}

fn slice_bytes(slice: &RecordSlice) -> usize {
    match slice {
        RecordSlice::Cached(bytes) => bytes.len(),
        RecordSlice::OnDisk { extent, .. } => extent.len_bytes as usize,
        // What it brings is known when it is read. One batch may be larger.
        RecordSlice::InObject { max_bytes, .. } => *max_bytes as usize,
    }
}

/// Reads what is not in memory, over all partitions in one go. A partition keeps its slices up to
/// the first that cannot be read; if that is the first one, it becomes `None`.
async fn load_cold<'a>(
    broker: &Broker,
    found: &mut [Option<Result<FetchedPartition, Refusal>>],
    asked_as: impl Fn(usize) -> Option<&'a Asked>,
) {
    let is_cold = |slice: &RecordSlice| !matches!(slice, RecordSlice::Cached(_));
    let mut owners = Vec::new();
    let mut slices = Vec::new();
    for (at, outcome) in found.iter_mut().enumerate() {
        let Some(Ok(partition)) = outcome else { continue };
        if partition.records.iter().any(is_cold) {
            owners.push((at, partition.records.len()));
            slices.append(&mut partition.records);
        }
    }
    if slices.is_empty() {
        return;
    }
    let mut loaded = broker.load_all(slices).await.into_iter();
    for (at, count) in owners {
        let mut records = Vec::with_capacity(count);
        let mut whole = true;
        for result in loaded.by_ref().take(count) {
            match result {
                Ok(pieces) if whole => records.extend(pieces.into_iter().map(RecordSlice::Cached)),
                Ok(_) => {}
                Err(error) => {
                    tell_unreadable(asked_as(at), &error);
                    whole = false;
                }
            }
        }
        match &mut found[at] {
            Some(Ok(partition)) if !records.is_empty() => partition.records = records,
            outcome => *outcome = None,
        }
    }
}

fn tell_unreadable(asked: Option<&Asked>, error: &ColdError) {
    let topic = asked.map_or_else(String::new, |asked| match (&asked.key.topic, &asked.known_as) {
        (AskedTopic::Name(name), _) | (_, Some(name)) => name.to_string(),
        (AskedTopic::Id(id), None) => id.to_string(),
    });
    let partition = asked.map_or(-1, |asked| asked.key.partition);
    tracing::warn!(topic, partition, %error, "records cannot be read");
}

#[cfg(test)]
mod tests;
