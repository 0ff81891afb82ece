//! The ID of a user.

use std::str::FromStr;

use crate::address::server_name::{self, ServerName};
use crate::address::text_traits::text_traits;
use crate::invalid_input::InvalidInput;

/// A user ID (specification, appendix "User Identifiers"): `@localpart:server_name`.
///
/// The specification requires clients to accept historical localparts too. Those can contain any characters except `:`
/// and NUL, capitals too, and can be empty.
///
/// ```
/// let user_id: matrix_login::UserId = "@alice:example.org:8448".parse()?;
/// assert_eq!(user_id.localpart(), "alice");
/// assert_eq!(user_id.server_name().as_str(), "example.org:8448");
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    id: Box<str>,
}

text_traits!(UserId);

impl UserId {
    /// The whole user ID.
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// The part between the `@` and the first colon.
    pub fn localpart(&self) -> &str {
        split(&self.id).map_or("", |(localpart, _)| localpart)
    }

    /// The part after the first colon: the name of the server that has the account.
    pub fn server_name(&self) -> ServerName {
        let server_name = split(&self.id).map_or("", |(_, server_name)| server_name);
        ServerName::of_user(server_name)
    }
}

impl FromStr for UserId {
    type Err = InvalidInput;

    /// # Errors
    ///
    /// [`InvalidInput`] if the text has no `@` at its start, no colon, a NUL, or an invalid server name.
    fn from_str(id: &str) -> Result<Self, InvalidInput> {
        let valid = split(id).is_some_and(|(localpart, server_name)| {
            !localpart.contains('\0') && server_name::split_port(server_name).is_some()
        });
        if !valid {
            let expected = "an @, a name, a colon and a server name, such as @alice:example.org";
            return Err(InvalidInput::new("user ID", expected));
        }
        Ok(Self { id: id.into() })
    }
}

fn split(id: &str) -> Option<(&str, &str)> {
    id.strip_prefix('@')?.split_once(':')
}
