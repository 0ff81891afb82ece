//! The recipe of the manual for threads that share a session.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use http::{Request, Response};
use matrix_login::{Refresh, Session};

/// Refreshes the session that threads share, after the access token of `used` was refused or has expired. Returns what
/// to go on with.
pub fn refresh(
    shared: &Mutex<Session>,
    used: &Session,
    send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Box<dyn Error>>,
    store: impl Fn(&Session) -> Result<(), Box<dyn Error>>,
) -> Result<Session, Box<dyn Error>> {
    // 1. Alone. Whoever comes meanwhile waits here.
    let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
    // 2. Look again: perhaps another thread has done it, and its refresh token is spent.
    if session.access_token().expose() != used.access_token().expose() {
        return Ok(session.clone());
    }
    let mut next = session.clone();
    let response = send(next.refresh_request()?)?;
    match next.handle_refresh(&response, SystemTime::now()) {
        // 3. Store it, then use it: its first use spends the refresh token that is stored.
        Refresh::Refreshed => store(&next)?,
        // 4. All else leaves the session as it was, to be refreshed later, or to be begun again: see `Refresh`.
        Refresh::Later(error) => return Err(error.into()),
        Refresh::SoftLogout(error) | Refresh::Gone(error) | Refresh::Locked(error) | Refresh::Unsupported(error) => {
            return Err(error.into());
        }
    }
    *session = next;
    Ok(session.clone())
}
