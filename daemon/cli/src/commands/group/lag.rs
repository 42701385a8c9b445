//! What a group has read and what is left: committed offsets beside the ends of the partitions.
//!
//! ```text
//! coordinator: DescribeGroups ─ members, who has which partition
//!              OffsetFetch ──── committed offsets of every partition
//! leaders:     ListOffsets ──── start and end        lag = end − max(committed, start)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{DescribeGroupsRequest, OffsetFetchRequest};

use super::assignment;
use crate::client::{Cluster, group_id};
use crate::errors::{CliError, Result};
use crate::offsets;

/// A topic's name and a partition.
pub(crate) type Place = (String, i32);

/// One member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    pub(crate) assigned: Vec<Place>,
}

/// One partition as the group sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) place: Place,
    /// `None`: nothing was ever committed, or it expired.
    pub(crate) committed: Option<i64>,
    /// `None`: the topic is gone.
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
    /// Index of the member that reads it.
    pub(crate) member: Option<usize>,
}

impl Row {
    /// Records to be read. `None` where it cannot be said.
    pub(crate) fn lag(&self) -> Option<i64> {
        let (committed, start, end) = (self.committed?, self.start?, self.end?);
        Some((end - committed.max(start)).max(0))
    }
}

/// A group and its partitions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct GroupView {
    pub(crate) state: String,
    pub(crate) protocol: String,
    pub(crate) coordinator: String,
    pub(crate) members: Vec<Member>,
    pub(crate) rows: Vec<Row>,
}

/// Members and state; a group nobody knows is refused.
pub(crate) fn members(cluster: &mut Cluster, group: &str) -> Result<(DescribedGroup, String)> {
    const GROUP_ID_NOT_FOUND: i16 = 69;
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let coordinator = cluster.coordinator(group)?;
    let answer = coordinator.call(&request, 0..=6)?;
    let address = coordinator.address().to_owned();
    let what = || format!("group {group} cannot be described");
    let found = answer.groups.into_iter().next();
    let found = found.ok_or_else(|| CliError::failed(what(), "the answer is empty"))?;
    CliError::check(what(), found.error_code, found.error_message.as_deref())?;
    if &*found.group_state == "Dead" {
        // How versions before 6 say that there is none.
        return Err(CliError::of_code(what(), GROUP_ID_NOT_FOUND, None));
    }
    Ok((found, address))
}

/// Committed offsets of every partition the group ever committed.
pub(crate) fn committed(cluster: &mut Cluster, group: &str) -> Result<BTreeMap<Place, i64>> {
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(None);
    let answer = cluster.coordinator(group)?.call(&request, 2..=7)?;
    let what = || format!("offsets of group {group} cannot be told");
    CliError::check(what(), answer.error_code, None)?;
    let mut found = BTreeMap::new();
    for topic in &answer.topics {
        for row in &topic.partitions {
            CliError::check(what(), row.error_code, None)?;
            if row.committed_offset >= 0 {
                found.insert((topic.name.to_string(), row.partition_index), row.committed_offset);
            }
        }
    }
    Ok(found)
}

/// Start and end of each place; places of topics that are gone are left out.
pub(crate) fn bounds(
    cluster: &mut Cluster,
    places: impl Iterator<Item = Place>,
) -> Result<BTreeMap<Place, (i64, i64)>> {
    const UNKNOWN_TOPIC: i16 = 3;
    let mut by_topic: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        by_topic.entry(topic).or_default().insert(partition);
    }
    let mut found = BTreeMap::new();
    for (topic, partitions) in by_topic {
        let mut leaders = match cluster.leaders(&topic) {
            Err(error) if error.code == Some(UNKNOWN_TOPIC) => continue,
            leaders => leaders?,
        };
        leaders.retain(|partition, _| partitions.contains(partition));
        let starts = offsets::at(cluster, &topic, &leaders, offsets::START)?;
        let ends = offsets::at(cluster, &topic, &leaders, offsets::END)?;
        for (partition, start) in starts {
            if let Some(end) = ends.get(&partition) {
                found.insert((topic.clone(), partition), (start, *end));
            }
        }
    }
    Ok(found)
}

/// Everything about a group.
pub(crate) fn view(cluster: &mut Cluster, group: &str) -> Result<GroupView> {
    let (described, coordinator) = members(cluster, group)?;
    let members: Vec<Member> = described
        .members
        .iter()
        .map(|member| Member {
            id: member.member_id.to_string(),
            instance: member.group_instance_id.as_ref().map(|id| id.to_string()),
            client: member.client_id.to_string(),
            host: member.client_host.trim_start_matches('/').to_owned(),
            assigned: assignment::parse(&member.member_assignment).unwrap_or_default(),
        })
        .collect();
    let committed = committed(cluster, group)?;
    let assigned = members.iter().flat_map(|member| member.assigned.iter());
    let places: BTreeSet<Place> = committed.keys().chain(assigned).cloned().collect();
    let bounds = bounds(cluster, places.iter().cloned())?;
    let mut rows: Vec<Row> = places
        .into_iter()
        .map(|place| Row {
            committed: committed.get(&place).copied(),
            start: bounds.get(&place).map(|(start, _)| *start),
            end: bounds.get(&place).map(|(_, end)| *end),
            member: members.iter().position(|member| member.assigned.contains(&place)),
            place,
        })
        .collect();
    sort(&mut rows);
    Ok(GroupView {
        state: described.group_state.to_string(),
        protocol: described.protocol_data.to_string(),
        coordinator,
        members,
        rows,
    })
}

/// The largest lag first; where it cannot be said, last.
fn sort(rows: &mut [Row]) {
    rows.sort_by(|a, b| b.lag().cmp(&a.lag()).then_with(|| a.place.cmp(&b.place)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(partition: i32, committed: Option<i64>, end: Option<i64>) -> Row {
        let place = ("t".to_owned(), partition);
        Row { place, committed, start: end.map(|_| 5), end, member: None }
    }

    #[test]
    fn lag_counts_what_is_still_there_to_read() {
        assert_eq!(row(0, Some(7), Some(10)).lag(), Some(3));
        assert_eq!(row(0, Some(2), Some(10)).lag(), Some(5), "records below the start are gone");
        assert_eq!(row(0, Some(12), Some(10)).lag(), Some(0));
        assert_eq!(row(0, None, Some(10)).lag(), None);
        assert_eq!(row(0, Some(7), None).lag(), None);
    }

    #[test]
    fn the_largest_lag_comes_first_and_the_unknown_last() {
        let mut rows = [
            row(0, None, Some(9)),
            row(1, Some(9), Some(9)),
            row(2, Some(5), Some(9)),
            row(3, Some(9), Some(9)),
        ];
        sort(&mut rows);
        assert_eq!(rows.map(|row| row.place.1), [2, 1, 3, 0]);
    }
}
