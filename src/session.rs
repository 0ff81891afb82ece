//! A session: what a login leaves behind, in memory and in storage.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, header};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use url::Url;

use crate::{AccessToken, Error, Fields, Homeserver, LoginSettings, RefreshToken, UserId, endpoint::login};

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
    answer: Fields,
    /// Keys of the stored form that the crate does not know.
    stored: Fields,
}

impl Session {
    /// Reads the stored form. `None` if it is an object without an access token, as `{}` is: nobody is logged in.
    ///
    /// Other optional keys that cannot be used count as absent and are kept until there is something to write there.
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
        if stored.get("access_token").is_none_or(Value::is_null) {
            return Ok(None);
        }
        let access_token = take(&mut stored, "access_token", |value| AccessToken::new(value.as_str()?).ok());
        let access_token =
            access_token.ok_or_else(|| invalid("`access_token`", "a string of visible ASCII characters"))?;
        let user_id = take(&mut stored, "user_id", |value| value.as_str()?.parse().ok());
        let user_id = user_id.ok_or_else(|| invalid("`user_id`", "a user ID, such as @alice:example.org"))?;
        let device_id = take(&mut stored, "device_id", text);
        let device_id = device_id.ok_or_else(|| invalid("`device_id`", "a string that is not empty"))?;
        Ok(Some(Self {
            homeserver: take(&mut stored, "base_client_url", |value| Homeserver::from_base_client_url(value.as_str()?)),
            user_id,
            device_id,
            access_token,
            valid_until: take(&mut stored, "access_token_valid_until", Value::as_u64),
            refresh_token: take(&mut stored, "refresh_token", text).map(RefreshToken::new),
            well_known: take(&mut stored, "well_known_from_login", |value| value.as_object().cloned()).map(Fields),
            answer: Fields::default(),
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
        let mut answer = response.other;
        if let Some(home_server) = response.home_server {
            answer.0.insert("home_server".to_owned(), home_server.into());
        }
        Self {
            homeserver: Some(homeserver),
            user_id: response.user_id,
            device_id: response.device_id,
            access_token: response.access_token,
            valid_until: response.expires_in.and_then(|lifetime| end(received_at, lifetime)),
            refresh_token: response.refresh_token,
            well_known: response.well_known,
            answer,
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
    pub fn answer(&self) -> &Fields {
        &self.answer
    }

    /// When the access token expires, if it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_nanos(self.valid_until?))
    }

    /// Whether the access token has expired at a given time, or will within a margin after it. A session whose token
    /// does not expire never has.
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
        let Some(homeserver) = &self.homeserver else {
            return Err(Error::invalid_input(
                "session",
                "a homeserver: discover the server of its user ID, then set it",
            ));
        };
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

    /// Whether the access token expires and nothing can buy the next one.
    pub(crate) fn ends_for_good(&self) -> bool {
        self.valid_until.is_some() && self.refresh_token.is_none()
    }

    fn to_stored(&self) -> Map<String, Value> {
        let mut stored = self.stored.0.clone();
        let mut put = |key: &str, value: Option<Value>| value.and_then(|value| stored.insert(key.to_owned(), value));
        put("access_token", Some(self.access_token.expose().into()));
        put("access_token_valid_until", self.valid_until.map(Value::from));
        put("refresh_token", self.refresh_token.as_ref().map(|token| token.expose().into()));
        put("user_id", Some(self.user_id.as_str().into()));
        put("device_id", Some(self.device_id.as_str().into()));
        put("well_known_from_login", self.well_known.as_ref().map(|fields| Value::Object(fields.0.clone())));
        put("base_client_url", self.homeserver.as_ref().map(|homeserver| homeserver.base_client_url().into()));
        stored
    }
}

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_stored().serialize(serializer)
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
            .and_then(|session| session.ok_or_else(|| invalid("`access_token`", "to be there: nobody is logged in")))
            .map_err(de::Error::custom)
    }
}

/// Takes a value out if it can be used. Null is no value; anything else that cannot be used stays where it is.
fn take<T>(stored: &mut Map<String, Value>, key: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
    let value = stored.get(key)?;
    let taken = read(value);
    if taken.is_some() || value.is_null() {
        stored.remove(key);
    }
    taken
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
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
    Error::invalid_input(format!("{key} of the stored session"), expected)
}
