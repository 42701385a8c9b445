//! Fetch sessions (KIP-227): what a client asked for before need not be said again, and what did
//! not change need not be answered.
//!
//! ```text
//! request (id, epoch)    is                    does
//! any, -1                sessionless           ends session `id`, begins none
//! any,  0                full                  ends session `id`, begins one if there is room
//! id,   n                incremental           goes on in `id`, if n is the epoch expected there
//!       else             FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
//!                        FETCH_SESSION_TOPIC_ID_ERROR
//!
//! begin ─▶ Fetching (all partitions of the session, in its order) ─▶ lane ─▶ end: id, what to say
//! ```
//!
//! Pure: time and randomness are arguments. Between `begin` and `end` no session is held; who comes
//! second with the same epoch is refused at `end`.
//!
//! Fairness: a partition that gave records goes behind the others, so that an answer cut off by its
//! size begins with another partition next time.
//!
//! Invariants: at most `slots` sessions and [`PARTITIONS_MAX`] partitions over all of them; the
//! order of a session and its index name the same partitions.

use holdfast_base::{Rng, TopicId};
use holdfast_protocol::errors::FetchSessionError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kafka's default of `max.incremental.fetch.session.cache.slots`.
pub(crate) const SLOTS_DEFAULT: usize = 1_000;
/// A session used or begun longer ago than this may give way, as in Kafka (it calls this
/// `min.incremental.fetch.session.eviction.ms`).
const EVICTION_MS: i64 = 120_000;
/// Partitions over all sessions: some 250 bytes each, so 50 MiB at most. Clients beyond it are
/// served without a session.
const PARTITIONS_MAX: usize = 200_000;

/// "No session" on the wire.
pub(crate) const NO_SESSION: i32 = 0;
/// The epoch of a request that begins a session.
pub(crate) const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that wants none.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// How a request names a topic. A session knows one way or the other, never both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum AskedTopic {
    Name(Arc<str>),
    Id(TopicId),
}

/// A partition within a session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct AskedKey {
    pub(crate) topic: AskedTopic,
    pub(crate) partition: i32,
}

/// What a client wants of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    pub(crate) key: AskedKey,
    /// The topic's name when its id was first seen: if another topic has that name now, the
    /// client's id is inconsistent, not only unknown.
    pub(crate) known_as: Option<Arc<str>>,
    pub(crate) fetch_offset: i64,
    pub(crate) max_bytes: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// The session part of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SessionRequest {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    /// Whether this version names topics by id.
    pub(crate) by_id: bool,
}

/// A fetch between question and answer.
#[derive(Debug)]
pub(crate) struct Fetching {
    kind: Kind,
    /// What to read, in the order to read it.
    pub(crate) partitions: Vec<Asked>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Sessionless,
    Full { by_id: bool },
    Incremental { id: i32, epoch: i32 },
}

/// What an answer would say of a partition, as far as sessions care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    pub(crate) has_records: bool,
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    /// An error or a diverging epoch: always said.
    pub(crate) must_say: bool,
    /// An error: whatever follows it is news.
    pub(crate) failed: bool,
}

/// How to answer.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    /// For the answer; [`NO_SESSION`] when there is none.
    pub(crate) session_id: i32,
    /// Per partition of [`Fetching::partitions`]: whether it is in the answer.
    pub(crate) said: Vec<bool>,
}

/// Every session of a node.
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: BTreeMap<i32, Session>,
    /// Sum of the sessions' partitions.
    partitions: usize,
}

struct Session {
    by_id: bool,
    /// The epoch its next request must carry; never 0 or -1.
    epoch: i32,
    began_ms: i64,
    used_ms: i64,
    /// By turn: who has the smallest is read first.
    order: BTreeMap<u64, Remembered>,
    /// Turn of each partition.
    index: BTreeMap<AskedKey, u64>,
    next_turn: u64,
}

struct Remembered {
    asked: Asked,
    /// As last answered; -1 after an error.
    high_watermark: i64,
    log_start: i64,
}

/// 1 to 2^31 - 1, over and over.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> FetchSessions {
        FetchSessions { slots, sessions: BTreeMap::new(), partitions: 0 }
    }

    /// Takes a request: `asked` is what it names, `forgotten` what it drops.
    pub(crate) fn begin(
        &mut self,
        now_ms: i64,
        request: SessionRequest,
        asked: Vec<Asked>,
        forgotten: &[AskedKey],
    ) -> Result<Fetching, FetchSessionError> {
        let SessionRequest { id, epoch, by_id } = request;
        if matches!(epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            if id != NO_SESSION {
                self.remove(id);
            }
            let kind = if epoch == FINAL_EPOCH { Kind::Sessionless } else { Kind::Full { by_id } };
            return Ok(Fetching { kind, partitions: asked });
        }
        let session =
            self.sessions.get_mut(&id).ok_or(FetchSessionError::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(FetchSessionError::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(FetchSessionError::FetchSessionTopicIdError);
        }
        let before = session.order.len();
        for asked in asked {
            session.ask(asked);
        }
        for key in forgotten {
            session.forget(key);
        }
        session.epoch = next_epoch(epoch);
        session.used_ms = now_ms;
        let epoch = session.epoch;
        let now = session.order.len();
        let partitions: Vec<Asked> =
            session.order.values().map(|remembered| remembered.asked.clone()).collect();
        self.partitions = self.partitions - before + now;
        if now == 0 {
            // Nothing is left to ask for: the session is over, as in Kafka.
            self.remove(id);
            return Ok(Fetching { kind: Kind::Sessionless, partitions });
        }
        if self.partitions > PARTITIONS_MAX {
            // It grew beyond what we hold. The client begins anew, and is told then that there is
            // no room.
            self.remove(id);
            return Err(FetchSessionError::FetchSessionIdNotFound);
        }
        Ok(Fetching { kind: Kind::Incremental { id, epoch }, partitions })
    }

    /// Ends a fetch: what to say, and in which session.
    pub(crate) fn end(
        &mut self,
        now_ms: i64,
        rng: &mut dyn Rng,
        fetching: &Fetching,
        outcomes: &[Outcome],
    ) -> Result<Ending, FetchSessionError> {
        assert_eq!(fetching.partitions.len(), outcomes.len(), "one outcome per partition");
        let everything = |session_id| Ending { session_id, said: vec![true; outcomes.len()] };
        match fetching.kind {
            Kind::Sessionless => Ok(everything(NO_SESSION)),
            Kind::Full { by_id } => {
                let id = self.found(now_ms, rng, by_id, &fetching.partitions, outcomes);
                Ok(everything(id.unwrap_or(NO_SESSION)))
            }
            Kind::Incremental { id, epoch } => {
                let session = self
                    .sessions
                    .get_mut(&id)
                    .filter(|session| session.epoch == epoch)
                    .ok_or(FetchSessionError::InvalidFetchSessionEpoch)?;
                let news = fetching.partitions.iter().zip(outcomes);
                let said = news.map(|(asked, outcome)| session.say(&asked.key, outcome)).collect();
                Ok(Ending { session_id: id, said })
            }
        }
    }

    /// A new session with what was just answered, if there is room or room can be made.
    fn found(
        &mut self,
        now_ms: i64,
        rng: &mut dyn Rng,
        by_id: bool,
        partitions: &[Asked],
        outcomes: &[Outcome],
    ) -> Option<i32> {
        if partitions.is_empty() || partitions.len() > PARTITIONS_MAX || self.slots == 0 {
            return None;
        }
        while self.sessions.len() >= self.slots
            || self.partitions + partitions.len() > PARTITIONS_MAX
        {
            let least = self.evictable(now_ms, partitions.len())?;
            self.remove(least);
        }
        let id = self.free_id(rng);
        let mut session = Session {
            by_id,
            epoch: next_epoch(INITIAL_EPOCH),
            began_ms: now_ms,
            used_ms: now_ms,
            order: BTreeMap::new(),
            index: BTreeMap::new(),
            next_turn: 0,
        };
        for (asked, outcome) in partitions.iter().zip(outcomes) {
            session.ask(asked.clone());
            session.say(&asked.key, outcome);
        }
        self.partitions += session.order.len();
        self.sessions.insert(id, session);
        Some(id)
    }

    /// Whose slot a session of `size` partitions may take: one nobody used for two minutes; else,
    /// of those begun two minutes ago, the smallest that is not larger.
    fn evictable(&self, now_ms: i64, size: usize) -> Option<i32> {
        let (stalest, session) =
            self.sessions.iter().min_by_key(|(id, session)| (session.used_ms, **id))?;
        if now_ms - session.used_ms > EVICTION_MS {
            return Some(*stalest);
        }
        self.sessions
            .iter()
            .filter(|(_, session)| now_ms - session.began_ms > EVICTION_MS)
            .map(|(id, session)| (session.order.len(), *id))
            .min()
            .filter(|(least, _)| *least <= size)
            .map(|(_, id)| id)
    }

    /// Random, so that a client of the time before a restart does not meet another's session.
    fn free_id(&self, rng: &mut dyn Rng) -> i32 {
        loop {
            let id = i32::try_from(rng.next_u64() & 0x7fff_ffff).expect("31 bits");
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.order.len();
        }
    }
}

impl Session {
    fn ask(&mut self, asked: Asked) {
        if let Some(turn) = self.index.get(&asked.key) {
            let remembered = self.order.get_mut(turn).expect("the index names rows of the order");
            remembered.asked = asked;
            return;
        }
        self.index.insert(asked.key.clone(), self.next_turn);
        // -1: whatever is answered first is news.
        let remembered = Remembered { asked, high_watermark: -1, log_start: -1 };
        self.order.insert(self.next_turn, remembered);
        self.next_turn += 1;
    }

    fn forget(&mut self, key: &AskedKey) {
        if let Some(turn) = self.index.remove(key) {
            self.order.remove(&turn);
        }
    }

    /// Whether the client must hear this; if so it has heard it.
    fn say(&mut self, key: &AskedKey, outcome: &Outcome) -> bool {
        let Some(turn) = self.index.get_mut(key) else { return true };
        let remembered = self.order.get_mut(turn).expect("the index names rows of the order");
        let news = outcome.has_records
            || outcome.must_say
            || remembered.high_watermark != outcome.high_watermark
            || remembered.log_start != outcome.log_start;
        remembered.high_watermark = if outcome.failed { -1 } else { outcome.high_watermark };
        remembered.log_start = outcome.log_start;
        if outcome.has_records {
            let remembered = self.order.remove(turn).expect("it was there a line above");
            *turn = self.next_turn;
            self.order.insert(self.next_turn, remembered);
            self.next_turn += 1;
        }
        news
    }
}

#[cfg(test)]
mod tests;
