//! The base URL of a homeserver's client-server API.

use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;
use url::Url;

use crate::address::text_traits::text_traits;
use crate::address::{is_loopback, uri};
use crate::invalid_input::InvalidInput;

/// The longest path of an endpoint. A [`Homeserver`] is accepted only if this path makes a valid URI with it, so that
/// every shorter path does too.
pub(crate) const LONGEST_PATH: &str = "/_matrix/client/v3/login/sso/redirect";

/// The path of `base_client_url`, which the stored form of a session and older text of the specification use.
const CLIENT_API: &str = "/_matrix/client";

/// The start of every path of the Matrix APIs.
const API: &str = "/_matrix";

/// The file that says where a homeserver is. It is on the host of the server name.
pub(crate) const WELL_KNOWN: &str = "/.well-known/matrix/client";

/// The base URL of a homeserver: http or https, a host, and perhaps a port and a path prefix.
///
/// Parsing drops user information, query, fragment, and slashes at the end. So an endpoint's path never follows a
/// second slash: servers do not know an endpoint with a double slash.
///
/// ```
/// let homeserver: matrix_login::Homeserver = "https://matrix.example.org/".parse()?;
/// assert_eq!(homeserver.as_str(), "https://matrix.example.org");
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Homeserver {
    /// Without slashes at the end of its path. The crate `url` writes the empty path as `/`.
    url: Url,
}

text_traits!(Homeserver);

impl Homeserver {
    /// The base URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The base URL as a [`Url`]. Its empty path is `/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether scheme, host and port are the same. Then a token that this homeserver granted may be sent to `other`.
    pub(crate) fn has_origin_of(&self, other: &Url) -> bool {
        self.url.scheme() == other.scheme()
            && self.url.host() == other.host()
            && self.url.port_or_known_default() == other.port_or_known_default()
    }

    /// Whether a request goes to this origin. This compares the parts of the URI and does not parse its text again: one
    /// text can mean different hosts to different parsers. For the same reason, a URI with user information or with a
    /// port that is not a number never matches.
    pub(crate) fn is_origin_of(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => None,
            Some(port) if authority.port_u16().is_some_and(|number| port == format!(":{number}")) => {
                authority.port_u16()
            }
            _ => return false,
        };
        let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        scheme.eq_ignore_ascii_case(self.url.scheme())
            && self.url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(host))
            && self.url.port_or_known_default() == port.or(Some(default))
    }

    /// Whether the server at this address may send a client to another address. Only a caller can choose plain http,
    /// never a server. So the other address must be https, or have the same origin (scheme, host and port) as this one.
    /// Plain http on loopback (`localhost`, 127.0.0.0/8, `::1`) is also allowed if this address is on loopback too.
    ///
    /// [`ServerName::may_name`](crate::ServerName::may_name) is the same rule for a well-known file.
    pub fn may_name(&self, other: &Self) -> bool {
        other.is_encrypted() || self.has_origin_of(&other.url) || (self.is_loopback() && other.is_loopback())
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    fn is_loopback(&self) -> bool {
        self.url.host().is_some_and(|host| is_loopback(&host))
    }

    /// The URI of an endpoint. `path` starts with a slash.
    pub(crate) fn uri(&self, path: &'static str) -> Uri {
        let scheme = if self.is_encrypted() { Scheme::HTTPS } else { Scheme::HTTP };
        uri(scheme, self.url.authority(), self.url.path().trim_end_matches('/'), path)
    }

    /// The URL of an endpoint that a browser opens. The caller can add a query to it.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// The base URL, without the path of an endpoint or of a well-known file, and whether this is the URL of a
    /// well-known file.
    pub(crate) fn without_api_path(self) -> (Self, bool) {
        let path = self.url.path();
        let first = [API, WELL_KNOWN].iter().filter_map(|api| Some((position_in_path(path, api)?, *api))).min();
        let base = first.and_then(|(position, api)| {
            let mut url = self.url.clone();
            url.set_path(path.get(..position)?);
            Some((url.as_str().parse().ok()?, api == WELL_KNOWN))
        });
        base.unwrap_or((self, false))
    }

    /// `base_client_url` in the stored form of a session.
    pub(crate) fn base_client_url(&self) -> String {
        format!("{}{CLIENT_API}/", self.as_str())
    }

    /// Parses a URL that can end in the path of the client API, such as `base_client_url` of a stored session.
    ///
    /// ```
    /// use matrix_login::Homeserver;
    ///
    /// let stored = "https://matrix.example.org/_matrix/client/";
    /// let homeserver = Homeserver::from_base_client_url(stored)?;
    /// assert_eq!(homeserver.as_str(), "https://matrix.example.org");
    /// # Ok::<(), matrix_login::InvalidInput>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the text is not the URL of a homeserver: see [`from_str`](Self::from_str).
    pub fn from_base_client_url(text: &str) -> Result<Self, InvalidInput> {
        let homeserver: Self = text.parse()?;
        match homeserver.as_str().strip_suffix(CLIENT_API) {
            Some(base) => base.parse(),
            None => Ok(homeserver),
        }
    }
}

impl FromStr for Homeserver {
    type Err = InvalidInput;

    /// # Errors
    ///
    /// [`InvalidInput`] if the text is not an http or https URL with a host (a bare `example.org` is a
    /// [`ServerName`](crate::ServerName)), or if it cannot become an `http::Uri`: `url` accepts more than `http`.
    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let invalid = || {
            InvalidInput::new(
                "homeserver",
                "an http or https URL with a host, such as https://matrix.example.org (a server name needs discovery)",
            )
        };
        let mut url = Url::parse(text).map_err(|_| invalid())?;
        // A URL with one of these schemes always has a host.
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid());
        }
        // These fail only for URLs without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);

        let homeserver = Self { url };
        match Uri::try_from(format!("{homeserver}{LONGEST_PATH}")) {
            Ok(_) => Ok(homeserver),
            Err(_) => Err(invalid()),
        }
    }
}

/// The position of `segments` in a path. They match only as whole segments.
fn position_in_path(path: &str, segments: &str) -> Option<usize> {
    let mut found = path.match_indices(segments).map(|(position, _)| position);
    found.find(|position| {
        let rest = path.get(*position..).and_then(|from_here| from_here.strip_prefix(segments));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
