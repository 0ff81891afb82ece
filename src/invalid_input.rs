//! The error for a value of the caller's that cannot be used.

use std::borrow::Cow;

/// A value, a setting or a choice that is not valid. The message says which one and what was expected. It never quotes
/// the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field}: expected {expected}")]
#[non_exhaustive]
pub struct InvalidInput {
    /// The name of the value, such as `homeserver`.
    pub field: Cow<'static, str>,
    /// What the value should be.
    pub expected: &'static str,
}

impl InvalidInput {
    /// Makes an error, for a program that checks its own values and reports them in the same way.
    pub fn new(field: impl Into<Cow<'static, str>>, expected: &'static str) -> Self {
        Self { field: field.into(), expected }
    }
}
