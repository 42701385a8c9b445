//! Lines of groups' members, and of those who only look at committed offsets.
//!
//! | line | event |
//! | --- | --- |
//! | `group NAME MEMBER` | none: whom the next lines are about |
//! | `asking PARTITIONS` | committed offsets of the first so many partitions are asked for |
//! | `shown PARTITION OFFSET VALUE` | one of them; VALUE is that of the commit |
//! | `asked` | the answer was complete |
//! | `unasked WHY` | there was none |
//! | `assigned PARTITION...` | a poll invoked for each: its first record shows where the group goes on |
//! | `taken PARTITION OFFSET VALUE` | a record given to the member |
//! | `commit VALUE GENERATION PARTITION OFFSET...` | commit invoked; generation -1: not told |
//! | `committed VALUE` | commit acknowledged |
//! | `unsure VALUE WHY` | nobody knows |
//!
//! Records become polls when another line of that member follows: they are in the history before
//! the commit that covers them.

use std::collections::BTreeMap;
use std::str::Split;

use holdfast_checker::{Commit, Committed, Kind, Mode, OffsetFetch, Op, Poll};

use super::{DAMAGED, Inner, Speaker, partition_name};

/// What is open of a process that tells of a group.
#[derive(Debug, Default)]
pub(super) struct Membership {
    group: String,
    member: String,
    fetch: Option<(u64, OffsetFetch)>,
    commit: Option<(u64, Commit)>,
    places: BTreeMap<i64, Place>,
}

/// A partition as a member reads it.
#[derive(Debug, Default)]
struct Place {
    /// The poll invoked at the assignment, until its first record.
    resume_call: Option<u64>,
    /// Behind the last record since the assignment.
    next: Option<i64>,
    records: Vec<(i64, u64)>,
}

impl Inner {
    pub(super) fn take_of_member(
        &mut self,
        speaker: &Speaker,
        word: &str,
        mut words: Split<'_, char>,
    ) -> Option<()> {
        let process = speaker.process;
        if word == "group" {
            self.flush_polls(speaker);
            let known = self.members.entry(process).or_default();
            known.group = words.next()?.to_owned();
            known.member = words.next()?.to_owned();
            return Some(());
        }
        if word == "taken" {
            let partition = words.next()?.parse().ok()?;
            let offset = words.next()?.parse().ok()?;
            let value = words.next()?;
            let value = if value == "damaged" { DAMAGED } else { value.parse().ok()? };
            let known = self.members.get_mut(&process)?;
            known.places.entry(partition).or_default().records.push((offset, value));
            return Some(());
        }
        self.flush_polls(speaker);
        let call = self.next_call(process);
        let known = self.members.get_mut(&process)?;
        let (call, kind, op) = match word {
            "asking" => {
                let partitions = 0..words.next()?.parse::<i64>().ok()?;
                let fetch = OffsetFetch {
                    group: known.group.clone(),
                    partitions: partitions.map(|one| partition_name(&speaker.topic, one)).collect(),
                    offsets: Vec::new(),
                };
                let asked = OffsetFetch { offsets: Vec::new(), ..fetch.clone() };
                known.fetch = Some((call, fetch));
                (call, Kind::Invoke, Op::FetchOffsets(asked))
            }
            "shown" => {
                let (_, fetch) = known.fetch.as_mut()?;
                fetch.offsets.push(Committed {
                    partition: partition_name(&speaker.topic, words.next()?.parse().ok()?),
                    offset: words.next()?.parse().ok()?,
                    // A text that is none of ours: the checker calls it invented.
                    value: words.next()?.parse().unwrap_or(0),
                });
                return Some(());
            }
            "asked" => {
                let (call, fetch) = known.fetch.take()?;
                self.tally(process).looks += 1;
                (call, Kind::Ok, Op::FetchOffsets(fetch))
            }
            "unasked" => {
                let (call, fetch) = known.fetch.take()?;
                (call, Kind::Info, Op::FetchOffsets(fetch))
            }
            "assigned" => {
                let partitions: Vec<i64> =
                    words.map(|one| one.parse().ok()).collect::<Option<_>>()?;
                partitions.into_iter().for_each(|one| self.assigned(speaker, one));
                return Some(());
            }
            "commit" => {
                let value = words.next()?.parse().ok()?;
                let generation = words.next()?.parse().ok()?;
                let mut offsets = Vec::new();
                while let Some(partition) = words.next() {
                    let partition = partition_name(&speaker.topic, partition.parse().ok()?);
                    offsets.push((partition, words.next()?.parse().ok()?));
                }
                let (group, member) = (known.group.clone(), known.member.clone());
                let commit = Commit { group, member, generation, value, offsets };
                known.commit = Some((call, commit.clone()));
                (call, Kind::Invoke, Op::Commit(commit))
            }
            "committed" | "unsure" => {
                let value: u64 = words.next()?.parse().ok()?;
                let (call, commit) = known.commit.take_if(|(_, commit)| commit.value == value)?;
                let is_done = word == "committed";
                self.tally(process).commits += u64::from(is_done);
                let kind = if is_done { Kind::Ok } else { Kind::Info };
                (call, kind, Op::Commit(commit))
            }
            _ => return None,
        };
        self.push(process, call, kind, op);
        Some(())
    }

    /// It is gone: its records count, its calls stay without an answer.
    pub(super) fn membership_ended(&mut self, speaker: &Speaker) {
        self.flush_polls(speaker);
        let Some(known) = self.members.remove(&speaker.process) else { return };
        let fetch = known.fetch.map(|(call, fetch)| {
            (call, Op::FetchOffsets(OffsetFetch { offsets: Vec::new(), ..fetch }))
        });
        let commit = known.commit.map(|(call, commit)| (call, Op::Commit(commit)));
        for (call, op) in fetch.into_iter().chain(commit) {
            self.push(speaker.process, call, Kind::Info, op);
        }
    }

    /// From here on the client asks for the committed offset and reads on from there.
    fn assigned(&mut self, speaker: &Speaker, partition: i64) {
        let call = self.next_call(speaker.process);
        let Some(known) = self.members.get_mut(&speaker.process) else { return };
        let fresh = Place { resume_call: Some(call), ..Place::default() };
        known.places.insert(partition, fresh);
        let poll = Poll {
            partition: partition_name(&speaker.topic, partition),
            mode: Mode::Subscribe,
            group: Some(known.group.clone()),
            ..Poll::default()
        };
        self.push(speaker.process, call, Kind::Invoke, Op::Poll(poll));
    }

    fn flush_polls(&mut self, speaker: &Speaker) {
        let mut polls = Vec::new();
        let Some(known) = self.members.get_mut(&speaker.process) else { return };
        for (partition, place) in &mut known.places {
            let records = std::mem::take(&mut place.records);
            let Some((last, _)) = records.last() else { continue };
            let position = place.next.replace(last + 1);
            let poll = Poll {
                partition: partition_name(&speaker.topic, *partition),
                mode: Mode::Subscribe,
                group: Some(known.group.clone()),
                position,
                records,
                ..Poll::default()
            };
            polls.push((place.resume_call.take(), poll));
        }
        for (call, poll) in polls {
            let call = call.unwrap_or_else(|| self.next_call(speaker.process));
            self.push(speaker.process, call, Kind::Ok, Op::Poll(poll));
        }
    }
}
