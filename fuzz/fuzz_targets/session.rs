//! Invariant: only a refresh changes a session, only the homeserver ends it, and it shows no secret.
//!
//! The homeserver ends a session with a 4xx that has an errcode and is not a rate limit. The responses of a proxy, a
//! captive portal or a failing server do not count. A stored session is read back unchanged.

#![no_main]

mod responses;
mod sessions;

use std::time::{Duration, UNIX_EPOCH};

use arbitrary::Arbitrary;
use http::header;
use libfuzzer_sys::fuzz_target;
use matrix_login::{InvalidInput, LoginFlow, LoginSettings, Refresh, Session, SessionError, Step, endpoint::refresh};
use serde_json::{Map, Value, json};
use url::Url;

use self::{
    responses::{ALICE, DEVICE_ID, SECRET, Scripted, Stored, check_error, homeserver, shows_no_secret, story, time},
    sessions::{authorize, check_later, expect_tokens, is_final, judge, kept},
};

#[derive(Arbitrary, Debug)]
struct Story {
    stored: Stored,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Refresh(Scripted),
    Judge(Scripted),
    LookAtTheClock(Clock, Duration),
    Authorize(u8),
    Store,
    LogInAgain,
    SetHomeserver(u8),
}

#[derive(Arbitrary, Debug)]
enum Clock {
    Any(i64),
    /// In nanoseconds, from the end of the access token.
    Before(u64),
    After(u64),
}

fn check(session: &Session) {
    shows_no_secret(&format!("{session:?}"));
    match (session.refresh_request(), session.homeserver(), session.refresh_token()) {
        (Ok(request), Some(homeserver), Some(refresh_token)) => {
            assert_eq!(request.method(), "POST");
            assert_eq!(request.uri().to_string(), format!("{homeserver}/_matrix/client/v3/refresh"));
            assert!(!request.headers().contains_key(header::AUTHORIZATION));
            let body: Value = serde_json::from_slice(request.body()).expect("it is JSON");
            assert_eq!(body, json!({"refresh_token": refresh_token.expose()}));
        }
        (Err(error), homeserver, refresh_token) => {
            match error {
                SessionError::UnknownHomeserver => assert!(homeserver.is_none()),
                SessionError::NoRefreshToken => assert!(refresh_token.is_none()),
                _ => panic!("{error}"),
            }
            check_error(&error);
        }
        (Ok(_), ..) => panic!("a request without a homeserver or without a refresh token"),
    }
}

/// Returns the expected content of the session afterwards.
fn refresh(session: &mut Session, scripted: &Scripted) -> Value {
    let mut expected = kept(session);
    let response = scripted.response();
    let refresh = session.handle_refresh(&response, time(scripted.received_at));
    shows_no_secret(&format!("{refresh:?}"));
    match &refresh {
        Refresh::Refreshed => {
            let granted = refresh::response(&response).expect("it was granted");
            let access_token = granted.access_token.expose();
            let body = response.body().strip_prefix("\u{feff}".as_bytes()).unwrap_or(response.body());
            // A member that is not read can contain a value that serde's own type cannot hold.
            if let Ok(body) = serde_json::from_slice::<Value>(body) {
                assert_eq!(body["access_token"], access_token);
            }
            let tokens = (&granted.access_token, granted.refresh_token.as_ref(), granted.expires_in);
            expect_tokens(&mut expected, tokens, time(scripted.received_at));
        }
        Refresh::Later { error, delay } => check_later(error, *delay, time(scripted.received_at)),
        Refresh::SoftLogout(error) => assert!(is_final(error) && error.soft_logout),
        Refresh::TokenGone(error) | Refresh::Locked(error) | Refresh::Unsupported(error) => assert!(is_final(error)),
    }
    expected
}

fn look_at_the_clock(session: &Session, clock: &Clock, margin: Duration) {
    let end = session.expires_at();
    let now = match clock {
        Clock::Any(milliseconds) => Some(time(*milliseconds)),
        Clock::Before(distance) => end.unwrap_or(UNIX_EPOCH).checked_sub(Duration::from_nanos(*distance)),
        Clock::After(distance) => end.unwrap_or(UNIX_EPOCH).checked_add(Duration::from_nanos(*distance)),
    };
    sessions::look_at_the_clock(session, now.expect("a time can hold it"), margin);
}

fn store(session: &mut Session) {
    let stored = kept(session);
    assert_eq!(kept(&serde_json::from_value(stored.clone()).expect("it is read back")), stored);

    // A file of another program, with another session in it.
    let mut object: Map<String, Value> = [("theirs".to_owned(), json!(SECRET))].into_iter().collect();
    for key in ["access_token", "access_token_valid_until", "refresh_token", "oauth", "base_client_url"] {
        object.insert(key.to_owned(), json!(1));
    }
    session.store_in(&mut object);
    assert_eq!(object.remove("theirs"), Some(json!(SECRET)));
    let Value::Object(mut own) = stored else { panic!("it is an object") };
    refuses_oauth(own.clone());
    own.remove("other");
    assert_eq!(object, own);

    let text = serde_json::to_string(session).expect("it serialises");
    *session = Session::from_json(text).expect("it is read back").expect("a user is logged in");
}

/// A session of the other API is not read as a session of this API.
fn refuses_oauth(mut stored: Map<String, Value>) {
    stored.insert("oauth".to_owned(), Value::Null);
    assert!(serde_json::from_value::<Session>(stored.clone().into()).is_ok());
    for oauth in [json!({"client_id": SECRET}), json!(SECRET), json!(false)] {
        stored.insert("oauth".to_owned(), oauth);
        let stored = Value::from(stored.clone());
        let error: InvalidInput = Session::from_json(stored.to_string()).expect_err("it has the key");
        check_error(&error);
        shows_no_secret(&serde_json::from_value::<Session>(stored).expect_err("it has the key").to_string());
    }
}

fn log_in_again(session: &Session) {
    let settings = LoginSettings::default().with_device_id("OTHER").expect("it is not empty");
    let flow = LoginFlow::again(session, settings);
    assert_eq!(flow.homeserver().map(ToString::to_string), session.homeserver().map(ToString::to_string));
    let Step::Send { request, .. } = flow.step() else { panic!("{:?} is due", flow.step()) };
    let target = Url::parse(&request.uri().to_string()).expect("a request has an absolute URL");
    match session.homeserver() {
        Some(homeserver) => assert_eq!(target.as_str(), format!("{homeserver}/_matrix/client/v3/login")),
        None => assert_eq!(target.as_str(), "https://example.org/.well-known/matrix/client"),
    }
    assert!(request.method() == "GET" && request.headers().is_empty() && request.body().is_empty());
    let suspended = serde_json::to_value(flow.suspend()).expect("it serialises");
    assert_eq!([&suspended["user_id"], &suspended["settings"]["device_id"]], [ALICE, DEVICE_ID]);
    shows_no_secret(&format!("{flow:?} {suspended} {request:?}"));
}

/// Returns the expected content of the session afterwards.
fn apply(session: &mut Session, operation: &Operation) -> Value {
    let mut expected = kept(session);
    match operation {
        Operation::Refresh(scripted) => return refresh(session, scripted),
        Operation::Judge(scripted) => judge(session, &scripted.response()),
        Operation::LookAtTheClock(clock, margin) => look_at_the_clock(session, clock, *margin),
        Operation::Authorize(index) => authorize(session, &homeserver(*index)),
        Operation::Store => store(session),
        Operation::LogInAgain => log_in_again(session),
        Operation::SetHomeserver(index) => {
            let homeserver = homeserver(*index);
            expected["base_client_url"] = format!("{homeserver}/_matrix/client/").into();
            session.set_homeserver(homeserver);
        }
    }
    expected
}

fuzz_target!(|data: &[u8]| {
    let Some(story) = story::<Story>(data) else { return };
    let mut session = story.stored.session();
    check(&session);
    for operation in &story.operations {
        let had_refresh_token = session.refresh_token().is_some();
        let expected = apply(&mut session, operation);
        assert_eq!(kept(&session), expected);
        assert!(!had_refresh_token || session.refresh_token().is_some(), "a refresh token is replaced, never lost");
        check(&session);
    }
});
