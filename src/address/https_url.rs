//! The address of a page or of an endpoint outside of the Matrix API.

use std::str::FromStr;

use http::Uri;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::text_traits::text_traits;
use crate::invalid_input::InvalidInput;

/// An https URL with a host, without user information and fragment. It can have a path and a query. It is a valid
/// `http::Uri`, so a request can be sent to it.
///
/// The URL of an endpoint that a homeserver names can also be plain http, as
/// [`Homeserver::may_name`](crate::Homeserver::may_name) allows.
///
/// ```
/// let client_uri: matrix_login::HttpsUrl = "https://app.example.com/".parse()?;
/// assert_eq!(client_uri.url().host_str(), Some("app.example.com"));
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpsUrl {
    url: Url,
}

text_traits!(HttpsUrl);

impl HttpsUrl {
    /// The URL as text, in the normal form of the crate `url`.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL of an endpoint that a homeserver names. It can be plain http if the homeserver
    /// [may name](crate::Homeserver::may_name) its origin.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the homeserver must not name this URL, or if the text is not an absolute URL without user
    /// information and fragment.
    pub fn named_by(homeserver: &Homeserver, text: &str) -> Result<Self, InvalidInput> {
        let named = Self::kept(text).filter(|url| {
            let origin = || url.url.join("/").ok()?.as_str().parse().ok();
            url.url.scheme() == "https" || origin().is_some_and(|origin: Homeserver| homeserver.may_name(&origin))
        });
        named.ok_or_else(invalid)
    }

    /// An address that was already checked, and that the caller has kept since then.
    pub(crate) fn kept(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_clean = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        (is_clean && is_web && Uri::try_from(url.as_str()).is_ok()).then_some(Self { url })
    }

    /// The URL for a request. The default is never used, since [`kept`](Self::kept) has tried this conversion.
    pub(crate) fn uri(&self) -> Uri {
        Uri::try_from(self.url.as_str()).unwrap_or_default()
    }

    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }
}

impl FromStr for HttpsUrl {
    type Err = InvalidInput;

    /// # Errors
    ///
    /// [`InvalidInput`] if the text is not an https URL with a host, or if it has user information or a fragment.
    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let url = Self::kept(text).filter(|url| url.url.scheme() == "https");
        url.ok_or_else(invalid)
    }
}

fn invalid() -> InvalidInput {
    InvalidInput::new("URL", "https and a host, without user information and fragment")
}
