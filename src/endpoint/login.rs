//! `POST /_matrix/client/v3/login`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3login>

use std::time::Duration;

use http::{Method, Request, header};
use serde::Serialize;

use crate::address::homeserver::Homeserver;
use crate::address::user_id::UserId;
use crate::credentials::identifier::UserIdentifier;
use crate::credentials::secret::{AccessToken, RefreshToken};
use crate::credentials::{Credentials, Kind};
use crate::endpoint::error::ResponseError;
use crate::endpoint::object::{Object, json};
use crate::endpoint::{Endpoint, well_known};
use crate::fields::Fields;
use crate::settings::LoginSettings;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::POST, "/_matrix/client/v3/login");

/// All that the homeserver said when it granted a login.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// Who is logged in. It counts instead of the user that was asked for, from whom it may differ.
    pub user_id: UserId,
    /// What authenticates further requests.
    pub access_token: AccessToken,
    /// The device that the login made or took over. Every homeserver should say so; `None` if it does not.
    pub device_id: Option<String>,
    /// Deprecated: the server name of the user ID, or whatever else the server writes there.
    pub home_server: Option<String>,
    /// How long the access token lives, from `expires_in_ms`. Absent if it is no whole number of milliseconds or its
    /// nanoseconds do not fit `u64`, which are 584 years.
    pub expires_in: Option<Duration>,
    /// What gets the next access token.
    pub refresh_token: Option<RefreshToken>,
    /// Where the homeserver would like to be found, as in the well-known file.
    pub well_known: Option<Fields>,
    /// The `base_url` of `m.homeserver` in `well_known`, if it is usable.
    pub well_known_base_url: Option<Homeserver>,
    /// All other keys of the response.
    pub other: Fields,
}

/// The request's body. Fields without a value are left out: Synapse refuses `"refresh_token": null`.
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
    own_fields: Option<&'a Fields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_device_display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refresh_token: bool,
    #[serde(flatten)]
    further_fields: Option<&'a Fields>,
}

/// Asks a homeserver to log in.
///
/// The request is not idempotent: if its response is lost, the login may have made a device. With a
/// [device ID](LoginSettings::with_device_id) of your own, the same request again leads to that device.
pub fn request(homeserver: &Homeserver, credentials: &Credentials, settings: &LoginSettings) -> Request<Vec<u8>> {
    let mut body = Body {
        login_type: credentials.login_type(),
        device_id: settings.device_id(),
        initial_device_display_name: settings.initial_device_display_name(),
        refresh_token: settings.refresh_tokens(),
        further_fields: Some(credentials.fields()),
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
        Kind::Custom { fields, .. } => body.own_fields = Some(fields),
    }
    let mut request = ENDPOINT.json_request(homeserver, &body);
    request.headers_mut().extend(authorization.map(|value| (header::AUTHORIZATION, value)));
    request
}

/// Reads the response. What is optional and unusable counts as absent: it never costs a login that was granted.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `access_token` or `user_id` is missing or unusable. [`ResponseError::Server`]
/// is the homeserver's refusal. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let json = json(response);
    let mut object = ENDPOINT.object(response, &json)?;
    let access_token = ENDPOINT.take_access_token(&mut object)?;
    let user_id = ENDPOINT.take_user_id(&mut object)?;
    let well_known: Option<Object<'_>> = object.take("well_known");
    Ok(Response {
        user_id,
        access_token,
        device_id: object.take_text("device_id"),
        home_server: object.take("home_server"),
        expires_in: object.take_lifetime("expires_in_ms"),
        refresh_token: object.take_text("refresh_token").map(RefreshToken::new),
        well_known_base_url: well_known.as_ref().and_then(|file| well_known::base_url(file, "m.homeserver")?.ok()),
        well_known: well_known.map(Object::rest),
        other: object.rest(),
    })
}
