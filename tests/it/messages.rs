//! Errors as a user reads them: one test per variant, in one line, with what can be done.

use std::error::Error as _;

use http::Response;
use matrix_login::{DiscoveryFailure, DiscoveryOutcome, Error, Homeserver, MAX_BODY, Step};

use crate::scenario::{CALLBACK, GRANTED, HOMESERVER, OFFERS, Scenario, answer, noon, password};

/// The message, if the error says what it should about trying again, and is whole in itself.
fn message(error: &Error, may_retry: bool) -> String {
    assert_eq!(error.may_retry(), may_retry, "{error}");
    assert!(error.source().is_none(), "the source would be printed twice: {error}");
    let message = error.to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

fn failed(response: Response<Vec<u8>>) -> Error {
    Scenario::logging_in().fails_with(response)
}

fn discovery(story: &Scenario) -> DiscoveryFailure {
    match story.flow.step() {
        Step::Locate { failure } => failure.clone(),
        step => panic!("{step:?}"),
    }
}

#[test]
fn invalid_input() {
    let error = "example.org".parse::<Homeserver>().unwrap_err();
    let expected = "invalid homeserver: expected an http or https URL with a host, such as https://matrix.example.org";
    assert_eq!(message(&error, false), expected);
}

#[test]
fn out_of_step() {
    let error = Scenario::in_the_browser().flow.handle_timeout().unwrap_err();
    assert_eq!(message(&error, false), "handle_timeout is out of step: Browse is due");
    let error = Scenario::logged_in().flow.handle_callback(&CALLBACK.parse().unwrap()).unwrap_err();
    assert_eq!(message(&error, false), "handle_callback is out of step: Done is due");
}

#[test]
fn already_logged_in() {
    let error = Scenario::logged_in().flow.choose(password()).unwrap_err();
    assert_eq!(message(&error, false), "already logged in: log out first, or begin another login");
}

#[test]
fn not_offered() {
    let mut story = Scenario::at(HOMESERVER);
    story.answer(200, r#"{"flows":[{"type":"a\nb"}]}"#);
    let error = story.flow.choose(password()).unwrap_err();
    assert_eq!(message(&error, false), "the homeserver does not offer m.login.password, but a b");
    let mut story = Scenario::at(HOMESERVER);
    story.answer(200, r#"{"flows":[]}"#);
    let error = story.flow.choose(password()).unwrap_err();
    assert_eq!(message(&error, false), "the homeserver does not offer m.login.password, but nothing");
}

#[test]
fn foreign_callback() {
    let error = Scenario::in_the_browser().flow.handle_callback(&"http://a/".parse().unwrap()).unwrap_err();
    let expected = "the callback does not belong to this login: expected its `state`, once, and a `loginToken`";
    assert_eq!(message(&error, false), expected);
}

#[test]
fn server() {
    for (status, body, expected) in [
        (500, r#"{"errcode":"M_UNKNOWN","error":"x"}"#, "the server failed (status 500, M_UNKNOWN): x"),
        (503, r#"{"error":"x"}"#, "the server failed (status 503): x"),
        (500, r#"{"errcode":"M_UNKNOWN"}"#, "the server failed (status 500, M_UNKNOWN)"),
        (
            500,
            "{\"errcode\":\"A\\nB\",\"error\":\"one\\r\\ntwo \\u001b[31mred \\u202etfel \\u2028x\"}",
            "the server failed (status 500, A B): one  two  [31mred  tfel  x",
        ),
    ] {
        assert_eq!(message(&failed(answer(status, &[], body)), true), expected);
    }
    let mut story = Scenario::logging_in();
    story.answer(403, r#"{"errcode":"M_FORBIDDEN","error":"Invalid username or password"}"#);
    let expected = "the server refused (status 403, M_FORBIDDEN): Invalid username or password";
    assert_eq!(story.refused().to_string(), expected);
    assert_eq!(message(&story.refused().clone().into(), false), expected);
    story.choose(password()).answer(429, "");
    assert_eq!(message(&story.wait().error().clone().into(), true), "the server refused (status 429)");
}

#[test]
fn legacy_login_unsupported() {
    let error = Scenario::at(HOMESERVER).fails(404, r#"{"errcode":"M_UNRECOGNIZED"}"#);
    let expected = "the homeserver does not support this kind of login; it may support OAuth 2.0 only";
    assert_eq!(message(&error, false), expected);
}

#[test]
fn invalid_response() {
    let expected = "invalid answer to POST /_matrix/client/v3/login: expected `access_token` to be a string of visible \
                    ASCII characters; the homeserver is at fault";
    assert_eq!(message(&failed(answer(200, &[], "{}")), false), expected);
    let expected = "invalid answer to POST /_matrix/client/v3/login: expected the body to be a JSON object; the \
                    homeserver is at fault";
    assert_eq!(message(&failed(answer(200, &[], "[]")), false), expected);
}

#[test]
fn too_large() {
    let expected = "invalid answer to POST /_matrix/client/v3/login: 65537 bytes are too long; the homeserver, or what \
                    answers for it, is at fault";
    assert_eq!(message(&failed(answer(200, &[], " ".repeat(MAX_BODY + 1))), false), expected);
}

#[test]
fn not_matrix() {
    let expected = "the answer to POST /_matrix/client/v3/login is not from a Matrix server (status 404): check the \
                    address";
    assert_eq!(message(&failed(answer(404, &[], "<html>")), false), expected);
    let expected = "the answer to POST /_matrix/client/v3/login is not from a Matrix server (status 502): try again \
                    later";
    assert_eq!(message(&failed(answer(502, &[], "<html>")), true), expected);
}

#[test]
fn redirected() {
    let expected = "the answer to POST /_matrix/client/v3/login is a redirect to https://example.org/ that is not \
                    followed: use the right address";
    assert_eq!(message(&failed(answer(307, &[("location", "https://example.org/")], "")), false), expected);
    let expected =
        "the answer to POST /_matrix/client/v3/login is a redirect that is not followed: use the right address";
    assert_eq!(message(&failed(answer(307, &[], "")), false), expected);
}

#[test]
fn missing_refresh_token() {
    let body = format!("{},\"expires_in_ms\":1}}", GRANTED.strip_suffix('}').unwrap());
    let error = Scenario::logging_in().flow.handle_response(&answer(200, &[], body), noon()).unwrap_err();
    let expected = "logged in, but the access token expires and there is no refresh token: accept such sessions or log \
                    this one out";
    assert_eq!(message(&error, false), expected);
}

#[test]
fn discovery_and_unreachable() {
    let failure = discovery(&Scenario::lost());
    assert_eq!(failure.outcome, DiscoveryOutcome::Ignore);
    let expected = "the server does not say where its homeserver is; if you know its URL, give that";
    assert_eq!(message(&failure.into(), false), expected);

    let mut story = Scenario::discover("example.org");
    story.unreachable();
    let expected = "the server does not say clearly where its homeserver is: no answer to GET \
                    /.well-known/matrix/client: check the network and the address; if you know its URL, give that";
    assert_eq!(message(&discovery(&story).into(), true), expected);

    let mut story = Scenario::discover("example.org");
    story.answer(200, r#"{"m.homeserver":{"base_url":"nonsense"}}"#);
    let expected = "the server does not say clearly where its homeserver is: invalid answer to GET \
                    /.well-known/matrix/client: expected `base_url` of `m.homeserver` to be an http or https URL; the \
                    homeserver is at fault; if you know its URL, give that";
    assert_eq!(message(&discovery(&story).into(), false), expected);

    let mut story = Scenario::at_versions();
    story.answer(200, OFFERS);
    let expected = "the homeserver https://hs.example.org cannot be used: invalid answer to GET \
                    /_matrix/client/versions: expected `versions` to be a list of strings; the homeserver is at fault; \
                    if you know its URL, give that";
    assert_eq!(message(&discovery(&story).into(), false), expected);
}
