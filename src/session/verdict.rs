//! Judges what a response means for a session.

use std::time::Duration;

use http::Response;

use crate::endpoint::server_error::ServerError;
use crate::endpoint::uia;
use crate::session::Session;

/// What a response means for the session whose access token the request contained (specification, "Using access
/// tokens", "Soft logout" and "Account locking").
///
/// | the response | with a refresh token | without one |
/// | --- | --- | --- |
/// | a success, a redirect | `Unaffected` | `Unaffected` |
/// | 401 `M_UNKNOWN_TOKEN` with `soft_logout` | `Refresh` | `SoftLogout` |
/// | 401 `M_UNKNOWN_TOKEN` without it | `Refresh` | `LoggedOut` |
/// | `M_USER_DEACTIVATED` | `LoggedOut` | `LoggedOut` |
/// | `M_USER_LOCKED`, whatever `soft_logout` says | `Locked` | `Locked` |
/// | any other error of a Matrix server: 4xx or 5xx | `Unaffected` | `Unaffected` |
/// | 401 that asks the user to authenticate once more | `Unaffected` | `Unaffected` |
/// | any other response that is not from a Matrix server: a captive portal, a proxy | `NotMatrix` | `NotMatrix` |
///
/// The statuses in the table are the usual ones. Only the errcode counts: it means the same with any 4xx. If the
/// session has a refresh token, `soft_logout` does not matter: servers with the OAuth 2.0 API report an expired token
/// without it. [`ServerError::from_response`] returns the error to show to the user.
///
/// This enum is exhaustive on purpose: a program must do something different for each variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The response says nothing against the access token. The body of a success does not matter.
    Unaffected,
    /// The access token is no longer valid: wait, [refresh](Session::refresh_request) the session, then send the
    /// request again.
    Refresh {
        /// How long to wait before the refresh. The delay is usually zero. It is one second if a refresh has just
        /// granted the token, and no request with that token has succeeded. Each further time in a row it is twice as
        /// long, up to a minute. The reason: Synapse refreshes the session of a locked user, and then refuses the new
        /// token.
        delay: Duration,
    },
    /// The access token is no longer valid, but the device is: log in [again](crate#logging-in-again-and-logging-out),
    /// and keep its encryption keys.
    SoftLogout,
    /// The session has ended: delete it, and begin a new login. There is one exception. If you have
    /// [forgotten](Session::forget_refresh_token) the refresh token of an OAuth 2.0 session, the device may still
    /// exist: log in [again](crate#logging-in-again-and-logging-out), and keep its encryption keys until then.
    LoggedOut,
    /// The account is locked. Keep everything, and ask again from time to time.
    Locked,
    /// The response does not come from a Matrix server, so it says nothing about the session.
    NotMatrix,
}

impl Session {
    /// What a response means for the session whose access token the request contained. Do not call this function for
    /// the response to a refresh or a login, or to the revocation of OAuth 2.0. Call it for successes too: then the
    /// session, and every copy of it with the same access token, knows that the token works.
    ///
    /// ```
    /// use http::Response;
    /// use matrix_login::{Session, Verdict};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let refused = Response::builder().status(401).body(r#"{"errcode": "M_UNKNOWN_TOKEN"}"#)?;
    /// match session.judge(&refused) {
    ///     Verdict::Unaffected => println!("go on"),
    ///     Verdict::Refresh { .. } => println!("refresh, and send the request again"),
    ///     verdict => println!("log in again, perhaps: {verdict:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn judge<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Verdict {
        if response.status().is_success() || response.status().is_redirection() {
            if response.status().is_success() {
                self.attempts.succeed();
            }
            return Verdict::Unaffected;
        }
        let Some(error) = ServerError::from_response(response) else {
            return if uia::response(response).is_some() { Verdict::Unaffected } else { Verdict::NotMatrix };
        };
        match error.refusal() {
            Some("M_UNKNOWN_TOKEN") if self.refresh_token.is_some() => {
                Verdict::Refresh { delay: self.attempts.delay() }
            }
            Some("M_UNKNOWN_TOKEN") if error.soft_logout => Verdict::SoftLogout,
            Some("M_UNKNOWN_TOKEN" | "M_USER_DEACTIVATED") => Verdict::LoggedOut,
            Some("M_USER_LOCKED") => Verdict::Locked,
            _ => Verdict::Unaffected,
        }
    }
}
