//! The stock clients: two small programs around two libraries, started as processes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Result;
use crate::clock::{monotonic_ns, nap};
use crate::node::open_log;
use crate::plan::{Library, Producing};
use crate::recorder::{Recorder, Speaker};

const PYTHON_SOURCE: &str = include_str!("../librdkafka/client.py");
const JAVA_SOURCE: &str = include_str!("../java/Client.java");
/// What kafka-clients needs of the jars beside it; without a logging back end it is silent.
const JARS: [&str; 5] = ["kafka-clients-", "slf4j-api-", "lz4-java-", "snappy-java-", "zstd-jni-"];
/// The JVM's own threads must not starve the daemon of two cores.
const JAVA_FLAGS: [&str; 3] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// Both programs, ready to run.
#[derive(Debug)]
pub(crate) struct Tools {
    script: PathBuf,
    librdkafka: PathBuf,
    class_path: String,
}

impl Tools {
    /// Writes the script, compiles the Java program and says which versions are used.
    pub(crate) fn prepare(work: &Path, kafka_libs: &Path, librdkafka: &Path) -> Result<Tools> {
        let broken = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
        let directory = work.join("clients");
        fs::create_dir_all(&directory).map_err(|error| broken(&directory, error))?;
        let script = directory.join("client.py");
        fs::write(&script, PYTHON_SOURCE).map_err(|error| broken(&script, error))?;
        let source = directory.join("Client.java");
        fs::write(&source, JAVA_SOURCE).map_err(|error| broken(&source, error))?;

        let listed = fs::read_dir(kafka_libs).map_err(|error| broken(kafka_libs, error))?;
        let is_needed = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".jar") && JARS.iter().any(|jar| name.starts_with(jar))
        };
        let mut jars: Vec<PathBuf> =
            listed.flatten().map(|entry| entry.path()).filter(is_needed).collect();
        jars.sort();
        if jars.is_empty() {
            return Err(format!("no kafka-clients jar is in {}", kafka_libs.display()));
        }
        let shown: Vec<String> = jars.iter().map(|jar| jar.display().to_string()).collect();
        let class_path = format!("{}:{}", shown.join(":"), directory.display());
        let compiled = Command::new("javac")
            .args(["--release", "17", "-cp", &class_path, "-d"])
            .arg(&directory)
            .arg(&source)
            .status()
            .map_err(|error| format!("javac: {error}; install a JDK of version 17 or newer"))?;
        if !compiled.success() {
            return Err(format!("javac could not compile {}", source.display()));
        }
        let tools = Tools { script, librdkafka: librdkafka.to_owned(), class_path };
        println!("librdkafka {}; {}", tools.librdkafka_version()?, named(&jars));
        Ok(tools)
    }

    fn librdkafka_version(&self) -> Result<String> {
        let line = "import confluent_kafka as c; print(c.libversion()[0], 'through confluent-kafka', c.version())";
        let out = self.python().args(["-c", line]).output();
        let out = out.map_err(|error| format!("python3: {error}"))?;
        if !out.status.success() {
            return Err(format!(
                "python3 cannot use confluent-kafka in {}: {}",
                self.librdkafka.display(),
                String::from_utf8_lossy(&out.stderr).trim()
            ));
        }
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }

    fn python(&self) -> Command {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", &self.librdkafka).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn program(&self, library: Library) -> Command {
        match library {
            Library::Librdkafka => {
                let mut command = self.python();
                command.arg(&self.script);
                command
            }
            Library::Java => {
                let mut command = Command::new("java");
                command.args(JAVA_FLAGS).args(["-cp", &self.class_path, "Client"]);
                command
            }
        }
    }

    /// Makes a topic and waits until it is there.
    pub(crate) fn make_topic(
        &self,
        at: SocketAddr,
        topic: &str,
        partitions: u32,
        log: &Path,
    ) -> Result<()> {
        let mut command = self.program(Library::Librdkafka);
        command.arg("topic").args(common(at, topic, partitions));
        let status = command.stdout(Stdio::null()).stderr(open_log(log)?).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                Err(format!("{topic} could not be made: {status}; see {}", log.display()))
            }
            Err(error) => Err(format!("python3: {error}")),
        }
    }

    /// Starts a producer.
    pub(crate) fn produce(
        &self,
        at: SocketAddr,
        partitions: u32,
        plan: &Producing,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
        log: &Path,
    ) -> Result<Client> {
        let mut command = self.program(plan.library);
        command.arg("produce").args(common(at, &speaker.topic, partitions)).args([
            format!("acks={}", plan.acks),
            format!("idempotent={}", plan.idempotent),
            format!("linger_ms={}", plan.linger_ms),
            format!("window={}", plan.window),
            format!("rate={}", plan.rate),
            format!("size={}", plan.record_bytes),
            format!("first={}", plan.first_value),
            format!("records={}", plan.records),
        ]);
        Client::start(command, plan.library, speaker, recorder, log)
    }

    /// Starts a reader of everything in a topic.
    pub(crate) fn read(
        &self,
        library: Library,
        at: SocketAddr,
        partitions: u32,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
        log: &Path,
    ) -> Result<Client> {
        let mut command = self.program(library);
        command.arg("read").args(common(at, &speaker.topic, partitions));
        Client::start(command, library, speaker, recorder, log)
    }
}

fn common(at: SocketAddr, topic: &str, partitions: u32) -> [String; 3] {
    [format!("bootstrap={at}"), format!("topic={topic}"), format!("partitions={partitions}")]
}

fn named(jars: &[PathBuf]) -> String {
    let names = jars.iter().filter_map(|jar| jar.file_stem()?.to_str());
    names.filter(|name| name.starts_with("kafka-clients")).collect::<Vec<_>>().join(", ")
}

/// A running client.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    lines: Option<JoinHandle<()>>,
    /// As the history knows it.
    pub(crate) process: u32,
    name: &'static str,
    recorder: Arc<Recorder>,
}

impl Client {
    fn start(
        mut command: Command,
        library: Library,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
        log: &Path,
    ) -> Result<Client> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(open_log(log)?);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", library.name()))?;
        let out = child.stdout.take();
        let process = speaker.process;
        let to = Arc::clone(recorder);
        let lines = std::thread::spawn(move || {
            let lines = out.into_iter().flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(|line| line.ok()) {
                to.line(&speaker, &line);
            }
        });
        let recorder = Arc::clone(recorder);
        Ok(Client { child, lines: Some(lines), process, name: library.name(), recorder })
    }

    /// Lets a producer that is ready begin.
    pub(crate) fn go(&mut self) -> Result<()> {
        let input = self.child.stdin.take().ok_or("a client begins once")?;
        (&input).write_all(b"go\n").map_err(|error| format!("{}: {error}", self.name))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("kill {signal}: {status}")),
            Err(error) => Err(format!("kill: {error}")),
        }
    }

    /// Whether it has ended, well or not.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has done everything, and until every line of it is in the history.
    pub(crate) fn finish(mut self, by_ns: u64) -> Result<()> {
        while !self.has_ended() {
            if monotonic_ns() > by_ns {
                let tally = self.recorder.tally(self.process);
                return Err(format!("the {} client hangs: {tally:?}", self.name));
            }
            nap(Duration::from_millis(5));
        }
        if let Some(lines) = self.lines.take() {
            lines.join().map_err(|_| "a reader of lines panicked".to_owned())?;
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        let tally = self.recorder.tally(self.process);
        if !status.success() || !tally.done {
            return Err(format!("the {} client ended: {status}, {tally:?}", self.name));
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
