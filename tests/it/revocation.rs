//! The revocation endpoint: what is sent, and when a token is no longer valid.

use matrix_login::{
    AccessToken, HttpsUrl, MAX_BODY, RefreshToken, ResponseError,
    endpoint::oauth::revocation::{self, Token},
};

use crate::support::scenario::{not_matrix, served};

/// Whether the server has said that there was nothing to revoke.
fn respond(status: u16, body: &str) -> Result<bool, ResponseError> {
    revocation::response(&served(status, &[], body)).map(|response| response.already_revoked)
}

#[test]
fn the_form_has_the_token_its_hint_and_the_client() {
    let endpoint: HttpsUrl = "https://auth.example.org/revoke?tenant=1".parse().unwrap();
    let (access_token, refresh_token) = (AccessToken::new("a+b/c==").unwrap(), RefreshToken::new("r3 fresh&"));
    for (token, form) in [
        (Token::Access(&access_token), "token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token&client_id=cl%2Bient"),
        (Token::Refresh(&refresh_token), "token=r3+fresh%26&token_type_hint=refresh_token&client_id=cl%2Bient"),
    ] {
        let request = revocation::request(&endpoint, "cl+ient", token);
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://auth.example.org/revoke?tenant=1", "its query is kept");
        assert_eq!(request.headers().len(), 2);
        assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(request.headers()["accept"], "application/json");
        assert_eq!(String::from_utf8_lossy(request.body()), form);
    }
}

#[test]
fn any_2xx_is_a_success_with_or_without_a_body() {
    for status in [200, 202, 204] {
        for body in ["", "{}", "\r\n", "null", "[]", r#"{"x":1}"#, r#"{"error":"","error_description":"x"}"#] {
            assert!(!respond(status, body).unwrap(), "{status} {body}");
        }
    }
}

#[test]
fn an_invalid_grant_means_that_the_token_was_already_gone() {
    for status in [400, 401, 403] {
        assert!(respond(status, r#"{"error":"invalid_grant","error_description":"unknown token"}"#).unwrap());
    }
}

#[test]
fn nothing_else_is_a_success() {
    for (status, body, errcode, may_retry) in [
        (401, r#"{"error":"invalid_client"}"#, "invalid_client", false),
        (400, r#"{"error":"invalid_request","error_description":"no credentials"}"#, "invalid_request", false),
        (400, r#"{"error":"unsupported_token_type"}"#, "unsupported_token_type", false),
        // In the legacy API, this response would be a successful logout.
        (401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token"}"#, "M_UNKNOWN_TOKEN", false),
        (404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized"}"#, "M_UNRECOGNIZED", false),
        (429, r#"{"error":"invalid_grant"}"#, "invalid_grant", true),
        (408, r#"{"error":"invalid_grant"}"#, "invalid_grant", true),
        (500, r#"{"error":"invalid_grant"}"#, "invalid_grant", true),
        (503, r#"{"error":"temporarily_unavailable"}"#, "temporarily_unavailable", true),
    ] {
        let error = respond(status, body).unwrap_err();
        let ResponseError::Server(server) = &error else { panic!("{body}: {error:?}") };
        assert_eq!(server.errcode.as_deref(), Some(errcode), "{status} {body}");
        assert_eq!(error.may_retry(), may_retry, "{status} {body}");
    }
    for (status, body) in [(401, ""), (403, "<html>"), (404, "{}"), (503, ""), (422, "missing field `token`")] {
        let error = respond(status, body).unwrap_err();
        assert_eq!(not_matrix(&error).as_u16(), status, "{body}");
        assert!(error.to_string().contains("POST revocation_endpoint is not from an OAuth 2.0 server"), "{error}");
    }
    assert!(matches!(respond(302, ""), Err(ResponseError::Redirected { .. })));
}

#[test]
fn a_server_that_is_busy_says_when_to_try_again() {
    let error = revocation::response(&served(503, &[("retry-after", "9")], "")).unwrap_err();
    assert!(error.may_retry() && error.retry_after().is_some());
}

#[test]
fn a_page_is_not_a_success_whatever_its_status() {
    for body in ["<!DOCTYPE html><title>Welcome to the airport</title>", "revoked"] {
        assert_eq!(not_matrix(&respond(200, body).unwrap_err()).as_u16(), 200, "{body}");
    }
    assert!(matches!(respond(200, &" ".repeat(MAX_BODY + 1)), Err(ResponseError::TooLarge { .. })));
}

#[test]
fn a_success_status_with_an_error_is_not_a_success() {
    for body in [r#"{"error":"unsupported_token_type"}"#, r#"{"errcode":"M_UNKNOWN","error":"no"}"#] {
        assert!(matches!(respond(200, body), Err(ResponseError::Server(_))), "{body}");
    }
    assert!(respond(200, r#"{"error":"invalid_grant"}"#).unwrap());
    // None of these bodies is an error.
    for body in [r#"{"error":""}"#, r#"{"error":null}"#, r#"{"error_description":"no"}"#] {
        assert!(!respond(200, body).unwrap(), "{body}");
    }
}
