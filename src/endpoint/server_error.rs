//! An error of the Matrix API
//! <https://spec.matrix.org/latest/client-server-api/#standard-error-response>

use std::fmt;

use http::{Response, StatusCode};

use crate::{
    endpoint::{object::Object, response::json, retry_after::RetryAfter},
    fields::Fields,
    shown::one_line,
};

/// An error of the Matrix API (specification, "Standard error response").
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct ServerError {
    /// The status of the answer. It says more than the errcode `M_UNKNOWN` does.
    pub status: StatusCode,
    /// What kind of error it is, such as `M_FORBIDDEN`.
    pub errcode: Option<String>,
    /// The server's words, for a person to read (the field `error`). They are not this crate's: they may have line
    /// breaks and more. `Display` shows them in one line.
    pub message: Option<String>,
    /// Whether the device and its keys are still good, if an access token was refused.
    pub soft_logout: bool,
    /// When the server takes the request again, under whatever status it says so.
    pub retry_after: Option<RetryAfter>,
    /// All other keys of the error.
    pub other: Fields,
}

impl ServerError {
    /// The error that the answer to any request is, if it is one of the Matrix API: an object with a string `errcode` or
    /// `error`, under a status that is no success and no redirect. A 429 is one whatever its body.
    #[must_use]
    pub fn from_response<B: AsRef<[u8]>>(response: &Response<B>) -> Option<Self> {
        let status = response.status();
        if status.is_success() || status.is_redirection() { None } else { Self::read(response) }
    }

    /// The Matrix error (specification, "Standard error response") that an answer brings: an object with a string `errcode`
    /// or `error`. A 429 is one whatever its body, since proxies limit rates too.
    pub(crate) fn read<B: AsRef<[u8]>>(response: &Response<B>) -> Option<Self> {
        let status = response.status();
        let mut error = Self::new(status);
        error.retry_after = RetryAfter::from_headers(response.headers());
        if let Some(mut object) = Object::parse(&json(response)) {
            error.errcode = object.take("errcode");
            error.message = object.take("error");
            error.soft_logout = object.take_flag("soft_logout");
            let delay = object.take_number_rounded_up("retry_after_ms").map(std::time::Duration::from_millis);
            error.retry_after = error.retry_after.or(delay.map(RetryAfter::Delay));
            error.other = object.rest();
        }
        let is_matrix = error.errcode.is_some() || error.message.is_some() || status == StatusCode::TOO_MANY_REQUESTS;
        is_matrix.then_some(error)
    }

    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, errcode: None, message: None, soft_logout: false, retry_after: None, other: Fields::default() }
    }

    /// Whether to wait and ask again: any 429, and `M_LIMIT_EXCEEDED` under another status if it names a wait
    /// (Synapse's spam checker has it under 403).
    #[must_use]
    pub fn is_rate_limit(&self) -> bool {
        let limited = self.errcode.as_deref() == Some("M_LIMIT_EXCEEDED");
        self.status == StatusCode::TOO_MANY_REQUESTS || (limited && self.retry_after.is_some())
    }

    /// Whether the server, or a proxy before it, failed.
    pub(crate) fn is_server_failure(&self) -> bool {
        self.status.is_server_error()
    }

    /// Whether the server's word on the request is no.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status.is_client_error() && !self.is_rate_limit()
    }

    /// The errcode, if it is the homeserver's last word on what was asked: not that of a rate limit, nor that of a
    /// server or a proxy that fails.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.errcode.as_deref().filter(|_| self.is_refusal())
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_server_failure() { "the server failed" } else { "the server refused" };
        write!(formatter, "{whose} (status {}", self.status.as_u16())?;
        if let Some(errcode) = &self.errcode {
            write!(formatter, ", {}", one_line(errcode))?;
        }
        formatter.write_str(")")?;
        if let Some(message) = &self.message {
            write!(formatter, ": {}", one_line(message))?;
        }
        Ok(())
    }
}
