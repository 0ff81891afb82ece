//! `GET /_matrix/client/v3/account/whoami`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3accountwhoami>

use std::borrow::Cow;

use http::{Method, Request};

use crate::address::homeserver::Homeserver;
use crate::address::user_id::UserId;
use crate::credentials::secret::AccessToken;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/v3/account/whoami");

/// The owner of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The user.
    pub user_id: UserId,
    /// The device. An application service has no device unless it logged in.
    pub device_id: Option<String>,
    /// Whether the user is a guest, without an account.
    pub is_guest: bool,
}

/// Asks who owns an access token, and whether the token is valid.
pub fn request(homeserver: &Homeserver, access_token: &AccessToken) -> Request<Vec<u8>> {
    ENDPOINT.authorized(homeserver, access_token)
}

/// Reads the response. An optional member that cannot be used is treated as absent.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `user_id` is missing or not usable. [`ResponseError::Server`] if the
/// homeserver refuses: a session says what this refusal means for it. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let (mut user_id, mut device_id, mut is_guest) = (None, None, false);
    ENDPOINT.read(response, &mut |cursor, key| {
        match key {
            "user_id" => user_id = cursor.text()?.and_then(|user_id| user_id.parse().ok()),
            "device_id" => device_id = cursor.text()?.map(Cow::into_owned),
            "is_guest" => is_guest = cursor.flag()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Response { user_id: ENDPOINT.granted_user(response, user_id)?, device_id, is_guest })
}
