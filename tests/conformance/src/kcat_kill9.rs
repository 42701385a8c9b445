//! kcat produces 10,000 records with each codec and with none; the broker is killed with SIGKILL;
//! started again; kcat consumes. Count, order within each partition, offsets and bytes must be what
//! was sent.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use holdfast_bench::client::Client;

use crate::node::{Options, Place};
use crate::{Outcome, Result};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const RECORDS: usize = 10_000;
const PARTITIONS: i32 = 3;

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    if Command::new("kcat").arg("-V").stdout(Stdio::null()).status().is_err() {
        return Ok(Outcome::Skipped("kcat is not installed".into()));
    }
    let place = Place::fresh(options.kind(&[])?, options.work.join("kcat"))?;
    let running = place.start()?;
    let mut client = Client::connect(running.address).map_err(|error| error.to_string())?;
    let mut sent = BTreeMap::new();
    for codec in CODECS {
        let topic = format!("codec-{codec}");
        client.create_topic_and_wait(&topic, PARTITIONS).map_err(|error| error.to_string())?;
        let mut records = records(codec);
        produce(running.address, &topic, codec, &records)?;
        records.sort();
        sent.insert(topic, records);
    }
    println!("{} records acknowledged; kill -9 {}", RECORDS * CODECS.len(), running.pid());
    let address = running.address;
    running.kill().map_err(|error| error.to_string())?;
    let running = place.start()?;
    println!("started again: first answer after {:.3} s", running.start_seconds);
    for (topic, records) in &sent {
        let back = consume(address, topic)?;
        compare(topic, records, &back)?;
    }
    running.stop().map_err(|error| error.to_string())?;
    Ok(Outcome::Passed)
}

/// Lines of different lengths, each of them once.
fn records(codec: &str) -> Vec<String> {
    let line = |index: usize| {
        let filler = "holdfast ".repeat(1 + index % 40);
        format!("{codec}-{index:06}-{filler}{}", index.wrapping_mul(2_654_435_761))
    };
    (0..RECORDS).map(line).collect()
}

fn produce(address: SocketAddr, topic: &str, codec: &str, records: &[String]) -> Result<()> {
    let mut command = Command::new("kcat");
    command.args(["-P", "-b", &address.to_string(), "-t", topic, "-z", codec, "-E"]);
    command.args(["-X", "acks=all", "-X", "linger.ms=5", "-X", "message.timeout.ms=60000"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("kcat: {error}"))?;
    let mut input = child.stdin.take().ok_or("kcat has no standard input")?;
    let text = records.join("\n") + "\n";
    input.write_all(text.as_bytes()).map_err(|error| format!("kcat: {error}"))?;
    drop(input);
    let out = child.wait_with_output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() || told.contains("ERROR") {
        return Err(format!("kcat could not produce with {codec}: {}: {told}", out.status));
    }
    Ok(())
}

/// (partition, offset, value) of everything in the topic.
fn consume(address: SocketAddr, topic: &str) -> Result<Vec<(i32, i64, String)>> {
    let out = Command::new("kcat")
        .args(["-C", "-b", &address.to_string(), "-t", topic, "-o", "beginning", "-e", "-q"])
        .args(["-X", "check.crcs=true", "-f", "%p %o %s\n"])
        .output()
        .map_err(|error| format!("kcat: {error}"))?;
    if !out.status.success() {
        let told = String::from_utf8_lossy(&out.stderr);
        return Err(format!("kcat could not consume {topic}: {}: {told}", out.status));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let parse = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let partition = parts.next()?.parse().ok()?;
        let offset = parts.next()?.parse().ok()?;
        Some((partition, offset, parts.next()?.to_owned()))
    };
    let parsed = text.lines().map(|line| parse(line).ok_or(format!("kcat printed {line:?}")));
    parsed.collect()
}

fn compare(topic: &str, sent: &[String], back: &[(i32, i64, String)]) -> Result<()> {
    let mut next = BTreeMap::new();
    for (partition, offset, _) in back {
        let expected = next.entry(*partition).or_insert(0);
        if offset != expected {
            return Err(format!(
                "{topic}, partition {partition}: offset {expected} is missing, {offset} came"
            ));
        }
        *expected += 1;
    }
    let mut values: Vec<&str> = back.iter().map(|(_, _, value)| value.as_str()).collect();
    values.sort_unstable();
    let hash = |lines: &mut dyn Iterator<Item = &str>| {
        lines.fold(0, |crc, line| crc32c::crc32c_append(crc, line.as_bytes()))
    };
    let wanted = hash(&mut sent.iter().map(String::as_str));
    let found = hash(&mut values.iter().copied());
    println!("{topic:<14} sent {} ({wanted:08x}), back {} ({found:08x})", sent.len(), values.len());
    if sent.len() == values.len() && sent.iter().zip(&values).all(|(sent, back)| sent == back) {
        return Ok(());
    }
    Err(format!("{topic}: what came back after kill -9 is not what was acknowledged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_doubled_and_a_changed_record_are_each_found() {
        let sent = vec!["a".to_owned(), "b".into()];
        let good = vec![(0, 0, "a".to_owned()), (0, 1, "b".into())];
        assert!(compare("t", &sent, &good).is_ok());
        assert!(compare("t", &sent, &good[..1]).is_err());
        assert!(compare("t", &sent, &[good.clone(), vec![(0, 2, "b".into())]].concat()).is_err());
        assert!(compare("t", &sent, &[good[0].clone(), (0, 1, "c".into())]).is_err());
        assert!(compare("t", &sent, &[good[0].clone(), (0, 2, "b".into())]).is_err());
    }
}
