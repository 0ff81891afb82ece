//! The parts of a transcript, and the values of the crate that they become.

use std::{
    error::Error as StdError,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, Response};
use matrix_login::{
    AccessToken, Action, Choice, CodeVerifier, InvalidInput, LoginSettings, LoginToken, OAuthClient, Password,
    Redirect, UserIdentifier,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

/// Why a file is not a transcript.
pub type NoTranscript = Box<dyn StdError>;

/// A value of the transcript, after the crate has accepted or refused it.
pub type Taken<T> = Result<T, InvalidInput>;

/// The settings of a transcript.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    refresh_tokens: Option<bool>,
    require_refresh_token: Option<bool>,
    follow_well_known: Option<bool>,
    oauth: Option<Registration>,
}

/// An OAuth 2.0 client of a transcript.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    client_uri: Option<String>,
    client_name: Option<String>,
    #[serde(default)]
    fields: Map<String, Value>,
    client_id: Option<String>,
}

impl Registration {
    pub fn take(self) -> Taken<OAuthClient> {
        let client = match (self.client_uri, self.client_id) {
            (Some(client_uri), None) => OAuthClient::new(client_uri.parse()?, self.client_name.unwrap_or_default()),
            (None, Some(client_id)) => OAuthClient::registered(client_id)?,
            _ => return Err(InvalidInput::new("OAuth client", "`client_uri` or `client_id`")),
        };
        self.fields.into_iter().try_fold(client, |client, (name, value)| client.with_field(name, value))
    }
}

impl Settings {
    /// The settings.
    ///
    /// # Errors
    ///
    /// Why the crate refuses a setting.
    pub fn take(self) -> Taken<LoginSettings> {
        let mut settings = LoginSettings::default();
        if let Some(device_id) = self.device_id {
            settings = settings.with_device_id(device_id)?;
        }
        if let Some(name) = self.initial_device_display_name {
            settings = settings.with_initial_device_display_name(name);
        }
        if let Some(client) = self.oauth {
            settings = settings.with_oauth(client.take()?);
        }
        Ok(settings
            .with_refresh_tokens(self.refresh_tokens.unwrap_or(true))
            .with_require_refresh_token(self.require_refresh_token.unwrap_or(true))
            .with_follow_well_known(self.follow_well_known.unwrap_or(true)))
    }
}

/// A choice in a transcript.
#[derive(Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Chosen {
    method: ChosenMethod,
    extra: Map<String, Value>,
}

enum ChosenMethod {
    Password(PasswordLogin),
    Token(TokenLogin),
    Sso(RedirectRequest),
    ApplicationService(ApplicationServiceLogin),
    Custom(String, CustomLogin),
    Code(CodeChoice),
    Device(DeviceChoice),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordLogin {
    identifier: Map<String, Value>,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenLogin {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplicationServiceLogin {
    identifier: Map<String, Value>,
    as_token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomLogin {
    #[serde(default)]
    fields: Map<String, Value>,
}

impl TryFrom<Map<String, Value>> for Chosen {
    type Error = serde_json::Error;

    fn try_from(mut chosen: Map<String, Value>) -> Result<Self, serde_json::Error> {
        if let Some(grant) = chosen.get("oauth") {
            let is_device = grant == "device_authorization";
            let chosen = Value::Object(chosen);
            let method = if is_device {
                ChosenMethod::Device(serde_json::from_value(chosen)?)
            } else {
                ChosenMethod::Code(serde_json::from_value(chosen)?)
            };
            return Ok(Self { method, extra: Map::new() });
        }
        let extra = chosen.remove("extra").map(serde_json::from_value).transpose()?.unwrap_or_default();
        let login_type: String = serde_json::from_value(chosen.remove("type").unwrap_or_default())?;
        let chosen = Value::Object(chosen);
        let method = match login_type.as_str() {
            "m.login.password" => ChosenMethod::Password(serde_json::from_value(chosen)?),
            "m.login.token" => ChosenMethod::Token(serde_json::from_value(chosen)?),
            "m.login.sso" => ChosenMethod::Sso(serde_json::from_value(chosen)?),
            "m.login.application_service" => ChosenMethod::ApplicationService(serde_json::from_value(chosen)?),
            _ => ChosenMethod::Custom(login_type, serde_json::from_value(chosen)?),
        };
        Ok(Self { method, extra })
    }
}

#[derive(Deserialize)]
pub struct RedirectRequest {
    redirect_url: String,
    state: String,
    identity_provider: Option<String>,
    action: Option<String>,
}

impl Chosen {
    /// The choice.
    ///
    /// # Errors
    ///
    /// Why the crate refuses the choice.
    pub fn take(self) -> Taken<Choice> {
        let mut choice = match self.method {
            ChosenMethod::Password(PasswordLogin { identifier, password }) => {
                Choice::password(take_identifier(identifier)?, Password::new(password))
            }
            ChosenMethod::Token(TokenLogin { token }) => Choice::token(LoginToken::new(token)),
            ChosenMethod::Sso(redirect) => Choice::sso(redirect.take()?),
            ChosenMethod::ApplicationService(ApplicationServiceLogin { identifier, as_token }) => {
                Choice::application_service(take_identifier(identifier)?, AccessToken::new(as_token)?)
            }
            ChosenMethod::Custom(login_type, CustomLogin { fields }) => Choice::custom(login_type, fields)?,
            ChosenMethod::Code(choice) => choice.take()?,
            ChosenMethod::Device(choice) => choice.take()?,
        };
        for (name, value) in self.extra {
            choice = choice.with_field(name, value)?;
        }
        Ok(choice)
    }
}

impl RedirectRequest {
    pub fn take(self) -> Taken<Redirect> {
        let mut redirect = Redirect::new(self.redirect_url, self.state)?;
        if let Some(id) = self.identity_provider {
            redirect = redirect.with_identity_provider(id)?;
        }
        with_action(redirect, self.action.as_deref())
    }
}

fn with_action(redirect: Redirect, action: Option<&str>) -> Taken<Redirect> {
    match action {
        None => Ok(redirect),
        Some("login") => Ok(redirect.with_action(Action::Login)),
        Some("register") => Ok(redirect.with_action(Action::Register)),
        Some(_) => Err(InvalidInput::new("action", "login or register")),
    }
}

/// The choice of the authorization code grant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeChoice {
    #[serde(rename = "oauth")]
    _grant: CodeGrant,
    redirect_url: String,
    state: String,
    code_verifier: String,
    action: Option<String>,
    #[serde(default)]
    in_query: bool,
    #[serde(default)]
    extra: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CodeGrant {
    AuthorizationCode,
}

impl CodeChoice {
    pub fn redirect(&self) -> Taken<Redirect> {
        let redirect = Redirect::new(&self.redirect_url, &self.state)?;
        let redirect = if self.in_query { redirect.in_query() } else { redirect };
        with_action(redirect, self.action.as_deref())
    }

    pub fn verifier(&self) -> Taken<CodeVerifier> {
        CodeVerifier::new(&self.code_verifier)
    }

    pub fn take(self) -> Taken<Choice> {
        let choice = Choice::authorization_code(self.redirect()?, self.verifier()?);
        self.extra.into_iter().try_fold(choice, |choice, (name, value)| choice.with_field(name, value))
    }
}

/// The choice of the device authorization grant. `extra` exists only so that a test can see the refusal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceChoice {
    #[serde(rename = "oauth")]
    _grant: DeviceGrant,
    #[serde(default)]
    extra: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeviceGrant {
    DeviceAuthorization,
}

impl DeviceChoice {
    fn take(self) -> Taken<Choice> {
        let choice = Choice::device_authorization();
        self.extra.into_iter().try_fold(choice, |choice, (name, value)| choice.with_field(name, value))
    }
}

fn take_identifier(mut identifier: Map<String, Value>) -> Taken<UserIdentifier> {
    let mut text = |key: &'static str| match identifier.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(InvalidInput::new(key, "a string in the identifier")),
    };
    match text("type")?.as_str() {
        "m.id.user" => Ok(UserIdentifier::user(text("user")?)),
        "m.id.thirdparty" => UserIdentifier::third_party(text("medium")?, text("address")?),
        "m.id.phone" => UserIdentifier::phone(&text("country")?, text("phone")?),
        other => UserIdentifier::custom(other, identifier),
    }
}

pub fn parse_url(field: &'static str, text: &str) -> Taken<Url> {
    Url::parse(text).map_err(|_| InvalidInput::new(field, "an absolute URL"))
}

// A recorded response.

#[derive(Deserialize)]
pub struct RecordedResponse {
    status: u16,
    headers: Option<Headers>,
    body: Option<String>,
    body_base64: Option<String>,
    received_at: Option<String>,
    received_at_ms: Option<u64>,
    /// The output line of the request that this response belongs to. `None` for the request that is due.
    pub answers: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    List(Vec<(String, String)>),
    Object(Map<String, Value>),
}

impl RecordedResponse {
    pub fn read(self) -> Result<(Response<Vec<u8>>, SystemTime), NoTranscript> {
        let body = match (self.body, self.body_base64) {
            (Some(_), Some(_)) => return Err("a response has both `body` and `body_base64`".into()),
            (body, None) => body.unwrap_or_default().into_bytes(),
            (None, Some(encoded)) => BASE64_STANDARD.decode(encoded)?,
        };
        let mut response = Response::builder().status(self.status).body(body)?;
        let headers = match self.headers {
            None => Vec::new(),
            Some(Headers::List(headers)) => headers,
            Some(Headers::Object(headers)) => {
                let text = |(name, value): (String, Value)| match value {
                    Value::String(value) => Ok((name, value)),
                    _ => Err(format!("the header {name} is not a string")),
                };
                headers.into_iter().map(text).collect::<Result<_, _>>()?
            }
        };
        for (name, value) in headers {
            response.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::from_bytes(value.as_bytes())?);
        }
        let received_at = match (self.received_at, self.received_at_ms) {
            (Some(time), None) => humantime::parse_rfc3339(&time)?,
            (None, Some(milliseconds)) => {
                let time = UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds));
                time.ok_or("`received_at_ms` is beyond what time can hold")?
            }
            (None, None) => UNIX_EPOCH,
            (Some(_), Some(_)) => return Err("a response has both `received_at` and `received_at_ms`".into()),
        };
        Ok((response, received_at))
    }
}
