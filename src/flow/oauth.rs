//! What the responses of the OAuth 2.0 API lead to.

pub(crate) mod code_grant;
pub(crate) mod device_grant;

use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response};

use crate::address::homeserver::Homeserver;
use crate::address::user_id::UserId;
use crate::credentials::device_id::DeviceId;
use crate::credentials::redirect::Redirect;
use crate::endpoint::error::ResponseError;
use crate::endpoint::login_types::LoginTypes;
use crate::endpoint::oauth::auth_metadata::{self, AuthMetadata};
use crate::endpoint::oauth::registration;
use crate::endpoint::oauth::revocation::{self, Token};
use crate::endpoint::server_error::ServerError;
use crate::endpoint::whoami;
use crate::error::Error;
use crate::flow::choice::{GrantChoice, OAuthChoice};
use crate::flow::state::{Due, Granted, Next, OAuthLogin, Offers, Server};
use crate::invalid_input::InvalidInput;
use crate::session::Session;
use crate::settings::LoginSettings;
use crate::settings::oauth_client::OAuthClient;

/// The request of a box, if it is a request of the OAuth 2.0 API.
pub(crate) fn request(due: &Due, settings: &LoginSettings) -> Request<Vec<u8>> {
    match due {
        Due::GetAuthMetadata { homeserver, .. } => auth_metadata::request(homeserver),
        Due::GetAuthMetadataAgain { server, .. } => auth_metadata::request(&server.homeserver),
        Due::PostRegister { login, .. } => register_request(settings, login),
        Due::PostToken { grant, code, metadata, .. } => code_grant::token_request(grant, code, metadata),
        Due::PostDeviceAuthorization { request, .. } => device_grant::code_request(request),
        Due::PostPoll { grant, .. } => device_grant::poll_request(grant),
        Due::GetWhoami { server, granted } => whoami::request(&server.homeserver, &granted.tokens.access_token),
        Due::PostRevoke { granted, .. } => revoke_request(granted),
        // The default is never used: no other box has a request of this API.
        _ => Request::default(),
    }
}

/// What the response to a request of the OAuth 2.0 API leads to.
pub(crate) fn after_response<B: AsRef<[u8]>>(
    due: &Due,
    wanted: (&LoginSettings, Option<&UserId>),
    response: &Response<B>,
    received_at: SystemTime,
) -> Result<Result<Next, ResponseError>, Error> {
    Ok(match due {
        Due::GetAuthMetadata { homeserver, login_types, refused } => {
            after_auth_metadata(homeserver, login_types.as_ref(), refused.as_deref(), response)
        }
        Due::PostRegister { server, login } => after_register(server, login, response),
        Due::GetAuthMetadataAgain { server, grant, code } => {
            code_grant::after_auth_metadata_again(server, grant, code, response)
        }
        Due::PostToken { server, grant, metadata, .. } => {
            code_grant::after_token(server, grant, metadata, response, received_at)
        }
        Due::PostDeviceAuthorization { server, request } => device_grant::show(server, request, response, received_at),
        Due::PostPoll { server, grant } => device_grant::after_poll(server, grant, response, received_at),
        Due::GetWhoami { server, granted } => after_whoami(server, granted, wanted, response),
        Due::PostRevoke { server, .. } => after_revoke(server, response),
        _ => return Err(Error::StaleResponse),
    })
}

/// After GET `auth_metadata`, before the flow asks how to log in. If the homeserver has the legacy API, any 4xx means
/// that it has no OAuth 2.0: a page must not prevent a login with a password.
fn after_auth_metadata<B: AsRef<[u8]>>(
    homeserver: &Homeserver,
    login_types: Option<&LoginTypes>,
    refused: Option<&ServerError>,
    response: &Response<B>,
) -> Result<Next, ResponseError> {
    let oauth = match auth_metadata::response(homeserver, response) {
        Ok(None) if login_types.is_none() => return Err(ResponseError::LoginUnsupported),
        Err(error) if login_types.is_some() && is_refusal(&error) => None,
        oauth => oauth?.map(Arc::new),
    };
    Ok(question(homeserver, login_types, oauth, refused))
}

/// The question how to log in, with the OAuth 2.0 server if the homeserver has one.
pub(crate) fn question(
    homeserver: &Homeserver,
    login_types: Option<&LoginTypes>,
    oauth: Option<Arc<AuthMetadata>>,
    refused: Option<&ServerError>,
) -> Next {
    let offers = Offers { login_types: login_types.cloned().unwrap_or_default(), oauth };
    let (homeserver, refused) = (homeserver.clone(), refused.cloned().map(Box::new));
    Next::To(Due::Choose { homeserver, offers, refused })
}

/// Whether a response is a 4xx, and neither a rate limit nor a status after which the request can succeed later.
fn is_refusal(error: &ResponseError) -> bool {
    match error {
        ResponseError::Server(error) => error.is_refusal(),
        ResponseError::NotMatrix { status, .. } | ResponseError::Encoded { status, .. } => {
            status.is_client_error() && !error.may_retry()
        }
        _ => false,
    }
}

/// After the choice of an OAuth 2.0 grant.
pub(crate) fn after_choice(server: Server, settings: &LoginSettings, choice: OAuthChoice) -> Result<Next, Error> {
    let (client, metadata) = offered(&server, settings, &choice.grant)
        .map_err(|problem| not_offered(&server, choice.grant.grant_type(), &problem))?;
    if choice.grant.redirect().is_some_and(|redirect| redirect.url().fragment().is_some()) {
        // RFC 6749, section 3.1.2, forbids a fragment. The server would show an error in the browser, and no callback
        // would come.
        return Err(InvalidInput::new("redirect URL", "a URL without a fragment for an OAuth 2.0 login").into());
    }
    let device_id = device_id(settings, &choice)?;
    let login = OAuthLogin { metadata, choice, device_id };
    if let Some(client_id) = client.client_id() {
        return Ok(begin(server, &login, client_id)?);
    }
    if login.metadata.registration_endpoint.is_none() {
        let expected = "the ID of a registered client, since this server registers no clients";
        return Err(InvalidInput::new("OAuth client", expected).into());
    }
    Ok(Next::To(Due::PostRegister { server, login: Box::new(login) }))
}

/// Begins the grant, after the client has an ID.
fn begin(server: Server, login: &OAuthLogin, client_id: &str) -> Result<Next, ResponseError> {
    match &login.choice.grant {
        GrantChoice::Code(choice) => code_grant::browse(server, login, choice, client_id),
        GrantChoice::Device => Ok(device_grant::begin(server, login, client_id)),
    }
}

/// The client of the settings, and the server that offers the grant. The error says why the grant is not offered.
fn offered<'a>(
    server: &Server,
    settings: &'a LoginSettings,
    grant: &GrantChoice,
) -> Result<(&'a OAuthClient, Arc<AuthMetadata>), String> {
    let client = settings.oauth().ok_or("the settings do not ask for OAuth 2.0: use `LoginSettings::with_oauth`")?;
    let metadata = server.offers.as_ref().and_then(|offers| offers.oauth.clone());
    let metadata = metadata.ok_or("it has no OAuth 2.0 API")?;
    let problem = match grant {
        GrantChoice::Code(_) => metadata.without_authorization_code(),
        GrantChoice::Device => metadata.without_device_authorization(),
    };
    if let Some((member, problem)) = problem {
        return Err(format!("{member} {problem}"));
    }
    match grant.redirect().map(Redirect::is_in_query) {
        Some(is_in_query) if !metadata.supports_mode(is_in_query) => {
            let mode = if is_in_query { "`query`" } else { "`fragment`" };
            Err(format!("`response_modes_supported` does not contain {mode}, which the redirect URL needs"))
        }
        _ => Ok((client, metadata)),
    }
}

fn not_offered(server: &Server, grant_type: &str, problem: &str) -> Error {
    let offers = server.offers.iter();
    let offered =
        offers.flat_map(|offers| offers.login_types.iter()).map(|offered| offered.name().to_owned()).collect();
    Error::NotOffered { choice: format!("{grant_type} ({problem})"), offered }
}

/// The device ID for the scope. It is checked here, since the page of a server would not say that it was refused.
fn device_id(settings: &LoginSettings, choice: &OAuthChoice) -> Result<DeviceId, InvalidInput> {
    let device_id = choice.device_id.as_deref().or(settings.device_id()).and_then(|id| DeviceId::new(id).ok());
    device_id.filter(DeviceId::is_recommended).ok_or_else(|| {
        InvalidInput::new("device ID", "at least 10 characters of A-Z, a-z, 0-9, -, ., _ and ~ for an OAuth 2.0 login")
    })
}

/// POST register.
fn register_request(settings: &LoginSettings, login: &OAuthLogin) -> Request<Vec<u8>> {
    let redirect_uri = login.choice.grant.redirect().map(Redirect::text);
    let registered = settings.oauth().zip(login.metadata.registration_endpoint.as_ref());
    let request =
        registered.and_then(|(client, endpoint)| registration::request(endpoint, client, redirect_uri.as_slice()));
    // The default is never used: only a client that registers itself comes here, with a server that registers clients.
    request.unwrap_or_default()
}

/// After POST register, the grant begins.
fn after_register<B: AsRef<[u8]>>(
    server: &Server,
    login: &OAuthLogin,
    response: &Response<B>,
) -> Result<Next, ResponseError> {
    let registered = registration::response(response)?;
    begin(server.clone(), login, &registered.client_id)
}

/// After GET whoami. The tokens are kept, whatever the response is.
fn after_whoami<B: AsRef<[u8]>>(
    server: &Server,
    granted: &Granted,
    (settings, expected_user): (&LoginSettings, Option<&UserId>),
    response: &Response<B>,
) -> Result<Next, ResponseError> {
    let whoami = whoami::response(response)?;
    let Granted { client_id, metadata, tokens, received_at } = granted.clone();
    let must_be_refused = settings.require_refresh_token() && tokens.expires && tokens.refresh_token.is_none();
    let homeserver = server.homeserver.clone();
    let session = Session::granted_by_oauth(homeserver, client_id, &metadata, tokens, whoami, received_at)
        .map_err(|_| whoami::ENDPOINT.lacks(response, "`device_id`", "a string that is not empty"))?;
    Ok(server.accept(Box::new(session), expected_user, must_be_refused))
}

/// POST revoke.
fn revoke_request(granted: &Granted) -> Request<Vec<u8>> {
    let tokens = &granted.tokens;
    let token = tokens.refresh_token.as_ref().map_or(Token::Access(&tokens.access_token), Token::Refresh);
    let endpoint = granted.metadata.revocation_endpoint.as_ref();
    // The default is never used: without the endpoint, the flow skips this box.
    endpoint.map(|endpoint| revocation::request(endpoint, &granted.client_id, token)).unwrap_or_default()
}

/// After POST revoke. The flow asks how to log in, unless the server fails or limits the rate.
fn after_revoke<B: AsRef<[u8]>>(server: &Server, response: &Response<B>) -> Result<Next, ResponseError> {
    match revocation::response(response) {
        Err(error @ (ResponseError::NotMatrix { .. } | ResponseError::Encoded { .. })) => Err(error),
        Err(error) if error.may_retry() => Err(error),
        _ => Ok(Next::To(server.question(None))),
    }
}

/// Goes back from GET whoami. The tokens are revoked first, if the server can revoke them.
pub(crate) fn back(server: &Server, granted: &Granted) -> Next {
    Next::To(match granted.metadata.revocation_endpoint {
        Some(_) => Due::PostRevoke { server: server.clone(), granted: Box::new(granted.clone()) },
        None => server.question(None),
    })
}
