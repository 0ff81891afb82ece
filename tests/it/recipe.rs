//! The recipe of the manual for threads that share a session.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use http::{Request, Response};
use matrix_login::{Refresh, Session};

/// Refreshes the session that threads share, after the access token of `used` was refused or has expired. What to go on
/// with is `shared` then.
pub fn refresh(
    shared: &Mutex<Session>,
    used: &Session,
    send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Box<dyn Error>>,
    store: impl Fn(&Session) -> Result<(), Box<dyn Error>>,
) -> Result<Refresh, Box<dyn Error>> {
    // 1. Alone. Whoever comes meanwhile waits here.
    let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
    // 2. Look again: perhaps another thread has done it, and the refresh token of `used` is spent.
    if session.access_token().expose() != used.access_token().expose() {
        return Ok(Refresh::Refreshed);
    }
    let mut next = session.clone();
    let response = send(next.refresh_request()?)?;
    let outcome = next.handle_refresh(&response, SystemTime::now());
    if let Refresh::Refreshed = outcome {
        // 3. Store it, then use it: its first use spends the refresh token that was stored before.
        store(&next)?;
        *session = next;
    }
    Ok(outcome)
}
