//! Judges every response: first the status and the headers, then the body.

use http::{Response, header};

use crate::address::user_id::UserId;
use crate::credentials::secret::AccessToken;
use crate::cursor::{Cursor, NotJson};
use crate::endpoint::body::Body;
use crate::endpoint::error::ResponseError;
use crate::endpoint::location::Location;
use crate::endpoint::retry_after::RetryAfter;
use crate::endpoint::server_error::{ServerError, is_transient};
use crate::endpoint::{Endpoint, MAX_BODY};
use crate::fields::Fields;

impl Endpoint {
    /// Reads a response. If it is a success, this calls `read` with each member of the object in the body. `read` reads
    /// the value, or leaves it. Returns the members that `read` has left.
    pub(crate) fn read<B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        read: &mut dyn FnMut(&mut Cursor<'_>, &str) -> Result<(), NotJson>,
    ) -> Result<Fields, ResponseError> {
        if !response.status().is_success() {
            return Err(self.failure(response));
        }
        let length = response.body().as_ref().len();
        if length > MAX_BODY {
            return Err(ResponseError::TooLarge { endpoint: self.clone(), length });
        }
        let body = Body::of(response);
        match body.object(read) {
            Ok(Some(left)) => Ok(left),
            // An object that is cut off comes from a server that knows Matrix. A page or a text does not.
            Err(NotJson) if !body.begins_an_object() => Err(self.not_matrix(response)),
            _ => Err(self.invalid("the body", "a JSON object")),
        }
    }

    /// Reads a response that only says whether something was done. The status says this, so any JSON is a good body,
    /// and an empty body is too.
    pub(crate) fn acknowledged<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Result<(), ResponseError> {
        match self.read(response, &mut |_, _| Ok(())) {
            Ok(_) | Err(ResponseError::InvalidResponse { .. }) => Ok(()),
            Err(ResponseError::NotMatrix { status, .. })
                if status.is_success() && response.body().as_ref().trim_ascii().is_empty() =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The error of a response that is not a success.
    fn failure<B: AsRef<[u8]>>(&self, response: &Response<B>) -> ResponseError {
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(header::LOCATION);
            let location = location.map(|location| Location(String::from_utf8_lossy(location.as_bytes()).into_owned()));
            return ResponseError::Redirected { endpoint: self.clone(), location };
        }
        match ServerError::read(response, self.is_oauth()) {
            Some(error) => ResponseError::Server(Box::new(error)),
            None => self.not_matrix(response),
        }
    }

    /// The access token that a response must contain.
    pub(crate) fn granted_token<B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        access_token: Option<AccessToken>,
    ) -> Result<AccessToken, ResponseError> {
        access_token.ok_or_else(|| self.lacks(response, "`access_token`", "a string of visible ASCII characters"))
    }

    /// The user ID that a response must contain.
    pub(crate) fn granted_user<B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        user_id: Option<UserId>,
    ) -> Result<UserId, ResponseError> {
        user_id.ok_or_else(|| self.lacks(response, "`user_id`", "a valid user ID"))
    }

    /// The error of a success that lacks a field. If the body contains an errcode, the message of the server says more.
    pub(crate) fn lacks<B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        field: &'static str,
        expected: &'static str,
    ) -> ResponseError {
        match ServerError::read(response, self.is_oauth()) {
            Some(error) if error.errcode.is_some() => ResponseError::Server(Box::new(error)),
            _ => self.invalid(field, expected),
        }
    }

    pub(crate) fn unreachable(&self) -> ResponseError {
        ResponseError::Unreachable { endpoint: self.clone() }
    }

    /// The error of a response whose body does not come from a Matrix server, or is still encoded.
    pub(crate) fn not_matrix<B: AsRef<[u8]>>(&self, response: &Response<B>) -> ResponseError {
        let (endpoint, status) = (self.clone(), response.status());
        let retry_after = RetryAfter::from_headers(response.headers());
        match response.headers().get(header::CONTENT_ENCODING) {
            // Some HTTP clients decode the body and leave the header. And a transient failure needs no other advice
            // than to try again.
            Some(encoding) if encoding != "identity" && !is_transient(status) && !Body::of(response).is_readable() => {
                let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
                ResponseError::Encoded { endpoint, status, encoding, retry_after }
            }
            _ => ResponseError::NotMatrix { endpoint, status, retry_after },
        }
    }

    pub(crate) fn invalid(&self, field: &'static str, expected: &'static str) -> ResponseError {
        ResponseError::InvalidResponse { endpoint: self.clone(), field, expected }
    }
}
