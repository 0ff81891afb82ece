//! The name of a server: the part of a user ID after its first colon.

use std::net::Ipv6Addr;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

use crate::address::homeserver::{Homeserver, WELL_KNOWN};
use crate::address::text_traits::text_traits;
use crate::address::uri;
use crate::invalid_input::InvalidInput;

/// The limit of the specification for a whole user ID, in bytes. It also keeps every URL with a server name short
/// enough for a request.
const MAX_LENGTH: usize = 255;

/// A server name (specification, appendix "Server Name"): a DNS name, an IPv4 address or an IPv6 address in brackets,
/// with or without a port.
///
/// A server name identifies a user's server, but it is not the address of the server. The address is a
/// [`Homeserver`](crate::Homeserver). [Discovery](crate#finding-the-homeserver) finds the homeserver of a server name.
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
    /// The end of the host in the name, in bytes.
    host_end: usize,
    port: Option<u16>,
}

text_traits!(ServerName);

impl ServerName {
    /// The name, as the caller gave it.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name without its port. An IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        self.name.get(..self.host_end).unwrap_or(&self.name)
    }

    /// The port, if the name has one. Only other servers use this port; a client does not connect to it.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the well-known file of this server may name this homeserver. Only a caller can choose plain http, never
    /// a server. So the address must be https, or on loopback if the server is on loopback too.
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

    /// The URI of the server's well-known file. It is always on the default port, since the specification says to
    /// extract the hostname from the server name ("Well-known URIs").
    pub(crate) fn well_known(&self) -> Uri {
        uri(Scheme::HTTPS, self.host(), "", WELL_KNOWN)
    }
}

impl ServerName {
    /// The server name of a user ID. It was checked together with the ID.
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

/// The end of the host in a name, in bytes, and the port. `None` if the name does not follow the grammar.
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
