//! Who logs in, and with which secret.

use crate::{
    credentials::{
        identifier::UserIdentifier,
        secret::{AccessToken, LoginToken, Password},
    },
    fields::Fields,
};

pub(crate) mod identifier;
pub(crate) mod redirect;
pub(crate) mod secret;

/// What `POST /login` takes.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    Password { identifier: UserIdentifier, password: Password },
    Token(LoginToken),
    ApplicationService { identifier: UserIdentifier, as_token: AccessToken },
    Custom { login_type: String, fields: Fields },
}

impl Credentials {
    pub(crate) fn login_type(&self) -> &str {
        match self {
            Self::Password { .. } => "m.login.password",
            Self::Token(_) => "m.login.token",
            Self::ApplicationService { .. } => "m.login.application_service",
            Self::Custom { login_type, .. } => login_type,
        }
    }
}
