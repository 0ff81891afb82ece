//! `ruma-client-api`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, Response};
use ruma_client_api::session::get_login_types::v3::{
    IdentityProvider, IdentityProviderBrand, LoginType, Request as GetLoginTypes, Response as LoginTypesResponse,
};
use ruma_client_api::session::login::v3::{LoginInfo, Password, Request as Login, Response as LoginResponse};
use ruma_client_api::uiaa::{MatrixUserIdentifier, UserIdentifier};
use ruma_common::api::auth_scheme::SendAccessToken;
use ruma_common::api::error::{Error, ErrorBody, ErrorKind, FromHttpResponseError, RetryAfter};
use ruma_common::api::{IncomingResponseExt, OutgoingRequestExt, SupportedVersions};
use serde_json::{Value, json};

use crate::contender::Contender;
use crate::inputs::{DEVICE_DISPLAY_NAME, DEVICE_ID, HOMESERVER, PASSWORD, USER};

pub struct Ruma {
    homeserver: &'static str,
    versions: SupportedVersions,
}

impl Ruma {
    pub fn new() -> Self {
        let versions = SupportedVersions::from_parts(&["v1.11".to_owned()], &BTreeMap::new());
        Self { homeserver: HOMESERVER, versions }
    }
}

/// ruma's request for a login. It owns its text, and sending it consumes it.
pub fn made() -> Login {
    let identifier = UserIdentifier::Matrix(MatrixUserIdentifier::new(USER.to_owned()));
    let mut login = Login::new(LoginInfo::Password(Password::new(identifier, PASSWORD.to_owned())));
    login.device_id = Some(DEVICE_ID.into());
    login.initial_device_display_name = Some(DEVICE_DISPLAY_NAME.to_owned());
    login.refresh_token = true;
    login
}

impl Contender for Ruma {
    type LoginTypes<'a> = LoginTypesResponse;
    type Login<'a> = LoginResponse;
    type Error<'a> = Error;

    fn build_get_login(&self) -> Request<Vec<u8>> {
        let request = GetLoginTypes::new();
        let versions = Cow::Borrowed(&self.versions);
        request.try_into_http_request(self.homeserver, SendAccessToken::None, versions).expect("a request")
    }

    fn build_post_login(&self) -> Request<Vec<u8>> {
        let versions = Cow::Borrowed(&self.versions);
        made().try_into_http_request(self.homeserver, SendAccessToken::None, versions).expect("a request")
    }

    fn read_login_types(&self, response: Response<&[u8]>) -> LoginTypesResponse {
        LoginTypesResponse::try_from_http_response(response).expect("login types")
    }

    fn read_login(&self, response: Response<&[u8]>) -> LoginResponse {
        LoginResponse::try_from_http_response(response).expect("a login")
    }

    fn read_error(&self, response: Response<&[u8]>) -> Error {
        match LoginResponse::try_from_http_response(response) {
            Err(FromHttpResponseError::Server(error)) => error,
            other => panic!("not an error of the server: {other:?}"),
        }
    }

    fn login_types(read: &LoginTypesResponse) -> Value {
        let login_type = |login_type: &LoginType| {
            let get_login_token = matches!(login_type, LoginType::Token(token) if token.get_login_token);
            let providers = match login_type {
                LoginType::Sso(sso) => &*sso.identity_providers,
                _ => &[],
            };
            let provider = |provider: &IdentityProvider| {
                let brand = provider.brand.as_ref().map(IdentityProviderBrand::as_str);
                json!([provider.id, provider.name, provider.icon.as_ref().map(|icon| icon.as_str()), brand])
            };
            json!([login_type.login_type(), get_login_token, providers.iter().map(provider).collect::<Vec<_>>()])
        };
        read.flows.iter().map(login_type).collect()
    }

    #[expect(deprecated, reason = "the body has `home_server`")]
    fn login(read: &LoginResponse) -> Value {
        json!([
            read.user_id.as_str(),
            read.access_token,
            read.home_server.as_ref().map(|name| name.as_str()),
            read.device_id.as_str(),
            read.expires_in.as_ref().map(Duration::as_secs),
            read.refresh_token,
            read.well_known.as_ref().map(|well_known| &well_known.homeserver.base_url),
        ])
    }

    fn error(read: &Error) -> Value {
        let ErrorBody::Standard(body) = &read.body else { panic!("not a standard error: {read:?}") };
        let retry_after = match &body.kind {
            ErrorKind::LimitExceeded(limit) => limit.retry_after,
            _ => None,
        };
        let retry_after = retry_after.map(|retry_after| match retry_after {
            RetryAfter::Delay(delay) => delay.as_secs(),
            RetryAfter::DateTime(_) => panic!("not a delay"),
        });
        json!([read.status_code.as_u16(), body.kind.errcode().as_str(), body.message, retry_after])
    }
}
