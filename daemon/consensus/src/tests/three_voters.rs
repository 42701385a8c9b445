//! One replica of three, its peers played by the test: what the simulation once lost.

use super::*;

const SELF: ReplicaId = ReplicaId(9);
const PEER: ReplicaId = ReplicaId(20);
const OTHER: ReplicaId = ReplicaId(21);

fn from_peer(kind: MessageType, term: Term, edit: impl FnOnce(&mut PeerMessage)) -> PeerMessage {
    let mut raft = Message { from: PEER.0, to: SELF.0, term: term.0, ..Message::default() };
    raft.set_msg_type(kind);
    let mut message = PeerMessage {
        shard: SHARD,
        from: PEER,
        to: SELF,
        boot: BootCount(1),
        free_bytes: 1 << 30,
        hashed_index: Index(0),
        state_hash: 0,
        sent_ns: 0,
        echo_ns: 0,
        raft,
        payloads: Vec::new(),
    };
    edit(&mut message);
    message
}

/// PEER answers what it was asked since last time: yes.
fn answer(node: &mut Node) {
    let now = node.now;
    let mut messages = Vec::new();
    node.driver().take_messages(&mut messages);
    for asked in messages.into_iter().filter(|message| message.to == PEER) {
        let term = Term(asked.raft.term);
        let answer = match asked.raft.get_msg_type() {
            MessageType::MsgRequestPreVote => {
                from_peer(MessageType::MsgRequestPreVoteResponse, term, |_| {})
            }
            MessageType::MsgRequestVote => {
                from_peer(MessageType::MsgRequestVoteResponse, term, |_| {})
            }
            MessageType::MsgAppend => {
                let last = asked.raft.index + asked.raft.entries.len() as u64;
                from_peer(MessageType::MsgAppendResponse, term, |message| {
                    message.raft.index = last;
                    message.echo_ns = asked.sent_ns;
                })
            }
            _ => continue,
        };
        node.driver().step(answer, now);
    }
}

/// Runs until an election, grants it, and commits the leader's empty entry, all at once.
fn lead(node: &mut Node) -> Term {
    for _ in 0..2_000 {
        node.run(1);
        answer(node);
        let status = node.driver().status().next().unwrap();
        if status.role == Role::Serving {
            return status.term;
        }
    }
    panic!("nobody was elected");
}

fn leader() -> (Node, Term) {
    let mut node = Node::with_peers(1, &[PEER, OTHER]);
    let term = lead(&mut node);
    (node, term)
}

#[test]
fn a_leader_deposed_since_its_last_turn_forwards_no_proposal() {
    let (mut node, term) = leader();
    let now = node.now;
    let next = Term(term.0 + 1);
    node.driver().step(from_peer(MessageType::MsgHeartbeat, next, |_| {}), now);
    let refused =
        node.driver().propose(SHARD, b"late", Vec::new(), Admission::Records, now).unwrap_err();
    assert_eq!(refused, ProposeError::NotLeader);
    assert_eq!(node.driver().deciding(SHARD, now), None);
    assert!(!node.driver().serves_reads(SHARD, now));
}

#[test]
fn an_answer_long_under_way_backs_no_lease() {
    let (mut node, term) = leader();
    let heard_ns = node.now.boottime_ns;
    let mut now = node.now;
    assert!(node.driver().serves_reads(SHARD, now));
    now.boottime_ns += 950_000_000;
    let late = from_peer(MessageType::MsgHeartbeatResponse, term, |message| {
        message.echo_ns = heard_ns;
    });
    node.driver().step(late, now);
    assert!(!node.driver().serves_reads(SHARD, now), "it was heard 950 ms ago");
    let fresh = from_peer(MessageType::MsgHeartbeatResponse, term, |message| {
        message.echo_ns = now.boottime_ns - 100_000_000;
    });
    node.driver().step(fresh, now);
    assert!(node.driver().serves_reads(SHARD, now));
}

#[test]
fn a_replica_that_has_just_started_elects_nobody_over_a_leader_it_may_have_backed() {
    let mut node = Node::with_peers(1, &[PEER, OTHER]);
    let now = Now { boottime_ns: 100_000_000, ..node.now };
    let ask = || {
        from_peer(MessageType::MsgRequestVote, Term(7), |message| {
            message.raft.index = 5;
            message.raft.log_term = 6;
        })
    };
    node.driver().step(ask(), now);
    assert_eq!(node.driver().probes().votes_held_back, 1);
    assert_eq!(node.driver().status().next().unwrap().term, Term(0));
    let later = Now { boottime_ns: 3_000_000_000, ..now };
    node.driver().step(ask(), later);
    assert_eq!(node.driver().probes().votes_held_back, 1);
}

#[test]
fn after_a_pause_a_follower_does_not_take_its_leader_for_dead() {
    let mut node = Node::with_peers(1, &[PEER, OTHER]);
    let mut now = node.now;
    let hello = |sent_ns| {
        from_peer(MessageType::MsgHeartbeat, Term(1), |message| message.sent_ns = sent_ns)
    };
    node.driver().step(hello(1), now);
    node.driver().turn(now);
    now.boottime_ns += 30_000_000_000;
    node.driver().step(hello(2), now);
    node.driver().turn(now);
    let mut messages = Vec::new();
    node.driver().take_messages(&mut messages);
    let campaigns = messages
        .iter()
        .any(|message| message.raft.get_msg_type() == MessageType::MsgRequestPreVote);
    assert!(!campaigns);
}

#[test]
fn a_leader_whose_old_payload_is_damaged_goes_on_turning_and_feeds_nobody_with_it() {
    let (mut node, _) = leader();
    node.propose(SHARD, b"old", b"damaged");
    node.run(20);
    answer(&mut node);
    // Its frame says that the one before is committed.
    node.propose(SHARD, b"newer", b"");
    node.run(20);
    // After a restart what was written before is read back from the device.
    drop(node.driver.take());
    node.start();
    let term = lead(&mut node);
    let now = node.now;
    // What a new leader probes with: the entry before its own empty one.
    let probed = node.driver().status().next().unwrap().last.0 - 1;
    let lagging = from_peer(MessageType::MsgAppendResponse, term, |message| {
        message.from = OTHER;
        message.raft.from = OTHER.0;
        message.raft.reject = true;
        message.raft.index = probed;
        message.raft.reject_hint = 0;
    });
    node.driver().step(lagging, now);
    node.driver().turn(now);
    let has_first = from_peer(MessageType::MsgAppendResponse, term, |message| {
        message.from = OTHER;
        message.raft.from = OTHER.0;
        message.raft.index = 1;
    });
    node.driver().step(has_first, now);
    node.driver().turn(now); // once it never came back
    assert!(node.driver().probes().feeds_refused > 0, "{:?}", node.driver().probes());
}

#[test]
fn a_leader_that_started_from_a_state_feeds_a_follower_far_behind_it() {
    let (mut node, _) = leader();
    for number in 0..8 {
        node.propose(SHARD, format!("command {number}").as_bytes(), b"payload");
        node.run(20);
        answer(&mut node);
    }
    node.run(20);
    let reached = node.driver().status().next().unwrap().applied;
    assert!(reached > Index(5), "{reached}");
    // Nothing up to its state is wanted by the state machine itself.
    let state = trimmed::kept(&mut node, reached);
    node.kept.insert(SHARD, state);
    drop(node.driver.take());
    node.start();
    let term = lead(&mut node);
    let mut messages = Vec::new();
    node.driver().take_messages(&mut messages);
    let now = node.now;
    let probed = node.driver().status().next().unwrap().last.0 - 1;
    let lagging = from_peer(MessageType::MsgAppendResponse, term, |message| {
        message.from = OTHER;
        message.raft.from = OTHER.0;
        message.raft.reject = true;
        message.raft.index = probed;
        message.raft.reject_hint = 1;
        message.raft.log_term = 1;
    });
    node.driver().step(lagging, now);
    node.driver().turn(now);
    node.driver().take_messages(&mut messages);
    let fed = messages.iter().filter(|message| message.to == OTHER).any(|message| {
        message.raft.get_msg_type() == MessageType::MsgAppend && message.raft.index < reached.0
    });
    assert!(fed, "entries behind its state are in its log: {messages:?}");
}
