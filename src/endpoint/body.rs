//! The body of a response as text, and the object in it.

use std::borrow::Cow;

use http::Response;

use crate::cursor::{Cursor, NotJson};
use crate::endpoint::MAX_BODY;
use crate::fields::Fields;

/// The text of a body.
pub(crate) struct Body<'a> {
    text: Cow<'a, str>,
}

impl<'a> Body<'a> {
    /// Takes the body of a response, without a byte order mark, which static hosting sometimes adds. A body that is too
    /// long is not read. Bytes that are not UTF-8 are replaced, so that they spoil only the field that contains them.
    pub(crate) fn of<B: AsRef<[u8]>>(response: &'a Response<B>) -> Self {
        let body = response.body().as_ref();
        let body = if body.len() > MAX_BODY { b"" } else { body };
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        Self { text: std::str::from_utf8(body).map_or_else(|_| Cow::Owned(replaced(body)), Cow::Borrowed) }
    }

    /// Reads a body that is exactly one object. Returns the members that `read` has left, or `None` if the body is
    /// other JSON than an object.
    pub(crate) fn object(
        &self,
        read: &mut dyn FnMut(&mut Cursor<'_>, &str) -> Result<(), NotJson>,
    ) -> Result<Option<Fields>, NotJson> {
        let mut cursor = Cursor::new(&self.text).with_replacements(matches!(self.text, Cow::Owned(_)));
        let left = Fields::left_of(&mut cursor, read)?;
        cursor.end().map(|()| left)
    }

    /// Whether this is text that a person can read, and is not compressed.
    pub(crate) fn is_readable(&self) -> bool {
        matches!(self.text, Cow::Borrowed(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()))
    }

    /// Whether this is an object, or at least its beginning.
    pub(crate) fn begins_an_object(&self) -> bool {
        self.text.trim_ascii_start().starts_with('{')
    }
}

/// A text with one replacement character for each run of bytes that are not UTF-8. With one character for each byte,
/// the text could be three times as long as the body.
fn replaced(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() && !text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}
