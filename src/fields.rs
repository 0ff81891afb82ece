//! JSON whose meaning only its owner knows.

use std::ops::Deref;

use serde::Serialize;
use serde_json::{Map, Value};

/// JSON fields that this crate carries but does not read. Since they may hold a secret, `Debug` only counts them.
#[derive(Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Fields(pub Map<String, Value>);

impl Deref for Fields {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "[{} fields]", self.0.len())
    }
}
