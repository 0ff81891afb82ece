//! How to log in: what a driver answers to [`Step::Choose`](crate::Step::Choose).

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{
    credentials::{
        Credentials,
        identifier::UserIdentifier,
        redirect::Redirect,
        secret::{AccessToken, LoginToken, Password},
    },
    fields::Fields,
    invalid_input::InvalidInput,
};

/// What the crate writes itself into every login request, so that no field of the caller's may replace it.
const WRITTEN_FOR_EVERY_TYPE: [&str; 4] = ["type", "device_id", "initial_device_display_name", "refresh_token"];

/// What the crate writes for the types that it knows. A custom type's own fields may hold these (the JWT login has a
/// `token`).
const WRITTEN_FOR_KNOWN_TYPES: [&str; 3] = ["identifier", "password", "token"];

/// A way to log in, with the credentials for it.
///
/// ```
/// use matrix_login::{Choice, Password, UserIdentifier};
///
/// let choice = Choice::password(UserIdentifier::user("alice"), Password::new("correct horse battery staple"));
/// # drop(choice);
/// ```
#[derive(Clone, Debug)]
pub struct Choice {
    pub(crate) kind: Kind,
    pub(crate) fields: Fields,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Credentials(Credentials),
    Sso(Redirect),
}

impl Choice {
    /// `m.login.password`
    #[must_use]
    pub fn password(identifier: UserIdentifier, password: Password) -> Self {
        Credentials::Password { identifier, password }.into()
    }

    /// `m.login.token`: with a token from `get_token`, say. The token that ends a single sign-on goes to
    /// [`handle_callback`](crate::LoginFlow::handle_callback) instead.
    #[must_use]
    pub fn token(token: LoginToken) -> Self {
        Credentials::Token(token).into()
    }

    /// `m.login.sso`: the user logs in with a browser.
    #[must_use]
    pub fn sso(redirect: Redirect) -> Self {
        Self { kind: Kind::Sso(redirect), fields: Fields::default() }
    }

    /// `m.login.application_service`: an application service logs in as one of its users, with its `as_token`.
    #[must_use]
    pub fn application_service(identifier: UserIdentifier, as_token: AccessToken) -> Self {
        Credentials::ApplicationService { identifier, as_token }.into()
    }

    /// Any other login type, with its own fields.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the type is empty, or if the fields hold what the crate writes itself: `type`,
    /// `device_id`, `initial_device_display_name` and `refresh_token`, which are [settings](crate::LoginSettings).
    pub fn custom(login_type: impl Into<String>, fields: Map<String, Value>) -> Result<Self, InvalidInput> {
        let login_type = login_type.into();
        if login_type.is_empty() {
            return Err(InvalidInput::new("login type", "a name, such as org.matrix.login.jwt"));
        }
        if let Some(name) = WRITTEN_FOR_EVERY_TYPE.into_iter().find(|name| fields.contains_key(*name)) {
            return Err(reserved(name));
        }
        Ok(Credentials::Custom { login_type, fields: fields.into() }.into())
    }

    /// Adds a field to the login request, for extensions that this crate does not know. It is dropped with the
    /// credentials. With single sign-on it goes into the token login that ends it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the crate writes the field itself: `type`, `identifier`, `password`, `token`,
    /// `device_id`, `initial_device_display_name`, `refresh_token`, and the own fields of a custom type.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self, InvalidInput> {
        let name = name.into();
        let written = WRITTEN_FOR_EVERY_TYPE.iter().chain(&WRITTEN_FOR_KNOWN_TYPES).any(|written| *written == name);
        if written
            || matches!(&self.kind, Kind::Credentials(Credentials::Custom { fields, .. }) if fields.contains_key(&name))
        {
            return Err(reserved(name));
        }
        self.fields.0.insert(name, value.into());
        Ok(self)
    }

    /// The login type that has to be offered for this choice.
    #[must_use]
    pub fn login_type(&self) -> &str {
        match &self.kind {
            Kind::Credentials(credentials) => credentials.login_type(),
            Kind::Sso(_) => "m.login.sso",
        }
    }
}

impl From<Credentials> for Choice {
    fn from(credentials: Credentials) -> Self {
        Self { kind: Kind::Credentials(credentials), fields: Fields::default() }
    }
}

fn reserved(name: impl Into<Cow<'static, str>>) -> InvalidInput {
    InvalidInput::new(format!("further field `{}`", name.into()), "a name that the login request does not have already")
}
