//! The data and the responses of the demo homeserver. It checks requests as the specification says. It refuses a wrong
//! password, and then limits the rate of the next login once, as a busy homeserver does.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::oauth::{self, Form, Granted, OAuth};

/// The only user, and the password.
pub const USER: &str = "alice";
pub const PASSWORD: &str = "wonderland";

const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(300);
const LOGIN_TOKEN_LIFETIME: Duration = Duration::from_secs(120);

const VERSIONS: &str = "/_matrix/client/versions";
const LOGIN: &str = "/_matrix/client/v3/login";
const SSO: &str = "/_matrix/client/v3/login/sso/redirect";
const REFRESH: &str = "/_matrix/client/v3/refresh";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const LOGOUT: &str = "/_matrix/client/v3/logout";

/// The path of the button on the page. It is not a part of the Matrix API.
const BUTTON: &str = "/demo/";

pub struct Request<'a> {
    pub method: &'a str,
    /// The path and the query.
    pub target: &'a str,
    pub authorization: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

pub struct Homeserver {
    url: String,
    /// Whether the last login was refused. Then the next login gets a rate limit.
    refused: bool,
    devices: Vec<Device>,
    /// Single sign-ons that wait for the button: the secret path of the button, and the redirect URL.
    visits: Vec<(String, Url)>,
    /// Login tokens, and when they expire.
    login_tokens: Vec<(String, Instant)>,
    oauth: OAuth,
}

struct Device {
    id: String,
    access_token: String,
    /// `None` if it does not expire.
    expires_at: Option<Instant>,
    refresh_token: Option<String>,
    /// The previous refresh token. It is valid until one of the new tokens is used, because the response can be lost.
    old_refresh_token: Option<String>,
    /// The OAuth 2.0 client that got the tokens. `None` if the legacy API granted them.
    client_id: Option<String>,
}

/// A reply, or an error as a reply.
pub type Outcome = Result<Reply, Reply>;

impl Homeserver {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            refused: false,
            devices: Vec::new(),
            visits: Vec::new(),
            login_tokens: Vec::new(),
            oauth: OAuth::new(url),
        }
    }

    pub fn respond(&mut self, request: &Request<'_>, now: Instant) -> Reply {
        self.outcome(request, now).unwrap_or_else(|error| error)
    }

    fn outcome(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        match (request.method, path) {
            ("GET", VERSIONS) => Ok(reply(200, &json!({ "versions": ["v1.1", "v1.11"], "unstable_features": {} }))),
            ("GET", LOGIN) => {
                let types = ["m.login.password", "m.login.sso", "m.login.token"];
                Ok(reply(200, &json!({ "flows": types.map(|login_type| json!({ "type": login_type })) })))
            }
            ("POST", LOGIN) => self.log_in(request, now),
            ("GET", SSO) => self.show_button(query),
            ("POST", path) if path.starts_with(BUTTON) => self.press_button(path, now),
            ("POST", REFRESH) => self.refresh(request, now),
            ("GET", WHOAMI) => {
                let user_id = self.user_id();
                let device_id = &self.authorized(request, now)?.id;
                Ok(reply(200, &json!({ "user_id": user_id, "device_id": device_id, "is_guest": false })))
            }
            ("POST", LOGOUT) => {
                let device_id = self.authorized(request, now)?.id.clone();
                self.devices.retain(|device| device.id != device_id);
                Ok(reply(200, &json!({})))
            }
            ("GET", oauth::METADATA) => Ok(self.oauth.metadata()),
            ("POST", oauth::REGISTER) => self.oauth.register(object(request)?),
            ("POST", oauth::DEVICE) => self.oauth.hand_out_code(&oauth::form(request)?, now),
            ("GET", oauth::LINK) => Ok(OAuth::ask_for_code(query)),
            ("POST", oauth::LINK) => self.oauth.look_up(&oauth::form(request)?, now),
            ("POST", path) if path.starts_with(oauth::LINK) => self.oauth.decide(path, &oauth::form(request)?, now),
            ("POST", oauth::TOKEN) => self.grant(&oauth::form(request)?, now),
            ("POST", oauth::REVOKE) => self.revoke(&oauth::form(request)?),
            (_, VERSIONS | LOGIN | SSO | REFRESH | WHOAMI | LOGOUT) => {
                Err(error(405, "M_UNRECOGNIZED", "Unrecognized request"))
            }
            _ => Err(error(404, "M_UNRECOGNIZED", "Unrecognized request")),
        }
    }

    fn log_in(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        let mut body = object(request)?;
        let wants_refresh_token = match body.remove("refresh_token") {
            None => false,
            Some(Value::Bool(wanted)) => wanted,
            Some(_) => return Err(error(400, "M_BAD_JSON", "refresh_token: expected a boolean")),
        };
        let device_id = match body.remove("device_id") {
            None => random_text(),
            Some(Value::String(device_id)) if !device_id.is_empty() => device_id,
            Some(_) => return Err(error(400, "M_INVALID_PARAM", "Invalid device_id")),
        };
        match text(&mut body, "type")?.as_str() {
            "m.login.password" => self.check_password(&mut body)?,
            "m.login.token" => self.check_login_token(&text(&mut body, "token")?, now)?,
            other => return Err(error(400, "M_UNKNOWN", &format!("Unknown login type {other}"))),
        }

        let mut granted = self.add(Device {
            id: device_id.clone(),
            access_token: random_text(),
            expires_at: wants_refresh_token.then(|| now + ACCESS_TOKEN_LIFETIME),
            refresh_token: wants_refresh_token.then(random_text),
            old_refresh_token: None,
            client_id: None,
        });
        granted["user_id"] = json!(self.user_id());
        granted["device_id"] = json!(device_id);
        granted["well_known"] = json!({ "m.homeserver": { "base_url": format!("{}/", self.url) } });
        Ok(reply(200, &granted))
    }

    /// Adds a device, and returns its tokens. If the device existed before, its old tokens are no longer valid.
    fn add(&mut self, device: Device) -> Value {
        self.devices.retain(|other| other.id != device.id);
        let granted = device.granted();
        self.devices.push(device);
        granted
    }

    /// Grants tokens with OAuth 2.0.
    fn grant(&mut self, form: &Form, now: Instant) -> Outcome {
        let granted = match oauth::value(form, "grant_type")? {
            oauth::DEVICE_CODE => {
                let Granted { client_id, device_id } = self.oauth.poll(form, now)?;
                self.add(Device {
                    id: device_id,
                    access_token: random_text(),
                    expires_at: Some(now + ACCESS_TOKEN_LIFETIME),
                    refresh_token: Some(random_text()),
                    old_refresh_token: None,
                    client_id: Some(client_id),
                })
            }
            "refresh_token" => {
                let (token, client_id) = (oauth::value(form, "refresh_token")?, oauth::value(form, "client_id")?);
                let refreshed = self.replace_tokens(token, Some(client_id), now);
                refreshed.ok_or_else(|| oauth::error("invalid_grant"))?
            }
            _ => return Err(oauth::error("unsupported_grant_type")),
        };
        let tokens = json!({
            "access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
            "token_type": "Bearer", "expires_in": ACCESS_TOKEN_LIFETIME.as_secs(),
        });
        Ok(reply(200, &tokens))
    }

    /// Revokes a token. It is a success even if the token is not known.
    fn revoke(&mut self, form: &Form) -> Outcome {
        let (token, client_id) = (oauth::value(form, "token")?, oauth::value(form, "client_id")?);
        self.devices.retain(|device| {
            let is_its = device.access_token == token || device.refresh_token.as_deref() == Some(token);
            !is_its || device.client_id.as_deref() != Some(client_id)
        });
        Ok(reply(200, &json!({})))
    }

    fn check_password(&mut self, body: &mut Map<String, Value>) -> Result<(), Reply> {
        let Some(Value::Object(mut identifier)) = body.remove("identifier") else {
            return Err(error(400, "M_MISSING_PARAM", "Missing param: identifier"));
        };
        if text(&mut identifier, "type")? != "m.id.user" {
            return Err(error(400, "M_UNKNOWN", "Unknown login identifier type"));
        }
        let (user, password) = (text(&mut identifier, "user")?, text(body, "password")?);
        if self.refused {
            self.refused = false;
            let limited = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 987 });
            let mut reply = reply(429, &limited);
            reply.headers.push(("Retry-After", "1".to_owned()));
            return Err(reply);
        }
        self.refused = password != PASSWORD || (user != USER && user != self.user_id());
        if self.refused { Err(error(403, "M_FORBIDDEN", "Invalid username or password")) } else { Ok(()) }
    }

    /// Checks a login token, which is valid only once.
    fn check_login_token(&mut self, token: &str, now: Instant) -> Result<(), Reply> {
        self.login_tokens.retain(|(_, expires_at)| *expires_at > now);
        match self.login_tokens.iter().position(|(valid, _)| valid == token) {
            Some(place) => {
                self.login_tokens.remove(place);
                Ok(())
            }
            None => Err(error(403, "M_FORBIDDEN", "Invalid login token")),
        }
    }

    fn show_button(&mut self, query: &str) -> Outcome {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let Some((_, redirect_url)) = pairs.find(|(name, _)| name == "redirectUrl") else {
            return Err(error(400, "M_MISSING_PARAM", "Missing param: redirectUrl"));
        };
        let redirect_url =
            Url::parse(&redirect_url).map_err(|_| error(400, "M_INVALID_PARAM", "Invalid redirectUrl"))?;
        let path = format!("{BUTTON}{}", random_text());
        let text = format!(
            "<p>A program on this machine asks you to log in.</p>\
             <form method=\"post\" action=\"{path}\"><button>Log in as {USER}</button></form>"
        );
        self.visits.push((path, redirect_url));
        Ok(oauth::page(200, &text))
    }

    /// Sends the browser back with a login token. A button can be pressed only once.
    fn press_button(&mut self, path: &str, now: Instant) -> Outcome {
        let Some(place) = self.visits.iter().position(|(waiting, _)| waiting == path) else {
            return Err(error(404, "M_NOT_FOUND", "This login has ended. Begin again."));
        };
        let (_, mut address) = self.visits.remove(place);
        let token = random_text();
        address.query_pairs_mut().append_pair("loginToken", &token);
        self.login_tokens.push((token, now + LOGIN_TOKEN_LIFETIME));
        Ok(Reply { status: 303, headers: vec![("Location", address.into())], body: String::new() })
    }

    fn refresh(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        let token = text(&mut object(request)?, "refresh_token")?;
        let refreshed = self.replace_tokens(&token, None, now);
        refreshed
            .map(|tokens| reply(200, &tokens))
            .ok_or_else(|| error(401, "M_UNKNOWN_TOKEN", "Unknown refresh token"))
    }

    /// Returns new tokens for a refresh token of the same API.
    fn replace_tokens(&mut self, token: &str, client_id: Option<&str>, now: Instant) -> Option<Value> {
        let is_it = |known: &Option<String>| known.as_deref() == Some(token);
        let device = self.devices.iter_mut().find(|device| {
            device.client_id.as_deref() == client_id
                && (is_it(&device.refresh_token) || is_it(&device.old_refresh_token))
        })?;
        device.access_token = random_text();
        device.expires_at = Some(now + ACCESS_TOKEN_LIFETIME);
        device.refresh_token = Some(random_text());
        device.old_refresh_token = Some(token.to_owned());
        Some(device.granted())
    }

    /// The device of an access token.
    fn authorized(&mut self, request: &Request<'_>, now: Instant) -> Result<&Device, Reply> {
        let Some(token) = request.authorization.and_then(|value| value.strip_prefix("Bearer ")) else {
            return Err(error(401, "M_MISSING_TOKEN", "Missing access token"));
        };
        let unknown = |soft_logout: bool| {
            let error = if soft_logout { "Access token has expired" } else { "Unrecognised access token" };
            reply(401, &json!({ "errcode": "M_UNKNOWN_TOKEN", "error": error, "soft_logout": soft_logout }))
        };
        let device = self.devices.iter_mut().find(|device| device.access_token == token);
        let device = device.ok_or_else(|| unknown(false))?;
        if device.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(unknown(true));
        }
        device.old_refresh_token = None;
        Ok(device)
    }

    fn user_id(&self) -> String {
        format!("@{USER}:{}", self.url.trim_start_matches("http://"))
    }
}

impl Device {
    fn granted(&self) -> Value {
        let mut granted = json!({ "access_token": self.access_token });
        if let Some(refresh_token) = &self.refresh_token {
            granted["refresh_token"] = json!(refresh_token);
            granted["expires_in_ms"] = json!(ACCESS_TOKEN_LIFETIME.as_secs() * 1000);
        }
        granted
    }
}

/// The body of a request, which is a JSON object.
fn object(request: &Request<'_>) -> Result<Map<String, Value>, Reply> {
    let media_type = request.content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return Err(error(400, "M_NOT_JSON", "Content-Type is not application/json"));
    }
    match serde_json::from_slice(request.body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(error(400, "M_BAD_JSON", "Content is not a JSON object")),
        Err(_) => Err(error(400, "M_NOT_JSON", "Content is not JSON")),
    }
}

pub fn text(object: &mut Map<String, Value>, key: &str) -> Result<String, Reply> {
    match object.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(error(400, "M_BAD_JSON", &format!("{key}: expected a string"))),
        None => Err(error(400, "M_MISSING_PARAM", &format!("Missing param: {key}"))),
    }
}

fn error(status: u16, errcode: &str, message: &str) -> Reply {
    reply(status, &json!({ "errcode": errcode, "error": message }))
}

pub fn reply(status: u16, body: &Value) -> Reply {
    Reply { status, headers: vec![("Content-Type", "application/json".to_owned())], body: body.to_string() }
}

/// A text that no attacker can guess.
pub fn random_text() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system has random numbers");
    format!("{:032X}", u128::from_ne_bytes(random))
}
