//! The endpoints: one module each, with a `request` that builds what to send and a `response` that reads the answer.
//!
//! They are pure functions, for those who do not want the [`LoginFlow`](crate::LoginFlow) that is built on them. This
//! file is the one way a request is built and an answer is judged: first by its status and headers, then by its body.

use std::borrow::Cow;

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde::Serialize;
use serde_json::value::RawValue;

use self::object::Object;
use crate::{AccessToken, Error, Homeserver, RetryAfter, ServerError, UserId};

pub mod get_token;
pub mod login;
pub mod login_fallback;
pub mod login_types;
pub mod logout;
pub mod logout_all;
pub(crate) mod object;
pub mod refresh;
pub(crate) mod retry_after;
pub mod sso;
pub mod uia;
pub mod versions;
pub mod well_known;
pub mod whoami;

/// The longest body that is read, in bytes. What a login exchanges is much smaller. A longer one counts as an invalid
/// response where it was needed and as absent in an error. A driver should stop reading one byte later, so that it shows.
pub const MAX_BODY: usize = 64 * 1024;

/// What a [`Homeserver`] must have room for, so that a request to any endpoint is a valid URI.
pub(crate) const LONGEST_PATH: &str = "/_matrix/client/v1/login/get_token";

/// An endpoint as errors name it: a method and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    method: Method,
    path: &'static str,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

impl Endpoint {
    pub(crate) const fn new(method: Method, path: &'static str) -> Self {
        assert!(path.len() <= LONGEST_PATH.len(), "LONGEST_PATH is not the longest path");
        Self { method, path }
    }

    /// A request without a body, to this endpoint of a homeserver.
    pub(crate) fn request(&self, homeserver: &Homeserver) -> Request<Vec<u8>> {
        self.request_to(homeserver.uri(self.path))
    }

    /// A request without a body, to wherever this endpoint is.
    pub(crate) fn request_to(&self, uri: Uri) -> Request<Vec<u8>> {
        let mut request = Request::new(Vec::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        request
    }

    /// A request with a JSON body, to this endpoint of a homeserver.
    pub(crate) fn json_request(&self, homeserver: &Homeserver, body: &impl Serialize) -> Request<Vec<u8>> {
        let mut request = self.request(homeserver);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The default is never taken: the bodies of this crate are objects of strings, flags and JSON values, for all
        // of which there is JSON.
        *request.body_mut() = serde_json::to_vec(body).unwrap_or_default();
        request
    }

    /// A request of the user's whose access token this is. Its header is marked as sensitive.
    pub(crate) fn authorized(&self, homeserver: &Homeserver, access_token: &AccessToken) -> Request<Vec<u8>> {
        let mut request = self.request(homeserver);
        request.headers_mut().insert(header::AUTHORIZATION, access_token.authorization());
        request
    }

    /// The object that a successful answer brings in its [`json`], or the error that an answer is.
    pub(crate) fn object<'a, B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        json: &'a str,
    ) -> Result<Object<'a>, Error> {
        if !response.status().is_success() {
            return Err(self.failure(response));
        }
        let length = response.body().as_ref().len();
        if length > MAX_BODY {
            return Err(Error::TooLarge { endpoint: self.clone(), length });
        }
        match Object::parse(json) {
            Some(object) => Ok(object),
            // A cut off object comes from a server that knows Matrix; a page or a text comes from something else.
            None if json.starts_with('{') || serde_json::from_str::<&RawValue>(json).is_ok() => {
                Err(self.invalid("the body", "a JSON object"))
            }
            None => Err(self.not_matrix(response.status())),
        }
    }

    /// What an answer that is no success says.
    pub(crate) fn failure<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Error {
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(header::LOCATION);
            let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned());
            return Error::Redirected { endpoint: self.clone(), location };
        }
        match server_error(response) {
            Some(error) => error.into(),
            None => self.not_matrix(status),
        }
    }

    /// The access token that an answer has to bring.
    pub(crate) fn take_access_token(&self, object: &mut Object<'_>) -> Result<AccessToken, Error> {
        let access_token = object.take_text("access_token").and_then(|token| AccessToken::new(token).ok());
        access_token.ok_or_else(|| self.invalid("`access_token`", "a string of visible ASCII characters"))
    }

    /// The user ID that an answer has to bring.
    pub(crate) fn take_user_id(&self, object: &mut Object<'_>) -> Result<UserId, Error> {
        let user_id = object.take_text("user_id").and_then(|user_id| user_id.parse().ok());
        user_id.ok_or_else(|| self.invalid("`user_id`", "a valid user ID"))
    }

    pub(crate) fn not_matrix(&self, status: StatusCode) -> Error {
        Error::NotMatrix { endpoint: self.clone(), status }
    }

    pub(crate) fn invalid(&self, field: &'static str, expected: &'static str) -> Error {
        Error::InvalidResponse { endpoint: self.clone(), field, expected }
    }
}

/// The URI of a text that is known to be one. The default is never taken: the address types were only accepted because
/// this succeeds. If it were, nothing could be sent, since the default names no server.
pub(crate) fn uri(text: String) -> Uri {
    Uri::try_from(text).unwrap_or_default()
}

/// The body as text, without a byte order mark, which static hosting sometimes adds, and without blanks before it. A
/// body that is too long is not read. Bytes that are no UTF-8 are replaced: they spoil the field that they are in.
pub(crate) fn json<B: AsRef<[u8]>>(response: &Response<B>) -> Cow<'_, str> {
    let body = response.body().as_ref();
    if body.len() > MAX_BODY {
        return Cow::default();
    }
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start())
}

/// The Matrix error (specification, "Standard error response") that an answer brings: an object with a string `errcode`
/// or `error`. A 429 is one whatever its body, since proxies limit rates too.
pub(crate) fn server_error<B: AsRef<[u8]>>(response: &Response<B>) -> Option<ServerError> {
    let status = response.status();
    let mut error = ServerError::new(status);
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
