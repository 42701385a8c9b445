//! Opening the store of states at a start.
//!
//! | the directory is | then | told as |
//! | --- | --- | --- |
//! | missing or empty | begun; states come from the object store or the log | - |
//! | whole and ours | its states are begun with | - |
//! | damaged, of another cluster, of an unknown version | moved aside, begun anew | HF-1019 |
//! | on a full device | closed; tried again while the node serves | HF-1020 |
//! | no directory, or not ours to write; its device fails | the node does not start | HF-1018 |

use super::counters::StateCounters;
use super::rows;
use crate::report::{Code, Report};
use holdfast_base::{ClusterId, ShardId};
use holdfast_lane::LocalState;
use holdfast_state::{Action, Owner, RocksState, StateError, set_aside};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a start found.
#[derive(Debug, Default)]
pub struct Opened {
    /// The store; `None` while it cannot be used.
    pub store: Option<RocksState>,
    /// What is in it of the replicas asked for.
    pub states: BTreeMap<ShardId, LocalState>,
}

/// Opens the store in `directory` and reads the states of `owners` from it.
///
/// # Errors
/// When a person has to look first.
pub fn open(
    directory: &Path,
    cluster: ClusterId,
    owners: &[Owner],
    counters: &StateCounters,
) -> Result<Opened, Report> {
    if let Some(above) = directory.parent() {
        // The store makes its own directory, and not those above.
        fs::create_dir_all(above).map_err(|error| unusable(directory, error.to_string()))?;
    }
    let error = match read(directory, cluster, owners) {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    if error.action() == Action::Rebuild {
        begin_anew(directory, &error, counters).map_err(|why| unusable(directory, why))?;
        return match RocksState::open(directory) {
            Ok(store) => Ok(Opened { store: Some(store), states: BTreeMap::new() }),
            Err(error) => without(directory, &error, counters),
        };
    }
    without(directory, &error, counters)
}

fn read(directory: &Path, cluster: ClusterId, owners: &[Owner]) -> Result<Opened, StateError> {
    let store = RocksState::open(directory)?;
    let mut states = BTreeMap::new();
    for owner in owners {
        if let Some(state) = rows::read(&store, *owner, cluster)? {
            states.insert(owner.shard, state);
        }
    }
    Ok(Opened { store: Some(store), states })
}

/// Serving goes on without, if a store may be there later.
fn without(
    directory: &Path,
    error: &StateError,
    counters: &StateCounters,
) -> Result<Opened, Report> {
    if error.action() != Action::Retry {
        return Err(unusable(directory, error.to_string()));
    }
    tell(Code::StateFull, error, counters);
    Ok(Opened::default())
}

fn unusable(directory: &Path, why: String) -> Report {
    let place = directory.display();
    Report::new(
        Code::StateUnusable,
        format!("states cannot be kept in {place}"),
        why,
        format!(
            "make {place} a directory of the node's user on a sound device, or move what is there \
             away: it is made again from the log and the object store"
        ),
    )
}

/// Moves a damaged store aside.
///
/// # Errors
/// Why it stays where it is.
pub(super) fn begin_anew(
    directory: &Path,
    error: &StateError,
    counters: &StateCounters,
) -> Result<(), String> {
    counters.rebuilds.add(1);
    tell(Code::StateDamaged, error, counters);
    set_aside(directory).map_err(|error| error.to_string())
}

/// Into the journal, and for whoever looks.
pub(super) fn tell(code: Code, error: &StateError, counters: &StateCounters) {
    let page = format!("packaging/docs/errors/{}.md", code.text());
    tracing::error!(code = code.text(), %error, page, "states of shards are not kept");
    counters.failed(code, error.to_string());
}
