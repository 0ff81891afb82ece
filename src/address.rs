//! Addresses, which are checked once, when they enter.

pub(crate) mod homeserver;
pub(crate) mod server_name;
pub(crate) mod text_traits;
pub(crate) mod user_id;

use http::Uri;

/// The URI of a text that is known to be one. The default is never taken: the address types were only accepted because
/// this succeeds. If it were, nothing could be sent, since the default names no server.
pub(crate) fn uri(text: String) -> Uri {
    Uri::try_from(text).unwrap_or_default()
}
