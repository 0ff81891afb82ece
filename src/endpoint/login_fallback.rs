//! `GET /_matrix/static/client/login/`
//! <https://spec.matrix.org/latest/client-server-api/#login-fallback>
//!
//! A page of the homeserver's that does the whole login in a browser, for login types that nobody knows. When it is done
//! it hands the JSON of a login answer to `window.matrixLogin.onLogin` or `window.onLogin`, which the application has to
//! put there: only a web view that it controls can do so. [`login::response`](super::login::response) reads that JSON.

use http::Method;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::endpoint::Endpoint;
use crate::settings::LoginSettings;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/static/client/login/");

/// The URL to open: `request` makes no request of HTTP. Of the settings, the device ID and its display name go with it.
pub fn request(homeserver: &Homeserver, settings: &LoginSettings) -> Url {
    let mut url = homeserver.join(ENDPOINT.path());
    let parameters =
        [("device_id", settings.device_id()), ("initial_device_display_name", settings.initial_device_display_name())];
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}
