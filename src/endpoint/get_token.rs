//! `POST /_matrix/client/v1/login/get_token`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv1loginget_token>
//!
//! A device that is logged in gets a login token for a new device. The new device logs in with this token:
//! [`Credentials::token`](crate::Credentials::token). [`LoginType::get_login_token`](crate::LoginType::get_login_token)
//! says whether a homeserver offers this endpoint.

use std::time::Duration;

use http::{Method, Request, header};
use serde::Serialize;

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::{AccessToken, LoginToken};
use crate::endpoint::error::ResponseError;
use crate::endpoint::uia::UiaChallenge;
use crate::endpoint::{Endpoint, uia};
use crate::fields::{Fields, RawMembers};

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v1/login/get_token");

/// The response of the homeserver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Response {
    /// A token for one login.
    #[non_exhaustive]
    Granted {
        /// The token.
        login_token: LoginToken,
        /// How long the token can be used, from `expires_in_ms`. Usually two minutes.
        expires_in: Option<Duration>,
    },
    /// The user must authenticate once more (specification, "User-Interactive Authentication API"). Complete one of the
    /// flows, then send the request again with `auth`. This is also the response to a wrong password: then the
    /// challenge contains the error.
    UiaRequired(UiaChallenge),
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<RawMembers<'a>>,
}

/// Asks for a login token, with the access token of the device that is logged in. `auth` completes a challenge.
pub fn request(homeserver: &Homeserver, access_token: &AccessToken, auth: Option<&Fields>) -> Request<Vec<u8>> {
    let mut request = ENDPOINT.json_request(homeserver, &Body { auth: auth.map(RawMembers) });
    request.headers_mut().insert(header::AUTHORIZATION, access_token.authorization());
    request
}

/// Reads the response.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `login_token` is missing or not usable. [`ResponseError::Server`] if the
/// homeserver refuses: with `M_UNRECOGNIZED` if it has no such endpoint, or with a rate limit (Synapse grants one token
/// per minute). For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    if let Some(challenge) = uia::response(response) {
        return Ok(Response::UiaRequired(challenge));
    }
    let (mut login_token, mut expires_in) = (None, None);
    ENDPOINT.read(response, &mut |cursor, key| {
        match key {
            "login_token" => login_token = cursor.text()?.map(LoginToken::new),
            "expires_in_ms" => expires_in = cursor.whole_number()?.map(Duration::from_millis),
            _ => {}
        }
        Ok(())
    })?;
    let login_token =
        login_token.ok_or_else(|| ENDPOINT.lacks(response, "`login_token`", "a string that is not empty"))?;
    Ok(Response::Granted { login_token, expires_in })
}
