//! What a client wants of every login, whatever the login type.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::invalid_input::InvalidInput;

/// Settings of a login, with defaults for a client that keeps its sessions alive.
///
/// ```
/// use matrix_login::LoginSettings;
///
/// let settings = LoginSettings::default()
///     .device_id("KITCHEN")?
///     .initial_device_display_name("the tablet in the kitchen");
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginSettings {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "device_id")]
    pub(crate) device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) initial_device_display_name: Option<String>,
    pub(crate) refresh_tokens: bool,
    pub(crate) require_refresh_token: bool,
    pub(crate) follow_well_known: bool,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            device_id: None,
            initial_device_display_name: None,
            refresh_tokens: true,
            require_refresh_token: true,
            follow_well_known: true,
        }
    }
}

impl LoginSettings {
    /// The device to log in as: a new one, or one whose access token is lost. Without it the homeserver makes a new
    /// device at every login, so that a login that is repeated because its answer was lost leaves a device behind.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if it is empty: a homeserver would make a device whose ID is empty.
    pub fn device_id(self, device_id: impl Into<String>) -> Result<Self, InvalidInput> {
        let device_id = device_id.into();
        if device_id.is_empty() {
            return Err(InvalidInput::new("device ID", "at least one character; leave it out for a new device"));
        }
        Ok(Self { device_id: Some(device_id), ..self })
    }

    /// What the user sees in the list of devices. The homeserver ignores it for a device that it knows.
    #[must_use]
    pub fn initial_device_display_name(self, name: impl Into<String>) -> Self {
        Self { initial_device_display_name: Some(name.into()), ..self }
    }

    /// Whether to ask for a refresh token (`true`). Who does not, and logs in where access tokens expire, has to accept
    /// logins without one, too: [`require_refresh_token`](Self::require_refresh_token).
    #[must_use]
    pub fn refresh_tokens(self, wanted: bool) -> Self {
        Self { refresh_tokens: wanted, ..self }
    }

    /// Whether the flow refuses a login whose access token expires and that brings no refresh token (`true`), with
    /// [`Error::MissingRefreshToken`]. The specification allows such logins; they end when the token expires.
    #[must_use]
    pub fn require_refresh_token(self, required: bool) -> Self {
        Self { require_refresh_token: required, ..self }
    }

    /// Whether the session moves to the homeserver that the login answer's `well_known` names (`true`). It never moves
    /// from https to http.
    #[must_use]
    pub fn follow_well_known(self, follow: bool) -> Self {
        Self { follow_well_known: follow, ..self }
    }
}

/// A device ID that was stored is held to the same rule as one that is set.
fn device_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let settings = match Option::<String>::deserialize(deserializer)? {
        Some(device_id) => LoginSettings::default().device_id(device_id).map_err(de::Error::custom)?,
        None => LoginSettings::default(),
    };
    Ok(settings.device_id)
}
