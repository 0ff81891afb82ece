//! How to log in: what a driver answers to [`Step::Choose`](crate::Step::Choose).

use serde_json::{Map, Value};

use crate::credentials::identifier::UserIdentifier;
use crate::credentials::redirect::Redirect;
use crate::credentials::secret::{AccessToken, LoginToken, Password};
use crate::credentials::{self, Credentials};
use crate::fields::Fields;
use crate::invalid_input::InvalidInput;

/// A way to log in, with the credentials for it.
///
/// ```
/// use matrix_login::{Choice, Password, UserIdentifier};
///
/// let choice = Choice::password(UserIdentifier::user("alice"), Password::new("correct horse battery staple"));
/// assert_eq!(choice.login_type(), "m.login.password");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Choice {
    pub(crate) kind: Kind,
    is_unlisted: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Credentials(Credentials),
    Sso { redirect: Redirect, fields: Fields },
}

impl Choice {
    /// `m.login.password`
    pub fn password(identifier: UserIdentifier, password: Password) -> Self {
        Credentials::password(identifier, password).into()
    }

    /// `m.login.token`: with a token from `get_token`, for instance. The token that ends a single sign-on goes to
    /// [`handle_callback`](crate::LoginFlow::handle_callback) instead.
    pub fn token(token: LoginToken) -> Self {
        Credentials::token(token).into()
    }

    /// `m.login.sso`: the user logs in with a browser.
    pub fn sso(redirect: Redirect) -> Self {
        Kind::Sso { redirect, fields: Fields::default() }.into()
    }

    /// `m.login.application_service`: an application service logs in as one of its users, with its `as_token`.
    pub fn application_service(identifier: UserIdentifier, as_token: AccessToken) -> Self {
        Credentials::application_service(identifier, as_token).into()
    }

    /// Any other login type, with its own fields.
    ///
    /// # Errors
    ///
    /// Those of [`Credentials::custom`].
    pub fn custom(login_type: impl Into<String>, fields: Map<String, Value>) -> Result<Self, InvalidInput> {
        Credentials::custom(login_type, fields).map(Into::into)
    }

    /// Adds a field to the login request, for extensions that this crate does not know. It is dropped with the
    /// credentials. With single sign-on it goes into the token login that ends it, also after a suspension: it is
    /// stored with the flow.
    ///
    /// # Errors
    ///
    /// Those of [`Credentials::with_field`].
    pub fn with_field(self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self, InvalidInput> {
        let kind = match self.kind {
            Kind::Credentials(credentials) => Kind::Credentials(credentials.with_field(name, value)?),
            Kind::Sso { redirect, fields } => {
                let fields = credentials::with_field(fields, &name.into(), &value.into())?;
                Kind::Sso { redirect, fields }
            }
        };
        Ok(Self { kind, ..self })
    }

    /// Takes this choice even if the homeserver does not list its login type, or its identity provider. Some homeservers
    /// accept more than they list: Conduit takes token logins, for instance.
    pub fn unlisted(self) -> Self {
        Self { is_unlisted: true, ..self }
    }

    /// Whether the choice need not be listed.
    pub fn is_unlisted(&self) -> bool {
        self.is_unlisted
    }

    /// The login type that the homeserver must offer for this choice.
    pub fn login_type(&self) -> &str {
        match &self.kind {
            Kind::Credentials(credentials) => credentials.login_type(),
            Kind::Sso { .. } => "m.login.sso",
        }
    }

    /// The credentials. `None` for single sign-on.
    pub fn credentials(&self) -> Option<&Credentials> {
        if let Kind::Credentials(credentials) = &self.kind { Some(credentials) } else { None }
    }

    /// Where the browser goes. `None` for all but single sign-on.
    pub fn redirect(&self) -> Option<&Redirect> {
        if let Kind::Sso { redirect, .. } = &self.kind { Some(redirect) } else { None }
    }

    /// The fields that were [added](Self::with_field).
    pub fn fields(&self) -> &Fields {
        match &self.kind {
            Kind::Credentials(credentials) => credentials.fields(),
            Kind::Sso { fields, .. } => fields,
        }
    }
}

impl From<Credentials> for Choice {
    fn from(credentials: Credentials) -> Self {
        Kind::Credentials(credentials).into()
    }
}

impl From<Kind> for Choice {
    fn from(kind: Kind) -> Self {
        Self { kind, is_unlisted: false }
    }
}
