//! `POST /_matrix/client/v3/logout/all`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3logoutall>

use http::{Method, Request};

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::AccessToken;
use crate::endpoint::error::ResponseError;
use crate::endpoint::{Endpoint, logout};

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v3/logout/all");

/// Asks to end all sessions of the user, including this one, but not the sessions of the OAuth 2.0 API. The homeserver
/// deletes the devices of these sessions.
pub fn request(homeserver: &Homeserver, access_token: &AccessToken) -> Request<Vec<u8>> {
    ENDPOINT.authorized(homeserver, access_token)
}

/// Reads the response, as [`logout::response`] does. If this session was
/// [already logged out](logout::Response::already_logged_out), the other sessions are unchanged.
///
/// # Errors
///
/// The same as [`logout::response`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<logout::Response, ResponseError> {
    ENDPOINT.logged_out(response)
}
