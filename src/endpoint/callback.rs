//! The address that a browser comes back to, whatever it was sent out for.

use std::borrow::Cow;

use url::{Url, form_urlencoded};

use crate::credentials::redirect::STATE;

/// The callback does not belong to the login that waits for one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the callback does not belong to this login: {problem}")]
#[non_exhaustive]
pub struct ForeignCallback {
    /// What is wrong with it.
    pub problem: &'static str,
}

impl ForeignCallback {
    pub(crate) fn new(problem: &'static str) -> Self {
        Self { problem }
    }
}

/// The state in a callback, for a web backend that finds the suspended flow by it. It works for single sign-on and for
/// OAuth 2.0, whose parameters can be in the fragment. `None` unless there is exactly one state. One without a value
/// counts as absent.
pub fn state(callback: &Url) -> Option<String> {
    let has_value = |(_, value): &(Cow<'_, str>, Cow<'_, str>)| !value.is_empty();
    let is_in_query = callback.query_pairs().filter(has_value).any(|(name, _)| name == STATE);
    if is_in_query {
        only_state(callback.query_pairs().filter(has_value))
    } else {
        only_state(fragment_pairs(callback).filter(has_value))
    }
}

/// The state in the query alone.
pub(crate) fn state_in_query(callback: &Url) -> Option<String> {
    only_state(callback.query_pairs())
}

/// The parameters in the fragment. A fragment that is empty has none.
pub(crate) fn fragment_pairs(callback: &Url) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(callback.fragment().unwrap_or_default().as_bytes())
}

fn only_state<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Option<String> {
    let mut states = pairs.filter(|(name, _)| name == STATE);
    let (_, state) = states.next()?;
    states.next().is_none().then(|| state.into_owned())
}
