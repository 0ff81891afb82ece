//! What a client wants from every login, for all login types.

pub(crate) mod oauth_client;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::invalid_input::InvalidInput;
use crate::settings::oauth_client::OAuthClient;

/// Settings of a login, with defaults for a client that keeps its sessions alive.
///
/// ```
/// use matrix_login::LoginSettings;
///
/// let settings = LoginSettings::default()
///     .with_device_id("KITCHEN")?
///     .with_initial_device_display_name("the tablet in the kitchen");
/// assert_eq!(settings.device_id(), Some("KITCHEN"));
/// assert!(settings.refresh_tokens());
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
///
/// Settings serialize to an object with the settings that differ from the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
#[serde(default, deny_unknown_fields)]
pub struct LoginSettings {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "device_id")]
    device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_device_display_name: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    refresh_tokens: bool,
    #[serde(skip_serializing_if = "is_default")]
    require_refresh_token: bool,
    #[serde(skip_serializing_if = "is_default")]
    follow_well_known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<Box<OAuthClient>>,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            device_id: None,
            initial_device_display_name: None,
            refresh_tokens: true,
            require_refresh_token: true,
            follow_well_known: true,
            oauth: None,
        }
    }
}

impl LoginSettings {
    /// The ID of the device to log in as. It is a new ID, or the ID of a device whose access token is lost. Without an
    /// ID the homeserver makes a new device at every login. Then, if a response is lost and the login is sent again, an
    /// unused device stays in the user's list.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the ID is empty: a homeserver would make a device with an empty ID.
    pub fn with_device_id(self, device_id: impl Into<String>) -> Result<Self, InvalidInput> {
        let device_id = device_id.into();
        if device_id.is_empty() {
            return Err(InvalidInput::new("device ID", "at least one character; leave it out for a new device"));
        }
        Ok(self.with_known_device_id(device_id))
    }

    /// The same with the ID of a device that already exists.
    pub(crate) fn with_known_device_id(self, device_id: String) -> Self {
        Self { device_id: Some(device_id), ..self }
    }

    /// The name of the device that the user sees in the list of devices. The homeserver ignores it for a device that
    /// already exists.
    pub fn with_initial_device_display_name(self, name: impl Into<String>) -> Self {
        Self { initial_device_display_name: Some(name.into()), ..self }
    }

    /// Whether to ask for a refresh token (default: `true`). A client that does not ask must also set
    /// [`with_require_refresh_token(false)`](Self::with_require_refresh_token) if access tokens expire on the
    /// homeserver.
    pub fn with_refresh_tokens(self, refresh_tokens: bool) -> Self {
        Self { refresh_tokens, ..self }
    }

    /// Whether a flow refuses a session whose access token expires and that has no refresh token (default: `true`). The
    /// specification allows such sessions. They end when the access token expires.
    pub fn with_require_refresh_token(self, require_refresh_token: bool) -> Self {
        Self { require_refresh_token, ..self }
    }

    /// Whether the session moves to the homeserver in the `well_known` of the login response (default: `true`). The
    /// session moves to plain http only within the same origin, or from loopback to loopback: see
    /// [`Homeserver::may_name`](crate::Homeserver::may_name).
    pub fn with_follow_well_known(self, follow_well_known: bool) -> Self {
        Self { follow_well_known, ..self }
    }

    /// Uses the OAuth 2.0 API, as this client, if the homeserver has that API. Without this setting, a flow does not
    /// ask for the OAuth 2.0 API.
    ///
    /// An OAuth login needs a [device ID](Self::with_device_id) of at least 10 characters of `A-Z`, `a-z`, `0-9`, `-`,
    /// `.`, `_` and `~`.
    pub fn with_oauth(self, client: OAuthClient) -> Self {
        Self { oauth: Some(Box::new(client)), ..self }
    }

    /// The [device](Self::with_device_id) to log in as.
    pub fn device_id(&self) -> Option<&str> {
        self.device_id.as_deref()
    }

    /// What the user [sees](Self::with_initial_device_display_name) in the list of devices.
    pub fn initial_device_display_name(&self) -> Option<&str> {
        self.initial_device_display_name.as_deref()
    }

    /// Whether to [ask](Self::with_refresh_tokens) for a refresh token.
    pub fn refresh_tokens(&self) -> bool {
        self.refresh_tokens
    }

    /// Whether a session that cannot be refreshed is [refused](Self::with_require_refresh_token).
    pub fn require_refresh_token(&self) -> bool {
        self.require_refresh_token
    }

    /// Whether the session [moves](Self::with_follow_well_known) to the homeserver that the response names.
    pub fn follow_well_known(&self) -> bool {
        self.follow_well_known
    }

    /// The client of the [OAuth 2.0 API](Self::with_oauth). `None` if a flow does not ask for that API.
    pub fn oauth(&self) -> Option<&OAuthClient> {
        self.oauth.as_deref()
    }
}

/// All flags are on by default.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default(flag: &bool) -> bool {
    *flag
}

/// A stored device ID must follow the same rule as a device ID that a caller sets.
fn device_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let settings = match Option::<String>::deserialize(deserializer)? {
        Some(device_id) => LoginSettings::default().with_device_id(device_id).map_err(de::Error::custom)?,
        None => LoginSettings::default(),
    };
    Ok(settings.device_id)
}
