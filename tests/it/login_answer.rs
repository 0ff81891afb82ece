//! POST /login, the answer: what it must have, and that nothing optional costs a login that was granted.

use std::time::{Duration, UNIX_EPOCH};

use matrix_login::{Error, LoginSettings, MAX_BODY, Session, endpoint::login};
use serde_json::{Map, Value, json};

use crate::scenario::{GRANTED, HOMESERVER, LOGIN_URL, OFFERS, STATE, Scenario, answer, invalid_field, noon, password};

fn with(key: &str, value: Value) -> String {
    let mut answer: Map<String, Value> = serde_json::from_str(GRANTED).unwrap();
    answer.insert(key.to_owned(), value);
    Value::Object(answer).to_string()
}

/// The answer with one more field, written as it stands: no `Value` holds all that a server can send.
fn with_raw(field: &str) -> String {
    format!("{},{field}}}", GRANTED.strip_suffix('}').unwrap())
}

fn granted(body: impl Into<Vec<u8>>) -> Session {
    let mut story = Scenario::logging_in();
    story.answer(200, body);
    story.session().clone()
}

fn response(body: &str) -> login::Response {
    login::response(&answer(200, &[], body)).unwrap()
}

#[test]
fn what_is_required_is_named_and_the_login_is_still_due() {
    for (key, values) in [
        (
            "access_token",
            vec![Value::Null, json!(""), json!(7), json!(["t"]), json!("a b"), json!("t\n"), json!("tök")],
        ),
        ("user_id", vec![Value::Null, json!(""), json!(7), json!("alice"), json!("@alice"), json!("@alice:")]),
        ("device_id", vec![Value::Null, json!(""), json!(7), json!({})]),
    ] {
        for value in values {
            let mut story = Scenario::logging_in();
            assert_eq!(invalid_field(&story.fails(200, with(key, value))), format!("`{key}`"));
            story.answer(200, GRANTED).session();
        }
    }
}

#[test]
fn what_is_no_object_is_no_answer() {
    for body in ["[]", "null", "7", "\"t\"", "true", &format!("[{GRANTED}]"), r#"["t","@a:b","D"]"#] {
        assert_eq!(invalid_field(&Scenario::logging_in().fails(200, body)), "the body", "{body}");
    }
    for body in [&GRANTED[..GRANTED.len() - 1], "{", &format!("{GRANTED},"), &format!("{GRANTED}{GRANTED}")] {
        assert_eq!(invalid_field(&Scenario::logging_in().fails(200, body)), "the body", "{body}");
    }
    for body in ["", " ", "<html>", "OK", "access_token=t"] {
        assert!(matches!(Scenario::logging_in().fails(200, body), Error::NotMatrix { .. }), "{body}");
    }
}

#[test]
fn optional_fields_that_cannot_be_used_are_absent() {
    let deep = format!(r#""deep":{}{}"#, "[".repeat(10_000), "]".repeat(10_000));
    for field in [
        r#""refresh_token":null"#,
        r#""refresh_token":"""#,
        r#""refresh_token":7"#,
        r#""expires_in_ms":null"#,
        r#""expires_in_ms":"3600000""#,
        r#""expires_in_ms":-1"#,
        r#""expires_in_ms":0.5"#,
        r#""expires_in_ms":1e400"#,
        r#""expires_in_ms":1e30"#,
        r#""expires_in_ms":18446744073709551615"#,
        r#""expires_in_ms":18446744073710"#,
        r#""expires_in_ms":[]"#,
        r#""well_known":null"#,
        r#""well_known":"https://other.example.org""#,
        r#""home_server":null"#,
        r#""home_server":7"#,
        r#""user":"\ud800""#,
        r#""number":1e999"#,
        &deep,
    ] {
        let session = granted(with_raw(field));
        assert_eq!(session.expires_at(), None, "{field}");
        assert!(session.refresh_token().is_none() && session.well_known().is_none(), "{field}");
        assert_eq!(session.homeserver().unwrap().as_str(), HOMESERVER);
        assert!(session.other().is_empty(), "{field}");
    }
}

#[test]
fn lifetimes_that_can_be_used() {
    for (lifetime, milliseconds) in
        [("0", 0), ("1", 1), ("3600000", 3_600_000), ("3600000.0", 3_600_000), ("3.6e6", 3_600_000), ("-0.0", 0)]
    {
        let session = granted(with_raw(&format!(r#""refresh_token":"r","expires_in_ms":{lifetime}"#)));
        let end = noon() + Duration::from_millis(milliseconds);
        assert_eq!(session.expires_at(), Some(end), "{lifetime}");
    }
}

#[test]
fn an_end_that_does_not_fit_is_no_end() {
    // The last millisecond whose nanoseconds fit, and the one after it.
    let last = u64::MAX / 1_000_000;
    let body = |lifetime: u64| with_raw(&format!(r#""expires_in_ms":{lifetime}"#));
    assert_eq!(response(&body(last)).expires_in, Some(Duration::from_millis(last)));
    assert_eq!(response(&body(last + 1)).expires_in, None);
    // Counted from the epoch it fits, and so it needs a refresh token; counted from noon it does not.
    let mut story = Scenario::logging_in();
    let at_the_epoch = story.flow.handle_response(&answer(200, &[], body(last)), UNIX_EPOCH);
    assert!(matches!(at_the_epoch, Err(Error::MissingRefreshToken(_))));
    story.choose(password()).answer(200, body(last));
    assert_eq!(story.session().expires_at(), None);
}

#[test]
fn an_end_before_the_epoch_is_no_end() {
    let mut story = Scenario::logging_in();
    let long_ago = UNIX_EPOCH - Duration::from_secs(10);
    story.flow.handle_response(&answer(200, &[], with_raw(r#""expires_in_ms":5000"#)), long_ago).unwrap();
    assert_eq!(story.session().expires_at(), None);
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let session = granted(with_raw(r#""access_token":7,"access_token":"last","user_id":"@bob:example.org""#));
    assert_eq!((session.access_token().expose(), session.user_id().as_str()), ("last", "@bob:example.org"));
}

#[test]
fn all_that_the_server_said_is_kept() {
    let body = with_raw(
        r#""home_server":"https://example.org","refresh_token":"r","expires_in_ms":5,
           "well_known":{"m.homeserver":{"base_url":"https://hs2.example.org/","x":1},"y":[]},"org.example":{"z":null}"#,
    );
    let answer = response(&body);
    assert_eq!(answer.home_server.as_deref(), Some("https://example.org"));
    assert_eq!(answer.refresh_token.as_ref().unwrap().expose(), "r");
    assert_eq!(answer.expires_in, Some(Duration::from_millis(5)));
    assert_eq!(answer.well_known_base_url.as_ref().unwrap().as_str(), "https://hs2.example.org");
    let well_known = json!({"m.homeserver": {"base_url": "https://hs2.example.org/", "x": 1}, "y": []});
    assert_eq!(serde_json::to_value(&answer.well_known).unwrap(), well_known);
    assert_eq!(serde_json::to_value(&answer.other).unwrap(), json!({"org.example": {"z": null}}));

    let session = granted(body);
    assert_eq!(serde_json::to_value(session.well_known()).unwrap(), well_known);
    let other = json!({"home_server": "https://example.org", "org.example": {"z": null}});
    assert_eq!(serde_json::to_value(session.other()).unwrap(), other);
    let stored = serde_json::to_value(&session).unwrap();
    assert!(stored.get("org.example").is_none() && stored.get("home_server").is_none(), "{stored}");
}

#[test]
fn users_as_servers_name_them() {
    for user_id in
        ["@ALICE:example.org", "@alice:other.example", "@:example.org", "@a/b=c:example.org", "@alice:node.1"]
    {
        assert_eq!(granted(with("user_id", json!(user_id))).user_id().as_str(), user_id);
    }
}

#[test]
fn a_well_known_moves_the_session_if_it_can_be_followed() {
    let well_known = |base_url: &str| with("well_known", json!({"m.homeserver": {"base_url": base_url}}));
    for (base_url, homeserver) in [
        ("https://other.example.org/", "https://other.example.org"),
        ("https://other.example.org/prefix", "https://other.example.org/prefix"),
        ("http://other.example.org", HOMESERVER),
        ("other.example.org", HOMESERVER),
        ("", HOMESERVER),
    ] {
        let session = granted(well_known(base_url));
        assert_eq!(session.homeserver().unwrap().as_str(), homeserver, "{base_url}");
        assert_eq!(session.well_known().unwrap()["m.homeserver"]["base_url"], base_url);
    }
    for empty in [json!({}), json!({"m.homeserver": {}}), json!({"m.homeserver": null})] {
        let session = granted(with("well_known", empty.clone()));
        assert_eq!(session.homeserver().unwrap().as_str(), HOMESERVER);
        assert_eq!(serde_json::to_value(session.well_known()).unwrap(), empty);
    }
}

#[test]
fn a_well_known_may_lead_from_http_to_anywhere() {
    for base_url in ["https://hs.example.org", "http://other.example.org:8008"] {
        let mut story = Scenario::at("http://localhost:8008");
        story.answer(200, OFFERS).choose(password());
        story.answer(200, with("well_known", json!({"m.homeserver": {"base_url": base_url}})));
        assert_eq!(story.session().homeserver().unwrap().as_str(), base_url);
    }
}

#[test]
fn a_well_known_is_not_followed_where_the_settings_say_so() {
    let mut story = Scenario::at_the_question_with(LoginSettings::default().follow_well_known(false));
    story.choose(password());
    let body = with("well_known", json!({"m.homeserver": {"base_url": "https://other.example.org"}}));
    story.answer(200, body);
    assert_eq!(story.session().homeserver().unwrap().as_str(), HOMESERVER);
    assert!(story.session().well_known().is_some());
}

#[test]
fn one_bad_neighbour_does_not_spoil_the_address() {
    let session = granted(with_raw(
        r#""well_known":{"x":1e999,"m.homeserver":{"y":1e999,"base_url":"https://other.example.org"}}"#,
    ));
    assert_eq!(session.homeserver().unwrap().as_str(), "https://other.example.org");
}

#[test]
fn a_token_that_expires_without_another_is_refused_and_not_lost() {
    let body = with_raw(r#""expires_in_ms":3600000"#);
    let mut story = Scenario::logging_in();
    let refused = story.flow.handle_response(&answer(200, &[], body.clone()), noon());
    let Err(Error::MissingRefreshToken(session)) = refused else { panic!() };
    assert_eq!((session.access_token().expose(), session.device_id()), ("anopaquestring", "DEVICEID"));
    assert!(session.expires_at().is_some());
    story.asks(&[
        "m.login.password",
        "m.login.sso",
        "m.login.token",
        "m.login.application_service",
        "org.example.badge",
    ]);
    story.choose(password()).answer(200, GRANTED).session();

    let mut story = Scenario::at_the_question_with(LoginSettings::default().require_refresh_token(false));
    story.choose(password()).answer(200, body);
    assert!(story.session().expires_at().is_some());
}

#[test]
fn a_refresh_token_may_come_without_an_end() {
    let session = granted(with("refresh_token", json!("r")));
    assert_eq!((session.refresh_token().unwrap().expose(), session.expires_at()), ("r", None));
}

#[test]
fn after_a_resume_a_refused_session_leads_back_to_the_login_types() {
    let mut story = Scenario::in_the_browser();
    story.suspend().callback(&format!("http://127.0.0.1:9/cb?state={STATE}&loginToken=t"));
    let body = with_raw(r#""expires_in_ms":1"#);
    let refused = story.flow.handle_response(&answer(200, &[], body), noon());
    assert!(matches!(refused, Err(Error::MissingRefreshToken(_))));
    story.gets(LOGIN_URL);
}

#[test]
fn any_2xx_is_a_success_and_a_byte_order_mark_is_skipped() {
    for status in [200, 201, 202, 203, 206, 226] {
        Scenario::logging_in().answer(status, format!("\u{feff}{GRANTED}")).session();
    }
    assert!(matches!(Scenario::logging_in().fails(204, ""), Error::NotMatrix { .. }));
}

#[test]
fn as_much_is_read_as_has_to_be() {
    let padded = |length: usize| format!("{GRANTED}{}", " ".repeat(length - GRANTED.len()));
    granted(padded(MAX_BODY));
    assert!(matches!(Scenario::logging_in().fails(200, padded(MAX_BODY + 1)), Error::TooLarge { .. }));
}
