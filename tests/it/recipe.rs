//! The recipe of the manual for threads that share a session.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use http::{Request, Response};
use matrix_login::{Refresh, Session};

type Failure = Box<dyn Error + Send + Sync>;

/// Refreshes the session that threads share. `used` is the session whose access token has
/// expired or was refused. Afterwards, use the session in `shared`. Returns `None` if
/// another thread has refreshed it, or if it has no refresh token.
pub fn refresh(
    shared: &Mutex<Session>,
    used: &Session,
    send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
    store: impl Fn(&Session) -> Result<(), Failure>,
) -> Result<Option<Refresh>, Failure> {
    // 1. Take the lock. Other threads wait here.
    let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
    // 2. Look again: another thread may have been here before.
    if !session.has_token_of(used) || session.refresh_token().is_none() {
        return Ok(None);
    }
    let mut next = session.clone();
    let response = send(next.refresh_request()?)?;
    let outcome = next.handle_refresh(&response, SystemTime::now());
    match outcome {
        // 3. Store the new tokens before you use them.
        Refresh::Refreshed => {
            store(&next)?;
            *session = next;
        }
        // 4. Do not send the refresh token again.
        Refresh::TokenGone(_) | Refresh::Unsupported(_) => session.forget_refresh_token(),
        // 5. Keep `next`, which counts the attempts.
        Refresh::Later { .. } | Refresh::SoftLogout(_) | Refresh::Locked(_) => {
            *session = next;
        }
    }
    Ok(Some(outcome))
}
