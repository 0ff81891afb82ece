//! The errors of a session.

use crate::endpoint::login;
use crate::endpoint::oauth::token;

/// Why a session cannot do what the caller asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The stored form did not contain the address of the homeserver.
    #[error("the session does not know its homeserver: discover the server of its user ID, then set the homeserver")]
    UnknownHomeserver,

    /// The session cannot be refreshed.
    #[error("the session has no refresh token: log in again when its access token expires")]
    NoRefreshToken,

    /// The request goes to another origin (scheme, host and port) than the session's homeserver.
    #[error("the request does not go to the session's homeserver: send the access token only there")]
    ForeignOrigin,

    /// Neither the response nor the settings of the login contain a device ID. The error owns the response, so that the
    /// tokens in it are not lost. Ask for the device ID with [`whoami`](crate::endpoint::whoami), then set it in the
    /// settings.
    #[error("the homeserver did not say which device is logged in: set the device ID in the settings")]
    NoDeviceId(Box<login::Response>),

    /// The access token of the OAuth 2.0 API does not belong to a device: the response of whoami contains none, since
    /// the server did not grant the scope of a device. The error owns the tokens: revoke them.
    #[error("the access token does not belong to a device: revoke it, and log in with a scope that contains a device")]
    NoDevice(Box<token::Response>),

    /// The metadata contain no token endpoint that can be used.
    #[error("the OAuth 2.0 server has no usable token endpoint: ask for its metadata again later")]
    NoTokenEndpoint,

    /// The metadata belong to another OAuth 2.0 server than the one that granted the session.
    #[error("the metadata belong to another OAuth 2.0 server than the one that granted the session")]
    OtherIssuer,

    /// The OAuth 2.0 server has no revocation endpoint, so a program cannot end the session.
    #[error("the OAuth 2.0 server cannot revoke tokens: end the session on the account page of the homeserver")]
    NoRevocationEndpoint,
}
