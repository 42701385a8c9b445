//! DescribeAcls, CreateAcls and DeleteAcls (keys 29 to 31): what Kafka says while no authorizer is
//! configured. Everybody may do everything, and rules that nothing would follow are not taken.

use holdfast_protocol::errors::{AclError, ErrorCode};
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

/// Kafka's words, which tools print. It has others for who only looks.
const NO_AUTHORIZER: StrBytes = StrBytes::from_static_str("No Authorizer is configured.");
const NO_AUTHORIZER_ON_THE_BROKER: StrBytes =
    StrBytes::from_static_str("No Authorizer is configured on the broker");

pub(crate) fn describe() -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(AclError::SecurityDisabled.code())
        .with_error_message(Some(NO_AUTHORIZER_ON_THE_BROKER))
}

pub(crate) fn create(request: &CreateAclsRequest) -> CreateAclsResponse {
    let refused = AclCreationResult::default()
        .with_error_code(AclError::SecurityDisabled.code())
        .with_error_message(Some(NO_AUTHORIZER));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}

pub(crate) fn delete(request: &DeleteAclsRequest) -> DeleteAclsResponse {
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(AclError::SecurityDisabled.code())
        .with_error_message(Some(NO_AUTHORIZER));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::create_acls_request::AclCreation;
    use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;

    #[test]
    fn no_rule_is_taken_that_nothing_would_follow() {
        let described = describe();
        assert_eq!((described.error_code, described.resources.len()), (54, 0));
        let words = described.error_message;
        assert_eq!(words.as_deref(), Some("No Authorizer is configured on the broker"));
        let creations = vec![AclCreation::default(), AclCreation::default()];
        let created = create(&CreateAclsRequest::default().with_creations(creations)).results;
        let filters = vec![DeleteAclsFilter::default()];
        let deleted = delete(&DeleteAclsRequest::default().with_filters(filters)).filter_results;
        assert_eq!(created.iter().map(|one| one.error_code).collect::<Vec<_>>(), [54, 54]);
        assert_eq!(deleted.iter().map(|one| one.error_code).collect::<Vec<_>>(), [54]);
        assert_eq!(deleted[0].error_message.as_deref(), Some("No Authorizer is configured."));
    }
}
