//! A login token for a new device, and the fallback page of the homeserver, which runs the whole login.

use std::time::Duration;

use http::header;
use matrix_login::{
    AccessToken, Fields, Homeserver, LoginSettings, Password, ResponseError, UserIdentifier,
    endpoint::{
        get_token::{self, Response},
        login_fallback,
        uia::{self, UiaChallenge},
    },
};
use serde_json::json;

use crate::support::scenario::{HOMESERVER, served};

fn homeserver() -> Homeserver {
    HOMESERVER.parse().unwrap()
}

fn read(status: u16, body: &str) -> Result<Response, ResponseError> {
    get_token::response(&served(status, &[], body))
}

fn challenge(body: &str) -> UiaChallenge {
    match read(401, body) {
        Ok(Response::UiaRequired(challenge)) => challenge,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_shows_its_access_token_in_the_header_only() {
    let request = get_token::request(&homeserver(), &AccessToken::new("t").unwrap(), None);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://hs.example.org/_matrix/client/v1/login/get_token");
    assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer t");
    assert!(request.headers()[header::AUTHORIZATION].is_sensitive());
    assert_eq!(request.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(request.body(), b"{}");
}

#[test]
fn a_challenge_is_completed_with_a_stage_of_its_flows() {
    let auth = json!({"type": "m.login.password", "session": "s", "password": "p"});
    let auth = Fields::from(auth.as_object().unwrap().clone());
    let request = get_token::request(&homeserver(), &AccessToken::new("t").unwrap(), Some(&auth));
    let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body, json!({"auth": {"type": "m.login.password", "session": "s", "password": "p"}}));

    let auth = r#"{"type":"org.example","number":123456789012345678901234567890}"#;
    let request = get_token::request(&homeserver(), &AccessToken::new("t").unwrap(), Some(&auth.parse().unwrap()));
    assert_eq!(request.body(), format!("{{\"auth\":{auth}}}").as_bytes(), "the value is sent unchanged");
}

#[test]
fn a_granted_token_has_a_lifetime() {
    for (expires_in, lifetime) in [("120000", Some(120_000)), ("1.2e5", Some(120_000)), ("null", None), ("-1", None)] {
        let body = format!(r#"{{"login_token":"t","expires_in_ms":{expires_in}}}"#);
        let Ok(Response::Granted { login_token, expires_in, .. }) = read(200, &body) else { panic!("{body}") };
        assert_eq!((login_token.expose(), expires_in), ("t", lifetime.map(Duration::from_millis)));
    }
    for body in ["{}", r#"{"login_token":""}"#, r#"{"login_token":7}"#] {
        assert!(
            matches!(read(200, body), Err(ResponseError::InvalidResponse { field: "`login_token`", .. })),
            "{body}"
        );
    }
}

#[test]
fn a_401_with_flows_is_a_challenge() {
    let asked = challenge(r#"{"flows":[{"stages":["m.login.password"]}],"session":"s","params":{"x":1}}"#);
    assert_eq!(asked.session.as_deref(), Some("s"));
    assert_eq!(asked.flows(), [json!({"stages": ["m.login.password"]})]);
    assert_eq!(asked.other.get("params").unwrap()["x"], 1);
    let asked = challenge(r#"{"flows":[],"errcode":null}"#);
    assert!(asked.session.is_none() && asked.flows().is_empty());
    assert!(challenge(r#"{"flows":[],"session":""}"#).session.is_none());
    let asked = challenge(r#"{"flows":[],"error":"Not this time"}"#);
    assert_eq!(asked.error.unwrap().message.as_deref(), Some("Not this time"));
    let asked = challenge(r#"{"flows":[{"x":"s3cr3t"}],"session":"s3cr3t","params":{"x":"s3cr3t"}}"#);
    assert_eq!(format!("{asked:?}"), "UiaChallenge([1 flows])");
}

#[test]
fn after_a_mistyped_password_the_user_is_asked_again() {
    let alice = UserIdentifier::user("alice");
    let mut asked = challenge(r#"{"flows":[{"stages":["m.login.password"]}],"session":"s"}"#);
    assert!(asked.error.is_none());
    for password in ["mistyped", "right"] {
        let auth = asked.password_stage(&alice, &Password::new(password));
        let request = get_token::request(&homeserver(), &AccessToken::new("t").unwrap(), Some(&auth));
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        let identifier = json!({"type": "m.id.user", "user": "alice"});
        let expected =
            json!({"type": "m.login.password", "identifier": identifier, "password": password, "session": "s"});
        assert_eq!(body, json!({ "auth": expected }));
        assert!(!format!("{auth:?}").contains(password));
        // What Synapse says of a stage that has failed.
        asked = challenge(
            r#"{"errcode":"M_FORBIDDEN","error":"Invalid password","completed":[],"session":"s",
                "flows":[{"stages":["m.login.password"]}],"params":{}}"#,
        );
        let error = asked.error.as_ref().unwrap();
        assert_eq!(
            (error.errcode.as_deref(), error.message.as_deref()),
            (Some("M_FORBIDDEN"), Some("Invalid password"))
        );
        assert_eq!(asked.flows(), [json!({"stages": ["m.login.password"]})]);
        assert_eq!(
            format!("{asked:?}"),
            "UiaChallenge([1 flows], the server refused (status 401, M_FORBIDDEN): Invalid password)"
        );
    }
    // A challenge without a session is completed without one.
    let auth = challenge(r#"{"flows":[]}"#).password_stage(&alice, &Password::new("p"));
    assert!(auth.get("session").is_none());
}

#[test]
fn any_request_can_be_challenged() {
    let response = served(401, &[], r#"{"flows":[{"stages":["m.login.sso"]}],"session":"s"}"#);
    assert_eq!(uia::response(&response).unwrap().session.as_deref(), Some("s"));
    for (status, body) in [(200, r#"{"flows":[]}"#), (403, r#"{"flows":[]}"#), (401, r#"{"flows":{}}"#), (401, "")] {
        assert!(uia::response(&served(status, &[], body)).is_none(), "{status} {body}");
    }
}

#[test]
fn other_responses_are_not_a_challenge() {
    let unknown = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x","soft_logout":true}"#;
    assert!(matches!(read(401, unknown), Err(ResponseError::Server(error)) if error.soft_logout));
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":57815}"#;
    assert!(matches!(read(429, limited), Err(ResponseError::Server(error)) if error.is_rate_limit()));
    assert!(matches!(read(403, r#"{"flows":[],"session":"s"}"#), Err(ResponseError::NotMatrix { .. })));
    assert!(matches!(read(401, r#"{"flows":{},"session":"s"}"#), Err(ResponseError::NotMatrix { .. })));
    assert!(matches!(read(401, "<html>"), Err(ResponseError::NotMatrix { .. })));
}

#[test]
fn an_error_in_place_of_the_token_comes_from_the_server() {
    let Err(ResponseError::Server(error)) = read(200, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#) else { panic!() };
    assert_eq!(error.errcode.as_deref(), Some("M_FORBIDDEN"));
}

#[test]
fn the_url_of_the_fallback_page_names_the_device() {
    let settings = LoginSettings::default();
    let url = login_fallback::request(&homeserver(), &settings);
    assert_eq!(url.as_str(), "https://hs.example.org/_matrix/static/client/login/?refresh_token=true");
    let url = login_fallback::request(&homeserver(), &settings.clone().with_refresh_tokens(false));
    assert_eq!(url.as_str(), "https://hs.example.org/_matrix/static/client/login/");
    let settings = settings.with_device_id("A&B").unwrap().with_initial_device_display_name("the tablet");
    let url = login_fallback::request(&"http://localhost:8008/prefix".parse().unwrap(), &settings);
    assert_eq!(
        url.as_str(),
        "http://localhost:8008/prefix/_matrix/static/client/login/?device_id=A%26B\
         &initial_device_display_name=the+tablet&refresh_token=true"
    );
}
