//! What the responses of the legacy login API lead to, and the choices of a person.

use std::time::SystemTime;

use http::Response;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::user_id::UserId;
use crate::credentials::Credentials;
use crate::credentials::redirect::{Redirect, RedirectState};
use crate::endpoint::callback::ForeignCallback;
use crate::endpoint::error::ResponseError;
use crate::endpoint::login_types::{self, LoginTypes};
use crate::endpoint::server_error::ServerError;
use crate::endpoint::{login, sso};
use crate::error::Error;
use crate::fields::Fields;
use crate::flow::choice::{Choice, Kind};
use crate::flow::oauth;
use crate::flow::state::{Browse, Due, Next, Offers, Purpose, Server};
use crate::session::Session;
use crate::settings::LoginSettings;

/// After GET login. The flow asks how to log in, or requests the metadata if the settings ask for OAuth 2.0.
pub(crate) fn after_login_types<B: AsRef<[u8]>>(
    homeserver: &Homeserver,
    settings: &LoginSettings,
    refused: Option<&ServerError>,
    response: &Response<B>,
) -> Result<Next, ResponseError> {
    let login_types = match login_types::response(response) {
        Err(ResponseError::LoginUnsupported) if settings.oauth().is_some() => None,
        login_types => Some(login_types?),
    };
    let (homeserver, refused) = (homeserver.clone(), refused.cloned().map(Box::new));
    Ok(Next::To(match login_types {
        Some(login_types) if settings.oauth().is_none() => {
            Due::Choose { homeserver, offers: Offers { login_types, oauth: None }, refused }
        }
        login_types => Due::GetAuthMetadata { homeserver, login_types, refused },
    }))
}

/// After POST login, if the homeserver has granted the login.
pub(crate) fn after_login<B: AsRef<[u8]>>(
    server: &Server,
    (settings, expected_user): (&LoginSettings, Option<&UserId>),
    response: &Response<B>,
    received_at: SystemTime,
) -> Result<Next, ResponseError> {
    let granted = login::response(response)?;
    let cannot_be_refreshed = granted.expires && granted.refresh_token.is_none();
    let session = Session::granted(server.homeserver.clone(), granted, settings, received_at)
        .map_err(|_| login::ENDPOINT.lacks(response, "`device_id`", "a string that is not empty"))?;
    let must_be_refused = settings.require_refresh_token() && cannot_be_refreshed;
    Ok(server.accept(Box::new(session), expected_user, must_be_refused))
}

/// After a choice.
pub(crate) fn after_choice(
    homeserver: &Homeserver,
    offers: &Offers,
    settings: &LoginSettings,
    choice: Choice,
) -> Result<Next, Error> {
    let is_listed = !choice.is_unlisted();
    if is_listed && !matches!(choice.kind, Kind::OAuth(_)) {
        check_offered(&offers.login_types, &choice)?;
    }
    let server = Server { homeserver: homeserver.clone(), offers: Some(offers.clone()) };
    Ok(Next::To(match choice.kind {
        Kind::Credentials(credentials) => Due::PostLogin { server, credentials },
        Kind::Sso { redirect, fields } => {
            let (url, state) = (sso::request(homeserver, &redirect), redirect.state.clone());
            Due::Browse { server, browse: Browse { url, state, purpose: Purpose::Sso { fields } } }
        }
        Kind::OAuth(choice) => return oauth::after_choice(server, settings, *choice),
    }))
}

/// After the callback of single sign-on. The token in the callback becomes the credentials.
pub(crate) fn after_callback(
    server: &Server,
    state: &RedirectState,
    fields: &Fields,
    callback: &Url,
) -> Result<Next, ForeignCallback> {
    let token = sso::response(callback, state.expose())?;
    let credentials = Credentials::token(token).with_accepted_fields(fields.clone());
    Ok(Next::To(Due::PostLogin { server: server.clone(), credentials }))
}

fn check_offered(login_types: &LoginTypes, choice: &Choice) -> Result<(), Error> {
    let login_type = choice.login_type();
    let Some(offered) = login_types.get(login_type) else {
        let offered = login_types.iter().map(|offered| offered.name().to_owned()).collect();
        return Err(Error::NotOffered { choice: login_type.to_owned(), offered });
    };
    // A server that lists no providers can still have some.
    let providers = offered.identity_providers();
    match choice.redirect().and_then(Redirect::identity_provider) {
        Some(id) if !providers.is_empty() && !providers.iter().any(|provider| provider.id() == id) => {
            let offered = providers.iter().map(|provider| provider.id().to_owned()).collect();
            Err(Error::NotOffered { choice: format!("identity provider {id}"), offered })
        }
        _ => Ok(()),
    }
}
