//! `GET https://{host}/.well-known/matrix/client`
//! <https://spec.matrix.org/latest/client-server-api/#getwell-knownmatrixclient>
//!
//! The outcomes are those of the specification's section "Well-known URIs", with one departure: a bad
//! `m.identity_server` spoils only itself, because the homeserver is still good.

use http::{Method, Request, Response as Answer, StatusCode};
use serde_json::value::RawValue;

use super::{Endpoint, object::Object};
use crate::{DiscoveryFailure, DiscoveryOutcome, Error, Fields, Homeserver, ServerName, endpoint};

pub(crate) const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/.well-known/matrix/client");

/// What the file says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The `base_url` of `m.homeserver`.
    pub base_url: Homeserver,
    /// The `base_url` of `m.identity_server`, which follows the rules of a homeserver's, or what is wrong with it.
    pub identity_server: Option<Result<Homeserver, Error>>,
    /// All other keys of the file.
    pub other: Fields,
}

/// Asks a server for the file. It is on the default port of https, whatever port the server name has.
#[must_use]
pub fn request(server_name: &ServerName) -> Request<Vec<u8>> {
    ENDPOINT.request_to(endpoint::uri(server_name.well_known()))
}

/// Reads the answer. Its `Content-Type` is not looked at: static hosting serves any.
///
/// # Errors
///
/// [`Error::Redirected`] for any 3xx: follow it, if it leads to https and in no circle. [`Error::Discovery`] for all
/// else, with an outcome: `Ignore` for a 404, `FailError` for a `base_url` that is no URL, `FailPrompt` for the rest.
pub fn response<B: AsRef<[u8]>>(response: &Answer<B>) -> Result<Response, Error> {
    let failure = |outcome, cause| Err(Error::from(DiscoveryFailure::new(outcome, cause)));
    let mut object = match response.status() {
        StatusCode::OK => match ENDPOINT.successful_object(response) {
            Ok(object) => object,
            Err(cause) => return failure(DiscoveryOutcome::FailPrompt, cause),
        },
        StatusCode::NOT_FOUND => return failure(DiscoveryOutcome::Ignore, ENDPOINT.not_matrix(StatusCode::NOT_FOUND)),
        status if status.is_success() => return failure(DiscoveryOutcome::FailPrompt, ENDPOINT.not_matrix(status)),
        status if status.is_redirection() => return Err(ENDPOINT.failure(response)),
        _ => return failure(DiscoveryOutcome::FailPrompt, ENDPOINT.failure(response)),
    };

    let base_url =
        object.take::<Object<'_>>("m.homeserver").and_then(|mut homeserver| homeserver.take::<String>("base_url"));
    let Some(base_url) = base_url else {
        let cause = ENDPOINT.invalid("`base_url` of `m.homeserver`", "a string");
        return failure(DiscoveryOutcome::FailPrompt, cause);
    };
    let Ok(base_url) = base_url.parse() else {
        let cause = ENDPOINT.invalid("`base_url` of `m.homeserver`", "an http or https URL");
        return failure(DiscoveryOutcome::FailError, cause);
    };
    let identity_server = object.take("m.identity_server").map(identity_server);
    Ok(Response { base_url, identity_server, other: object.rest() })
}

fn identity_server(value: &RawValue) -> Result<Homeserver, Error> {
    Object::parse(value.get().as_bytes())
        .and_then(|mut object| object.take::<String>("base_url"))
        .and_then(|base_url| base_url.parse().ok())
        .ok_or_else(|| ENDPOINT.invalid("`base_url` of `m.identity_server`", "an http or https URL"))
}
