//! The ID of a device, as a part of an OAuth 2.0 scope
//! <https://spec.matrix.org/latest/client-server-api/#scope>

use std::fmt;

use crate::invalid_input::InvalidInput;

/// The ID of the device that an OAuth 2.0 login is for. The client chooses the ID, and it is a part of the scope.
///
/// ```
/// use matrix_login::DeviceId;
///
/// assert_eq!(DeviceId::new("KITCHENTABLET")?.as_str(), "KITCHENTABLET");
/// assert!(DeviceId::new("KITCHEN TABLET").is_err());
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceId(Box<str>);

impl DeviceId {
    /// Takes an ID that can be a part of a scope (RFC 6749, section 3.3): visible ASCII characters, without quotation
    /// marks and backslashes.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the ID is empty or contains any other character.
    pub fn new(device_id: impl Into<String>) -> Result<Self, InvalidInput> {
        let device_id = device_id.into();
        let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if device_id.is_empty() || !device_id.bytes().all(fits) {
            return Err(InvalidInput::new(
                "device ID",
                "visible ASCII characters, without quotation marks and backslashes: it is a part of the OAuth scope",
            ));
        }
        Ok(Self(device_id.into()))
    }

    /// The ID.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every server accepts this ID: it has at least 10 characters of `A-Z`, `a-z`, `0-9`, `-`, `.`, `_` and
    /// `~`, as the specification recommends. A flow requires such an ID: if a server refused another one, the page of
    /// the server would not say why.
    pub fn is_recommended(&self) -> bool {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        self.0.len() >= 10 && self.0.bytes().all(is_unreserved)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}
