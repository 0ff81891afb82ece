//! What can be wrong with a response.

use http::StatusCode;

use crate::endpoint::Endpoint;
use crate::endpoint::location::Location;
use crate::endpoint::retry_after::RetryAfter;
use crate::endpoint::server_error::{ServerError, is_transient};
use crate::shown::one_line;

/// Why a response is not what the request was for. The message says what to do; it never quotes the body.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The homeserver refused or failed, with an error of the Matrix API.
    #[error(transparent)]
    Server(Box<ServerError>),

    /// The homeserver has no login API that was asked for: not the legacy API, and not OAuth 2.0 if the settings
    /// [ask for it](crate::LoginSettings::with_oauth). If they do not, it may have OAuth 2.0.
    #[error("the homeserver has no login API that was asked for; if it has OAuth 2.0, the settings must ask for that")]
    LoginUnsupported,

    /// The response lacks something that it must have.
    #[error("invalid answer to {endpoint}: expected {field} to be {expected}; the server is at fault")]
    #[non_exhaustive]
    InvalidResponse {
        /// The request.
        endpoint: Endpoint,
        /// Which part of the response.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },

    /// The response is longer than [`MAX_BODY`](crate::MAX_BODY) and was not read.
    #[error(
        "invalid answer to {endpoint}: {length} bytes are too long; the server, or what answers for it, is at fault"
    )]
    #[non_exhaustive]
    TooLarge {
        /// The request.
        endpoint: Endpoint,
        /// The length of the body in bytes, as far as the driver has read it.
        length: usize,
    },

    /// The response comes from something that is not a Matrix server or an OAuth 2.0 server: a proxy, a captive portal,
    /// a web site.
    #[error(
        "the answer to {endpoint} is not from {} (status {}): {}",
        if endpoint.is_oauth() { "an OAuth 2.0 server" } else { "a Matrix server" },
        status.as_u16(),
        not_matrix_advice(*status)
    )]
    #[non_exhaustive]
    NotMatrix {
        /// The request.
        endpoint: Endpoint,
        /// The status of the response.
        status: StatusCode,
        /// When to try again, if the header `Retry-After` said so: a proxy can.
        retry_after: Option<RetryAfter>,
    },

    /// The body is still encoded. The transport must undo a `Content-Encoding`, or ask for none.
    #[error(
        "the answer to {endpoint} is still encoded ({}, status {}): \
         let the HTTP client undo the Content-Encoding, or ask for none",
        one_line(encoding),
        status.as_u16()
    )]
    #[non_exhaustive]
    Encoded {
        /// The request.
        endpoint: Endpoint,
        /// The status of the response.
        status: StatusCode,
        /// The header `Content-Encoding`, such as `gzip`.
        encoding: String,
        /// When to try again, if the header `Retry-After` said so.
        retry_after: Option<RetryAfter>,
    },

    /// A redirect that the flow does not follow. It follows redirects of the well-known file only: to https, never
    /// to an address where it was before, and five times at most. Other requests may contain credentials.
    #[error(
        "the answer to {endpoint} is a redirect{} that is not followed: use the right address",
        to(location.as_ref())
    )]
    #[non_exhaustive]
    Redirected {
        /// The request.
        endpoint: Endpoint,
        /// The `Location` header.
        location: Option<Location>,
    },

    /// There was no response. The driver said so.
    #[error("no answer to {endpoint}: check the network and the address")]
    #[non_exhaustive]
    Unreachable {
        /// The request.
        endpoint: Endpoint,
    },
}

impl ResponseError {
    /// Whether the same request can succeed later. `true` after a rate limit, a 5xx, a 408 or a 425 (from the server or
    /// from a proxy), or no response. The caller decides when to try again, and how often. No error of this type ends a
    /// session by itself.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Server(error) => error.is_rate_limit() || error.is_server_failure(),
            Self::NotMatrix { status, .. } => is_transient(*status),
            Self::Unreachable { .. } => true,
            Self::LoginUnsupported
            | Self::InvalidResponse { .. }
            | Self::TooLarge { .. }
            | Self::Encoded { .. }
            | Self::Redirected { .. } => false,
        }
    }

    /// When the server, or a proxy before it, takes the request again, if it said so.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Server(error) => error.retry_after,
            Self::NotMatrix { retry_after, .. } | Self::Encoded { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn not_matrix_advice(status: StatusCode) -> &'static str {
    if is_transient(status) { "try again later" } else { "check the address" }
}

fn to(location: Option<&Location>) -> String {
    location.map(|location| format!(" to {location}")).unwrap_or_default()
}
