//! Refusals: what a homeserver says when it does not log a user in. The flow asks the question again, and shows the
//! refusal.

use http::StatusCode;
use matrix_login::{Error, Location, ResponseError, RetryAfter, ServerError};
use serde_json::json;

use crate::support::scenario::{GRANTED, LOGIN_URL, OFFERED, OFFERS, Scenario, noon, not_matrix, password, served};

#[test]
fn the_right_password_logs_in_after_a_wrong_one() {
    let mut story = Scenario::logging_in();
    story.responds(403, r#"{"errcode":"M_FORBIDDEN","error":"Invalid username or password"}"#);
    let refused = story.refused();
    assert_eq!(refused.status, Some(StatusCode::FORBIDDEN));
    assert_eq!(refused.errcode.as_deref(), Some("M_FORBIDDEN"));
    assert_eq!(refused.message.as_deref(), Some("Invalid username or password"));
    story.choose(password()).responds(200, GRANTED).session();
}

#[test]
fn every_kind_of_refusal_is_shown_as_the_server_says_it() {
    for (status, body, errcode) in [
        (403, r#"{"errcode":"M_FORBIDDEN"}"#, "M_FORBIDDEN"),
        (403, r#"{"errcode":"M_USER_DEACTIVATED","error":"This account has been deactivated"}"#, "M_USER_DEACTIVATED"),
        (
            401,
            r#"{"errcode":"M_USER_LOCKED","error":"User account has been locked","soft_logout":true}"#,
            "M_USER_LOCKED",
        ),
        (400, r#"{"errcode":"M_UNKNOWN","error":"Missing JSON keys."}"#, "M_UNKNOWN"),
        (400, r#"{"errcode":"M_INVALID_PARAM","error":"device_id too long"}"#, "M_INVALID_PARAM"),
        (400, r#"{"errcode":"M_MISSING_PARAM","error":"x"}"#, "M_MISSING_PARAM"),
        (400, r#"{"errcode":"M_BAD_JSON","error":"x"}"#, "M_BAD_JSON"),
        (400, r#"{"errcode":"M_TOO_LARGE","error":"x"}"#, "M_TOO_LARGE"),
        (
            403,
            r#"{"errcode":"M_RESOURCE_LIMIT_EXCEEDED","error":"full","admin_contact":null}"#,
            "M_RESOURCE_LIMIT_EXCEEDED",
        ),
        (
            403,
            r#"{"errcode":"ORG.MATRIX.MSC3866_USER_AWAITING_APPROVAL","error":"x"}"#,
            "ORG.MATRIX.MSC3866_USER_AWAITING_APPROVAL",
        ),
        (400, r#"{"errcode":"M_APPSERVICE_LOGIN_UNSUPPORTED","error":"x"}"#, "M_APPSERVICE_LOGIN_UNSUPPORTED"),
        (
            400,
            r#"{"errcode":"IO.ELEMENT.MSC4190.M_APPSERVICE_LOGIN_UNSUPPORTED","error":"x"}"#,
            "IO.ELEMENT.MSC4190.M_APPSERVICE_LOGIN_UNSUPPORTED",
        ),
        (404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#, "M_UNRECOGNIZED"),
    ] {
        let mut story = Scenario::logging_in();
        story.responds(status, body);
        let refused = story.refused();
        assert_eq!((refused.status, refused.errcode.as_deref()), (StatusCode::from_u16(status).ok(), Some(errcode)));
    }
}

#[test]
fn a_locked_user_is_told_so_and_keeps_the_device() {
    let mut story = Scenario::logging_in();
    story.responds(401, r#"{"errcode":"M_USER_LOCKED","error":"locked","soft_logout":true}"#);
    assert!(story.refused().soft_logout);
    let mut story = Scenario::logging_in();
    story.responds(401, r#"{"errcode":"M_USER_LOCKED","error":"locked"}"#);
    assert!(!story.refused().soft_logout);
}

#[test]
fn an_object_that_is_cut_off_is_the_servers_fault() {
    for body in [r#"{"user_id":"@ali"#, " \r\n\t{", "\u{feff} {\"user_id\""] {
        let error = Scenario::logging_in().fails(200, body);
        let is_invalid = matches!(
            error,
            Error::Response(ResponseError::InvalidResponse { field: "the body", expected: "a JSON object", .. })
        );
        assert!(is_invalid, "{body}: {error:?}");
    }
    assert_eq!(not_matrix(&Scenario::logging_in().fails(200, " <html>{")), StatusCode::OK);
}

#[test]
fn an_odd_field_beside_the_errcode_never_hides_it() {
    // A `soft_logout` that is not `false` is read as `true`, because then no session is lost.
    for (body, soft_logout) in [
        (r#"{"errcode":"M_FORBIDDEN","error":7,"soft_logout":"yes","retry_after_ms":"soon"}"#, true),
        (r#"{"errcode":"M_FORBIDDEN","error":null,"soft_logout":null,"retry_after_ms":null}"#, true),
        (r#"{"errcode":"M_FORBIDDEN","soft_logout":true,"soft_logout": false }"#, false),
        (r#"{"errcode":"M_FORBIDDEN","error":"\ud800","retry_after_ms":1e999,"x":"\ud800"}"#, false),
        ("\u{feff} {\"errcode\":\"M_UNKNOWN\",\"errcode\":\"M_FORBIDDEN\"}", false),
    ] {
        let mut story = Scenario::logging_in();
        story.responds(403, body);
        let refused = story.refused();
        assert_eq!(refused.errcode.as_deref(), Some("M_FORBIDDEN"), "{body}");
        assert_eq!((refused.message.as_deref(), refused.retry_after), (None, None));
        assert_eq!(refused.soft_logout, soft_logout, "{body}");
    }
}

#[test]
fn bytes_that_are_not_text_spoil_only_their_own_field() {
    let mut story = Scenario::logging_in();
    story.responds(403, *b"{\"errcode\":\"M_FORBIDDEN\",\"error\":\"f\xfcr dich\"}");
    assert_eq!(story.refused().message.as_deref(), Some("f\u{fffd}r dich"));
    story.choose(password());
    story.responds(
        200,
        *b"{\"user_id\":\"@alice:example.org\",\"device_id\":\"D\",\"access_token\":\"t\",\"x\":\"M\xfcller\"}",
    );
    assert_eq!(story.session().other().get("x").unwrap(), "M\u{fffd}ller");

    // A text that must be sent back is refused, because its bytes cannot be sent back.
    let mut story = Scenario::logging_in();
    let body = *b"{\"user_id\":\"@alice:example.org\",\"device_id\":\"D\xff\",\"access_token\":\"t\"}";
    assert!(matches!(
        story.fails(200, body),
        Error::Response(ResponseError::InvalidResponse { field: "`device_id`", .. })
    ));
    let body = *b"{\"user_id\":\"@a:b\",\"device_id\":\"D\",\"access_token\":\"t\",\"refresh_token\":\"r\xff\"}";
    assert!(story.responds(200, body).session().refresh_token().is_none());
}

#[test]
fn a_message_alone_is_a_matrix_error() {
    let mut story = Scenario::logging_in();
    story.responds(403, r#"{"error":"go away"}"#);
    assert_eq!((story.refused().errcode.as_deref(), story.refused().message.as_deref()), (None, Some("go away")));
}

#[test]
fn all_other_keys_of_an_error_are_kept() {
    let mut story = Scenario::logging_in();
    story.responds(403, r#"{"errcode":"M_RESOURCE_LIMIT_EXCEEDED","admin_contact":null,"limit_type":"hs_disabled"}"#);
    let other = &story.refused().other;
    assert_eq!(json!(other), json!({"admin_contact": null, "limit_type": "hs_disabled"}));
}

#[test]
fn a_matrix_error_keeps_the_description_of_an_oauth_error() {
    let mut story = Scenario::logging_in();
    story.responds(403, r#"{"errcode":"M_FORBIDDEN","error":"no","error_description":"of RFC 6749"}"#);
    assert_eq!(story.refused().message.as_deref(), Some("no"));
    assert_eq!(json!(story.refused().other), json!({"error_description": "of RFC 6749"}));
}

#[test]
fn a_body_that_is_not_a_matrix_error_is_not_a_refusal() {
    for (status, body) in [
        (403, "<html>Forbidden</html>"),
        (404, ""),
        (413, "<html>413 Request Entity Too Large</html>"),
        (401, r#"{"flows":[{"stages":["m.login.password"]}],"session":"x"}"#),
        (400, r#"["M_FORBIDDEN"]"#),
        (400, r#"{"errcode":7,"error":null}"#),
        (403, r#"{"errcode":"M_FORBIDDEN""#),
    ] {
        let mut story = Scenario::logging_in();
        assert_eq!(not_matrix(&story.fails(status, body)).as_u16(), status, "{body}");
    }
}

#[test]
fn a_failure_of_the_homeserver_is_not_a_refusal() {
    for (status, body) in [
        (500, r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#),
        (502, "<html>502 Bad Gateway</html>"),
        (503, ""),
        (504, "<html>504 Gateway Time-out</html>"),
        (500, r#"{"user_id":"@alice:example.org","device_id":"D","access_token":"t"}"#),
    ] {
        let mut story = Scenario::logging_in();
        let error = story.fails(status, body);
        assert!(
            matches!(error, Error::Response(ResponseError::Server(_) | ResponseError::NotMatrix { .. })),
            "{error:?}"
        );
        assert!(error.may_retry(), "{error}");
        story.responds(200, GRANTED).session();
    }
}

#[test]
fn a_status_that_http_does_not_know_refuses_nothing() {
    const FORBIDDEN: &str = r#"{"errcode":"M_FORBIDDEN","error":"no"}"#;
    for status in [100, 600, 999] {
        let mut story = Scenario::logging_in();
        assert_eq!(not_matrix(&story.fails(status, FORBIDDEN)), status);
        assert!(ServerError::from_response(&served(status, &[], FORBIDDEN)).is_none(), "{status}");
    }
}

#[test]
fn a_login_request_is_never_redirected() {
    for status in [301, 302, 303, 307, 308] {
        let mut story = Scenario::logging_in();
        let response = served(status, &[("location", "https://evil.example.com/_matrix/client/v3/login")], GRANTED);
        let error = story.fails_with(response);
        let Error::Response(ResponseError::Redirected { location, .. }) = &error else { panic!("{error:?}") };
        assert_eq!(location.as_ref().map(Location::as_str), Some("https://evil.example.com/_matrix/client/v3/login"));
        assert!(!error.may_retry());
    }
}

#[test]
fn a_login_that_became_a_get_on_the_way_grants_nothing() {
    // What nginx's `return 301` makes of a POST in many clients: the list of login types, with status 200.
    let mut story = Scenario::logging_in();
    let error = story.fails(200, OFFERS);
    assert!(matches!(error, Error::Response(ResponseError::InvalidResponse { field: "`access_token`", .. })));
}

#[test]
fn a_refusal_is_forgotten_with_the_next_choice() {
    let mut story = Scenario::logging_in();
    story.responds(403, r#"{"errcode":"M_FORBIDDEN"}"#).choose(password()).back();
    story.asks(&OFFERED);
}

#[test]
fn a_body_that_is_too_long_is_not_read() {
    let long = |prefix: &str| {
        let mut body = prefix.as_bytes().to_vec();
        body.resize(matrix_login::MAX_BODY + 1, b' ');
        body
    };
    let mut story = Scenario::logging_in();
    let error = story.fails(200, long(GRANTED));
    assert!(
        matches!(error, Error::Response(ResponseError::TooLarge { length, .. }) if length == matrix_login::MAX_BODY + 1)
    );
    assert_eq!(not_matrix(&story.fails(403, long(r#"{"errcode":"M_FORBIDDEN"}"#))), StatusCode::FORBIDDEN);
    let mut fits = GRANTED.as_bytes().to_vec();
    fits.resize(matrix_login::MAX_BODY, b' ');
    story.responds(200, fits).session();
}

#[test]
fn a_lost_response_leaves_the_same_request_due() {
    let mut story = Scenario::logging_in();
    let first = crate::support::replay::step_line(&story.flow.step(), noon());
    assert_eq!(first["url"], LOGIN_URL);
    assert!(matches!(story.flow.handle_unreachable(story.request_id()), Err(Error::OutOfStep { due: "Send", .. })));
    assert_eq!(crate::support::replay::step_line(&story.flow.step(), noon()), first);
    story.responds(200, GRANTED).session();
}

#[test]
fn the_response_to_any_request_can_be_read_as_an_error() {
    let limited = served(429, &[("retry-after", "3")], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#);
    let error = ServerError::from_response(&limited).unwrap();
    assert_eq!(error.errcode.as_deref(), Some("M_LIMIT_EXCEEDED"));
    let three_seconds = Some(RetryAfter::Delay(std::time::Duration::from_secs(3)));
    assert_eq!(
        (error.retry_after, ResponseError::Server(error.clone().into()).retry_after()),
        (three_seconds, three_seconds)
    );
    for (status, body) in
        [(200, r#"{"errcode":"M_UNKNOWN"}"#), (302, r#"{"errcode":"M_UNKNOWN"}"#), (404, "<html>"), (400, "{}")]
    {
        assert!(ServerError::from_response(&served(status, &[], body)).is_none(), "{status} {body}");
    }
}
