//! A cursor over JSON text. It makes one pass, and a value that is not read stays text.
//!
//! The cursor knows objects, lists and plain strings. `serde_json` reads every other value.
//!
//! A value that cannot be used is `Ok(None)`: the cursor skips it, and it spoils nothing else. Such a value has another
//! type than the caller asked for, or no Rust type can hold it (a number out of range, half a surrogate pair, a
//! thousand nested lists).

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

/// The text is not JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotJson;

/// A position in JSON text, before a value or after the last one.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Whether the text contains replacements for bytes that were not UTF-8.
    replaced: bool,
}

/// A member of an object that was not read: the text of its key with the quotes, and the text of its value.
pub(crate) type Member<'a> = (&'a str, &'a str);

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, replaced: false }
    }

    /// Says whether bytes of the text were replaced.
    pub(crate) fn with_replacements(self, replaced: bool) -> Self {
        Self { replaced, ..self }
    }

    /// Reads an object. The cursor calls `read` with each key. `read` reads the value, or leaves it. The cursor calls
    /// `left` with each member that `read` has left. Duplicate keys come in the order of the text. Returns whether the
    /// value is an object.
    pub(crate) fn object(
        &mut self,
        read: &mut dyn FnMut(&mut Self, &str) -> Result<(), NotJson>,
        left: &mut dyn FnMut(Member<'a>),
    ) -> Result<bool, NotJson> {
        self.elements(b'{', b'}', &mut |cursor| {
            let start = cursor.at;
            let key = cursor.quoted()?;
            let key_text = cursor.text.get(start..cursor.at).ok_or(NotJson)?;
            cursor.eat(b':')?;
            cursor.skip_space();
            let value = cursor.at;
            // A key with half a surrogate pair is not text. No caller can ask for it, so it is always left.
            if let Some(key) = key {
                read(cursor, &key)?;
            }
            if cursor.at == value {
                left((key_text, cursor.value()?));
            }
            Ok(())
        })
    }

    /// Reads a list. The cursor calls `read` at each value, and `read` must read it. Returns whether the value is a
    /// list.
    pub(crate) fn list(&mut self, read: &mut dyn FnMut(&mut Self) -> Result<(), NotJson>) -> Result<bool, NotJson> {
        self.elements(b'[', b']', read)
    }

    /// The text of any value.
    pub(crate) fn value(&mut self) -> Result<&'a str, NotJson> {
        let rest = self.text.get(self.at..).ok_or(NotJson)?;
        // A shortcut: it saves 300 instructions for each flag.
        if let Some(literal) = ["true", "false", "null"]
            .iter()
            .find_map(|literal| rest.get(..literal.len()).filter(|text| text == literal))
        {
            self.at = self.at.saturating_add(literal.len());
            return Ok(literal);
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let value = values.next().and_then(Result::ok).ok_or(NotJson)?;
        self.at = self.at.saturating_add(values.byte_offset());
        Ok(value.get())
    }

    /// A value of a type that `serde_json` can read.
    pub(crate) fn parsed<T: Deserialize<'a>>(&mut self) -> Result<Option<T>, NotJson> {
        self.value().map(|text| serde_json::from_str(text).ok())
    }

    /// A string.
    pub(crate) fn string(&mut self) -> Result<Option<Cow<'a, str>>, NotJson> {
        if self.peek() == Some(b'"') { self.quoted() } else { self.value().map(|_| None) }
    }

    /// A string that is not empty, and in which no byte was replaced: the client might send it back, and then it must
    /// be unchanged.
    pub(crate) fn text(&mut self) -> Result<Option<Cow<'a, str>>, NotJson> {
        let text = self.string()?.filter(|text| !text.is_empty());
        Ok(text.filter(|text| !self.replaced || !text.contains(char::REPLACEMENT_CHARACTER)))
    }

    /// Whether the value is `null`, without reading it.
    pub(crate) fn is_null(&self) -> bool {
        self.text.get(self.at..).is_some_and(|value| value.starts_with("null"))
    }

    /// Whether the value is `true`.
    pub(crate) fn flag(&mut self) -> Result<bool, NotJson> {
        Ok(self.value()? == "true")
    }

    /// A whole number that is not negative; `3600000.0` is one.
    pub(crate) fn whole_number(&mut self) -> Result<Option<u64>, NotJson> {
        Ok(self.parsed()?.and_then(|number| whole_number(&number)))
    }

    /// A lifetime in milliseconds. A lifetime over 584 years is treated as absent: its nanoseconds do not fit `u64`, so
    /// the stored form of a session has no room for its end.
    pub(crate) fn lifetime(&mut self) -> Result<Option<Duration>, NotJson> {
        Ok(self.whole_number()?.map(Duration::from_millis).filter(fits))
    }

    /// The same as [`lifetime`](Self::lifetime), in seconds.
    pub(crate) fn lifetime_in_seconds(&mut self) -> Result<Option<Duration>, NotJson> {
        Ok(self.whole_number()?.map(Duration::from_secs).filter(fits))
    }

    /// A number, rounded up. A negative number becomes zero. A number that is too large becomes the largest `u64`.
    pub(crate) fn number_rounded_up(&mut self) -> Result<Option<u64>, NotJson> {
        let rounded_up = |number: Number| {
            number.as_u64().or_else(|| Some(to_u64(number.as_f64()?.ceil().max(0.0)).unwrap_or(u64::MAX)))
        };
        Ok(self.parsed()?.and_then(rounded_up))
    }

    /// Checks that only space is left.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_none() { Ok(()) } else { Err(NotJson) }
    }

    /// Reads elements between two brackets, with commas between them. Returns whether the value starts with `open`.
    fn elements(
        &mut self,
        open: u8,
        close: u8,
        element: &mut dyn FnMut(&mut Self) -> Result<(), NotJson>,
    ) -> Result<bool, NotJson> {
        if self.peek() != Some(open) {
            return self.value().map(|_| false);
        }
        self.eat(open)?;
        if self.peek() != Some(close) {
            loop {
                self.skip_space();
                element(self)?;
                if self.peek() != Some(b',') {
                    break;
                }
                self.eat(b',')?;
            }
        }
        self.eat(close).map(|()| true)
    }

    /// A string whose first quote comes next. The result borrows a string without escapes.
    fn quoted(&mut self) -> Result<Option<Cow<'a, str>>, NotJson> {
        let inside = self.at.saturating_add(1);
        let rest = self.text.get(inside..).ok_or(NotJson)?;
        let length = plain_length(rest.as_bytes());
        if self.text.as_bytes().get(self.at) == Some(&b'"') && rest.as_bytes().get(length) == Some(&b'"') {
            self.at = inside.saturating_add(length).saturating_add(1);
            return Ok(rest.get(..length).map(Cow::Borrowed));
        }
        let text = self.value()?;
        if !text.starts_with('"') {
            return Err(NotJson);
        }
        Ok(serde_json::from_str(text).ok().map(Cow::Owned))
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.as_bytes().get(self.at) {
            self.at = self.at.saturating_add(1);
        }
    }

    /// The next byte that is not space.
    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, expected: u8) -> Result<(), NotJson> {
        if self.peek() != Some(expected) {
            return Err(NotJson);
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }
}

/// How many bytes of a string come before its end, an escape or a control character. The loop reads eight bytes at a
/// time, since strings are most of a body.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of each byte that is zero. Bytes after the first zero can have it set by mistake.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut length: usize = 0;
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let controls = word.wrapping_sub(ONES.wrapping_mul(0x20)) & !word & HIGHS;
        let special = zeros(word ^ ONES.wrapping_mul(0x22)) | zeros(word ^ ONES.wrapping_mul(0x5c)) | controls;
        if special != 0 {
            let index = special.trailing_zeros() / 8;
            return length.saturating_add(usize::try_from(index).unwrap_or(0));
        }
        length = length.saturating_add(8);
        rest = after;
    }
    let plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    length.saturating_add(rest.iter().take_while(plain).count())
}

/// A whole number that is not negative; `3600000.0` is one.
pub(crate) fn whole_number(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| to_u64(number.as_f64().filter(|float| float.fract() == 0.0)?))
}

/// A whole float as an integer, if it fits `u64`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn to_u64(whole: f64) -> Option<u64> {
    // The upper end is 2^64, the first number that does not fit.
    (0.0..18_446_744_073_709_551_616.0).contains(&whole).then_some(whole as u64)
}

/// Whether the nanoseconds of a lifetime fit the stored form of a session.
fn fits(lifetime: &Duration) -> bool {
    u64::try_from(lifetime.as_nanos()).is_ok()
}
