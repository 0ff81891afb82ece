//! `GET https://{host}/.well-known/matrix/client`
//! <https://spec.matrix.org/latest/client-server-api/#getwell-knownmatrixclient>
//!
//! The outcomes are those of the specification's section "Well-known URIs", with one departure: a bad
//! `m.identity_server` spoils only itself, because the homeserver is still good.

use std::fmt;

use http::{Method, Request, StatusCode};
use serde_json::value::RawValue;

use crate::{
    address::{homeserver::Homeserver, server_name::ServerName, uri},
    endpoint::{Endpoint, object::Object, response::json},
    error::Error,
    fields::Fields,
};

pub(crate) const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/.well-known/matrix/client");

/// What the file says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The `base_url` of `m.homeserver`.
    pub base_url: Homeserver,
    /// The `base_url` of `m.identity_server`, which follows the rules of a homeserver's, or what is wrong with it.
    pub identity_server: Option<Result<Homeserver, Error>>,
    /// The file, whole.
    pub file: Fields,
}

/// Asks a server for the file. It is on the default port of https, whatever port the server name has.
#[must_use]
pub fn request(server_name: &ServerName) -> Request<Vec<u8>> {
    ENDPOINT.request_to(uri(server_name.well_known()))
}

/// Reads the answer. Its `Content-Type` is not looked at: static hosting serves any.
///
/// # Errors
///
/// [`Error::Redirected`] for any 3xx: follow it, if it leads to https and in no circle. [`Error::Discovery`] for all
/// else, with an outcome: `Ignore` for a 404, `FailError` for a `base_url` that is no URL, `FailPrompt` for the rest.
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, Error> {
    let failure = |outcome, cause| Err(Error::from(DiscoveryFailure::new(outcome, cause)));
    let json = json(response);
    let file = match response.status() {
        StatusCode::NOT_FOUND => return failure(DiscoveryOutcome::Ignore, ENDPOINT.not_matrix(StatusCode::NOT_FOUND)),
        status if status.is_redirection() => return Err(ENDPOINT.failure(response)),
        status if status.is_success() && status != StatusCode::OK => Err(ENDPOINT.not_matrix(status)),
        _ => ENDPOINT.object(response, &json),
    };
    let file = match file {
        Ok(file) => file,
        Err(cause) => return failure(DiscoveryOutcome::FailPrompt, cause),
    };
    match base_url(&file, "m.homeserver") {
        Some(Ok(homeserver)) => {
            let identity_server = file.get::<&RawValue>("m.identity_server").map(|_| {
                base_url(&file, "m.identity_server")
                    .and_then(Result::ok)
                    .ok_or_else(|| ENDPOINT.invalid("`base_url` of `m.identity_server`", "an http or https URL"))
            });
            Ok(Response { base_url: homeserver, identity_server, file: file.rest() })
        }
        Some(Err(_)) => failure(
            DiscoveryOutcome::FailError,
            ENDPOINT.invalid("`base_url` of `m.homeserver`", "an http or https URL"),
        ),
        None => failure(DiscoveryOutcome::FailPrompt, ENDPOINT.invalid("`base_url` of `m.homeserver`", "a string")),
    }
}

/// The `base_url` of a server that a well-known file names; `None` if there is no such string.
pub(crate) fn base_url(file: &Object<'_>, server: &str) -> Option<Result<Homeserver, Error>> {
    Some(file.get::<Object<'_>>(server)?.get::<String>("base_url")?.parse())
}

/// How discovery ended, in the specification's words (section "Well-known URIs").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryOutcome {
    /// `IGNORE`: the server says nothing. Find the address in another way: a default, or the server's own name.
    Ignore,
    /// `FAIL_PROMPT`: what the server says cannot be read. Ask the user for the address.
    FailPrompt,
    /// `FAIL_ERROR`: the server names an address that does not work. Tell the user so, and do not go on by yourself.
    FailError,
}

/// Why no homeserver was found for a server name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiscoveryFailure {
    /// What the specification says about it.
    pub outcome: DiscoveryOutcome,
    /// The address that does not work, if one was found. A user who knows better can insist on it:
    /// [`use_homeserver`](crate::LoginFlow::use_homeserver).
    pub homeserver: Option<Homeserver>,
    /// What went wrong.
    pub cause: Error,
}

impl DiscoveryFailure {
    pub(crate) fn new(outcome: DiscoveryOutcome, cause: Error) -> Self {
        Self { outcome, homeserver: None, cause }
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
        formatter.write_str("; if you know its URL, give that")
    }
}
