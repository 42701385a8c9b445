//! ApiVersions (key 18): what we speak, which is what the table holds.
//!
//! No features are told: none is finalised until transactions and the new groups exist.

use holdfast_protocol::advertised;
use holdfast_protocol::errors::{ApiVersionsError, ErrorCode};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

/// From here clients name their software.
const FIRST_VERSION_WITH_SOFTWARE: i16 = 3;

/// Answers with the table.
pub(crate) fn handle(request: &ApiVersionsRequest, version: i16) -> ApiVersionsResponse {
    let named = version < FIRST_VERSION_WITH_SOFTWARE
        || (is_software(&request.client_software_name)
            && is_software(&request.client_software_version));
    let response = ApiVersionsResponse::default();
    if named {
        response.with_api_keys(advertised())
    } else {
        response.with_error_code(ApiVersionsError::InvalidRequest.code())
    }
}

/// KIP-511: letters, digits, dots and dashes, not starting or ending with the latter two.
fn is_software(text: &str) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    text.bytes().all(|byte| is_inner(&byte))
        && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_protocol::SUPPORTED;
    use kafka_protocol::protocol::StrBytes;

    fn request(name: &str, software_version: &str) -> ApiVersionsRequest {
        ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from(name.to_owned()))
            .with_client_software_version(StrBytes::from(software_version.to_owned()))
    }

    #[test]
    fn a_client_learns_every_api_of_the_table_and_nothing_else() {
        let keys: Vec<i16> = handle(&request("librdkafka", "2.15.0"), 3)
            .api_keys
            .iter()
            .map(|api| api.api_key)
            .collect();
        let served: Vec<i16> =
            SUPPORTED.iter().filter(|row| row.is_told).map(|row| row.api.key()).collect();
        assert_eq!(keys, served);
        // Produce to ListGroups, then the epochs: a client library needs each of these.
        for key in (0..=3).chain(8..=16).chain(18..=23).chain([42, 47]) {
            assert!(keys.contains(&key), "API key {key}");
        }
    }

    #[test]
    fn what_does_not_exist_yet_is_neither_an_api_nor_a_feature() {
        for version in 0..=4 {
            let answer = handle(&request("apache-kafka-java", "4.3.1"), version);
            // Transactions, the new groups, share groups, streams groups; SASL.
            let absent = (24..=28).chain(65..=66).chain(68..=71).chain(76..=79).chain(88..=89);
            for key in absent.chain([17, 36]) {
                let told = answer.api_keys.iter().any(|api| api.api_key == key);
                assert!(!told, "API key {key} in version {version}");
            }
            assert!(answer.supported_features.is_empty() && answer.finalized_features.is_empty());
            assert_eq!(answer.finalized_features_epoch, -1, "unknown");
        }
    }

    #[test]
    fn software_names_outside_the_rule_are_refused_from_version_3() {
        assert_eq!(handle(&request("", ""), 2).error_code, 0);
        for (name, version) in [("", "1"), ("-a", "1"), ("a b", "1"), ("a", "1."), ("ä", "1")] {
            assert_eq!(handle(&request(name, version), 3).error_code, 42, "{name} {version}");
        }
        assert_eq!(handle(&request("apache-kafka-java", "4.3.1"), 4).error_code, 0);
    }
}
