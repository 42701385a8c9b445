//! Every API in every version, from the bytes a client sends to the bytes it gets, over a lane that
//! does whatever is asked, and over one that refuses everything: no answer may fail to be written.

use crate::answer::Reply;
use crate::broker::{Broker, BrokerParts};
use crate::double::{ORDERS, StillClock, batch, bench, published, topic};
use crate::lane_client::{LaneClient, PendingAnswer};
use crate::settings::Settings;
use bytes::Bytes;
use holdfast_base::{NodeId, PartitionKey, ShardId, Term};
use holdfast_batch::Codec;
use holdfast_lane::{
    AdminReason, AdminRefusal, Answer, Appended, CreatedTopic, Description, EpochEnd,
    FetchedPartition, FoundOffset, GroupAnswer, GroupCall, GroupError, GroupState, Joined,
    JoinedMember, LeaderHint, Listed, LogDir, MemberDescription, OffsetAnswer, OffsetRow, Outcome,
    Quorum, Reason, RecordSlice, Refusal, Request, Synced,
};
use holdfast_protocol::samples::client_requests;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Answers everything at once, well or badly.
struct DecidedLane {
    obliges: bool,
}

impl LaneClient for DecidedLane {
    fn call(&self, request: Request) -> PendingAnswer {
        let (answer, pending) = oneshot::channel();
        drop(answer.send(if self.obliges { oblige(request) } else { refuse(request) }));
        PendingAnswer(pending)
    }
}

fn oblige(request: Request) -> Answer {
    let key = PartitionKey { topic: ORDERS, partition: 0 };
    match request {
        Request::Produce(parts) => {
            let appended = Appended { base_offset: 4, log_append_time_ms: -1, log_start: 0 };
            Answer::Produce(parts.iter().map(|_| Ok(appended)).collect())
        }
        Request::Fetch(fetch) => {
            let found = |_| {
                Ok(FetchedPartition {
                    high_watermark: 9,
                    last_stable: 9,
                    log_start: 0,
                    records: vec![RecordSlice::Cached(batch(Codec::None, 4, 2))],
                    diverging: None,
                })
            };
            Answer::Fetch(fetch.partitions.iter().map(found).collect())
        }
        Request::ListOffsets(parts) => {
            let found = |_| {
                let found = FoundOffset::Offset { offset: 3, timestamp_ms: 4 };
                Ok(OffsetAnswer { leader_epoch: 7, found })
            };
            Answer::ListOffsets(parts.iter().map(found).collect())
        }
        Request::DeleteRecords(parts) => {
            Answer::DeleteRecords(parts.iter().map(|_| Ok(5)).collect())
        }
        Request::CreateTopics(topics, _) => {
            let made = CreatedTopic { id: ORDERS, partitions: 2, replication_factor: 1 };
            Answer::CreateTopics(topics.iter().map(|_| Ok(made.clone())).collect())
        }
        Request::DeleteTopics(topics, _) => {
            let gone = || Ok((ORDERS, "orders".to_owned()));
            Answer::DeleteTopics(topics.iter().map(|_| gone()).collect())
        }
        Request::AllocateProducerIds => Answer::AllocateProducerIds(Ok((5_000, 1_000))),
        Request::EpochEnds(parts) => {
            let end = EpochEnd { epoch: 5, end_offset: 90 };
            Answer::EpochEnds(parts.iter().map(|_| Ok(Some(end))).collect())
        }
        Request::Group(call) => Answer::Group(oblige_group(&call)),
        Request::ListGroups => Answer::ListGroups(Ok(vec![Listed {
            group: "billing".to_owned(),
            protocol_type: "consumer".to_owned(),
            state: GroupState::Stable,
        }])),
        Request::CommitOffsets(commit) => {
            Answer::CommitOffsets(Ok(commit.offsets.iter().map(|_| Ok(())).collect()))
        }
        Request::FetchOffsets(_) => {
            let metadata = "mine".to_owned();
            let row = OffsetRow { offset: 40, leader_epoch: 7, metadata, committed_at_ms: 0 };
            Answer::FetchOffsets(Ok(vec![(key, row)]))
        }
        Request::DeleteOffsets { partitions, .. } => {
            Answer::DeleteOffsets(Ok(partitions.iter().map(|_| Ok(())).collect()))
        }
        Request::CreatePartitions(topics, _) => {
            Answer::CreatePartitions(topics.iter().map(|_| Ok(())).collect())
        }
        Request::AlterConfigs(resources, _) => {
            Answer::AlterConfigs(resources.iter().map(|_| Ok(())).collect())
        }
        Request::Stored(_) | Request::Kept(_) => Answer::Stored,
        Request::DescribeLogDir => Answer::DescribeLogDir(LogDir {
            total_bytes: 1 << 33,
            usable_bytes: 1 << 32,
            partitions: vec![(key, 1_000)],
        }),
        Request::DescribeQuorum => Answer::DescribeQuorum(Ok(Quorum {
            leader: NodeId(1),
            term: Term(7),
            committed: 100,
            voters: vec![(NodeId(1), 100)],
        })),
    }
}

fn oblige_group(call: &GroupCall) -> GroupAnswer {
    let member = || "billing-1".to_owned();
    let metadata = || Bytes::from_static(b"topics");
    match call {
        GroupCall::Join(_) => GroupAnswer::Join(Ok(Joined {
            generation: 4,
            protocol_type: "consumer".to_owned(),
            protocol: Some("range".to_owned()),
            leader: member(),
            skip_assignment: true,
            member_id: member(),
            members: vec![JoinedMember {
                member_id: member(),
                instance_id: Some("instance-1".to_owned()),
                metadata: metadata(),
            }],
        })),
        GroupCall::Sync(_) => GroupAnswer::Sync(Ok(Synced {
            protocol_type: "consumer".to_owned(),
            protocol: Some("range".to_owned()),
            assignment: metadata(),
        })),
        GroupCall::Heartbeat(_) => GroupAnswer::Heartbeat(Ok(())),
        GroupCall::Leave(leave) => {
            GroupAnswer::Leave(Ok(leave.members.iter().map(|_| Ok(())).collect()))
        }
        GroupCall::Describe { .. } => GroupAnswer::Describe(Ok(Description {
            state: GroupState::Stable,
            protocol_type: "consumer".to_owned(),
            protocol: "range".to_owned(),
            members: vec![MemberDescription {
                member_id: member(),
                instance_id: Some("instance-1".to_owned()),
                client_id: "client".to_owned(),
                client_host: "/192.0.2.1".to_owned(),
                metadata: metadata(),
                assignment: metadata(),
            }],
        })),
        GroupCall::Delete { .. } => GroupAnswer::Delete(Ok(())),
    }
}

fn refuse(request: Request) -> Answer {
    let refusal = || Refusal {
        reason: Reason::NotLeader,
        outcome: Outcome::DidNot,
        leader: Some(LeaderHint {
            node: NodeId(1),
            shard: ShardId(1),
            term: Term(8),
            leader_epoch: 8,
        }),
    };
    let admin = || AdminRefusal {
        reason: AdminReason::InvalidRequest,
        message: "the test refuses".to_owned(),
    };
    let gone = GroupError::GroupIdNotFound;
    match request {
        Request::Produce(parts) => Answer::Produce(parts.iter().map(|_| Err(refusal())).collect()),
        Request::Fetch(fetch) => {
            Answer::Fetch(fetch.partitions.iter().map(|_| Err(refusal())).collect())
        }
        Request::ListOffsets(parts) => {
            Answer::ListOffsets(parts.iter().map(|_| Err(refusal())).collect())
        }
        Request::DeleteRecords(parts) => {
            Answer::DeleteRecords(parts.iter().map(|_| Err(refusal())).collect())
        }
        Request::CreateTopics(topics, _) => {
            Answer::CreateTopics(topics.iter().map(|_| Err(admin())).collect())
        }
        Request::DeleteTopics(topics, _) => {
            Answer::DeleteTopics(topics.iter().map(|_| Err(admin())).collect())
        }
        Request::AllocateProducerIds => Answer::AllocateProducerIds(Err(refusal())),
        Request::EpochEnds(parts) => {
            Answer::EpochEnds(parts.iter().map(|_| Err(refusal())).collect())
        }
        Request::Group(call) => Answer::Group(match call {
            GroupCall::Join(_) => {
                GroupAnswer::Join(Err(GroupError::MemberIdRequired("given".to_owned())))
            }
            GroupCall::Sync(_) => GroupAnswer::Sync(Err(gone)),
            GroupCall::Heartbeat(_) => GroupAnswer::Heartbeat(Err(gone)),
            GroupCall::Leave(_) => GroupAnswer::Leave(Err(gone)),
            GroupCall::Describe { .. } => GroupAnswer::Describe(Err(gone)),
            GroupCall::Delete { .. } => GroupAnswer::Delete(Err(gone)),
        }),
        Request::ListGroups => Answer::ListGroups(Err(GroupError::LoadInProgress)),
        Request::CommitOffsets(_) => Answer::CommitOffsets(Err(GroupError::IllegalGeneration)),
        Request::FetchOffsets(_) => Answer::FetchOffsets(Err(GroupError::NotCoordinator)),
        Request::DeleteOffsets { .. } => Answer::DeleteOffsets(Err(gone)),
        Request::CreatePartitions(topics, _) => {
            Answer::CreatePartitions(topics.iter().map(|_| Err(admin())).collect())
        }
        Request::AlterConfigs(resources, _) => {
            Answer::AlterConfigs(resources.iter().map(|_| Err(admin())).collect())
        }
        Request::Stored(_) | Request::Kept(_) => Answer::Stored,
        Request::DescribeLogDir => Answer::DescribeLogDir(LogDir {
            total_bytes: 0,
            usable_bytes: 0,
            partitions: Vec::new(),
        }),
        Request::DescribeQuorum => Answer::DescribeQuorum(Err(refusal())),
    }
}

#[tokio::test]
async fn every_request_of_every_version_is_answered_whatever_the_lane_says() {
    for obliges in [true, false] {
        let bench = bench();
        let broker = Arc::new(Broker::new(BrokerParts {
            node: NodeId(1),
            lane: Arc::new(DecidedLane { obliges }),
            cold: Arc::clone(&bench.device) as Arc<dyn crate::cold::ColdReader>,
            objects: bench.device,
            clock: Arc::new(StillClock),
            settings: Settings::default(),
        }));
        broker.publish(&published(&[topic("orders", ORDERS, 2)]));
        for sample in client_requests(&batch(Codec::None, 0, 1)) {
            let what = format!("{:?} version {}, obliges: {obliges}", sample.api, sample.version);
            match broker.start(&bench.context, sample.frame).await {
                Reply::Send(pieces) | Reply::SendHeld(pieces, _) => {
                    let answer = pieces.concat();
                    let length = answer.first_chunk::<4>().expect("a length");
                    let length = usize::try_from(i32::from_be_bytes(*length)).expect("positive");
                    assert_eq!(length + 4, answer.len(), "{what}");
                    assert_eq!(&answer[4..8], &77_i32.to_be_bytes(), "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}
