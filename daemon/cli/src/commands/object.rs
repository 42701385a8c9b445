//! `holdfast object inspect`: what lies in an object store, told by its footers, without a node.
//!
//! ```text
//! URL            ─▶ LIST ─▶ GET each tail ─▶ a line an object
//! URL KEY        ─▶ GET its tail          ─▶ a line a partition; --verify reads all of it
//! URL --residue  ─▶ LIST ─▶ GET each tail ─▶ objects that still hold the topic; exit code 3 if any
//! ```
//!
//! Invariant: an object whose footer cannot be read is never counted as one that holds nothing.
//!
//! Caveat: `--residue` looks at records. The states of shards under `state/` name topic ids and no
//! records, and the write-ahead log of a node is looked at by `holdfast wal residue`.

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};
use holdfast_base::TopicId;
use holdfast_tier::store::{Listed, Patience, Store, StoreError, open};
use holdfast_tier::{Footer, ObjectError, StoreKey, Tail, tail_range, verify_object};
use serde_json::{Value, json};

use crate::args::Shown;
use crate::bucket::BucketArgs;
use crate::commands::wal::topic_id;
use crate::errors::{CliError, Kind, Result};
use crate::output::{Answer, Table, counted, size};

/// Objects asked for with one LIST.
const PAGE: usize = 1_000;

/// `holdfast object ...`
#[derive(Subcommand, Debug)]
pub(crate) enum ObjectCommand {
    /// Objects of a store with what they hold; nothing is written
    Inspect(InspectArgs),
}

/// Options of `object inspect`.
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    bucket: BucketArgs,
    /// One object by its key, with its partitions.
    #[arg(value_name = "KEY", conflicts_with = "residue")]
    key: Option<String>,
    /// Read every byte of the object and check it.
    #[arg(long, requires = "key")]
    verify: bool,
    /// Only objects that hold records of this topic; exit code 3 if there is one.
    #[arg(long, value_name = "TOPIC-ID", value_parser = topic_id)]
    residue: Option<TopicId>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(command: ObjectCommand) -> Result<()> {
    let ObjectCommand::Inspect(args) = command;
    let not_read = |why: String| {
        CliError::failed(format!("the store {} cannot be read", args.bucket.url), why)
            .try_next("check the URL, --endpoint, --credentials and --ca")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| not_read(error.to_string()))?;
    let store = open(&args.bucket.url, &args.bucket.options(), Patience::READING)
        .map_err(|error| not_read(error.to_string()))?;
    runtime.block_on(async {
        match (&args.key, &args.residue) {
            (Some(key), _) => inspect_one(&*store, key, args.verify, &args.shown, not_read).await,
            (None, residue) => inspect_all(&*store, *residue, &args, not_read).await,
        }
    })
}

/// An object, or why it cannot be read.
struct Found {
    key: StoreKey,
    len_bytes: u64,
    footer: std::result::Result<Footer, String>,
}

impl Found {
    /// Partitions of a topic with records in it.
    fn of_topic(&self, topic: TopicId) -> usize {
        let Ok(footer) = &self.footer else { return 0 };
        footer.partitions().filter(|row| row.partition.topic == topic).count()
    }

    fn value(&self) -> Value {
        match &self.footer {
            Ok(footer) => {
                let (head, trailer) = (footer.head(), footer.trailer());
                json!({
                    "key": self.key.as_str(), "object_bytes": self.len_bytes,
                    "shard": head.identity.shard.0, "first_index": head.first_index.0,
                    "last_index": head.last_index.0, "created_ms": head.created_ms,
                    "partitions": trailer.partitions, "blocks": trailer.blocks,
                    "batches": trailer.batches,
                })
            }
            Err(why) => json!({
                "key": self.key.as_str(), "object_bytes": self.len_bytes, "unreadable": why,
            }),
        }
    }
}

/// All objects below a store's prefix; what is not an object by its name is counted.
async fn objects(store: &dyn Store) -> std::result::Result<(Vec<Found>, u64), StoreError> {
    let (mut found, mut others) = (Vec::new(), 0);
    let mut after: Option<StoreKey> = None;
    loop {
        let page = store.list("", after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok((found, others)) };
        after = Some(last.key.clone());
        for listed in page {
            if listed.key.identity().is_none() {
                others += 1;
                continue;
            }
            let footer = footer_of(store, &listed).await;
            found.push(Found { key: listed.key, len_bytes: listed.len_bytes, footer });
        }
    }
}

async fn footer_of(store: &dyn Store, listed: &Listed) -> std::result::Result<Footer, String> {
    let identity = listed.key.identity().ok_or("its key is not one of an object")?;
    let object_error = |error: ObjectError| error.to_string();
    let mut range = tail_range(listed.len_bytes);
    // The trailer says where the footer begins: once more at most.
    for _ in 0..2 {
        if range.is_empty() {
            return Err("it is empty".to_owned());
        }
        let tail =
            store.get(&listed.key, range.clone()).await.map_err(|error| error.to_string())?;
        match Footer::from_tail(&identity, listed.len_bytes, &tail).map_err(object_error)? {
            Tail::Footer(footer) => return Ok(footer),
            Tail::ReadFrom(from) => range = from..listed.len_bytes,
        }
    }
    Err("its footer is not where its trailer says".to_owned())
}

async fn inspect_all(
    store: &dyn Store,
    residue: Option<TopicId>,
    args: &InspectArgs,
    not_read: impl Fn(String) -> CliError,
) -> Result<()> {
    let (mut found, others) = objects(store).await.map_err(|error| not_read(error.to_string()))?;
    let all = found.len() as u64;
    let unreadable = found.iter().filter(|one| one.footer.is_err()).count() as u64;
    if let Some(topic) = residue {
        found.retain(|one| one.of_topic(topic) > 0 || one.footer.is_err());
    }
    let mut table =
        Table::new(&["KEY", ">SHARD", ">ENTRIES", ">PARTITIONS", ">BATCHES", ">SIZE", "STATE"]);
    for one in &found {
        let (shard, entries, partitions, batches, state) = match &one.footer {
            Ok(footer) => {
                let (head, trailer) = (footer.head(), footer.trailer());
                (
                    head.identity.shard.0.to_string(),
                    format!("{}..{}", head.first_index, head.last_index),
                    trailer.partitions.to_string(),
                    trailer.batches.to_string(),
                    "ok".to_owned(),
                )
            }
            Err(why) => (String::new(), String::new(), String::new(), String::new(), why.clone()),
        };
        let len = size(one.len_bytes as f64);
        table.row([one.key.to_string(), shard, entries, partitions, batches, len, state]);
    }
    let holding = found.len() as u64 - unreadable;
    let bytes: u64 = found.iter().map(|one| one.len_bytes).sum();
    let mut value = json!({
        "store": args.bucket.url, "objects_read": all, "unreadable": unreadable,
        "other_keys": others, "objects": found.iter().map(Found::value).collect::<Vec<_>>(),
    });
    let summary = match residue {
        Some(topic) => {
            value["topic_id"] = json!(topic.to_string());
            format!("{holding} of {} hold records of {topic}", counted(all, "object"))
        }
        None => format!("{}, {} in all", counted(all, "object"), size(bytes as f64)),
    };
    let names = found.iter().map(|one| one.key.to_string());
    Answer::new(value).table(table).line(summary).names(names).print(args.shown.format)?;
    let unhealthy = |what: String| CliError::new(Kind::Unhealthy, what);
    if unreadable > 0 {
        let what = format!("{} cannot be read", counted(unreadable, "object"));
        return Err(unhealthy(what)
            .why("their footers are missing, damaged, or of another build")
            .try_next("look at each with `holdfast object inspect URL KEY --verify`"));
    }
    match residue {
        Some(topic) if holding > 0 => Err(unhealthy(format!(
            "records of topic {topic} are in {}",
            counted(holding, "object")
        ))
        .why("the topic lives, or was deleted less than the deletion delay ago")
        .try_next("look again after the delay; holdfast_store_failing tells if the store is away")),
        _ => Ok(()),
    }
}

async fn inspect_one(
    store: &dyn Store,
    key: &str,
    verify: bool,
    shown: &Shown,
    not_read: impl Fn(String) -> CliError,
) -> Result<()> {
    let key = StoreKey::new(key).map_err(|error| not_read(error.to_string()))?;
    let directory = key.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
    // A LIST tells the length: nothing else of a store does, and the reader believes no other.
    let mut after: Option<StoreKey> = None;
    let listed = loop {
        let page = store.list(directory, after.as_ref(), PAGE).await;
        let page = page.map_err(|error| not_read(error.to_string()))?;
        if let Some(listed) = page.iter().find(|listed| listed.key == key) {
            break listed.clone();
        }
        match page.last() {
            Some(last) if last.key < key => after = Some(last.key.clone()),
            _ => return Err(not_read(format!("there is no object {key}"))),
        }
    };
    let damaged = |why: String| {
        CliError::failed(format!("object {key} cannot be believed"), why)
            .try_next("keep it as evidence; records of its offsets may still be in a node's log")
    };
    let footer = if verify {
        let bytes = store.get(&key, 0..listed.len_bytes).await;
        let bytes = bytes.map_err(|error| not_read(error.to_string()))?;
        let footer = verify_object(&bytes).map_err(|error| damaged(error.to_string()))?;
        if key.identity() != Some(footer.head().identity) {
            return Err(damaged("it is whole, and another object than its key says".to_owned()));
        }
        footer
    } else {
        footer_of(store, &listed).await.map_err(damaged)?
    };
    let mut table =
        Table::new(&["TOPIC-ID", ">PARTITION", ">FROM", ">TO", ">BATCHES", ">BLOCKS", ">SIZE"]);
    let mut rows = Vec::new();
    for row in footer.partitions() {
        let (topic, partition) = (row.partition.topic.to_string(), row.partition.partition);
        rows.push(json!({
            "topic_id": topic, "partition": partition, "base_offset": row.base_offset,
            "last_offset": row.last_offset, "batches": row.batches, "blocks": row.blocks,
            "blocks_bytes": row.len_bytes, "max_timestamp_ms": row.max_timestamp_ms,
        }));
        table.row([
            topic,
            partition.to_string(),
            row.base_offset.to_string(),
            row.last_offset.to_string(),
            row.batches.to_string(),
            row.blocks.to_string(),
            size(f64::from(row.len_bytes)),
        ]);
    }
    let found = Found { key: key.clone(), len_bytes: listed.len_bytes, footer: Ok(footer) };
    let mut value = found.value();
    value["verified"] = json!(verify);
    value["partitions"] = json!(rows);
    let checked = if verify { "every byte of it was checked" } else { "its footer was checked" };
    let names = std::iter::once(key.to_string());
    Answer::new(value).table(table).line(checked).names(names).print(shown.format)
}
