//! The stock clients: two small programs around two libraries, started as processes.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Result;
use crate::clock::{monotonic_ns, nap};
use crate::plan::{Consuming, Library, Producing, VALUES_PER_PRODUCER};
use crate::recorder::{Recorder, Speaker};

const SCRIPTS: [(&str, &str); 2] = [
    ("client.py", include_str!("../librdkafka/client.py")),
    ("member.py", include_str!("../librdkafka/member.py")),
];
const JAVA_SOURCES: [(&str, &str); 2] = [
    ("Client.java", include_str!("../java/Client.java")),
    ("Member.java", include_str!("../java/Member.java")),
];
const VERIFIABLE_PRODUCER: &str = "org.apache.kafka.tools.VerifiableProducer";
/// VerifiableProducer does not retry of itself; these are the settings of our other producers.
const VERIFIABLE_SETTINGS: &str = "enable.idempotence=true
retries=2147483647
retry.backoff.ms=50
reconnect.backoff.ms=20
reconnect.backoff.max.ms=200
delivery.timeout.ms=120000
";
/// What kafka-clients needs of the jars beside it; without a logging back end it is silent.
const JARS: [&str; 5] = ["kafka-clients-", "slf4j-api-", "lz4-java-", "snappy-java-", "zstd-jni-"];
/// Instance id of every static member: a group has one.
pub const INSTANCE: &str = "only";
const COMMITS_PER_PROCESS: u64 = 1_000_000;
/// The JVM's own threads must not starve the daemon of two cores.
const JAVA_FLAGS: [&str; 3] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// Both programs, ready to run.
#[derive(Debug)]
pub struct Tools {
    script: PathBuf,
    librdkafka: PathBuf,
    class_path: String,
    kafka_libs: PathBuf,
    /// VerifiableProducer's settings.
    properties: PathBuf,
}

/// Where clients are and what they write and read.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The daemon.
    pub at: SocketAddr,
    /// The topic.
    pub topic: String,
    /// Of the topic.
    pub partitions: u32,
    /// What the clients write beside their lines.
    pub log: PathBuf,
}

/// What a reader does for a group before it reads.
#[derive(Clone, Debug)]
pub struct ForGroup {
    /// Which.
    pub group: String,
    /// Of its members, where they are static.
    pub instance: Option<String>,
    /// Whether it joins, takes what is left and commits all; else it only looks.
    pub closes: bool,
}

impl Tools {
    /// Writes the script, compiles the Java program and says which versions are used.
    pub fn prepare(work: &Path, kafka_libs: &Path, librdkafka: &Path) -> Result<Tools> {
        let broken = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
        let directory = work.join("clients");
        fs::create_dir_all(&directory).map_err(|error| broken(&directory, error))?;
        let properties = directory.join("verifiable.properties");
        fs::write(&properties, VERIFIABLE_SETTINGS).map_err(|error| broken(&properties, error))?;
        let sources = JAVA_SOURCES.map(|(name, _)| directory.join(name));
        for (name, text) in SCRIPTS.into_iter().chain(JAVA_SOURCES) {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|error| broken(&path, error))?;
        }

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
            .args(&sources)
            .status()
            .map_err(|error| format!("javac: {error}; install a JDK of version 17 or newer"))?;
        if !compiled.success() {
            return Err(format!("javac could not compile what is in {}", directory.display()));
        }
        let tools = Tools {
            script: directory.join("client.py"),
            librdkafka: librdkafka.to_owned(),
            class_path,
            kafka_libs: kafka_libs.to_owned(),
            properties,
        };
        println!("librdkafka {}; {}", tools.librdkafka_version()?, named(&jars));
        Ok(tools)
    }

    /// Writes the scripts of librdkafka alone: for a machine without a JDK, or without a core to
    /// spare for a JVM.
    ///
    /// # Errors
    /// When python3 has no confluent-kafka.
    pub fn prepare_librdkafka(work: &Path, librdkafka: &Path) -> Result<Tools> {
        let broken = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
        let directory = work.join("clients");
        fs::create_dir_all(&directory).map_err(|error| broken(&directory, error))?;
        for (name, text) in SCRIPTS {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|error| broken(&path, error))?;
        }
        let tools = Tools {
            script: directory.join("client.py"),
            librdkafka: librdkafka.to_owned(),
            class_path: String::new(),
            kafka_libs: PathBuf::new(),
            properties: PathBuf::new(),
        };
        println!("librdkafka {}", tools.librdkafka_version()?);
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

    /// Starts the client that makes a topic and then looks at groups' offsets when told to.
    pub fn watch(
        &self,
        ground: &Ground,
        groups: &[String],
        speaker: Speaker,
        recorder: &Arc<Recorder>,
    ) -> Result<Client> {
        let mut command = self.program(Library::Librdkafka);
        command.arg("watch").args(common(ground));
        command.arg(format!("groups={}", groups.join(",")));
        Client::start(command, "watching librdkafka", speaker, recorder, &ground.log)
    }

    /// Starts a member of a group.
    pub fn consume(
        &self,
        ground: &Ground,
        plan: &Consuming,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
    ) -> Result<Client> {
        let mut command = self.program(plan.library);
        command.arg("consume").args(common(ground)).args([
            format!("group={}", plan.group(&speaker.topic)),
            format!("batch={}", plan.batch),
            first_commit(speaker.process),
        ]);
        if plan.is_static {
            command.arg(format!("instance={INSTANCE}"));
        }
        Client::start(command, plan.library.name(), speaker, recorder, &ground.log)
    }

    /// Starts Kafka's VerifiableProducer.
    pub fn verify(
        &self,
        ground: &Ground,
        plan: &Producing,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
    ) -> Result<Client> {
        let mut command = Command::new("java");
        command.args(JAVA_FLAGS).arg("-cp").arg(self.kafka_libs.join("*"));
        command.arg(VERIFIABLE_PRODUCER).args([
            "--bootstrap-server".to_owned(),
            ground.at.to_string(),
            "--topic".to_owned(),
            ground.topic.clone(),
            "--max-messages".to_owned(),
            plan.records.to_string(),
            "--throughput".to_owned(),
            plan.rate.to_string(),
            "--acks".to_owned(),
            speaker.acks.to_string(),
            "--value-prefix".to_owned(),
            (plan.first_value / VALUES_PER_PRODUCER).to_string(),
            "--command-config".to_owned(),
        ]);
        command.arg(&self.properties);
        Client::start(command, "VerifiableProducer", speaker, recorder, &ground.log)
    }

    /// Starts a producer.
    pub fn produce(
        &self,
        ground: &Ground,
        plan: &Producing,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
    ) -> Result<Client> {
        let mut command = self.program(plan.library);
        command.arg("produce").args(common(ground)).args([
            format!("acks={}", plan.acks),
            format!("idempotent={}", plan.idempotent),
            format!("linger_ms={}", plan.linger_ms),
            format!("window={}", plan.window),
            format!("rate={}", plan.rate),
            format!("size={}", plan.record_bytes),
            format!("first={}", plan.first_value),
            format!("records={}", plan.records),
        ]);
        Client::start(command, plan.library.name(), speaker, recorder, &ground.log)
    }

    /// Starts a reader of everything in a topic, a member of `group` before.
    pub fn read(
        &self,
        ground: &Ground,
        library: Library,
        group: &ForGroup,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
    ) -> Result<Client> {
        let mut command = self.program(library);
        command.arg("read").args(common(ground)).args([
            format!("group={}", group.group),
            format!("then={}", if group.closes { "close" } else { "look" }),
            "batch=500".to_owned(),
            first_commit(speaker.process),
        ]);
        if let Some(instance) = &group.instance {
            command.arg(format!("instance={instance}"));
        }
        Client::start(command, library.name(), speaker, recorder, &ground.log)
    }
}

fn common(ground: &Ground) -> [String; 3] {
    let Ground { at, topic, partitions, .. } = ground;
    [format!("bootstrap={at}"), format!("topic={topic}"), format!("partitions={partitions}")]
}

/// Values of commits are unique in a history, as processes are.
fn first_commit(process: u32) -> String {
    format!("values={}", u64::from(process) * COMMITS_PER_PROCESS)
}

fn named(jars: &[PathBuf]) -> String {
    let names = jars.iter().filter_map(|jar| jar.file_stem()?.to_str());
    names.filter(|name| name.starts_with("kafka-clients")).collect::<Vec<_>>().join(", ")
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    child: Child,
    lines: Option<JoinHandle<()>>,
    /// As the history knows it.
    pub process: u32,
    name: &'static str,
    recorder: Arc<Recorder>,
}

impl Client {
    fn start(
        mut command: Command,
        name: &'static str,
        speaker: Speaker,
        recorder: &Arc<Recorder>,
        log: &Path,
    ) -> Result<Client> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(open_log(log)?);
        let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let out = child.stdout.take();
        let process = speaker.process;
        let to = Arc::clone(recorder);
        let lines = std::thread::spawn(move || {
            let mut out = out.map(BufReader::new);
            let mut line = String::new();
            while let Some(out) = &mut out
                && out.read_line(&mut line).is_ok_and(|bytes| bytes > 0)
            {
                // A client that was killed may leave half a line, which says nothing.
                if let Some(line) = line.strip_suffix('\n') {
                    to.line(&speaker, line);
                }
                line.clear();
            }
            to.ended(&speaker);
        });
        let recorder = Arc::clone(recorder);
        Ok(Client { child, lines: Some(lines), process, name, recorder })
    }

    /// Lets a producer that is ready begin, to send all its records.
    pub fn go(&mut self) -> Result<()> {
        let input = self.child.stdin.take().ok_or("a client begins once")?;
        (&input).write_all(b"go\n").map_err(|error| format!("{}: {error}", self.name))
    }

    /// Lets a producer that is ready begin; it is told `end`, or sends all its records.
    pub fn go_until_told(&mut self) -> Result<()> {
        self.tell("go")
    }

    /// Says a word to it.
    pub fn tell(&mut self, word: &str) -> Result<()> {
        let input =
            self.child.stdin.as_mut().ok_or("a client that was told to begin hears no more")?;
        writeln!(input, "{word}").map_err(|error| format!("{}: {error}", self.name))
    }

    /// Has nothing more to say to it.
    pub fn leave(&mut self) {
        self.child.stdin = None;
    }

    /// SIGKILL; then waits until the last line of it is in the history.
    pub fn kill(mut self) -> Result<()> {
        if self.has_ended() {
            return Err(format!("the {} client ended before it was killed", self.name));
        }
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        if let Some(lines) = self.lines.take() {
            lines.join().map_err(|_| "a reader of lines panicked".to_owned())?;
        }
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("kill {signal}: {status}")),
            Err(error) => Err(format!("kill: {error}")),
        }
    }

    /// Whether it has ended, well or not.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has done everything, and until every line of it is in the history.
    pub fn finish(mut self, by_ns: u64) -> Result<()> {
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

/// A file that lines are added to.
pub fn open_log(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|error| format!("{}: {error}", path.display()))
}
