//! An error of the Matrix API, or of the OAuth 2.0 API (RFC 6749, section 5.2)
//! <https://spec.matrix.org/latest/client-server-api/#standard-error-response>

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{Response, StatusCode};

use crate::endpoint::body::Body;
use crate::endpoint::retry_after::RetryAfter;
use crate::fields::Fields;
use crate::shown::one_line;

/// An error of the Matrix API (specification, "Standard error response") or of the OAuth 2.0 API (RFC 6749, section
/// 5.2).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct ServerError {
    /// The status of the response. It says more than the errcode `M_UNKNOWN`. `None` if the error came in a callback.
    pub status: Option<StatusCode>,
    /// The kind of error, such as `M_FORBIDDEN`. In the OAuth 2.0 API this is `error`, such as `access_denied`.
    pub errcode: Option<String>,
    /// The message of the server, for a person to read: `error`, or `error_description` in the OAuth 2.0 API. The
    /// server chooses this text, so it can contain line breaks and control characters. `Display` shows it in one line.
    pub message: Option<String>,
    /// If the server refused an access token: whether the device and its keys are still valid. It is `false` if the
    /// server says `false` or nothing. A value of another type is treated as `true`, so that no client drops its keys.
    pub soft_logout: bool,
    /// When the server accepts the request again, whatever the status of the response.
    pub retry_after: Option<RetryAfter>,
    /// All other members of the error.
    pub other: Fields,
}

impl ServerError {
    /// Reads the response to any request as an error of the Matrix API. Such an error is an object with a string
    /// `errcode` or `error`, and the status is 4xx or 5xx. A 429 is always an error. `None` for all other responses.
    pub fn from_response<B: AsRef<[u8]>>(response: &Response<B>) -> Option<Self> {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() { Self::read(response, false) } else { None }
    }

    /// The error that a response contains: an object with a string `errcode` or `error`. A 429 is an error whatever its
    /// body is, since proxies limit rates too.
    ///
    /// In the Matrix API, `error` is the message. In the OAuth 2.0 API, `error` is the code, and `error_description` is
    /// the message (RFC 6749, section 5.2). A server with both APIs can use Matrix errors in both: then the object
    /// contains an `errcode`.
    pub(crate) fn read<B: AsRef<[u8]>>(response: &Response<B>, is_oauth: bool) -> Option<Self> {
        // A status that HTTP does not define says nothing about its body.
        if response.status().is_informational() || response.status().as_u16() >= 600 {
            return None;
        }
        let (mut errcode, mut message, mut soft_logout, mut delay) = (None, None, false, None);
        let mut description = None;
        let other = Body::of(response).object(&mut |cursor, key| {
            match key {
                "errcode" => errcode = cursor.string()?.map(Cow::into_owned),
                "error" => message = cursor.string()?.map(Cow::into_owned),
                "error_description" if is_oauth => description = cursor.string()?.map(Cow::into_owned),
                // `true` is the safe reading: the client keeps the device and its keys.
                "soft_logout" => soft_logout = cursor.value()? != "false",
                "retry_after_ms" => delay = cursor.number_rounded_up()?.map(Duration::from_millis),
                _ => {}
            }
            Ok(())
        });
        let (status, hint) = (Some(response.status()), RetryAfter::from_headers(response.headers()));
        if is_oauth && errcode.is_none() {
            // An empty code says nothing.
            (errcode, message) = (message.filter(|error| !error.is_empty()), description);
        }
        let error = match other.ok().flatten() {
            Some(other) => {
                let retry_after = hint.or(delay.and_then(RetryAfter::after));
                Self { status, errcode, message, soft_logout, retry_after, other }
            }
            // The members of an object that is cut off do not count.
            None => Self {
                status,
                errcode: None,
                message: None,
                soft_logout: false,
                retry_after: hint,
                other: Fields::default(),
            },
        };
        let is_error = error.errcode.is_some()
            || (error.message.is_some() && !is_oauth)
            || status == Some(StatusCode::TOO_MANY_REQUESTS);
        is_error.then_some(error)
    }

    /// The error in a callback. It has no status.
    pub(crate) fn of_browser(error: String, message: Option<String>) -> Self {
        Self {
            status: None,
            errcode: Some(error),
            message,
            soft_logout: false,
            retry_after: None,
            other: Fields::default(),
        }
    }

    /// Whether the server limits the rate, so that the client must wait and ask again. This is any 429, and
    /// `M_LIMIT_EXCEEDED` with another status if the response says how long to wait (the spam checker of Synapse sends
    /// it with 403).
    pub fn is_rate_limit(&self) -> bool {
        let limited = self.errcode.as_deref() == Some("M_LIMIT_EXCEEDED");
        self.status == Some(StatusCode::TOO_MANY_REQUESTS) || (limited && self.retry_after.is_some())
    }

    /// Whether the server, or a proxy in front of it, failed.
    pub(crate) fn is_server_failure(&self) -> bool {
        self.status.is_some_and(is_transient)
    }

    /// Whether the server refuses the request. It can refuse with a 2xx too.
    pub(crate) fn is_refusal(&self) -> bool {
        let is_about_the_request = self.status.is_none_or(|status| status.is_client_error() || status.is_success())
            && !self.is_server_failure();
        is_about_the_request && !self.is_rate_limit()
    }

    /// The errcode, if the server refuses the request. `None` for a rate limit, and for a failure of the server or of a
    /// proxy.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.errcode.as_deref().filter(|_| self.is_refusal())
    }
}

/// Whether the same request can succeed later, whatever the body says. This is a 5xx, Request Timeout (RFC 9110,
/// section 15.5.9) or Too Early (RFC 8470, section 5.2).
pub(crate) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY)
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_server_failure() { "the server failed" } else { "the server refused" };
        formatter.write_str(whose)?;
        let status = self.status.map(|status| format!("status {}", status.as_u16()));
        let known: Vec<String> = status.into_iter().chain(self.errcode.as_deref().map(one_line)).collect();
        if !known.is_empty() {
            write!(formatter, " ({})", known.join(", "))?;
        }
        if let Some(message) = &self.message {
            write!(formatter, ": {}", one_line(message))?;
        }
        Ok(())
    }
}
