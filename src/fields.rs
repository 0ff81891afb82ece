//! JSON that this crate passes on and does not read.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::cursor::{Cursor, Member, NotJson};
use crate::invalid_input::InvalidInput;

/// Members of a JSON object that this crate passes on and does not read. They stay text until the caller asks for one,
/// so that they take no more memory than the response did.
///
/// Of members with the same name, the last one counts. [`get`](Self::get) and `Serialize` leave out a member that no
/// [`Value`] can hold (a number out of range, half a surrogate pair). Members can contain a secret, so `Debug` shows
/// only their number.
#[derive(Clone, Default)]
pub struct Fields {
    /// The text of an object, or nothing.
    text: Box<str>,
}

impl Fields {
    /// The member with this name. `None` if it does not exist, or if no [`Value`] can hold it.
    pub fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.text_of(name)?).ok()
    }

    /// The JSON text of the member with this name, to parse it as your own type. This also works for a member that no
    /// [`Value`] can hold.
    ///
    /// ```
    /// let fields: matrix_login::Fields = r#"{"org.example.limits": [1, 2]}"#.parse()?;
    /// assert_eq!(fields.text_of("org.example.limits"), Some("[1, 2]"));
    /// # Ok::<(), matrix_login::InvalidInput>(())
    /// ```
    pub fn text_of(&self, name: &str) -> Option<&str> {
        let mut found = None;
        self.each(&mut |cursor, key| {
            if key == name {
                found = Some(cursor.value()?);
            }
            Ok(())
        });
        found
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Reads an object, as [`Cursor::object`] does, and keeps the members that `read` has left. `None` if the value is
    /// not an object.
    pub(crate) fn left_of<'a>(
        cursor: &mut Cursor<'a>,
        read: &mut dyn FnMut(&mut Cursor<'a>, &str) -> Result<(), NotJson>,
    ) -> Result<Option<Self>, NotJson> {
        let mut text = String::new();
        let is_object = cursor.object(read, &mut |member| push(&mut text, member))?;
        Ok(is_object.then(|| Self { text: text.into() }))
    }

    /// Adds or replaces a member.
    pub(crate) fn insert(&mut self, name: &str, value: &impl Serialize) {
        // A JSON value always has a text.
        if let Ok(value) = serde_json::to_string(value) {
            self.insert_text(name, &value);
        }
    }

    /// Adds or replaces a member whose value is JSON text.
    pub(crate) fn insert_text(&mut self, name: &str, value: &str) {
        let mut text = String::from(self.without(&[name]).text);
        // A string always has a JSON text.
        if let Ok(key) = serde_json::to_string(name) {
            push(&mut text, (&key, value));
        }
        self.text = text.into();
    }

    /// The members whose names are not in `names`.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let mut leave_out =
            |cursor: &mut Cursor<'_>, key: &str| if names.contains(&key) { cursor.value().map(drop) } else { Ok(()) };
        // The text was an object when it was put together.
        Self::left_of(&mut Cursor::new(self.text()), &mut leave_out).ok().flatten().unwrap_or_default()
    }

    /// The text of the object.
    pub(crate) fn text(&self) -> &str {
        if self.is_empty() { "{}" } else { &self.text }
    }

    /// Reads the members one after the other.
    pub(crate) fn each<'a>(&'a self, read: &mut dyn FnMut(&mut Cursor<'a>, &str) -> Result<(), NotJson>) {
        // The text was an object when it was put together.
        let _ = Cursor::new(&self.text).object(read, &mut drop);
    }
}

/// Adds a member to the text of an object. An empty text becomes an object.
fn push(text: &mut String, (key, value): Member<'_>) {
    text.pop();
    // For an object with one member, this is the exact length.
    text.reserve(key.len().saturating_add(value.len()).saturating_add(3));
    for part in [if text.is_empty() { "{" } else { "," }, key, ":", value, "}"] {
        text.push_str(part);
    }
}

/// The members of a JSON object.
impl FromStr for Fields {
    type Err = InvalidInput;

    /// # Errors
    ///
    /// [`InvalidInput`] if the text is not one JSON object.
    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let mut cursor = Cursor::new(text);
        let fields = Self::left_of(&mut cursor, &mut |_, _| Ok(())).and_then(|fields| cursor.end().map(|()| fields));
        fields.ok().flatten().ok_or_else(|| InvalidInput::new("fields", "a JSON object"))
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(map: Map<String, Value>) -> Self {
        Self { text: if map.is_empty() { Box::default() } else { Value::Object(map).to_string().into() } }
    }
}

/// All members that a [`Value`] can hold.
impl From<&Fields> for Map<String, Value> {
    fn from(fields: &Fields) -> Self {
        let mut map = Self::new();
        fields.each(&mut |cursor, key| {
            match cursor.parsed()? {
                Some(value) => map.insert(key.to_owned(), value),
                None => map.remove(key),
            };
            Ok(())
        });
        map
    }
}

/// Serializes the members as their JSON text, unchanged. This works only for a JSON body: no other format can contain
/// JSON text as a part.
pub(crate) struct RawMembers<'a>(pub(crate) &'a Fields);

impl Serialize for RawMembers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw_members(self.0, serializer)
    }
}

/// The same as [`RawMembers`], as a function for `serialize_with`.
pub(crate) fn raw_members<S: Serializer>(fields: &Fields, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    let mut result = Ok(());
    fields.each(&mut |cursor, key| {
        if let (Ok(()), Some(value)) = (&result, cursor.parsed::<&RawValue>()?) {
            result = map.serialize_entry(key, value);
        }
        Ok(())
    });
    result?;
    map.end()
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Map::from(self).serialize(serializer)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut count: usize = 0;
        self.each(&mut |_, _| {
            count = count.saturating_add(1);
            Ok(())
        });
        write!(formatter, "[{count} fields]")
    }
}
