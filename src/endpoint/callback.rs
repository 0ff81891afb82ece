//! A callback: the address that a browser comes back to, after single sign-on or OAuth 2.0.

use std::borrow::Cow;

use url::{Url, form_urlencoded};

use crate::credentials::redirect::STATE;

/// The callback does not belong to the login that waits for a callback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the callback does not belong to this login: {problem}; keep waiting for the right callback")]
#[non_exhaustive]
pub struct ForeignCallback {
    /// What is wrong with the callback.
    pub problem: &'static str,
}

impl ForeignCallback {
    pub(crate) fn new(problem: &'static str) -> Self {
        Self { problem }
    }
}

/// The state in a callback. A web backend finds the suspended flow by its state. This function works for single sign-on
/// and for OAuth 2.0, whose parameters can be in the fragment. `None` unless the callback contains exactly one state. A
/// state without a value is treated as absent.
pub fn state(callback: &Url) -> Option<String> {
    let has_value = |(_, value): &(Cow<'_, str>, Cow<'_, str>)| !value.is_empty();
    let is_in_query = callback.query_pairs().filter(has_value).any(|(name, _)| name == STATE);
    if is_in_query {
        only_state(callback.query_pairs().filter(has_value))
    } else {
        only_state(fragment_pairs(callback).filter(has_value))
    }
}

/// The state in the query. The fragment does not count.
pub(crate) fn state_in_query(callback: &Url) -> Option<String> {
    only_state(callback.query_pairs())
}

/// The parameters in the fragment. An empty fragment contains no parameters.
pub(crate) fn fragment_pairs(callback: &Url) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(callback.fragment().unwrap_or_default().as_bytes())
}

fn only_state<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Option<String> {
    let mut states = pairs.filter(|(name, _)| name == STATE);
    let (_, state) = states.next()?;
    states.next().is_none().then(|| state.into_owned())
}
