//! How to log in: what a driver chooses at [`Step::Choose`](crate::Step::Choose).

use serde_json::{Map, Value};

use crate::credentials::code_verifier::CodeVerifier;
use crate::credentials::identifier::UserIdentifier;
use crate::credentials::redirect::Redirect;
use crate::credentials::secret::{AccessToken, LoginToken, Password};
use crate::credentials::{self, Credentials};
use crate::endpoint::oauth::auth_metadata;
use crate::fields::Fields;
use crate::invalid_input::InvalidInput;

/// A way to log in, with the credentials for it.
///
/// ```
/// use matrix_login::{Choice, Password, UserIdentifier};
///
/// let password = Password::new("correct horse");
/// let choice = Choice::password(UserIdentifier::user("alice"), password);
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
    OAuth(Box<OAuthChoice>),
}

/// A grant of the OAuth 2.0 API.
#[derive(Clone, Debug)]
pub(crate) struct OAuthChoice {
    pub(crate) grant: GrantChoice,
    /// The device ID that replaces the one in the settings.
    pub(crate) device_id: Option<String>,
    pub(crate) fields: Fields,
}

#[derive(Clone, Debug)]
pub(crate) enum GrantChoice {
    Code(CodeChoice),
    Device,
}

/// The authorization code grant.
#[derive(Clone, Debug)]
pub(crate) struct CodeChoice {
    pub(crate) redirect: Redirect,
    pub(crate) verifier: CodeVerifier,
}

impl Choice {
    /// `m.login.password`: a user and a password.
    ///
    /// ```
    /// use matrix_login::{Choice, Password, UserIdentifier};
    ///
    /// let password = Password::new("correct horse");
    /// let choice = Choice::password(UserIdentifier::user("alice"), password);
    /// assert_eq!(choice.login_type(), "m.login.password");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn password(identifier: UserIdentifier, password: Password) -> Self {
        Credentials::password(identifier, password).into()
    }

    /// `m.login.token`: a login token, for instance from `get_token`. After single sign-on, give the callback that
    /// contains the token to [`handle_callback`](crate::LoginFlow::handle_callback) instead.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginToken};
    ///
    /// let choice = Choice::token(LoginToken::new("from get_token"));
    /// assert_eq!(choice.login_type(), "m.login.token");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token(token: LoginToken) -> Self {
        Credentials::token(token).into()
    }

    /// `m.login.sso`: the user logs in with a browser.
    ///
    /// ```
    /// use matrix_login::{Choice, Redirect};
    ///
    /// // Use 16 random bytes.
    /// let state = "00112233445566778899aabbccddeeff";
    /// let choice = Choice::sso(Redirect::new("http://127.0.0.1:8765/callback", state)?);
    /// assert!(choice.redirect().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sso(redirect: Redirect) -> Self {
        Kind::Sso { redirect, fields: Fields::default() }.into()
    }

    /// The authorization code grant of the OAuth 2.0 API: the user logs in with a browser, and the browser comes back.
    /// The settings must [ask for OAuth 2.0](crate::LoginSettings::with_oauth).
    ///
    /// Use a new random verifier, and a new random state in the redirect, for every login. An identity provider in the
    /// redirect is ignored: the page of the server asks the user.
    ///
    /// ```
    /// use matrix_login::{Choice, CodeVerifier, Redirect};
    ///
    /// // Use 16 random bytes.
    /// let state = "00112233445566778899aabbccddeeff";
    /// let redirect = Redirect::new("http://127.0.0.1:8765/callback", state)?;
    /// // Use 32 random bytes in base64url.
    /// let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?;
    /// let choice = Choice::authorization_code(redirect, verifier);
    /// assert_eq!(choice.login_type(), "authorization_code");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn authorization_code(redirect: Redirect, verifier: CodeVerifier) -> Self {
        GrantChoice::Code(CodeChoice { redirect, verifier }).into()
    }

    /// The device authorization grant of the OAuth 2.0 API, for a device without a browser: it shows a code, and the
    /// user enters this code in a browser on any device. The settings must [ask for OAuth
    /// 2.0](crate::LoginSettings::with_oauth).
    ///
    /// ```
    /// use matrix_login::Choice;
    ///
    /// let choice = Choice::device_authorization();
    /// assert_eq!(choice.login_type(), "urn:ietf:params:oauth:grant-type:device_code");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn device_authorization() -> Self {
        GrantChoice::Device.into()
    }

    /// `m.login.application_service`: an application service logs in as one of its users, with its `as_token`.
    ///
    /// ```
    /// use matrix_login::{AccessToken, Choice, UserIdentifier};
    ///
    /// let as_token = AccessToken::new("from-the-registration-file")?;
    /// let choice = Choice::application_service(UserIdentifier::user("bridge_bob"), as_token);
    /// assert_eq!(choice.login_type(), "m.login.application_service");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn application_service(identifier: UserIdentifier, as_token: AccessToken) -> Self {
        Credentials::application_service(identifier, as_token).into()
    }

    /// Any other login type, with its own fields.
    ///
    /// ```
    /// use matrix_login::Choice;
    /// use serde_json::{Map, Value};
    ///
    /// let mut fields = Map::new();
    /// fields.insert("token".to_owned(), Value::from("a JSON Web Token"));
    /// let choice = Choice::custom("org.matrix.login.jwt", fields)?;
    /// assert_eq!(choice.login_type(), "org.matrix.login.jwt");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`Credentials::custom`].
    pub fn custom(login_type: impl Into<String>, fields: Map<String, Value>) -> Result<Self, InvalidInput> {
        Credentials::custom(login_type, fields).map(Into::into)
    }

    /// Adds a field to the login request, for extensions that this crate does not know. The flow drops the field
    /// together with the credentials. For single sign-on, the field becomes a part of POST login after the callback. It
    /// is stored with a suspended flow. For a code grant, the field is a parameter of the authorization URL, such as
    /// `login_hint`.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginToken};
    ///
    /// let choice = Choice::token(LoginToken::new("t")).with_field("org.example.badge", "blue")?;
    /// assert!(choice.fields().get("org.example.badge").is_some());
    /// // The crate writes this field itself:
    /// assert!(choice.with_field("device_id", "KITCHEN").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`Credentials::with_field`]. For a code grant, [`InvalidInput`] if the crate writes this parameter
    /// itself, or if the value is not a string, a number or a flag. For a device grant, always [`InvalidInput`]: it
    /// takes no fields.
    pub fn with_field(self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self, InvalidInput> {
        let kind = match self.kind {
            Kind::Credentials(credentials) => Kind::Credentials(credentials.with_field(name, value)?),
            Kind::Sso { redirect, fields } => {
                let fields = credentials::with_field(fields, &name.into(), &value.into())?;
                Kind::Sso { redirect, fields }
            }
            Kind::OAuth(choice) if matches!(choice.grant, GrantChoice::Device) => {
                return Err(InvalidInput::new("field", "no field, since a device authorization takes none"));
            }
            Kind::OAuth(mut choice) => {
                choice.fields = with_parameter(choice.fields, &name.into(), &value.into())?;
                Kind::OAuth(choice)
            }
        };
        Ok(Self { kind, ..self })
    }

    /// Replaces the device ID in the [settings](crate::LoginSettings::with_device_id), for an OAuth 2.0 login. The
    /// device ID of a legacy session might not be suitable for OAuth 2.0, and a server can refuse a device that it
    /// already knows.
    ///
    /// ```
    /// use matrix_login::Choice;
    ///
    /// let choice = Choice::device_authorization().with_device_id("QWKTZRVBHM")?;
    /// assert_eq!(choice.device_id(), Some("QWKTZRVBHM"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the choice is not an OAuth 2.0 login.
    pub fn with_device_id(self, device_id: impl Into<String>) -> Result<Self, InvalidInput> {
        let Kind::OAuth(mut choice) = self.kind else {
            let expected = "an OAuth 2.0 login: other logins take the device ID from the settings";
            return Err(InvalidInput::new("device ID", expected));
        };
        choice.device_id = Some(device_id.into());
        Ok(Self { kind: Kind::OAuth(choice), ..self })
    }

    /// The device ID that [replaces](Self::with_device_id) the one in the settings.
    ///
    /// ```
    /// use matrix_login::Choice;
    ///
    /// assert_eq!(Choice::device_authorization().device_id(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn device_id(&self) -> Option<&str> {
        if let Kind::OAuth(choice) = &self.kind { choice.device_id.as_deref() } else { None }
    }

    /// Allows this choice even if the homeserver does not list its login type or its identity provider. Some
    /// homeservers accept more than they list: Conduit, for instance, accepts token logins. This does not matter for
    /// OAuth 2.0.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginToken};
    ///
    /// let choice = Choice::token(LoginToken::new("t")).unlisted();
    /// assert!(choice.is_unlisted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlisted(self) -> Self {
        Self { is_unlisted: true, ..self }
    }

    /// Whether the choice is [allowed](Self::unlisted) even if the homeserver does not list it.
    ///
    /// ```
    /// use matrix_login::Choice;
    ///
    /// assert!(!Choice::device_authorization().is_unlisted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_unlisted(&self) -> bool {
        self.is_unlisted
    }

    /// The login type that the homeserver must offer for this choice. For OAuth 2.0, this is the grant type.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginToken};
    ///
    /// assert_eq!(Choice::token(LoginToken::new("t")).login_type(), "m.login.token");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn login_type(&self) -> &str {
        match &self.kind {
            Kind::Credentials(credentials) => credentials.login_type(),
            Kind::Sso { .. } => "m.login.sso",
            Kind::OAuth(choice) => choice.grant.grant_type(),
        }
    }

    /// The credentials. `None` if the user enters them in a browser.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginToken};
    ///
    /// assert!(Choice::token(LoginToken::new("t")).credentials().is_some());
    /// assert!(Choice::device_authorization().credentials().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn credentials(&self) -> Option<&Credentials> {
        if let Kind::Credentials(credentials) = &self.kind { Some(credentials) } else { None }
    }

    /// How the browser logs in and comes back. `None` if no browser comes back: for a
    /// password, a token, an application service or a code that the user enters.
    ///
    /// ```
    /// use matrix_login::Choice;
    ///
    /// assert!(Choice::device_authorization().redirect().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn redirect(&self) -> Option<&Redirect> {
        match &self.kind {
            Kind::Credentials(_) => None,
            Kind::Sso { redirect, .. } => Some(redirect),
            Kind::OAuth(choice) => choice.grant.redirect(),
        }
    }

    /// The fields that were [added](Self::with_field).
    ///
    /// ```
    /// use matrix_login::Choice;
    ///
    /// assert!(Choice::device_authorization().fields().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fields(&self) -> &Fields {
        match &self.kind {
            Kind::Credentials(credentials) => credentials.fields(),
            Kind::Sso { fields, .. } => fields,
            Kind::OAuth(choice) => &choice.fields,
        }
    }
}

impl GrantChoice {
    pub(crate) fn grant_type(&self) -> &'static str {
        match self {
            Self::Code(_) => "authorization_code",
            Self::Device => auth_metadata::DEVICE_CODE,
        }
    }

    pub(crate) fn redirect(&self) -> Option<&Redirect> {
        match self {
            Self::Code(choice) => Some(&choice.redirect),
            Self::Device => None,
        }
    }
}

/// Adds a parameter of the caller's to the authorization URL.
fn with_parameter(mut fields: Fields, name: &str, value: &Value) -> Result<Fields, InvalidInput> {
    if auth_metadata::PARAMETERS.contains(&name) {
        let expected = "a name that the authorization URL does not have already";
        return Err(InvalidInput::new(format!("parameter `{name}`"), expected));
    }
    if !(value.is_string() || value.is_number() || value.is_boolean()) {
        return Err(InvalidInput::new(format!("parameter `{name}`"), "a string, a number or a flag"));
    }
    fields.insert(name, value);
    Ok(fields)
}

impl From<Credentials> for Choice {
    fn from(credentials: Credentials) -> Self {
        Kind::Credentials(credentials).into()
    }
}

impl From<GrantChoice> for Choice {
    fn from(grant: GrantChoice) -> Self {
        Kind::OAuth(Box::new(OAuthChoice { grant, device_id: None, fields: Fields::default() })).into()
    }
}

impl From<Kind> for Choice {
    fn from(kind: Kind) -> Self {
        Self { kind, is_unlisted: false }
    }
}
