//! `GET https://{host}/.well-known/matrix/client`
//! <https://spec.matrix.org/latest/client-server-api/#getwell-knownmatrixclient>
//!
//! The outcomes follow the specification's section "Well-known URIs", with one difference: a bad `m.identity_server`
//! does not fail discovery, because the homeserver is still usable.

use std::fmt;

use http::{Method, Request, StatusCode};

use crate::address::homeserver::Homeserver;
use crate::address::server_name::ServerName;
use crate::cursor::Cursor;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::fields::Fields;
use crate::invalid_input::InvalidInput;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/.well-known/matrix/client");

/// The content of the well-known file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The `base_url` of `m.homeserver`.
    pub base_url: Homeserver,
    /// The `base_url` of `m.identity_server`, or what is wrong with it. It follows the same rules as the URL of a
    /// homeserver.
    pub identity_server: Option<Result<Homeserver, ResponseError>>,
    /// The whole file.
    pub file: Fields,
}

/// Asks a server for the file. The file is on the default port of https, whatever port the server name contains.
pub fn request(server_name: &ServerName) -> Request<Vec<u8>> {
    ENDPOINT.request_to(server_name.well_known())
}

/// Reads the response. Its `Content-Type` does not matter, since static hosting sends any type.
///
/// The base URL can be plain http. A flow also checks that the server [may name](ServerName::may_name) it.
///
/// # Errors
///
/// A [`DiscoveryFailure`] with an outcome: `Ignore` for a 404, `FailError` for a `base_url` that is not a URL, and
/// `FailPrompt` for everything else. A redirect is a `FailPrompt` with the cause [`ResponseError::Redirected`]: follow
/// the redirect if it leads to https, and not to an address that has redirected before.
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, Box<DiscoveryFailure>> {
    let file = match response.status() {
        StatusCode::NOT_FOUND => {
            return Err(DiscoveryFailure::new(DiscoveryOutcome::Ignore, ENDPOINT.not_matrix(response)));
        }
        status if status.is_success() && status != StatusCode::OK => Err(ENDPOINT.not_matrix(response)),
        _ => ENDPOINT.read(response, &mut |_, _| Ok(())),
    };
    let file = file.map_err(|cause| DiscoveryFailure::new(DiscoveryOutcome::FailPrompt, cause))?;
    let base_url = base_url(&file, "m.homeserver").ok_or_else(|| {
        let cause = ENDPOINT.lacks(response, "`base_url` of `m.homeserver`", "a string");
        DiscoveryFailure::new(DiscoveryOutcome::FailPrompt, cause)
    })?;
    let base_url = base_url.map_err(|_| {
        let cause = ENDPOINT.invalid("`base_url` of `m.homeserver`", "an http or https URL");
        DiscoveryFailure::new(DiscoveryOutcome::FailError, cause)
    })?;
    Ok(Response { base_url, identity_server: identity_server(&file), file })
}

/// The error of a file that leads a client from https to plain http.
pub(crate) fn plain_http() -> ResponseError {
    let expected = "an https URL, since others on the network can read a password over plain http";
    ENDPOINT.invalid("`base_url` of `m.homeserver`", expected)
}

fn identity_server(file: &Fields) -> Option<Result<Homeserver, ResponseError>> {
    let mut is_named = false;
    file.each(&mut |cursor, key| {
        if key == "m.identity_server" {
            is_named = cursor.value()? != "null";
        }
        Ok(())
    });
    if !is_named {
        return None;
    }
    let base_url = base_url(file, "m.identity_server").and_then(Result::ok);
    Some(base_url.ok_or_else(|| ENDPOINT.invalid("`base_url` of `m.identity_server`", "an http or https URL")))
}

/// The `base_url` of a server that a well-known file names. `None` if it is missing or not a string.
pub(crate) fn base_url(file: &Fields, server: &str) -> Option<Result<Homeserver, InvalidInput>> {
    let mut base_url = None;
    file.each(&mut |cursor, key| {
        if key == server {
            base_url = None;
            let mut read = |cursor: &mut Cursor<'_>, key: &str| {
                if key == "base_url" {
                    base_url = cursor.string()?.map(|base_url| base_url.parse());
                }
                Ok(())
            };
            cursor.object(&mut read, &mut drop)?;
        }
        Ok(())
    });
    base_url
}

/// How discovery ended, in the specification's words (section "Well-known URIs").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryOutcome {
    /// `IGNORE`: the server has no well-known file. Find the address in another way: a default address, or the server
    /// name itself.
    Ignore,
    /// `FAIL_PROMPT`: the well-known file cannot be read. Ask the user for the address.
    FailPrompt,
    /// `FAIL_ERROR`: the address in the well-known file does not work. Tell the user so, and do not use it unless the
    /// user insists.
    FailError,
}

/// Why no homeserver was found for a server name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiscoveryFailure {
    /// The outcome, as the specification calls it.
    pub outcome: DiscoveryOutcome,
    /// The address that does not work, if discovery found one. A user who knows better can insist on it.
    pub homeserver: Option<Homeserver>,
    /// What went wrong.
    pub cause: ResponseError,
}

impl DiscoveryFailure {
    pub(crate) fn new(outcome: DiscoveryOutcome, cause: ResponseError) -> Box<Self> {
        Box::new(Self { outcome, homeserver: None, cause })
    }
}

impl std::error::Error for DiscoveryFailure {}

impl fmt::Display for DiscoveryFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, homeserver, cause } = self;
        match (outcome, homeserver) {
            (DiscoveryOutcome::Ignore, _) => formatter.write_str("the server does not say where its homeserver is")?,
            (_, Some(homeserver)) => write!(formatter, "the homeserver {homeserver} cannot be used: {cause}")?,
            (_, None) => write!(formatter, "the server does not say clearly where its homeserver is: {cause}")?,
        }
        formatter.write_str("; if you know the URL of the homeserver, give that")
    }
}
