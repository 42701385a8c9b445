//! Step 2: the data directory, and who it belongs to.
//!
//! ```text
//! DIRECTORY/
//!   holdfast.identity   text, 0600: format, cluster, node, segment size, whether the log is made
//!   lane-0-of-1/        the write-ahead log of the only lane
//! ```
//!
//! | found | verdict |
//! | --- | --- |
//! | no directory, or an empty one | created; a new cluster of one node |
//! | an identity, log made | used |
//! | an identity, log not made | a first start was interrupted before anything could be stored: the log is made again |
//! | files, but no identity | foreign: nothing is touched |
//! | an identity we cannot read | foreign |
//!
//! The identity is replaced by write, sync, rename, sync of the directory, so that a power cut
//! leaves the old one or the new one.

use crate::report::{Code, Report};
use holdfast_base::{ClusterId, NodeId};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const IDENTITY_FILE: &str = "holdfast.identity";
const LANE_DIRECTORY: &str = "lane-0-of-1";
const FORMAT: &str = "1";
/// Only the daemon's user may read records.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// An identity has five short lines; more is not ours.
const IDENTITY_BYTES_MAX: u64 = 4096;

/// Whose directory it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Drawn once, when the directory is made.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Of the log, for the life of the directory.
    pub segment_bytes: u64,
    /// False until the log has been made whole for the first time.
    pub log_made: bool,
}

/// An open data directory.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    path: PathBuf,
    /// See [`Identity`].
    pub identity: Identity,
}

impl DataDirectory {
    /// Where the lane's log is.
    #[must_use]
    pub fn lane_path(&self) -> PathBuf {
        self.path.join(LANE_DIRECTORY)
    }

    /// Records that the log is whole.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn mark_log_made(&mut self) -> Result<(), Report> {
        self.identity.log_made = true;
        write_identity(&self.path, &self.identity)
            .map_err(|error| denied(&self.path, "written", &error))
    }
}

/// Opens or makes the directory. A new one belongs to a new cluster, whose log will have segments
/// of `segment_bytes`.
///
/// # Errors
/// When it cannot be used, or is not ours.
pub fn open(path: &Path, segment_bytes: u64) -> Result<DataDirectory, Report> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(|error| denied(path, "created", &error))?;
    let identity = match read_identity(path) {
        Ok(text) => parse(&text).ok_or_else(|| foreign(path, "its identity file is not ours"))?,
        Err(error) if error.kind() == ErrorKind::NotFound => found(path, segment_bytes)?,
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(foreign(path, "its identity file is not text"));
        }
        Err(error) => return Err(denied(path, "read", &error)),
    };
    let lane = path.join(LANE_DIRECTORY);
    match DirBuilder::new().mode(DIRECTORY_MODE).create(&lane) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(denied(&lane, "created", &error));
        }
        _ => {}
    }
    if !identity.log_made {
        clear_unfinished_log(&lane).map_err(|error| denied(&lane, "written", &error))?;
    }
    Ok(DataDirectory { path: path.to_owned(), identity })
}

/// A directory without identity: ours from now on if it is empty.
fn found(path: &Path, segment_bytes: u64) -> Result<Identity, Report> {
    let entries = fs::read_dir(path).map_err(|error| denied(path, "read", &error))?;
    for entry in entries {
        let name = entry.map_err(|error| denied(path, "read", &error))?.file_name();
        // A fresh file system has the first; our own interrupted write leaves the second.
        if name != "lost+found" && name != format!("{IDENTITY_FILE}.new").as_str() {
            let name = name.to_string_lossy().into_owned();
            return Err(foreign(path, &format!("it holds {name:?} and no {IDENTITY_FILE}")));
        }
    }
    let mut cluster = [0; 16];
    random(&mut cluster)?;
    let identity =
        Identity { cluster: ClusterId(cluster), node: NodeId(1), segment_bytes, log_made: false };
    write_identity(path, &identity).map_err(|error| denied(path, "written", &error))?;
    Ok(identity)
}

/// Files of a log that never held a record, left by a first start that did not end.
fn clear_unfinished_log(lane: &Path) -> io::Result<()> {
    for entry in fs::read_dir(lane)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// Bytes nobody can guess.
///
/// # Errors
/// When the kernel gives none.
pub fn random(bytes: &mut [u8]) -> Result<(), Report> {
    let source = "/dev/urandom";
    File::open(source).and_then(|mut file| file.read_exact(bytes)).map_err(|error| {
        Report::new(
            Code::SystemRefused,
            format!("cannot read {source}"),
            error.to_string(),
            "give the daemon a /dev with urandom",
        )
    })
}

fn read_identity(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path.join(IDENTITY_FILE))?.take(IDENTITY_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn write_identity(path: &Path, identity: &Identity) -> io::Result<()> {
    let temporary = path.join(format!("{IDENTITY_FILE}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let mut file = options.open(&temporary)?;
    file.write_all(format(identity).as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path.join(IDENTITY_FILE))?;
    File::open(path)?.sync_all()
}

fn format(identity: &Identity) -> String {
    let cluster: String = identity.cluster.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "holdfast {FORMAT}\ncluster {cluster}\nnode {}\nsegment_bytes {}\nlog {}\n",
        identity.node,
        identity.segment_bytes,
        if identity.log_made { "made" } else { "unfinished" },
    )
}

fn parse(text: &str) -> Option<Identity> {
    let mut lines = text.lines();
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    if value("holdfast")? != FORMAT {
        return None;
    }
    let hex = value("cluster")?;
    let mut cluster = [0; 16];
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in cluster.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    let node = NodeId(value("node")?.parse().ok()?);
    let segment_bytes = value("segment_bytes")?.parse().ok()?;
    let log_made = match value("log")? {
        "made" => true,
        "unfinished" => false,
        _ => return None,
    };
    Some(Identity { cluster: ClusterId(cluster), node, segment_bytes, log_made })
}

fn denied(path: &Path, verb: &str, error: &io::Error) -> Report {
    let path = path.display();
    let (code, try_next) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            Code::WalNoSpace,
            "free space on its file system, or put --data-dir on a larger one".to_owned(),
        ),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            (Code::DataDirectoryForeign, "point --data-dir at a directory".to_owned())
        }
        _ => (
            Code::DataDirectoryDenied,
            format!(
                "make it writable for the daemon's user, for example `chown -R $(id -un) {path}`, \
                 or pass another --data-dir"
            ),
        ),
    };
    Report::new(
        code,
        format!("the data directory {path} cannot be {verb}"),
        error.to_string(),
        try_next,
    )
}

fn foreign(path: &Path, why: &str) -> Report {
    Report::new(
        Code::DataDirectoryForeign,
        format!("{} is not a data directory of Holdfast", path.display()),
        why,
        "point --data-dir at an empty or new directory; nothing in this one was changed",
    )
}

#[cfg(test)]
mod tests;
