//! What the chapter "Logging in" of the tutorial says and tests, in the order of the chapter, and what it leaves to the
//! reader.

use std::time::{Duration, UNIX_EPOCH};

use matrix_login::{Choice, Error, LoginFlow, LoginSettings, Password, Session, UserIdentifier};
use serde_json::{Value, json};

use crate::support::scenario::{self, Scenario, invalid_field, respond};

const HOMESERVER: &str = "https://matrix-client.example.org";
const LOGIN_URL: &str = "https://matrix-client.example.org/_matrix/client/v3/login";

fn with_password_login() -> Scenario {
    let mut story = Scenario::at(HOMESERVER);
    story.gets(LOGIN_URL).responds(200, r#"{"flows":[{"type":"m.login.password"}]}"#);
    story
}

fn log_in_as(identifier: UserIdentifier) -> Value {
    let mut story = with_password_login();
    story.choose(Choice::password(identifier, Password::new("password")));
    crate::support::replay::step_line(&story.flow.step(), UNIX_EPOCH)["body"]["identifier"].take()
}

#[test]
fn login_types_are_listed() {
    let mut story = with_password_login();
    story.asks(&["m.login.password"]);
}

#[test]
fn login_types_from_an_invalid_response() {
    let mut story = Scenario::at(HOMESERVER);
    assert_eq!(invalid_field(&story.fails(200, "{}")), "`flows`");
    story.gets(LOGIN_URL);
}

#[test]
fn log_in_with_a_password() {
    let mut story = with_password_login();
    story.choose(Choice::password(UserIdentifier::user("@alice:example.org"), Password::new("password")));
    story.posts(
        LOGIN_URL,
        json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "@alice:example.org"},
            "password": "password",
            "refresh_token": true,
        }),
    );
    story.responds(200, scenario::GRANTED);

    let session = story.session();
    assert_eq!(session.user_id().as_str(), "@alice:example.org");
    assert_eq!(session.device_id(), "DEVICEID");
    assert_eq!(session.access_token().expose(), "anopaquestring");
}

#[test]
fn log_in_with_email_and_phone_numbers() {
    assert_eq!(
        log_in_as(UserIdentifier::email("alice@example.org")),
        json!({"type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org"}),
    );
    assert_eq!(
        log_in_as(UserIdentifier::msisdn("447700900123").unwrap()),
        json!({"type": "m.id.thirdparty", "medium": "msisdn", "address": "447700900123"}),
    );
    assert_eq!(
        log_in_as(UserIdentifier::phone("GB", "07700900123").unwrap()),
        json!({"type": "m.id.phone", "country": "GB", "phone": "07700900123", "number": "07700900123"}),
    );
    let Value::Object(fields) = json!({"badge": 7}) else { unreachable!() };
    assert_eq!(
        log_in_as(UserIdentifier::custom("org.example.badge", fields).unwrap()),
        json!({"type": "org.example.badge", "badge": 7}),
    );
}

#[test]
fn log_in_with_arbitrary_data_device_id_and_display_name() {
    let settings =
        LoginSettings::default().with_device_id("MYDEVICE").unwrap().with_initial_device_display_name("my device");
    let mut story = Scenario::at_the_question_with(settings);
    story.choose(scenario::password().with_field("org.example.field", json!({"k": [1, null]})).unwrap());
    story.posts(
        scenario::LOGIN_URL,
        json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "alice"},
            "password": "wonderland",
            "device_id": "MYDEVICE",
            "initial_device_display_name": "my device",
            "refresh_token": true,
            "org.example.field": {"k": [1, null]},
        }),
    );
}

#[test]
fn after_an_invalid_login_response_the_login_is_still_due() {
    for (body, field) in [
        ("{}", "`access_token`"),
        (r#"{"access_token":"t","device_id":"D"}"#, "`user_id`"),
        (r#"{"access_token":"t","user_id":"@alice:example.org"}"#, "`device_id`"),
        (r#"{"access_token":1,"user_id":"@alice:example.org","device_id":"D"}"#, "`access_token`"),
        (r#"{"access_token":"t","user_id":[],"device_id":"D"}"#, "`user_id`"),
        (r#"{"access_token":"t","user_id":"alice","device_id":"D"}"#, "`user_id`"),
        (r#"{"access_token":"t","user_id":"@alice:example.org","device_id":null}"#, "`device_id`"),
        (r#"["t"]"#, "the body"),
        (r#"{"access_token":"t","#, "the body"),
    ] {
        assert_eq!(invalid_field(&Scenario::logging_in().fails(200, body)), field, "{body}");
    }
}

#[test]
fn the_response_is_stored_under_the_chapters_keys() {
    let mut story = Scenario::logging_in();
    story.responds(
        200,
        r#"{"user_id":"@alice:example.org","device_id":"DEVICEID","access_token":"anopaquestring",
            "refresh_token":"another","expires_in_ms":3600000,
            "well_known":{"m.homeserver":{"base_url":"https://matrix.example.org/base"},"org.example.x":1}}"#,
    );
    assert_eq!(
        serde_json::to_value(story.session()).unwrap(),
        json!({
            "access_token": "anopaquestring",
            "access_token_valid_until": 1_795_438_800_000_000_000_u64,
            "refresh_token": "another",
            "user_id": "@alice:example.org",
            "device_id": "DEVICEID",
            "well_known_from_login": {
                "m.homeserver": {"base_url": "https://matrix.example.org/base"}, "org.example.x": 1,
            },
            "base_client_url": "https://matrix.example.org/base/_matrix/client/",
        }),
    );
    let expires_at = scenario::noon() + Duration::from_secs(3_600);
    assert_eq!(story.session().expires_at(), Some(expires_at));
}

#[test]
fn an_access_token_that_expires_needs_a_refresh_token() {
    let granted = r#"{"user_id":"@alice:example.org","device_id":"D","access_token":"t","expires_in_ms":1000}"#;
    let mut story = Scenario::logging_in();
    let error = respond(&mut story.flow, &scenario::served(200, &[], granted), scenario::noon()).unwrap_err();
    let Error::MissingRefreshToken(session) = error else { panic!("{error:?}") };
    assert_eq!(session.access_token().expose(), "t");
}

#[test]
fn the_homeserver_names_the_user_who_is_logged_in() {
    let mut story = Scenario::at_the_question();
    story.choose(Choice::password(UserIdentifier::email("alice@example.org"), Password::new("p")));
    story.responds(200, r#"{"user_id":"@bob:example.com","device_id":"D","access_token":"t"}"#);
    assert_eq!(story.flow.user_id().unwrap().as_str(), "@bob:example.com");
}

#[test]
fn a_flow_that_is_logged_in_cannot_log_in_again() {
    let mut story = Scenario::logged_in();
    assert!(matches!(story.flow.choose(scenario::password()), Err(Error::AlreadyLoggedIn)));

    let stored = serde_json::to_string(story.session()).unwrap();
    let mut restored = LoginFlow::logged_in(Session::from_json(stored).unwrap().unwrap());
    assert!(matches!(restored.choose(scenario::password()), Err(Error::AlreadyLoggedIn)));
}

#[test]
fn user_id_and_device_id_are_absent_until_logged_in() {
    let mut story = Scenario::logging_in();
    assert_eq!((story.flow.user_id(), story.flow.device_id()), (None, None));
    story.responds(200, scenario::GRANTED);
    assert_eq!(story.flow.user_id().unwrap().as_str(), "@alice:example.org");
    assert_eq!(story.flow.device_id(), Some("DEVICEID"));
}

#[test]
fn a_missing_password_login_is_noticed_before_the_password() {
    let mut story = Scenario::at(HOMESERVER);
    story.responds(200, r#"{"flows":[{"type":"m.login.sso"}]}"#).asks(&["m.login.sso"]);
    let error = story.flow.choose(scenario::password()).unwrap_err();
    assert_eq!(error.to_string(), "the homeserver does not offer m.login.password; it offers m.login.sso");
}

#[test]
fn a_url_given_by_hand_needs_no_discovery_and_no_user_id() {
    let mut story = Scenario::at("https://matrix-client.example.org/prefix/");
    story.gets("https://matrix-client.example.org/prefix/_matrix/client/v3/login");
    story.responds(200, scenario::OFFERS).choose(scenario::password());
    let line = crate::support::replay::step_line(&story.flow.step(), UNIX_EPOCH);
    assert_eq!(line["body"]["identifier"], json!({"type": "m.id.user", "user": "alice"}));
}

#[test]
fn the_server_of_a_user_id_follows_the_first_colon() {
    let user_id: matrix_login::UserId = "@alice:example.org:8448".parse().unwrap();
    let mut story = Scenario::of(LoginFlow::discover(user_id.server_name(), LoginSettings::default()));
    story.gets("https://example.org/.well-known/matrix/client");
    story.responds(200, r#"{"m.homeserver":{"base_url":"https://matrix-client.example.org/"}}"#);
    story.gets("https://matrix-client.example.org/_matrix/client/versions").responds(200, scenario::VERSIONS);
    story.gets(LOGIN_URL);
}

#[test]
fn single_sign_on_is_a_login_type_like_the_others() {
    let mut story = Scenario::at_the_question();
    let matrix_login::Step::Choose { login_types, .. } = story.flow.step() else { unreachable!() };
    assert!(login_types.contains("m.login.sso"));
    story.choose(scenario::sso());
    story.browses();
    story.callback(scenario::CALLBACK);
    story.posts(scenario::LOGIN_URL, json!({"type": "m.login.token", "token": "t0k3n", "refresh_token": true}));
    story.responds(200, scenario::GRANTED).session();
}
