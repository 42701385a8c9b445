//! Open calls: each collects the answers of its parts and is answered once, when the last is in.
//!
//! A part waits in one place at a time ([`Slot`] in a proposed entry, or in line behind a batch
//! in flight), and every way out of that place fills it: committed, refused, or leadership lost.

use std::collections::BTreeMap;

use holdfast_base::{PartitionKey, TopicId};

use crate::request::{AdminRefusal, Answer, Appended, CreatedTopic, Refusal, Ticket};

/// Who waits for a command's outcome.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    Produce { ticket: Ticket, part: usize, partition: PartitionKey },
    DeleteRecords { ticket: Ticket, part: usize, partition: PartitionKey },
    CreateTopic { ticket: Ticket, part: usize },
    DeleteTopic { ticket: Ticket, part: usize, id: TopicId, name: String },
    ProducerIds { ticket: Ticket },
}

type Parts<T, E> = Vec<Option<Result<T, E>>>;

/// The parts of a call; `None` is not known yet.
#[derive(Debug)]
pub(crate) enum Open {
    Produce(Parts<Appended, Refusal>),
    DeleteRecords(Parts<i64, Refusal>),
    CreateTopics(Parts<CreatedTopic, AdminRefusal>),
    DeleteTopics(Parts<(TopicId, String), AdminRefusal>),
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
    pub(crate) fn open_produce(&mut self, ticket: Ticket, count: usize) {
        self.insert(ticket, Open::Produce(parts(count)), count);
    }

    pub(crate) fn open_delete_records(&mut self, ticket: Ticket, count: usize) {
        self.insert(ticket, Open::DeleteRecords(parts(count)), count);
    }

    pub(crate) fn open_create_topics(&mut self, ticket: Ticket, count: usize) {
        self.insert(ticket, Open::CreateTopics(parts(count)), count);
    }

    pub(crate) fn open_delete_topics(&mut self, ticket: Ticket, count: usize) {
        self.insert(ticket, Open::DeleteTopics(parts(count)), count);
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    pub(crate) fn fill_produce(
        &mut self,
        ticket: Ticket,
        part: usize,
        result: Result<Appended, Refusal>,
    ) {
        self.fill(ticket, |open| match open {
            Open::Produce(parts) => set(parts, part, result),
            _ => wrong_kind(),
        });
    }

    pub(crate) fn fill_delete_records(
        &mut self,
        ticket: Ticket,
        part: usize,
        result: Result<i64, Refusal>,
    ) {
        self.fill(ticket, |open| match open {
            Open::DeleteRecords(parts) => set(parts, part, result),
            _ => wrong_kind(),
        });
    }

    pub(crate) fn fill_create_topic(
        &mut self,
        ticket: Ticket,
        part: usize,
        result: Result<CreatedTopic, AdminRefusal>,
    ) {
        self.fill(ticket, |open| match open {
            Open::CreateTopics(parts) => set(parts, part, result),
            _ => wrong_kind(),
        });
    }

    pub(crate) fn fill_delete_topic(
        &mut self,
        ticket: Ticket,
        part: usize,
        result: Result<(TopicId, String), AdminRefusal>,
    ) {
        self.fill(ticket, |open| match open {
            Open::DeleteTopics(parts) => set(parts, part, result),
            _ => wrong_kind(),
        });
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
        let answer = match open {
            Open::Produce(parts) => Answer::Produce(whole(parts)),
            Open::DeleteRecords(parts) => Answer::DeleteRecords(whole(parts)),
            Open::CreateTopics(parts) => Answer::CreateTopics(whole(parts)),
            Open::DeleteTopics(parts) => Answer::DeleteTopics(whole(parts)),
        };
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
