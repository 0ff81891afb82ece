//! Reading a JSON object field by field, so that a bad field spoils itself and nothing else.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::Response;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::endpoint::MAX_BODY;
use crate::fields::Fields;

/// A JSON object whose values have not been read yet. Even a value that no Rust type can hold (a number out of range,
/// half a surrogate pair, a thousand nested lists) is no harm as long as nobody asks for it.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Object<'a>(#[serde(borrow)] BTreeMap<Key, &'a RawValue>);

/// A key. As bytes it can be read even where a string cannot hold it (half a surrogate pair); nobody asks for such a
/// key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key(String);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(String::from_utf8_lossy(bytes).into_owned()))
            }
        }

        deserializer.deserialize_bytes(KeyVisitor)
    }
}

impl<'a> Object<'a> {
    /// Reads an object and nothing else: serde's derive would also take an array. The last of duplicate keys counts.
    pub(crate) fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Looks at a value; `None` if it is absent, null or of another type.
    pub(crate) fn get<T: Deserialize<'a>>(&self, key: &str) -> Option<T> {
        serde_json::from_str::<Option<T>>(self.0.get(key)?.get()).ok().flatten()
    }

    /// Takes a value out, so that it is not in the [rest](Self::rest), if it can be used or not.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self, key: &str) -> Option<T> {
        let value = self.get(key);
        self.0.remove(key);
        value
    }

    /// Takes a string that is not empty, and in which no byte had to be replaced: it may have to be sent back.
    pub(crate) fn take_text(&mut self, key: &str) -> Option<String> {
        self.take(key).filter(|text: &String| !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER))
    }

    pub(crate) fn take_flag(&mut self, key: &str) -> bool {
        self.take(key).unwrap_or(false)
    }

    pub(crate) fn take_whole_number(&mut self, key: &str) -> Option<u64> {
        whole_number(&self.take(key)?)
    }

    /// Takes a lifetime in milliseconds. One whose nanoseconds do not fit `u64`, which are 584 years, counts as absent:
    /// the stored form of a session has no room for its end.
    pub(crate) fn take_lifetime(&mut self, key: &str) -> Option<Duration> {
        let fits = |lifetime: &Duration| u64::try_from(lifetime.as_nanos()).is_ok();
        self.take_whole_number(key).map(Duration::from_millis).filter(fits)
    }

    /// Takes a number that may be fractional, rounded up; a negative one is zero, and one that is too large the
    /// largest.
    pub(crate) fn take_number_rounded_up(&mut self, key: &str) -> Option<u64> {
        let number: Number = self.take(key)?;
        number.as_u64().or_else(|| Some(to_u64(number.as_f64()?.ceil().max(0.0)).unwrap_or(u64::MAX)))
    }

    /// Takes a list; an entry of another type is left out.
    pub(crate) fn take_list<T: Deserialize<'a>>(&mut self, key: &str) -> Option<impl Iterator<Item = T>> {
        let entries: Vec<&'a RawValue> = self.take(key)?;
        Some(entries.into_iter().filter_map(|entry| serde_json::from_str(entry.get()).ok()))
    }

    /// What was not taken, as far as a [`Value`] can hold it.
    pub(crate) fn rest(self) -> Fields {
        let readable = |(key, raw): (Key, &RawValue)| Some((key.0, serde_json::from_str(raw.get()).ok()?));
        Fields(self.0.into_iter().filter_map(readable).collect::<Map<String, Value>>())
    }
}

/// The body as text, without a byte order mark, which static hosting sometimes adds, and without blanks before it. A
/// body that is too long is not read. Bytes that are no UTF-8 are replaced: they spoil the field that they are in.
pub(crate) fn json<B: AsRef<[u8]>>(response: &Response<B>) -> Cow<'_, str> {
    let body = response.body().as_ref();
    if body.len() > MAX_BODY {
        return Cow::default();
    }
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start())
}

/// A whole number that is not negative; `3600000.0` is one.
pub(crate) fn whole_number(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| to_u64(number.as_f64().filter(|float| float.fract() == 0.0)?))
}

/// A float that is whole as an integer, if it is one of `u64`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn to_u64(whole: f64) -> Option<u64> {
    // 2^64, the first that does not fit.
    (0.0..18_446_744_073_709_551_616.0).contains(&whole).then_some(whole as u64)
}
