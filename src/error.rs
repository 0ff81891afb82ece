//! The errors of a flow: who is at fault, and what the caller can do.

use crate::address::user_id::UserId;
use crate::endpoint::callback::ForeignCallback;
use crate::endpoint::error::ResponseError;
use crate::endpoint::retry_after::RetryAfter;
use crate::endpoint::server_error::ServerError;
use crate::endpoint::well_known::DiscoveryFailure;
use crate::invalid_input::InvalidInput;
use crate::session::Session;
use crate::session::error::SessionError;
use crate::shown::one_line;

/// Why a [`LoginFlow`](crate::LoginFlow) refuses an input. The message says what to do, and contains no secret.
///
/// An error leaves the flow unchanged, with one exception: the server has granted a login that the flow refuses
/// ([`MissingRefreshToken`](Self::MissingRefreshToken), [`WrongUser`](Self::WrongUser)). Then this login is over, and
/// the error owns its session.
///
/// The errors of all other parts of this crate convert to this type, so that a driver can return one type. The flow
/// itself returns only three of them: [`ForeignCallback`](Self::ForeignCallback), [`Response`](Self::Response), and
/// [`InvalidInput`](Self::InvalidInput), which comes from [`choose`](crate::LoginFlow::choose).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's mistake: a value is not valid.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),

    /// The caller's mistake: the input does not belong to the step that is due. [`step`](crate::LoginFlow::step) says
    /// what is due.
    #[error("{input} is not allowed now: the current step is {due}")]
    #[non_exhaustive]
    OutOfStep {
        /// The method that was called.
        input: &'static str,
        /// The variant of [`Step`](crate::Step) that is due.
        due: &'static str,
    },

    /// The response belongs to another request than the one that is due, or no request is due. The flow ignores the
    /// response. If it is the response to a login, the server might have granted a session: the manual says
    /// [what to do then](crate#late-responses).
    #[error("the flow does not wait for this response: it is too late, or belongs to another request; ignore it")]
    StaleResponse,

    /// The caller's mistake: the flow already has a session. Log it out before another login, or begin another flow.
    #[error("already logged in: log out first, or begin another login")]
    AlreadyLoggedIn,

    /// The caller's mistake: the homeserver does not offer this way to log in, or the settings do not ask for
    /// OAuth 2.0.
    #[error("the homeserver does not offer {}{}", one_line(choice), instead(offered))]
    #[non_exhaustive]
    NotOffered {
        /// The login type or the identity provider that the caller chose. For OAuth 2.0, the grant type, with the
        /// reason why it cannot be used.
        choice: String,
        /// The login types or identity providers that the homeserver offers.
        offered: Vec<String>,
    },

    /// The callback belongs to another login. Keep waiting for the right callback.
    #[error(transparent)]
    ForeignCallback(#[from] ForeignCallback),

    /// The response is not what the request asked for.
    #[error(transparent)]
    Response(#[from] ResponseError),

    /// The session cannot do what the caller asked for.
    #[error(transparent)]
    Session(#[from] SessionError),

    /// Discovery did not find the homeserver.
    #[error(transparent)]
    Discovery(#[from] Box<DiscoveryFailure>),

    /// The homeserver granted a session whose access token expires and that has no refresh token. The setting
    /// [`require_refresh_token`](crate::LoginSettings::with_require_refresh_token) refuses such sessions. The session
    /// is valid: use it, or log it out. The flow asks again how to log in. A resumed flow asks for the login types
    /// first.
    #[error(
        "logged in, but the access token expires and there is no refresh token: \
         log this session out, or turn off the setting `require_refresh_token` before the login"
    )]
    MissingRefreshToken(Box<Session>),

    /// The homeserver granted a session of another user than the one that should log in
    /// [again](crate::LoginFlow::again). The session is valid: log it out, or store it separately. The flow asks again
    /// how to log in. A resumed flow asks for the login types first.
    #[error(
        "logged in as {}, not as {}: log this session out, then log in as the right user",
        one_line(session.user_id().as_str()),
        one_line(expected.as_str())
    )]
    #[non_exhaustive]
    WrongUser {
        /// The user that should log in again.
        expected: UserId,
        /// The session that the homeserver granted.
        session: Box<Session>,
    },
}

impl Error {
    /// Whether the same request can succeed later: see [`ResponseError::may_retry`].
    pub fn may_retry(&self) -> bool {
        self.response_error().is_some_and(ResponseError::may_retry)
    }

    /// When the server accepts the request again, if the server said so.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.response_error()?.retry_after()
    }

    fn response_error(&self) -> Option<&ResponseError> {
        match self {
            Self::Response(error) => Some(error),
            Self::Discovery(failure) => Some(&failure.cause),
            _ => None,
        }
    }
}

/// For a driver that gives up when the homeserver refuses.
impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Response(ResponseError::Server(Box::new(error)))
    }
}

/// For a driver that gives up when discovery fails.
impl From<DiscoveryFailure> for Error {
    fn from(failure: DiscoveryFailure) -> Self {
        Self::Discovery(Box::new(failure))
    }
}

fn instead(offered: &[String]) -> String {
    if offered.is_empty() { String::new() } else { format!("; it offers {}", one_line(&offered.join(", "))) }
}
