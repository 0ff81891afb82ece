//! An identity provider of `GET /_matrix/client/v3/login`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3login>

use std::fmt;

use crate::cursor::{Cursor, NotJson};

/// An identity provider for single sign-on (specification, "Client login via SSO").
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// The ID, the name, the icon and the brand, one after the other. With one text instead of four, a list of a
    /// thousand providers takes a third of the memory.
    text: Box<str>,
    /// The ends of the first three parts, in bytes.
    ends: [usize; 3],
}

impl IdentityProvider {
    /// Reads an entry of the list. `None` if it has no ID.
    pub(crate) fn read<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Self>, NotJson> {
        let (mut id, mut name, mut icon, mut brand) = Default::default();
        let mut read = |cursor: &mut Cursor<'a>, key: &str| {
            let known = match key {
                "id" => &mut id,
                "name" => &mut name,
                "icon" => &mut icon,
                "brand" => &mut brand,
                _ => return Ok(()),
            };
            *known = cursor.text()?.unwrap_or_default();
            Ok(())
        };
        cursor.object(&mut read, &mut drop)?;
        Ok(if id.is_empty() { None } else { Some(Self::new([&id, &name, &icon, &brand])) })
    }

    fn new(parts: [&str; 4]) -> Self {
        let [id, name, icon, _] = parts.map(str::len);
        let name_end = id.saturating_add(name);
        Self { text: parts.concat().into(), ends: [id, name_end, name_end.saturating_add(icon)] }
    }

    /// The part with this index. An empty part is absent.
    fn part(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(index).copied().unwrap_or(self.text.len());
        self.text.get(start..end).filter(|part| !part.is_empty())
    }

    /// The ID, for [`Redirect::with_identity_provider`](crate::Redirect::with_identity_provider).
    pub fn id(&self) -> &str {
        self.part(0).unwrap_or_default()
    }

    /// The name to show, or the ID if the server gives no name.
    pub fn name(&self) -> &str {
        self.part(1).unwrap_or_else(|| self.id())
    }

    /// The address of a picture: an `mxc:` URI, or from some servers an https URL.
    pub fn icon(&self) -> Option<&str> {
        self.part(2)
    }

    /// The style of the button, such as `github`.
    pub fn brand(&self) -> Option<&str> {
        self.part(3)
    }
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IdentityProvider")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("icon", &self.icon())
            .field("brand", &self.brand())
            .finish()
    }
}
