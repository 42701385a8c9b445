//! Neither an administrative command nor its audit record exists without the other.

use super::*;

#[test]
fn every_administrative_command_has_one_record_with_who_what_and_outcome() {
    let leader = eventful();
    let told: Vec<_> = leader
        .metadata
        .audit()
        .map(|record| {
            let done = record.outcome == AuditOutcome::Done;
            (record.number, record.index.0, record.operation, record.resource.as_str(), done)
        })
        .collect();
    let cluster = format!("Cluster:{}", ClusterId([7; 16]));
    let expected = [
        (1, 1, Operation::FoundCluster, cluster.as_str(), true),
        (2, 2, Operation::CreateTopic, "Topic:orders", true),
        (3, 3, Operation::CreateTopic, "Topic:payments.eu", true),
        (4, 4, Operation::DeleteTopic, "Topic:orders", true),
        (5, 5, Operation::CreateTopic, "Topic:late", true),
        (6, 5, Operation::CreateTopic, "Topic:late", false),
        (7, 5, Operation::RegisterNode, "Node:2", true),
        (8, 6, Operation::CreatePartitions, "Topic:late", true),
        (9, 7, Operation::AlterConfigs, "Topic:late", true),
        (10, 8, Operation::AlterConfigs, "Node:*", true),
        (11, 9, Operation::AlterConfigs, "Node:2", true),
        (12, 10, Operation::AlterConfigs, "Group:readers", true),
    ];
    assert_eq!(told, expected);
    let record = leader.metadata.audit().nth(1).unwrap();
    assert_eq!(record.origin, origin());
    assert_eq!((record.term, record.time_ms), (Term(3), 1_002));
    assert!(record.detail.contains("partitions=4"), "{record}");
    let detail = |number: usize| &leader.metadata.audit().nth(number - 1).unwrap().detail;
    assert!(detail(1).contains("coordinator.slots=50"), "{}", detail(1));
    assert!(detail(8).contains("partitions=3 added=2"), "{}", detail(8));
    let asked = "Set retention.ms=\"60000\" Append cleanup.policy=\"compact\"";
    assert!(detail(9).ends_with(asked), "{}", detail(9));
    assert!(detail(10).ends_with("Delete log.roll.ms"), "{}", detail(10));
    assert_eq!(detail(11), "Set ssl.key.password=\"[hidden]\"");
}

#[test]
fn the_chain_detects_an_edit_a_removal_and_a_swap_anywhere() {
    let leader = eventful();
    let log = leader.metadata.audit_log();
    log.verify().unwrap();
    let records: Vec<AuditRecord> = log.iter().cloned().collect();
    let check = |records: &[AuditRecord]| verify_audit(log.anchor(), records.iter(), log.head());
    check(&records).unwrap();
    for place in 0..records.len() {
        let edits: [fn(&mut AuditRecord); 6] = [
            |record| record.origin.principal.push('x'),
            |record| record.time_ms += 1,
            |record| record.resource.push('x'),
            |record| record.command_digest[31] ^= 1,
            |record| record.hash[0] ^= 1,
            |record| {
                record.outcome = match record.outcome {
                    AuditOutcome::Done => AuditOutcome::Refused(Refusal {
                        reason: Reason::InvalidRequest,
                        message: String::new(),
                    }),
                    AuditOutcome::Refused(_) => AuditOutcome::Done,
                }
            },
        ];
        for edit in edits {
            let mut edited = records.clone();
            edit(&mut edited[place]);
            assert_eq!(check(&edited).unwrap_err().number, records[place].number);
        }
        let mut removed = records.clone();
        removed.remove(place);
        assert!(check(&removed).is_err(), "removal at {place}");
        if place > 0 {
            let mut swapped = records.clone();
            swapped.swap(place - 1, place);
            assert!(check(&swapped).is_err(), "swap at {place}");
        }
    }
}

#[test]
fn memory_is_bounded_and_the_chain_goes_on_behind_what_was_dropped() {
    let mut leader = Leader::founded(1, &[1]);
    let rounds = AUDIT_RECORDS_MAX as u64 + 50;
    for round in 0..rounds {
        let node = NodeId(1);
        let image = leader.metadata.image();
        let mut builder = CommandBuilder::new();
        let next = [listener(1 + (round % 2) as u16)];
        propose_register_node(&image, node, &next, AuditOrigin::node(node), &mut builder).unwrap();
        leader.apply(builder.finish());
    }
    let log = leader.metadata.audit_log();
    assert_eq!((log.iter().len(), log.written()), (AUDIT_RECORDS_MAX, rounds + 1));
    assert_ne!(log.anchor(), [0; 32]);
    log.verify().unwrap();
    let restored = Metadata::restore(&leader.metadata.snapshot()).unwrap();
    assert_eq!(restored.audit_log(), log);
}

#[test]
fn a_client_cannot_make_its_record_large() {
    let mut leader = Leader::founded(1, &[1]);
    let mut builder = CommandBuilder::new();
    let id = leader.topic_id();
    let huge = AuditOrigin { client_id: "ä".repeat(40_000), ..origin() };
    let (decider, metadata) = (&mut leader.decider, &leader.metadata);
    propose_create_topic(decider, metadata, &topic("t", 1), id, huge, &mut builder).unwrap();
    assert!(builder.bytes_len() < 1_000);
    leader.apply(builder.finish());
    assert_eq!(leader.metadata.audit().last().unwrap().origin.client_id.len(), 256);
    let restored = Metadata::restore(&leader.metadata.snapshot()).unwrap();
    assert_eq!(restored.audit_log(), leader.metadata.audit_log());
}
