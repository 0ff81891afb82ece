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
    /// The status of the response. It says more than the errcode `M_UNKNOWN` does. `None` if the error
    /// came in a callback.
    pub status: Option<StatusCode>,
    /// What kind of error it is, such as `M_FORBIDDEN`. Of the OAuth 2.0 API this is `error`, such as `access_denied`.
    pub errcode: Option<String>,
    /// The server's words, for a person to read (`error`, or `error_description` of the OAuth 2.0 API). They are not
    /// this crate's: they may have line breaks and more. `Display` shows them in one line.
    pub message: Option<String>,
    /// Whether the device and its keys are still valid, if an access token was refused. It is `false` only if the
    /// server says `false` or nothing. A value of another type counts as `true`, since then nobody drops any keys.
    pub soft_logout: bool,
    /// When the server takes the request again, under whatever status it says so.
    pub retry_after: Option<RetryAfter>,
    /// All other keys of the error.
    pub other: Fields,
}

impl ServerError {
    /// Reads the response to any request as an error of the Matrix API: an object with a string `errcode` or `error`,
    /// and a status of 4xx or 5xx. A 429 is always an error. `None` for all other responses.
    pub fn from_response<B: AsRef<[u8]>>(response: &Response<B>) -> Option<Self> {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() { Self::read(response, false) } else { None }
    }

    /// The error that a response contains: an object with a string `errcode` or `error`. A 429 is one whatever its
    /// body, since proxies limit rates too.
    ///
    /// In the Matrix API, `error` is the message. In the OAuth 2.0 API, `error` is the code, and `error_description`
    /// the message (RFC 6749, section 5.2). A server with both can use Matrix errors there too: an `errcode` says so.
    pub(crate) fn read<B: AsRef<[u8]>>(response: &Response<B>, is_oauth: bool) -> Option<Self> {
        // A status that HTTP does not know says nothing about what its body is.
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
                // The reading that loses nothing: with `true`, the device and its keys are kept.
                "soft_logout" => soft_logout = cursor.value()? != "false",
                "retry_after_ms" => delay = cursor.number_rounded_up()?.map(Duration::from_millis),
                _ => {}
            }
            Ok(())
        });
        let (status, hint) = (Some(response.status()), RetryAfter::from_headers(response.headers()));
        if is_oauth && errcode.is_none() {
            // A code that is empty says nothing.
            (errcode, message) = (message.filter(|error| !error.is_empty()), description);
        }
        let error = match other.ok().flatten() {
            Some(other) => {
                let retry_after = hint.or(delay.and_then(RetryAfter::after));
                Self { status, errcode, message, soft_logout, retry_after, other }
            }
            // What was read of an object that is not whole does not count.
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

    /// The error of a callback, which has no status.
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

    /// Whether to wait and ask again: any 429, and `M_LIMIT_EXCEEDED` under another status if it names a wait
    /// (Synapse's spam checker has it under 403).
    pub fn is_rate_limit(&self) -> bool {
        let limited = self.errcode.as_deref() == Some("M_LIMIT_EXCEEDED");
        self.status == Some(StatusCode::TOO_MANY_REQUESTS) || (limited && self.retry_after.is_some())
    }

    /// Whether the server, or a proxy before it, failed.
    pub(crate) fn is_server_failure(&self) -> bool {
        self.status.is_some_and(is_transient)
    }

    /// Whether the server's word on the request is no. It may say so under a 2xx too.
    pub(crate) fn is_refusal(&self) -> bool {
        let is_about_the_request = self.status.is_none_or(|status| status.is_client_error() || status.is_success())
            && !self.is_server_failure();
        is_about_the_request && !self.is_rate_limit()
    }

    /// The errcode, if it is the homeserver's last word on what was asked: not that of a rate limit, nor that of a
    /// server or a proxy that fails.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.errcode.as_deref().filter(|_| self.is_refusal())
    }
}

/// Whether the same request can succeed later, whatever the body says: a 5xx, Request Timeout, Too Early (RFC 9110,
/// section 15.5.9; RFC 8470, section 5.2).
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
