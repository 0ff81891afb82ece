//! What a flow refuses, whose doing it is, and what can be done.

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

/// Why a [`LoginFlow`](crate::LoginFlow) refuses an input. The message says what to do; nothing in it is a secret.
///
/// An error leaves the flow where it was, with one exception: a login that the server granted and the flow refuses
/// ([`MissingRefreshToken`](Self::MissingRefreshToken), [`WrongUser`](Self::WrongUser)) is over, and the error owns its
/// session.
///
/// The errors of all other parts of this crate convert to this one, so that a driver can return one type. The flow
/// itself never returns [`InvalidInput`](Self::InvalidInput), [`Session`](Self::Session) or
/// [`Discovery`](Self::Discovery).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller: a value is not valid.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),

    /// The caller: the input does not belong to the step that is due. Ask [`step`](crate::LoginFlow::step) what to do.
    #[error("{input} is out of step: {due} is due")]
    #[non_exhaustive]
    OutOfStep {
        /// The method that was called.
        input: &'static str,
        /// The variant of [`Step`](crate::Step) that is due.
        due: &'static str,
    },

    /// The response belongs to another request than the one that is due, or none is due. The flow ignores it. If it is
    /// the response to a login, it may have granted one: the manual says [what to do then](crate#late-responses).
    #[error("the response is stale: it belongs to a request that is not due")]
    StaleResponse,

    /// The caller: the flow has a session. Log it out before another login, or begin another flow.
    #[error("already logged in: log out first, or begin another login")]
    AlreadyLoggedIn,

    /// The caller: the homeserver does not offer this way to log in.
    #[error("the homeserver does not offer {}{}", one_line(choice), instead(offered))]
    #[non_exhaustive]
    NotOffered {
        /// The login type, or the identity provider, that was chosen.
        choice: String,
        /// Those that are offered.
        offered: Vec<String>,
    },

    /// The browser came back with a callback of another login. Keep waiting for the right one.
    #[error(transparent)]
    ForeignCallback(#[from] ForeignCallback),

    /// The response is not what the request was for.
    #[error(transparent)]
    Response(#[from] ResponseError),

    /// A session cannot do what was asked of it.
    #[error(transparent)]
    Session(#[from] SessionError),

    /// The homeserver was not found.
    #[error(transparent)]
    Discovery(#[from] Box<DiscoveryFailure>),

    /// The homeserver granted a login that ends when its access token expires, and
    /// [`require_refresh_token`](crate::LoginSettings::with_require_refresh_token) asks for one that does not. The
    /// session is valid: use it, or log it out. The flow is back at the question. A resumed flow asks for the login
    /// types first.
    #[error(
        "logged in, but the access token expires and there is no refresh token: \
         accept such sessions or log this one out"
    )]
    MissingRefreshToken(Box<Session>),

    /// The homeserver granted a login to another user than the one that should log in
    /// [again](crate::LoginFlow::again). The session is valid, but it belongs to another user: log it out, or store it
    /// separately.
    /// The flow is back at the question. A resumed flow asks for the login types first.
    #[error(
        "logged in as {}, not as {}: log this session out, then log in as the right user",
        one_line(session.user_id().as_str()),
        one_line(expected.as_str())
    )]
    #[non_exhaustive]
    WrongUser {
        /// The user that had to log in again.
        expected: UserId,
        /// What was granted.
        session: Box<Session>,
    },
}

impl Error {
    /// Whether the same request can succeed later: see [`ResponseError::may_retry`].
    pub fn may_retry(&self) -> bool {
        self.response_error().is_some_and(ResponseError::may_retry)
    }

    /// When the server takes the request again, if it said so.
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
    if offered.is_empty() { String::new() } else { format!(", but {}", one_line(&offered.join(", "))) }
}
