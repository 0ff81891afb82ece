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
    /// Whether the access token was already invalid before: the homeserver did not know it. If the session has a
    /// refresh token, the access token might only have expired, because some homeservers send the same response in both
    /// cases. Then refresh the session, and log out with the new access token. If the homeserver does not know the
    /// refresh token either, the session had already ended.
    pub already_logged_out: bool,
}

/// Asks to end the session. The homeserver deletes the device, with its tokens and its encryption keys.
pub fn request(homeserver: &Homeserver, access_token: &AccessToken) -> Request<Vec<u8>> {
    ENDPOINT.authorized(homeserver, access_token)
}

/// Reads the response. Any 2xx is a success, with any JSON or without a body. If the homeserver does not know the
/// access token (`M_UNKNOWN_TOKEN`), this is a success too.
///
/// # Errors
///
/// [`ResponseError::Server`] if the homeserver refuses. `M_UNKNOWN_TOKEN` with `soft_logout` is such a refusal: the
/// access token has expired, and **the device still exists**. Refresh the session, or log in again, and then log out.
/// For the other errors see [`ResponseError`].
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
