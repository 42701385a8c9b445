//! Records in objects, as a broker reads them: footer, blocks, batches, each checked; damaged or
//! stale bytes are asked for again, three times in all.
//!
//! What cannot be read because of the store's faults is not served, and the client asks again. What
//! cannot be read although the store is well is lost.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use holdfast_base::PartitionKey;
use holdfast_lane::ObjectPlace;
use holdfast_tier::store::{Action, Fault, MemoryStore, Store};
use holdfast_tier::{Footer, ObjectError, StoreKey, Tail, select};

use super::at_once;
use crate::states::State;
use crate::world::World;

const TRIES_MAX: u32 = 3;

/// A part of a partition that lies in an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColdRead {
    pub(crate) object: ObjectPlace,
    pub(crate) partition: PartitionKey,
    pub(crate) from_offset: i64,
    pub(crate) max_bytes: u32,
}

impl World {
    /// The batches, in one piece.
    pub(crate) fn read_object(&mut self, read: &ColdRead) -> Option<Bytes> {
        let bucket = self.bucket.as_mut()?;
        let memory = bucket.memory.clone();
        let had_faults = bucket.mood.faults_per_mille > 0 || bucket.mood.is_away;
        match bucket.attempt(&Fault::ALL, batches(&memory, read)) {
            Some(Ok(bytes)) => {
                self.states.reach(State::FetchFromObject);
                return Some(bytes);
            }
            _ if had_faults => self.states.reach(State::ColdReadFailed),
            _ => {}
        }
        let may_be_gone = bucket.time_jumped;
        if let Some(Err(why)) = at_once(batches(&memory, read))
            && !may_be_gone
        {
            let (partition, offset) = (read.partition, read.from_offset);
            let text = format!("object-unreadable: {partition} from offset {offset}: {why}");
            // It is asked for again and again.
            if !self.broken.contains(&text) {
                self.broken.push(text);
            }
        }
        None
    }
}

async fn batches(memory: &MemoryStore, read: &ColdRead) -> Result<Bytes, String> {
    let identity = read.object.identity;
    let key = StoreKey::of(&identity);
    let whole = read.object.object_bytes;
    let mut start = whole.saturating_sub(u64::from(read.object.tail_bytes));
    let footer = loop {
        let open = |tail: &Bytes| Footer::from_tail(&identity, whole, tail);
        match get_checked(memory, &key, start..whole, open).await? {
            Tail::Footer(footer) => break footer,
            Tail::ReadFrom(earlier) if earlier < start => start = earlier,
            Tail::ReadFrom(_) => return Err(format!("{key}: its footer begins behind itself")),
        }
    };
    let plan = footer
        .plan_read(&read.partition, read.from_offset, read.max_bytes.into())
        .ok_or_else(|| format!("{key} has nothing there"))?;
    let open = |bytes: &Bytes| footer.open_blocks(&plan, bytes);
    let blocks = get_checked(memory, &key, plan.range.clone(), open).await?;
    let mut joined = BytesMut::new();
    for batch in select(&blocks, read.from_offset, read.max_bytes.into()) {
        joined.extend_from_slice(&batch.bytes);
    }
    if joined.is_empty() {
        return Err(format!("{key} has no batch there"));
    }
    Ok(joined.freeze())
}

async fn get_checked<T>(
    memory: &MemoryStore,
    key: &StoreKey,
    range: Range<u64>,
    open: impl Fn(&Bytes) -> Result<T, ObjectError>,
) -> Result<T, String> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (why, again) = match memory.get(key, range.clone()).await {
            Ok(bytes) => match open(&bytes) {
                Ok(opened) => return Ok(opened),
                Err(error) => (format!("{key}: {error}"), error.is_worth_reading_again()),
            },
            Err(error) => (error.to_string(), error.action() == Action::Retry),
        };
        if !again || tries == TRIES_MAX {
            return Err(why);
        }
    }
}
