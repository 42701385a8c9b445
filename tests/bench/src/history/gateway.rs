//! A store on the measured disk: a directory, or VersityGW in front of one.
//!
//! VersityGW writes an access log; it is what requests are counted from, since the node's own metrics
//! know nothing of what its client repeats or splits.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::broker::free_port;
use crate::client::{Failed, Result};
use crate::clock::{Stopwatch, nap};

const ACCESS_KEY: &str = "holdfastbench";
const SECRET_KEY: &str = "holdfastbench-secret";
const BUCKET: &str = "bench";
const START_WAIT_S: f64 = 20.0;

/// A store that runs; ended when dropped.
#[derive(Debug)]
pub struct Gateway {
    directory: PathBuf,
    server: Option<(SocketAddr, Child)>,
}

impl Gateway {
    /// An empty store below `directory`; `program`: VersityGW, or none for a plain directory.
    pub fn start(directory: &Path, program: Option<&Path>) -> Result<Self> {
        let mut gateway = Self { directory: directory.to_owned(), server: None };
        fs::create_dir_all(gateway.bucket())?;
        let Some(program) = program else { return Ok(gateway) };
        let mut options = OpenOptions::new();
        let mut key = options.write(true).create(true).mode(0o600).open(gateway.key())?;
        write!(key, "aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let out = File::create(directory.join("gateway.log"))?;
        let mut command = Command::new(program);
        command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
        command.args(["--port", &address.to_string(), "--quiet", "--keep-alive", "--access-log"]);
        command.arg(gateway.log()).arg("posix").arg(directory.join("objects"));
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        gateway.server = Some((address, command.spawn()?));
        let clock = Stopwatch::start();
        while TcpStream::connect(address).is_err() {
            if clock.seconds() > START_WAIT_S {
                return Err(Failed::Wrong(format!("{} does not listen", program.display())));
            }
            nap(Duration::from_millis(10));
        }
        Ok(gateway)
    }

    /// For `--store`.
    pub fn url(&self) -> String {
        match self.server {
            Some(_) => format!("s3://{BUCKET}/site"),
            None => format!("file://{}", self.bucket().display()),
        }
    }

    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|(address, _)| *address)
    }

    /// The file with the access key.
    pub fn key(&self) -> PathBuf {
        self.directory.join("key")
    }

    /// holdfastd's arguments for it.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--store".to_owned(), self.url()];
        if let Some(address) = self.address() {
            for setting in [
                format!("store.endpoint=http://{address}"),
                format!("store.credentials={}", self.key().display()),
            ] {
                arguments.extend(["--set".to_owned(), setting]);
            }
        }
        arguments
    }

    /// Requests so far by kind; empty for a directory.
    pub fn requests(&self) -> Result<BTreeMap<&'static str, u64>> {
        match self.server {
            Some(_) => Ok(counted(&fs::read_to_string(self.log())?)),
            None => Ok(BTreeMap::new()),
        }
    }

    fn bucket(&self) -> PathBuf {
        self.directory.join("objects").join(BUCKET)
    }

    fn log(&self) -> PathBuf {
        self.directory.join("access.log")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some((_, child)) = &mut self.server {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Counts the lines of VersityGW's access log by the operation each names, whatever came of it.
fn counted(log: &str) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let operation = line.split_whitespace().find_map(|word| word.strip_prefix("s3_"));
        let kind = match operation {
            Some("PutObject" | "UploadPart") => "PUT",
            Some("CreateMultipartUpload" | "CompleteMultipartUpload") => "POST",
            Some("GetObject") => "GET",
            Some("HeadObject") => "HEAD",
            Some("DeleteObject" | "DeleteObjects" | "AbortMultipartUpload") => "DELETE",
            Some(list) if list.starts_with("List") => "LIST",
            _ => continue,
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind_and_a_listing_is_no_get() {
        // As VersityGW 1.8.0 writes them, shortened behind the status.
        let line = |operation: &str, asked: &str| {
            format!(
                "key bench [01/December/2026:13:47:04 +0000] 127.0.0.1 key LJD0IGVLTVS5TARE \
                 {operation} site/a /bench/{asked} 200 - 0 52 1 1 - object_store/0.14.2 -\n"
            )
        };
        let log = "log starts 2026-12-01 13:47:03\n".to_owned()
            + &line("s3_PutObject", "site/a")
            + &line("s3_GetObject", "site/a")
            + &line("s3_ListObjectsV2", "?list-type=2&prefix=site%2F")
            + &line("s3_CreateMultipartUpload", "site/a?uploads=")
            + &line("s3_UploadPart", "site/a?partNumber=1&uploadId=x")
            + &line("s3_GetBucketVersioning", "?versioning=");
        let counts: Vec<_> = counted(&log).into_iter().collect();
        assert_eq!(counts, [("GET", 1), ("LIST", 1), ("POST", 1), ("PUT", 2)]);
    }
}
