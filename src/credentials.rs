//! Credentials: who logs in, and with which secret.

use serde_json::{Map, Value};

use crate::credentials::identifier::UserIdentifier;
use crate::credentials::secret::{AccessToken, LoginToken, Password};
use crate::fields::Fields;
use crate::invalid_input::InvalidInput;

pub(crate) mod code_verifier;
pub(crate) mod device_id;
pub(crate) mod identifier;
pub(crate) mod redirect;
pub(crate) mod secret;

/// The members that the crate writes into every login request. A field of the caller's must not replace one of them.
const WRITTEN_FOR_EVERY_TYPE: [&str; 4] = ["type", "device_id", "initial_device_display_name", "refresh_token"];

/// The members that the crate writes for the login types that it knows. The own fields of a custom type may have these
/// names: the JWT login has a `token`.
const WRITTEN_FOR_KNOWN_TYPES: [&str; 3] = ["identifier", "password", "token"];

/// The credentials of `POST /_matrix/client/v3/login`: a login type and its fields.
///
/// ```
/// use matrix_login::{Credentials, Password, UserIdentifier};
///
/// let password = Password::new("correct horse");
/// let credentials = Credentials::password(UserIdentifier::user("alice"), password);
/// assert_eq!(credentials.login_type(), "m.login.password");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Credentials {
    pub(crate) kind: Kind,
    further_fields: Fields,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Password { identifier: UserIdentifier, password: Password },
    Token(LoginToken),
    ApplicationService { identifier: UserIdentifier, as_token: AccessToken },
    Custom { login_type: String, fields: Fields },
}

impl Credentials {
    /// `m.login.password`: a user and a password.
    pub fn password(identifier: UserIdentifier, password: Password) -> Self {
        Kind::Password { identifier, password }.into()
    }

    /// `m.login.token`: a login token from single sign-on or from `get_token`.
    pub fn token(token: LoginToken) -> Self {
        Kind::Token(token).into()
    }

    /// `m.login.application_service`: an application service logs in as one of its users, with its `as_token`.
    pub fn application_service(identifier: UserIdentifier, as_token: AccessToken) -> Self {
        Kind::ApplicationService { identifier, as_token }.into()
    }

    /// Any other login type, with its own fields.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the type is empty, or if the fields contain a member that the crate writes itself: `type`,
    /// or one of the [settings](crate::LoginSettings) `device_id`, `initial_device_display_name` and `refresh_token`.
    pub fn custom(login_type: impl Into<String>, fields: Map<String, Value>) -> Result<Self, InvalidInput> {
        let login_type = login_type.into();
        if login_type.is_empty() {
            return Err(InvalidInput::new("login type", "a name, such as org.matrix.login.jwt"));
        }
        if let Some(name) = WRITTEN_FOR_EVERY_TYPE.into_iter().find(|name| fields.contains_key(*name)) {
            return Err(reserved(name));
        }
        Ok(Kind::Custom { login_type, fields: fields.into() }.into())
    }

    /// Adds a field to the login request, for extensions that this crate does not know.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the crate writes the field itself: `type`, `identifier`, `password`, `token`, `device_id`,
    /// `initial_device_display_name`, `refresh_token`, and the own fields of a custom type.
    pub fn with_field(self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self, InvalidInput> {
        let name = name.into();
        match &self.kind {
            Kind::Custom { fields, .. } if fields.get(&name).is_some() => Err(reserved(&name)),
            _ => Ok(Self { further_fields: with_field(self.further_fields, &name, &value.into())?, ..self }),
        }
    }

    /// Sets fields that [`with_field`] has already accepted.
    pub(crate) fn with_accepted_fields(self, further_fields: Fields) -> Self {
        Self { further_fields, ..self }
    }

    /// The name of the login type.
    pub fn login_type(&self) -> &str {
        match &self.kind {
            Kind::Password { .. } => "m.login.password",
            Kind::Token(_) => "m.login.token",
            Kind::ApplicationService { .. } => "m.login.application_service",
            Kind::Custom { login_type, .. } => login_type,
        }
    }

    /// The fields that were [added](Self::with_field).
    pub fn fields(&self) -> &Fields {
        &self.further_fields
    }
}

impl From<Kind> for Credentials {
    fn from(kind: Kind) -> Self {
        Self { kind, further_fields: Fields::default() }
    }
}

/// Adds a field of the caller's to the further fields of a login request.
pub(crate) fn with_field(mut fields: Fields, name: &str, value: &Value) -> Result<Fields, InvalidInput> {
    if WRITTEN_FOR_EVERY_TYPE.iter().chain(&WRITTEN_FOR_KNOWN_TYPES).any(|written| *written == name) {
        return Err(reserved(name));
    }
    fields.insert(name, value);
    Ok(fields)
}

fn reserved(name: &str) -> InvalidInput {
    InvalidInput::new(format!("further field `{name}`"), "a name that the login request does not have already")
}
