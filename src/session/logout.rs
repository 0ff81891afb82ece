//! Ends a session, with the endpoint of the API that granted it.

use http::{Request, Response};

use crate::endpoint::error::ResponseError;
use crate::endpoint::logout;
use crate::endpoint::oauth::revocation::{self, Token};
use crate::session::Session;
use crate::session::error::SessionError;

impl Session {
    /// The request that ends the session: a [logout](logout::request). For a session of the OAuth 2.0 API, it is a
    /// [revocation](revocation::request) of the refresh token, or of the access token if there is no refresh token.
    ///
    /// Finish a refresh first: on some servers, it does nothing to revoke a refresh token that was just replaced.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let request = session.logout_request()?;
    /// assert_eq!(request.uri(), "https://example.org/_matrix/client/v3/logout");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::UnknownHomeserver`] if the homeserver [is not known](Self::homeserver).
    /// [`SessionError::NoRevocationEndpoint`] if the OAuth 2.0 server has no such endpoint.
    pub fn logout_request(&self) -> Result<Request<Vec<u8>>, SessionError> {
        let Some(origin) = &self.oauth else {
            return Ok(logout::request(self.known_homeserver()?, &self.access_token));
        };
        let endpoint = origin.revocation_endpoint.as_ref().ok_or(SessionError::NoRevocationEndpoint)?;
        let token = self.refresh_token.as_ref().map_or(Token::Access(&self.access_token), Token::Refresh);
        Ok(revocation::request(endpoint, &origin.client_id, token))
    }

    /// Reads the response to [`logout_request`](Self::logout_request).
    ///
    /// ```
    /// use http::Response;
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let response = Response::new("{}");
    /// let outcome = session.handle_logout(&response)?;
    /// assert!(!outcome.already_logged_out);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`logout::response`] or [`revocation::response`]. Then the session may still exist.
    pub fn handle_logout<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Result<logout::Response, ResponseError> {
        match self.oauth {
            None => logout::response(response),
            Some(_) => revocation::response(response)
                .map(|revoked| logout::Response { already_logged_out: revoked.already_revoked }),
        }
    }
}
