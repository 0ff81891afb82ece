//! A login again, after a soft logout: at the same homeserver, with the same device, and only as the same user.

use matrix_login::{Error, LoginFlow, LoginSettings, Session};
use serde_json::{Value, json};

use crate::{
    refresh::{session, stored},
    support::scenario::{
        CALLBACK, FORBIDDEN, GRANTED, LOGIN_URL, OFFERED, OFFERS, Scenario, VERSIONS, VERSIONS_URL, WELL_KNOWN,
        WELL_KNOWN_URL, noon, password, respond, served, sso, whole,
    },
};

const ANOTHER_USERS: &str = r#"{"user_id":"@bob:example.org","device_id":"DEVICEID","access_token":"bobs"}"#;

fn again() -> Scenario {
    Scenario::of(LoginFlow::again(&session(stored()), LoginSettings::default()))
}

/// POST login is due.
fn logging_in_again() -> Scenario {
    let mut story = again();
    story.responds(200, OFFERS).choose(password());
    story
}

/// The session of another user, which the error owns. The flow is back at the question.
fn wrong_user(story: &mut Scenario, body: &str) -> Session {
    match respond(&mut story.flow, &served(200, &[], body), noon()).unwrap_err() {
        Error::WrongUser { expected, session, .. } => {
            assert_eq!(expected.as_str(), "@alice:example.org");
            *session
        }
        error => panic!("{error:?}"),
    }
}

#[test]
fn the_homeserver_and_the_device_come_from_the_session() {
    let mut story = again();
    story.gets(LOGIN_URL).responds(200, OFFERS).choose(password()).posts(
        LOGIN_URL,
        json!({
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": "wonderland",
            "device_id": "DEVICEID", "refresh_token": true,
        }),
    );
    story.responds(200, GRANTED);
    assert_eq!(story.session().access_token().expose(), "anopaquestring");
    assert_eq!(story.session().homeserver().unwrap().as_str(), "https://hs.example.org");
}

#[test]
fn the_sessions_device_replaces_the_device_of_the_settings() {
    let settings =
        LoginSettings::default().with_device_id("OTHER").unwrap().with_initial_device_display_name("kitchen");
    let mut story = Scenario::of(LoginFlow::again(&session(stored()), settings));
    story.responds(200, OFFERS).choose(password());
    let step = crate::support::replay::step_line(&story.flow.step(), noon());
    assert_eq!(step["body"]["device_id"], "DEVICEID");
    assert_eq!(step["body"]["initial_device_display_name"], "kitchen");
}

#[test]
fn no_token_of_the_old_session_goes_into_the_flow() {
    let story = logging_in_again();
    let seen = whole(&story.flow).to_string();
    assert!(!seen.contains("old-access") && !seen.contains("old-refresh"), "{seen}");
}

#[test]
fn a_homeserver_that_the_session_does_not_know_is_discovered() {
    let mut stored = stored();
    stored.as_object_mut().unwrap().remove("base_client_url");
    let mut story = Scenario::of(LoginFlow::again(&session(stored), LoginSettings::default()));
    story.gets(WELL_KNOWN_URL).responds(200, WELL_KNOWN).gets(VERSIONS_URL).responds(200, VERSIONS).gets(LOGIN_URL);
    story.responds(200, OFFERS).choose(password());
    assert_eq!(wrong_user(&mut story, ANOTHER_USERS).user_id().as_str(), "@bob:example.org");
}

#[test]
fn the_error_owns_the_session_of_another_user() {
    let mut story = logging_in_again();
    let session = wrong_user(&mut story, ANOTHER_USERS);
    assert_eq!(session.access_token().expose(), "bobs");
    assert_eq!(session.homeserver().unwrap().as_str(), "https://hs.example.org");
    story.asks(&OFFERED);
    // Then the right user logs in.
    story.choose(password()).responds(200, GRANTED);
    assert_eq!(story.session().user_id().as_str(), "@alice:example.org");
}

#[test]
fn a_user_id_that_differs_in_case_or_server_is_another_user() {
    for user_id in ["@Alice:example.org", "@alice:example.com", "@alice:example.org:8448"] {
        let body = json!({"user_id": user_id, "device_id": "DEVICEID", "access_token": "t"}).to_string();
        assert_eq!(wrong_user(&mut logging_in_again(), &body).user_id().as_str(), user_id);
    }
}

#[test]
fn a_wrong_user_counts_before_a_missing_refresh_token() {
    let body = r#"{"user_id":"@bob:example.org","device_id":"D","access_token":"t","expires_in_ms":1}"#;
    wrong_user(&mut logging_in_again(), body);
    let body = body.replace("bob", "alice");
    let error = respond(&mut logging_in_again().flow, &served(200, &[], body), noon()).unwrap_err();
    assert!(matches!(error, Error::MissingRefreshToken(_)), "{error:?}");
}

#[test]
fn the_expected_user_stays_until_the_login_ends() {
    let mut refused = logging_in_again();
    refused.responds(403, FORBIDDEN).choose(password());
    let mut elsewhere = again();
    elsewhere.use_homeserver("https://other.example.org").responds(200, OFFERS).choose(password());
    let mut resumed = logging_in_again();
    resumed.suspend().responds(200, OFFERS).choose(password());
    let mut browsing = again();
    browsing.responds(200, OFFERS).choose(sso()).suspend().callback(CALLBACK);
    for mut story in [refused, elsewhere, resumed, browsing] {
        wrong_user(&mut story, ANOTHER_USERS);
    }
}

#[test]
fn the_suspended_form_names_the_user_and_no_secret() {
    let suspended = serde_json::to_value(again().flow.suspend().unwrap()).unwrap();
    assert_eq!(suspended["user_id"], "@alice:example.org");
    assert_eq!(suspended["settings"]["device_id"], "DEVICEID");
    assert!(!suspended.to_string().contains("old-"), "{suspended}");
    let mut tampered: Value = suspended;
    tampered["user_id"] = json!("alice");
    assert!(serde_json::from_value::<matrix_login::Suspended>(tampered).is_err());
    assert!(serde_json::to_value(Scenario::at_the_question().flow.suspend()).unwrap().get("user_id").is_none());
}

#[test]
fn the_message_names_both_users() {
    let error = respond(&mut logging_in_again().flow, &served(200, &[], ANOTHER_USERS), noon()).unwrap_err();
    let message = "logged in as @bob:example.org, not as @alice:example.org: log this session out, then log in as the \
                   right user";
    assert_eq!(error.to_string(), message);
    assert!(!error.may_retry());
    let moving = json!({"user_id": "@b\n\u{1b}[31mob:example.org", "device_id": "D", "access_token": "t"}).to_string();
    let error = respond(&mut logging_in_again().flow, &served(200, &[], moving), noon()).unwrap_err();
    assert!(!error.to_string().contains(char::is_control), "{error}");
    assert!(!format!("{error:?}").contains("bobs"));
}
