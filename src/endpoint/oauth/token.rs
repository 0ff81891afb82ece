//! `POST token_endpoint` (RFC 6749, sections 4.1.3, 5 and 6; RFC 8628, section 3.4)
//! <https://spec.matrix.org/latest/client-server-api/#login-flow-1>

use std::borrow::Cow;
use std::time::Duration;

use http::{Method, Request};

use crate::address::https_url::HttpsUrl;
use crate::credentials::code_verifier::CodeVerifier;
use crate::credentials::secret::{AccessToken, RefreshToken, secret};
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::endpoint::oauth::auth_metadata::DEVICE_CODE;
use crate::endpoint::oauth::authorization::AuthorizationCode;
use crate::fields::Fields;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::of_oauth(Method::POST, "token_endpoint");

secret! {
    /// A device code, which becomes an access token when the user has entered the code that belongs to it.
    pub struct DeviceCode
}

impl DeviceCode {
    /// Takes a code from a response.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }
}

/// What becomes an access token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Grant<'a> {
    /// A code that a browser brought.
    #[non_exhaustive]
    AuthorizationCode {
        /// The code.
        code: &'a AuthorizationCode,
        /// The redirect URI, exactly as the browser was sent out with it.
        redirect_uri: &'a str,
        /// The verifier whose challenge the browser was sent out with.
        code_verifier: &'a CodeVerifier,
    },
    /// A device code.
    DeviceCode(&'a DeviceCode),
    /// A refresh token.
    RefreshToken(&'a RefreshToken),
}

impl<'a> Grant<'a> {
    /// A code that a browser brought, with the redirect URI and the verifier of that login.
    pub fn authorization_code(
        code: &'a AuthorizationCode,
        redirect_uri: &'a str,
        code_verifier: &'a CodeVerifier,
    ) -> Self {
        Self::AuthorizationCode { code, redirect_uri, code_verifier }
    }
}

/// What the server grants. It does not say who is logged in: ask with [`whoami`](crate::endpoint::whoami).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// What authenticates further requests.
    pub access_token: AccessToken,
    /// What gets the next access token. In the response to a refresh: without one, the old refresh token stays valid.
    pub refresh_token: Option<RefreshToken>,
    /// How long the access token lives, from `expires_in` (seconds). Absent if it is not a whole number, or if its
    /// nanoseconds do not fit `u64`, which are 584 years.
    pub expires_in: Option<Duration>,
    /// Whether the access token expires: there is an `expires_in`, whether or not it can be used.
    pub expires: bool,
    /// What was granted, if the server says so: it can be other than what was asked for.
    pub scope: Option<String>,
    /// All other members.
    pub other: Fields,
}

/// Asks for an access token. The request has no access token, and the client must not follow a redirect with it.
///
/// A code can be used once. If the response is lost and the request is sent again, some servers end the session that
/// the first request has made.
pub fn request(token_endpoint: &HttpsUrl, client_id: &str, grant: Grant<'_>) -> Request<Vec<u8>> {
    let client_id = ("client_id", client_id);
    match grant {
        Grant::AuthorizationCode { code, redirect_uri, code_verifier } => {
            let form = [
                ("grant_type", "authorization_code"),
                ("code", code.expose()),
                ("redirect_uri", redirect_uri),
                client_id,
                ("code_verifier", code_verifier.expose()),
            ];
            ENDPOINT.form_request(token_endpoint, &form)
        }
        Grant::DeviceCode(code) => ENDPOINT
            .form_request(token_endpoint, &[("grant_type", DEVICE_CODE), ("device_code", code.expose()), client_id]),
        Grant::RefreshToken(token) => ENDPOINT.form_request(
            token_endpoint,
            &[("grant_type", "refresh_token"), ("refresh_token", token.expose()), client_id],
        ),
    }
}

/// Reads the response. What is optional and unusable counts as absent: it never costs a token that was granted.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `access_token` is missing or unusable, or if `token_type` is there and is not
/// `Bearer` in any case. [`ResponseError::Server`] is the server's refusal, such as `invalid_grant`; under a 2xx it is
/// one too. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let (mut access_token, mut refresh_token, mut scope) = (None, None, None);
    let (mut expires_in, mut expires, mut is_bearer) = (None, false, true);
    let other = ENDPOINT.read(response, &mut |cursor, key| {
        match key {
            "access_token" => access_token = cursor.text()?.and_then(|token| AccessToken::new(token).ok()),
            "refresh_token" => refresh_token = cursor.text()?.map(RefreshToken::new),
            "expires_in" => {
                expires = !cursor.is_null();
                expires_in = cursor.lifetime_in_seconds()?;
            }
            "scope" => scope = cursor.string()?.map(Cow::into_owned),
            "token_type" => {
                is_bearer = cursor.is_null();
                is_bearer |= cursor.string()?.is_some_and(|found| found.eq_ignore_ascii_case("bearer"));
            }
            _ => {}
        }
        Ok(())
    })?;
    let access_token = ENDPOINT.granted_token(response, access_token)?;
    if !is_bearer {
        return Err(ENDPOINT.lacks(response, "`token_type`", "`Bearer`"));
    }
    Ok(Response { access_token, refresh_token, expires_in, expires, scope, other })
}
