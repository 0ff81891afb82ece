//! `POST revocation_endpoint` (RFC 7009)
//! <https://spec.matrix.org/latest/client-server-api/#token-revocation>

use http::{Method, Request};

use crate::address::https_url::HttpsUrl;
use crate::credentials::secret::{AccessToken, RefreshToken};
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::endpoint::server_error::ServerError;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::of_oauth(Method::POST, "revocation_endpoint");

/// The token to revoke. The other token of the session is revoked too. Use the refresh token if the session has one: if
/// an access token has expired, some servers revoke nothing and still respond with a success.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Token<'a> {
    /// An access token.
    Access(&'a AccessToken),
    /// A refresh token.
    Refresh(&'a RefreshToken),
}

/// The token is no longer valid. A server does not say whether it was valid before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// Whether the server said that there was nothing to revoke. Most servers do not say so.
    pub already_revoked: bool,
}

/// Asks to revoke a token. The specification does not require the client ID, but most servers do.
pub fn request(revocation_endpoint: &HttpsUrl, client_id: &str, token: Token<'_>) -> Request<Vec<u8>> {
    let (token, hint) = match token {
        Token::Access(token) => (token.expose(), "access_token"),
        Token::Refresh(token) => (token.expose(), "refresh_token"),
    };
    let form = [("token", token), ("token_type_hint", hint), ("client_id", client_id)];
    ENDPOINT.form_request(revocation_endpoint, &form)
}

/// Reads the response. A 2xx is a success, without a body or with any JSON, unless the JSON contains an `error`. A
/// refusal with `invalid_grant` means that there was nothing to revoke.
///
/// # Errors
///
/// [`ResponseError::Server`] if the server refuses. A 401 is such a refusal: the session still exists. For the other
/// errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let acknowledged = ENDPOINT.acknowledged(response).and_then(|()| match ServerError::read(response, true) {
        // A 2xx with an error is a failure.
        Some(error) => Err(ResponseError::Server(Box::new(error))),
        None => Ok(()),
    });
    match acknowledged {
        Ok(()) => Ok(Response { already_revoked: false }),
        Err(ResponseError::Server(error)) if error.refusal() == Some("invalid_grant") => {
            Ok(Response { already_revoked: true })
        }
        Err(error) => Err(error),
    }
}
