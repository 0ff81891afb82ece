//! The OAuth 2.0 API of the demo homeserver, as far as a login with a code needs it: it registers clients, grants
//! codes, and has the page where a user enters them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::homeserver::{Outcome, Reply, Request, USER, random_text, reply, text};

pub const METADATA: &str = "/_matrix/client/v1/auth_metadata";
pub const REGISTER: &str = "/oauth/register";
pub const DEVICE: &str = "/oauth/device";
pub const TOKEN: &str = "/oauth/token";
pub const REVOKE: &str = "/oauth/revoke";

/// The page where a user enters a code. The path of the page for one code begins with this path.
pub const LINK: &str = "/link";

pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const DEVICE_SCOPE: &str = "urn:matrix:client:device:";

const CODE_LIFETIME: Duration = Duration::from_secs(300);

/// This is short, so that the demo does not take long.
const INTERVAL: Duration = Duration::from_secs(1);

/// How much longer the interval becomes if a program polls too early.
const SLOWER: Duration = Duration::from_secs(5);

/// Letters that form no words and do not look like other letters (RFC 8628, section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

pub struct OAuth {
    url: String,
    clients: Vec<Client>,
    authorizations: Vec<Authorization>,
}

struct Client {
    id: String,
    name: String,
}

struct Authorization {
    client_id: String,
    device_id: String,
    device_code: String,
    user_code: String,
    /// The path of the buttons to allow or deny. Only a user who has entered the code knows this path.
    path: String,
    expires_at: Instant,
    interval: Duration,
    next_poll: Instant,
    is_allowed: Option<bool>,
}

/// The client and the device that get tokens.
pub struct Granted {
    pub client_id: String,
    pub device_id: String,
}

pub type Form = BTreeMap<String, String>;

impl OAuth {
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), clients: Vec::new(), authorizations: Vec::new() }
    }

    pub fn metadata(&self) -> Reply {
        let url = &self.url;
        let metadata = json!({
            "issuer": format!("{url}/"),
            "registration_endpoint": format!("{url}{REGISTER}"),
            "device_authorization_endpoint": format!("{url}{DEVICE}"),
            "token_endpoint": format!("{url}{TOKEN}"),
            "revocation_endpoint": format!("{url}{REVOKE}"),
            "grant_types_supported": [DEVICE_CODE, "refresh_token"],
            "response_types_supported": [],
        });
        reply(200, &metadata)
    }

    pub fn register(&mut self, mut metadata: Map<String, Value>) -> Outcome {
        let unfit = |_| error("invalid_client_metadata");
        text(&mut metadata, "client_uri").map_err(unfit)?;
        let name = text(&mut metadata, "client_name").map_err(unfit)?;
        let client = Client { id: random_text(), name };
        let registered = json!({ "client_id": client.id, "client_name": client.name });
        self.clients.push(client);
        Ok(reply(201, &registered))
    }

    pub fn hand_out_code(&mut self, form: &Form, now: Instant) -> Outcome {
        let client_id = value(form, "client_id")?;
        if !self.clients.iter().any(|client| client.id == client_id) {
            return Err(error("invalid_client"));
        }
        let device_id = value(form, "scope")?.split(' ').find_map(|scope| scope.strip_prefix(DEVICE_SCOPE));
        let authorization = Authorization {
            client_id: client_id.to_owned(),
            device_id: device_id.ok_or_else(|| error("invalid_scope"))?.to_owned(),
            device_code: random_text(),
            user_code: random_code(),
            path: format!("{LINK}/{}", random_text()),
            expires_at: now + CODE_LIFETIME,
            interval: INTERVAL,
            next_poll: now + INTERVAL,
            is_allowed: None,
        };
        let (page, user_code) = (format!("{}{LINK}", self.url), &authorization.user_code);
        let handed_out = json!({
            "device_code": authorization.device_code, "user_code": user_code, "verification_uri": page,
            "verification_uri_complete": format!("{page}?code={user_code}"),
            "expires_in": CODE_LIFETIME.as_secs(), "interval": INTERVAL.as_secs(),
        });
        self.authorizations.push(authorization);
        Ok(reply(200, &handed_out))
    }

    /// Returns the decision of the user. A code gets tokens only once.
    pub fn poll(&mut self, form: &Form, now: Instant) -> Result<Granted, Reply> {
        let (client_id, device_code) = (value(form, "client_id")?, value(form, "device_code")?);
        let is_it = |code: &Authorization| code.device_code == device_code && code.client_id == client_id;
        let place = self.authorizations.iter().position(is_it).ok_or_else(|| error("invalid_grant"))?;
        let code = &mut self.authorizations[place];
        match code.is_allowed {
            _ if code.expires_at <= now => Err(error("expired_token")),
            Some(false) => Err(error("access_denied")),
            Some(true) => {
                let Authorization { client_id, device_id, .. } = self.authorizations.remove(place);
                Ok(Granted { client_id, device_id })
            }
            None => {
                let is_early = now < code.next_poll;
                code.interval += if is_early { SLOWER } else { Duration::ZERO };
                code.next_poll = now + code.interval;
                Err(error(if is_early { "slow_down" } else { "authorization_pending" }))
            }
        }
    }

    // The page.

    pub fn ask_for_code(query: &str) -> Reply {
        let code = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
        page(200, &entry(&code.map(|(_, code)| code).unwrap_or_default(), ""))
    }

    /// Shows which program asks, and for which device. The program can belong to an attacker who wants the user to log
    /// in on the attacker's device.
    pub fn look_up(&self, form: &Form, now: Instant) -> Outcome {
        let typed = value(form, "code")?;
        let letters = |code: &str| code.to_uppercase().replace(|character: char| !character.is_alphabetic(), "");
        let is_it = |code: &&Authorization| code.expires_at > now && letters(&code.user_code) == letters(typed);
        let Some(code) = self.authorizations.iter().find(is_it) else {
            return Err(page(400, &entry(typed, "<p role=\"alert\">No device waits with this code.</p>")));
        };
        let client = self.clients.iter().find(|client| client.id == code.client_id);
        let name = escaped(client.map_or("", |client| &client.name));
        let (device_id, user_code, path) = (escaped(&code.device_id), escaped(&code.user_code), escaped(&code.path));
        let text = format!(
            "<p>The program {name} asks to log in as {USER}, on the device {device_id}.</p>\
             <p>Allow that only if your own device shows the code {user_code}.</p>\
             <form method=\"post\" action=\"{path}\"><button name=\"decision\" value=\"allow\">Log in</button> \
             <button name=\"decision\" value=\"deny\">Deny</button></form>"
        );
        Ok(page(200, &text))
    }

    pub fn decide(&mut self, path: &str, form: &Form, now: Instant) -> Outcome {
        let is_it = |code: &&mut Authorization| code.path == path && code.expires_at > now && code.is_allowed.is_none();
        let Some(code) = self.authorizations.iter_mut().find(is_it) else {
            return Err(page(404, "<p>This login has ended. Begin again.</p>"));
        };
        let is_allowed = value(form, "decision")? == "allow";
        code.is_allowed = Some(is_allowed);
        let text = if is_allowed { "Your device will be logged in soon." } else { "Your device is not logged in." };
        Ok(page(200, &format!("<p>{text} You can close this window.</p>")))
    }
}

/// The body of a request, which is a form.
pub fn form(request: &Request<'_>) -> Result<Form, Reply> {
    if request.content_type != Some("application/x-www-form-urlencoded") {
        return Err(error("invalid_request"));
    }
    Ok(form_urlencoded::parse(request.body).into_owned().collect())
}

pub fn value<'a>(form: &'a Form, name: &str) -> Result<&'a str, Reply> {
    form.get(name).map(String::as_str).ok_or_else(|| error("invalid_request"))
}

pub fn error(code: &str) -> Reply {
    reply(400, &json!({ "error": code }))
}

/// The form for a code, with the text that was typed before.
fn entry(code: &str, problem: &str) -> String {
    format!(
        "{problem}<form method=\"post\" action=\"{LINK}\">\
         <p><label for=\"code\">The code that your device shows</label> \
         <input id=\"code\" name=\"code\" value=\"{}\" autocomplete=\"off\" required></p><button>Go on</button></form>",
        escaped(code)
    )
}

/// A page whose text is HTML.
pub fn page(status: u16, text: &str) -> Reply {
    let body = format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Demo homeserver</title>\
         <h1>Demo homeserver</h1>{text}"
    );
    let headers =
        vec![("Content-Type", "text/html; charset=utf-8".to_owned()), ("Referrer-Policy", "no-referrer".to_owned())];
    Reply { status, headers, body }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn random_code() -> String {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system has random numbers");
    let mut code: String = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    code.insert(4, '-');
    code
}
