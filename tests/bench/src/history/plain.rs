//! The store by itself: its objects by ranged GETs of a plain client, so many at once, nothing looked at.
//!
//! It is the client Holdfast has, without Holdfast: what a read gives up against it is not the store's.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_tier::StoreKey;
use holdfast_tier::store::{self, Endpoint, Patience, S3Options, Store};

use crate::client::{Failed, Result};
use crate::clock::Stopwatch;
use crate::history::gateway::Gateway;
use crate::process::own_cpu_seconds;

/// Keys of one page of a listing.
const PAGE: usize = 1_000;

/// What was read.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Bytes of objects.
    pub bytes: u64,
    /// CPU seconds of the client.
    pub cpu_s: f64,
}

type Wanted = VecDeque<(StoreKey, Range<u64>)>;

/// GETs about `bytes_max` of the store's objects, `get_bytes` at a time, `parallel` at once.
pub fn read(gateway: &Gateway, bytes_max: u64, get_bytes: u64, parallel: usize) -> Result<Outcome> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let store = open(gateway)?;
        let wanted = ranges(store.as_ref(), bytes_max, get_bytes).await?;
        let bytes = wanted.iter().map(|(_, range)| range.end - range.start).sum();
        let wanted = Arc::new(Mutex::new(wanted));
        let (clock, cpu_before) = (Stopwatch::start(), own_cpu_seconds());
        let tasks: Vec<_> = (0..parallel)
            .map(|_| tokio::spawn(reader(Arc::clone(&store), Arc::clone(&wanted))))
            .collect();
        for task in tasks {
            task.await.map_err(wrong)??;
        }
        Ok(Outcome { seconds: clock.seconds(), bytes, cpu_s: own_cpu_seconds() - cpu_before })
    })
}

async fn reader(store: Arc<dyn Store>, wanted: Arc<Mutex<Wanted>>) -> Result<()> {
    loop {
        let next = wanted.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((key, range)) = next else { return Ok(()) };
        store.get(&key, range).await.map_err(wrong)?;
    }
}

fn open(gateway: &Gateway) -> Result<Arc<dyn Store>> {
    let mut options = S3Options::default();
    if let Some(address) = gateway.address() {
        options.endpoint = Some(Endpoint::parse(&format!("http://{address}")).map_err(wrong)?);
        options.credentials = Some(gateway.key());
    }
    store::open(&gateway.url(), &options, Patience::READING).map_err(wrong)
}

async fn ranges(store: &dyn Store, bytes_max: u64, get_bytes: u64) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    let (mut bytes, mut after) = (0, None);
    loop {
        let page = store.list("", after.as_ref(), PAGE).await.map_err(wrong)?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|listed| listed.key.clone());
        for listed in page.into_iter().filter(|listed| listed.key.identity().is_some()) {
            let mut at = 0;
            while at < listed.len_bytes && bytes < bytes_max {
                let end = (at + get_bytes).min(listed.len_bytes);
                wanted.push_back((listed.key.clone(), at..end));
                bytes += end - at;
                at = end;
            }
        }
        if is_last || bytes >= bytes_max {
            return Ok(wanted);
        }
    }
}

fn wrong(error: impl std::fmt::Display) -> Failed {
    Failed::Wrong(error.to_string())
}
