//! A replica's rows in the store: the state machine's, and one of ours in front of them.

use bytes::Bytes;
use holdfast_base::{ClusterId, Index, Term};
use holdfast_lane::{KeptChanges, LocalState};
use holdfast_state::{Changes, Owner, StateError, StateStore};

const HEAD: &[u8] = b"\0";
const VERSION: u8 = 1;

/// Whose rows these are.
pub(super) fn owner(changes: &KeptChanges) -> Owner {
    Owner { shard: changes.shard, replica: changes.replica }
}

/// What is written of `changes`.
pub(super) fn encode(changes: &KeptChanges) -> Changes {
    let mut head = vec![VERSION];
    head.extend_from_slice(&changes.cluster.0);
    head.extend_from_slice(&changes.term.0.to_le_bytes());
    head.extend_from_slice(&changes.time_ms.to_le_bytes());
    let mut rows = Changes::new();
    rows.put(HEAD, head);
    for row in &changes.rows {
        match &row.value {
            Some(value) => rows.put(row.key.clone(), value.clone()),
            None => rows.delete(row.key.clone()),
        }
    }
    rows
}

/// The state of a replica; `None` if there is none of it.
///
/// # Errors
/// When the store cannot be read, or what it has is not to be believed.
pub(super) fn read(
    store: &impl StateStore,
    owner: Owner,
    cluster: ClusterId,
) -> Result<Option<LocalState>, StateError> {
    let applied = store.applied(owner)?;
    if applied == Index(0) {
        return Ok(None);
    }
    let damaged = |why: String| StateError::Damaged { what: format!("{owner}: {why}") };
    let mut rows = store.scan(owner, b"", None, usize::MAX)?.into_iter();
    let head = rows.next().filter(|row| row.key == HEAD);
    let head = head.ok_or_else(|| damaged("its head is missing".to_owned()))?;
    let (term, time_ms) = decode_head(&head.value, cluster).map_err(damaged)?;
    let rows: Vec<(Bytes, Bytes)> = rows.map(|row| (row.key, row.value)).collect();
    LocalState::from_rows(owner.shard, (applied, term, time_ms), rows).map(Some).map_err(damaged)
}

fn decode_head(head: &[u8], cluster: ClusterId) -> Result<(Term, i64), String> {
    let [VERSION, rest @ ..] = head else { return Err("its version is unknown".to_owned()) };
    let parts = rest.split_first_chunk::<16>().and_then(|(found, rest)| {
        let (term, time_ms) = rest.split_first_chunk::<8>()?;
        Some((ClusterId(*found), *term, <[u8; 8]>::try_from(time_ms).ok()?))
    });
    let (found, term, time_ms) = parts.ok_or("its head has another length")?;
    if found != cluster {
        return Err(format!("it is of cluster {found}"));
    }
    Ok((Term(u64::from_le_bytes(term)), i64::from_le_bytes(time_ms)))
}
