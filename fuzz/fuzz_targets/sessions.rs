//! Checks that hold for every session, of either API.
//!
//! It is not a target: `session` and `oauth` share it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, Response, header};
use matrix_login::{
    AccessToken, Homeserver, RefreshToken, ResponseError, ServerError, Session, SessionError, Verdict, endpoint::whoami,
};
use serde_json::Value;

use crate::responses::{check_error, shows_no_secret};

/// Everything that is kept of a session.
pub fn kept(session: &Session) -> Value {
    serde_json::to_value(session).expect("it serialises")
}

/// Whether the error ends a session.
pub fn is_final(error: &ServerError) -> bool {
    error.status.is_some_and(|status| status.is_client_error()) && !error.is_rate_limit() && error.errcode.is_some()
}

/// The end of a lifetime, in nanoseconds since the epoch, if the stored form can hold it.
pub fn end(received_at: SystemTime, lifetime: Duration) -> Option<u64> {
    let nanoseconds = |duration: Duration| i128::try_from(duration.as_nanos()).expect("it fits");
    let begin = match received_at.duration_since(UNIX_EPOCH) {
        Ok(after) => nanoseconds(after),
        Err(before) => -nanoseconds(before.duration()),
    };
    u64::try_from(begin + nanoseconds(lifetime)).ok()
}

/// Writes the tokens that a refresh has granted into the expected content of the session.
pub fn expect_tokens(
    expected: &mut Value,
    (access_token, refresh_token, expires_in): (&AccessToken, Option<&RefreshToken>, Option<Duration>),
    received_at: SystemTime,
) {
    expected["access_token"] = access_token.expose().into();
    // Without a new refresh token, the old one stays.
    if let Some(refresh_token) = refresh_token {
        expected["refresh_token"] = refresh_token.expose().into();
    }
    let expected = expected.as_object_mut().expect("it is an object");
    expected.remove("access_token_valid_until");
    if let Some(end) = expires_in.and_then(|lifetime| end(received_at, lifetime)) {
        expected.insert("access_token_valid_until".to_owned(), end.into());
    }
}

/// A refresh that is delayed has a reason that does not end the session, and a delay.
pub fn check_later(error: &ResponseError, delay: Duration, received_at: SystemTime) {
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
    let hint = error.retry_after().and_then(|hint| hint.delay(received_at));
    assert_eq!(delay, hint.unwrap_or(delay));
    assert!(hint.is_some() || (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&delay));
}

/// Checks the meaning of any other response.
pub fn judge(session: &Session, response: &Response<Vec<u8>>) {
    let verdict = session.judge(response);
    assert_eq!(session.judge(response), verdict, "it depends only on the response and the session");
    let mut without = session.clone();
    without.forget_refresh_token();
    assert!(without.has_token_of(session) && without.refresh_in(UNIX_EPOCH, Duration::MAX).is_none());
    match (verdict, without.judge(response)) {
        (Verdict::Refresh { .. }, Verdict::SoftLogout | Verdict::LoggedOut) => {}
        (verdict, the_same) => assert_eq!(verdict, the_same),
    }
    let error = whoami::response(response).err();
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

/// The two functions about the end of the access token agree at any time.
pub fn look_at_the_clock(session: &Session, now: SystemTime, margin: Duration) {
    let end = session.expires_at();
    let is_time = |now: SystemTime| session.is_expired(now, margin);
    let left = session.refresh_in(now, margin);
    assert_eq!(left.is_some(), end.is_some() && session.refresh_token().is_some());
    assert!(end.is_some() || !is_time(now));
    if let Some(left) = left {
        assert_eq!(left.is_zero(), is_time(now));
        assert!(now.checked_add(left).is_none_or(is_time), "it is time at the announced time");
        if let Some(sooner) = left.checked_sub(Duration::from_nanos(1)) {
            assert!(now.checked_add(sooner).is_some_and(|then| !is_time(then)), "it is not time sooner");
        }
    }
}

/// The access token goes to the origin of the homeserver, and to no other.
pub fn authorize(session: &Session, target: &Homeserver) {
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
