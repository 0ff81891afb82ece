//! The session: what is stored and read back, when it expires, and which requests get its token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Request;
use matrix_login::{Session, SessionError};
use serde_json::{Value, json};

/// The file that the script of the chapter writes, with the keys in the order of the script.
const CHAPTERS_FILE: &str = r#"{"access_token": "anopaquestring", "access_token_valid_until": 1795438800123456789,
    "refresh_token": "another", "user_id": "@alice:example.org", "device_id": "DEVICEID", "well_known_from_login":
    {"m.homeserver": {"base_url": "https://matrix.example.org"}},
    "base_client_url": "https://matrix.example.org/_matrix/client/"}"#;

fn minimal() -> Value {
    json!({"access_token": "t", "user_id": "@alice:example.org", "device_id": "D"})
}

fn with(key: &str, value: Value) -> Value {
    let mut stored = minimal();
    stored[key] = value;
    stored
}

fn load(stored: &Value) -> Session {
    Session::from_json(stored.to_string()).unwrap().unwrap()
}

fn refusal(json: &str) -> String {
    Session::from_json(json).unwrap_err().to_string()
}

#[test]
fn the_file_of_the_chapter_is_read_and_written_unchanged() {
    let session = Session::from_json(CHAPTERS_FILE).unwrap().unwrap();
    assert_eq!(session.user_id().as_str(), "@alice:example.org");
    assert_eq!(session.device_id(), "DEVICEID");
    assert_eq!(session.access_token().expose(), "anopaquestring");
    assert_eq!(session.refresh_token().unwrap().expose(), "another");
    assert_eq!(session.homeserver().unwrap().as_str(), "https://matrix.example.org");
    assert!(session.well_known().unwrap().get("m.homeserver").is_some());
    let end = UNIX_EPOCH + Duration::from_nanos(1_795_438_800_123_456_789);
    assert_eq!(session.expires_at(), Some(end));

    let written = serde_json::to_value(&session).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(CHAPTERS_FILE).unwrap());
}

#[test]
fn without_an_access_token_no_user_is_logged_in() {
    for stored in ["{}", r#"{"user_id":"@alice:example.org"}"#, r#"{"access_token":null}"#] {
        assert!(Session::from_json(stored).unwrap().is_none(), "{stored}");
        assert!(serde_json::from_str::<Session>(stored).is_err(), "{stored}");
    }
}

#[test]
fn an_invalid_stored_session_is_refused_with_its_field() {
    for broken in ["", "{", "[]", "null", "\"t\"", "{\"access_token\":\"t\",}"] {
        assert_eq!(refusal(broken), "invalid stored session: expected a JSON object");
    }
    let token = "invalid `access_token` of the stored session: expected a string of visible ASCII characters";
    for value in [json!(1), json!(""), json!("a b"), json!(["t"])] {
        assert_eq!(refusal(&with("access_token", value).to_string()), token);
    }
    let user_id = "invalid `user_id` of the stored session: expected a user ID, such as @alice:example.org";
    for value in [Value::Null, json!(1), json!("alice"), json!("@alice")] {
        assert_eq!(refusal(&with("user_id", value).to_string()), user_id);
    }
    let device_id = "invalid `device_id` of the stored session: expected a string that is not empty";
    for value in [Value::Null, json!(1), json!("")] {
        assert_eq!(refusal(&with("device_id", value).to_string()), device_id);
    }
}

#[test]
fn unknown_keys_survive_a_round_trip() {
    let mut stored = minimal();
    stored["next_batch"] = json!("s72595_4483_1934");
    stored["org.example"] = json!({"a": [1, {"b": null}]});
    assert_eq!(serde_json::to_value(load(&stored)).unwrap(), stored);
    let through_serde: Session = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(through_serde).unwrap(), stored);
}

#[test]
fn members_that_are_not_read_are_written_unchanged() {
    // An inexact reader loses the last digit of the first number, and no Rust number is as large as the second one.
    let others = r#""org.example":{"a" : 1.7954388001234555e84},"b":[1e999, "\ud800"],"\ud800":1"#;
    let session = r#""access_token":"t","device_id":"D","user_id":"@alice:example.org""#;
    let stored = format!(r#"{{{others},{session},"well_known_from_login":{{{others}}}}}"#);
    let session = Session::from_json(&stored).unwrap().unwrap();
    assert_eq!(session.to_json(), stored);
}

#[test]
fn members_that_a_session_has_lost_are_not_written_again() {
    let mut session = load(&with("refresh_token", json!("spent")));
    session.forget_refresh_token();
    assert!(!session.to_json().contains("refresh_token"));
}

#[test]
fn a_value_that_no_type_can_hold_is_not_a_missing_value() {
    let token = "invalid `access_token` of the stored session: expected a string of visible ASCII characters";
    let with =
        |key: &str, value: &str| format!(r#"{{"user_id":"@alice:example.org","device_id":"D","{key}":{value}}}"#);
    let logged_in_with = |key: &str, value: &str| with(key, &format!(r#"{value},"access_token":"t""#));
    for value in ["1e999", r#""\ud800""#] {
        assert_eq!(refusal(&with("access_token", value)), token);
        assert!(refusal(&logged_in_with("oauth", value)).contains("`oauth`"));
        let session = Session::from_json(logged_in_with("access_token_valid_until", value)).unwrap().unwrap();
        assert!(!session.is_expired(UNIX_EPOCH, Duration::MAX));
    }
}

#[test]
fn optional_keys_that_cannot_be_used_are_absent() {
    for (key, value) in [
        ("access_token_valid_until", json!("tomorrow")),
        ("access_token_valid_until", json!(-1)),
        ("access_token_valid_until", json!(1.5)),
        ("access_token_valid_until", json!(1e30)),
        ("refresh_token", json!("")),
        ("refresh_token", json!(7)),
        ("well_known_from_login", json!("https://matrix.example.org")),
        ("base_client_url", json!("matrix.example.org:443")),
    ] {
        let session = load(&with(key, value));
        assert_eq!(session.expires_at(), None);
        assert!(session.refresh_token().is_none());
        assert!(session.well_known().is_none());
        assert!(session.homeserver().is_none());
        assert_eq!(serde_json::to_value(session).unwrap(), minimal());
    }
}

#[test]
fn an_expiry_that_is_written_as_a_float_is_read() {
    let session = load(&with("access_token_valid_until", json!(1.795_438_8e18)));
    let end = UNIX_EPOCH + Duration::from_secs(1_795_438_800);
    assert_eq!(session.expires_at(), Some(end));
}

#[test]
fn a_session_that_is_stored_keeps_the_keys_of_others() {
    let session = load(&with("next_batch", json!("s1")));
    let mut object = json!({"refresh_token": "stale", "next_batch": "s2", "o": null}).as_object().unwrap().clone();
    session.store_in(&mut object);
    let expected = json!({
        "access_token": "t", "user_id": "@alice:example.org", "device_id": "D", "next_batch": "s2", "o": null,
    });
    assert_eq!(Value::Object(object), expected);
}

#[test]
fn an_unreadable_oauth_session_is_not_a_legacy_session() {
    let in_oauth = |member: &str, expected: &str| {
        format!("invalid `{member}` in `oauth` of the stored session: expected {expected}")
    };
    let (missing, text, url) =
        ("a value, but it is missing", "a string that is not empty", "a URL without user information and fragment");
    let endpoint = "https://auth.example.org/token";
    for (value, message) in [
        (json!({"client_id": "c", "issuer": "https://auth.example.org/"}), in_oauth("token_endpoint", missing)),
        (json!({"token_endpoint": endpoint}), in_oauth("client_id", missing)),
        (json!({"client_id": "", "token_endpoint": endpoint}), in_oauth("client_id", text)),
        (json!({"client_id": "c", "token_endpoint": "/token"}), in_oauth("token_endpoint", url)),
        (json!({"client_id": "c", "token_endpoint": "https://alice:pw@a/"}), in_oauth("token_endpoint", url)),
        (
            json!({"client_id": "c", "token_endpoint": endpoint, "revocation_endpoint": "revoke"}),
            in_oauth("revocation_endpoint", url),
        ),
        (json!({"client_id": "c", "token_endpoint": endpoint, "issuer": 7}), in_oauth("issuer", text)),
        (json!({}), in_oauth("client_id", missing)),
        (json!(false), "invalid `oauth` of the stored session: expected an object".to_owned()),
        (json!(""), "invalid `oauth` of the stored session: expected an object".to_owned()),
    ] {
        let stored = with("oauth", value);
        assert_eq!(refusal(&stored.to_string()), message);
        assert_eq!(serde_json::from_value::<Session>(stored).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_oauth_key_without_a_value_is_treated_as_absent() {
    let session = load(&with("oauth", Value::Null));
    assert_eq!(session.user_id().as_str(), "@alice:example.org");
    assert_eq!(serde_json::from_str::<Value>(&session.to_json()).unwrap(), minimal());
    assert_eq!(serde_json::to_value(session).unwrap(), minimal());
}

#[test]
fn a_session_that_is_stored_removes_an_oauth_session() {
    let mut object = json!({"oauth": {"client_id": "c"}, "access_token": "o", "next_batch": "s2", "oauth2": {"x": 1}});
    load(&minimal()).store_in(object.as_object_mut().unwrap());
    let expected = json!({
        "access_token": "t", "user_id": "@alice:example.org", "device_id": "D", "next_batch": "s2", "oauth2": {"x": 1},
    });
    assert_eq!(object, expected);
    assert_eq!(load(&object).access_token().expose(), "t");
}

#[test]
fn keys_without_a_value_are_left_out() {
    let mut stored = minimal();
    for key in ["access_token_valid_until", "refresh_token", "well_known_from_login", "base_client_url"] {
        stored[key] = Value::Null;
    }
    assert_eq!(serde_json::to_value(load(&stored)).unwrap(), minimal());
}

#[test]
fn the_base_client_url_is_the_base_url_and_the_path_of_the_api() {
    for (stored, homeserver) in [
        ("https://example.org/_matrix/client/", "https://example.org"),
        ("https://example.org/_matrix/client", "https://example.org"),
        ("http://example.org:8008/prefix/_matrix/client/", "http://example.org:8008/prefix"),
        ("https://example.org/", "https://example.org"),
    ] {
        let session = load(&with("base_client_url", json!(stored)));
        assert_eq!(session.homeserver().unwrap().as_str(), homeserver);
        let written = serde_json::to_value(&session).unwrap();
        assert_eq!(written["base_client_url"], format!("{homeserver}/_matrix/client/"));
    }
}

#[test]
fn a_session_without_a_homeserver_gets_one_after_discovery() {
    let mut session = load(&minimal());
    let mut request = Request::get("https://hs.example.org/_matrix/client/v3/sync").body(()).unwrap();
    assert!(matches!(session.authorize(&mut request), Err(SessionError::UnknownHomeserver)));
    session.set_homeserver("https://hs.example.org".parse().unwrap());
    session.authorize(&mut request).unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer t");
}

fn expiring_at(nanoseconds: u64) -> Session {
    load(&with("access_token_valid_until", json!(nanoseconds)))
}

#[test]
fn a_token_expires_at_its_time_and_a_margin_before_it() {
    let session = expiring_at(100_000_000_000);
    let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
    let second = Duration::from_secs(1);
    for (now, margin, expired) in [
        (99_999, Duration::ZERO, false),
        (100_000, Duration::ZERO, true),
        (98_999, second, false),
        (99_000, second, true),
        (200_000, Duration::ZERO, true),
        (0, Duration::MAX, true),
    ] {
        assert_eq!(session.is_expired(at(now), margin), expired, "{now} {margin:?}");
    }
}

#[test]
fn a_token_without_an_end_never_expires() {
    let far = UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX));
    assert!(!load(&minimal()).is_expired(far, Duration::MAX));
}

#[test]
fn the_last_end_that_can_be_stored_is_kept() {
    let session = expiring_at(u64::MAX);
    assert_eq!(session.expires_at(), UNIX_EPOCH.checked_add(Duration::from_nanos(u64::MAX)));
    assert!(!session.is_expired(SystemTime::UNIX_EPOCH, Duration::ZERO));
    assert_eq!(serde_json::to_value(session).unwrap()["access_token_valid_until"], u64::MAX);
}

#[test]
fn only_requests_to_the_homeservers_origin_get_the_token() {
    let session = load(&with("base_client_url", json!("https://hs.example.org/prefix/_matrix/client/")));
    for good in [
        "https://hs.example.org/_matrix/client/v3/sync?since=1",
        "https://HS.example.org:443/other",
        "https://hs.example.org",
    ] {
        let mut request = Request::get(good).body("body").unwrap();
        session.authorize(&mut request).unwrap();
        let value = &request.headers()["authorization"];
        assert_eq!(value, "Bearer t");
        assert!(value.is_sensitive());
    }
    for foreign in [
        "http://hs.example.org/_matrix/client/v3/sync",
        "https://hs.example.org:8448/",
        "https://hs.example.org.example.com/",
        "https://hs.example.org@example.com/",
        "https://example.org/",
        "/_matrix/client/v3/sync",
        "hs.example.org:443",
        "ftp://hs.example.org/",
        // URIs with user information, or with a port that a client can read in another way.
        "https://alice@hs.example.org/",
        "https://hs.example.org:hs.example.org@example.com/",
        "https://hs.example.org:/",
        "https://hs.example.org:0443/",
        "https://hs.example.org:99999/",
        // The same host, written in another way.
        "https://hs.example.org./",
        "https://hs%2eexample.org/",
    ] {
        // The crate `http` itself refuses some of these.
        let Ok(mut request) = Request::get(foreign).body(()) else { continue };
        let request = &mut request;
        let error = session.authorize(request).unwrap_err();
        assert!(matches!(error, SessionError::ForeignOrigin), "{foreign}: {error}");
        assert!(request.headers().is_empty(), "{foreign}");
    }
}

#[test]
fn a_uri_that_other_parsers_read_differently_gets_no_token() {
    // The crate `url` reads all of these as the homeserver, if it reads the text of the URI.
    let session = load(&with("base_client_url", json!("https://good.example/_matrix/client/")));
    for text in ["https:good.example", "https:evil@good.example", "https:/good.example", "https:///good.example"] {
        let Ok(uri) = text.parse::<http::Uri>() else { continue };
        assert_eq!(url::Url::parse(&uri.to_string()).unwrap().host_str(), Some("good.example"), "{text}");
        let mut request = Request::builder().uri(uri).body(()).unwrap();
        assert!(matches!(session.authorize(&mut request), Err(SessionError::ForeignOrigin)), "{text}");
        assert!(request.headers().is_empty());
    }
}

#[test]
fn every_spelling_of_an_origin_that_http_keeps_is_accepted() {
    for (homeserver, uri) in [
        ("http://[::1]:8008", "http://[::1]:8008/"),
        ("http://127.0.0.1", "http://127.0.0.1:80/"),
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example/"),
        ("https://hs.example.org", "HTTPS://HS.EXAMPLE.ORG/"),
    ] {
        let session = load(&with("base_client_url", json!(homeserver)));
        let mut request = Request::get(uri).body(()).unwrap();
        session.authorize(&mut request).unwrap_or_else(|error| panic!("{uri}: {error}"));
    }
}

#[test]
fn an_earlier_token_in_the_header_is_replaced() {
    let session = load(&with("base_client_url", json!("https://hs.example.org/_matrix/client/")));
    let mut request = Request::get("https://hs.example.org/").header("authorization", "Bearer old").body(()).unwrap();
    session.authorize(&mut request).unwrap();
    assert_eq!(request.headers().get_all("authorization").iter().collect::<Vec<_>>(), ["Bearer t"]);
}

#[test]
fn sessions_with_the_same_token_are_recognized() {
    let session = load(&minimal());
    assert!(session.has_token_of(&load(&with("device_id", json!("OTHER")))));
    assert!(!session.has_token_of(&load(&with("access_token", json!("T")))));
}

#[test]
fn bytes_that_are_not_text_are_not_a_session() {
    assert!(Session::from_json(b"\xff{}").is_err());
}

#[test]
fn a_session_that_cannot_be_written_whole_is_an_error() {
    let mut stored = crate::refresh::stored();
    stored["org.example.x"] = json!({"deep": [1, 2]});
    let session = crate::refresh::session(stored);
    let whole = serde_json::to_string(&session).unwrap();
    for length in 0..whole.len() {
        let mut short = vec![0; length];
        assert!(serde_json::to_writer(short.as_mut_slice(), &session).is_err(), "{length}");
    }
    let mut enough = vec![0; whole.len()];
    serde_json::to_writer(enough.as_mut_slice(), &session).unwrap();
    assert_eq!(enough, whole.as_bytes());
}
