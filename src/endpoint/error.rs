//! The error for a response that the crate cannot use.

use http::StatusCode;

use crate::endpoint::location::Location;
use crate::endpoint::retry_after::RetryAfter;
use crate::endpoint::server_error::{ServerError, is_transient};
use crate::endpoint::{Endpoint, MAX_BODY};
use crate::shown::one_line;

/// Why a response is not what the request asked for. The message says what to do, and never quotes the body.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The server refused or failed, with an error of the Matrix API or of the OAuth 2.0 API.
    #[error(transparent)]
    Server(Box<ServerError>),

    /// The homeserver supports no login API that the settings allow: not the legacy API, and not the OAuth 2.0 API. If
    /// the settings [do not allow](crate::LoginSettings::with_oauth) OAuth 2.0, the homeserver might support it.
    #[error(
        "there is no login API at this address that the settings allow: check the address; \
         if the homeserver supports OAuth 2.0, allow that in the settings"
    )]
    LoginUnsupported,

    /// A part of the response is missing, or cannot be used.
    #[error("invalid response to {endpoint}: expected {field} to be {expected}; the server is at fault")]
    #[non_exhaustive]
    InvalidResponse {
        /// The endpoint of the request.
        endpoint: Endpoint,
        /// The part of the response that is wrong.
        field: &'static str,
        /// What this part should be.
        expected: &'static str,
    },

    /// The body is longer than [`MAX_BODY`](crate::MAX_BODY), so the crate did not read it.
    #[error(
        "invalid response to {endpoint}: the body is longer than {MAX_BODY} bytes; \
         the server, or a proxy in front of it, is at fault"
    )]
    #[non_exhaustive]
    TooLarge {
        /// The endpoint of the request.
        endpoint: Endpoint,
        /// The length of the body in bytes, as far as the driver has read it.
        length: usize,
    },

    /// The response does not come from a Matrix server or an OAuth 2.0 server, but from a proxy, a captive portal or a
    /// web site.
    #[error(
        "the response to {endpoint} is not from {} (status {}): {}",
        if endpoint.is_oauth() { "an OAuth 2.0 server" } else { "a Matrix server" },
        status.as_u16(),
        not_matrix_advice(*status)
    )]
    #[non_exhaustive]
    NotMatrix {
        /// The endpoint of the request.
        endpoint: Endpoint,
        /// The status of the response.
        status: StatusCode,
        /// When to try again, if the header `Retry-After` said so. A proxy can send this header too.
        retry_after: Option<RetryAfter>,
    },

    /// The body is still encoded. The HTTP client must decode a `Content-Encoding`, or request none.
    #[error(
        "the response to {endpoint} is still encoded ({}, status {}): \
         let the HTTP client decode the Content-Encoding, or request none",
        one_line(encoding),
        status.as_u16()
    )]
    #[non_exhaustive]
    Encoded {
        /// The endpoint of the request.
        endpoint: Endpoint,
        /// The status of the response.
        status: StatusCode,
        /// The header `Content-Encoding`, such as `gzip`.
        encoding: String,
        /// When to try again, if the header `Retry-After` said so.
        retry_after: Option<RetryAfter>,
    },

    /// The response is a redirect that the flow does not follow. The flow follows only redirects of the well-known
    /// file: only to https, never to an address that it has already asked, and at most five. Other requests can contain
    /// credentials.
    #[error(
        "the response to {endpoint} is a redirect{} that is not followed: use the right address",
        to(location.as_ref())
    )]
    #[non_exhaustive]
    Redirected {
        /// The endpoint of the request.
        endpoint: Endpoint,
        /// The `Location` header.
        location: Option<Location>,
    },

    /// The driver reported that there was no response.
    #[error("no response to {endpoint}: check the network and the address")]
    #[non_exhaustive]
    Unreachable {
        /// The endpoint of the request.
        endpoint: Endpoint,
    },
}

impl ResponseError {
    /// Whether the same request can succeed later. `true` after a rate limit, a 5xx, a 408 or a 425 (from the server or
    /// from a proxy), or if there was no response. The caller decides when to try again, and how often. An error of
    /// this type alone never ends a session.
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

    /// When the server, or a proxy in front of it, accepts the request again, if the response said so.
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
