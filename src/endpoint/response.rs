//! How every response is judged: first by its status and headers, then by its body.

use http::{Response, StatusCode, header};
use serde_json::value::RawValue;

use crate::address::user_id::UserId;
use crate::credentials::secret::AccessToken;
use crate::endpoint::error::ResponseError;
use crate::endpoint::object::Object;
use crate::endpoint::server_error::ServerError;
use crate::endpoint::{Endpoint, MAX_BODY};

impl Endpoint {
    /// The object in the [text](super::object::json) of a success, or the error that the response is.
    pub(crate) fn object<'a, B: AsRef<[u8]>>(
        &self,
        response: &Response<B>,
        json: &'a str,
    ) -> Result<Object<'a>, ResponseError> {
        if !response.status().is_success() {
            return Err(self.failure(response));
        }
        let length = response.body().as_ref().len();
        if length > MAX_BODY {
            return Err(ResponseError::TooLarge { endpoint: self.clone(), length });
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

    /// What a response says that is not a success.
    pub(crate) fn failure<B: AsRef<[u8]>>(&self, response: &Response<B>) -> ResponseError {
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(header::LOCATION);
            let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned());
            return ResponseError::Redirected { endpoint: self.clone(), location };
        }
        match ServerError::read(response) {
            Some(error) => ResponseError::Server(Box::new(error)),
            None => self.not_matrix(status),
        }
    }

    /// The access token that a response must have.
    pub(crate) fn take_access_token(&self, object: &mut Object<'_>) -> Result<AccessToken, ResponseError> {
        let access_token = object.take_text("access_token").and_then(|token| AccessToken::new(token).ok());
        access_token.ok_or_else(|| self.invalid("`access_token`", "a string of visible ASCII characters"))
    }

    /// The user ID that a response must have.
    pub(crate) fn take_user_id(&self, object: &mut Object<'_>) -> Result<UserId, ResponseError> {
        let user_id = object.take_text("user_id").and_then(|user_id| user_id.parse().ok());
        user_id.ok_or_else(|| self.invalid("`user_id`", "a valid user ID"))
    }

    pub(crate) fn unreachable(&self) -> ResponseError {
        ResponseError::Unreachable { endpoint: self.clone() }
    }

    pub(crate) fn not_matrix(&self, status: StatusCode) -> ResponseError {
        ResponseError::NotMatrix { endpoint: self.clone(), status }
    }

    pub(crate) fn invalid(&self, field: &'static str, expected: &'static str) -> ResponseError {
        ResponseError::InvalidResponse { endpoint: self.clone(), field, expected }
    }
}
