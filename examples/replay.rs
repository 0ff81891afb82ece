//! Replays transcripts of logins without a network: `cargo run -q --example replay -- FILE...` (`-` is standard input).
//!
//! A transcript is one JSON file: how the flow starts, and what goes in. One line of JSON comes out for the step that is
//! due first, and for every input the error, if there was one, and the step that is due after it. So a bug report can be
//! tried, and a test can be data. **Secrets are printed too**: it is for made-up or spent credentials.
//!
//! Fields that are not known are left alone in the transcript and its responses, as notes of whoever recorded them; in
//! settings, inputs and choices they are mistakes.
//!
//! The exit status is 0 whatever the login came to, and 2 if a file is no transcript.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a program does the I/O that the library leaves to it"
)]

use std::{
    error::Error as StdError,
    fs,
    io::{self, Read, Write},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, Request, Response};
use matrix_login::{
    AccessToken, Choice, DiscoveryFailure, DiscoveryOutcome, Error, Homeserver, LoginFlow, LoginSettings, LoginToken,
    LoginType, LoginTypes, Password, RefreshToken, RetryAfter, ServerError, ServerName, Session, Step, Suspended,
    UserId, UserIdentifier,
    endpoint::{get_token, login, login_types, logout, logout_all, refresh, sso, versions, well_known, whoami},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use url::Url;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: replay FILE... (- is standard input)");
        return ExitCode::from(2);
    }
    for file in files {
        let lines = read(&file).map_err(Into::into).and_then(|text| replay(&text));
        let printed = lines.and_then(|lines| print(&lines).map_err(Into::into));
        if let Err(problem) = printed {
            // In one line: what serde quotes may have several.
            eprintln!("{file}: {}", problem.to_string().replace(char::is_control, " "));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn read(file: &str) -> io::Result<String> {
    if file == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        Ok(text)
    } else {
        fs::read_to_string(file)
    }
}

fn print(lines: &[Value]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(output, "{line}"))
}

/// Why a file is no transcript.
type NoTranscript = Box<dyn StdError>;

/// What a value of the transcript is to the crate: good, or refused.
type Taken<T> = Result<T, Error>;

/// The lines that a transcript leads to.
///
/// # Errors
///
/// A description of what is no transcript.
pub fn replay(transcript: &str) -> Result<Vec<Value>, NoTranscript> {
    let transcript: Value = serde_json::from_str(transcript)?;
    if transcript.get("endpoint").is_some() { replay_endpoint(&transcript) } else { replay_flow(&transcript) }
}

// A flow.

#[derive(Deserialize)]
struct FlowTranscript {
    start: Start,
    #[serde(default)]
    settings: Option<Settings>,
    #[serde(default)]
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Start {
    ServerName(String),
    UserId(String),
    Homeserver(String),
    Session(Value),
    /// A session in its stored form, as whose user and device to log in again.
    Again(Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Input {
    Response(RecordedResponse),
    Timeout(bool),
    UseHomeserver(String),
    Choose(Chosen),
    Callback(String),
    Back(bool),
    Lost(bool),
    Unreachable(bool),
    Suspend(bool),
}

fn replay_flow(transcript: &Value) -> Result<Vec<Value>, NoTranscript> {
    let FlowTranscript { start, settings, inputs } = FlowTranscript::deserialize(transcript)?;
    // Every input is read before the first line is printed: half a transcript is none.
    let inputs = inputs.into_iter().map(Prepared::try_from).collect::<Result<Vec<_>, _>>()?;

    let mut flow = match settings.unwrap_or_default().take().and_then(|settings| start.take(settings)) {
        Ok(flow) => flow,
        Err(error) => return Ok(vec![error_line(&error, UNIX_EPOCH)]),
    };
    let mut now = UNIX_EPOCH;
    let mut lines = vec![step_line(&flow.step(), now)];
    for input in inputs {
        let received_at = if let Prepared::Response(_, received_at) = &input { *received_at } else { now };
        match feed(&mut flow, input) {
            Ok(()) => now = received_at,
            Err(error) => lines.push(error_line(&error, received_at)),
        }
        lines.push(step_line(&flow.step(), now));
    }
    Ok(lines)
}

/// An input whose form has been checked.
enum Prepared {
    Response(Response<Vec<u8>>, SystemTime),
    Other(Input),
}

impl TryFrom<Input> for Prepared {
    type Error = NoTranscript;

    fn try_from(input: Input) -> Result<Self, NoTranscript> {
        match input {
            Input::Response(recorded) => recorded.read().map(|(response, at)| Self::Response(response, at)),
            Input::Timeout(false)
            | Input::Back(false)
            | Input::Lost(false)
            | Input::Unreachable(false)
            | Input::Suspend(false) => Err("an input without a value is written as true".into()),
            input => Ok(Self::Other(input)),
        }
    }
}

fn feed(flow: &mut LoginFlow, input: Prepared) -> Result<(), Error> {
    match input {
        Prepared::Response(response, received_at) => flow.handle_response(&response, received_at),
        Prepared::Other(input) => match input {
            Input::Response(_) | Input::Lost(_) => Ok(()),
            Input::Timeout(_) => flow.handle_timeout(),
            Input::UseHomeserver(homeserver) => flow.use_homeserver(homeserver.parse()?),
            Input::Choose(chosen) => flow.choose(chosen.take()?),
            Input::Callback(url) => flow.handle_callback(&parse_url("callback", &url)?),
            Input::Back(_) => flow.back(),
            Input::Unreachable(_) => flow.handle_unreachable(),
            Input::Suspend(_) => {
                let suspended = flow.suspend().ok_or(Error::AlreadyLoggedIn)?;
                *flow = LoginFlow::resume(through_json(&suspended));
                Ok(())
            }
        },
    }
}

fn through_json(suspended: &Suspended) -> Suspended {
    let text = serde_json::to_string(suspended).expect("a suspended flow serialises");
    serde_json::from_str(&text).expect("a suspended flow is read back")
}

impl Start {
    fn take(self, settings: LoginSettings) -> Taken<LoginFlow> {
        Ok(match self {
            Self::ServerName(server_name) => LoginFlow::discover(server_name.parse()?, settings),
            Self::UserId(user_id) => LoginFlow::discover(user_id.parse::<UserId>()?.server_name().clone(), settings),
            Self::Homeserver(homeserver) => LoginFlow::at(homeserver.parse()?, settings),
            Self::Session(stored) => LoginFlow::logged_in(take_session(&stored)?),
            Self::Again(stored) => LoginFlow::again(&take_session(&stored)?, settings),
        })
    }
}

fn take_session(stored: &Value) -> Taken<Session> {
    let session = Session::from_json(stored.to_string())?;
    session.ok_or_else(|| invalid_input("stored session", "an `access_token`: nobody is logged in"))
}

/// The settings of a transcript.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    refresh_tokens: Option<bool>,
    require_refresh_token: Option<bool>,
    follow_well_known: Option<bool>,
}

impl Settings {
    /// The settings, unless the crate refuses one.
    ///
    /// # Errors
    ///
    /// The crate's.
    pub fn take(self) -> Taken<LoginSettings> {
        let mut settings = LoginSettings::default();
        if let Some(device_id) = self.device_id {
            settings = settings.device_id(device_id)?;
        }
        if let Some(name) = self.initial_device_display_name {
            settings = settings.initial_device_display_name(name);
        }
        Ok(settings
            .refresh_tokens(self.refresh_tokens.unwrap_or(true))
            .require_refresh_token(self.require_refresh_token.unwrap_or(true))
            .follow_well_known(self.follow_well_known.unwrap_or(true)))
    }
}

/// A choice as transcripts have it.
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
struct RedirectRequest {
    redirect_url: String,
    state: String,
    identity_provider: Option<String>,
    action: Option<String>,
}

impl Chosen {
    /// The choice, unless the crate refuses it.
    ///
    /// # Errors
    ///
    /// The crate's.
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
        };
        for (name, value) in self.extra {
            choice = choice.field(name, value)?;
        }
        Ok(choice)
    }
}

impl RedirectRequest {
    fn take(self) -> Taken<sso::Redirect> {
        let mut redirect = sso::Redirect::new(parse_url("redirect URL", &self.redirect_url)?, self.state)?;
        if let Some(id) = self.identity_provider {
            redirect = redirect.identity_provider(id)?;
        }
        Ok(match self.action.as_deref() {
            None => redirect,
            Some("login") => redirect.action(sso::Action::Login),
            Some("register") => redirect.action(sso::Action::Register),
            Some(_) => return Err(invalid_input("action", "login or register")),
        })
    }
}

fn take_identifier(mut identifier: Map<String, Value>) -> Taken<UserIdentifier> {
    let mut text = |key: &'static str| match identifier.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(invalid_input(key, "a string in the identifier")),
    };
    match text("type")?.as_str() {
        "m.id.user" => Ok(UserIdentifier::user(text("user")?)),
        "m.id.thirdparty" => UserIdentifier::third_party(text("medium")?, text("address")?),
        "m.id.phone" => UserIdentifier::phone(&text("country")?, text("phone")?),
        other => UserIdentifier::custom(other, identifier),
    }
}

fn parse_url(field: &'static str, text: &str) -> Taken<Url> {
    Url::parse(text).map_err(|_| invalid_input(field, "an absolute URL"))
}

fn invalid_input(field: &'static str, expected: &'static str) -> Error {
    Error::InvalidInput { field: field.into(), expected }
}

// A recorded response.

#[derive(Deserialize)]
struct RecordedResponse {
    status: u16,
    headers: Option<Headers>,
    body: Option<String>,
    body_base64: Option<String>,
    received_at: Option<String>,
    received_at_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    List(Vec<(String, String)>),
    Object(Map<String, Value>),
}

impl RecordedResponse {
    fn read(self) -> Result<(Response<Vec<u8>>, SystemTime), NoTranscript> {
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
                    _ => Err(format!("the header {name} is no string")),
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

// One endpoint.

fn replay_endpoint(transcript: &Value) -> Result<Vec<Value>, NoTranscript> {
    #[derive(Deserialize)]
    struct EndpointTranscript {
        endpoint: String,
        response: Option<RecordedResponse>,
        request: Option<Value>,
    }

    let EndpointTranscript { endpoint, response, request } = EndpointTranscript::deserialize(transcript)?;
    let line = match (response, request) {
        (Some(response), None) => {
            let (response, received_at) = response.read()?;
            match endpoint_response(&endpoint, &response, received_at)? {
                Ok(value) => json!({ "ok": value }),
                Err(error) => json!({ "error": error }),
            }
        }
        (None, Some(request)) => match endpoint_request(&endpoint, &request)? {
            Ok(line) => line,
            Err(error) => error_line(&error, UNIX_EPOCH),
        },
        _ => return Err("an endpoint is replayed with either a `response` or a `request`".into()),
    };
    Ok(vec![line])
}

/// What an endpoint makes of a response, or the error that it is.
fn endpoint_response(
    endpoint: &str,
    response: &Response<Vec<u8>>,
    received_at: SystemTime,
) -> Result<Result<Value, Value>, NoTranscript> {
    let read = match endpoint {
        "well_known" => well_known::response(response).map(|answer| {
            let identity_server = match answer.identity_server {
                None => Value::Null,
                Some(Ok(base_url)) => json!(base_url),
                Some(Err(problem)) => json!({ "problem": problem.to_string() }),
            };
            let mut other = answer.file.clone();
            other.0.retain(|key, _| !matches!(key.as_str(), "m.homeserver" | "m.identity_server"));
            json!({ "base_url": answer.base_url, "identity_server": identity_server, "other": other })
        }),
        "versions" => versions::response(response)
            .map(|answer| json!({ "versions": answer.versions, "unstable_features": answer.unstable_features })),
        "login_types" => {
            login_types::response(response).map(|answer| json!({ "login_types": login_types_value(&answer) }))
        }
        "login" => login::response(response).map(|answer| {
            json!({
                "user_id": answer.user_id,
                "access_token": answer.access_token.expose(),
                "device_id": answer.device_id,
                "home_server": answer.home_server,
                "expires_in_ms": answer.expires_in.map(milliseconds),
                "refresh_token": answer.refresh_token.as_ref().map(RefreshToken::expose),
                "well_known_base_url": answer.well_known_base_url,
                "well_known": answer.well_known,
                "other": answer.other,
            })
        }),
        "refresh" => refresh::response(response).map(|answer| {
            json!({
                "access_token": answer.access_token.expose(),
                "expires_in_ms": answer.expires_in.map(milliseconds),
                "refresh_token": answer.refresh_token.as_ref().map(RefreshToken::expose),
            })
        }),
        "logout" => logout::response(response).map(|answer| logged_out(&answer)),
        "logout_all" => logout_all::response(response).map(|answer| logged_out(&answer)),
        "whoami" => whoami::response(response).map(
            |answer| json!({ "user_id": answer.user_id, "device_id": answer.device_id, "is_guest": answer.is_guest }),
        ),
        // A challenge is an answer of its own; transcripts have it among the errors.
        "get_token" => match get_token::response(response) {
            Ok(get_token::Response::Granted { login_token, expires_in, .. }) => Ok(json!({
                "login_token": login_token.expose(),
                "expires_in_ms": expires_in.map(milliseconds),
            })),
            Ok(get_token::Response::UiaRequired(challenge)) => {
                let message = "the user has to authenticate once more";
                let (session, flows) = (challenge.session, challenge.flows);
                return Ok(Err(
                    json!({ "kind": "uia_required", "message": message, "session": session, "flows": flows }),
                ));
            }
            Ok(_) => return Err("an answer that is not known here".into()),
            Err(error) => Err(error),
        },
        other => return Err(format!("no endpoint {other} with a response").into()),
    };
    Ok(read.map_err(|error| error_value(&error, received_at)))
}

fn logged_out(answer: &logout::Response) -> Value {
    json!({ "already_logged_out": answer.already_logged_out })
}

fn endpoint_request(endpoint: &str, request: &Value) -> Result<Taken<Value>, NoTranscript> {
    #[derive(Deserialize)]
    struct ServerNameField {
        server_name: String,
    }
    #[derive(Deserialize)]
    struct HomeserverField {
        homeserver: String,
    }
    #[derive(Deserialize)]
    struct TokenRequest {
        homeserver: String,
        access_token: String,
    }
    #[derive(Deserialize)]
    struct RefreshRequest {
        homeserver: String,
        refresh_token: String,
    }
    #[derive(Deserialize)]
    struct LoginRequest {
        homeserver: String,
        choose: Chosen,
        settings: Option<Settings>,
    }
    #[derive(Deserialize)]
    struct SsoRequest {
        homeserver: String,
        #[serde(flatten)]
        redirect: RedirectRequest,
    }

    fn fields<T: DeserializeOwned>(request: &Value) -> Result<T, NoTranscript> {
        Ok(T::deserialize(request)?)
    }

    Ok(match endpoint {
        "well_known" => {
            let server_name = fields::<ServerNameField>(request)?.server_name;
            server_name.parse::<ServerName>().map(|server_name| request_value(&well_known::request(&server_name)))
        }
        "versions" | "login_types" => {
            let build = if endpoint == "versions" { versions::request } else { login_types::request };
            let homeserver = fields::<HomeserverField>(request)?.homeserver;
            homeserver.parse::<Homeserver>().map(|homeserver| request_value(&build(&homeserver)))
        }
        "get_token" | "logout" | "logout_all" | "whoami" => {
            let TokenRequest { homeserver, access_token } = fields(request)?;
            let build: fn(&Homeserver, &AccessToken) -> Request<Vec<u8>> = match endpoint {
                "get_token" => |homeserver, access_token| get_token::request(homeserver, access_token, None),
                "logout" => logout::request,
                "logout_all" => logout_all::request,
                _ => whoami::request,
            };
            let take = || Ok((homeserver.parse()?, AccessToken::new(access_token)?));
            take().map(|(homeserver, access_token)| request_value(&build(&homeserver, &access_token)))
        }
        "refresh" => {
            let RefreshRequest { homeserver, refresh_token } = fields(request)?;
            homeserver
                .parse()
                .map(|homeserver| request_value(&refresh::request(&homeserver, &RefreshToken::new(refresh_token))))
        }
        "login" => {
            let LoginRequest { homeserver, choose, settings } = fields(request)?;
            let build = || login::request(&homeserver.parse()?, &choose.take()?, &settings.unwrap_or_default().take()?);
            build().map(|request| request_value(&request))
        }
        "sso" => {
            let SsoRequest { homeserver, redirect } = fields(request)?;
            let build = || Ok(sso::request(&homeserver.parse()?, &redirect.take()?));
            build().map(|url| json!({ "url": url }))
        }
        other => return Err(format!("no endpoint {other} with a request").into()),
    })
}

// The output.

/// The line of a step, as of the time when the last response arrived.
pub fn step_line(step: &Step<'_>, now: SystemTime) -> Value {
    match step {
        Step::Send(request) => {
            let mut line = request_value(request);
            line["step"] = "send".into();
            line
        }
        Step::Wait(wait) => {
            json!({ "step": "wait", "ms": milliseconds(wait.remaining(now)), "attempt": wait.attempt() })
        }
        Step::Locate { failure } => {
            json!({ "step": "locate", "outcome": outcome(failure), "reason": failure.to_string() })
        }
        Step::Choose { login_types, refused } => json!({
            "step": "choose",
            "login_types": login_types_value(login_types),
            "refused": refused.map(|error| server_error_value(error, now)),
        }),
        Step::Browse(url) => json!({ "step": "browse", "url": url }),
        Step::Done(session) => json!({ "step": "done", "session": session }),
    }
}

fn request_value(request: &Request<Vec<u8>>) -> Value {
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes())))
    };
    let body = match serde_json::from_slice(request.body()) {
        Ok(body) => body,
        Err(_) if request.body().is_empty() => Value::Null,
        Err(_) => String::from_utf8_lossy(request.body()).into(),
    };
    json!({
        "method": request.method().as_str(),
        "url": request.uri().to_string(),
        "headers": request.headers().iter().map(header).collect::<Map<_, _>>(),
        "body": body,
    })
}

fn login_types_value(login_types: &LoginTypes) -> Value {
    login_types.iter().map(login_type_value).collect()
}

fn login_type_value(login_type: &LoginType) -> Value {
    let mut value = match login_type {
        LoginType::Token { get_login_token } => json!({ "get_login_token": get_login_token }),
        LoginType::Sso { identity_providers, oauth_aware_preferred } => {
            let identity_providers = identity_providers.iter().map(|provider| {
                json!({ "id": provider.id, "name": provider.name, "icon": provider.icon, "brand": provider.brand })
            });
            json!({
                "identity_providers": identity_providers.collect::<Value>(),
                "oauth_aware_preferred": oauth_aware_preferred,
            })
        }
        LoginType::Other { fields, .. } => json!(fields),
        _ => json!({}),
    };
    value["type"] = login_type.as_str().into();
    value
}

fn outcome(failure: &DiscoveryFailure) -> &'static str {
    match failure.outcome {
        DiscoveryOutcome::Ignore => "ignore",
        DiscoveryOutcome::FailPrompt => "fail_prompt",
        DiscoveryOutcome::FailError => "fail_error",
        _ => "unknown",
    }
}

fn error_line(error: &Error, received_at: SystemTime) -> Value {
    json!({ "error": error_value(error, received_at) })
}

fn error_value(error: &Error, received_at: SystemTime) -> Value {
    let (kind, details) = match error {
        Error::Server(error) => return server_error_value(error, received_at),
        Error::InvalidInput { .. } => ("invalid_input", json!({})),
        Error::OutOfStep { .. } => ("out_of_step", json!({})),
        Error::AlreadyLoggedIn => ("already_logged_in", json!({})),
        Error::NotOffered { .. } => ("not_offered", json!({})),
        Error::ForeignCallback => ("foreign_callback", json!({})),
        Error::LegacyLoginUnsupported => ("legacy_login_unsupported", json!({})),
        Error::InvalidResponse { .. } => ("invalid_response", json!({})),
        Error::TooLarge { .. } => ("too_large", json!({})),
        Error::NotMatrix { status, .. } => ("not_matrix", json!({ "status": status.as_u16() })),
        Error::Redirected { location, .. } => ("redirected", json!({ "location": location })),
        Error::Discovery(failure) => ("discovery", json!({ "outcome": outcome(failure) })),
        Error::MissingRefreshToken(session) => ("missing_refresh_token", json!({ "session": session })),
        Error::WrongUser { session, .. } => ("wrong_user", json!({ "session": session })),
        _ => ("unknown", json!({})),
    };
    let mut value = details;
    value["kind"] = kind.into();
    value["message"] = error.to_string().into();
    value
}

fn server_error_value(error: &ServerError, received_at: SystemTime) -> Value {
    let delay = |retry_after: RetryAfter| milliseconds(retry_after.delay(received_at));
    json!({
        "kind": "server",
        "status": error.status.as_u16(),
        "errcode": error.errcode,
        "message": error.message,
        "soft_logout": error.soft_logout,
        "retry_after_ms": error.retry_after.map(delay),
        "other": error.other,
    })
}

/// Whole milliseconds, rounded up: a wait must not end too early.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
