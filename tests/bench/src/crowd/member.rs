//! One member of a classic consumer group: which request comes after which answer. No socket, no
//! clock.
//!
//! ```text
//! join ─▶ MEMBER_ID_REQUIRED ─▶ join with the id ─▶ sync ─▶ at rest ⇄ heartbeat
//!                                     ▲                        │
//!                                     └── REBALANCE_IN_PROGRESS ┘      leave ─▶ join as a stranger
//! ```
//! The leader gives partition i to the i-th member id in order. A coordinator that is loading or not
//! there yet is asked again; every other error code ends the run: a member that was expelled would
//! make a slow broker look fast.

use crate::client::{CLIENT_ID, Failed, Result, check};
use crate::wire::{Malformed, Reader, Request};

/// The last versions with plain lengths: Kafka 2.4 to 4.x speak them.
const JOIN_GROUP: (i16, i16) = (11, 5);
const HEARTBEAT: (i16, i16) = (12, 3);
const LEAVE_GROUP: (i16, i16) = (13, 3);
const SYNC_GROUP: (i16, i16) = (14, 3);

/// Kafka's defaults for a consumer: `session.timeout.ms` and `max.poll.interval.ms`.
const SESSION_TIMEOUT_MS: i32 = 45_000;
const REBALANCE_TIMEOUT_MS: i32 = 300_000;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const REBALANCE_IN_PROGRESS: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;

/// What a member waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Nothing: it was not told to join yet.
    Away,
    /// The answer to JoinGroup.
    Joining,
    /// The answer to SyncGroup.
    Syncing,
    /// Its next heartbeat.
    Resting,
    /// The answer to Heartbeat.
    Beating,
    /// The answer to LeaveGroup; then it joins as a stranger.
    Leaving,
    /// The answer to LeaveGroup; then it stays away.
    Quitting,
}

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// This request, now.
    Send(Vec<u8>),
    /// This request, after a pause: the coordinator is not ready.
    SendLater(Vec<u8>),
    /// It has its assignment.
    Synced {
        /// Of this generation.
        generation: i32,
        /// The one partition it was given.
        partition: i32,
    },
    /// The heartbeat was fine.
    Alive,
    /// It has left for good.
    Gone,
}

/// A member between two requests.
#[derive(Debug)]
pub struct Member {
    group: String,
    topic: String,
    id: String,
    generation: i32,
    doing: Doing,
    /// Ids of all members in order, if this one leads.
    led: Vec<String>,
}

impl Member {
    /// A stranger to `group` who wants `topic`.
    pub fn new(group: String, topic: &str) -> Self {
        let topic = topic.to_owned();
        Self { group, topic, id: String::new(), generation: -1, doing: Doing::Away, led: vec![] }
    }

    /// What it waits for.
    pub fn doing(&self) -> Doing {
        self.doing
    }

    /// JoinGroup, with its id if it has one.
    pub fn join(&mut self) -> Vec<u8> {
        self.doing = Doing::Joining;
        let subscription = subscription(&self.topic);
        let mut request = request(JOIN_GROUP);
        request.string(&self.group).i32(SESSION_TIMEOUT_MS).i32(REBALANCE_TIMEOUT_MS);
        request.string(&self.id).null_string().string("consumer").count(1).string("range");
        request.bytes_len(subscription.len()).raw(&subscription);
        request.finish(0)
    }

    fn sync(&mut self) -> Vec<u8> {
        self.doing = Doing::Syncing;
        let mut request = request(SYNC_GROUP);
        request.string(&self.group).i32(self.generation).string(&self.id).null_string();
        request.count(self.led.len());
        for (partition, id) in self.led.iter().enumerate() {
            let assignment = assignment(&self.topic, partition as i32);
            request.string(id).bytes_len(assignment.len()).raw(&assignment);
        }
        request.finish(0)
    }

    /// Heartbeat.
    pub fn heartbeat(&mut self) -> Vec<u8> {
        self.doing = Doing::Beating;
        let mut request = request(HEARTBEAT);
        request.string(&self.group).i32(self.generation).string(&self.id).null_string();
        request.finish(0)
    }

    /// LeaveGroup; after its answer it comes back as a stranger.
    pub fn leave(&mut self) -> Vec<u8> {
        self.doing = Doing::Leaving;
        self.leave_group()
    }

    /// LeaveGroup, for good.
    pub fn quit(&mut self) -> Vec<u8> {
        self.doing = Doing::Quitting;
        self.leave_group()
    }

    fn leave_group(&self) -> Vec<u8> {
        let mut request = request(LEAVE_GROUP);
        request.string(&self.group).count(1).string(&self.id).null_string();
        request.finish(0)
    }

    /// Takes the answer to the request it waits for.
    pub fn heard(&mut self, body: &[u8]) -> Result<Next> {
        let mut answer = Reader::new(body, false);
        answer.i32("throttle")?;
        let code = answer.i16("error code")?;
        let not_ready = [COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR];
        if not_ready.contains(&code) {
            return Ok(Next::SendLater(self.again()));
        }
        match self.doing {
            Doing::Joining => self.joined(code, &mut answer),
            Doing::Syncing | Doing::Beating if code == REBALANCE_IN_PROGRESS => {
                Ok(Next::Send(self.join()))
            }
            Doing::Syncing => {
                check("SyncGroup", code)?;
                let partition = self.assigned(answer.bytes("assignment")?)?;
                self.doing = Doing::Resting;
                Ok(Next::Synced { generation: self.generation, partition })
            }
            Doing::Beating => {
                check("Heartbeat", code)?;
                self.doing = Doing::Resting;
                Ok(Next::Alive)
            }
            Doing::Leaving | Doing::Quitting => {
                check("LeaveGroup", code)?;
                for _ in 0..answer.count("members")? {
                    answer.string("member id")?;
                    answer.string("instance id")?;
                    check("LeaveGroup of a member", answer.i16("error code")?)?;
                }
                self.id.clear();
                if self.doing == Doing::Quitting {
                    self.doing = Doing::Away;
                    return Ok(Next::Gone);
                }
                Ok(Next::Send(self.join()))
            }
            Doing::Away | Doing::Resting => {
                Err(Failed::Wrong("an answer to a member that asked nothing".into()))
            }
        }
    }

    fn again(&mut self) -> Vec<u8> {
        match self.doing {
            Doing::Syncing => self.sync(),
            Doing::Beating => self.heartbeat(),
            Doing::Leaving => self.leave(),
            Doing::Quitting => self.quit(),
            Doing::Joining | Doing::Away | Doing::Resting => self.join(),
        }
    }

    fn joined(&mut self, code: i16, answer: &mut Reader<'_>) -> Result<Next> {
        let id_required = code == MEMBER_ID_REQUIRED && self.id.is_empty();
        if !id_required {
            check("JoinGroup", code)?;
        }
        self.generation = answer.i32("generation")?;
        answer.string("protocol")?;
        let leader = answer.string("leader")?.to_owned();
        self.id = answer.string("member id")?.to_owned();
        if id_required {
            return Ok(Next::Send(self.join()));
        }
        self.led.clear();
        for _ in 0..answer.count("members")? {
            self.led.push(answer.string("member id")?.to_owned());
            answer.string("instance id")?;
            answer.bytes("subscription")?;
        }
        self.led.sort_unstable();
        if (leader == self.id) == self.led.is_empty() {
            return Err(Failed::Wrong("JoinGroup names members to others than the leader".into()));
        }
        Ok(Next::Send(self.sync()))
    }

    /// The partition of an assignment, which must be one of the topic asked for.
    fn assigned(&self, bytes: &[u8]) -> Result<i32> {
        let mut content = Reader::new(bytes, false);
        content.i16("version")?;
        let topics = content.count("topics")?;
        let topic = content.string("topic")?;
        let partitions = content.count("partitions")?;
        if topics != 1 || topic != self.topic || partitions != 1 {
            return Err(Malformed("assignment").into());
        }
        Ok(content.i32("partition")?)
    }
}

fn request((api, version): (i16, i16)) -> Request {
    Request::new(api, version, false, CLIENT_ID)
}

/// What a consumer says of itself: version 0, topics, no user data.
fn subscription(topic: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend_from_slice(&1i32.to_be_bytes());
    bytes.extend_from_slice(&(topic.len() as i16).to_be_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes
}

/// What the leader gives a member: version 0, one topic with one partition, no user data.
fn assignment(topic: &str, partition: i32) -> Vec<u8> {
    let mut bytes = subscription(topic);
    let user_data_at = bytes.len() - 4;
    bytes.truncate(user_data_at);
    bytes.extend_from_slice(&1i32.to_be_bytes());
    bytes.extend_from_slice(&partition.to_be_bytes());
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: i16 = 0;

    fn answer(code: i16, rest: &[&[u8]]) -> Vec<u8> {
        let mut bytes = 0i32.to_be_bytes().to_vec();
        bytes.extend_from_slice(&code.to_be_bytes());
        rest.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
    }

    /// JoinGroup's answer to member `id`.
    fn joined(code: i16, leader: &str, id: &str, members: &[&str]) -> Vec<u8> {
        let mut list = (members.len() as i32).to_be_bytes().to_vec();
        for member in members {
            list.extend_from_slice(&string(member));
            list.extend_from_slice(&[0xff, 0xff, 0, 0, 0, 0]);
        }
        let generation = 5i32.to_be_bytes();
        answer(code, &[&generation, &string("range"), &string(leader), &string(id), &list])
    }

    fn synced(assignment: &[u8]) -> Vec<u8> {
        answer(OK, &[&(assignment.len() as i32).to_be_bytes(), assignment])
    }

    fn resting() -> Member {
        let mut member = Member::new("g".into(), "t");
        member.join();
        member.heard(&joined(MEMBER_ID_REQUIRED, "", "m", &[])).unwrap();
        member.heard(&joined(OK, "l", "m", &[])).unwrap();
        let end = member.heard(&synced(&assignment("t", 3))).unwrap();
        assert_eq!(end, Next::Synced { generation: 5, partition: 3 });
        member
    }

    #[test]
    fn a_stranger_joins_with_the_id_it_was_given_and_is_assigned() {
        assert_eq!(resting().doing(), Doing::Resting);
    }

    #[test]
    fn the_leader_gives_every_member_another_partition() {
        let mut member = Member::new("g".into(), "t");
        member.join();
        let next = member.heard(&joined(OK, "m", "m", &["z", "m", "a"])).unwrap();
        let Next::Send(frame) = next else { panic!("{next:?}") };
        for (partition, id) in ["a", "m", "z"].iter().enumerate() {
            let given = assignment("t", partition as i32);
            let part = [&string(id)[..], &(given.len() as i32).to_be_bytes(), &given].concat();
            assert!(frame.windows(part.len()).any(|window| window == part), "{id}");
        }
    }

    #[test]
    fn a_rebalance_sends_a_resting_member_back_to_join_and_a_leaver_comes_as_a_stranger() {
        let mut member = resting();
        member.heartbeat();
        assert_eq!(member.heard(&answer(OK, &[])).unwrap(), Next::Alive);
        member.heartbeat();
        let next = member.heard(&answer(REBALANCE_IN_PROGRESS, &[])).unwrap();
        assert!(matches!(next, Next::Send(_)));
        assert_eq!((member.doing(), member.id.as_str()), (Doing::Joining, "m"));
        let mut member = resting();
        member.leave();
        member.heard(&answer(OK, &[&0i32.to_be_bytes()])).unwrap();
        assert_eq!((member.doing(), member.id.as_str()), (Doing::Joining, ""));
        let mut member = resting();
        member.quit();
        assert_eq!(member.heard(&answer(OK, &[&0i32.to_be_bytes()])).unwrap(), Next::Gone);
    }

    #[test]
    fn a_coordinator_that_loads_is_asked_the_same_again() {
        let mut member = resting();
        let frame = member.heartbeat();
        let next = member.heard(&answer(COORDINATOR_LOAD_IN_PROGRESS, &[])).unwrap();
        assert_eq!(next, Next::SendLater(frame));
    }

    #[test]
    fn an_expelled_member_and_a_foreign_assignment_end_the_run() {
        const UNKNOWN_MEMBER_ID: i16 = 25;
        let mut member = resting();
        member.heartbeat();
        let end = member.heard(&answer(UNKNOWN_MEMBER_ID, &[]));
        assert!(matches!(end, Err(Failed::Code { code: UNKNOWN_MEMBER_ID, .. })), "{end:?}");
        let mut member = resting();
        member.join();
        member.heard(&joined(OK, "l", "m", &[])).unwrap();
        assert!(member.heard(&synced(&assignment("other", 3))).is_err());
    }
}
