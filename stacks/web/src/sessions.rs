//! Sessions in the store. A browser has a random ID in its cookie, and never a token.

use std::time::Duration;

use matrix_login::Session;

use crate::{failure::Failure, outgoing::Outgoing, random::random, store::Store};

/// The cookie in the browser ends at the same time.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone)]
pub struct Sessions {
    pub outgoing: Outgoing,
    pub store: Store,
}

impl Sessions {
    /// Stores a session under a new ID, which did not exist before the login, and returns the ID. A session that cannot
    /// be stored is logged out, because no browser could use it.
    pub async fn add(&self, session: &Session) -> Result<String, Failure> {
        let id = random::<32>()?;
        if let Err(error) = self.store.put(&key(&id), session.to_json(), TIME_TO_LIVE).await {
            self.log_out(session).await;
            return Err(error.into());
        }
        Ok(id)
    }

    pub async fn get(&self, id: &str) -> Result<Option<Session>, Failure> {
        read(self.store.get(&key(id)).await?)
    }

    /// Ends a session in this application, in any case, and logs it out. Returns it, and whether its server has
    /// confirmed that.
    pub async fn end(&self, id: &str) -> Result<Option<(Session, bool)>, Failure> {
        let Some(session) = read(self.store.take(&key(id)).await?)? else { return Ok(None) };
        let is_confirmed = self.log_out(&session).await;
        Ok(Some((session, is_confirmed)))
    }

    /// Whether the server of the session has confirmed that the session has ended.
    async fn log_out(&self, session: &Session) -> bool {
        let Ok(request) = session.logout_request() else { return false };
        let response = self.outgoing.carry(request).await;
        response.is_ok_and(|response| session.handle_logout(&response).is_ok())
    }
}

fn key(id: &str) -> String {
    format!("session:{id}")
}

fn read(stored: Option<String>) -> Result<Option<Session>, Failure> {
    let Some(stored) = stored else { return Ok(None) };
    Session::from_json(stored).map_err(|_| Failure::of_program("a session in the store cannot be read"))
}
