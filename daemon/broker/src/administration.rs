//! What administrative APIs share: each thing named once in a request, and an answer in time.

use crate::broker::Broker;
use holdfast_lane::{Answer, Request};
use std::collections::BTreeSet;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unanswered {
    /// The lane has ended.
    Stopping,
    /// The client's time is up; it may still happen.
    TimedOut,
}

impl Broker {
    /// Asks the lane and waits as long as the client does.
    pub(crate) async fn administer(
        &self,
        request: Request,
        timeout_ms: i32,
    ) -> Result<Answer, Unanswered> {
        let limit = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        match tokio::time::timeout(limit, self.lane.call(request)).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Unanswered::Stopping),
            Err(_) => Err(Unanswered::TimedOut),
        }
    }
}

/// Those that stand in `names` exactly once: a request that names a thing twice contradicts itself.
pub(crate) fn named_once<K: Ord + Clone>(names: impl Iterator<Item = K>) -> BTreeSet<K> {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for name in names {
        if !seen.insert(name.clone()) {
            twice.insert(name);
        }
    }
    seen.retain(|name| !twice.contains(name));
    seen
}

/// The same refusal for each of `count` parts.
pub(crate) fn every<T, E: Copy>(
    count: usize,
    error: E,
    message: &str,
) -> Vec<Result<T, (E, String)>> {
    (0..count).map(|_| Err((error, message.to_owned()))).collect()
}
