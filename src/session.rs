//! A session: the result of a login, in memory and in storage.

mod attempts;
pub(crate) mod error;
pub(crate) mod logout;
pub(crate) mod oauth;
mod origin;
pub(crate) mod refresh;
mod stored;
pub(crate) mod verdict;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, header};

use crate::address::homeserver::Homeserver;
use crate::address::user_id::UserId;
use crate::credentials::secret::{AccessToken, RefreshToken};
use crate::endpoint::login;
use crate::fields::Fields;
use crate::session::attempts::Attempts;
use crate::session::error::SessionError;
use crate::session::origin::Origin;
use crate::settings::LoginSettings;

/// A device that is logged in, with its tokens.
///
/// [`to_json`](Session::to_json) writes a session, **with its secrets**, as a JSON object with the keys below.
/// [`from_json`](Session::from_json) reads this object. A key without a value is left out. Other keys are kept
/// unchanged. Store the object where no other user can read it. Serde writes and reads the same object, for instance as
/// a part of a larger one.
///
/// | key | value |
/// | --- | --- |
/// | `access_token` | the access token; an object without it is not logged in |
/// | `access_token_valid_until` | when the access token expires, in nanoseconds since the epoch |
/// | `refresh_token` | the refresh token, to get the next access token |
/// | `user_id` | the full user ID |
/// | `device_id` | the device ID |
/// | `well_known_from_login` | the whole `well_known` of the login response |
/// | `base_client_url` | the homeserver's base URL, with `_matrix/client/` |
/// | `oauth` | for the OAuth 2.0 API: `client_id`, `issuer`, `token_endpoint`, `revocation_endpoint` |
#[derive(Clone, Debug)]
pub struct Session {
    homeserver: Option<Homeserver>,
    user_id: UserId,
    device_id: String,
    access_token: AccessToken,
    /// Nanoseconds since the epoch.
    valid_until: Option<u64>,
    refresh_token: Option<RefreshToken>,
    well_known: Option<Fields>,
    /// Members of the login response that the crate does not read. They are not stored.
    other: Fields,
    /// Keys of the stored form that the crate does not know.
    stored: Fields,
    attempts: Attempts,
    /// `None` for a session of the legacy API.
    oauth: Option<Box<Origin>>,
}

impl Session {
    /// The session that a login response grants, for a login without a flow: on the
    /// [fallback page](crate::endpoint::login_fallback), at a registration, or with another crate. `homeserver` is the
    /// homeserver that granted the login. `received_at` is the time when the response arrived.
    ///
    /// Two settings count: [`follow_well_known`](LoginSettings::follow_well_known), and the device ID if the response
    /// contains none. This function accepts a session that cannot be refreshed. Only a flow refuses such a session.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use http::Response;
    /// use matrix_login::{LoginSettings, Session, endpoint::login};
    ///
    /// # let body = r#"{"user_id": "@alice:example.org", "device_id": "KITCHEN", "access_token": "t"}"#;
    /// # let response = Response::new(body);
    /// let granted = login::response(&response)?;
    /// let (homeserver, settings) = ("https://example.org".parse()?, LoginSettings::default());
    /// let session = Session::granted(homeserver, granted, &settings, SystemTime::now())?;
    /// assert_eq!(session.device_id(), "KITCHEN");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::NoDeviceId`] if neither the response nor the settings contain a device ID.
    pub fn granted(
        homeserver: Homeserver,
        response: login::Response,
        settings: &LoginSettings,
        received_at: SystemTime,
    ) -> Result<Self, SessionError> {
        let named = response.device_id.as_deref().filter(|device_id| !device_id.is_empty());
        let device_id = named.or(settings.device_id()).map(str::to_owned);
        let Some(device_id) = device_id else { return Err(SessionError::NoDeviceId(Box::new(response))) };
        let homeserver = match response.well_known_base_url() {
            Some(named) if settings.follow_well_known() && homeserver.may_name(&named) => named,
            _ => homeserver,
        };
        let mut other = response.other;
        if let Some(home_server) = response.home_server {
            other.insert("home_server", &home_server);
        }
        Ok(Self {
            homeserver: Some(homeserver),
            user_id: response.user_id,
            device_id,
            access_token: response.access_token,
            valid_until: response.expires_in.and_then(|lifetime| end(received_at, lifetime)),
            refresh_token: response.refresh_token,
            well_known: response.well_known,
            other,
            stored: Fields::default(),
            attempts: Attempts::default(),
            oauth: None,
        })
    }

    /// Sets the homeserver, after discovery, for a session whose stored form has no `base_client_url`.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let mut session = Session::from_json(stored)?.expect("it contains a session");
    /// session.set_homeserver("https://matrix.example.org".parse()?);
    /// let homeserver = session.homeserver().map(|homeserver| homeserver.as_str());
    /// assert_eq!(homeserver, Some("https://matrix.example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_homeserver(&mut self, homeserver: Homeserver) {
        self.homeserver = Some(homeserver);
    }

    /// The homeserver of the session. `None` if the stored form does not contain it: some clients store the address
    /// only if the login response contains one. Then [discover](crate#finding-the-homeserver) the
    /// [server](UserId::server_name) of the user ID again.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let homeserver = session.homeserver().map(|homeserver| homeserver.as_str());
    /// assert_eq!(homeserver, Some("https://example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn homeserver(&self) -> Option<&Homeserver> {
        self.homeserver.as_ref()
    }

    /// The user that is logged in.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert_eq!(session.user_id().as_str(), "@alice:example.org");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// The device that is logged in.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert_eq!(session.device_id(), "KITCHEN");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// The access token. [`authorize`](Self::authorize) adds it to a request.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert_eq!(session.access_token().expose(), "t");
    /// assert_eq!(format!("{:?}", session.access_token()), "[redacted]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// Whether another session has the same access token. Two copies of one session differ if one of them was refreshed
    /// after the copy was made.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let used = session.clone();
    /// // Another task might have refreshed the session in the meantime.
    /// assert!(session.has_token_of(&used));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_token_of(&self, other: &Self) -> bool {
        self.access_token.expose() == other.access_token.expose()
    }

    /// The refresh token, to get the next access token. `None` if the session cannot be refreshed.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert!(session.refresh_token().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    /// The whole `well_known` of the login response.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert!(session.well_known().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn well_known(&self) -> Option<&Fields> {
        self.well_known.as_ref()
    }

    /// The members of the login response that this crate does not read, and the deprecated `home_server`. They are not
    /// stored, so a restored session has none.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert!(session.other().get("org.example.extension").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn other(&self) -> &Fields {
        &self.other
    }

    /// When the access token expires. `None` if it does not expire, or if the homeserver did not say when.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// // The homeserver has not said when.
    /// assert!(session.expires_at().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expires_at(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_nanos(self.valid_until?))
    }

    /// Whether the access token expires before `now + margin`. Always `false` if [`expires_at`](Self::expires_at) is
    /// `None`. `now` and the arrival times of the responses must come from the same clock.
    /// [`refresh_in`](Self::refresh_in) says when to refresh.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert!(!session.is_expired(SystemTime::now(), Duration::from_secs(30)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_expired(&self, now: SystemTime, margin: Duration) -> bool {
        // A time that is too far away for `SystemTime` is after any expiry.
        self.expires_at().is_some_and(|end| now.checked_add(margin).is_none_or(|then| then >= end))
    }

    /// Adds the access token to a request, in an `Authorization` header that is marked as sensitive.
    ///
    /// ```
    /// use http::Request;
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let uri = "https://example.org/_matrix/client/v3/account/whoami";
    /// let mut request = Request::get(uri).body(())?;
    /// session.authorize(&mut request)?;
    /// assert!(request.headers().contains_key("authorization"));
    ///
    /// let mut elsewhere = Request::get("https://other.example.org/").body(())?;
    /// assert!(session.authorize(&mut elsewhere).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::ForeignOrigin`] if the request does not go to the origin (scheme, host and port) of the
    /// session's homeserver, or if its URI contains user information. [`SessionError::UnknownHomeserver`] if the
    /// homeserver [is not known](Self::homeserver). The request stays unchanged.
    ///
    /// The path is not checked. If other applications share the origin with the homeserver, make sure that the path of
    /// the request begins with the path of the homeserver's URL.
    pub fn authorize<B>(&self, request: &mut Request<B>) -> Result<(), SessionError> {
        let homeserver = self.known_homeserver()?;
        if !homeserver.is_origin_of(request.uri()) {
            return Err(SessionError::ForeignOrigin);
        }
        request.headers_mut().insert(header::AUTHORIZATION, self.access_token.authorization());
        Ok(())
    }

    fn known_homeserver(&self) -> Result<&Homeserver, SessionError> {
        self.homeserver.as_ref().ok_or(SessionError::UnknownHomeserver)
    }
}

/// When a lifetime ends, in nanoseconds since the epoch. `None` if this number does not fit `u64`.
fn end(received_at: SystemTime, lifetime: Duration) -> Option<u64> {
    let end = received_at.checked_add(lifetime)?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(end.as_nanos()).ok()
}
