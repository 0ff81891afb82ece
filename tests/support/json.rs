//! What `serde_json` makes of a text, and what the crate makes of it: the same.

use std::{collections::BTreeMap, fmt};

use matrix_login::Fields;
use serde::{Deserialize, Deserializer, de::Visitor};
use serde_json::value::RawValue;

/// A key as bytes: so it can be read even where it is half a surrogate pair.
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
/// If not.
pub fn check(text: &str) {
    let ours = text.parse::<Fields>();
    let theirs = serde_json::from_str::<&RawValue>(text).ok().filter(|value| value.get().starts_with('{'));
    assert_eq!(ours.is_ok(), theirs.is_some(), "{text:?}: {ours:?} {theirs:?}");
    let (Ok(ours), Some(theirs)) = (ours, theirs) else { return };
    let theirs: BTreeMap<Key, &RawValue> = serde_json::from_str(theirs.get()).unwrap();
    assert_eq!(ours.is_empty(), theirs.is_empty(), "{text:?}");
    for (Key(key), value) in theirs {
        // Nobody can ask for a key that is half a surrogate pair.
        if !key.contains(char::REPLACEMENT_CHARACTER) {
            assert_eq!(ours.text_of(&key), Some(value.get()), "{text:?} {key:?}");
            assert_eq!(ours.get(&key), serde_json::from_str(value.get()).ok(), "{text:?} {key:?}");
        }
    }
}
