//! A `Content-Encoding` that the transport did not decode: the error names the encoding, and does not blame the server.

use matrix_login::{Error, ResponseError, endpoint::login};

use crate::support::scenario::{GRANTED, HOMESERVER, OFFERS, Scenario, served};

/// The first bytes of a body that gzip has compressed.
const COMPRESSED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV";

fn encoding(error: &Error) -> Option<&str> {
    if let Error::Response(ResponseError::Encoded { encoding, .. }) = error { Some(encoding) } else { None }
}

#[test]
fn a_compressed_body_is_named_as_such() {
    for (status, name) in [(200, "gzip"), (200, "br"), (403, "gzip"), (404, "zstd")] {
        let error = Scenario::at(HOMESERVER).fails_with(served(status, &[("content-encoding", name)], COMPRESSED));
        assert_eq!(encoding(&error), Some(name), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "the response to GET /_matrix/client/v3/login is still encoded ({name}, status {status}): let the HTTP \
                 client decode the Content-Encoding, or request none"
            )
        );
        assert!(!error.may_retry());
    }
}

#[test]
fn several_encodings_are_named_in_one_line() {
    let error = Scenario::at(HOMESERVER).fails_with(served(200, &[("content-encoding", "gzip,\tbr")], COMPRESSED));
    assert_eq!(encoding(&error), Some("gzip,\tbr"));
    assert!(error.to_string().contains("still encoded (gzip, br, status 200)"), "{error}");
}

#[test]
fn a_client_that_has_decoded_can_leave_the_header() {
    let gzip = [("content-encoding", "gzip")];
    let mut story = Scenario::at(HOMESERVER);
    story.responds_with(served(200, &gzip, OFFERS)).choose(crate::support::scenario::password());
    story.responds_with(served(200, &gzip, GRANTED)).session();
    // Then a page is reported as a page.
    for body in ["<html>", "\u{feff}<html>\r\n\t</html>", ""] {
        let error = login::response(&served(404, &gzip, body)).unwrap_err();
        assert!(matches!(error, ResponseError::NotMatrix { .. }), "{error:?}");
    }
}

#[test]
fn an_encoded_failure_is_reported_by_its_status() {
    for status in [502, 408, 425] {
        let error = Scenario::logging_in().fails_with(served(status, &[("content-encoding", "gzip")], COMPRESSED));
        assert!(matches!(error, Error::Response(ResponseError::NotMatrix { .. })), "{error:?}");
        assert!(error.may_retry());
    }
}

#[test]
fn identity_is_not_an_encoding() {
    let error = Scenario::at(HOMESERVER).fails_with(served(200, &[("content-encoding", "identity")], COMPRESSED));
    assert!(matches!(error, Error::Response(ResponseError::NotMatrix { .. })), "{error:?}");
}

#[test]
fn a_retry_hint_is_kept_beside_the_encoding() {
    let headers = [("content-encoding", "gzip"), ("retry-after", "60")];
    let error = Scenario::at(HOMESERVER).fails_with(served(403, &headers, COMPRESSED));
    assert_eq!(encoding(&error), Some("gzip"));
    let minute = std::time::Duration::from_secs(60);
    assert_eq!(error.retry_after(), Some(matrix_login::RetryAfter::Delay(minute)));
}

#[test]
fn without_the_header_the_response_is_not_from_matrix() {
    let error = Scenario::at(HOMESERVER).fails_with(served(200, &[], COMPRESSED));
    assert!(matches!(error, Error::Response(ResponseError::NotMatrix { .. })), "{error:?}");
}

#[test]
fn a_compressed_body_can_be_text_with_control_characters() {
    let error = login::response(&served(200, &[("content-encoding", "br")], "\u{1}\u{2}text")).unwrap_err();
    assert!(matches!(error, ResponseError::Encoded { .. }), "{error:?}");
}
