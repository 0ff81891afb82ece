//! `POST /_matrix/client/v3/refresh`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3refresh>
//!
//! [`Session::refresh_request`](crate::Session::refresh_request) and
//! [`Session::handle_refresh`](crate::Session::handle_refresh) do this for a session, and say what an error means for
//! the session.

use std::time::Duration;

use http::{Method, Request};
use serde::Serialize;

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::{AccessToken, RefreshToken};
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v3/refresh");

/// The response of a homeserver that granted new tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The new access token. The old access token might stay valid until it expires.
    pub access_token: AccessToken,
    /// The lifetime of the access token, from `expires_in_ms`. `None` if that is missing, not a whole number of
    /// milliseconds, or longer than 584 years (its nanoseconds must fit `u64`).
    pub expires_in: Option<Duration>,
    /// The new refresh token, to get the next access token. If it is `None`, the old refresh token stays valid.
    pub refresh_token: Option<RefreshToken>,
}

#[derive(Serialize)]
struct Body<'a> {
    refresh_token: &'a str,
}

/// Asks for the next access token. The request contains no access token. Only one thread or process at a time may
/// [send it](crate#keeping-a-session-alive).
pub fn request(homeserver: &Homeserver, refresh_token: &RefreshToken) -> Request<Vec<u8>> {
    ENDPOINT.json_request(homeserver, &Body { refresh_token: refresh_token.expose() })
}

/// Reads the response. An optional member that cannot be used is treated as absent.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `access_token` is missing or not usable: ask again with the same refresh
/// token. [`ResponseError::Server`] if the homeserver refuses. For the other errors see [`ResponseError`].
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
