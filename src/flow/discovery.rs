//! What the responses of discovery lead to (specification, "Server Discovery").

use http::{Request, Response, StatusCode, Uri};
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::server_name::ServerName;
use crate::endpoint::error::ResponseError;
use crate::endpoint::versions;
use crate::endpoint::well_known::{self, DiscoveryFailure, DiscoveryOutcome};
use crate::flow::state::{Discovered, Due, Next, Redirects};

/// How many redirects of the well-known file the flow follows.
const MAX_REDIRECTS: usize = 5;

/// GET well-known, from the target of the last redirect.
pub(crate) fn well_known_request(server_name: &ServerName, redirects: &Redirects) -> Request<Vec<u8>> {
    match redirects.0.last() {
        Some(target) => well_known::ENDPOINT.request_to(target.clone()),
        None => well_known::request(server_name),
    }
}

/// After GET well-known. No response delays this request: the specification defines an outcome for every response.
pub(crate) fn after_well_known<B: AsRef<[u8]>>(
    server_name: &ServerName,
    redirects: &Redirects,
    response: &Response<B>,
) -> Next {
    let server_name = server_name.clone();
    Next::To(match well_known::response(response) {
        Ok(well_known) if !server_name.may_name(&well_known.base_url) => {
            return cannot_use(&server_name, &well_known.base_url, well_known::plain_http());
        }
        Ok(well_known) => Due::GetVersions { server_name, well_known },
        Err(failure) => match redirect(&server_name, &redirects.0, response.status(), &failure.cause) {
            Some(target) => {
                let redirects = Redirects([redirects.0.as_slice(), &[target]].concat());
                Due::GetWellKnown { server_name, redirects }
            }
            None => Due::Locate { server_name, failure },
        },
    })
}

/// After GET versions. An error means that the homeserver cannot be used.
pub(crate) fn after_versions<B: AsRef<[u8]>>(
    well_known: &well_known::Response,
    response: &Response<B>,
) -> Result<Next, ResponseError> {
    let discovered = Discovered { well_known: well_known.clone(), versions: versions::response(response)? };
    Ok(Next::At { homeserver: well_known.base_url.clone(), discovered: Some(Box::new(discovered)) })
}

/// The server did not respond to the request for the well-known file.
pub(crate) fn no_well_known(server_name: &ServerName, cause: ResponseError) -> Next {
    let failure = DiscoveryFailure::new(DiscoveryOutcome::FailPrompt, cause);
    Next::To(Due::Locate { server_name: server_name.clone(), failure })
}

/// The homeserver that the well-known file names cannot be used.
pub(crate) fn cannot_use(server_name: &ServerName, homeserver: &Homeserver, cause: ResponseError) -> Next {
    let mut failure = DiscoveryFailure::new(DiscoveryOutcome::FailError, cause);
    failure.homeserver = Some(homeserver.clone());
    Next::To(Due::Locate { server_name: server_name.clone(), failure })
}

/// The target of a redirect of the well-known file, if the flow may follow the redirect.
fn redirect(server_name: &ServerName, redirects: &[Uri], status: StatusCode, cause: &ResponseError) -> Option<Uri> {
    match cause {
        // The other 3xx do not redirect a request to their `Location` automatically (RFC 9110, section 15.4).
        ResponseError::Redirected { location: Some(location), .. }
            if matches!(status.as_u16(), 301..=303 | 307 | 308) =>
        {
            redirect_target(server_name, redirects, location.as_str())
        }
        _ => None,
    }
}

/// A target that the flow may follow: it is https, it is new, and there were not too many redirects before.
fn redirect_target(server_name: &ServerName, redirects: &[Uri], location: &str) -> Option<Uri> {
    let first = server_name.well_known();
    let here = redirects.last().unwrap_or(&first);
    let mut target = Url::parse(&here.to_string()).ok()?.join(location).ok()?;
    if target.scheme() != "https" || redirects.len() >= MAX_REDIRECTS {
        return None;
    }
    target.set_username("").ok()?;
    target.set_password(None).ok()?;
    // The conversion to a `Uri` drops the fragment.
    let target = Uri::try_from(target.as_str()).ok()?;
    (target != first && !redirects.contains(&target)).then_some(target)
}
