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
    /// A device code. The server exchanges it for an access token after the user has entered the code that belongs to
    /// it.
    pub struct DeviceCode
}

impl DeviceCode {
    /// Takes a code from a response.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }
}

/// A code or a token that the server exchanges for an access token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Grant<'a> {
    /// A code from the callback of a browser.
    #[non_exhaustive]
    AuthorizationCode {
        /// The code.
        code: &'a AuthorizationCode,
        /// The redirect URI, exactly as in the authorization URL.
        redirect_uri: &'a str,
        /// The verifier of the challenge in the authorization URL.
        code_verifier: &'a CodeVerifier,
    },
    /// A device code.
    DeviceCode(&'a DeviceCode),
    /// A refresh token.
    RefreshToken(&'a RefreshToken),
}

impl<'a> Grant<'a> {
    /// A code from the callback of a browser, with the redirect URI and the verifier of the same login.
    pub fn authorization_code(
        code: &'a AuthorizationCode,
        redirect_uri: &'a str,
        code_verifier: &'a CodeVerifier,
    ) -> Self {
        Self::AuthorizationCode { code, redirect_uri, code_verifier }
    }
}

/// The response of a server that granted tokens. It does not contain the user: ask with
/// [`whoami`](crate::endpoint::whoami).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The access token, for further requests.
    pub access_token: AccessToken,
    /// The refresh token, to get the next access token. If the response to a refresh contains none, the old refresh
    /// token stays valid.
    pub refresh_token: Option<RefreshToken>,
    /// The lifetime of the access token, from `expires_in` (seconds). `None` if that is missing, not a whole number, or
    /// longer than 584 years (its nanoseconds must fit `u64`).
    pub expires_in: Option<Duration>,
    /// Whether the access token expires. This is `true` if the response contains `expires_in`, even with a value that
    /// cannot be used.
    pub expires: bool,
    /// The granted scope, if the server says it. It can differ from the requested scope.
    pub scope: Option<String>,
    /// All other members.
    pub other: Fields,
}

/// Asks for an access token. The request itself contains no access token. The HTTP client must not follow a redirect of
/// it.
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

/// Reads the response. An optional member that cannot be used is treated as absent, so that it never costs a token that
/// was granted.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `access_token` is missing or not usable, or if there is a `token_type` other
/// than `Bearer` (in lower or upper case). [`ResponseError::Server`] if the server refuses, for instance with
/// `invalid_grant`. An `error` in a 2xx without an access token is a refusal too. For the other errors see
/// [`ResponseError`].
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
        let expected = "`Bearer` (the server might still have granted a login)";
        return Err(ENDPOINT.lacks(response, "`token_type`", expected));
    }
    Ok(Response { access_token, refresh_token, expires_in, expires, scope, other })
}
