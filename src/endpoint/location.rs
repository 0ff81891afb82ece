//! The header `Location` of a redirect (RFC 9110, section 10.2.2).

use std::fmt;

use crate::shown::{one_line, without_secrets};

/// The target of a redirect, as the server sent it: an address, or a part of an address. `Display` and `Debug` leave
/// out user information, query and fragment, which can contain secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(pub(crate) String);

impl Location {
    /// The whole value of the header. Bytes that are not UTF-8 are replaced.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&one_line(&without_secrets(&self.0)))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&without_secrets(&self.0), formatter)
    }
}
