//! A store in memory, in which everything can go wrong that goes wrong at a store.
//!
//! | fault | on put, complete | on get | on delete | on list |
//! | --- | --- | --- | --- | --- |
//! | Busy | 503, nothing happened | 503 | 503 | 503 |
//! | Lost | broke off, nothing happened | broke off | broke off | broke off |
//! | Applied | broke off, it happened | broke off | broke off, it happened | broke off |
//! | Stall | never answers, nothing happened | never answers | never answers | never answers |
//! | ErrorBody | `Ok`, nothing happened | `Ok`, an error page for bytes | `Ok`, still there | `Ok`, empty |
//! | Truncated | `Ok`, the object is cut short | `Ok`, fewer bytes | `Ok`, gone | `Ok`, the last one missing |
//! | Flipped | `Ok`, one bit is wrong | `Ok`, one bit is wrong | `Ok`, gone | `Ok`, as it is |
//! | Stale | `Ok`, readers see it later | not found, or what was there before | `Ok`, gone | `Ok`, without the newest |
//!
//! Faults are armed one by one, or drawn from a seed at a given rate. The rows that say `Ok` break
//! the contract of [`Store`] on purpose: stores do, and readers must notice.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use holdfast_base::{Rng, SplitMix64};

use super::{Listed, Store, StoreError, StoreErrorKind, StoreFuture, Upload};
use crate::key::StoreKey;

/// What a fault is armed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `put`, and `complete` of an upload.
    Put,
    /// `put_part`.
    Part,
    /// `get`.
    Get,
    /// `delete`.
    Delete,
    /// `list`.
    List,
}

/// See the table above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Turned away for now.
    Busy,
    /// Broke off; it did not happen.
    Lost,
    /// Broke off; it did happen.
    Applied,
    /// Never answers.
    Stall,
    /// Answers 200 with an error inside.
    ErrorBody,
    /// Cut short.
    Truncated,
    /// One bit is wrong.
    Flipped,
    /// Behind the times.
    Stale,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 8] = [
        Fault::Busy,
        Fault::Lost,
        Fault::Applied,
        Fault::Stall,
        Fault::ErrorBody,
        Fault::Truncated,
        Fault::Flipped,
        Fault::Stale,
    ];
}

/// What a store answers when it says 200 and means no.
const ERROR_PAGE: &[u8] = b"<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>";

#[derive(Debug)]
struct Kept {
    bytes: Bytes,
    /// What was there before, for stale reads.
    before: Option<Bytes>,
    /// How many reads do not see it yet.
    hidden_reads: u32,
}

#[derive(Debug)]
struct Drawn {
    rng: SplitMix64,
    /// Faults in a thousand calls.
    per_mille: u64,
    faults: Vec<Fault>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<StoreKey, Kept>,
    newest: Option<StoreKey>,
    armed: VecDeque<(Operation, Fault)>,
    drawn: Option<Drawn>,
    calls: u64,
}

/// The store. A clone is the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// Empty and faultless.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// The next call of this kind, that no earlier fault waits for, fails so.
    pub fn arm(&self, operation: Operation, fault: Fault) {
        self.lock().armed.push_back((operation, fault));
    }

    /// From now on `per_mille` of a thousand calls fail in one of these ways; 0 ends that.
    pub fn draw(&self, seed: u64, per_mille: u64, faults: &[Fault]) {
        let drawn = Drawn { rng: SplitMix64::new(seed), per_mille, faults: faults.to_vec() };
        self.lock().drawn = (per_mille > 0 && !faults.is_empty()).then_some(drawn);
    }

    /// Faults armed that have not happened yet.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.lock().armed.len()
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// What lies under a key, past all faults.
    #[must_use]
    pub fn stored(&self, key: &StoreKey) -> Option<Bytes> {
        self.lock().objects.get(key).map(|kept| kept.bytes.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_now(&self, key: &StoreKey, bytes: Bytes, attempted: &str) -> Answer<()> {
        let mut state = self.lock();
        let fault = state.fault(Operation::Put);
        if let Some(answer) = Answer::instead(fault, attempted, ()) {
            return answer;
        }
        let bytes = match fault {
            Some(Fault::Truncated) => bytes.slice(..bytes.len() / 2),
            Some(Fault::Flipped) => state.flip(&bytes),
            _ => bytes,
        };
        let hidden_reads = u32::from(fault == Some(Fault::Stale));
        let before = state.objects.remove(key).map(|kept| kept.bytes);
        state.objects.insert(key.clone(), Kept { bytes, before, hidden_reads });
        state.newest = Some(key.clone());
        Answer::after(fault, attempted)
    }

    fn get_now(&self, key: &StoreKey, range: Range<u64>, attempted: &str) -> Answer<Bytes> {
        let mut state = self.lock();
        let fault = state.fault(Operation::Get);
        if fault == Some(Fault::Applied) {
            // A read has nothing to apply.
            return Answer::error(StoreErrorKind::Interrupted, attempted);
        }
        if let Some(answer) = Answer::instead(fault, attempted, Bytes::from_static(ERROR_PAGE)) {
            return answer;
        }
        let Some(kept) = state.objects.get_mut(key) else {
            return Answer::error(StoreErrorKind::NotFound, attempted);
        };
        let hidden = kept.hidden_reads > 0;
        kept.hidden_reads = kept.hidden_reads.saturating_sub(1);
        let bytes = if hidden || fault == Some(Fault::Stale) {
            match &kept.before {
                Some(before) => before.clone(),
                None => return Answer::error(StoreErrorKind::NotFound, attempted),
            }
        } else {
            kept.bytes.clone()
        };
        if range.end > bytes.len() as u64 || range.start >= range.end {
            return Answer::error(StoreErrorKind::OutOfRange, attempted);
        }
        let bytes = bytes.slice(range.start as usize..range.end as usize);
        Answer::Now(Ok(match fault {
            Some(Fault::Truncated) => bytes.slice(..bytes.len() / 2),
            Some(Fault::Flipped) => state.flip(&bytes),
            _ => bytes,
        }))
    }

    fn delete_now(&self, key: &StoreKey, attempted: &str) -> Answer<()> {
        let mut state = self.lock();
        let fault = state.fault(Operation::Delete);
        if let Some(answer) = Answer::instead(fault, attempted, ()) {
            return answer;
        }
        state.objects.remove(key);
        Answer::after(fault, attempted)
    }

    fn list_now(
        &self,
        directory: &str,
        after: Option<&StoreKey>,
        limit: usize,
        attempted: &str,
    ) -> Answer<Vec<Listed>> {
        let mut state = self.lock();
        let fault = state.fault(Operation::List);
        if fault == Some(Fault::Applied) {
            // A read has nothing to apply.
            return Answer::error(StoreErrorKind::Interrupted, attempted);
        }
        if let Some(answer) = Answer::instead(fault, attempted, Vec::new()) {
            return answer;
        }
        let below = |key: &StoreKey| {
            directory.is_empty()
                || key.as_str().strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        };
        let mut page: Vec<Listed> = state
            .objects
            .iter()
            .filter(|(key, _)| below(key) && after.is_none_or(|after| *key > after))
            .filter(|(key, _)| fault != Some(Fault::Stale) || state.newest.as_ref() != Some(key))
            .take(limit)
            .map(|(key, kept)| Listed { key: key.clone(), len_bytes: kept.bytes.len() as u64 })
            .collect();
        if fault == Some(Fault::Truncated) {
            page.pop();
        }
        Answer::Now(Ok(page))
    }
}

impl Answer<()> {
    /// Of a change that was made.
    fn after(fault: Option<Fault>, attempted: &str) -> Answer<()> {
        match fault {
            Some(Fault::Applied) => Answer::error(StoreErrorKind::Interrupted, attempted),
            _ => Answer::Now(Ok(())),
        }
    }
}

impl State {
    fn fault(&mut self, operation: Operation) -> Option<Fault> {
        self.calls += 1;
        if let Some(at) = self.armed.iter().position(|(armed, _)| *armed == operation) {
            return self.armed.remove(at).map(|(_, fault)| fault);
        }
        let drawn = self.drawn.as_mut()?;
        if !drawn.rng.chance(drawn.per_mille, 1000) {
            return None;
        }
        let at = drawn.rng.below(drawn.faults.len() as u64) as usize;
        Some(drawn.faults[at])
    }

    /// The same bytes with one bit wrong: which one follows from the number of calls.
    fn flip(&self, bytes: &Bytes) -> Bytes {
        let mut flipped = BytesMut::from(&bytes[..]);
        if !flipped.is_empty() {
            let at = SplitMix64::new(self.calls).below(8 * flipped.len() as u64);
            flipped[(at / 8) as usize] ^= 1 << (at % 8);
        }
        flipped.freeze()
    }
}

enum Answer<T> {
    Now(Result<T, StoreError>),
    Never,
}

impl<T> Answer<T> {
    fn error(kind: StoreErrorKind, attempted: &str) -> Answer<T> {
        let detail = "the store in memory was told to".to_owned();
        Answer::Now(Err(StoreError::new(kind, attempted.to_owned(), detail)))
    }

    /// What a fault says before anything is done; `error_body` is what an error that looks like
    /// success brings.
    fn instead(fault: Option<Fault>, attempted: &str, error_body: T) -> Option<Answer<T>> {
        match fault? {
            Fault::Busy => Some(Answer::error(StoreErrorKind::Busy, attempted)),
            Fault::Lost => Some(Answer::error(StoreErrorKind::Interrupted, attempted)),
            Fault::Stall => Some(Answer::Never),
            Fault::ErrorBody => Some(Answer::Now(Ok(error_body))),
            Fault::Truncated | Fault::Flipped | Fault::Stale | Fault::Applied => None,
        }
    }

    async fn given(self) -> Result<T, StoreError> {
        match self {
            Answer::Now(result) => result,
            Answer::Never => std::future::pending().await,
        }
    }
}

impl Store for MemoryStore {
    fn put<'a>(&'a self, key: &'a StoreKey, bytes: Vec<Bytes>) -> StoreFuture<'a, ()> {
        Box::pin(
            async move { self.put_now(key, join(&bytes), &format!("putting {key}")).given().await },
        )
    }

    fn begin_upload<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Box<dyn Upload>> {
        Box::pin(async move {
            let (store, key) = (self.clone(), key.clone());
            Ok(Box::new(MemoryUpload { store, key, parts: Vec::new() }) as Box<dyn Upload>)
        })
    }

    fn get<'a>(&'a self, key: &'a StoreKey, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        Box::pin(async move {
            let attempted = format!("reading bytes {}..{} of {key}", range.start, range.end);
            self.get_now(key, range, &attempted).given().await
        })
    }

    fn delete<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.delete_now(key, &format!("deleting {key}")).given().await })
    }

    fn list<'a>(
        &'a self,
        directory: &'a str,
        after: Option<&'a StoreKey>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Listed>> {
        Box::pin(async move {
            let attempted = format!("listing {directory:?}");
            self.list_now(directory, after, limit, &attempted).given().await
        })
    }
}

struct MemoryUpload {
    store: MemoryStore,
    key: StoreKey,
    parts: Vec<Bytes>,
}

impl Upload for MemoryUpload {
    fn put_part(&mut self, bytes: Vec<Bytes>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let attempted = format!("putting a part of {}", self.key);
            let fault = self.store.lock().fault(Operation::Part);
            let answer = match fault {
                Some(Fault::Busy) => Answer::error(StoreErrorKind::Busy, &attempted),
                Some(Fault::Lost | Fault::Applied | Fault::Stale) => {
                    Answer::error(StoreErrorKind::Interrupted, &attempted)
                }
                Some(Fault::Stall) => Answer::Never,
                _ => Answer::Now(Ok(())),
            };
            answer.given().await?;
            let part = join(&bytes);
            match fault {
                Some(Fault::ErrorBody) => {}
                Some(Fault::Truncated) => self.parts.push(part.slice(..part.len() / 2)),
                Some(Fault::Flipped) => {
                    let flipped = self.store.lock().flip(&part);
                    self.parts.push(flipped);
                }
                _ => self.parts.push(part),
            }
            Ok(())
        })
    }

    fn complete(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let attempted = format!("completing {}", self.key);
            let bytes = join(&std::mem::take(&mut self.parts));
            self.store.put_now(&self.key, bytes, &attempted).given().await
        })
    }

    fn abort(&mut self) -> StoreFuture<'_, ()> {
        self.parts.clear();
        Box::pin(std::future::ready(Ok(())))
    }
}

fn join(parts: &[Bytes]) -> Bytes {
    let mut joined = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    parts.iter().for_each(|part| joined.extend_from_slice(part));
    joined.freeze()
}
