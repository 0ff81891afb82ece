//! `POST /_matrix/client/v3/logout`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3logout>

use http::{Method, Request};

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::AccessToken;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v3/logout");

/// The access token is no longer valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// Whether it was not valid before either: the homeserver does not know it. If the session has a refresh token, the
    /// access token may only have expired, because not every homeserver tells the two apart. Refresh the session then,
    /// and log out with the new access token. If the homeserver does not know the refresh token either, the session was
    /// over.
    pub already_logged_out: bool,
}

/// Asks to end the session: the device is deleted, with its tokens and its encryption keys.
pub fn request(homeserver: &Homeserver, access_token: &AccessToken) -> Request<Vec<u8>> {
    ENDPOINT.authorized(homeserver, access_token)
}

/// Reads the response. Any 2xx is a success, with JSON of any kind or without a body. An access token that the
/// homeserver does not know (`M_UNKNOWN_TOKEN`) is one too.
///
/// # Errors
///
/// [`ResponseError::Server`] is the homeserver's refusal. `M_UNKNOWN_TOKEN` with `soft_logout` is one: the access token
/// has expired and **the device is still there**. Refresh the session, or log in again, and then log out. For the other
/// errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    ENDPOINT.logged_out(response)
}

impl Endpoint {
    pub(super) fn logged_out<B: AsRef<[u8]>>(&self, response: &http::Response<B>) -> Result<Response, ResponseError> {
        match self.acknowledged(response) {
            Ok(()) => Ok(Response { already_logged_out: false }),
            Err(ResponseError::Server(error)) if error.refusal() == Some("M_UNKNOWN_TOKEN") && !error.soft_logout => {
                Ok(Response { already_logged_out: true })
            }
            Err(error) => Err(error),
        }
    }
}
