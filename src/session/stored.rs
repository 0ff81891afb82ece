//! Writes a session to storage, and reads it back.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::address::homeserver::Homeserver;
use crate::credentials::secret::{AccessToken, RefreshToken};
use crate::cursor::whole_number;
use crate::fields::Fields;
use crate::invalid_input::InvalidInput;
use crate::session::Session;
use crate::session::attempts::Attempts;
use crate::session::origin::Origin;

impl Session {
    /// Reads the stored form. `None` for an object without an access token, such as `{}`: no user is logged in.
    ///
    /// `access_token`, `user_id`, `device_id` and `oauth` must be usable. Any other key of the [list](Session) that
    /// cannot be used is treated as absent. Keys that are not in the list are kept.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// let stored = r#"{"access_token": "t", "user_id": "@alice:example.org",
    ///     "device_id": "KITCHEN"}"#;
    /// let session = Session::from_json(stored)?.expect("it contains a session");
    /// assert_eq!(session.device_id(), "KITCHEN");
    /// // No user is logged in:
    /// assert!(Session::from_json("{}")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the text is not a JSON object, or if `access_token`, `user_id` or `device_id` cannot be
    /// used. Also if `oauth` is not null and cannot be used: without it, the tokens would go to the endpoints of the
    /// legacy API.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Option<Self>, InvalidInput> {
        let json = std::str::from_utf8(json.as_ref()).map_err(|_| not_an_object())?;
        let stored: Fields = json.parse().map_err(|_| not_an_object())?;
        // A value that no Rust type can hold exists, but cannot be used.
        let usable = |text| serde_json::from_str(text).unwrap_or_default();
        let take = |key| stored.text_of(key).filter(|text| *text != "null").map(usable);
        let Some(access_token) = take("access_token") else { return Ok(None) };
        // These tokens belong to other endpoints. As a session of the legacy API, this one could never be ended.
        let oauth = take("oauth").map(|value| Origin::from_value(&value).map(Box::new));
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
            well_known: stored.text_of("well_known_from_login").and_then(|text| text.parse().ok()),
            homeserver: take("base_client_url")
                .and_then(text)
                .and_then(|url| Homeserver::from_base_client_url(&url).ok()),
            other: Fields::default(),
            stored: stored.without(&KEYS),
            attempts: Attempts::default(),
            oauth: oauth.transpose()?,
        }))
    }

    /// Writes the stored form, **with its secrets**. Keys that are not in the [list](Session) are written unchanged.
    ///
    /// ```
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let stored = session.to_json();
    /// assert!(Session::from_json(stored)?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self) -> String {
        let mut listed = Map::new();
        self.store_in(&mut listed);
        let mut fields = self.stored.clone();
        for (key, value) in &listed {
            fields.insert(key, value);
        }
        if let Some(well_known) = &self.well_known {
            fields.insert_text("well_known_from_login", well_known.text());
        }
        fields.text().to_owned()
    }

    /// Writes the stored form into an object that can also contain other keys. The other keys stay unchanged. A key of
    /// the [list](Session) without a value is removed, since it would belong to another session.
    ///
    /// ```
    /// use serde_json::Map;
    /// use matrix_login::Session;
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let mut file = Map::new();
    /// file.insert("theme".to_owned(), "dark".into());
    /// session.store_in(&mut file);
    /// assert!(file.contains_key("access_token") && file.contains_key("theme"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store_in(&self, object: &mut Map<String, Value>) {
        let text = |text: &str| Some(Value::from(text));
        let values = [
            text(self.access_token.expose()),
            self.valid_until.map(Value::from),
            self.refresh_token.as_ref().and_then(|token| text(token.expose())),
            text(self.user_id.as_str()),
            text(&self.device_id),
            self.well_known.as_ref().map(|fields| Value::Object(fields.into())),
            self.homeserver.as_ref().map(|homeserver| homeserver.base_client_url().into()),
            self.oauth.as_ref().map(|origin| origin.to_value()),
        ];
        for (key, value) in KEYS.into_iter().zip(values) {
            match value {
                Some(value) => object.insert(key.to_owned(), value),
                None => object.remove(key),
            };
        }
    }
}

/// The keys of the stored form, in the order in which [`Session::store_in`] writes their values.
const KEYS: [&str; 8] = [
    "access_token",
    "access_token_valid_until",
    "refresh_token",
    "user_id",
    "device_id",
    "well_known_from_login",
    "base_client_url",
    "oauth",
];

/// Writes the stored form with serde's values, which cannot hold everything that JSON can. So a part of the other keys,
/// such as the last digit of a long fraction, can be lost. [`to_json`](Session::to_json) keeps it.
impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut stored = Map::from(&self.stored);
        self.store_in(&mut stored);
        stored.serialize(serializer)
    }
}

/// Reads the stored form of a session. An object without an access token is an error. Values that serde cannot hold are
/// errors too: only [`from_json`](Session::from_json) reads everything that [`to_json`](Session::to_json) writes.
impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // This reads only a `Value`: the errors of serde's other types quote the value, which can be a token.
        let value = Value::deserialize(deserializer)?;
        let session = Self::from_json(value.to_string()).map_err(de::Error::custom)?;
        session.ok_or_else(|| de::Error::custom(invalid("access_token", "a value: without it, no user is logged in")))
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text).filter(|text| !text.is_empty()) } else { None }
}

fn not_an_object() -> InvalidInput {
    InvalidInput::new("stored session", "a JSON object")
}

fn invalid(key: &str, expected: &'static str) -> InvalidInput {
    InvalidInput::new(format!("`{key}` of the stored session"), expected)
}
