//! `group`: three members, one killed, one static that starts again; all gone and back after the node
//! restarted.
//!
//! A member is this program again, in a process of its own, so that it can be killed without leaving:
//!
//! ```text
//! parent ── commit, close ──▶ member     (standard input)
//! parent ◀── told, a line ─── member     (standard output)
//!
//! {"assigned": [0, 3], "rebalances": 1, "records": [[partition, offset, hash]…], "done": ["commit"]}
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::process::{Child, ChildStdin, Command, Stdio, exit};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::admin::create;
use crate::contract::{Options, OrFail as _, PATIENCE, answered, ask, check, fail, tell};
use crate::library::{Producer, Watch, config, poll};
use crate::record::{BASE_TIME_MS, Record, hex};

const PARTITIONS: usize = 6;
/// The least that Kafka allows: how long a killed member keeps its partitions.
const SESSION_MS: u32 = 6_000;
/// The static member's: it starts again well inside it, on a slow machine too.
const STATIC_SESSION_MS: u32 = 45_000;
const MORE: usize = 60;

/// Partition and offset.
type At = (i64, i64);

fn hash_of(record: &Record) -> String {
    let text = format!("{:?} {:?} {}", record.key, record.value, record.timestamp_ms);
    hex(&Sha256::digest(text.as_bytes())[..8])
}

/// One member: polls until told otherwise.
pub fn be_member(options: &Options) {
    let (sender, commands) = mpsc::channel();
    thread::spawn(move || {
        for line in stdin().lines().map_while(|line| line.ok()) {
            let _ = sender.send(line);
        }
        // The parent is gone.
        exit(1);
    });
    let mut config = config(&options.bootstrap);
    config.set("group.id", &options.group).set("session.timeout.ms", &options.session_ms);
    config.set("heartbeat.interval.ms", "1000").set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "false");
    if !options.instance.is_empty() {
        config.set("group.instance.id", &options.instance);
    }
    let member: BaseConsumer<Watch> =
        config.create_with_context(Watch::default()).or_fail("a member");
    member.subscribe(&[&options.topic]).or_fail("subscribe");
    let (mut done, mut shown): (Vec<String>, _) = (Vec::new(), Value::Null);
    loop {
        let records = poll(&member, Duration::from_millis(100));
        let assignment = member.assignment().or_fail("assignment");
        let mut assigned: Vec<i32> =
            assignment.elements().iter().map(|place| place.partition()).collect();
        assigned.sort_unstable();
        let rebalances = member.context().rebalances.load(Ordering::Relaxed);
        if let Ok(command) = commands.try_recv() {
            if command == "commit" {
                member.commit_consumer_state(CommitMode::Sync).or_fail("commit");
            } else {
                leave(&member);
            }
            done.push(command);
        }
        let state = json!({"assigned": assigned, "rebalances": rebalances, "done": done});
        if state != shown || !records.is_empty() {
            let row = |record: &Record| json!([record.partition, record.offset, hash_of(record)]);
            let mut line = state.clone();
            line["records"] = records.iter().map(row).collect();
            tell(line);
            shown = state;
        }
        if done.iter().any(|done| done == "close") {
            exit(0);
        }
    }
}

/// Leaves the group. Not by dropping the consumer: that waits without end once it has committed.
fn leave(member: &BaseConsumer<Watch>) {
    member.unsubscribe();
    let deadline = Instant::now() + PATIENCE;
    while member.assignment().or_fail("assignment").count() > 0 {
        if Instant::now() > deadline {
            fail("partitions are still assigned to a member that left");
        }
        poll(member, Duration::from_millis(100));
    }
}

/// What a member told so far.
#[derive(Default)]
struct Told {
    assigned: Vec<i64>,
    rebalances: u64,
    done: Vec<String>,
    seen: BTreeMap<At, String>,
    first: BTreeMap<i64, i64>,
    last: BTreeMap<i64, i64>,
}

/// The parent's end of a member.
struct Member {
    process: Mutex<Child>,
    input: Mutex<ChildStdin>,
    told: Arc<Mutex<Told>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Member {
    fn start(options: &Options, topic: &str, group: &str, instance: &str) -> Self {
        let session_ms = if instance.is_empty() { SESSION_MS } else { STATIC_SESSION_MS };
        let mut command = Command::new(std::env::current_exe().or_fail("this program's name"));
        command.args(["--scenario", "member", "--bootstrap", &options.bootstrap, "--topic", topic]);
        command.args([
            "--group",
            group,
            "--session-ms",
            &session_ms.to_string(),
            "--instance",
            instance,
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().or_fail("start of a member");
        let input = process.stdin.take().unwrap_or_else(|| fail("a member's standard input"));
        let output = process.stdout.take().unwrap_or_else(|| fail("a member's standard output"));
        let told = Arc::new(Mutex::new(Told::default()));
        let hears = Arc::clone(&told);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(|line| line.ok()) {
                // A line cut by a kill is none.
                if let Ok(line) = serde_json::from_str(&line) {
                    hear(&mut locked(&hears), &line);
                }
            }
        });
        Self { process: Mutex::new(process), input: Mutex::new(input), told }
    }

    fn assigned(&self) -> Vec<i64> {
        locked(&self.told).assigned.clone()
    }

    fn rebalances(&self) -> u64 {
        locked(&self.told).rebalances
    }

    /// SIGKILL: the socket closes, no LeaveGroup is sent.
    fn kill(&self) {
        let mut process = locked(&self.process);
        process.kill().or_fail("kill of a member");
        process.wait().or_fail("end of a member");
    }

    fn say(&self, command: &str) {
        writeln!(locked(&self.input), "{command}").or_fail("a member's standard input");
        wait(command, &[self], || locked(&self.told).done.iter().any(|done| done == command));
        if command == "close" {
            let status = locked(&self.process).wait().or_fail("end of a member");
            check("a member's end", true, status.success());
        }
    }
}

fn hear(told: &mut Told, line: &Value) {
    let list = |name: &str| line[name].as_array().cloned().unwrap_or_default();
    told.assigned = list("assigned").iter().filter_map(Value::as_i64).collect();
    told.rebalances = line["rebalances"].as_u64().unwrap_or_default();
    told.done = list("done").iter().filter_map(|done| done.as_str().map(str::to_owned)).collect();
    for row in list("records") {
        let (Some(partition), Some(offset), Some(hash)) =
            (row[0].as_i64(), row[1].as_i64(), row[2].as_str())
        else {
            fail(&format!("a member told {row}"));
        };
        told.first.entry(partition).or_insert(offset);
        told.last.insert(partition, offset);
        told.seen.insert((partition, offset), hash.to_owned());
    }
}

fn consumed(members: &[&Member]) -> BTreeMap<At, String> {
    members.iter().flat_map(|member| locked(&member.told).seen.clone()).collect()
}

/// Every partition has exactly one of these members, every member some.
fn shared(members: &[&Member]) -> bool {
    let parts: Vec<Vec<i64>> = members.iter().map(|member| member.assigned()).collect();
    let mut all = parts.concat();
    all.sort_unstable();
    parts.iter().all(|part| !part.is_empty()) && all == [0, 1, 2, 3, 4, 5]
}

fn wait(text: &str, members: &[&Member], holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        for member in members {
            if let Ok(Some(status)) = locked(&member.process).try_wait()
                && !status.success()
            {
                fail(&format!("{text}: a member ended: {status}"));
            }
        }
        if Instant::now() > deadline {
            let state: Vec<_> = members.iter().map(|member| member.assigned()).collect();
            let count = consumed(members).len();
            fail(&format!(
                "{text}: not within {PATIENCE:?}; {count} records consumed; members have {state:?}"
            ));
        }
        sleep(Duration::from_millis(20));
    }
}

/// Sends as many more records, numbered on.
fn send(producer: &mut Producer, sent: &mut BTreeMap<At, String>, count: usize) {
    for index in sent.len()..sent.len() + count {
        let record = Record {
            partition: (index % PARTITIONS) as i32,
            timestamp_ms: BASE_TIME_MS + index as i64,
            key: Some(format!("key-{index}").into_bytes()),
            value: Some(format!("value-{index}").into_bytes()),
            ..Record::default()
        };
        sent.insert((i64::from(record.partition), (index / PARTITIONS) as i64), hash_of(&record));
        producer.send(&record);
    }
    producer.finish();
}

pub fn play(options: &Options) {
    let (topic, group) = (format!("{}-work", options.prefix), format!("{}-group", options.prefix));
    create(options, &topic, PARTITIONS as i32);
    let mut sent = BTreeMap::new();
    let mut producer = Producer::new(&options.bootstrap, &topic, "none", false);
    let start = |instance: &str| Member::start(options, &topic, &group, instance);

    // A multiple of the partitions, so that every partition has as many.
    send(&mut producer, &mut sent, options.records / PARTITIONS * PARTITIONS);
    let (first, second, fixed) = (start(""), start(""), start("static-1"));
    let three = [&first, &second, &fixed];
    wait("three members share the partitions", &three, || shared(&three));
    check("members with two partitions each", [2; 3], three.map(|member| member.assigned().len()));
    wait("every record consumed", &three, || consumed(&three).len() == sent.len());
    check("every record consumed, none changed", true, consumed(&three) == sent);

    second.kill();
    let two = [&first, &fixed];
    wait("the killed member's partitions go to the others", &two, || shared(&two));
    check("partitions of the two that stay", [3; 2], two.map(|member| member.assigned().len()));

    let (kept, rebalances) = (fixed.assigned(), first.rebalances());
    fixed.kill();
    let again = start("static-1");
    let two = [&first, &again];
    wait("the static member is back", &two, || !again.assigned().is_empty());
    check("the static member's partitions", &kept, &again.assigned());
    send(&mut producer, &mut sent, MORE * PARTITIONS);
    let everyone = [&first, &second, &fixed, &again];
    wait("new records consumed after that", &two, || consumed(&everyone).len() == sent.len());
    check("every record consumed after that, none changed", true, consumed(&everyone) == sent);
    check("rebalances seen by the other member meanwhile", rebalances, first.rebalances());
    let committed = (sent.len() / PARTITIONS) as i64;
    for partition in &kept {
        let last = locked(&again.told).last.get(partition).copied();
        check(
            &format!("partition {partition} still with the static member"),
            Some(committed - 1),
            last,
        );
    }

    // Both commit before either goes: the one that stays is assigned anew then, and has read nothing.
    two.iter().for_each(|member| member.say("commit"));
    two.iter().for_each(|member| member.say("close"));
    send(&mut producer, &mut sent, MORE * PARTITIONS);
    ask("restart");
    answered("restart");
    // A static member does not leave when it closes, so it is its name that comes back.
    let resumed = start("static-1");
    let left: BTreeMap<At, String> =
        sent.into_iter().filter(|((_, offset), _)| *offset >= committed).collect();
    wait("resumed after the restart", &[&resumed], || consumed(&[&resumed]).len() >= left.len());
    let expected: BTreeMap<i64, i64> =
        (0..PARTITIONS as i64).map(|partition| (partition, committed)).collect();
    check("first offset after the restart, by partition", &expected, &locked(&resumed.told).first);
    check("what was consumed after the restart", true, consumed(&[&resumed]) == left);
    resumed.say("close");
}
