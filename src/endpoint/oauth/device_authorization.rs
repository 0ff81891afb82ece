//! `POST device_authorization_endpoint` (RFC 8628, section 3)
//! <https://spec.matrix.org/latest/client-server-api/#device-authorization-flow>
//!
//! A device without a browser gets a code to show. The user opens an address on another device, and enters the code
//! there. Meanwhile the first device asks for its tokens: see [`token`](super::token).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{Method, Request};
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::https_url::HttpsUrl;
use crate::credentials::device_id::DeviceId;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::endpoint::oauth::authorization;
use crate::endpoint::oauth::token::DeviceCode;
use crate::fields::Fields;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::of_oauth(Method::POST, "device_authorization_endpoint");

/// How long to wait between two requests for the tokens, if the server does not say it (RFC 8628, section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// The code that the device must show, and the device code for its requests for the tokens.
#[derive(Clone)]
#[non_exhaustive]
pub struct Response {
    /// The code for the requests for the tokens. It is a secret.
    pub device_code: DeviceCode,
    /// The code that the user enters.
    pub user_code: String,
    /// The address of the page where the user enters the code.
    pub verification_uri: Url,
    /// The same address with the code in it, for a QR code. Some servers do not send it.
    pub verification_uri_complete: Option<Url>,
    /// How long the codes are valid, from `expires_in` (seconds). `None` if the server does not say it.
    pub expires_in: Option<Duration>,
    /// How long to wait between two requests for the tokens. Five seconds if the server does not say it, or says zero.
    pub interval: Duration,
    /// All other members.
    pub other: Fields,
}

/// Does not show the device code.
impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Response")
            .field("user_code", &self.user_code)
            .field("verification_uri", &self.verification_uri.as_str())
            .field("expires_in", &self.expires_in)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// Asks for a code to show, for a client and a device.
pub fn request(device_authorization_endpoint: &HttpsUrl, client_id: &str, device_id: &DeviceId) -> Request<Vec<u8>> {
    let form = [("client_id", client_id), ("scope", &authorization::scope(device_id))];
    ENDPOINT.form_request(device_authorization_endpoint, &form)
}

/// Reads the response. `homeserver` is the homeserver of this login.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `device_code`, `user_code` or `verification_uri` is missing or not usable. The
/// address must be https, or plain http as [`Homeserver::may_name`](crate::Homeserver::may_name) allows, and without
/// user information. [`ResponseError::Server`] if the server refuses. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(
    homeserver: &Homeserver,
    response: &http::Response<B>,
) -> Result<Response, ResponseError> {
    let (mut device_code, mut user_code, mut verification_uri, mut complete) = (None, None, None, None);
    let (mut expires_in, mut interval) = (None, None);
    let other = ENDPOINT.read(response, &mut |cursor, key| {
        match key {
            "device_code" => device_code = cursor.text()?.map(DeviceCode::new),
            "user_code" => user_code = cursor.text()?.map(Cow::into_owned),
            "verification_uri" => verification_uri = cursor.text()?.and_then(|uri| page(homeserver, &uri)),
            "verification_uri_complete" => complete = cursor.text()?.and_then(|uri| page(homeserver, &uri)),
            "expires_in" => expires_in = cursor.lifetime_in_seconds()?,
            "interval" => interval = cursor.lifetime_in_seconds()?,
            _ => {}
        }
        Ok(())
    })?;
    let text = "a string that is not empty";
    Ok(Response {
        device_code: device_code.ok_or_else(|| ENDPOINT.lacks(response, "`device_code`", text))?,
        user_code: user_code.ok_or_else(|| ENDPOINT.lacks(response, "`user_code`", text))?,
        verification_uri: verification_uri
            .ok_or_else(|| ENDPOINT.lacks(response, "`verification_uri`", "an https URL without user information"))?,
        verification_uri_complete: complete,
        expires_in,
        interval: interval.filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL),
        other,
    })
}

/// The address of a page. Unlike the address of an endpoint, it can contain a fragment.
fn page(homeserver: &Homeserver, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let mut without_fragment = url.clone();
    without_fragment.set_fragment(None);
    HttpsUrl::named_by(homeserver, without_fragment.as_str()).ok().map(|_| url)
}
