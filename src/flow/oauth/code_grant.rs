//! The authorization code grant: the user logs in with a browser, and the browser comes back with a code.

use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response};
use url::Url;

use crate::address::https_url::HttpsUrl;
use crate::credentials::redirect::Action;
use crate::endpoint::callback::ForeignCallback;
use crate::endpoint::error::ResponseError;
use crate::endpoint::oauth::auth_metadata::{self, AuthMetadata};
use crate::endpoint::oauth::authorization::{self, AuthorizationCode};
use crate::endpoint::oauth::token::{self, Grant};
use crate::flow::choice::{CodeChoice, OAuthChoice};
use crate::flow::state::{Browse, CodeGrant, Due, Granted, Next, OAuthLogin, Purpose, Server};

/// Begins the login in the browser.
pub(crate) fn browse(
    server: Server,
    login: &OAuthLogin,
    choice: &CodeChoice,
    client_id: &str,
) -> Result<Next, ResponseError> {
    let OAuthLogin { metadata, device_id, choice: OAuthChoice { fields, .. } } = login;
    let invalid = || auth_metadata::ENDPOINT.invalid("`authorization_endpoint`", "an https URL");
    let endpoint = metadata.authorization_endpoint.as_ref().ok_or_else(invalid)?;
    let mut redirect = choice.redirect.clone();
    if !metadata.offers_registration_of_users() {
        // A server without `prompt=create` refuses this parameter.
        redirect = redirect.with_action(Action::Login);
    }
    let url = authorization::request(endpoint, client_id, device_id, &redirect, &choice.verifier, fields);
    let grant = Box::new(CodeGrant::new(url.clone(), client_id, choice, metadata));
    let purpose = Purpose::Code { grant, metadata: Some(Arc::clone(metadata)) };
    Ok(Next::To(Due::Browse { server, browse: Browse { url, state: redirect.state, purpose } }))
}

/// After the callback, with a code or with a refusal.
pub(crate) fn after_callback(
    server: &Server,
    state: &str,
    (grant, metadata): (&CodeGrant, Option<&Arc<AuthMetadata>>),
    callback: &Url,
) -> Result<Next, ForeignCallback> {
    let response = authorization::response(callback, state, Some(&grant.issuer), grant.iss_in_callback)?;
    let code = match response {
        authorization::Response::Granted(code) => code,
        authorization::Response::Refused(error) => return Ok(Next::To(server.question(Some(error)))),
    };
    let (server, grant) = (server.clone(), Box::new(grant.clone()));
    Ok(Next::To(match metadata {
        Some(metadata) => Due::PostToken { server, grant, code, metadata: Arc::clone(metadata) },
        None => Due::GetAuthMetadataAgain { server, grant, code },
    }))
}

/// After GET `auth_metadata` after a resume. The code may only be sent to the server that the browser opened.
pub(crate) fn after_auth_metadata_again<B: AsRef<[u8]>>(
    server: &Server,
    grant: &CodeGrant,
    code: &AuthorizationCode,
    response: &Response<B>,
) -> Result<Next, ResponseError> {
    let metadata = auth_metadata::response(&server.homeserver, response)?.ok_or(ResponseError::LoginUnsupported)?;
    let invalid = |field, expected| Err(auth_metadata::ENDPOINT.invalid(field, expected));
    if metadata.issuer != grant.issuer {
        return invalid("`issuer`", "the one that the login began with; go back, and log in again");
    }
    let is_same = |endpoint: &HttpsUrl| authorization::is_of(&grant.url, endpoint);
    if !metadata.authorization_endpoint.as_ref().is_some_and(is_same) {
        return invalid("`authorization_endpoint`", "the one that the login began with; go back, and log in again");
    }
    match metadata.without_authorization_code() {
        None => {}
        Some((member @ "`token_endpoint`", _)) => {
            return invalid(member, "on the origin of the authorization endpoint; go back, and log in again");
        }
        Some((member, _)) => return invalid(member, "usable for this kind of login; go back, and log in again"),
    }
    let (server, grant, code) = (server.clone(), Box::new(grant.clone()), code.clone());
    Ok(Next::To(Due::PostToken { server, grant, code, metadata: Arc::new(metadata) }))
}

/// POST token.
pub(crate) fn token_request(grant: &CodeGrant, code: &AuthorizationCode, metadata: &AuthMetadata) -> Request<Vec<u8>> {
    let code_grant = Grant::authorization_code(code, &grant.redirect_uri, &grant.verifier);
    let endpoint = metadata.token_endpoint.as_ref();
    // The default is never used: a grant is offered only if there is a token endpoint.
    endpoint.map(|endpoint| token::request(endpoint, &grant.client_id, code_grant)).unwrap_or_default()
}

/// After POST token. The flow then asks whose tokens these are.
pub(crate) fn after_token<B: AsRef<[u8]>>(
    server: &Server,
    grant: &CodeGrant,
    metadata: &Arc<AuthMetadata>,
    response: &Response<B>,
    received_at: SystemTime,
) -> Result<Next, ResponseError> {
    let tokens = token::response(response)?;
    let (client_id, metadata) = (grant.client_id.clone(), Arc::clone(metadata));
    Ok(server.ask_whoami(Granted { client_id, metadata, tokens, received_at }))
}
