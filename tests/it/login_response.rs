//! The response to POST login: what it must contain. Nothing else makes the flow lose a login that was granted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Response;
use matrix_login::{
    Error, LoginFlow, LoginSettings, MAX_BODY, RefreshToken, ResponseError, Session, Step, endpoint::login,
};
use serde_json::json;

use crate::support::scenario::{
    CALLBACK, GRANTED, HOMESERVER, LOGIN_URL, OFFERED, OFFERS, Scenario, invalid_field, noon, not_matrix, password,
    respond, served,
};

/// A response with everything that it must contain, and more.
fn granted_with(more: &str) -> String {
    format!(r#"{{"user_id":"@alice:example.org","device_id":"D","access_token":"t",{more}}}"#)
}

/// The session of a response that arrives at noon. A token that expires without a refresh token is accepted.
fn session(body: &str) -> Session {
    session_at(body, noon())
}

fn session_at(body: &str, received_at: SystemTime) -> Session {
    let mut flow = logging_in(HOMESERVER, lenient()).flow;
    respond(&mut flow, &served(200, &[], body), received_at).unwrap_or_else(|error| panic!("{body}: {error}"));
    flow.into_session().unwrap()
}

fn lenient() -> LoginSettings {
    LoginSettings::default().with_require_refresh_token(false)
}

fn logging_in(homeserver: &str, settings: LoginSettings) -> Scenario {
    let mut story = Scenario::of(LoginFlow::at(homeserver.parse().unwrap(), settings));
    story.responds(200, OFFERS).choose(password());
    story
}

/// The session that the flow refuses although the homeserver granted it.
fn missing_refresh_token(story: &mut Scenario, body: &str) -> Session {
    match respond(&mut story.flow, &served(200, &[], body), noon()) {
        Err(Error::MissingRefreshToken(session)) => *session,
        other => panic!("{body}: {other:?}"),
    }
}

fn read(body: impl Into<Vec<u8>>) -> login::Response {
    login::response(&served(200, &[], body)).unwrap()
}

// What the response must contain.

#[test]
fn a_login_is_granted() {
    let mut story = Scenario::logging_in();
    let session = story.responds(200, GRANTED).session();
    assert_eq!(session.user_id().as_str(), "@alice:example.org");
    assert_eq!(session.device_id(), "DEVICEID");
    assert_eq!(session.access_token().expose(), "anopaquestring");
    assert_eq!(session.homeserver().unwrap().as_str(), HOMESERVER);
    assert!(session.refresh_token().is_none());
    assert!(session.expires_at().is_none());
    assert!(session.well_known().is_none());
    assert!(session.other().is_empty());
    assert_eq!(story.flow.user_id(), Some(story.session().user_id()));
    assert_eq!(story.flow.device_id(), Some("DEVICEID"));
}

#[test]
fn any_2xx_grants_a_login() {
    for status in [200, 201, 202, 203, 206, 299] {
        Scenario::logging_in().responds(status, GRANTED).session();
    }
}

#[test]
fn each_required_field_must_exist_and_be_usable() {
    let bad = ["", "null", r#""""#, "7", "true", "[]", "{}", r#"["t"]"#, r#"{"t":"t"}"#, r#""\ud800""#, "1e999"];
    let good = [("`user_id`", r#""@a:example.org""#), ("`device_id`", r#""D""#), ("`access_token`", r#""t""#)];
    for (field, _) in good {
        for value in bad {
            let pairs = good.iter().filter_map(|(name, good)| {
                let value = if *name == field { value } else { good };
                (!value.is_empty()).then(|| format!("{}:{value}", name.replace('`', "\"")))
            });
            let body = format!("{{{}}}", pairs.collect::<Vec<_>>().join(","));
            let mut story = Scenario::logging_in();
            assert_eq!(invalid_field(&story.fails(200, body.clone())), field, "{body}");
            // Nothing is lost: the same request is due, and the login can still be granted.
            story.responds(200, GRANTED).session();
        }
    }
}

#[test]
fn the_user_id_must_be_valid() {
    for user_id in ["alice", "@alice", "@alice:", "@alice:exa mple.org", "alice:example.org", "@alice:example.org:x"] {
        let body = json!({"user_id": user_id, "device_id": "D", "access_token": "t"});
        assert_eq!(invalid_field(&Scenario::logging_in().fails(200, body.to_string())), "`user_id`", "{user_id}");
    }
}

#[test]
fn the_access_token_must_fit_a_header() {
    for token in ["a b", " t", "t ", "t\n", "a\r\nx: y", "a\tb", "tök", "t\u{7f}", "t\0", "🔑"] {
        let body = json!({"user_id": "@alice:example.org", "device_id": "D", "access_token": token});
        assert_eq!(invalid_field(&Scenario::logging_in().fails(200, body.to_string())), "`access_token`", "{token:?}");
    }
    let token: String = ('!'..='~').collect();
    let body = json!({"user_id": "@alice:example.org", "device_id": "D", "access_token": token});
    assert_eq!(session(&body.to_string()).access_token().expose(), token);
}

#[test]
fn a_device_id_can_be_any_text() {
    for device_id in ["a b", "KÜCHE", "\n", " "] {
        let body = json!({"user_id": "@alice:example.org", "device_id": device_id, "access_token": "t"});
        assert_eq!(session(&body.to_string()).device_id(), device_id);
    }
}

#[test]
fn the_user_of_the_response_counts_not_the_requested_user() {
    for user_id in ["@Alice:example.org", "@alice:other.example.org:8448", "@bob:example.org", "@:example.org"] {
        let body = json!({"user_id": user_id, "device_id": "D", "access_token": "t"}).to_string();
        let mut story = Scenario::logging_in();
        assert_eq!(story.responds(200, body).session().user_id().as_str(), user_id);
    }
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let session = session(
        r#"{"access_token":"a","user_id":7,"device_id":null,"refresh_token":"a","expires_in_ms":1,"x":1,
            "access_token":"b","user_id":"@alice:example.org","device_id":"D","refresh_token":"b","expires_in_ms":2,
            "x":2}"#,
    );
    assert_eq!(session.access_token().expose(), "b");
    assert_eq!(session.user_id().as_str(), "@alice:example.org");
    assert_eq!(session.device_id(), "D");
    assert_eq!(session.refresh_token().map(RefreshToken::expose), Some("b"));
    assert_eq!(session.expires_at(), Some(noon() + Duration::from_millis(2)));
    assert_eq!(session.other().get("x").unwrap(), 2);
    let error = Scenario::logging_in().fails(200, granted_with(r#""access_token":null"#));
    assert_eq!(invalid_field(&error), "`access_token`");
}

// How the body is written.

#[test]
fn a_byte_order_mark_and_blanks_do_no_harm() {
    for body in [format!("\u{feff}{GRANTED}"), format!("\u{feff}\r\n {GRANTED}\t\n"), format!(" {GRANTED}")] {
        Scenario::logging_in().responds(200, body).session();
    }
    let error = Scenario::logging_in().fails(200, format!("\u{feff}\u{feff}{GRANTED}"));
    assert_eq!(not_matrix(&error).as_u16(), 200);
}

#[test]
fn a_body_that_is_not_an_object_grants_nothing() {
    for body in [
        format!("[{GRANTED}]"),
        r#"["@alice:example.org","t","D"]"#.to_owned(),
        r#"["@alice:example.org","t","D",null,null,null,null,null,{}]"#.to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "7".to_owned(),
        r#""t""#.to_owned(),
        format!("{GRANTED}{GRANTED}"),
        format!("{GRANTED}x"),
        format!("{GRANTED}\0"),
        format!("{GRANTED}<!-- served in 3 ms -->"),
        GRANTED.replace('}', ",}"),
    ] {
        let mut story = Scenario::logging_in();
        assert_eq!(invalid_field(&story.fails(200, body.clone())), "the body", "{body}");
        story.responds(200, GRANTED).session();
    }
    for body in ["", " ", "OK", "<!DOCTYPE html>", "access_token=t&user_id=@alice:example.org"] {
        assert_eq!(not_matrix(&Scenario::logging_in().fails(200, body)).as_u16(), 200, "{body}");
    }
}

#[test]
fn a_response_that_was_cut_off_anywhere_grants_nothing() {
    for end in 1..GRANTED.len() {
        let mut story = Scenario::logging_in();
        assert_eq!(invalid_field(&story.fails(200, &GRANTED[..end])), "the body", "{}", &GRANTED[..end]);
    }
}

#[test]
fn a_response_of_64_kib_is_read_and_a_longer_one_is_not() {
    let padded = |length: usize| format!("{GRANTED}{}", " ".repeat(length - GRANTED.len()));
    Scenario::logging_in().responds(200, padded(65_536)).session();
    let mut story = Scenario::logging_in();
    let error = story.fails(200, padded(65_537));
    assert!(matches!(error, Error::Response(ResponseError::TooLarge { length: 65_537, .. })), "{error}");
    assert!(!error.may_retry());
    story.responds(200, GRANTED).session();
    assert_eq!(MAX_BODY, 65_536);
}

// What the response can contain.

#[test]
fn every_optional_field_is_read() {
    let body = granted_with(
        r#""refresh_token":"r","expires_in_ms":3600000,"home_server":"example.org",
           "well_known":{"m.homeserver":{"base_url":"https://other.example.org/"},"x":[1]},"org.example.y":{"z":null}"#,
    );
    let response = read(body.clone());
    assert_eq!(response.user_id.as_str(), "@alice:example.org");
    assert_eq!(response.access_token.expose(), "t");
    assert_eq!(response.device_id.as_deref(), Some("D"));
    assert_eq!(response.refresh_token.as_ref().map(RefreshToken::expose), Some("r"));
    assert_eq!(response.expires_in, Some(Duration::from_secs(3600)));
    assert_eq!(response.home_server.as_deref(), Some("example.org"));
    assert_eq!(response.well_known_base_url().unwrap().as_str(), "https://other.example.org");
    let well_known = json!({"m.homeserver": {"base_url": "https://other.example.org/"}, "x": [1]});
    assert_eq!(json!(response.well_known), well_known);
    assert_eq!(json!(response.other), json!({"org.example.y": {"z": null}}));

    let session = session(&body);
    assert_eq!(session.refresh_token().map(RefreshToken::expose), Some("r"));
    assert_eq!(session.expires_at(), Some(noon() + Duration::from_secs(3600)));
    assert!(!session.is_expired(noon() + Duration::from_millis(3_599_999), Duration::ZERO));
    assert!(session.is_expired(noon() + Duration::from_secs(3600), Duration::ZERO));
    assert_eq!(session.homeserver().unwrap().as_str(), "https://other.example.org");
    assert_eq!(json!(session.well_known()), well_known);
    assert_eq!(json!(session.other()), json!({"home_server": "example.org", "org.example.y": {"z": null}}));
}

#[test]
fn an_optional_field_that_cannot_be_used_is_absent() {
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for value in ["null", "[]", "false", r#""\ud800""#, "1e400", "-1e400", "-7", "0.5", &deep] {
        let fields = ["refresh_token", "expires_in_ms", "home_server", "well_known"];
        for alone in fields.map(|field| format!(r#""{field}":{value}"#)) {
            let body = granted_with(&alone);
            let response = read(body.clone());
            assert!(response.refresh_token.is_none(), "{alone}");
            assert!(response.expires_in.is_none(), "{alone}");
            assert!(response.home_server.is_none(), "{alone}");
            assert!(response.well_known.is_none() && response.well_known_base_url().is_none(), "{alone}");
            assert!(response.other.is_empty(), "{alone}");
            logging_in(HOMESERVER, lenient()).responds(200, body).session();
        }
        let all = fields.map(|field| format!(r#""{field}":{value}"#)).join(",");
        logging_in(HOMESERVER, lenient()).responds(200, granted_with(&all)).session();
    }
    assert!(read(granted_with(r#""refresh_token":"""#)).refresh_token.is_none());
    assert!(read(granted_with(r#""refresh_token":7"#)).refresh_token.is_none());
    assert!(read(granted_with(r#""well_known":"https://other.example.org""#)).well_known.is_none());
}

#[test]
fn a_lifetime_is_a_whole_number_of_milliseconds() {
    for (number, milliseconds) in [
        ("0", Some(0)),
        ("1", Some(1)),
        ("3600000", Some(3_600_000)),
        ("3600000.0", Some(3_600_000)),
        ("3.6e6", Some(3_600_000)),
        ("36E5", Some(3_600_000)),
        ("0.0", Some(0)),
        ("3600000.5", None),
        ("1e-1", None),
        ("-1", None),
        ("-1.0", None),
        ("-3600000", None),
        (r#""3600000""#, None),
        ("true", None),
        ("[3600000]", None),
        // The nanoseconds must fit 64 bits.
        ("18446744073709", Some(18_446_744_073_709)),
        ("18446744073710", None),
        ("18446744073709551615", None),
        ("18446744073709551616", None),
        ("1e19", None),
        ("1e300", None),
        ("1e400", None),
    ] {
        let expires_in = read(granted_with(&format!(r#""expires_in_ms":{number}"#))).expires_in;
        assert_eq!(expires_in, milliseconds.map(Duration::from_millis), "{number}");
    }
}

#[test]
fn an_end_that_cannot_be_stored_is_left_out() {
    // The last whole millisecond whose nanoseconds since the epoch fit 64 bits.
    let last = UNIX_EPOCH + Duration::from_millis(18_446_744_073_709);
    let millisecond = Duration::from_millis(1);
    for (lifetime, received_at, end) in [
        (1_u64, last - millisecond, Some(last)),
        (2, last - millisecond, None),
        (0, last, Some(last)),
        (0, last + millisecond, None),
        (18_446_744_073_709, UNIX_EPOCH, Some(last)),
        (18_446_744_073_709, UNIX_EPOCH + millisecond, None),
        (18_446_744_073_709, noon(), None),
        (1, UNIX_EPOCH - millisecond, Some(UNIX_EPOCH)),
        (1, UNIX_EPOCH - 2 * millisecond, None),
    ] {
        let session = session_at(&granted_with(&format!(r#""expires_in_ms":{lifetime}"#)), received_at);
        assert_eq!(session.expires_at(), end, "{lifetime} {received_at:?}");
        assert_eq!(session.access_token().expose(), "t");
    }
}

#[test]
fn a_response_at_the_last_possible_time_is_read() {
    let mut far = noon();
    // The last time that the platform can represent.
    let mut stride = Duration::from_secs(u64::MAX);
    while !stride.is_zero() {
        match far.checked_add(stride) {
            Some(later) => far = later,
            None => stride /= 2,
        }
    }
    let session = session_at(&granted_with(r#""expires_in_ms":3600000,"refresh_token":"r""#), far);
    assert_eq!((session.expires_at(), session.device_id()), (None, "D"));
}

#[test]
fn the_deprecated_home_server_is_kept_unchanged() {
    for (home_server, kept) in [
        (r#""example.org""#, Some("example.org")),
        (r#""https://hs.example.org/""#, Some("https://hs.example.org/")),
        (r#""""#, Some("")),
        ("null", None),
        ("7", None),
    ] {
        let session = session(&granted_with(&format!(r#""home_server":{home_server}"#)));
        assert_eq!(session.other().get("home_server"), kept.map(serde_json::Value::from), "{home_server}");
        assert_eq!(session.homeserver().unwrap().as_str(), HOMESERVER);
    }
}

#[test]
fn all_other_keys_are_kept() {
    let other = json!({
        "org.example.a": 1, "org.example.b": null, "org.example.c": [{"d": "e"}], "scope": "urn:x", "": true,
        "User_ID": "@bob:example.org",
    });
    let mut body = other.clone();
    body["user_id"] = "@alice:example.org".into();
    body["device_id"] = "D".into();
    body["access_token"] = "t".into();
    assert_eq!(json!(read(body.to_string()).other), other);
    assert_eq!(json!(session(&body.to_string()).other()), other);
}

#[test]
fn odd_values_of_other_keys_do_no_harm() {
    let deep = |nesting: usize| "[".repeat(nesting) + &"]".repeat(nesting);
    let long_number = "9".repeat(400);
    for odd in ["1e400", "-1e400", r#""\ud800""#, r#""\udc00\ud800""#, r#"{"\ud800":1}"#, &long_number, &deep(10_000)] {
        let mut story = Scenario::logging_in();
        story.responds(200, granted_with(&format!(r#""x":{odd},"well_known":{{"x":{odd},"z":1}},"y":{odd},"z":1"#)));
        assert_eq!(story.session().other().get("z").unwrap(), 1, "{odd:.20}");
        assert_eq!(story.session().well_known().unwrap().get("z").unwrap(), 1, "{odd:.20}");
    }
    assert_eq!(
        session(&granted_with(&format!(r#""x":{}"#, deep(100)))).other().get("x").unwrap().to_string(),
        deep(100)
    );
    assert_eq!(
        session(&granted_with(r#""x":"\ud83d\udd11","y":18446744073709551616"#)).other().get("x").unwrap(),
        "🔑"
    );
}

#[test]
fn odd_names_of_other_keys_do_no_harm() {
    for name in [r"\ud800", r"\udc00\ud800", r"\u0000", ""] {
        let mut story = Scenario::logging_in();
        let body = granted_with(&format!(r#""{name}":1,"z":1"#));
        match respond(&mut story.flow, &served(200, &[], body), noon()) {
            Ok(()) => assert_eq!(story.session().other().get("z").unwrap(), 1, "{name}"),
            Err(error) => panic!("a key of the name {name} costs the login: {error}"),
        }
    }
}

#[test]
fn bytes_that_are_not_text_spoil_only_their_own_field() {
    let mut body = granted_with(r#""x":"?","refresh_token":"r""#).into_bytes();
    let position = body.iter().position(|byte| *byte == b'?').unwrap();
    body[position] = 0xff;
    let mut story = Scenario::logging_in();
    let session = story.responds(200, body).session();
    assert_eq!(session.refresh_token().map(RefreshToken::expose), Some("r"));
}

// The homeserver that the response names.

#[test]
fn the_session_moves_to_the_homeserver_of_the_response() {
    for (asked, named, adopted) in [
        ("https://hs.example.org", "https://other.example.org/", "https://other.example.org"),
        ("https://hs.example.org", "https://other.example.org:8448/prefix/", "https://other.example.org:8448/prefix"),
        ("https://hs.example.org", "https://alice:pw@other.example.org/?a#b", "https://other.example.org"),
        ("http://hs.example.org", "https://other.example.org", "https://other.example.org"),
        // The session does not move to plain http. `plain_http.rs` tests more of these cases.
        ("https://hs.example.org", "http://other.example.org/", "https://hs.example.org"),
        ("https://hs.example.org", "http://hs.example.org/", "https://hs.example.org"),
        ("https://hs.example.org", "HTTP://other.example.org", "https://hs.example.org"),
        // A text that is not a web address does not name a homeserver.
        ("https://hs.example.org", "other.example.org:443", "https://hs.example.org"),
        ("https://hs.example.org", "ws://other.example.org", "https://hs.example.org"),
        ("https://hs.example.org", "https://", "https://hs.example.org"),
        ("https://hs.example.org", "", "https://hs.example.org"),
    ] {
        let well_known = json!({"m.homeserver": {"base_url": named, "x": 1}, "y": {}});
        let body = granted_with(&format!(r#""well_known":{well_known}"#));
        let mut story = logging_in(asked, LoginSettings::default());
        let session = story.responds(200, body.clone()).session();
        assert_eq!(session.homeserver().unwrap().as_str(), adopted, "{asked} {named}");
        // The well-known information is kept whole, whether the session follows it or not.
        assert_eq!(json!(session.well_known()), well_known);
        assert_eq!(story.flow.homeserver(), story.session().homeserver());

        let mut story = logging_in(asked, LoginSettings::default().with_follow_well_known(false));
        let session = story.responds(200, body).session();
        assert_eq!(session.homeserver().unwrap().as_str(), asked);
        assert_eq!(json!(session.well_known()), well_known);
    }
}

#[test]
fn a_well_known_without_a_homeserver_is_kept_and_not_followed() {
    for well_known in [
        json!({}),
        json!({"m.homeserver": {}}),
        json!({"m.homeserver": null}),
        json!({"m.homeserver": "https://other.example.org"}),
        json!({"m.homeserver": ["https://other.example.org"]}),
        json!({"m.homeserver": {"base_url": null}}),
        json!({"m.homeserver": {"base_url": 7}}),
        json!({"base_url": "https://other.example.org"}),
        json!({"m.identity_server": {"base_url": "https://id.example.org"}}),
    ] {
        let body = granted_with(&format!(r#""well_known":{well_known}"#));
        assert!(read(body.clone()).well_known_base_url().is_none());
        let session = session(&body);
        assert_eq!(session.homeserver().unwrap().as_str(), HOMESERVER, "{well_known}");
        assert_eq!(json!(session.well_known()), well_known);
    }
    let session = session(&granted_with(r#""well_known":null"#));
    assert!(session.well_known().is_none());
    assert_eq!(session.homeserver().unwrap().as_str(), HOMESERVER);
}

#[test]
fn odd_values_beside_the_named_homeserver_do_no_harm() {
    let session = session(&granted_with(
        r#""well_known":{"x":1e400,"m.homeserver":{"y":"\ud800","base_url":"https://other.example.org"},"z":1}"#,
    ));
    assert_eq!(session.homeserver().unwrap().as_str(), "https://other.example.org");
    assert_eq!(session.well_known().unwrap().get("z").unwrap(), 1);
}

// Tokens that expire.

#[test]
fn a_token_that_expires_for_good_is_refused_and_given_back() {
    for refresh_token in ["", r#","refresh_token":null"#, r#","refresh_token":"""#, r#","refresh_token":7"#] {
        for lifetime in ["0", "1", "3600000", "3.6e6"] {
            let mut story = Scenario::logging_in();
            let body = granted_with(&format!(
                r#""expires_in_ms":{lifetime}{refresh_token},
                   "well_known":{{"m.homeserver":{{"base_url":"https://other.example.org"}}}},"x":1"#
            ));
            let session = missing_refresh_token(&mut story, &body);
            assert_eq!(session.access_token().expose(), "t");
            assert_eq!(session.user_id().as_str(), "@alice:example.org");
            assert_eq!(session.device_id(), "D");
            assert!(session.expires_at().is_some());
            assert_eq!(session.homeserver().unwrap().as_str(), "https://other.example.org");
            assert_eq!(session.other().get("x").unwrap(), 1);
            // The login is over: the question is asked again, for the homeserver that the login was for.
            assert!(story.flow.session().is_none());
            assert_eq!(story.flow.homeserver().unwrap().as_str(), HOMESERVER);
            story.asks(&OFFERED).choose(password()).responds(200, GRANTED).session();
        }
    }
}

#[test]
fn a_resumed_flow_first_asks_for_the_login_types_again() {
    let mut story = Scenario::in_the_browser();
    story.suspend().callback(CALLBACK);
    story.posts(LOGIN_URL, json!({"type": "m.login.token", "token": "t0k3n", "refresh_token": true}));
    missing_refresh_token(&mut story, &granted_with(r#""expires_in_ms":1"#));
    story.gets(LOGIN_URL).responds(200, OFFERS).asks(&OFFERED);
}

#[test]
fn a_caller_can_accept_a_token_that_expires_for_good() {
    let mut story = logging_in(HOMESERVER, lenient());
    let session = story.responds(200, granted_with(r#""expires_in_ms":3600000"#)).session();
    assert_eq!(session.expires_at(), Some(noon() + Duration::from_secs(3600)));
    assert!(session.refresh_token().is_none());
}

#[test]
fn to_ask_for_no_refresh_token_does_not_accept_its_absence() {
    let mut story = logging_in(HOMESERVER, LoginSettings::default().with_refresh_tokens(false));
    missing_refresh_token(&mut story, &granted_with(r#""expires_in_ms":3600000"#));
}

#[test]
fn some_tokens_without_a_refresh_token_are_accepted() {
    for (fields, has_refresh_token, expires) in [
        (r#""refresh_token":"r","expires_in_ms":3600000"#, true, true),
        // A refresh token without an expiry.
        (r#""refresh_token":"r""#, true, false),
        (r#""refresh_token":"r","expires_in_ms":null"#, true, false),
        // The homeserver has switched refresh off.
        (r#""x":1"#, false, false),
        (r#""expires_in_ms":null"#, false, false),
    ] {
        let mut story = Scenario::logging_in();
        let session = story.responds(200, granted_with(fields)).session();
        assert_eq!(session.refresh_token().is_some(), has_refresh_token, "{fields}");
        assert_eq!(session.expires_at().is_some(), expires, "{fields}");
    }
}

#[test]
fn an_expiry_that_cannot_be_used_still_counts() {
    for expires_in in ["\"60000\"", "60000.5", "-1", "0", "[]", "false", "1e400", "18446744073709", r#""\ud800""#] {
        let body = granted_with(&format!(r#""expires_in_ms":{expires_in}"#));
        assert!(read(body.clone()).expires, "{expires_in}");
        let mut flow = Scenario::logging_in().flow;
        let error = respond(&mut flow, &served(200, &[], body), noon()).unwrap_err();
        // The session is not lost.
        let Error::MissingRefreshToken(session) = error else { panic!("{expires_in}: {error:?}") };
        assert_eq!(session.access_token().expose(), "t");
        assert!(matches!(flow.step(), Step::Choose { refused: None, .. }));
    }
    // The same holds for a clock before 1970.
    let mut flow = Scenario::logging_in().flow;
    let response = served(200, &[], granted_with(r#""expires_in_ms":60000"#));
    let error = respond(&mut flow, &response, UNIX_EPOCH - Duration::from_secs(86_400)).unwrap_err();
    assert!(matches!(error, Error::MissingRefreshToken(_)), "{error:?}");

    for fields in [r#""x":1"#, r#""expires_in_ms":null"#, r#""expires_in_ms":1,"expires_in_ms":null"#] {
        assert!(!read(granted_with(fields)).expires, "{fields}");
    }
}

// Without the flow.

#[test]
fn without_the_flow_the_response_is_read_unchanged() {
    // Only the flow refuses a token that expires, and only the flow follows the homeserver that the response names.
    let response = read(granted_with(r#""expires_in_ms":1,"well_known":{"m.homeserver":{"base_url":"http://a"}}"#));
    assert_eq!(response.expires_in, Some(Duration::from_millis(1)));
    assert_eq!(response.well_known_base_url().unwrap().as_str(), "http://a");
    let borrowed: Response<&str> = Response::new(GRANTED);
    assert_eq!(login::response(&borrowed).unwrap().device_id.as_deref(), Some("DEVICEID"));
    let refused = login::response(&served(403, &[], r#"{"errcode":"M_FORBIDDEN"}"#)).unwrap_err();
    assert!(matches!(refused, ResponseError::Server(error) if error.errcode.as_deref() == Some("M_FORBIDDEN")));
}
