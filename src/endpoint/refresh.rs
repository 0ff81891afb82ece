//! `POST /_matrix/client/v3/refresh`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3refresh>
//!
//! [`Session::refresh_request`](crate::Session::refresh_request) and
//! [`Session::handle_refresh`](crate::Session::handle_refresh) do this for a session, and say what an error means for
//! it.

use std::time::Duration;

use http::{Method, Request};
use serde::Serialize;

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::{AccessToken, RefreshToken};
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v3/refresh");

/// What the homeserver grants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// What authenticates further requests. The access token before it may be good until it expires.
    pub access_token: AccessToken,
    /// How long the access token lives, from `expires_in_ms`. Absent if it is no whole number of milliseconds or its
    /// nanoseconds do not fit `u64`, which are 584 years.
    pub expires_in: Option<Duration>,
    /// What gets the next access token. Without one the refresh token that was sent stays good.
    pub refresh_token: Option<RefreshToken>,
}

#[derive(Serialize)]
struct Body<'a> {
    refresh_token: &'a str,
}

/// Asks for the next access token. The request has no access token. Only one thread or process at a time
/// may [send it](crate#keeping-a-session-alive).
pub fn request(homeserver: &Homeserver, refresh_token: &RefreshToken) -> Request<Vec<u8>> {
    ENDPOINT.json_request(homeserver, &Body { refresh_token: refresh_token.expose() })
}

/// Reads the response. What is optional and unusable counts as absent.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `access_token` is missing or unusable: ask again with the same refresh token.
/// [`ResponseError::Server`] is the homeserver's refusal. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let (mut access_token, mut expires_in, mut refresh_token) = (None, None, None);
    ENDPOINT.read(response, &mut |cursor, key| {
        match key {
            "access_token" => access_token = cursor.text()?.and_then(|token| AccessToken::new(token).ok()),
            "expires_in_ms" => expires_in = cursor.lifetime()?,
            "refresh_token" => refresh_token = cursor.text()?.map(RefreshToken::new),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Response { access_token: ENDPOINT.granted_token(response, access_token)?, expires_in, refresh_token })
}
