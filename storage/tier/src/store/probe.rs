//! What a store does, ignores and refuses: asked with objects of the probe's own, which are deleted.
//!
//! ```text
//! PUT ─▶ ranged GET ─▶ LIST ─▶ its order, its pages ─▶ parts ─▶ parts given up ─▶ DELETE, of nothing too
//!  │ a bucket also:  If-None-Match, a wrong checksum, a wrong body, Date, versioning, object lock
//!  └─ fails? nothing else is asked                            ─▶ is anything left of us?
//! ```
//!
//! Idea: Holdfast needs little of a store, so that whatever a site has will do; a probe says which of it
//! is there before records depend on it, and what an operator should know beside it. What is needed and
//! not there makes the store not usable; the rest are notes.
//!
//! Invariants: everything is put below one directory of the probe's own, of a name that nobody else has,
//! and is deleted at the end whatever happened. Nothing of the site's is read or listed.
//!
//! Caveat: one pass on a quiet store. That it keeps what it took over a power cut, nobody can ask it.

mod bucket;

use std::sync::Arc;

use bytes::Bytes;

use super::s3::Answers;
use super::{Bucket, ObjectStoreAdapter, Patience, S3Options, Store, StoreError, StoreErrorKind};
use crate::key::StoreKey;
use crate::limits::PART_BYTES;

/// How it stands with one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// As it should be.
    Good,
    /// Not, and Holdfast works all the same.
    Note,
    /// Not, and Holdfast needs it.
    Missing,
}

impl Standing {
    /// One word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Standing::Good => "ok",
            Standing::Note => "note",
            Standing::Missing => "missing",
        }
    }
}

/// How much is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Small objects alone: what a node does to a store it goes on with.
    Light,
    /// An object of parts of 8 MiB too.
    Full,
}

/// One thing that was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Short and stable.
    pub name: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was seen, and what it means.
    pub found: String,
}

/// All that was asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// In the order they were asked.
    pub findings: Vec<Finding>,
    /// What the store calls itself, where it says.
    pub server: Option<String>,
}

impl Report {
    /// One line for all of it.
    #[must_use]
    pub fn verdict(&self) -> String {
        let names = |standing| {
            let of = self.findings.iter().filter(|finding| finding.standing == standing);
            of.map(|finding| finding.name).collect::<Vec<_>>()
        };
        match (names(Standing::Missing), names(Standing::Note)) {
            (missing, _) if !missing.is_empty() => format!("not usable: {}", missing.join(", ")),
            (_, notes) if !notes.is_empty() => format!("usable with notes: {}", notes.join(", ")),
            _ => "usable".to_owned(),
        }
    }

    /// Nothing that is needed is missing.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.findings.iter().any(|finding| finding.standing == Standing::Missing)
    }

    fn add(&mut self, name: &'static str, standing: Standing, found: impl Into<String>) {
        self.findings.push(Finding { name, standing, found: found.into() });
    }

    /// Good, or `otherwise` with what went wrong.
    fn judge(&mut self, name: &'static str, otherwise: Standing, result: Result<String, String>) {
        match result {
            Ok(found) => self.add(name, Standing::Good, found),
            Err(found) => self.add(name, otherwise, found),
        }
    }
}

/// Asks the store of a URL. `id` names the probe's directory; `wall_s` is the time, for its clock.
///
/// # Errors
/// When the store cannot be opened; what it then does is in the report.
pub async fn probe(
    url: &str,
    options: &S3Options,
    id: u64,
    wall_s: impl Fn() -> i64,
    depth: Depth,
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let directory = format!("holdfast-probe-{id:016x}");
    if !url.starts_with("s3://") {
        let store = super::open(url, options, Patience::WRITING)?;
        if of_all(&*store, &directory, &mut report, depth).await {
            clean_up(&*store, &directory, &mut report).await;
        }
        return Ok(report);
    }
    let bucket = Bucket::parse(url).map_err(|why| {
        StoreError::new(StoreErrorKind::Unsupported, format!("opening the store {url:?}"), why)
    })?;
    let answers = Answers::default();
    let client = super::s3::client(url, &bucket, options, Patience::WRITING, &answers)?;
    let inside = match bucket.prefix.as_str() {
        "" => directory,
        prefix => format!("{prefix}/{directory}"),
    };
    // Without `ordered`: the order is what is asked.
    let store = ObjectStoreAdapter::new(Arc::new(client));
    let before_s = wall_s();
    let goes_on = of_all(&store, &inside, &mut report, depth).await;
    let seen = answers.seen();
    report.server = seen.server;
    if goes_on {
        let asked = bucket::Asked { bucket: &bucket, options, directory: &inside };
        asked.run(&mut report).await?;
    }
    let now_s = wall_s();
    if let Some(date) = seen.date {
        // Its answer came in between.
        let (standing, found) = bucket::clock(&date, before_s, now_s);
        report.add("clock", standing, found);
    }
    if goes_on {
        clean_up(&store, &inside, &mut report).await;
    }
    Ok(report)
}

fn key(directory: &str, name: &str) -> StoreKey {
    StoreKey::joined(format!("{directory}/{name}"))
}

/// What every store is asked; `false` when there is no use in going on.
async fn of_all(store: &dyn Store, directory: &str, report: &mut Report, depth: Depth) -> bool {
    let body = Bytes::from_static(b"holdfast looks at this store and deletes this object");
    let first = key(directory, "b");
    if let Err(error) = store.put(&first, vec![body.clone()]).await {
        report.add("put", Standing::Missing, error.to_string());
        return false;
    }
    report.add("put", Standing::Good, "an object is taken");
    let ranged = ranged_get(store, &first, &body).await;
    report.judge("ranged-get", Standing::Missing, ranged);
    listing(store, directory, report).await;
    if depth == Depth::Full {
        let parts = in_parts(store, &key(directory, "parts")).await;
        report.judge("multipart", Standing::Missing, parts);
    }
    let deleted = deletion(store, &first).await;
    report.judge("delete", Standing::Missing, deleted);
    let of_nothing = store.delete(&key(directory, "never-put")).await;
    let of_nothing = of_nothing.map(|()| "deleting nothing is no error".to_owned());
    report.judge("delete-of-nothing", Standing::Missing, of_nothing.map_err(|e| e.to_string()));
    true
}

async fn ranged_get(store: &dyn Store, key: &StoreKey, body: &Bytes) -> Result<String, String> {
    let got = store.get(key, 9..14).await.map_err(|error| error.to_string())?;
    if got != body.slice(9..14) {
        return Err("other bytes came than lie in that range".to_owned());
    }
    match store.get(key, 9..body.len() as u64 + 5).await {
        Err(error) if error.kind() == StoreErrorKind::OutOfRange => {
            Ok("exactly the bytes of a range; one behind the end is told".to_owned())
        }
        Err(error) => Err(format!("a range behind the end: {error}")),
        Ok(_) => Err("a range behind the end brought bytes that were never put".to_owned()),
    }
}

async fn listing(store: &dyn Store, directory: &str, report: &mut Report) {
    // In the order of bytes: where a walk through directories goes another way.
    let names = ["a-1", "a/1", "a1", "b"];
    for name in ["a1", "a/1", "a-1"] {
        if let Err(error) = store.put(&key(directory, name), vec![Bytes::from_static(b"x")]).await {
            report.add("list", Standing::Missing, error.to_string());
            return;
        }
    }
    let expected: Vec<StoreKey> = names.iter().map(|name| key(directory, name)).collect();
    match store.list(directory, None, usize::MAX).await {
        Ok(listed) => {
            let listed: Vec<StoreKey> = listed.into_iter().map(|one| one.key).collect();
            let lacking = expected.iter().filter(|key| !listed.contains(key)).count();
            match lacking {
                0 => report.add("list", Standing::Good, "lists what was just put"),
                _ => report.add(
                    "list",
                    Standing::Note,
                    format!("{lacking} of {} objects just put are not listed yet", names.len()),
                ),
            }
        }
        Err(error) => {
            report.add("list", Standing::Missing, error.to_string());
            return;
        }
    }
    match store.list(directory, Some(&expected[1]), usize::MAX).await {
        Ok(rest) if rest.iter().map(|one| &one.key).eq(&expected[2..]) => {
            report.add("list-from", Standing::Good, "goes on behind a key");
        }
        Ok(_) => report.add("list-from", Standing::Missing, "does not go on behind a key"),
        Err(error) => report.add("list-from", Standing::Missing, error.to_string()),
    }
}

async fn in_parts(store: &dyn Store, key: &StoreKey) -> Result<String, String> {
    let part = Bytes::from((0..PART_BYTES).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
    let put = async {
        let mut upload = store.begin_upload(key).await?;
        upload.put_part(vec![part.clone()]).await?;
        upload.put_part(vec![Bytes::from_static(b"the end")]).await?;
        upload.complete().await?;
        store.get(key, PART_BYTES - 3..PART_BYTES + 7).await
    };
    let seam = put.await.map_err(|error| error.to_string())?;
    let mut expected = part[part.len() - 3..].to_vec();
    expected.extend_from_slice(b"the end");
    match seam == expected {
        true => Ok("an object of parts of 8 MiB is whole".to_owned()),
        false => Err("an object of two parts has other bytes at its seam".to_owned()),
    }
}

async fn deletion(store: &dyn Store, key: &StoreKey) -> Result<String, String> {
    store.delete(key).await.map_err(|error| error.to_string())?;
    match store.get(key, 0..1).await {
        Err(error) if error.kind() == StoreErrorKind::NotFound => {
            Ok("a deleted object is gone".to_owned())
        }
        Err(error) => Err(format!("reading a deleted object: {error}")),
        Ok(_) => Err("a deleted object can still be read".to_owned()),
    }
}

/// Deletes all there is in the probe's directory, and looks once more.
async fn clean_up(store: &dyn Store, directory: &str, report: &mut Report) {
    let cleaned = async {
        for listed in store.list(directory, None, usize::MAX).await? {
            store.delete(&listed.key).await?;
        }
        // Also what a listing that lags does not show.
        for name in ["a-1", "a/1", "a1", "b", "parts", bucket::CONDITIONAL, bucket::CHECKED] {
            store.delete(&key(directory, name)).await?;
        }
        store.list(directory, None, usize::MAX).await
    };
    match cleaned.await {
        Ok(left) if left.is_empty() => {
            report.add("clean-up", Standing::Good, "nothing of this probe is left");
        }
        Ok(left) => {
            let found = format!("{} objects below {directory} are still listed", left.len());
            report.add("clean-up", Standing::Note, found);
        }
        Err(error) => {
            let found = format!("objects below {directory} are left; delete them: {error}");
            report.add("clean-up", Standing::Note, found);
        }
    }
}

#[cfg(test)]
mod tests;
