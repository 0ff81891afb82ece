//! This crate.

use std::time::UNIX_EPOCH;

use http::{Request, Response};
use matrix_login::endpoint::{login, login_types};
use matrix_login::{
    Credentials, Homeserver, LoginSettings, LoginType, LoginTypes, Password, RefreshToken, ResponseError, ServerError,
    UserIdentifier,
};
use serde_json::{Value, json};

use crate::contender::Contender;
use crate::inputs::{DEVICE_DISPLAY_NAME, DEVICE_ID, HOMESERVER, PASSWORD, USER};

pub struct Ours {
    homeserver: Homeserver,
    credentials: Credentials,
    settings: LoginSettings,
}

impl Ours {
    pub fn new() -> Self {
        let (credentials, settings) = made();
        Self { homeserver: HOMESERVER.parse().expect("a homeserver"), credentials, settings }
    }
}

/// What a caller makes before POST login.
pub fn made() -> (Credentials, LoginSettings) {
    (Credentials::password(UserIdentifier::user(USER), Password::new(PASSWORD)), settings())
}

pub fn settings() -> LoginSettings {
    let settings = LoginSettings::default().with_initial_device_display_name(DEVICE_DISPLAY_NAME);
    settings.with_device_id(DEVICE_ID).expect("a device ID")
}

impl Contender for Ours {
    type LoginTypes<'a> = LoginTypes;
    type Login<'a> = login::Response;
    type Error<'a> = Box<ServerError>;

    fn build_get_login(&self) -> Request<Vec<u8>> {
        login_types::request(&self.homeserver)
    }

    fn build_post_login(&self) -> Request<Vec<u8>> {
        login::request(&self.homeserver, &self.credentials, &self.settings)
    }

    fn read_login_types(&self, response: Response<&[u8]>) -> LoginTypes {
        login_types::response(&response).expect("login types")
    }

    fn read_login(&self, response: Response<&[u8]>) -> login::Response {
        login::response(&response).expect("a login")
    }

    fn read_error(&self, response: Response<&[u8]>) -> Box<ServerError> {
        match login::response(&response) {
            Err(ResponseError::Server(error)) => error,
            other => panic!("not an error of the server: {other:?}"),
        }
    }

    fn login_types(read: &LoginTypes) -> Value {
        let login_type = |login_type: &LoginType| {
            let providers: Vec<_> = login_type
                .identity_providers()
                .iter()
                .map(|provider| json!([provider.id(), provider.name(), provider.icon(), provider.brand()]))
                .collect();
            json!([login_type.name(), login_type.get_login_token(), providers])
        };
        read.iter().map(login_type).collect()
    }

    fn login(read: &login::Response) -> Value {
        json!([
            read.user_id.as_str(),
            read.access_token.expose(),
            read.home_server,
            read.device_id,
            read.expires_in.map(|lifetime| lifetime.as_secs()),
            read.refresh_token.as_ref().map(RefreshToken::expose),
            read.well_known_base_url().map(|homeserver| homeserver.url().as_str().to_owned()),
        ])
    }

    fn error(read: &Box<ServerError>) -> Value {
        let retry_after =
            read.retry_after.and_then(|retry_after| retry_after.delay(UNIX_EPOCH)).map(|delay| delay.as_secs());
        json!([read.status.map(|status| status.as_u16()), read.errcode, read.message, retry_after])
    }
}
