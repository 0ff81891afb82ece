//! What a session cannot do.

use crate::endpoint::login;
use crate::endpoint::oauth::token;

/// Why a session cannot do what was asked of it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The stored form did not say where the homeserver is.
    #[error("the session does not know its homeserver: discover the server of its user ID, then set it")]
    UnknownHomeserver,

    /// Nothing can get the next access token.
    #[error("the session has no refresh token: log in again when its access token expires")]
    NoRefreshToken,

    /// The request goes to another origin (scheme, host and port) than that of the session's homeserver.
    #[error("the request goes elsewhere: only a URI of the session's homeserver gets its access token")]
    ForeignOrigin,

    /// Neither the response nor the settings of the login name a device. The error owns the response, so that the
    /// tokens in it are not lost: ask for the device ID with `GET whoami`, then set it in the settings.
    #[error("the homeserver did not say which device is logged in: set its ID in the settings")]
    NoDeviceId(Box<login::Response>),

    /// The access token of the OAuth 2.0 API belongs to no device: whoami names none, so that the server did not grant
    /// the scope of a device. The error owns the tokens: revoke them.
    #[error("the access token belongs to no device: revoke it, and log in with a scope that names the device")]
    NoDevice(Box<token::Response>),

    /// The metadata have no token endpoint that can be used.
    #[error("the OAuth 2.0 server has no usable token endpoint: ask for its metadata again later")]
    NoTokenEndpoint,

    /// The metadata are of another OAuth 2.0 server than the one that has granted the session.
    #[error("the metadata are of another OAuth 2.0 server: the session stays with the one that has granted it")]
    OtherIssuer,

    /// The OAuth 2.0 server has no revocation endpoint, so that a program cannot end the session.
    #[error("the OAuth 2.0 server cannot revoke tokens: end the session on the account page of the homeserver")]
    NoRevocationEndpoint,
}
