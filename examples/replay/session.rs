//! Replays what a response means for a session, or the request that a session sends.

use http::{Request, Response};
use matrix_login::{Error, Refresh, Session, SessionError, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    flow::take_session,
    print::{error_line, request_value},
    transcript::{NoTranscript, RecordedResponse},
};

/// A session, and one kind of exchange. With a response, the response is replayed. Without it, the request is printed.
#[derive(Deserialize)]
struct SessionTranscript {
    session: Value,
    refresh: Option<Exchange>,
    judge: Option<Exchange>,
    logout: Option<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    response: Option<RecordedResponse>,
}

/// The line that a transcript of a session leads to.
///
/// # Errors
///
/// A description of what is not a transcript.
pub fn replay(transcript: &Value) -> Result<Vec<Value>, NoTranscript> {
    let SessionTranscript { session, refresh, judge, logout } = SessionTranscript::deserialize(transcript)?;
    let received_at = std::time::UNIX_EPOCH;
    let mut session = match take_session(&session) {
        Ok(session) => session,
        Err(error) => return Ok(vec![error_line(&error.into(), received_at)]),
    };
    let (exchange, kind) = match (refresh, judge, logout) {
        (Some(exchange), None, None) => (exchange, Kind::Refresh),
        (None, Some(exchange), None) => (exchange, Kind::Judge),
        (None, None, Some(exchange)) => (exchange, Kind::Logout),
        _ => return Err("a session is replayed with one of `refresh`, `judge` and `logout`".into()),
    };
    let Some(response) = exchange.response else { return request(&session, &kind) };
    let (response, received_at) = response.read()?;
    Ok(vec![match kind {
        Kind::Refresh => {
            let refresh = session.handle_refresh(&response, received_at);
            json!({ "refresh": refresh_name(&refresh), "session": session })
        }
        Kind::Judge => json!({ "verdict": verdict_name(session.judge(&response)) }),
        Kind::Logout => logout_line(&session, &response).unwrap_or_else(|error| error_line(&error, received_at)),
    }])
}

enum Kind {
    Refresh,
    Judge,
    Logout,
}

fn request(session: &Session, kind: &Kind) -> Result<Vec<Value>, NoTranscript> {
    let request: Result<Request<Vec<u8>>, SessionError> = match kind {
        Kind::Refresh => session.refresh_request(),
        Kind::Logout => session.logout_request(),
        Kind::Judge => return Err("`judge` needs a `response`".into()),
    };
    Ok(vec![match request {
        Ok(request) => request_value(&request),
        Err(error) => error_line(&error.into(), std::time::UNIX_EPOCH),
    }])
}

fn logout_line(session: &Session, response: &Response<Vec<u8>>) -> Result<Value, Error> {
    let ended = session.handle_logout(response)?;
    Ok(json!({ "ok": { "already_logged_out": ended.already_logged_out } }))
}

fn refresh_name(refresh: &Refresh) -> &'static str {
    match refresh {
        Refresh::Refreshed => "refreshed",
        Refresh::Later { .. } => "later",
        Refresh::SoftLogout(_) => "soft_logout",
        Refresh::TokenGone(_) => "gone",
        Refresh::Locked(_) => "locked",
        Refresh::Unsupported(_) => "unsupported",
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unaffected => "unaffected",
        Verdict::Refresh { .. } => "refresh",
        Verdict::SoftLogout => "soft_logout",
        Verdict::LoggedOut => "gone",
        Verdict::Locked => "locked",
        Verdict::NotMatrix => "not_matrix",
    }
}
