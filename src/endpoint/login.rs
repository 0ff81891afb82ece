//! `POST /_matrix/client/v3/login`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3login>

use std::borrow::Cow;
use std::time::Duration;

use http::{Method, Request, header};
use serde::Serialize;

use crate::address::homeserver::Homeserver;
use crate::address::user_id::UserId;
use crate::credentials::identifier::UserIdentifier;
use crate::credentials::secret::{AccessToken, RefreshToken};
use crate::credentials::{Credentials, Kind};
use crate::endpoint::error::ResponseError;
use crate::endpoint::{Endpoint, well_known};
use crate::fields::{Fields, RawMembers};
use crate::settings::LoginSettings;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v3/login");

/// The response of a homeserver that granted a login.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The user that is logged in. It can differ from the user in the request, and then this one counts.
    pub user_id: UserId,
    /// The access token, for further requests.
    pub access_token: AccessToken,
    /// The device that the login made or reused. `None` if the homeserver does not say it, although it should.
    pub device_id: Option<String>,
    /// Deprecated: the server name of the user ID, or any other text of the server.
    pub home_server: Option<String>,
    /// The lifetime of the access token, from `expires_in_ms`. `None` if that is missing, not a whole number of
    /// milliseconds, or longer than 584 years (its nanoseconds must fit `u64`).
    pub expires_in: Option<Duration>,
    /// Whether the access token expires. This is `true` if the response contains `expires_in_ms`, even with a value
    /// that cannot be used.
    pub expires: bool,
    /// The refresh token, to get the next access token.
    pub refresh_token: Option<RefreshToken>,
    /// The address that clients should use for the homeserver, in the form of the well-known file.
    pub well_known: Option<Fields>,
    /// All other members of the response.
    pub other: Fields,
}

impl Response {
    /// The `base_url` of `m.homeserver` in [`well_known`](Self::well_known), if it is a valid URL.
    pub fn well_known_base_url(&self) -> Option<Homeserver> {
        well_known::base_url(self.well_known.as_ref()?, "m.homeserver")?.ok()
    }
}

/// The body of the request. Fields without a value are left out, since Synapse refuses `"refresh_token": null`.
#[derive(Default, Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    login_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<&'a UserIdentifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(flatten)]
    own_fields: Option<RawMembers<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_device_display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refresh_token: bool,
    #[serde(flatten)]
    further_fields: Option<RawMembers<'a>>,
}

/// Asks a homeserver to log in.
///
/// The request is not idempotent: if its response is lost, the login might have made a device. With your own
/// [device ID](LoginSettings::with_device_id), the same request logs in as the same device again.
pub fn request(homeserver: &Homeserver, credentials: &Credentials, settings: &LoginSettings) -> Request<Vec<u8>> {
    let mut body = Body {
        login_type: credentials.login_type(),
        device_id: settings.device_id(),
        initial_device_display_name: settings.initial_device_display_name(),
        refresh_token: settings.refresh_tokens(),
        further_fields: Some(RawMembers(credentials.fields())),
        ..Body::default()
    };
    let mut authorization = None;
    match &credentials.kind {
        Kind::Password { identifier, password } => {
            body.identifier = Some(identifier);
            body.password = Some(password.expose());
        }
        Kind::Token(token) => body.token = Some(token.expose()),
        Kind::ApplicationService { identifier, as_token } => {
            body.identifier = Some(identifier);
            authorization = Some(as_token.authorization());
        }
        Kind::Custom { fields, .. } => body.own_fields = Some(RawMembers(fields)),
    }
    let mut request = ENDPOINT.json_request(homeserver, &body);
    if let Some(authorization) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
    }
    request
}

/// Reads the response. An optional member that cannot be used is treated as absent, so that it never costs a login that
/// was granted.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `access_token` or `user_id` is missing or not usable.
/// [`ResponseError::Server`] if the homeserver refuses. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let (mut user_id, mut access_token, mut device_id, mut refresh_token) = (None, None, None, None);
    let (mut home_server, mut expires, mut expires_in, mut well_known) = (None, false, None, None);
    let other = ENDPOINT.read(response, &mut |cursor, key| {
        match key {
            "user_id" => user_id = cursor.text()?.and_then(|user_id| user_id.parse().ok()),
            "access_token" => access_token = cursor.text()?.and_then(|token| AccessToken::new(token).ok()),
            "device_id" => device_id = cursor.text()?.map(Cow::into_owned),
            "home_server" => home_server = cursor.string()?.map(Cow::into_owned),
            "expires_in_ms" => {
                expires = !cursor.is_null();
                expires_in = cursor.lifetime()?;
            }
            "refresh_token" => refresh_token = cursor.text()?.map(RefreshToken::new),
            "well_known" => well_known = Fields::left_of(cursor, &mut |_, _| Ok(()))?,
            _ => {}
        }
        Ok(())
    })?;
    let (access_token, user_id) =
        (ENDPOINT.granted_token(response, access_token)?, ENDPOINT.granted_user(response, user_id)?);
    Ok(Response {
        user_id,
        access_token,
        device_id,
        home_server,
        expires_in,
        expires,
        refresh_token,
        well_known,
        other,
    })
}
