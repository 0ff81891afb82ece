//! The address that a browser comes back to, whatever it was sent out for.

use url::Url;

use crate::credentials::redirect::STATE;

/// The callback does not belong to the login that waits for one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the callback does not belong to this login: expected its `state`, once, and a `loginToken`")]
#[non_exhaustive]
pub struct ForeignCallback;

/// The state in a callback, for a web backend that finds the suspended flow by it. `None` unless there is exactly one.
pub fn state(callback: &Url) -> Option<String> {
    let mut states = callback.query_pairs().filter(|(name, _)| name == STATE);
    let (_, state) = states.next()?;
    states.next().is_none().then(|| state.into_owned())
}
