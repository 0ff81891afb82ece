//! What a caller gave and what cannot be used.

use std::borrow::Cow;

/// A value, a setting or a choice that is not valid. The message says which one and what was expected. It never quotes
/// the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field}: expected {expected}")]
#[non_exhaustive]
pub struct InvalidInput {
    /// Which value, such as `homeserver`.
    pub field: Cow<'static, str>,
    /// What it should be.
    pub expected: &'static str,
}

impl InvalidInput {
    /// For a program that checks values of its own and reports them in the same way.
    pub fn new(field: impl Into<Cow<'static, str>>, expected: &'static str) -> Self {
        Self { field: field.into(), expected }
    }
}
