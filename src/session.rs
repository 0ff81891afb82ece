//! A session: what a login leaves behind, in memory and in storage.

pub(crate) mod refresh;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, header};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    AccessToken, Error, Fields, Homeserver, LoginSettings, RefreshToken, UserId,
    endpoint::{login, object::whole_number},
};

/// A device that is logged in, with the tokens that prove it.
///
/// It serialises, **secrets included**, to an object of these keys, of which those without a value are left out. Keys
/// that are not listed are kept as they are. Keep it where nobody else can read it.
///
/// | key | value |
/// | --- | --- |
/// | `access_token` | the access token; an object without it is not logged in |
/// | `access_token_valid_until` | when it expires, in nanoseconds since the epoch |
/// | `refresh_token` | what buys the next access token |
/// | `user_id` | the user's full ID |
/// | `device_id` | the device's ID |
/// | `well_known_from_login` | the login answer's `well_known`, whole |
/// | `base_client_url` | the homeserver's base URL, with `_matrix/client/` |
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
    /// What the login answer had beside what the crate reads. It is not stored.
    other: Fields,
    /// Keys of the stored form that the crate does not know.
    stored: Fields,
}

impl Session {
    /// Reads the stored form. `None` if it is an object without an access token, as `{}` is: nobody is logged in.
    ///
    /// Other keys of the list above that cannot be used count as absent. Keys that are not listed are kept.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if it is no JSON object, or if `access_token`, `user_id` or `device_id` cannot be used.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Option<Self>, Error> {
        match serde_json::from_slice(json.as_ref()) {
            Ok(Value::Object(stored)) => Self::from_stored(stored),
            _ => Err(not_an_object()),
        }
    }

    fn from_stored(mut stored: Map<String, Value>) -> Result<Option<Self>, Error> {
        let mut take = |key| stored.remove(key).filter(|value| !value.is_null());
        let Some(access_token) = take("access_token") else { return Ok(None) };
        let access_token = text(access_token).and_then(|token| AccessToken::new(token).ok());
        let user_id = take("user_id").and_then(text).and_then(|user_id| user_id.parse().ok());
        Ok(Some(Self {
            access_token: access_token
                .ok_or_else(|| invalid("access_token", "a string of visible ASCII characters"))?,
            user_id: user_id.ok_or_else(|| invalid("user_id", "a user ID, such as @alice:example.org"))?,
            device_id: take("device_id")
                .and_then(text)
                .ok_or_else(|| invalid("device_id", "a string that is not empty"))?,
            valid_until: take("access_token_valid_until").and_then(|end| whole_number(end.as_number()?)),
            refresh_token: take("refresh_token").and_then(text).map(RefreshToken::new),
            well_known: take("well_known_from_login").and_then(|value| value.as_object().cloned()).map(Fields),
            homeserver: take("base_client_url")
                .and_then(text)
                .and_then(|url| Homeserver::from_base_client_url(&url).ok()),
            other: Fields::default(),
            stored: Fields(stored),
        }))
    }

    /// The session that a login answer grants.
    pub(crate) fn granted(
        response: login::Response,
        asked: &Homeserver,
        settings: &LoginSettings,
        received_at: SystemTime,
    ) -> Self {
        let homeserver = match response.well_known_base_url {
            Some(named) if settings.follow_well_known && !asked.is_downgraded_by(&named) => named,
            _ => asked.clone(),
        };
        let mut other = response.other;
        if let Some(home_server) = response.home_server {
            other.0.insert("home_server".to_owned(), home_server.into());
        }
        Self {
            homeserver: Some(homeserver),
            user_id: response.user_id,
            device_id: response.device_id,
            access_token: response.access_token,
            valid_until: response.expires_in.and_then(|lifetime| end(received_at, lifetime)),
            refresh_token: response.refresh_token,
            well_known: response.well_known,
            other,
            stored: Fields::default(),
        }
    }

    /// Sets the homeserver: for a session whose stored form has no `base_client_url`, after discovery.
    pub fn set_homeserver(&mut self, homeserver: Homeserver) {
        self.homeserver = Some(homeserver);
    }

    /// Where the session is valid. `None` if the stored form does not say so, as that of clients which only write it
    /// when the login answer names one: then the [server](UserId::server_name) of the user ID has to be
    /// [discovered](crate::LoginFlow::discover) again.
    #[must_use]
    pub fn homeserver(&self) -> Option<&Homeserver> {
        self.homeserver.as_ref()
    }

    /// Who is logged in.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// The device that is logged in.
    #[must_use]
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// What authenticates requests; [`authorize`](Self::authorize) puts it where it belongs.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// Whether another session has the same access token. If it is of the same device and has not, one of the two was
    /// refreshed since.
    #[must_use]
    pub fn has_token_of(&self, other: &Self) -> bool {
        self.access_token.expose() == other.access_token.expose()
    }

    /// What buys the next access token.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    /// The login answer's `well_known`, whole.
    #[must_use]
    pub fn well_known(&self) -> Option<&Fields> {
        self.well_known.as_ref()
    }

    /// The keys of the login answer that this crate does not read, and the deprecated `home_server`. They are not
    /// stored: a restored session has none.
    #[must_use]
    pub fn other(&self) -> &Fields {
        &self.other
    }

    /// When the access token expires, if it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_nanos(self.valid_until?))
    }

    /// Whether the access token has expired at a given time, or will within a margin after it, by the clock that the
    /// times are of. A session whose token does not expire never has. [`refresh_in`](Self::refresh_in) says when to do
    /// something about it.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime, margin: Duration) -> bool {
        // A time that is too far away to be held is after any expiry.
        self.expires_at().is_some_and(|end| now.checked_add(margin).is_none_or(|then| then >= end))
    }

    /// Adds the access token to a request, in an `Authorization` header that is marked as sensitive.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the request does not go to the origin (scheme, host and port) of the session's
    /// homeserver, or if that [is not known](Self::homeserver). The request is as it was then.
    pub fn authorize<B>(&self, request: &mut Request<B>) -> Result<(), Error> {
        let homeserver = self.known_homeserver()?;
        let target = Url::parse(&request.uri().to_string());
        if !target.is_ok_and(|target| target.origin() == homeserver.origin()) {
            return Err(Error::invalid_input(
                "request",
                "a URI of the session's homeserver, the only one to get its token",
            ));
        }
        request.headers_mut().insert(header::AUTHORIZATION, self.access_token.authorization());
        Ok(())
    }

    fn known_homeserver(&self) -> Result<&Homeserver, Error> {
        let expected = "a homeserver: discover the server of its user ID, then set it";
        self.homeserver.as_ref().ok_or_else(|| Error::invalid_input("session", expected))
    }

    /// Whether the access token expires and nothing can buy the next one.
    pub(crate) fn ends_for_good(&self) -> bool {
        self.valid_until.is_some() && self.refresh_token.is_none()
    }

    /// Writes the stored form into an object that may have keys of others: those stay as they are, and of the keys that
    /// are listed above those without a value are removed.
    pub fn store_in(&self, object: &mut Map<String, Value>) {
        let text = |text: &str| Some(Value::from(text));
        for (key, value) in [
            ("access_token", text(self.access_token.expose())),
            ("access_token_valid_until", self.valid_until.map(Value::from)),
            ("refresh_token", self.refresh_token.as_ref().and_then(|token| text(token.expose()))),
            ("user_id", text(self.user_id.as_str())),
            ("device_id", text(&self.device_id)),
            ("well_known_from_login", self.well_known.as_ref().map(|fields| Value::Object(fields.0.clone()))),
            ("base_client_url", self.homeserver.as_ref().map(|homeserver| homeserver.base_client_url().into())),
        ] {
            match value {
                Some(value) => object.insert(key.to_owned(), value),
                None => object.remove(key),
            };
        }
    }
}

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut stored = self.stored.0.clone();
        self.store_in(&mut stored);
        stored.serialize(serializer)
    }
}

/// Reads the stored form of somebody who is logged in; [`from_json`](Session::from_json) also takes that of nobody.
impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Only a `Value` is asked for: the errors of serde's other types quote what they found, which may be a token.
        let session = match Value::deserialize(deserializer)? {
            Value::Object(stored) => Self::from_stored(stored),
            _ => Err(not_an_object()),
        };
        session
            .and_then(|session| session.ok_or_else(|| invalid("access_token", "to be there: nobody is logged in")))
            .map_err(de::Error::custom)
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// When a lifetime ends, in nanoseconds since the epoch; `None` for an end that has no such number.
fn end(received_at: SystemTime, lifetime: Duration) -> Option<u64> {
    let end = received_at.checked_add(lifetime)?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(end.as_nanos()).ok()
}

fn not_an_object() -> Error {
    Error::invalid_input("stored session", "a JSON object")
}

fn invalid(key: &str, expected: &'static str) -> Error {
    Error::invalid_input(format!("`{key}` of the stored session"), expected)
}
