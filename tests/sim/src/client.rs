//! The kinds of clients, each in a file of its own, and what a seed asks of any of them.
//!
//! | kind | does | ends when |
//! | --- | --- | --- |
//! | `producer` | writes one partition, in order | its batches are told |
//! | `reader` | reads one partition; the final ones read all of it | told to; final: at the end |
//! | `admin` | topics, DeleteRecords | told to |
//! | `group` | a member of a consumer group: consumes and commits | with the seed |
//!
//! A new kind is a variant here and a file: it calls with [`World::call`], sleeps with
//! [`Event::Wake`](crate::world::Event::Wake) and tells the history what it did.

use holdfast_lane::Ticket;

use crate::admin::Admin;
use crate::group::Member;
use crate::producer::Producer;
use crate::reader::Reader;
use crate::world::{Ended, World};

/// See the module.
#[derive(Debug)]
pub(crate) enum Client {
    Producer(Producer),
    Reader(Reader),
    Admin(Admin),
    Member(Box<Member>),
}

impl Client {
    /// Its pause is over.
    pub(crate) fn wake(&mut self, world: &mut World) {
        match self {
            Client::Producer(producer) => producer.wake(world),
            Client::Reader(reader) => reader.wake(world),
            Client::Admin(admin) => admin.wake(world),
            Client::Member(member) => member.wake(world),
        }
    }

    /// One of its calls to a node has ended.
    pub(crate) fn ended(&mut self, ticket: Ticket, node: usize, ended: Ended, world: &mut World) {
        match self {
            Client::Producer(producer) => producer.ended(ticket, node, ended, world),
            Client::Reader(reader) => reader.ended(ticket, node, ended, world),
            Client::Admin(admin) => admin.ended(ticket, ended, world),
            Client::Member(member) => member.ended(ticket, node, ended, world),
        }
    }

    /// No new work; what is open is still brought to an end.
    pub(crate) fn end(&mut self) {
        match self {
            Client::Producer(producer) => producer.end(),
            Client::Reader(reader) => reader.end(),
            Client::Admin(admin) => admin.end(),
            Client::Member(member) => member.end(),
        }
    }

    /// Whether the work it was given is done; the faults last until all of it is.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Client::Producer(producer) => producer.is_done(),
            Client::Reader(_) | Client::Admin(_) | Client::Member(_) => true,
        }
    }

    pub(crate) fn as_producer(&self) -> Option<&Producer> {
        if let Client::Producer(producer) = self { Some(producer) } else { None }
    }

    pub(crate) fn as_member(&self) -> Option<&Member> {
        if let Client::Member(member) = self { Some(member) } else { None }
    }
}
