//! A data directory as its owner left it: whose it is, and whether somebody uses it.
//!
//! ```text
//! holdfast.identity   holdfast 1 / cluster HEX / node N / segment_bytes N / log made
//! lane-0-of-1/LOCK    flock'ed by the daemon while it runs
//! ```
//!
//! Nothing is created here, not even the lock: an unlocked log is held with a shared lock while it
//! is read, so that a daemon started meanwhile says who is in its way.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use holdfast_base::{ClusterId, LaneId, NodeId};
use holdfast_wal::WalConfig;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::errors::{CliError, Kind, Result};

const IDENTITY_FILE: &str = "holdfast.identity";
const LANE_DIRECTORY: &str = "lane-0-of-1";
const LOCK_FILE: &str = "LOCK";
/// An identity has five short lines.
const IDENTITY_BYTES_MAX: u64 = 4096;
/// Recovery may open a segment; in the view that costs nothing.
const SEGMENTS_TO_SPARE: u64 = 4;

/// Whose directory it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) cluster: ClusterId,
    pub(super) node: NodeId,
    pub(super) segment_bytes: u64,
}

/// A directory that may be read.
pub(super) struct DataDirectory {
    pub(super) identity: Identity,
    pub(super) lane: PathBuf,
    _lock: Option<Flock<File>>,
}

impl DataDirectory {
    /// Refuses a directory that is locked, unless told otherwise.
    pub(super) fn open(path: &Path, read_locked: bool) -> Result<DataDirectory> {
        let foreign = |why: String| {
            CliError::failed(format!("{} is not a node's data directory", path.display()), why)
                .try_next("give the directory that the node was started with, under --data-dir")
                .explain("HF-1003")
        };
        let mut text = String::new();
        let read = File::open(path.join(IDENTITY_FILE))
            .and_then(|file| file.take(IDENTITY_BYTES_MAX).read_to_string(&mut text));
        read.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                CliError::failed(format!("{} cannot be read", path.display()), error.to_string())
                    .try_next(
                        "run as root or as the daemon's user: `sudo -u holdfast holdfast wal ...`",
                    )
            }
            _ => foreign(format!("{IDENTITY_FILE}: {error}")),
        })?;
        let identity = parse(&text)
            .ok_or_else(|| foreign(format!("{IDENTITY_FILE} is not of a format known here")))?;
        let lane = path.join(LANE_DIRECTORY);
        let lock = if read_locked { None } else { lock(&lane)? };
        Ok(DataDirectory { identity, lane, _lock: lock })
    }

    /// As the daemon would have it, with room for whatever recovery does.
    pub(super) fn wal_config(&self, files: u64) -> WalConfig {
        let Identity { cluster, node, segment_bytes } = self.identity;
        let capacity_bytes = (files + SEGMENTS_TO_SPARE) * segment_bytes;
        let mut config = WalConfig::new(cluster, node, LaneId(0), capacity_bytes);
        if config.segment_bytes != segment_bytes {
            config.segment_bytes = segment_bytes;
            config.reserve_bytes = WalConfig::default_reserve_bytes(capacity_bytes, segment_bytes);
            let quarter = u32::try_from(segment_bytes / 4).unwrap_or(u32::MAX);
            config.frame_bytes_max = config.frame_bytes_max.min(quarter);
        }
        config
    }
}

fn lock(lane: &Path) -> Result<Option<Flock<File>>> {
    let path = lane.join(LOCK_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        // Never opened by a daemon: nobody to be in the way of.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let what = format!("{} cannot be opened", path.display());
            return Err(CliError::failed(what, error.to_string())
                .try_next("run as root or as the daemon's user"));
        }
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let what = format!("{} is in use", lane.display());
            Err(CliError::new(Kind::Failed, what)
                .why(format!("the process {} holds its lock", holder.trim()))
                .try_next("stop the node first, or pass --read-locked and expect a torn end")
                .explain("HF-1004"))
        }
        Err((_, errno)) => {
            Err(CliError::failed(format!("{} cannot be locked", path.display()), errno.to_string()))
        }
    }
}

fn parse(text: &str) -> Option<Identity> {
    const FORMAT: &str = "1";
    let mut lines = text.lines();
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    if value("holdfast")? != FORMAT {
        return None;
    }
    let hex = value("cluster")?;
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    let mut cluster = [0; 16];
    for (at, byte) in cluster.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    let node = NodeId(value("node")?.parse().ok()?);
    let segment_bytes = value("segment_bytes")?.parse().ok()?;
    Some(Identity { cluster: ClusterId(cluster), node, segment_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_and_another_format_is_not() {
        let text = "holdfast 1\ncluster 000102030405060708090a0b0c0d0e0f\nnode 7\nsegment_bytes 1048576\nlog made\n";
        let identity = parse(text).unwrap();
        assert_eq!((identity.node, identity.segment_bytes), (NodeId(7), 1 << 20));
        assert_eq!(identity.cluster.0[15], 15);
        assert_eq!(parse(&text.replace("holdfast 1", "holdfast 2")), None);
        assert_eq!(parse(&text.replace("0001", "00é")), None);
        assert_eq!(parse("holdfast 1\n"), None);
    }
}
