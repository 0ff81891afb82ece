//! Logins without a password: application services, and login tokens.

use std::{thread, time::Duration};

use http::{Request, StatusCode};
use matrix_login_synapse::{Story, application_service_token, ask, password_choice, send, url};
use serde_json::{Value, json};

fn application_service(user: &str, as_token: &str) -> Value {
    json!({
        "type": "m.login.application_service",
        "identifier": { "type": "m.id.user", "user": user },
        "as_token": as_token,
    })
}

fn token(token: &str) -> Value {
    json!({ "type": "m.login.token", "token": token })
}

/// A login token for a user, from a session of that user. Synapse grants one token a minute, so each test has its own
/// user.
fn login_token(name: &'static str, user: &str) -> String {
    let session = Story::at(name, "full").logs_in(password_choice(user));
    let uri = format!("{}/_matrix/client/v1/login/get_token", session.homeserver().unwrap());
    let mut request = Request::post(uri).header("content-type", "application/json").body(b"{}".to_vec()).unwrap();
    session.authorize(&mut request).unwrap();
    let response = send(request).unwrap();
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    answer["login_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn an_application_service_logs_in_as_its_user() {
    // The user must exist, so the service registers it.
    let body = br#"{"type":"m.login.application_service","username":"as_bob","inhibit_login":true}"#.to_vec();
    let uri = format!("{}/_matrix/client/v3/register", url("full"));
    let register = Request::post(uri)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", application_service_token()))
        .body(body)
        .unwrap();
    assert_eq!(send(register).unwrap().status(), 200);

    let choice = application_service("as_bob", application_service_token());
    let session = Story::at("application_service", "full").logs_in(choice);
    assert_eq!(session.user_id().as_str(), "@as_bob:example.test");
    assert_eq!(ask(&session, "/_matrix/client/v3/account/whoami").0, 200);
}

#[test]
fn an_application_service_with_a_wrong_token_is_refused() {
    let choice = application_service("as_bob", "another-made-up-token");
    let refused = Story::at("application_service_wrong_token", "full").is_refused(choice);
    assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::UNAUTHORIZED), Some("M_UNKNOWN_TOKEN")));
}

#[test]
fn an_application_service_outside_its_namespace_is_refused() {
    let choice = application_service("alice", application_service_token());
    let refused = Story::at("application_service_outside", "full").is_refused(choice);
    assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::FORBIDDEN), Some("M_FORBIDDEN")));
}

#[test]
fn a_login_token_is_spent_once() {
    let login_token = login_token("token_first_session", "bob");
    let session = Story::at("token", "full").logs_in(token(&login_token));
    assert_eq!(session.user_id().as_str(), "@bob:example.test");
    let refused = Story::at("token_used", "full").is_refused(token(&login_token));
    assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::FORBIDDEN), Some("M_FORBIDDEN")));
}

#[test]
fn a_login_token_expires() {
    let login_token = login_token("token_session_of_an_expired_one", "carol");
    thread::sleep(Duration::from_millis(2_500));
    let refused = Story::at("token_expired", "full").is_refused(token(&login_token));
    assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::FORBIDDEN), Some("M_FORBIDDEN")));
}

#[test]
fn a_login_token_that_was_never_granted_is_refused() {
    let refused = Story::at("token_unknown", "full").is_refused(token("syl_made_up"));
    assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::FORBIDDEN), Some("M_FORBIDDEN")));
}
