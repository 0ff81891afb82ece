//! Sessions of the OAuth 2.0 API.

use std::time::SystemTime;

use crate::address::homeserver::Homeserver;
use crate::endpoint::oauth::auth_metadata::AuthMetadata;
use crate::endpoint::oauth::token;
use crate::endpoint::whoami;
use crate::fields::Fields;
use crate::session::attempts::Attempts;
use crate::session::error::SessionError;
use crate::session::origin::Origin;
use crate::session::{Session, end};

impl Session {
    /// The session that an OAuth 2.0 server grants, for a login without a flow. `whoami` is the response to a request
    /// with the new access token. `received_at` is the time when the token response arrived.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use http::Response;
    /// use matrix_login::{
    ///     Error, Homeserver, Session,
    ///     endpoint::{
    ///         oauth::{auth_metadata::AuthMetadata, token},
    ///         whoami,
    ///     },
    /// };
    ///
    /// fn session(
    ///     homeserver: Homeserver,
    ///     metadata: &AuthMetadata,
    ///     token_response: &Response<Vec<u8>>,
    ///     whoami_response: &Response<Vec<u8>>,
    /// ) -> Result<Session, Error> {
    ///     let granted = token::response(token_response)?;
    ///     let whoami = whoami::response(whoami_response)?;
    ///     let (id, now) = ("the client ID", SystemTime::now());
    ///     Ok(Session::granted_by_oauth(homeserver, id, metadata, granted, whoami, now)?)
    /// }
    /// # let _ = session;
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::NoDevice`] if `whoami` contains no device ID: the token does not belong to a device. The error
    /// owns the tokens. [`SessionError::NoTokenEndpoint`] if the metadata contain no usable token endpoint.
    pub fn granted_by_oauth(
        homeserver: Homeserver,
        client_id: impl Into<String>,
        metadata: &AuthMetadata,
        granted: token::Response,
        whoami: whoami::Response,
        received_at: SystemTime,
    ) -> Result<Self, SessionError> {
        let Some(device_id) = whoami.device_id.filter(|device_id| !device_id.is_empty()) else {
            return Err(SessionError::NoDevice(Box::new(granted)));
        };
        let Some(token_endpoint) = metadata.token_endpoint.clone() else {
            return Err(SessionError::NoTokenEndpoint);
        };
        let mut other = granted.other;
        if let Some(scope) = granted.scope {
            other.insert("scope", &scope);
        }
        Ok(Self {
            homeserver: Some(homeserver),
            user_id: whoami.user_id,
            device_id,
            access_token: granted.access_token,
            valid_until: granted.expires_in.and_then(|lifetime| end(received_at, lifetime)),
            refresh_token: granted.refresh_token,
            well_known: None,
            other,
            stored: Fields::default(),
            attempts: Attempts::default(),
            oauth: Some(Box::new(Origin {
                client_id: client_id.into().into(),
                issuer: Some(metadata.issuer.clone()),
                token_endpoint,
                revocation_endpoint: metadata.revocation_endpoint.clone(),
            })),
        })
    }

    /// Whether the OAuth 2.0 API granted this session. The legacy API cannot refresh or end such a session.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert!(!session.is_oauth());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_oauth(&self) -> bool {
        self.oauth.is_some()
    }

    /// The ID of the OAuth 2.0 client that logged in. `None` for a session of the legacy API.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// // The legacy API granted this session.
    /// assert!(session.client_id().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_id(&self) -> Option<&str> {
        self.oauth.as_ref().map(|origin| &*origin.client_id)
    }

    /// Updates the endpoints of the session from the metadata of the homeserver. If a refresh or a logout fails for no
    /// clear reason, the endpoints might have moved: ask for the metadata again.
    ///
    /// ```
    /// use http::Response;
    /// use matrix_login::{Error, Homeserver, Session, endpoint::oauth::auth_metadata};
    ///
    /// /// `response` is the response to [`auth_metadata::request`].
    /// fn look_again(
    ///     session: &mut Session,
    ///     homeserver: &Homeserver,
    ///     response: &Response<Vec<u8>>,
    /// ) -> Result<(), Error> {
    ///     if let Some(metadata) = auth_metadata::response(homeserver, response)? {
    ///         session.set_auth_metadata(&metadata)?;
    ///     }
    ///     Ok(())
    /// }
    /// # let _ = look_again;
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::OtherIssuer`] if the metadata belong to another server, or if the legacy API granted the
    /// session. [`SessionError::NoTokenEndpoint`] if the metadata contain no usable token endpoint. The session stays
    /// unchanged.
    pub fn set_auth_metadata(&mut self, metadata: &AuthMetadata) -> Result<(), SessionError> {
        let origin = self.oauth.as_mut().ok_or(SessionError::OtherIssuer)?;
        if origin.issuer.as_ref().is_some_and(|issuer| *issuer != metadata.issuer) {
            return Err(SessionError::OtherIssuer);
        }
        let token_endpoint = metadata.token_endpoint.clone().ok_or(SessionError::NoTokenEndpoint)?;
        origin.issuer = Some(metadata.issuer.clone());
        origin.token_endpoint = token_endpoint;
        origin.revocation_endpoint.clone_from(&metadata.revocation_endpoint);
        Ok(())
    }
}
