//! A login by the device authorization grant of the OAuth 2.0 API: a code is shown, and the flow polls.

use std::time::Duration;

use matrix_login::{Choice, Error, InvalidInput, LoginFlow, LoginSettings, ShownCode};
use serde_json::{Value, json};

use crate::{
    refresh,
    support::{
        replay::step_line,
        scenario::{
            AUTH_METADATA_URL, CLIENT_ID, CODE_LIFETIME, CODE_TO_SHOW, DEVICE_AUTHORIZATION_URL, HOMESERVER, LOGIN_URL,
            METADATA, OAUTH_DEVICE_ID, OFFERED, OFFERS, PENDING, REFUSED_BY_OAUTH, REGISTERED, REGISTRATION_URL,
            Scenario, TOKENS, UNRECOGNIZED, WHOAMI, code, invalid_field, metadata_with, noon, not_matrix, respond,
            served, whole, with_oauth, with_registered_client,
        },
    },
};

const SLOW_DOWN: &str = r#"{"error":"slow_down"}"#;

fn device() -> Choice {
    Choice::device_authorization()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A code with another value of one member, or without it if the value is null.
fn code_with(member: &str, value: impl Into<Value>) -> String {
    let mut code: Value = serde_json::from_str(CODE_TO_SHOW).unwrap();
    code[member] = value.into();
    code.to_string()
}

/// A choice that the flow refuses. The refusal changes nothing.
fn refuses(story: &mut Scenario, choice: Choice) -> Error {
    let before = whole(&story.flow);
    let error = story.flow.choose(choice).unwrap_err();
    assert_eq!(whole(&story.flow), before, "{error}");
    error
}

// The whole login.

#[test]
fn the_login_goes_from_the_metadata_to_the_session() {
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    story.gets(LOGIN_URL).responds(200, OFFERS).gets(AUTH_METADATA_URL).responds(200, METADATA).choose(device());
    let line = step_line(&story.flow.step(), noon());
    assert_eq!((&line["method"], &line["url"]), (&json!("POST"), &json!(REGISTRATION_URL)));
    assert_eq!(line["body"]["redirect_uris"], json!(["http://127.0.0.1/"]), "some servers refuse a client without one");
    let grants = json!(["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]);
    assert_eq!(line["body"]["grant_types"], grants);
    assert_eq!(line["body"]["response_types"], json!(["code"]));
    let scope = "urn:matrix:client:api:* urn:matrix:client:device:KITCHENTABLET";
    story
        .responds(201, REGISTERED)
        .posts_form(DEVICE_AUTHORIZATION_URL, json!({"client_id": CLIENT_ID, "scope": scope}))
        .responds(200, CODE_TO_SHOW)
        .shows_a_code(7);
    let shown = story.code();
    assert_eq!(shown.verification_uri().as_str(), "https://auth.example.org/link");
    let complete = shown.verification_uri_complete().unwrap();
    assert_eq!(complete.as_str(), "https://auth.example.org/link?code=WDJB-MJHT");
    assert_eq!((shown.expires_in(), shown.expires_at()), (Some(CODE_LIFETIME), Some(noon() + CODE_LIFETIME)));
    assert_eq!((shown.interval(), shown.delay(), shown.is_new()), (seconds(7), seconds(7), true));
    story.timeout().polls().responds(403, PENDING).shows_a_code(7);
    assert!(!story.code().is_new());
    story.timeout().polls().responds(200, TOKENS).asks_whose("at").responds(200, WHOAMI);
    let session = story.session();
    assert_eq!((session.device_id(), session.client_id()), (OAUTH_DEVICE_ID, Some(CLIENT_ID)));
    assert!(session.is_oauth() && session.refresh_token().is_some());
}

#[test]
fn it_needs_no_authorization_endpoint() {
    let mut metadata: Value = serde_json::from_str(METADATA).unwrap();
    for member in ["authorization_endpoint", "response_types_supported", "code_challenge_methods_supported"] {
        metadata.as_object_mut().unwrap().remove(member).unwrap();
    }
    let mut story = Scenario::with_metadata(with_oauth(), metadata.to_string());
    story.choose(device()).responds(201, REGISTERED).responds(200, CODE_TO_SHOW).shows_a_code(7);
}

#[test]
fn a_registered_client_does_not_register() {
    let mut story = Scenario::with_metadata(with_registered_client(), metadata_with("registration_endpoint", ()));
    story.choose(device());
    assert_eq!(step_line(&story.flow.step(), noon())["url"], DEVICE_AUTHORIZATION_URL);
    story.responds(200, CODE_TO_SHOW).timeout().polls();
}

#[test]
fn a_homeserver_without_the_legacy_api_offers_it_too() {
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    story.responds(404, UNRECOGNIZED).responds(200, METADATA).choose(device()).responds(201, REGISTERED);
    story.responds(200, CODE_TO_SHOW).timeout().polls().responds(200, TOKENS).responds(200, WHOAMI).session();
}

#[test]
fn the_lifetime_of_the_token_begins_with_its_response() {
    let mut story = Scenario::polling();
    story.responds_at(noon() + seconds(60), 200, TOKENS);
    respond(&mut story.flow, &served(200, &[], WHOAMI), noon() + seconds(90)).unwrap();
    assert_eq!(story.session().expires_at(), Some(noon() + seconds(360)));
}

// What is not offered.

#[test]
fn a_choice_that_the_server_does_not_offer_names_the_member() {
    let code_grants = json!(["authorization_code", "refresh_token"]);
    for (member, value, problem) in [
        ("device_authorization_endpoint", json!(null), "`device_authorization_endpoint` is not an https URL"),
        (
            "device_authorization_endpoint",
            json!("http://a.example/"),
            "`device_authorization_endpoint` is not an https URL",
        ),
        ("token_endpoint", json!(null), "`token_endpoint` is not an https URL"),
        (
            "token_endpoint",
            json!("https://other.example.org/token"),
            "`token_endpoint` is not on the origin of `device_authorization_endpoint`",
        ),
        ("grant_types_supported", code_grants, "`grant_types_supported` does not contain the grant type of RFC 8628"),
        ("grant_types_supported", json!(null), "`grant_types_supported` does not contain the grant type of RFC 8628"),
    ] {
        let mut story = Scenario::with_metadata(with_oauth(), metadata_with(member, value));
        let error = refuses(&mut story, device()).to_string();
        assert!(error.contains("urn:ietf:params:oauth:grant-type:device_code") && error.contains(problem), "{error}");
    }
    let error = refuses(&mut Scenario::at_the_question(), device()).to_string();
    assert!(error.contains("the settings do not ask for OAuth 2.0"), "{error}");
}

#[test]
fn a_missing_or_unfit_device_id_is_refused_at_the_choice() {
    let client = with_oauth().oauth().unwrap().clone();
    let mut story = Scenario::with_metadata(LoginSettings::default().with_oauth(client), METADATA);
    for choice in
        [device(), device().with_device_id("SHORT").unwrap(), device().with_device_id("KITCHEN TABLET").unwrap()]
    {
        let Error::InvalidInput(InvalidInput { field, .. }) = refuses(&mut story, choice) else { panic!() };
        assert_eq!(field, "device ID");
    }
    let choice = device().with_device_id("ANOTHERDEVICE").unwrap();
    assert_eq!(choice.device_id(), Some("ANOTHERDEVICE"));
    story.choose(choice).responds(201, REGISTERED);
    let scope = "urn:matrix:client:api:* urn:matrix:client:device:ANOTHERDEVICE";
    story.posts_form(DEVICE_AUTHORIZATION_URL, json!({"client_id": CLIENT_ID, "scope": scope}));
}

#[test]
fn the_choice_takes_no_fields() {
    let error = device().with_field("login_hint", "alice").unwrap_err();
    assert_eq!(error.to_string(), "invalid field: expected no field, since a device authorization takes none");
    assert_eq!(device().login_type(), "urn:ietf:params:oauth:grant-type:device_code");
    assert!(device().redirect().is_none() && device().credentials().is_none() && device().fields().is_empty());
}

#[test]
fn a_client_without_an_id_needs_a_registration_endpoint() {
    let mut story = Scenario::with_metadata(with_oauth(), metadata_with("registration_endpoint", ()));
    let Error::InvalidInput(InvalidInput { field, .. }) = refuses(&mut story, device()) else { panic!() };
    assert_eq!(field, "OAuth client");
}

// The code.

#[test]
fn a_page_over_plain_http_is_not_shown() {
    let mut story = Scenario::asking_for_a_code_to_show();
    let error = story.fails(200, code_with("verification_uri", "http://auth.example.org/link"));
    assert_eq!(invalid_field(&error), "`verification_uri`");
    story.responds(200, code_with("verification_uri_complete", "http://auth.example.org/link"));
    assert!(story.code().verification_uri_complete().is_none());
}

#[test]
fn the_interval_is_five_seconds_if_the_server_does_not_say_it() {
    for interval in [json!(null), json!(0), json!(-1), json!("7"), json!(1.5)] {
        let mut story = Scenario::asking_for_a_code_to_show();
        story.responds(200, code_with("interval", interval)).shows_a_code(5);
    }
}

#[test]
fn a_code_can_have_no_end() {
    for lifetime in [json!(null), json!("soon"), json!(9_223_372_036_u64)] {
        let mut story = Scenario::asking_for_a_code_to_show();
        story.responds(200, code_with("expires_in", lifetime.clone()));
        let has_end = story.code().expires_at().is_some();
        assert_eq!(has_end, lifetime.is_u64(), "{lifetime}");
        story.timeout().responds_at(noon() + CODE_LIFETIME, 400, PENDING);
        assert_eq!(story.code().user_code(), "WDJB-MJHT");
    }
}

#[test]
fn if_no_code_is_granted_the_question_is_asked_again() {
    let mut story = Scenario::asking_for_a_code_to_show();
    story.responds(400, r#"{"error":"unauthorized_client","error_description":"Not you."}"#);
    assert_eq!(story.refused().errcode.as_deref(), Some("unauthorized_client"));
    story.choose(code()).responds(201, REGISTERED).browses();
}

// The polls.

#[test]
fn the_error_counts_and_not_the_status() {
    for status in [200, 400, 401, 403, 429, 500, 503] {
        Scenario::polling().responds(status, PENDING).shows_a_code(7);
        Scenario::polling().responds(status, SLOW_DOWN).shows_a_code(12);
        for refusal in ["access_denied", "expired_token"] {
            let mut story = Scenario::polling();
            story.responds(status, json!({"error": refusal, "error_description": "No."}).to_string());
            assert_eq!(story.refused().errcode.as_deref(), Some(refusal));
            assert_eq!(story.refused().message.as_deref(), Some("No."));
        }
    }
}

#[test]
fn every_other_error_ends_the_login() {
    for refusal in ["invalid_grant", "invalid_client", "invalid_request", "org.example.unknown"] {
        let mut story = Scenario::polling();
        story.responds(400, json!({"error": refusal}).to_string());
        assert_eq!(story.refused().errcode.as_deref(), Some(refusal));
        story.choose(device());
    }
}

#[test]
fn slow_down_makes_the_interval_longer_for_all_later_polls() {
    let mut story = Scenario::polling();
    story.responds(429, SLOW_DOWN).shows_a_code(12).timeout().polls().responds(400, PENDING).shows_a_code(12);
    story.timeout().responds(400, SLOW_DOWN).shows_a_code(17).timeout().responds(403, PENDING).shows_a_code(17);
    assert_eq!(story.code().interval(), seconds(17));
}

#[test]
fn a_longer_hint_delays_one_poll_and_a_shorter_hint_delays_none() {
    for body in [PENDING, SLOW_DOWN] {
        let interval = if body == PENDING { 7 } else { 12 };
        let mut story = Scenario::polling();
        story.responds_with(served(429, &[("retry-after", "60")], body)).shows_a_code(60);
        assert_eq!((story.code().interval(), story.code().delay()), (seconds(interval), seconds(60)));
        story.timeout().responds(400, PENDING).shows_a_code(interval);
        let mut story = Scenario::polling();
        story.responds_with(served(429, &[("retry-after", "1")], body)).shows_a_code(interval);
    }
}

#[test]
fn after_a_poll_that_fails_the_same_poll_is_due() {
    let mut story = Scenario::polling();
    assert_eq!(not_matrix(&story.fails(502, "<html>")), 502);
    assert!(matches!(story.fails(500, r#"{"error":"server_error"}"#), Error::Response(_)));
    assert_eq!(not_matrix(&story.fails(200, "<html>")), 200);
    assert_eq!(invalid_field(&story.fails(200, "{}")), "`access_token`");
    let error = story.flow.handle_unreachable(story.request_id()).unwrap_err();
    assert!(matches!(error, Error::OutOfStep { due: "Send", .. }), "{error:?}");
    assert_eq!(story.flow.shown_code().unwrap().interval(), seconds(7));
    story.polls().responds(200, TOKENS).asks_whose("at");
}

#[test]
fn a_rate_limit_lasts_at_least_the_interval() {
    for (headers, expected) in [(&[][..], 7_000), (&[("retry-after", "2")], 7_000), (&[("retry-after", "60")], 60_000)]
    {
        let mut story = Scenario::polling();
        story.responds_with(served(429, headers, "<html>")).waits(expected, 1);
        assert_eq!(story.flow.shown_code().map(ShownCode::user_code), Some("WDJB-MJHT"));
        story.timeout().polls();
    }
    // A hint that came with an earlier poll does not count.
    let mut story = Scenario::polling();
    story
        .responds_with(served(400, &[("retry-after", "60")], PENDING))
        .timeout()
        .responds(429, "<html>")
        .waits(7_000, 1);
}

#[test]
fn a_pending_response_after_the_end_is_an_expired_code() {
    for body in [PENDING, SLOW_DOWN, r#"{"error":"authorization_pending","error_description":"Wait."}"#] {
        let mut story = Scenario::polling();
        story.responds_at(noon() + CODE_LIFETIME, 403, body);
        let refused = story.refused();
        assert_eq!(refused.errcode.as_deref(), Some("expired_token"));
        assert_eq!((refused.status.map(|status| status.as_u16()), &refused.message), (Some(403), &None));
        story.choose(device());
    }
    let mut story = Scenario::polling();
    let late = served(403, &[("retry-after", "60")], PENDING);
    respond(&mut story.flow, &late, noon() + CODE_LIFETIME).unwrap();
    assert!(story.refused().retry_after.is_none(), "a code that has ended gives no hint to wait");
    let mut story = Scenario::polling();
    story.responds_at(noon() + CODE_LIFETIME - Duration::from_nanos(1), 403, PENDING);
    assert_eq!(story.code().user_code(), "WDJB-MJHT");
    // Tokens count whenever they come.
    Scenario::polling().responds_at(noon() + CODE_LIFETIME, 200, TOKENS).asks_whose("at");
}

#[test]
fn no_poll_moves_the_end_of_the_code() {
    let end = Some(noon() + CODE_LIFETIME);
    for body in [PENDING, SLOW_DOWN] {
        let mut story = Scenario::polling();
        story.responds_at(noon() + CODE_LIFETIME / 2, 400, body);
        assert_eq!((story.code().expires_in(), story.code().expires_at()), (Some(CODE_LIFETIME), end));
        story.timeout().responds_at(noon() + CODE_LIFETIME, 400, body);
        assert_eq!(story.refused().errcode.as_deref(), Some("expired_token"));
    }
    let mut story = Scenario::polling();
    story.responds_at(noon() + CODE_LIFETIME / 2, 429, "");
    assert_eq!(story.flow.shown_code().unwrap().expires_at(), end);
}

#[test]
fn no_poll_is_due_after_tokens_were_granted() {
    let mut story = Scenario::polling();
    let poll = story.request_id();
    story.responds(200, TOKENS).late(poll, 400, PENDING).asks_whose("at");
    assert!(story.flow.handle_timeout().is_err() && story.flow.shown_code().is_none());
    story.fails(502, "");
    story.asks_whose("at").responds(200, WHOAMI).session();
}

#[test]
fn a_poll_with_two_responses_counts_once() {
    let mut story = Scenario::polling();
    let poll = story.request_id();
    story.responds(400, PENDING).late(poll, 200, TOKENS).timeout().polls().late(poll, 200, TOKENS);
}

// The time.

#[test]
fn a_clock_that_is_set_back_makes_no_wait_too_long() {
    let story = Scenario::showing_a_code();
    let left = |story: &Scenario, at| story.code().remaining(at);
    assert_eq!(left(&story, noon() + seconds(5)), seconds(2));
    assert_eq!(left(&story, noon() + seconds(7)), Duration::ZERO);
    assert_eq!(left(&story, noon() + seconds(86_400)), Duration::ZERO);
    assert_eq!(left(&story, noon() - seconds(86_400)), seconds(7));
    assert_eq!(left(&story, std::time::UNIX_EPOCH), seconds(7));
    // The same holds at the last time that the clock can show.
    let mut last = noon();
    for exponent in (0..64).rev() {
        last = last.checked_add(seconds(1 << exponent)).unwrap_or(last);
    }
    let mut story = Scenario::asking_for_a_code_to_show();
    story.responds_at(last, 200, CODE_TO_SHOW);
    assert_eq!((left(&story, last), story.code().expires_at()), (seconds(7), None));
    let mut story = Scenario::polling();
    story.responds_at(last, 429, "");
    assert_eq!(story.wait().remaining(last), seconds(7));
}

// Going back, and another homeserver.

#[test]
fn back_leads_to_the_question_from_everywhere() {
    for story in [Scenario::asking_for_a_code_to_show(), Scenario::showing_a_code(), Scenario::polling()] {
        let mut back = story.clone();
        back.back().asks(&OFFERED).choose(device());
        let mut elsewhere = story;
        elsewhere.use_homeserver("https://other.example.org").gets("https://other.example.org/_matrix/client/v3/login");
    }
}

#[test]
fn a_late_poll_of_an_abandoned_login_does_not_count() {
    let mut story = Scenario::polling();
    let poll = story.request_id();
    story.back().late(poll, 200, TOKENS).asks(&OFFERED);
}

#[test]
fn a_suspended_flow_goes_back_to_the_question() {
    for mut story in [Scenario::asking_for_a_code_to_show(), Scenario::showing_a_code(), Scenario::polling()] {
        let stored = serde_json::to_string(&story.flow.suspend().unwrap()).unwrap();
        assert!(!stored.contains("dev1ce") && !stored.contains("WDJB"), "{stored}");
        story.suspend().gets(LOGIN_URL).responds(200, OFFERS).gets(AUTH_METADATA_URL).responds(200, METADATA);
        story.asks(&OFFERED).choose(device());
    }
}

#[test]
fn no_debug_output_shows_the_device_code() {
    for story in [Scenario::showing_a_code(), Scenario::polling()] {
        let debug = format!("{:?} {:?} {:?}", story.flow, story.flow.step(), story.flow.shown_code());
        assert!(!debug.contains("dev1ce"), "{debug}");
        assert!(debug.contains("WDJB-MJHT"), "{debug}");
    }
}

#[test]
fn a_login_again_takes_the_device_of_the_session() {
    let mut stored = refresh::stored();
    stored["device_id"] = "THEOLDDEVICE".into();
    let mut story = Scenario::of(LoginFlow::again(&refresh::session(stored), with_oauth()));
    story.responds(200, OFFERS).responds(200, METADATA).choose(device()).responds(201, REGISTERED);
    let scope = "urn:matrix:client:api:* urn:matrix:client:device:THEOLDDEVICE";
    story.posts_form(DEVICE_AUTHORIZATION_URL, json!({"client_id": CLIENT_ID, "scope": scope}));
    story.responds(200, CODE_TO_SHOW).timeout().responds(200, TOKENS);
    let another_user = r#"{"user_id":"@mallory:example.org","device_id":"THEOLDDEVICE"}"#;
    let error = respond(&mut story.flow, &served(200, &[], another_user), noon()).unwrap_err();
    assert!(matches!(error, Error::WrongUser { .. }), "{error:?}");
    story.asks(&OFFERED);
}

#[test]
fn back_from_whoami_revokes_what_was_granted() {
    let mut story = Scenario::polling();
    story.responds(200, TOKENS).back();
    let form = json!({"token": "rt", "token_type_hint": "refresh_token", "client_id": CLIENT_ID});
    story.posts_form("https://auth.example.org/revoke", form).responds(200, "").asks(&OFFERED);
    story
        .choose(device())
        .responds(201, REGISTERED)
        .responds(200, CODE_TO_SHOW)
        .timeout()
        .responds(400, REFUSED_BY_OAUTH);
    assert_eq!(story.refused().errcode.as_deref(), Some("invalid_grant"));
}
