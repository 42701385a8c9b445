//! Object stores of other people's making, started and stopped as a site would.
//!
//! ```text
//! directory     no process                         file://DIR/objects
//! versitygw     one Go program, POSIX back end     s3://holdfast-test/site, files in DIR/objects
//! s3proxy       one jar, file back end             the same
//! minio         one Go program, its own format     the same
//! ```
//!
//! A store keeps its port and its files when it is stopped, so that it comes back as itself. It is a child
//! process known by its pid and never left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use holdfast_bench::broker::free_port;
use holdfast_bench::clock::{Stopwatch, nap};
use holdfast_tier::store::{Endpoint, S3Options};

use crate::Result;

const BUCKET: &str = "holdfast-test";
const PREFIX: &str = "site";
const ACCESS_KEY: &str = "holdfast";
const SECRET_KEY: &str = "holdfast-secret";
/// A JVM on a busy machine takes its time.
const START_WAIT_S: f64 = 60.0;

/// Which.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum StoreKind {
    /// A directory; no program.
    Directory,
    /// VersityGW.
    Versitygw,
    /// S3Proxy.
    S3proxy,
    /// The last community release of MinIO.
    Minio,
}

/// Where the programs are.
#[derive(Args, Debug, Clone)]
pub(crate) struct Programs {
    /// The program of VersityGW.
    #[arg(long, env = "HOLDFAST_VERSITYGW", hide_env_values = true)]
    versitygw: Option<PathBuf>,
    /// The jar of S3Proxy.
    #[arg(long, env = "HOLDFAST_S3PROXY", hide_env_values = true)]
    s3proxy: Option<PathBuf>,
    /// The program of MinIO.
    #[arg(long, env = "HOLDFAST_MINIO", hide_env_values = true)]
    minio: Option<PathBuf>,
}

impl Programs {
    /// `None` where it was not given.
    pub(crate) fn has(&self, kind: StoreKind) -> bool {
        kind == StoreKind::Directory || self.of(kind).is_ok()
    }

    fn of(&self, kind: StoreKind) -> Result<&Path> {
        let (path, name) = match kind {
            StoreKind::Directory => return Err("a directory is no program".into()),
            StoreKind::Versitygw => (&self.versitygw, "HOLDFAST_VERSITYGW"),
            StoreKind::S3proxy => (&self.s3proxy, "HOLDFAST_S3PROXY"),
            StoreKind::Minio => (&self.minio, "HOLDFAST_MINIO"),
        };
        path.as_deref().ok_or_else(|| {
            format!(
                "{name} is not set; `cargo xtask store-programs` fetches it and says where it is"
            )
        })
    }
}

/// A store of a test's own.
pub(crate) struct TestStore {
    kind: StoreKind,
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl TestStore {
    /// An empty one that runs, with all it has below `directory`.
    pub(crate) fn fresh(
        kind: StoreKind,
        programs: &Programs,
        directory: PathBuf,
    ) -> Result<TestStore> {
        let _ = fs::remove_dir_all(&directory);
        let program = match kind {
            StoreKind::Directory => PathBuf::new(),
            kind => programs.of(kind)?.canonicalize().map_err(text)?,
        };
        let port = free_port().map_err(text)?;
        let mut store = TestStore { kind, program, directory, port, child: None };
        fs::create_dir_all(store.bucket()).map_err(text)?;
        let mut key = OpenOptions::new();
        let mut key =
            key.write(true).create_new(true).mode(0o600).open(store.key()).map_err(text)?;
        write!(key, "aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
            .map_err(text)?;
        store.come_back()?;
        Ok(store)
    }

    /// For `--store`.
    pub(crate) fn url(&self) -> String {
        match self.kind {
            StoreKind::Directory => format!("file://{}", self.bucket().display()),
            _ => format!("s3://{BUCKET}/{PREFIX}"),
        }
    }

    /// The same from the bucket's root.
    pub(crate) fn bucket_url(&self) -> String {
        format!("s3://{BUCKET}")
    }

    /// The server of S3.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// holdfastd's arguments for this store, behind `address` if it is not its own.
    pub(crate) fn arguments(&self, address: SocketAddr) -> Vec<String> {
        let mut arguments = vec!["--store".to_owned(), self.url()];
        if self.kind != StoreKind::Directory {
            arguments.extend(["--set".to_owned(), format!("store.endpoint=http://{address}")]);
            let key = self.key();
            arguments.extend(["--set".to_owned(), format!("store.credentials={}", key.display())]);
        }
        arguments
    }

    /// The same for our own client of it.
    pub(crate) fn options(&self) -> Result<S3Options> {
        Ok(S3Options {
            endpoint: Some(Endpoint::parse(&format!("http://{}", self.address()))?),
            credentials: Some(self.key()),
            ..S3Options::default()
        })
    }

    /// The file with the access key.
    pub(crate) fn key(&self) -> PathBuf {
        self.directory.join("key")
    }

    /// Ends the program, or takes the directory away.
    pub(crate) fn go_away(&mut self) -> Result<()> {
        if self.kind == StoreKind::Directory {
            return fs::rename(self.bucket(), self.directory.join("away")).map_err(text);
        }
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).map_err(text)?;
        }
        Ok(())
    }

    /// Starts the program again, or brings the directory back.
    pub(crate) fn come_back(&mut self) -> Result<()> {
        if self.kind == StoreKind::Directory {
            let away = self.directory.join("away");
            return if away.is_dir() {
                fs::rename(away, self.bucket()).map_err(text)
            } else {
                Ok(())
            };
        }
        let log = self.directory.join("store.log");
        let out = File::options().create(true).append(true).open(&log).map_err(text)?;
        let mut command = self.command()?;
        command.stdin(Stdio::null()).stdout(out.try_clone().map_err(text)?).stderr(out);
        let program = self.program.display().to_string();
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let child = self.child.insert(child);
        let clock = Stopwatch::start();
        while !answers(SocketAddr::from(([127, 0, 0, 1], self.port))) {
            if let Some(status) = child.try_wait().map_err(text)? {
                return Err(format!("{program} ended: {status}; see {}", log.display()));
            }
            if clock.seconds() > START_WAIT_S {
                return Err(format!("{program} does not answer; see {}", log.display()));
            }
            nap(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Bytes of all files it keeps.
    pub(crate) fn bytes(&self) -> Result<u64> {
        bytes_below(&self.bucket())
    }

    fn bucket(&self) -> PathBuf {
        match self.kind {
            StoreKind::Directory => self.directory.join("objects"),
            _ => self.directory.join("objects").join(BUCKET),
        }
    }

    fn command(&self) -> Result<Command> {
        let objects = self.directory.join("objects");
        let address = self.address();
        let mut command = Command::new(&self.program);
        match self.kind {
            StoreKind::Directory => {}
            StoreKind::Versitygw => {
                command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
                command.args(["--port", &address.to_string(), "--quiet", "--keep-alive", "posix"]);
                command.arg(objects);
            }
            StoreKind::S3proxy => {
                let properties = self.directory.join("s3proxy.properties");
                let text = format!(
                    "s3proxy.endpoint=http://{address}\ns3proxy.authorization=aws-v2-or-v4\n\
                     s3proxy.identity={ACCESS_KEY}\ns3proxy.credential={SECRET_KEY}\n\
                     jclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={}\n",
                    objects.display()
                );
                fs::write(&properties, text).map_err(|error| error.to_string())?;
                command = Command::new("java");
                command.args(["-Xmx512m", "-jar"]).arg(&self.program);
                command.arg("--properties").arg(properties);
            }
            StoreKind::Minio => {
                command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
                command.args(["server", "--quiet", "--address", &address.to_string()]);
                command.arg(objects);
            }
        }
        Ok(command)
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// It speaks HTTP, whatever it says.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer == *b"HTTP/")
    };
    ask().unwrap_or(false)
}

fn bytes_below(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).map_err(text)? {
        let entry = entry.map_err(text)?;
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
