//! The end of a session, or of all sessions of a user: any 2xx is a success. A token that the server no longer knows is
//! a success too.

use matrix_login::{
    AccessToken, Homeserver, MAX_BODY, ResponseError,
    endpoint::{logout, logout_all},
};

use crate::support::scenario::{HOMESERVER, not_matrix, served};

fn both(status: u16, body: &str) -> [Result<bool, ResponseError>; 2] {
    let response = served(status, &[], body);
    [logout::response(&response), logout_all::response(&response)]
        .map(|result| result.map(|response| response.already_logged_out))
}

#[test]
fn the_requests_have_the_token_and_no_body() {
    let homeserver: Homeserver = HOMESERVER.parse().unwrap();
    let token = AccessToken::new("t0k3n").unwrap();
    for (request, path) in [
        (logout::request(&homeserver, &token), "/_matrix/client/v3/logout"),
        (logout_all::request(&homeserver, &token), "/_matrix/client/v3/logout/all"),
    ] {
        assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", format!("{HOMESERVER}{path}")));
        assert_eq!(request.headers().len(), 1);
        assert_eq!(request.headers()["authorization"], "Bearer t0k3n");
        assert!(request.headers()["authorization"].is_sensitive());
        assert!(request.body().is_empty());
    }
}

#[test]
fn any_2xx_is_a_success_with_or_without_a_body() {
    for status in [200, 201, 202, 204, 206, 299] {
        for body in ["{}", "", "\r\n", "null", "{", "[1]", " {\n}", r#"{"errcode":"M_UNKNOWN_TOKEN"}"#] {
            for result in both(status, body) {
                assert!(!result.unwrap(), "{status} {body}");
            }
        }
    }
}

#[test]
fn a_token_that_is_unknown_was_logged_out_before() {
    for body in [
        r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":false}"#,
        r#"{"errcode":"M_UNKNOWN_TOKEN"}"#,
    ] {
        for result in both(401, body) {
            assert!(result.unwrap(), "{body}");
        }
    }
}

#[test]
fn an_expired_token_is_not_a_logout_because_the_device_stays() {
    for result in both(401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Access token has expired","soft_logout":true}"#) {
        assert!(matches!(result, Err(ResponseError::Server(error)) if error.soft_logout));
    }
}

#[test]
fn nothing_else_is_a_success() {
    for (status, body) in [
        (401, r#"{"errcode":"M_MISSING_TOKEN"}"#),
        (401, r#"{"errcode":"M_USER_LOCKED","soft_logout":true}"#),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#),
        (404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        (429, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#),
        (429, ""),
        (500, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#),
    ] {
        for result in both(status, body) {
            assert!(matches!(result, Err(ResponseError::Server(_))), "{status} {body}");
        }
    }
    for (status, body) in [(401, "<html>"), (403, ""), (502, "<html>"), (404, "{}")] {
        for result in both(status, body) {
            assert_eq!(not_matrix(&result.unwrap_err()).as_u16(), status);
        }
    }
    for result in both(301, "") {
        assert!(matches!(result, Err(ResponseError::Redirected { .. })));
    }
}

#[test]
fn a_page_is_not_a_logout_whatever_its_status() {
    for body in ["<!DOCTYPE html><title>Welcome to the airport</title>", "logged out"] {
        for result in both(200, body) {
            assert_eq!(not_matrix(&result.unwrap_err()).as_u16(), 200, "{body}");
        }
    }
    for result in both(200, &" ".repeat(MAX_BODY + 1)) {
        assert!(matches!(result, Err(ResponseError::TooLarge { .. })));
    }
}

#[test]
fn errors_name_their_endpoint() {
    let [one, all] = both(502, "");
    assert!(one.unwrap_err().to_string().contains("POST /_matrix/client/v3/logout is"));
    assert!(all.unwrap_err().to_string().contains("POST /_matrix/client/v3/logout/all is"));
}
