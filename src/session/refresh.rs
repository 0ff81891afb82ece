//! Refreshes a session: when to do it, and what the response means.

use std::time::{Duration, SystemTime};

use http::{Request, Response};

use crate::endpoint::error::ResponseError;
use crate::endpoint::oauth::token::{self, Grant};
use crate::endpoint::refresh;
use crate::endpoint::server_error::ServerError;
use crate::session::error::SessionError;
use crate::session::{Session, end};

/// What the response to a refresh means for the session, and what to do (specification, "Refreshing access tokens",
/// "Soft logout" and "Account locking"). If the specification does not say it, this table follows what homeservers do.
///
/// | the response | means | the session |
/// | --- | --- | --- |
/// | 2xx with an access token | `Refreshed` | has new tokens, or a new access token and the old refresh token |
/// | 429, or another rate limit | `Later` | stays: wait as long as the server asks for, if it does |
/// | 5xx, 408, 425 | `Later` | stays |
/// | not Matrix, whatever the status: a captive portal, a proxy | `Later` | stays |
/// | a redirect | `Later` | stays |
/// | 2xx that cannot be read, or with an errcode | `Later` | stays: ask again with the same refresh token |
/// | 401 `M_UNKNOWN_TOKEN` with `soft_logout` | `SoftLogout` | has ended, but its device stays: [log in again] |
/// | 401 `M_UNKNOWN_TOKEN` without it | `TokenGone` | cannot be refreshed; the access token might still be valid |
/// | 403 `M_FORBIDDEN` | `TokenGone` | the same: from Synapse, if the refresh token is used or expired |
/// | `M_USER_DEACTIVATED` | `TokenGone` | the same: the account no longer exists |
/// | `M_USER_LOCKED` | `Locked` | stays: it is valid again when the account is unlocked |
/// | 404 `M_UNRECOGNIZED` | `Unsupported` | cannot be refreshed: the homeserver does not support this |
/// | any other 4xx | `Later` | stays: the server does not say that the session has ended |
/// | OAuth 2.0: `invalid_grant`, `invalid_client`, `unauthorized_client` | `TokenGone` | cannot be refreshed |
/// | OAuth 2.0: any other error, also one of the Matrix API | `Later` | stays |
/// | no response | do not call `handle_refresh` | stays: send the same request again |
///
/// The statuses in the table are the usual ones. Only the errcode counts: it means the same with any 4xx. Another
/// thread or process might have refreshed the session in the meantime: check this before you give up the session.
///
/// This enum is exhaustive on purpose: a program must do something different for each variant.
///
/// [log in again]: crate#logging-in-again-and-logging-out
#[derive(Clone, Debug)]
#[must_use]
pub enum Refresh {
    /// The session has new tokens. Store it before you use them: after the first use, the old refresh token is no
    /// longer valid.
    Refreshed,
    /// The tokens are unchanged: ask again later with the same refresh token.
    Later {
        /// Why the refresh failed.
        error: ResponseError,
        /// How long to wait. This is as long as the server says. Otherwise it is one second, and twice as long after
        /// each further failure in a row, up to a minute.
        delay: Duration,
    },
    /// Log in [again](crate#logging-in-again-and-logging-out), on the same device. Its encryption keys stay valid: keep
    /// them.
    SoftLogout(Box<ServerError>),
    /// The refresh token is no longer valid. The access token might be valid until it expires.
    /// [Forget](Session::forget_refresh_token) the refresh token and go on. When the access token has expired,
    /// [`judge`](Session::judge) says whether the device still exists.
    TokenGone(Box<ServerError>),
    /// The account is locked. Keep everything, and ask again from time to time.
    Locked(Box<ServerError>),
    /// The homeserver does not support refresh tokens: go on as for `TokenGone`.
    Unsupported(Box<ServerError>),
}

impl Session {
    /// How long to wait before the next refresh. A refresh is due `margin` before the access token expires. Zero if the
    /// refresh is due now. `None` if no refresh is ever due: the access token does not expire, or there is no refresh
    /// token.
    ///
    /// The margin covers the duration of a request, and clocks that differ. It should be less than the lifetime of the
    /// access token. Otherwise a refresh is always due. Clocks jump, so ask again before each request or after each
    /// sleep. If a clock was set back, it hides that a token has expired. So also [`judge`](Self::judge) every
    /// response.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// match session.refresh_in(SystemTime::now(), Duration::from_secs(30)) {
    ///     Some(delay) => println!("refresh in {delay:?}"),
    ///     None => println!("there is no need"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refresh_in(&self, now: SystemTime, margin: Duration) -> Option<Duration> {
        self.refresh_token.as_ref()?;
        // If the token has already expired, `duration_since` is an error, and the refresh is due now.
        let left = self.expires_at()?.duration_since(now).unwrap_or(Duration::ZERO);
        Some(left.saturating_sub(margin))
    }

    /// The request for the next access token. It stays the same until the session is refreshed.
    ///
    /// Only one thread or process at a time may send this request. The manual says [why and
    /// how](crate#keeping-a-session-alive).
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let request = session.refresh_request()?;
    /// assert_eq!(request.uri(), "https://example.org/_matrix/client/v3/refresh");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::NoRefreshToken`] if the session has no refresh token. [`SessionError::UnknownHomeserver`] if the
    /// homeserver [is not known](Self::homeserver), except for a session of the OAuth 2.0 API: its token endpoint
    /// refreshes it.
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
    /// [`Refresh::Refreshed`] changes the stored form. The session also counts the attempts, so that the
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
    /// # let mut session = Session::from_json(stored)?.expect("it contains a session");
    /// let response = r#"{"access_token": "t2", "refresh_token": "r2",
    ///     "expires_in_ms": 300000}"#;
    /// let response = Response::new(response);
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
                // The expiry of the old access token says nothing about the new one.
                self.valid_until = granted.expires_in.and_then(|lifetime| end(received_at, lifetime));
                self.refresh_token = granted.refresh_token.or(self.refresh_token.take());
                self.attempts.grant(received_at);
                Refresh::Refreshed
            }
            // An error in a 2xx does not end a session.
            Err(ResponseError::Server(error)) if !response.status().is_success() => self.refused(error, received_at),
            Err(error) => self.later(error, received_at),
        }
    }

    /// The tokens in the response of either API.
    fn new_tokens<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Result<refresh::Response, ResponseError> {
        if self.oauth.is_none() {
            return refresh::response(response);
        }
        let token::Response { access_token, expires_in, refresh_token, .. } = token::response(response)?;
        Ok(refresh::Response { access_token, expires_in, refresh_token })
    }

    /// What an error of the server means for the session.
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
    /// due, and [`judge`](Self::judge) can distinguish a soft logout from a logout.
    ///
    /// For a session of the OAuth 2.0 API, [`judge`](Self::judge) cannot distinguish them: the servers send the same
    /// error for an expired token and for a revoked token. Then log in [again](crate#logging-in-again-and-logging-out)
    /// on the same device, and keep its encryption keys until the homeserver grants another device.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let mut session = Session::from_json(stored)?.expect("it contains a session");
    /// session.forget_refresh_token();
    /// assert!(session.refresh_request().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_refresh_token(&mut self) {
        self.refresh_token = None;
    }
}
