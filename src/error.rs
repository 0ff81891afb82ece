//! What goes wrong, whose doing it is, and what can be done.

use std::borrow::Cow;

use http::StatusCode;

use crate::{
    address::user_id::UserId,
    endpoint::{Endpoint, retry_after::RetryAfter, server_error::ServerError, well_known::DiscoveryFailure},
    session::Session,
    shown::one_line,
};

/// What went wrong. The message says what to do; nothing in it is a secret.
///
/// An error of a [`LoginFlow`](crate::LoginFlow) leaves the flow where it was, with one exception:
/// a login that the server granted and the flow refuses ([`MissingRefreshToken`](Self::MissingRefreshToken),
/// [`WrongUser`](Self::WrongUser)) is over, and the error owns its session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller: a value cannot be what it should be.
    #[error("invalid {field}: expected {expected}")]
    InvalidInput {
        /// Which value.
        field: Cow<'static, str>,
        /// What it should be.
        expected: &'static str,
    },

    /// The caller: the input does not answer the step that is due. Ask [`step`](crate::LoginFlow::step) what to do.
    #[error("{input} is out of step: {due} is due")]
    OutOfStep {
        /// The method that was called.
        input: &'static str,
        /// The variant of [`Step`](crate::Step) that is due.
        due: &'static str,
    },

    /// The caller: the flow has a session. Log it out before another login, or begin another flow.
    #[error("already logged in: log out first, or begin another login")]
    AlreadyLoggedIn,

    /// The caller: the homeserver does not offer this way to log in.
    #[error("the homeserver does not offer {}, but {}", one_line(choice), list(offered))]
    NotOffered {
        /// The login type, or the identity provider, that was chosen.
        choice: String,
        /// Those that are offered.
        offered: Vec<String>,
    },

    /// The callback of a single sign-on does not belong to this login. Keep waiting for the one that does.
    #[error("the callback does not belong to this login: expected its `state`, once, and a `loginToken`")]
    ForeignCallback,

    /// The homeserver refused, with an error of the Matrix API.
    #[error(transparent)]
    Server(Box<ServerError>),

    /// The homeserver has no login API of the kind that this crate knows; it may have the OAuth 2.0 API instead.
    #[error("the homeserver does not support this kind of login; it may support OAuth 2.0 only")]
    LegacyLoginUnsupported,

    /// The homeserver's answer lacks what it has to have.
    #[error("invalid answer to {endpoint}: expected {field} to be {expected}; the server is at fault")]
    InvalidResponse {
        /// The request.
        endpoint: Endpoint,
        /// Which part of the answer.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },

    /// The answer is longer than [`MAX_BODY`](crate::MAX_BODY) and was not read.
    #[error(
        "invalid answer to {endpoint}: {length} bytes are too long; the server, or what answers for it, is at fault"
    )]
    TooLarge {
        /// The request.
        endpoint: Endpoint,
        /// The length of the body in bytes.
        length: usize,
    },

    /// The answer comes from something that is no Matrix server: a proxy, a captive portal, a web site.
    #[error("the answer to {endpoint} is not from a Matrix server (status {}): {}", status.as_u16(), not_matrix_advice(*status))]
    NotMatrix {
        /// The request.
        endpoint: Endpoint,
        /// The status of the answer.
        status: StatusCode,
    },

    /// The server redirects, and the redirect is not followed: only those of the well-known file are, by the flow, and
    /// only to https, in no circle and five times at most. Other requests may hold credentials.
    #[error("the answer to {endpoint} is a redirect{} that is not followed: use the right address", to(location.as_deref()))]
    Redirected {
        /// The request.
        endpoint: Endpoint,
        /// The `Location` header, as it was sent.
        location: Option<String>,
    },

    /// There was no answer. Only a [`DiscoveryFailure`] has this cause; the driver said so.
    #[error("no answer to {endpoint}: check the network and the address")]
    Unreachable {
        /// The request.
        endpoint: Endpoint,
    },

    /// The homeserver was not found.
    #[error(transparent)]
    Discovery(Box<DiscoveryFailure>),

    /// The homeserver granted a login that ends when its access token expires, and
    /// [`require_refresh_token`](crate::LoginSettings::require_refresh_token) asks for one that does not. The session
    /// is good: use it, or log it out. The flow is back at the question, for which a resumed flow asks for the login
    /// types first.
    #[error(
        "logged in, but the access token expires and there is no refresh token: accept such sessions or log this one out"
    )]
    MissingRefreshToken(Box<Session>),

    /// The homeserver granted a login to another user than the one who was to log in
    /// [again](crate::LoginFlow::again). The session is good, of somebody else: log it out, or keep it apart. The flow is
    /// back at the question, for which a resumed flow asks for the login types first.
    #[error(
        "logged in as {}, not as {}: log this session out, then log in as the right user",
        one_line(session.user_id().as_str()),
        one_line(expected.as_str())
    )]
    WrongUser {
        /// Who was to log in again.
        expected: UserId,
        /// What was granted.
        session: Box<Session>,
    },
}

impl Error {
    /// Whether the same request can succeed later: a rate limit, a server's failure, a proxy's page for one, or no
    /// answer. When, and how often, is for the caller to decide. A session is not lost by the other errors either: of these
    /// [`Refresh`](crate::Refresh) and [`Verdict`](crate::Verdict) tell.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Server(error) => error.is_rate_limit() || error.status.is_server_error(),
            Self::NotMatrix { status, .. } => status.is_server_error(),
            Self::Unreachable { .. } => true,
            Self::Discovery(failure) => failure.cause.may_retry(),
            _ => false,
        }
    }

    /// When the server takes the request again, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Server(error) => error.retry_after,
            _ => None,
        }
    }

    pub(crate) fn invalid_input(field: impl Into<Cow<'static, str>>, expected: &'static str) -> Self {
        Self::InvalidInput { field: field.into(), expected }
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

impl From<DiscoveryFailure> for Error {
    fn from(failure: DiscoveryFailure) -> Self {
        Self::Discovery(Box::new(failure))
    }
}

fn not_matrix_advice(status: StatusCode) -> &'static str {
    if status.is_server_error() { "try again later" } else { "check the address" }
}

fn to(location: Option<&str>) -> String {
    location.map(|location| format!(" to {}", one_line(location))).unwrap_or_default()
}

fn list(offered: &[String]) -> String {
    if offered.is_empty() { "nothing".to_owned() } else { one_line(&offered.join(", ")) }
}
