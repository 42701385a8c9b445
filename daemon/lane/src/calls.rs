//! Open calls: each collects the answers of its parts and is answered once, when the last is in.
//!
//! A part waits in one place at a time ([`Slot`] in a proposed entry, or in line behind a batch
//! in flight), and every way out of that place fills it: committed, refused, or leadership lost.

use std::collections::BTreeMap;

use holdfast_base::{PartitionKey, TopicId};
use holdfast_coordinator::GroupError;
use holdfast_log::ObjectId;

use crate::lane::GroupWrite;
use crate::request::{AdminRefusal, Answer, Appended, CreatedTopic, Refusal, Ticket};

/// Who waits for a command's outcome.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    Produce {
        ticket: Ticket,
        part: usize,
        partition: PartitionKey,
    },
    DeleteRecords {
        ticket: Ticket,
        part: usize,
        partition: PartitionKey,
    },
    CreateTopic {
        ticket: Ticket,
        part: usize,
    },
    DeleteTopic {
        ticket: Ticket,
        part: usize,
        id: TopicId,
        name: String,
    },
    ProducerIds {
        ticket: Ticket,
    },
    CreatePartitions {
        ticket: Ticket,
        part: usize,
    },
    AlterConfigs {
        ticket: Ticket,
        part: usize,
    },
    /// A coordinator.
    Group(GroupWrite),
    /// Who deletes a group that only has offsets.
    RemoveGroup {
        ticket: Ticket,
    },
    /// What to answer when it is applied: partitions whose topic is gone are refused already.
    CommitOffsets {
        ticket: Ticket,
        group: String,
        results: Vec<Result<(), GroupError>>,
    },
    DeleteOffsets {
        ticket: Ticket,
        results: Vec<Result<(), GroupError>>,
    },
    /// Nobody: an object's next step follows from it.
    Object {
        object: ObjectId,
    },
    /// Housekeeping: what was not done is found again.
    Nobody,
    /// Nobody: the partition is to be looked at again.
    Configure {
        partition: PartitionKey,
    },
}

type Parts<T, E> = Vec<Option<Result<T, E>>>;

/// One row a kind of call that has parts: what a part is answered with, and the two ways to say so.
macro_rules! calls_of_parts {
    ($($kind:ident($ok:ty, $error:ty) $open:ident $fill:ident;)*) => {
        /// The parts of a call; `None` is not known yet.
        #[derive(Debug)]
        enum Open {
            $($kind(Parts<$ok, $error>),)*
        }

        impl Open {
            fn into_answer(self) -> Answer {
                match self {
                    $(Open::$kind(parts) => Answer::$kind(whole(parts)),)*
                }
            }
        }

        impl Calls {
            $(
                pub(crate) fn $open(&mut self, ticket: Ticket, count: usize) {
                    self.insert(ticket, Open::$kind(parts(count)), count);
                }

                pub(crate) fn $fill(
                    &mut self,
                    ticket: Ticket,
                    part: usize,
                    result: Result<$ok, $error>,
                ) {
                    self.fill(ticket, |open| match open {
                        Open::$kind(parts) => set(parts, part, result),
                        _ => wrong_kind(),
                    });
                }
            )*
        }
    };
}

calls_of_parts! {
    Produce(Appended, Refusal) open_produce fill_produce;
    DeleteRecords(i64, Refusal) open_delete_records fill_delete_records;
    CreateTopics(CreatedTopic, AdminRefusal) open_create_topics fill_create_topic;
    DeleteTopics((TopicId, String), AdminRefusal) open_delete_topics fill_delete_topic;
    CreatePartitions((), AdminRefusal) open_create_partitions fill_create_partitions;
    AlterConfigs((), AdminRefusal) open_alter_configs fill_alter_configs;
}

/// All open calls and the answers ready to go.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: BTreeMap<Ticket, (Open, usize)>,
    answers: Vec<(Ticket, Answer)>,
}

fn parts<T, E>(count: usize) -> Parts<T, E> {
    std::iter::repeat_with(|| None).take(count).collect()
}

fn whole<T, E>(parts: Parts<T, E>) -> Vec<Result<T, E>> {
    parts
        .into_iter()
        .map(|part| part.expect("a call is answered when no part is missing"))
        .collect()
}

impl Calls {
    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    pub(crate) fn take_answers(&mut self, answers: &mut Vec<(Ticket, Answer)>) {
        answers.append(&mut self.answers);
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    fn insert(&mut self, ticket: Ticket, open: Open, count: usize) {
        let old = self.open.insert(ticket, (open, count));
        assert!(old.is_none(), "a ticket is used once");
        if count == 0 {
            self.finish(ticket);
        }
    }

    fn fill(&mut self, ticket: Ticket, set: impl FnOnce(&mut Open)) {
        let (open, left) =
            self.open.get_mut(&ticket).expect("a slot exists only while its call is open");
        set(open);
        *left -= 1;
        if *left == 0 {
            self.finish(ticket);
        }
    }

    fn finish(&mut self, ticket: Ticket) {
        let Some((open, _)) = self.open.remove(&ticket) else { return };
        let answer = open.into_answer();
        self.answers.push((ticket, answer));
    }
}

fn set<T, E>(parts: &mut Parts<T, E>, part: usize, result: Result<T, E>) {
    assert!(parts[part].is_none(), "a part is answered once");
    parts[part] = Some(result);
}

fn wrong_kind() {
    unreachable!("a slot is made for the kind of call that made it");
}
