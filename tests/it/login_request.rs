//! The request POST /login: what settings and choices make of it, and which fields a caller cannot replace.

use http::{Request, header};
use matrix_login::{
    AccessToken, Choice, Credentials, Homeserver, LoginSettings, LoginToken, Password, UserIdentifier, endpoint::login,
};
use serde_json::{Map, Value, json};

use crate::support::scenario::{HOMESERVER, password, sso};

fn request(choice: &Choice, settings: &LoginSettings) -> Request<Vec<u8>> {
    let homeserver: Homeserver = HOMESERVER.parse().unwrap();
    login::request(&homeserver, choice.credentials().unwrap(), settings)
}

fn body(choice: &Choice) -> Value {
    serde_json::from_slice(request(choice, &LoginSettings::default()).body()).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn fields_without_a_value_are_left_out_and_never_null() {
    let settings = LoginSettings::default().with_refresh_tokens(false);
    let request = request(&Choice::token(LoginToken::new("t")), &settings);
    assert_eq!(request.body(), br#"{"type":"m.login.token","token":"t"}"#);
}

#[test]
fn a_password_request_has_exactly_these_bytes() {
    let settings = LoginSettings::default().with_device_id("D").unwrap().with_initial_device_display_name("n");
    let choice = password().with_field("org.example.field", 1).unwrap();
    let expected = concat!(
        r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},"password":"wonderland","#,
        r#""device_id":"D","initial_device_display_name":"n","refresh_token":true,"org.example.field":1}"#
    );
    assert_eq!(String::from_utf8_lossy(request(&choice, &settings).body()), expected);
}

#[test]
fn an_application_service_shows_its_token_in_the_header_only() {
    let as_token = AccessToken::new("as-secret").unwrap();
    let choice = Choice::application_service(UserIdentifier::user("bot"), as_token);
    let request = request(&choice, &LoginSettings::default());
    let authorization = &request.headers()[header::AUTHORIZATION];
    assert_eq!(authorization, "Bearer as-secret");
    assert!(authorization.is_sensitive());
    assert_eq!(
        body(&choice),
        json!({
            "type": "m.login.application_service",
            "identifier": {"type": "m.id.user", "user": "bot"},
            "refresh_token": true,
        })
    );
}

#[test]
fn a_custom_type_sends_its_own_fields() {
    let fields = object(json!({"token": "a.jwt", "identifier": 1, "password": 2, "k": null}));
    let choice = Choice::custom("org.matrix.login.jwt", fields).unwrap().with_field("org.example", true).unwrap();
    assert_eq!(
        body(&choice),
        json!({
            "type": "org.matrix.login.jwt", "token": "a.jwt", "identifier": 1, "password": 2, "k": null,
            "refresh_token": true, "org.example": true,
        })
    );
}

#[test]
fn a_custom_type_cannot_write_a_field_of_the_settings() {
    for name in ["type", "device_id", "initial_device_display_name", "refresh_token"] {
        let error = Choice::custom("org.example", object(json!({name: "x"}))).unwrap_err();
        let expected =
            format!("invalid further field `{name}`: expected a name that the login request does not have already");
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(Choice::custom("", Map::new()).unwrap_err().field, "login type");
}

#[test]
fn further_fields_cannot_replace_the_crates_own_fields() {
    let names =
        ["type", "identifier", "password", "token", "device_id", "initial_device_display_name", "refresh_token"];
    for name in names {
        for choice in [password(), Choice::token(LoginToken::new("t")), sso(), custom()] {
            let error = choice.with_field(name, "x").unwrap_err();
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
    }
}

fn custom() -> Choice {
    Choice::custom("org.example", object(json!({"k": "v"}))).unwrap()
}

#[test]
fn further_fields_cannot_replace_fields_of_a_custom_type() {
    assert!(custom().with_field("k", "other").is_err());
    assert!(custom().with_field("l", "other").is_ok());
}

#[test]
fn single_sign_on_makes_no_login_request() {
    assert!(sso().credentials().is_none());
    let credentials = Credentials::password(UserIdentifier::user("alice"), Password::new("wonderland"));
    assert_eq!(body(&Choice::from(credentials)), body(&password()));
}

#[test]
fn a_value_that_cannot_be_sent_is_refused_at_once() {
    assert!(LoginSettings::default().with_device_id("").is_err());
    for token in ["", "a b", "a\n", "tök", "a\u{7f}"] {
        assert!(AccessToken::new(token).is_err(), "{token:?}");
    }
    // Only the homeserver knows whether these values are right.
    drop(Choice::password(UserIdentifier::user(""), Password::new("")));
}

#[test]
fn odd_text_is_escaped_as_json() {
    let choice = Choice::password(UserIdentifier::user("al\"\nice"), Password::new("\\\u{0}🔑"));
    let body = body(&choice);
    assert_eq!(body["identifier"]["user"], "al\"\nice");
    assert_eq!(body["password"], "\\\u{0}🔑");
}

#[test]
fn a_field_that_is_added_twice_is_sent_once() {
    let choice = password().with_field("org.example", 1).unwrap().with_field("org.example.b", "x").unwrap();
    let choice = choice.with_field("org.example", json!({"y": [2.5]})).unwrap();
    let text = String::from_utf8(request(&choice, &LoginSettings::default()).into_body()).unwrap();
    assert_eq!(text.matches("\"org.example\"").count(), 1, "{text}");
    assert!(text.contains(r#""org.example.b":"x""#) && text.contains(r#""org.example":{"y":[2.5]}"#), "{text}");
}
