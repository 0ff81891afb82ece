//! A homeserver on loopback, for people without an account at hand. It checks requests as the specification says and
//! answers as Synapse does: one wrong password is refused, and the login after it is limited once.

use std::{
    io::{self, Cursor},
    sync::Arc,
    thread::{self, JoinHandle},
};

use serde_json::{Map, Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

/// The only user.
pub const USER: &str = "alice";

/// What the demo types, one after the other: a guess, and the password, for which it is asked only after the guess.
pub const PASSWORDS: [&str; 2] = ["looking-glass", PASSWORD];

const PASSWORD: &str = "wonderland";

/// A running homeserver. It ends when it is dropped.
pub struct Demo {
    url: String,
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Demo {
    /// Starts it on a port that is free.
    pub fn start() -> io::Result<Self> {
        let server = Arc::new(Server::http("127.0.0.1:0").map_err(io::Error::other)?);
        let url = format!("http://{}", server.server_addr());
        let mut homeserver = Homeserver { url: url.clone(), failed: false };
        let requests = Arc::clone(&server);
        let thread = thread::spawn(move || {
            for mut request in requests.incoming_requests() {
                let answer = homeserver.answer(&mut request);
                // A client that has gone is none of the homeserver's business.
                let _ = request.respond(answer);
            }
        });
        Ok(Self { url, server, thread: Some(thread) })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Answer = Response<Cursor<Vec<u8>>>;

struct Homeserver {
    url: String,
    /// Whether the last login was refused: the next one is limited.
    failed: bool,
}

impl Homeserver {
    fn answer(&mut self, request: &mut Request) -> Answer {
        match (request.method().clone(), request.url()) {
            (Method::Get, "/_matrix/client/versions") => {
                answer(200, &json!({ "versions": ["v1.1", "v1.11"], "unstable_features": {} }))
            }
            (Method::Get, "/_matrix/client/v3/login") => answer(
                200,
                &json!({ "flows": [{ "type": "m.login.password" }, { "type": "m.login.application_service" }] }),
            ),
            (Method::Post, "/_matrix/client/v3/login") => self.log_in(request),
            (_, "/_matrix/client/versions" | "/_matrix/client/v3/login") => {
                error(405, "M_UNRECOGNIZED", "Unrecognized request")
            }
            _ => error(404, "M_UNRECOGNIZED", "Unrecognized request"),
        }
    }

    fn log_in(&mut self, request: &mut Request) -> Answer {
        let login = match Login::read(request) {
            Ok(login) => login,
            Err(problem) => return problem,
        };
        if self.failed {
            self.failed = false;
            let limited = json!({
                "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 987,
            });
            return answer(429, &limited).with_header(header("Retry-After", "1"));
        }
        if !login.is_right() {
            self.failed = true;
            return error(403, "M_FORBIDDEN", "Invalid username or password");
        }
        let mut granted = json!({
            "user_id": format!("@{USER}:{}", self.server_name()),
            "access_token": "made-up-access-token",
            "home_server": self.server_name(),
            "device_id": login.device_id,
            "well_known": { "m.homeserver": { "base_url": format!("{}/", self.url) } },
        });
        if login.refresh_token {
            granted["refresh_token"] = json!("made-up-refresh-token");
            granted["expires_in_ms"] = json!(300_000);
        }
        answer(200, &granted)
    }

    fn server_name(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

/// What a login request says.
struct Login {
    user: String,
    password: String,
    device_id: String,
    refresh_token: bool,
}

impl Login {
    fn read(request: &mut Request) -> Result<Self, Answer> {
        let is_json = |header: &Header| header.field.equiv("Content-Type") && header.value == "application/json";
        if !request.headers().iter().any(is_json) {
            return Err(error(400, "M_NOT_JSON", "Content-Type is not application/json"));
        }
        let mut body: Map<String, Value> =
            serde_json::from_reader(request.as_reader()).map_err(|_| error(400, "M_NOT_JSON", "Content not JSON."))?;
        match text(&mut body, "type")?.as_str() {
            "m.login.password" => {}
            other => return Err(error(400, "M_UNKNOWN", &format!("Unknown login type {other}"))),
        }
        let Some(Value::Object(mut identifier)) = body.remove("identifier") else {
            return Err(error(400, "M_MISSING_PARAM", "Missing param: identifier"));
        };
        match text(&mut identifier, "type")?.as_str() {
            "m.id.user" => {}
            _ => return Err(error(400, "M_UNKNOWN", "Unknown login identifier type")),
        }
        Ok(Self {
            user: text(&mut identifier, "user")?,
            password: text(&mut body, "password")?,
            device_id: match body.remove("device_id") {
                None => "DEMODEVICE".to_owned(),
                Some(Value::String(device_id)) if !device_id.is_empty() => device_id,
                Some(_) => return Err(error(400, "M_INVALID_PARAM", "Invalid device_id")),
            },
            refresh_token: match body.remove("refresh_token") {
                None => false,
                Some(Value::Bool(wanted)) => wanted,
                Some(_) => return Err(error(400, "M_BAD_JSON", "refresh_token: expected a boolean")),
            },
        })
    }

    fn is_right(&self) -> bool {
        let localpart = self.user.strip_prefix('@').and_then(|user| user.split(':').next()).unwrap_or(&self.user);
        localpart == USER && self.password == PASSWORD
    }
}

fn text(object: &mut Map<String, Value>, key: &str) -> Result<String, Answer> {
    match object.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(error(400, "M_MISSING_PARAM", &format!("Missing param: {key}"))),
    }
}

fn error(status: u16, errcode: &str, message: &str) -> Answer {
    answer(status, &json!({ "errcode": errcode, "error": message }))
}

fn answer(status: u16, body: &Value) -> Answer {
    Response::from_string(body.to_string())
        .with_status_code(status)
        .with_header(header("Content-Type", "application/json"))
}

fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).expect("the headers of this file are valid")
}
