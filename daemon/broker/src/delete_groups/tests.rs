//! DeleteGroups: group by group.

use super::*;
use crate::double::bench;
use holdfast_lane::Answer;
use kafka_protocol::protocol::StrBytes;

#[tokio::test]
async fn each_group_has_its_own_answer() {
    let bench = bench();
    let cases = [
        (Ok(()), 0),
        (Err(GroupError::NonEmptyGroup), 68),
        (Err(GroupError::GroupIdNotFound), 69),
        (Err(GroupError::NotCoordinator), 16),
        (Err(GroupError::LoadInProgress), 14),
        (Err(GroupError::InvalidGroup), 24),
        (Err(GroupError::CoordinatorNotAvailable), 15),
    ];
    let mut names = Vec::new();
    for (number, (answer, _)) in cases.iter().enumerate() {
        bench.lane.answer(Answer::Group(GroupAnswer::Delete(answer.clone())));
        names.push(GroupId(StrBytes::from(format!("g-{number}"))));
    }
    let request = DeleteGroupsRequest::default().with_groups_names(names);
    let answer = handle(Arc::clone(&bench.broker), request).await;
    for (number, (_, code)) in cases.into_iter().enumerate() {
        let result = &answer.results[number];
        assert_eq!((&*result.group_id.0, result.error_code), (&*format!("g-{number}"), code));
    }
}
