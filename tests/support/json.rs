//! Checks that the crate reads a JSON text as `serde_json` reads it.

use std::{collections::BTreeMap, fmt};

use matrix_login::Fields;
use serde::{Deserialize, Deserializer, de::Visitor};
use serde_json::value::RawValue;

/// A key as bytes, because a key can contain half a surrogate pair, which no string can.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(String);

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

/// Both accept the same texts, and each value has the same text.
///
/// # Panics
///
/// If the two differ.
pub fn check(text: &str) {
    let ours = text.parse::<Fields>();
    let theirs = serde_json::from_str::<&RawValue>(text).ok().filter(|value| value.get().starts_with('{'));
    assert_eq!(ours.is_ok(), theirs.is_some(), "{text:?}: {ours:?} {theirs:?}");
    let (Ok(ours), Some(theirs)) = (ours, theirs) else { return };
    let theirs: BTreeMap<Key, &RawValue> = serde_json::from_str(theirs.get()).unwrap();
    assert_eq!(ours.is_empty(), theirs.is_empty(), "{text:?}");
    for (Key(key), value) in theirs {
        // A caller cannot ask for a key that contains half a surrogate pair.
        if !key.contains(char::REPLACEMENT_CHARACTER) {
            assert_eq!(ours.text_of(&key), Some(value.get()), "{text:?} {key:?}");
            assert_eq!(ours.get(&key), serde_json::from_str(value.get()).ok(), "{text:?} {key:?}");
        }
    }
}
