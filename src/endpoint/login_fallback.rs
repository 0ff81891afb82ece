//! `GET /_matrix/static/client/login/`
//! <https://spec.matrix.org/latest/client-server-api/#login-fallback>
//!
//! The homeserver has a page that does the whole login in a browser, for login types that a client does not know. After
//! the login, the page calls `window.matrixLogin.onLogin` or `window.onLogin` with the JSON of a login response. The
//! application must define that function before, so the page must be in a web view that the application controls.
//!
//! This needs no flow. The JSON becomes a session like this:
//!
//! ```
//! use std::time::SystemTime;
//!
//! use matrix_login::{
//!     Homeserver, LoginSettings, Session,
//!     endpoint::{login, login_fallback},
//! };
//!
//! let homeserver: Homeserver = "https://matrix.example.org".parse()?;
//! let settings = LoginSettings::default().with_device_id("KITCHEN")?;
//!
//! // 1. Open the page in the web view.
//! let url = login_fallback::request(&homeserver, &settings);
//! assert_eq!(url.path(), "/_matrix/static/client/login/");
//! assert_eq!(url.query(), Some("device_id=KITCHEN&refresh_token=true"));
//!
//! // 2. The page calls `onLogin` with this.
//! let json = r#"{"access_token": "t", "user_id": "@alice:example.org",
//!     "device_id": "KITCHEN"}"#;
//!
//! // 3. Read it as a login response, and keep the session.
//! let response = login::response(&http::Response::new(json))?;
//! let session = Session::granted(homeserver, response, &settings, SystemTime::now())?;
//! assert_eq!(session.user_id().as_str(), "@alice:example.org");
//! # Ok::<(), matrix_login::Error>(())
//! ```

use http::Method;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::endpoint::Endpoint;
use crate::settings::LoginSettings;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/static/client/login/");

/// The URL to open in a browser. It contains three of the settings: the device ID, the display name of the device, and
/// whether to ask for a refresh token.
pub fn request(homeserver: &Homeserver, settings: &LoginSettings) -> Url {
    let mut url = homeserver.join(ENDPOINT.path());
    let parameters = [
        ("device_id", settings.device_id()),
        ("initial_device_display_name", settings.initial_device_display_name()),
        ("refresh_token", settings.refresh_tokens().then_some("true")),
    ];
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}
