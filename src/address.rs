//! Addresses. Each one is checked once, when it is parsed.

pub(crate) mod homeserver;
pub(crate) mod https_url;
pub(crate) mod server_name;
pub(crate) mod text_traits;
pub(crate) mod third_party;
pub(crate) mod typed;
pub(crate) mod user_id;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use url::Host;

/// The URI of an endpoint, from valid parts. An address type accepts a text only if a URI can be made of it, so the
/// default is never used. If it ever were, nothing could be sent to the wrong place: the default contains no server.
///
/// `prefix` is the path of the homeserver's base URL.
pub(crate) fn uri(scheme: Scheme, authority: &str, prefix: &str, path: &'static str) -> Uri {
    let path = match prefix {
        "" => Some(PathAndQuery::from_static(path)),
        _ => PathAndQuery::try_from(format!("{prefix}{path}")).ok(),
    };
    let mut parts = Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Authority::try_from(authority).ok();
    parts.path_and_query = path;
    Uri::from_parts(parts).unwrap_or_default()
}

/// Whether a host is this machine: `localhost`, 127.0.0.0/8 or `::1`.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => *name == "localhost",
    }
}
