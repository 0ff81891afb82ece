//! How every response is judged: first by its status and headers, then by its body.

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
    /// Reads a response. `read` is called with each member of the object in the body of a success, at its value, and
    /// may leave it. Returns the members that it left.
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
            // A cut off object comes from a server that knows Matrix; a page or a text comes from something else.
            Err(NotJson) if !body.begins_an_object() => Err(self.not_matrix(response)),
            _ => Err(self.invalid("the body", "a JSON object")),
        }
    }

    /// Reads a response that only says whether something was done. The status says it: JSON of any kind will do, and so
    /// does an empty body.
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

    /// What a response says that is not a success.
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

    /// The access token that a response must have.
    pub(crate) fn granted_token<B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        access_token: Option<AccessToken>,
    ) -> Result<AccessToken, ResponseError> {
        access_token.ok_or_else(|| self.lacks(response, "`access_token`", "a string of visible ASCII characters"))
    }

    /// The user ID that a response must have.
    pub(crate) fn granted_user<B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        user_id: Option<UserId>,
    ) -> Result<UserId, ResponseError> {
        user_id.ok_or_else(|| self.lacks(response, "`user_id`", "a valid user ID"))
    }

    /// What is wrong with a success that lacks a field. If it has an errcode, the server's words say more.
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

    /// What a body is that nobody who knows Matrix wrote, or that nobody can read yet.
    pub(crate) fn not_matrix<B: AsRef<[u8]>>(&self, response: &Response<B>) -> ResponseError {
        let (endpoint, status) = (self.clone(), response.status());
        let retry_after = RetryAfter::from_headers(response.headers());
        match response.headers().get(header::CONTENT_ENCODING) {
            // Some clients undo the encoding and leave the header. And the status of a failure says enough.
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
