//! SaslHandshake (key 17) on a listener without authentication: the client is configured for one that
//! this is not, and is told so instead of being cut off.

use holdfast_protocol::errors::{ErrorCode, SaslHandshakeError};
use kafka_protocol::messages::SaslHandshakeResponse;

pub(crate) fn handle() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(SaslHandshakeError::IllegalSaslState.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_wants_to_authenticate_here_learns_that_it_cannot() {
        let answer = handle();
        assert_eq!((answer.error_code, answer.mechanisms.len()), (34, 0));
    }
}
