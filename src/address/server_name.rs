//! The name of a server: what stands behind the first colon of a user ID.

use std::net::Ipv6Addr;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

use crate::address::homeserver::{Homeserver, WELL_KNOWN};
use crate::address::text_traits::text_traits;
use crate::address::uri;
use crate::invalid_input::InvalidInput;

/// What the specification says of a whole user ID. It also keeps every URL of a server name short enough to be sent.
const MAX_LENGTH: usize = 255;

/// A server name (specification, appendix "Server Name"): a DNS name, an IPv4 address or an IPv6 address in brackets,
/// with or without a port.
///
/// It says who a user's server is, not where it can be reached. That is a [`Homeserver`](crate::Homeserver), and
/// [discovery](crate#finding-the-homeserver) leads from one to the other.
///
/// ```
/// let server_name: matrix_login::ServerName = "example.org:8448".parse()?;
/// assert_eq!(server_name.host(), "example.org");
/// assert_eq!(server_name.port(), Some(8448));
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    name: Box<str>,
    /// Where the host ends in the name.
    host_end: usize,
    port: Option<u16>,
}

text_traits!(ServerName);

impl ServerName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name without its port; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        self.name.get(..self.host_end).unwrap_or(&self.name)
    }

    /// The port, if the name has one. It is the federation's: a client does not connect to it.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the well-known file of this server may name this address as its homeserver. Only a caller can choose
    /// plain http, never a server: the address must be https, or on loopback if the server is on loopback too.
    ///
    /// ```
    /// use matrix_login::ServerName;
    ///
    /// let server_name: ServerName = "example.org".parse()?;
    /// assert!(server_name.may_name(&"https://matrix.example.com".parse()?));
    /// assert!(!server_name.may_name(&"http://matrix.example.org:8008".parse()?));
    /// # Ok::<(), matrix_login::InvalidInput>(())
    /// ```
    pub fn may_name(&self, homeserver: &Homeserver) -> bool {
        let own = || format!("https://{}", self.host()).parse::<Homeserver>();
        homeserver.is_encrypted() || own().is_ok_and(|own| own.may_name(homeserver))
    }

    /// Where the server's well-known file is, on the default port whatever the name says (specification,
    /// "Well-known URIs": extract the hostname from the server name).
    pub(crate) fn well_known(&self) -> Uri {
        uri(Scheme::HTTPS, self.host(), "", WELL_KNOWN)
    }
}

impl ServerName {
    /// The server name of a user ID, which has been checked with the ID.
    pub(crate) fn of_user(name: &str) -> Self {
        let (host_end, port) = split_port(name).unwrap_or((name.len(), None));
        Self { name: name.into(), host_end, port }
    }
}

impl FromStr for ServerName {
    type Err = InvalidInput;

    /// # Errors
    ///
    /// [`InvalidInput`] if the text does not follow the specification's grammar, or is longer than 255 bytes.
    fn from_str(name: &str) -> Result<Self, InvalidInput> {
        let (host_end, port) = split_port(name).ok_or_else(|| {
            InvalidInput::new("server name", "a host name or address with or without a port, such as example.org")
        })?;
        Ok(Self { name: name.into(), host_end, port })
    }
}

/// Where the host of a name ends, and its port, if both follow the grammar.
pub(crate) fn split_port(name: &str) -> Option<(usize, Option<u16>)> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let end_of_host =
        if name.starts_with('[') { name.find(']')?.checked_add(1)? } else { name.find(':').unwrap_or(name.len()) };
    let (host, rest) = name.split_at_checked(end_of_host)?;
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        None if rest.is_empty() => None,
        _ => return None,
    };
    let valid = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        }
    };
    valid.then_some((end_of_host, port))
}
