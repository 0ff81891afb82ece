//! How a session goes on and how it ends: when to refresh it, and what came of that.

use std::time::{Duration, SystemTime};

use http::{Request, Response};

use crate::endpoint::error::ResponseError;
use crate::endpoint::oauth::token::{self, Grant};
use crate::endpoint::refresh;
use crate::endpoint::server_error::ServerError;
use crate::session::error::SessionError;
use crate::session::{Session, end};

/// What the response to a refresh means for the session, and what to do (specification, "Refreshing access tokens",
/// "Soft logout" and "Account locking"). Where the specification leaves it open, this follows what homeservers do.
///
/// | the response | means | the session |
/// | --- | --- | --- |
/// | 2xx with an access token | `Refreshed` | has the new tokens; without a new refresh token it keeps the old one |
/// | 429, or another rate limit | `Later` | stays; the delay is the one that the server asks for, if it does |
/// | 5xx, 408, 425 | `Later` | stays |
/// | not Matrix, whatever the status: a captive portal, a proxy | `Later` | stays |
/// | a redirect | `Later` | stays |
/// | 2xx that cannot be read, or with an errcode | `Later` | stays: ask again with the same refresh token |
/// | 401 `M_UNKNOWN_TOKEN` with `soft_logout` | `SoftLogout` | is over, its device is not: [log in again](crate#logging-in-again-and-logging-out) |
/// | 401 `M_UNKNOWN_TOKEN` without it | `TokenGone` | cannot be refreshed; its access token may live on until it expires |
/// | 403 `M_FORBIDDEN` | `TokenGone` | likewise: Synapse says this of a refresh token that is used or expired |
/// | `M_USER_DEACTIVATED` | `TokenGone` | likewise: the account has ended |
/// | `M_USER_LOCKED` | `Locked` | stays: it goes on when the account is unlocked |
/// | 404 `M_UNRECOGNIZED` | `Unsupported` | cannot be refreshed: the homeserver has that switched off |
/// | any other 4xx | `Later` | stays: the server does not say that it is over |
/// | OAuth 2.0: `invalid_grant`, `invalid_client`, `unauthorized_client` | `TokenGone` | cannot be refreshed: the refresh token or the client is no longer known |
/// | OAuth 2.0: any other error, also one of the Matrix API | `Later` | stays |
/// | no response | do not call `handle_refresh` | stays: send the same request again |
///
/// The table has the usual statuses. Only the errcode counts: it means the same under any 4xx. Another thread or
/// process may have refreshed the session in the meantime: check that before you give the session up.
///
/// It is exhaustive on purpose: each of these asks for something else.
#[derive(Clone, Debug)]
#[must_use]
pub enum Refresh {
    /// The session has new tokens. Store it before they are used: once they are, the old refresh token is spent.
    Refreshed,
    /// Nothing is lost and nothing is gained: ask again later with the same refresh token.
    Later {
        /// Why.
        error: ResponseError,
        /// How long to wait: as long as the server says, otherwise one second, and twice as long after each further
        /// failure in a row, up to a minute.
        delay: Duration,
    },
    /// Log in [again](crate#logging-in-again-and-logging-out), on the same device. Its encryption keys stay valid: keep
    /// them.
    SoftLogout(Box<ServerError>),
    /// The refresh token is no longer valid. The access token may be, until it expires.
    /// [Forget](Session::forget_refresh_token) the refresh token and go on. When the access token has expired,
    /// [`judge`](Session::judge) says whether the device is still there.
    TokenGone(Box<ServerError>),
    /// The account is locked. Keep everything, and ask again from time to time.
    Locked(Box<ServerError>),
    /// The homeserver refreshes no sessions: go on as for `TokenGone`.
    Unsupported(Box<ServerError>),
}

impl Session {
    /// How long to wait before the next refresh. A refresh is due `margin` before the access token expires. Zero if it
    /// is due now. `None` if it is never due: the access token does not expire, or there is no refresh token.
    ///
    /// The margin covers the time that a request takes, and clocks that differ. It should be less than the lifetime of
    /// the access token; otherwise a refresh is always due. Clocks jump, so ask again before each request or after each
    /// sleep. A clock that was set back hides that a token has expired. So also [`judge`](Self::judge) every response.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// match session.refresh_in(SystemTime::now(), Duration::from_secs(30)) {
    ///     Some(delay) => println!("refresh in {delay:?}"),
    ///     None => println!("there is no need"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refresh_in(&self, now: SystemTime, margin: Duration) -> Option<Duration> {
        self.refresh_token.as_ref()?;
        // A time before now is an error, and it is time then.
        let left = self.expires_at()?.duration_since(now).unwrap_or(Duration::ZERO);
        Some(left.saturating_sub(margin))
    }

    /// The request that gets the next access token. It stays the same until the session is refreshed.
    ///
    /// Only one thread or process at a time may send it: the manual says [why and
    /// how](crate#keeping-a-session-alive).
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let request = session.refresh_request()?;
    /// assert_eq!(request.uri(), "https://example.org/_matrix/client/v3/refresh");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::NoRefreshToken`], or [`SessionError::UnknownHomeserver`] if the homeserver [is not
    /// known](Self::homeserver). A session of the OAuth 2.0 API is refreshed at its token endpoint, and does not need
    /// the homeserver.
    pub fn refresh_request(&self) -> Result<Request<Vec<u8>>, SessionError> {
        let refresh_token = || self.refresh_token.as_ref().ok_or(SessionError::NoRefreshToken);
        match &self.oauth {
            None => Ok(refresh::request(self.known_homeserver()?, refresh_token()?)),
            Some(origin) => {
                let grant = Grant::RefreshToken(refresh_token()?);
                Ok(token::request(&origin.token_endpoint, &origin.client_id, grant))
            }
        }
    }

    /// Takes the response to [`refresh_request`](Self::refresh_request), and the time when it arrived. Only
    /// [`Refresh::Refreshed`] changes what is stored. The session also counts the attempts, so that the
    /// [delays](Refresh::Later) grow: keep the session after every outcome.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use http::Response;
    /// use matrix_login::{Refresh, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let mut session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let response = Response::new(r#"{"access_token": "t2", "refresh_token": "r2", "expires_in_ms": 300000}"#);
    /// match session.handle_refresh(&response, SystemTime::now()) {
    ///     // Store the session before you use it.
    ///     Refresh::Refreshed => assert_eq!(session.access_token().expose(), "t2"),
    ///     outcome => println!("{outcome:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_refresh<B: AsRef<[u8]>>(&mut self, response: &Response<B>, received_at: SystemTime) -> Refresh {
        match self.new_tokens(response) {
            Ok(granted) => {
                self.access_token = granted.access_token;
                // The end of the access token before says nothing about this one.
                self.valid_until = granted.expires_in.and_then(|lifetime| end(received_at, lifetime));
                self.refresh_token = granted.refresh_token.or(self.refresh_token.take());
                self.attempts.grant(received_at);
                Refresh::Refreshed
            }
            // Under a 2xx, an error does not end a session.
            Err(ResponseError::Server(error)) if !response.status().is_success() => self.refused(error, received_at),
            Err(error) => self.later(error, received_at),
        }
    }

    /// What a refresh grants, by either API.
    fn new_tokens<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Result<refresh::Response, ResponseError> {
        if self.oauth.is_none() {
            return refresh::response(response);
        }
        let token::Response { access_token, expires_in, refresh_token, .. } = token::response(response)?;
        Ok(refresh::Response { access_token, expires_in, refresh_token })
    }

    /// What an error of the server means.
    fn refused(&mut self, error: Box<ServerError>, received_at: SystemTime) -> Refresh {
        match (error.refusal(), &self.oauth) {
            (Some("M_UNKNOWN_TOKEN"), None) if error.soft_logout => Refresh::SoftLogout(error),
            (Some("invalid_grant" | "invalid_client" | "unauthorized_client"), Some(_))
            | (Some("M_UNKNOWN_TOKEN" | "M_FORBIDDEN" | "M_USER_DEACTIVATED"), None) => Refresh::TokenGone(error),
            (Some("M_USER_LOCKED"), None) => Refresh::Locked(error),
            (Some("M_UNRECOGNIZED"), None) => Refresh::Unsupported(error),
            _ => self.later(ResponseError::Server(error), received_at),
        }
    }

    fn later(&mut self, error: ResponseError, received_at: SystemTime) -> Refresh {
        let backoff = self.attempts.fail();
        let hint = error.retry_after().and_then(|retry_after| retry_after.delay(received_at));
        Refresh::Later { error, delay: hint.unwrap_or(backoff) }
    }

    /// Removes the refresh token, after [`Refresh::TokenGone`] or [`Refresh::Unsupported`]. From then on no refresh is
    /// due, and [`judge`](Self::judge) can tell a soft logout from a logout. For a session of the OAuth 2.0 API, it
    /// cannot: those servers report an expired token as one that was revoked. Log in
    /// [again](crate#logging-in-again-and-logging-out) on the same device then, and keep its encryption keys until the
    /// homeserver grants another device.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let mut session = Session::from_json(stored)?.expect("somebody is logged in");
    /// session.forget_refresh_token();
    /// assert!(session.refresh_request().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_refresh_token(&mut self) {
        self.refresh_token = None;
    }
}
