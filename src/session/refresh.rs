//! How a session goes on and how it ends: when to refresh it, what came of that, and what any other answer means for it.

use std::time::{Duration, SystemTime};

use http::{Request, Response};

use crate::endpoint::error::ResponseError;
use crate::endpoint::refresh;
use crate::endpoint::retry_after::backoff;
use crate::endpoint::server_error::ServerError;
use crate::session::error::SessionError;
use crate::session::{Session, end};

/// What the response to a refresh means for the session, and what to do (specification, "Refreshing access tokens", "Soft
/// logout" and "Account locking"). Where the specification leaves it open, this follows what homeservers do.
///
/// | the response | means | the session |
/// | --- | --- | --- |
/// | 2xx with an access token | `Refreshed` | has the new tokens; without a new refresh token it keeps the old one |
/// | 429, or another rate limit | `Later` | stays; the delay is the one that the server asks for, if it does |
/// | 5xx | `Later` | stays |
/// | not Matrix, whatever the status: a captive portal, a proxy | `Later` | stays |
/// | a redirect | `Later` | stays |
/// | 2xx that cannot be read | `Later` | stays: ask again with the same refresh token |
/// | 401 `M_UNKNOWN_TOKEN` with `soft_logout` | `SoftLogout` | is over, its device is not: [log in again](crate#logging-in-again-and-logging-out) |
/// | 401 `M_UNKNOWN_TOKEN` without it | `TokenGone` | cannot be refreshed; its access token may live on until it expires |
/// | 403 `M_FORBIDDEN` | `TokenGone` | likewise: Synapse says this of a refresh token that is used or expired |
/// | `M_USER_DEACTIVATED` | `TokenGone` | likewise: the account has ended |
/// | `M_USER_LOCKED` | `Locked` | stays: it goes on when the account is unlocked |
/// | 404 `M_UNRECOGNIZED` | `Unsupported` | cannot be refreshed: the homeserver has that switched off |
/// | any other 4xx | `Later` | stays: the server does not say that it is over |
/// | none at all | there is nothing to call | stays: the same request is due |
///
/// The errcodes count under any 4xx. If others use the session too, one of them may have refreshed it meanwhile: look
/// before you give it up.
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
        /// How long to wait: as long as the server says, otherwise a second.
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
    /// How long from now until it is time to refresh, which is a margin before the access token expires; zero if it is
    /// time. `None` if it never is: the token does not expire, or there is nothing to refresh with.
    ///
    /// The margin is for the time that a request takes, and for clocks that differ; it should be less than the lifetime,
    /// or else it is always time. Ask again before each request or after each sleep: clocks jump. One that was set back
    /// hides that a token has expired, so the homeserver has the last word: [`judge`](Self::judge) what it answers.
    pub fn refresh_in(&self, now: SystemTime, margin: Duration) -> Option<Duration> {
        self.refresh_token.as_ref()?;
        // A time before now is an error, and it is time then.
        let left = self.expires_at()?.duration_since(now).unwrap_or(Duration::ZERO);
        Some(left.saturating_sub(margin))
    }

    /// The request that buys the next access token. It is the same until the session is refreshed.
    ///
    /// Only one may be under way, among all that use the session: the manual says [why and
    /// how](crate#keeping-a-session-alive).
    ///
    /// # Errors
    ///
    /// [`SessionError::NoRefreshToken`], or [`SessionError::UnknownHomeserver`] if the homeserver
    /// [is not known](Self::homeserver).
    pub fn refresh_request(&self) -> Result<Request<Vec<u8>>, SessionError> {
        let homeserver = self.known_homeserver()?;
        let refresh_token = self.refresh_token.as_ref().ok_or(SessionError::NoRefreshToken)?;
        Ok(refresh::request(homeserver, refresh_token))
    }

    /// Takes the answer to [`refresh_request`](Self::refresh_request), and the time when it arrived. The session changes
    /// if, and only if, it is [`Refresh::Refreshed`].
    pub fn handle_refresh<B: AsRef<[u8]>>(&mut self, response: &Response<B>, received_at: SystemTime) -> Refresh {
        let later = |error: ResponseError| {
            let hint = error.retry_after().map(|retry_after| retry_after.delay(received_at));
            Refresh::Later { error, delay: hint.unwrap_or_else(|| backoff(1)) }
        };
        let error = match refresh::response(response) {
            Ok(granted) => {
                self.access_token = granted.access_token;
                // The end of the access token before says nothing about this one.
                self.valid_until = granted.expires_in.and_then(|lifetime| end(received_at, lifetime));
                self.refresh_token = granted.refresh_token.or(self.refresh_token.take());
                return Refresh::Refreshed;
            }
            Err(ResponseError::Server(error)) => error,
            Err(error) => return later(error),
        };
        match error.refusal() {
            Some("M_UNKNOWN_TOKEN") if error.soft_logout => Refresh::SoftLogout(error),
            Some("M_UNKNOWN_TOKEN" | "M_FORBIDDEN" | "M_USER_DEACTIVATED") => Refresh::TokenGone(error),
            Some("M_USER_LOCKED") => Refresh::Locked(error),
            Some("M_UNRECOGNIZED") => Refresh::Unsupported(error),
            _ => later(ResponseError::Server(error)),
        }
    }

    /// Gives the refresh token up, after [`Refresh::TokenGone`] or [`Refresh::Unsupported`]: it is never time to refresh again,
    /// and [`judge`](Self::judge) tells a soft logout from the end.
    pub fn forget_refresh_token(&mut self) {
        self.refresh_token = None;
    }
}
