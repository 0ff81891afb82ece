//! Invariant: a session changes only when refreshed, is given up only on the homeserver's word, and shows no secret.
//!
//! That word is a 4xx with an errcode that is no rate limit: what a proxy, a captive portal or a failing server says
//! does not count. What was stored is read back as it was.

#![no_main]

mod answers;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbitrary::Arbitrary;
use http::{Request, header};
use libfuzzer_sys::fuzz_target;
use matrix_login::{
    InvalidInput, LoginFlow, LoginSettings, Refresh, ResponseError, ServerError, Session, SessionError, Step, Verdict,
    endpoint::{refresh, whoami},
};
use serde_json::{Map, Value, json};
use url::Url;

use self::answers::{ALICE, Answer, DEVICE_ID, SECRET, Stored, check_error, homeserver, shows_no_secret, time};

#[derive(Arbitrary, Debug)]
struct Story {
    stored: Stored,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Refresh(Answer),
    Judge(Answer),
    LookAtTheClock(Clock, Duration),
    Authorize(u8),
    Store,
    LogInAgain,
    SetHomeserver(u8),
}

#[derive(Arbitrary, Debug)]
enum Clock {
    Any(i64),
    /// In nanoseconds, from when the access token expires.
    Before(u64),
    After(u64),
}

/// All that is kept of a session.
fn kept(session: &Session) -> Value {
    serde_json::to_value(session).expect("it serialises")
}

/// Whether it is the homeserver's last word on a session.
fn is_final(error: &ServerError) -> bool {
    error.status.is_some_and(|status| status.is_client_error()) && !error.is_rate_limit() && error.errcode.is_some()
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

/// Returns what should be kept of the session then.
fn refresh(session: &mut Session, answer: &Answer) -> Value {
    let mut expected = kept(session);
    let response = answer.response();
    let refresh = session.handle_refresh(&response, time(answer.received_at));
    shows_no_secret(&format!("{refresh:?}"));
    match &refresh {
        Refresh::Refreshed => {
            let granted = refresh::response(&response).expect("it was granted");
            let access_token = granted.access_token.expose();
            let body = response.body().strip_prefix("\u{feff}".as_bytes()).unwrap_or(response.body());
            // What serde's own type cannot hold may be in a field that nobody reads.
            if let Ok(body) = serde_json::from_slice::<Value>(body) {
                assert_eq!(body["access_token"], access_token);
            }
            expected["access_token"] = access_token.into();
            if let Some(refresh_token) = granted.refresh_token {
                expected["refresh_token"] = refresh_token.expose().into();
            }
            let expected = expected.as_object_mut().expect("it is an object");
            expected.remove("access_token_valid_until");
            if let Some(lifetime) = granted.expires_in {
                let lifetime = i128::try_from(lifetime.as_nanos()).expect("it fits u64");
                let end = i128::from(answer.received_at) * 1_000_000 + lifetime;
                if let Ok(end) = u64::try_from(end) {
                    expected.insert("access_token_valid_until".to_owned(), end.into());
                }
            }
        }
        Refresh::Later { error, delay } => {
            check_error(error);
            assert!(
                matches!(
                    error,
                    ResponseError::Server(_)
                        | ResponseError::NotMatrix { .. }
                        | ResponseError::Encoded { .. }
                        | ResponseError::Redirected { .. }
                        | ResponseError::InvalidResponse { .. }
                        | ResponseError::TooLarge { .. }
                ),
                "{error}"
            );
            let hint = error.retry_after().and_then(|hint| hint.delay(time(answer.received_at)));
            assert_eq!(*delay, hint.unwrap_or(*delay));
            assert!(hint.is_some() || (Duration::from_secs(1)..=Duration::from_secs(60)).contains(delay));
        }
        Refresh::SoftLogout(error) => assert!(is_final(error) && error.soft_logout),
        Refresh::TokenGone(error) | Refresh::Locked(error) | Refresh::Unsupported(error) => assert!(is_final(error)),
    }
    expected
}

fn judge(session: &Session, answer: &Answer) {
    let response = answer.response();
    let verdict = session.judge(&response);
    assert_eq!(session.judge(&response), verdict, "it depends on the answer and the session alone");
    let mut without = session.clone();
    without.forget_refresh_token();
    assert!(without.has_token_of(session) && without.refresh_in(UNIX_EPOCH, Duration::MAX).is_none());
    match (verdict, without.judge(&response)) {
        (Verdict::Refresh { .. }, Verdict::SoftLogout | Verdict::LoggedOut) => {}
        (verdict, the_same) => assert_eq!(verdict, the_same),
    }
    let error = whoami::response(&response).err();
    match verdict {
        Verdict::Unaffected => {}
        Verdict::NotMatrix => {
            assert!(matches!(error, Some(ResponseError::NotMatrix { .. } | ResponseError::Encoded { .. })));
        }
        Verdict::Refresh { .. } | Verdict::SoftLogout | Verdict::LoggedOut | Verdict::Locked => {
            let Some(ResponseError::Server(error)) = error else { panic!("{verdict:?} because of {error:?}") };
            assert!(is_final(&error));
            match verdict {
                Verdict::Refresh { delay } => {
                    assert!(session.refresh_token().is_some() && delay <= Duration::from_secs(60));
                }
                Verdict::SoftLogout => assert!(session.refresh_token().is_none() && error.soft_logout),
                _ => {}
            }
        }
    }
}

fn look_at_the_clock(session: &Session, clock: &Clock, margin: Duration) {
    let end = session.expires_at();
    let now = match clock {
        Clock::Any(milliseconds) => Some(time(*milliseconds)),
        Clock::Before(distance) => end.unwrap_or(UNIX_EPOCH).checked_sub(Duration::from_nanos(*distance)),
        Clock::After(distance) => end.unwrap_or(UNIX_EPOCH).checked_add(Duration::from_nanos(*distance)),
    };
    let now = now.expect("so far it reaches");
    let is_time = |now: SystemTime| session.is_expired(now, margin);
    let left = session.refresh_in(now, margin);
    assert_eq!(left.is_some(), end.is_some() && session.refresh_token().is_some());
    assert!(end.is_some() || !is_time(now));
    if let Some(left) = left {
        assert_eq!(left.is_zero(), is_time(now));
        assert!(now.checked_add(left).is_none_or(is_time), "it is time when it was said to be");
        if let Some(sooner) = left.checked_sub(Duration::from_nanos(1)) {
            assert!(now.checked_add(sooner).is_some_and(|then| !is_time(then)), "and not sooner");
        }
    }
}

fn authorize(session: &Session, index: u8) {
    let target = homeserver(index);
    let mut request = Request::get(format!("{target}/_matrix/client/v3/sync")).body(()).expect("it is a request");
    let is_ours = session.homeserver().is_some_and(|ours| ours.url().origin() == target.url().origin());
    match session.authorize(&mut request) {
        Ok(()) => {
            let value = &request.headers()[header::AUTHORIZATION];
            assert!(is_ours && value.is_sensitive());
            assert_eq!(value.as_bytes(), format!("Bearer {}", session.access_token().expose()).as_bytes());
        }
        Err(error) => {
            match error {
                SessionError::ForeignOrigin => assert!(session.homeserver().is_some()),
                SessionError::UnknownHomeserver => assert!(session.homeserver().is_none()),
                _ => panic!("{error}"),
            }
            assert!(!is_ours && request.headers().is_empty());
            check_error(&error);
        }
    }
    shows_no_secret(&format!("{request:?}"));
}

fn store(session: &mut Session) {
    let stored = kept(session);
    assert_eq!(kept(&serde_json::from_value(stored.clone()).expect("it is read back")), stored);

    // A file of others, with another session in it.
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
    *session = Session::from_json(text).expect("it is read back").expect("somebody is logged in");
}

/// A session of the other API is not read as one of this.
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

/// Returns what should be kept of the session then.
fn apply(session: &mut Session, operation: &Operation) -> Value {
    let mut expected = kept(session);
    match operation {
        Operation::Refresh(answer) => return refresh(session, answer),
        Operation::Judge(answer) => judge(session, answer),
        Operation::LookAtTheClock(clock, margin) => look_at_the_clock(session, clock, *margin),
        Operation::Authorize(index) => authorize(session, *index),
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

fuzz_target!(|story: Story| {
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
