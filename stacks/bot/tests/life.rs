//! The life of a bot as a process, at a scripted homeserver.

use std::{
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
};

/// What the homeserver knows. The access token and the refresh token have the same number.
#[derive(Default)]
struct Known {
    /// The number of the tokens that are valid.
    number: u32,
    /// Whether the homeserver grants no refresh tokens.
    refreshes_nothing: bool,
    /// How long an access token lives, in milliseconds.
    lifetimes: Vec<u64>,
    /// After this many calls in a row with one token, the token ends in this way.
    ends: Vec<(u32, End)>,
    calls: u32,
    ended: Option<End>,
    /// The requests, in their order.
    log: Vec<String>,
    /// The devices that logins asked for.
    devices: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The access token expires.
    Expires,
    SoftLogout,
    Logout,
}

impl Known {
    fn tokens(&mut self) -> Value {
        (self.number, self.calls, self.ended) = (self.number + 1, 0, None);
        if self.refreshes_nothing {
            return json!({"access_token": format!("t{}", self.number)});
        }
        let lifetime = if self.lifetimes.is_empty() { 3_600_000 } else { self.lifetimes.remove(0) };
        json!({
            "access_token": format!("t{}", self.number), "refresh_token": format!("r{}", self.number),
            "expires_in_ms": lifetime,
        })
    }

    fn refused(&self) -> (u16, Value) {
        let is_soft = self.ended != Some(End::Logout);
        (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token", "soft_logout": is_soft}))
    }

    fn respond(&mut self, target: &str, token: &str, body: &Value) -> (u16, Value) {
        let path = target.rsplit('/').next().unwrap();
        self.log.push(path.to_owned());
        match target {
            "GET /_matrix/client/v3/login" => {
                self.log.pop();
                (200, json!({"flows": [{"type": "m.login.password"}]}))
            }
            "POST /_matrix/client/v3/login" => {
                self.devices.push(body["device_id"].clone());
                let mut granted = self.tokens();
                granted["user_id"] = "@alice:example.org".into();
                granted["device_id"] = "BOTDEVICE".into();
                (200, granted)
            }
            "POST /_matrix/client/v3/refresh" => {
                let is_current = body["refresh_token"] == format!("r{}", self.number).as_str();
                let is_over = matches!(self.ended, Some(End::SoftLogout | End::Logout));
                if is_current && !is_over { (200, self.tokens()) } else { self.refused() }
            }
            "GET /_matrix/client/v3/account/whoami" => {
                if self.ended.is_none() && self.ends.first().is_some_and(|(calls, _)| self.calls == *calls) {
                    self.ended = Some(self.ends.remove(0).1);
                }
                if self.ended.is_some() || token != format!("Bearer t{}", self.number) {
                    return self.refused();
                }
                self.calls += 1;
                (200, json!({"user_id": "@alice:example.org", "device_id": "BOTDEVICE"}))
            }
            "POST /_matrix/client/v3/logout" => (200, json!({})),
            target => panic!("unexpected request: {target}"),
        }
    }
}

struct Homeserver {
    url: String,
    known: Arc<Mutex<Known>>,
    /// The runtime of the homeserver, which ends when this value is dropped.
    _runtime: Runtime,
}

impl Homeserver {
    fn start(known: Known) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let known = Arc::new(Mutex::new(known));
        let router = Router::new().fallback(respond).with_state(Arc::clone(&known));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, known, _runtime: runtime }
    }

    /// The number of requests for this path.
    fn count(&self, path: &str) -> usize {
        self.known.lock().unwrap().log.iter().filter(|logged| *logged == path).count()
    }
}

async fn respond(
    State(known): State<Arc<Mutex<Known>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let token = headers.get("authorization").map(|token| token.to_str().unwrap()).unwrap_or_default();
    let body = serde_json::from_str(&body).unwrap_or_default();
    let (status, body) = known.lock().unwrap().respond(&format!("{method} {uri}"), token, &body);
    (StatusCode::from_u16(status).unwrap(), body.to_string())
}

fn run(homeserver: &Homeserver, folder: &Path, calls: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
    for variable in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable).env_remove(variable.to_uppercase());
    }
    command.env("BOT_PASSWORD", "wonderland").current_dir(folder);
    command.args([homeserver.url.as_str(), "alice", "session.json", calls]).output().unwrap()
}

fn succeeds(output: &Output, lines: &str) {
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), lines, "{shown}");
    assert!(output.status.success(), "{shown}");
}

const WHOLE: &str = "logged in\ncalled 30 times\nlogged out\n";

#[test]
fn it_survives_expired_tokens_and_a_soft_logout() {
    let homeserver =
        Homeserver::start(Known { ends: vec![(7, End::Expires), (11, End::SoftLogout)], ..Known::default() });
    let folder = tempfile::tempdir().unwrap();
    succeeds(&run(&homeserver, folder.path(), "10"), WHOLE);
    // Three tasks notice each end at once, and only one of them handles it.
    assert_eq!((homeserver.count("refresh"), homeserver.count("login"), homeserver.count("logout")), (2, 2, 1));
    assert_eq!(homeserver.known.lock().unwrap().devices, [Value::Null, "BOTDEVICE".into()]);
    assert_eq!(std::fs::read_to_string(folder.path().join("session.json")).unwrap(), "{}");
}

#[test]
fn without_refresh_tokens_it_logs_in_again_once() {
    let ends = vec![(7, End::SoftLogout), (11, End::SoftLogout)];
    let homeserver = Homeserver::start(Known { refreshes_nothing: true, ends, ..Known::default() });
    let folder = tempfile::tempdir().unwrap();
    succeeds(&run(&homeserver, folder.path(), "10"), WHOLE);
    assert_eq!((homeserver.count("refresh"), homeserver.count("login")), (0, 3));
}

#[test]
fn it_refreshes_before_the_token_expires() {
    let homeserver = Homeserver::start(Known { lifetimes: vec![1_000], ..Known::default() });
    let folder = tempfile::tempdir().unwrap();
    succeeds(&run(&homeserver, folder.path(), "10"), WHOLE);
    let log = homeserver.known.lock().unwrap().log.clone();
    assert_eq!(log[..3], ["login", "refresh", "whoami"]);
    assert_eq!(log.iter().filter(|path| *path == "refresh").count(), 1);
}

#[test]
fn it_goes_on_with_the_session_that_it_has_stored() {
    let homeserver = Homeserver::start(Known::default());
    let folder = tempfile::tempdir().unwrap();
    succeeds(&run(&homeserver, folder.path(), "0"), "logged in\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("session.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "only this user can read the tokens");
    }
    succeeds(&run(&homeserver, folder.path(), "10"), WHOLE);
    assert_eq!(homeserver.count("login"), 1);
    // After that, the session has ended: the next start logs in.
    succeeds(&run(&homeserver, folder.path(), "0"), "logged in\n");
    assert_eq!(homeserver.count("login"), 2);
}

#[test]
fn a_session_that_was_ended_elsewhere_is_not_replaced() {
    let homeserver = Homeserver::start(Known { ends: vec![(5, End::Logout)], ..Known::default() });
    let folder = tempfile::tempdir().unwrap();
    let output = run(&homeserver, folder.path(), "10");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && shown.contains("the session was ended elsewhere"), "{shown}");
    assert!(!shown.contains("wonderland"), "{shown}");
    assert_eq!(homeserver.count("login"), 1);
}
