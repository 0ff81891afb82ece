//! The recipe of the manual for threads that share a session.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use http::{Request, Response};
use matrix_login::{Refresh, Session};

type Failure = Box<dyn Error + Send + Sync>;

/// Refreshes the session that threads share, after the access token of `used` was refused or has expired. What to go on
/// with is `shared` then; what was said is `None` if another thread has seen to it.
pub fn refresh(
    shared: &Mutex<Session>,
    used: &Session,
    send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
    store: impl Fn(&Session) -> Result<(), Failure>,
) -> Result<Option<Refresh>, Failure> {
    // 1. Alone. Whoever comes meanwhile waits here.
    let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
    // 2. Look again: the refresh token of `used` may be spent by now, or given up.
    if !session.has_token_of(used) || session.refresh_token().is_none() {
        return Ok(None);
    }
    let mut next = session.clone();
    let response = send(next.refresh_request()?)?;
    let outcome = next.handle_refresh(&response, SystemTime::now());
    match outcome {
        // 3. Store it, then use it: its first use spends the refresh token that was stored before.
        Refresh::Refreshed => {
            store(&next)?;
            *session = next;
        }
        // 4. Nobody has to ask this again.
        Refresh::TokenGone(_) | Refresh::Unsupported(_) => session.forget_refresh_token(),
        Refresh::Later { .. } | Refresh::SoftLogout(_) | Refresh::Locked(_) => {}
    }
    Ok(Some(outcome))
}
