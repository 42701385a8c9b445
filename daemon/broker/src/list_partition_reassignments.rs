//! ListPartitionReassignments (key 46): none, since partitions cannot move yet.

use kafka_protocol::messages::ListPartitionReassignmentsResponse;

pub(crate) fn handle() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_partition_is_on_its_way() {
        let answer = super::handle();
        assert_eq!((answer.error_code, answer.topics.len()), (0, 0));
    }
}
