//! A session without a flow: a login response that came another way becomes a session.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use matrix_login::{
    Error, LoginFlow, LoginSettings, RefreshToken, ResponseError, Session, SessionError, endpoint::login,
};
use serde_json::{Value, json};

use crate::{
    refresh,
    support::scenario::{FORBIDDEN, HOMESERVER, LOGIN_URL, OFFERS, Scenario, invalid_field, noon, password, served},
};

fn response(body: &Value) -> login::Response {
    login::response(&served(200, &[], body.to_string())).unwrap()
}

/// A login response with everything that it must have, and with these members.
fn with(more: Value) -> Value {
    let mut body = json!({"user_id": "@alice:example.org", "device_id": "DEVICEID", "access_token": "t"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn without_a_device() -> Value {
    json!({"user_id": "@alice:example.org", "access_token": "t", "refresh_token": "r", "x": 1})
}

fn granted(body: &Value, settings: &LoginSettings) -> Result<Session, SessionError> {
    granted_at(body, settings, noon())
}

fn granted_at(body: &Value, settings: &LoginSettings, received_at: SystemTime) -> Result<Session, SessionError> {
    Session::granted(HOMESERVER.parse().unwrap(), response(body), settings, received_at)
}

fn kitchen() -> LoginSettings {
    LoginSettings::default().with_device_id("KITCHEN").unwrap()
}

#[test]
fn the_session_has_everything_that_the_response_has() {
    let body = with(json!({"refresh_token": "r", "home_server": "example.org", "x": {"y": null}}));
    let session = granted(&body, &LoginSettings::default()).unwrap();
    assert_eq!(session.user_id().as_str(), "@alice:example.org");
    assert_eq!(session.device_id(), "DEVICEID");
    assert_eq!(session.access_token().expose(), "t");
    assert_eq!(session.refresh_token().map(RefreshToken::expose), Some("r"));
    assert_eq!(session.homeserver().unwrap().as_str(), HOMESERVER);
    assert_eq!(json!(session.other()), json!({"home_server": "example.org", "x": {"y": null}}));
    assert_eq!(session.expires_at(), None);
}

// The device.

#[test]
fn the_device_of_the_response_counts_first() {
    assert_eq!(granted(&with(json!({})), &kitchen()).unwrap().device_id(), "DEVICEID");
}

#[test]
fn the_device_of_the_settings_counts_if_no_other_is_named() {
    for device_id in [Value::Null, json!(""), json!(7), json!(["D"])] {
        assert_eq!(granted(&with(json!({"device_id": device_id})), &kitchen()).unwrap().device_id(), "KITCHEN");
    }
    assert_eq!(granted(&without_a_device(), &kitchen()).unwrap().device_id(), "KITCHEN");
}

#[test]
fn without_any_device_the_error_owns_the_response() {
    let Err(SessionError::NoDeviceId(response)) = granted(&without_a_device(), &LoginSettings::default()) else {
        panic!()
    };
    assert_eq!(response.access_token.expose(), "t");
    assert_eq!(response.refresh_token.as_ref().map(RefreshToken::expose), Some("r"));
    assert_eq!(json!(response.other), json!({"x": 1}));
    // Nothing is lost: when the device is known, the same response grants the session.
    let session = Session::granted(HOMESERVER.parse().unwrap(), *response, &kitchen(), noon()).unwrap();
    assert_eq!((session.device_id(), session.access_token().expose()), ("KITCHEN", "t"));
}

#[test]
fn an_empty_device_id_is_treated_as_missing() {
    // A program can change a response before it makes a session of it.
    let mut response = response(&with(json!({})));
    response.device_id = Some(String::new());
    let granted =
        |settings: &LoginSettings| Session::granted(HOMESERVER.parse().unwrap(), response.clone(), settings, noon());
    assert!(matches!(granted(&LoginSettings::default()), Err(SessionError::NoDeviceId(_))));
    assert_eq!(granted(&kitchen()).unwrap().device_id(), "KITCHEN");
}

#[test]
fn a_flow_takes_the_device_of_its_settings_too() {
    let mut story = Scenario::at_the_question_with(kitchen());
    let session = story.choose(password()).responds(200, without_a_device().to_string()).session();
    assert_eq!((session.device_id(), session.access_token().expose()), ("KITCHEN", "t"));

    let again = LoginFlow::again(&refresh::session(refresh::stored()), LoginSettings::default());
    let mut story = Scenario::of(again);
    story.responds(200, OFFERS).choose(password());
    assert_eq!(story.responds(200, without_a_device().to_string()).session().device_id(), "DEVICEID");
}

#[test]
fn a_flow_shows_the_servers_words_if_the_device_is_missing() {
    let mut body = without_a_device();
    body["errcode"] = json!("M_FORBIDDEN");
    let mut story = Scenario::logging_in();
    story.responds(200, body.to_string());
    assert_eq!(story.refused().errcode.as_deref(), Some("M_FORBIDDEN"));
}

#[test]
fn a_flow_without_any_device_asks_again() {
    let mut story = Scenario::logging_in();
    let id = story.request_id();
    let error = story.fails(200, without_a_device().to_string());
    assert_eq!(invalid_field(&error), "`device_id`");
    assert!(matches!(error, Error::Response(ResponseError::InvalidResponse { .. })), "{error:?}");
    assert_eq!(story.request_id(), id);
    story.responds(403, FORBIDDEN).refused();
}

// The homeserver.

#[test]
fn the_session_follows_the_response_if_that_is_allowed() {
    const OTHER: &str = "https://other.example.org";
    let stay = || LoginSettings::default().with_follow_well_known(false);
    for (asked, named, settings, adopted) in [
        (HOMESERVER, OTHER, LoginSettings::default(), OTHER),
        (HOMESERVER, OTHER, stay(), HOMESERVER),
        // `plain_http.rs` tests more of these cases.
        (HOMESERVER, "http://other.example.org", LoginSettings::default(), HOMESERVER),
        ("http://hs.example.org", "http://other.example.org", LoginSettings::default(), "http://hs.example.org"),
        ("http://hs.example.org", "http://hs.example.org/m", LoginSettings::default(), "http://hs.example.org/m"),
        ("http://hs.example.org", "http://hs.example.org/m", stay(), "http://hs.example.org"),
        (HOMESERVER, "not a URL", LoginSettings::default(), HOMESERVER),
    ] {
        let well_known = json!({"m.homeserver": {"base_url": named}, "x": 1});
        let body = with(json!({"well_known": well_known}));
        let session = Session::granted(asked.parse().unwrap(), response(&body), &settings, noon()).unwrap();
        assert_eq!(session.homeserver().unwrap().as_str(), adopted, "{asked} {named}");
        assert_eq!(json!(session.well_known()), well_known, "the well-known information is kept whole");
    }
}

// The end of the token.

#[test]
fn the_lifetime_of_the_token_begins_with_its_response() {
    let settings = LoginSettings::default();
    let body = with(json!({"expires_in_ms": 3_600_000, "refresh_token": "r"}));
    assert_eq!(granted(&body, &settings).unwrap().expires_at(), Some(noon() + Duration::from_secs(3600)));
    let later = noon() + Duration::from_secs(1);
    let session = granted_at(&body, &settings, later).unwrap();
    assert_eq!(session.expires_at(), Some(later + Duration::from_secs(3600)));
    assert!(!session.is_expired(later + Duration::from_secs(3599), Duration::ZERO));
    // If the end cannot be stored, the token has no end.
    let long = with(json!({"expires_in_ms": 18_446_744_073_709_u64}));
    assert_eq!(granted(&long, &settings).unwrap().expires_at(), None);
    let end = UNIX_EPOCH + Duration::from_millis(18_446_744_073_709);
    assert_eq!(granted_at(&long, &settings, UNIX_EPOCH).unwrap().expires_at(), Some(end));
}

#[test]
fn only_a_flow_refuses_a_token_that_ends_for_good() {
    let settings = LoginSettings::default();
    assert!(settings.require_refresh_token());
    let session = granted(&with(json!({"expires_in_ms": 1})), &settings).unwrap();
    assert!(session.refresh_token().is_none() && session.expires_at().is_some());
}

#[test]
fn a_granted_session_is_stored_like_one_of_a_flow() {
    let body = with(json!({"refresh_token": "r", "expires_in_ms": 3_600_000, "well_known": {"x": 1}}));
    let mut story = Scenario::logging_in();
    story.posts(
        LOGIN_URL,
        json!({
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": "wonderland",
            "refresh_token": true,
        }),
    );
    story.responds(200, body.to_string());
    let session = granted(&body, &LoginSettings::default()).unwrap();
    assert_eq!(json!(session), json!(story.session()));
}
