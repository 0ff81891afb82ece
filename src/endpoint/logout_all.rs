//! `POST /_matrix/client/v3/logout/all`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3logoutall>

use http::{Method, Request};

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::AccessToken;
use crate::endpoint::error::ResponseError;
use crate::endpoint::{Endpoint, logout};

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v3/logout/all");

/// Asks to end all sessions of the user, this one included: every device is deleted.
pub fn request(homeserver: &Homeserver, access_token: &AccessToken) -> Request<Vec<u8>> {
    ENDPOINT.authorized(homeserver, access_token)
}

/// Reads the response, as [`logout::response`] does. If this session is
/// [logged out already](logout::Response::already_logged_out), the others are as they were.
///
/// # Errors
///
/// Those of [`logout::response`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<logout::Response, ResponseError> {
    ENDPOINT.logged_out(response)
}
