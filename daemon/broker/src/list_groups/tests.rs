//! ListGroups: filters by version, and a slot that is still loading.

use super::*;
use crate::double::bench;
use holdfast_lane::GroupState;

fn listed(group: &str, state: GroupState) -> Listed {
    Listed { group: group.to_owned(), protocol_type: "consumer".to_owned(), state }
}

#[tokio::test]
async fn filters_let_through_what_they_name() {
    let bench = bench();
    let cases: [(&[&str], &[&str], &[&str]); 6] = [
        (&[], &[], &["a", "b"]),
        (&["Stable"], &[], &["a"]),
        (&["empty", "Dead"], &[], &["b"]),
        (&["Assigning"], &[], &[]),
        (&[], &["Classic", "share"], &["a", "b"]),
        (&[], &["consumer"], &[]),
    ];
    for (states, types, expected) in cases {
        let groups = vec![listed("a", GroupState::Stable), listed("b", GroupState::Empty)];
        bench.lane.answer(Answer::ListGroups(Ok(groups)));
        let texts = |names: &[&str]| {
            names.iter().map(|name| StrBytes::from((*name).to_owned())).collect::<Vec<_>>()
        };
        let request = ListGroupsRequest::default()
            .with_states_filter(texts(states))
            .with_types_filter(texts(types));
        let answer = handle(Arc::clone(&bench.broker), request, 5).await;
        let names: Vec<_> = answer.groups.iter().map(|group| &*group.group_id.0).collect();
        assert_eq!(names, expected, "{states:?} {types:?}");
    }
}

#[tokio::test]
async fn states_are_told_from_version_4_and_types_from_5() {
    let bench = bench();
    for version in 0..=5 {
        let groups = vec![listed("a", GroupState::Stable)];
        bench.lane.answer(Answer::ListGroups(Ok(groups)));
        let answer = handle(Arc::clone(&bench.broker), ListGroupsRequest::default(), version).await;
        let group = &answer.groups[0];
        assert_eq!(&*group.group_state, if version >= 4 { "Stable" } else { "" });
        assert_eq!(&*group.group_type, if version >= 5 { "classic" } else { "" });
    }
}

#[tokio::test]
async fn a_slot_that_loads_is_told() {
    let bench = bench();
    for (error, code) in
        [(GroupError::LoadInProgress, 14), (GroupError::CoordinatorNotAvailable, 15)]
    {
        bench.lane.answer(Answer::ListGroups(Err(error)));
        let answer = handle(Arc::clone(&bench.broker), ListGroupsRequest::default(), 5).await;
        assert_eq!(answer.error_code, code);
    }
}
