//! `POST /_matrix/client/v1/login/get_token`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv1loginget_token>
//!
//! A device that is logged in gets a login token for a new one. The new device logs in with it:
//! [`Credentials::token`](crate::Credentials::token). [`LoginType::get_login_token`](crate::LoginType::get_login_token)
//! says whether a homeserver offers this.

use std::time::Duration;

use http::{Method, Request, header};
use serde::Serialize;

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::{AccessToken, LoginToken};
use crate::endpoint::error::ResponseError;
use crate::endpoint::uia::UiaChallenge;
use crate::endpoint::{Endpoint, uia};
use crate::fields::{AsTheyStand, Fields};

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v1/login/get_token");

/// What the homeserver says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Response {
    /// A token for one login.
    #[non_exhaustive]
    Granted {
        /// The token.
        login_token: LoginToken,
        /// How long it can be spent, from `expires_in_ms`: two minutes, as a rule.
        expires_in: Option<Duration>,
    },
    /// The user must authenticate once more (specification, "User-Interactive Authentication API"): complete one of the
    /// flows, then ask again with `auth`. This is also the response to a wrong password: the challenge contains the
    /// error then.
    UiaRequired(UiaChallenge),
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AsTheyStand<'a>>,
}

/// Asks for a login token, with the access token of the device that is logged in. `auth` answers a challenge.
pub fn request(homeserver: &Homeserver, access_token: &AccessToken, auth: Option<&Fields>) -> Request<Vec<u8>> {
    let mut request = ENDPOINT.json_request(homeserver, &Body { auth: auth.map(AsTheyStand) });
    request.headers_mut().insert(header::AUTHORIZATION, access_token.authorization());
    request
}

/// Reads the response.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `login_token` is missing or unusable. [`ResponseError::Server`] is the
/// homeserver's refusal: `M_UNRECOGNIZED` where there is no such endpoint, a rate limit (Synapse grants one token a
/// minute). For the other errors see [`ResponseError`].
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
