//! The programs with OAuth 2.0, run as processes: a login in a browser, and the life of its session. A session is sent
//! only to the endpoints of the API that has granted it.

use std::fs;

use matrix_login::CodeVerifier;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::{
    login_types::of_an_oauth_server,
    support::{
        browsing::{Running, browse},
        loopback::{self, Loopback, Received, Served, served},
        programs,
        run::{PASSWORD, Run, folder, program},
        scenario::OFFERS,
    },
};

pub const METADATA: &str = "GET /_matrix/client/v1/auth_metadata";
pub const WHOAMI: &str = "GET /_matrix/client/v3/account/whoami";
pub const LOGGED_IN: &str = "logged in as @alice:example.org with device ID DEVICEID01";

/// A homeserver with both APIs, and the authorization server that it names.
struct Servers {
    homeserver: Loopback,
    provider: Loopback,
}

/// The response that a test wants to be different. `None` keeps the usual response.
type Different = fn(&Received) -> Option<Served>;

impl Servers {
    fn start() -> Self {
        Self::with(|_| None, |_| None)
    }

    fn with(
        homeserver: impl FnMut(&Received) -> Option<Served> + Send + 'static,
        mut provider: impl FnMut(&Received) -> Option<Served> + Send + 'static,
    ) -> Self {
        let mut number = 0;
        let provider = Loopback::start(move |received| {
            provider(received).unwrap_or_else(|| match received.target.as_str() {
                "POST /register" => served(201, r#"{"client_id":"client-1"}"#),
                "POST /token" => {
                    number += 1;
                    let granted = json!({
                        "access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"),
                        "token_type": "Bearer", "expires_in": 300,
                    });
                    served(200, granted.to_string())
                }
                "POST /revoke" => served(200, ""),
                _ => served(404, "<html>"),
            })
        });
        let metadata = metadata(&provider.url);
        Self { homeserver: start_homeserver(metadata, homeserver), provider }
    }

    fn url(&self) -> &str {
        &self.homeserver.url
    }

    /// Starts the browser program, until it has sent the user to the browser.
    fn begin(&self, folder: &TempDir, more: &[&str]) -> (Running, Url) {
        let mut running = Running::start(folder.path(), &[&["-H", self.url(), "--no-browser"], more].concat());
        let url = running.url();
        (running, url)
    }

    /// A session that was stored before.
    fn stored(&self, valid_until: u64) -> Value {
        json!({
            "access_token": "access-0", "access_token_valid_until": valid_until, "refresh_token": "refresh-0",
            "user_id": "@alice:example.org", "device_id": "DEVICEID01",
            "base_client_url": format!("{}/_matrix/client/", self.url()), "oauth": self.origin(),
        })
    }

    fn origin(&self) -> Value {
        let url = &self.provider.url;
        json!({
            "client_id": "client-1", "issuer": url, "token_endpoint": format!("{url}/token"),
            "revocation_endpoint": format!("{url}/revoke"),
        })
    }

    /// The forms that came to this endpoint.
    fn forms(&self, endpoint: &str) -> Vec<Value> {
        let received = self.provider.received().into_iter();
        received
            .filter(|received| received.target == format!("POST {endpoint}"))
            .map(|received| received.body)
            .collect()
    }

    /// No token of OAuth 2.0 was sent to the endpoints of the legacy API.
    fn kept_the_apis_apart(&self) {
        let posts: Vec<_> = self.homeserver.targets().into_iter().filter(|target| target.starts_with("POST")).collect();
        assert_eq!(posts, Vec::<String>::new());
    }
}

/// A homeserver with these metadata. The responses of `otherwise` come first.
pub fn start_homeserver(
    metadata: Value,
    mut otherwise: impl FnMut(&Received) -> Option<Served> + Send + 'static,
) -> Loopback {
    Loopback::start(move |received| {
        otherwise(received).unwrap_or_else(|| match received.target.as_str() {
            METADATA => served(200, metadata.to_string()),
            WHOAMI => served(200, r#"{"user_id":"@alice:example.org","device_id":"DEVICEID01"}"#),
            _ => loopback::good(OFFERS, received),
        })
    })
}

pub fn metadata(url: &str) -> Value {
    json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "registration_endpoint": format!("{url}/register"), "revocation_endpoint": format!("{url}/revoke"),
        "response_types_supported": ["code"], "grant_types_supported": ["authorization_code", "refresh_token"],
        "response_modes_supported": ["query", "fragment"], "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["create"],
    })
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// The device that an authorization URL asks for.
fn device_id(url: &Url) -> String {
    let scope = parameter(url, "scope");
    scope.strip_prefix("urn:matrix:client:api:* urn:matrix:client:device:").unwrap().to_owned()
}

/// The address that the browser comes back to, with these parameters and the right state.
fn callback(url: &Url, parameters: &[(&str, &str)]) -> Url {
    let mut callback: Url = parameter(url, "redirect_uri").parse().unwrap();
    callback.query_pairs_mut().extend_pairs(parameters).append_pair("state", &parameter(url, "state"));
    callback
}

fn granted(url: &Url) -> Url {
    callback(url, &[("code", "c0de")])
}

fn denied(url: &Url) -> Url {
    callback(url, &[("error", "access_denied"), ("error_description", "The user said no")])
}

fn folder_with(stored: &Value) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("data.json"), stored.to_string()).unwrap();
    folder
}

fn file(folder: &TempDir) -> Value {
    serde_json::from_slice(&fs::read(folder.path().join("data.json")).unwrap()).unwrap()
}

pub fn last_line(stderr: &str) -> &str {
    stderr.lines().last().unwrap_or_default()
}

// A login.

#[test]
fn a_login_is_stored_and_used_and_refreshed_and_ended() {
    let servers = Servers::start();
    let folder = folder();
    let (running, url) = servers.begin(&folder, &[]);
    assert_eq!(url.join("/").unwrap().as_str().trim_end_matches('/'), servers.provider.url);
    assert_eq!((url.path(), parameter(&url, "response_type").as_str()), ("/authorize", "code"));
    assert_eq!((parameter(&url, "client_id"), device_id(&url).len()), ("client-1".to_owned(), 10));
    assert!(!url.query().unwrap().contains("prompt"), "{url}");
    let redirect_uri = parameter(&url, "redirect_uri");
    assert!(redirect_uri.starts_with("http://127.0.0.1:") && redirect_uri.ends_with("/callback"), "{redirect_uri}");

    let (status, page) = browse(&granted(&url));
    assert_eq!(status, 200);
    assert!(page.contains("You can close this window."), "{page}");
    let (status, stdout, stderr) = running.end();
    assert_eq!((status, stdout.as_str()), (Some(0), format!("{LOGGED_IN}\n").as_str()), "{stderr}");
    for secret in ["c0de", "access-1", "refresh-1"] {
        assert!(!stderr.contains(secret), "{stderr}");
    }

    let registered = servers.forms("/register").pop().unwrap();
    assert_eq!(registered["client_name"], "matrix-login");
    assert!(registered["client_uri"].as_str().unwrap().starts_with("https://"), "{registered}");
    let form = servers.forms("/token").pop().unwrap();
    let verifier = CodeVerifier::new(form["code_verifier"].as_str().unwrap()).unwrap();
    assert_eq!(verifier.challenge(), parameter(&url, "code_challenge"));
    assert_eq!((&form["code"], &form["redirect_uri"]), (&"c0de".into(), &redirect_uri.into()));

    let mut stored = file(&folder);
    assert!(stored["access_token_valid_until"].take().is_u64());
    let mut expected = servers.stored(0);
    expected["access_token"] = "access-1".into();
    expected["refresh_token"] = "refresh-1".into();
    expected["access_token_valid_until"] = Value::Null;
    assert_eq!(stored, expected);

    let run = Run::with(folder, &["--whoami"], "");
    run.says(LOGGED_IN);
    let run = Run::with(run.folder, &["--refresh"], "");
    run.says(LOGGED_IN);
    let refreshed = servers.forms("/token").pop().unwrap();
    assert_eq!(
        refreshed,
        json!({"grant_type": "refresh_token", "refresh_token": "refresh-1", "client_id": "client-1"})
    );
    let run = Run::with(run.folder, &["--logout"], "");
    run.says("@alice:example.org with device ID DEVICEID01 is logged out");
    let revoked = json!({"token": "refresh-2", "token_type_hint": "refresh_token", "client_id": "client-1"});
    assert_eq!(servers.forms("/revoke"), [revoked]);
    assert_eq!(run.file("data.json"), json!({}));
    servers.kept_the_apis_apart();
}

#[test]
fn the_provider_is_shown_next_to_the_homeserver() {
    let servers = Servers::start();
    let folder = folder();
    let (mut running, _) = servers.begin(&folder, &[]);
    let host = |url: &str| url.trim_start_matches("http://").to_owned();
    let (provider, homeserver) = (host(&servers.provider.url), host(servers.url()));
    let line = format!("you log in at {provider} for the homeserver {homeserver}\n");
    // The line comes before the URL, and so before a browser is opened.
    assert!(running.shown.split("\nlog in at ").next().unwrap().contains(&line), "{}", running.shown);
    running.child.kill().unwrap();
    running.child.wait().unwrap();
}

#[test]
fn a_user_who_wants_an_account_is_sent_to_its_page() {
    let servers = Servers::start();
    let folder = folder();
    let (mut running, url) = servers.begin(&folder, &["--register"]);
    assert_eq!(parameter(&url, "prompt"), "create");
    running.child.kill().unwrap();
    running.child.wait().unwrap();
}

#[test]
fn a_user_who_says_no_is_told_that_nobody_is_logged_in() {
    let servers = Servers::start();
    let folder = folder();
    let (running, url) = servers.begin(&folder, &[]);
    let (status, page) = browse(&denied(&url));
    assert_eq!(status, 200);
    assert!(page.contains("You are not logged in."), "{page}");
    let (status, stdout, stderr) = running.end();
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    assert_eq!(last_line(&stderr), "Error: the server refused (access_denied): The user said no; begin again");
    assert_eq!(servers.forms("/token"), Vec::<Value>::new());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_foreign_callback_with_a_code_changes_nothing() {
    let servers = Servers::start();
    let folder = folder();
    let (running, url) = servers.begin(&folder, &[]);
    let mut foreign: Url = parameter(&url, "redirect_uri").parse().unwrap();
    foreign.set_query(Some("state=0123456789abcdef0123456789abcdef&code=stolen"));
    for callback in [foreign, callback(&url, &[]), callback(&url, &[("code", "c0de"), ("error", "access_denied")])] {
        let (status, page) = browse(&callback);
        assert_eq!(status, 400);
        assert!(page.contains("If your login is not finished, go back and try again."), "{page}");
    }
    browse(&granted(&url));
    assert_eq!(running.end().0, Some(0));
    assert_eq!(servers.forms("/token").pop().unwrap()["code"], "c0de");
}

#[test]
fn one_process_begins_and_another_finishes_with_a_code() {
    let servers = Servers::start();
    let folder = folder();
    let (running, url) = servers.begin(&folder, &["--suspend", "login.json"]);
    assert_eq!(running.end().0, Some(0));
    let resume = |callback: &Url| Running::start(folder.path(), &["--resume", "login.json", callback.as_str()]).end();

    let mut foreign = granted(&url);
    foreign.set_query(Some("state=0123456789abcdef&code=stolen"));
    let (status, _, stderr) = resume(&foreign);
    assert_eq!(status, Some(1));
    assert!(stderr.starts_with("Error: the callback does not belong to this login"), "{stderr}");
    let (status, _, stderr) = resume(&denied(&url));
    assert_eq!(status, Some(1));
    assert_eq!(last_line(&stderr), "Error: the server refused (access_denied): The user said no; begin again");
    assert_eq!(servers.forms("/token"), Vec::<Value>::new());

    let before = servers.homeserver.targets().len();
    let (status, stdout, stderr) = resume(&granted(&url));
    assert_eq!((status, stdout.as_str()), (Some(0), format!("{LOGGED_IN}\n").as_str()), "{stderr}");
    assert_eq!(servers.homeserver.targets()[before..], [METADATA, WHOAMI]);
    assert_eq!(file(&folder)["oauth"], servers.origin());
    assert!(!folder.path().join("login.json").exists(), "a finished login leaves no file");
}

// The legacy API.

#[test]
fn a_user_who_insists_on_the_legacy_api_gets_it() {
    let servers = Servers::start();
    let folder = folder();
    for option in [&["--legacy"][..], &["--provider", "oidc-x"]] {
        let (mut running, url) = servers.begin(&folder, option);
        assert_eq!(url.path(), "/_matrix/client/v3/login/sso/redirect/oidc-x");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
    assert!(!servers.homeserver.targets().contains(&METADATA.to_owned()));
}

#[test]
fn a_page_in_place_of_metadata_leads_to_single_sign_on() {
    let page = |received: &Received| (received.target == METADATA).then(|| served(404, "<!DOCTYPE html>not here"));
    let servers = Servers::with(page, |_| None);
    let folder = folder();
    let (mut running, url) = servers.begin(&folder, &[]);
    assert_eq!(url.path(), "/_matrix/client/v3/login/sso/redirect/oidc-x");
    running.child.kill().unwrap();
    running.child.wait().unwrap();
}

#[test]
fn a_password_in_a_pipe_needs_no_browser() {
    let servers = Servers::start();
    let run = Run::with(folder(), &["-H", servers.url(), "alice"], &format!("{PASSWORD}\n"));
    run.says("logged in as @alice:example.org with device ID DEVICEID");
    assert!(!servers.homeserver.targets().contains(&METADATA.to_owned()));
}

/// A homeserver without the legacy API.
fn has_oauth_only(received: &Received) -> Option<Served> {
    let unrecognized = r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#;
    received.target.ends_with("/v3/login").then(|| served(404, unrecognized))
}

#[test]
fn a_pipe_is_told_how_to_log_in_with_a_browser() {
    let servers = Servers::with(has_oauth_only, |_| None);
    let run = Run::with(folder(), &["-H", servers.url(), "alice"], &format!("{PASSWORD}\n"));
    run.fails(
        "Error: there is no login API at this address that the settings allow: check the address; if the homeserver \
         supports OAuth 2.0, allow that in the settings; log in with a browser, without --legacy: \
         cargo run --example browser -- SERVER",
    );
}

#[test]
fn a_homeserver_with_oauth_only_logs_in() {
    let servers = Servers::with(has_oauth_only, |_| None);
    let folder = folder();
    let (running, url) = servers.begin(&folder, &[]);
    browse(&granted(&url));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(0), "{stderr}");
}

#[cfg(target_os = "linux")]
mod at_a_terminal {
    use super::*;
    use crate::support::terminal::{at_a_terminal, watch};

    const OPEN: &str = "Open it in a browser? [Y/n] ";

    fn arguments(servers: &Servers) -> String {
        format!("-H {} --no-browser alice", servers.url())
    }

    /// The URL that the terminal has shown.
    fn shown_url(shown: &str) -> Url {
        shown.split("\nlog in at ").nth(1).unwrap().lines().next().unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_user_is_offered_the_browser_first() {
        let servers = Servers::start();
        let folder = folder();
        let questions = [OPEN, "copy its last address and paste it here"];
        let shown = watch(program(), &folder, &arguments(&servers), &questions, |number, shown| {
            if number == 0 { "\n".to_owned() } else { format!("{}\n", granted(&shown_url(shown))) }
        });
        assert!(shown.contains(LOGGED_IN) && !shown.contains("Password"), "{shown}");
        assert_eq!(file(&folder)["oauth"], servers.origin());
    }

    #[test]
    fn a_user_who_wants_no_browser_is_asked_for_the_password() {
        let servers = Servers::start();
        let folder = folder();
        let answers = [(OPEN, "n\n"), ("Password for alice: ", "wonderland\n")];
        let shown = at_a_terminal(program(), &folder, &arguments(&servers), &answers);
        assert!(shown.contains("logged in as @alice:example.org with device ID DEVICEID"), "{shown}");
        assert_eq!(file(&folder).get("oauth"), None);
    }

    #[test]
    fn a_user_who_wants_no_browser_is_not_sent_there_again() {
        let prefers: Different =
            |received| (received.target == "GET /_matrix/client/v3/login").then(|| served(200, of_an_oauth_server()));
        let said = "the homeserver asks people to log in with a browser";
        let typed = [(OPEN, "n\n"), ("Password for alice: ", "wonderland\n")];
        for (option, typed, is_said) in [("", &typed[..], false), ("--legacy ", &typed[1..], true)] {
            let servers = Servers::with(prefers, |_| None);
            let shown = at_a_terminal(program(), &folder(), &format!("{option}{}", arguments(&servers)), typed);
            assert!(shown.contains("status 0") && shown.contains(said) == is_said, "{shown}");
        }
    }

    #[test]
    fn a_user_who_insists_on_the_legacy_api_is_not_asked() {
        let servers = Servers::start();
        let arguments = format!("--legacy {}", arguments(&servers));
        let answers = [("Password for alice: ", "wonderland\n")];
        let shown = at_a_terminal(program(), &folder(), &arguments, &answers);
        assert!(shown.contains("logged in as") && !shown.contains(OPEN), "{shown}");
        assert!(!servers.homeserver.targets().contains(&METADATA.to_owned()));
    }

    #[test]
    fn without_a_browser_and_a_password_login_the_user_is_told_so() {
        let servers = Servers::with(has_oauth_only, |_| None);
        let shown = at_a_terminal(program(), &folder(), &arguments(&servers), &[(OPEN, "n\n")]);
        assert!(shown.contains("server does not support logging in with password; it offers nothing"), "{shown}");
        assert!(shown.contains("status 1"), "{shown}");
    }

    #[test]
    fn a_user_who_says_no_is_not_asked_for_a_password() {
        let servers = Servers::start();
        let questions = [OPEN, "copy its last address and paste it here"];
        let shown = watch(program(), &folder(), &arguments(&servers), &questions, |number, shown| {
            if number == 0 { "\n".to_owned() } else { format!("{}\n", denied(&shown_url(shown))) }
        });
        let refusal = "Error: the server refused (access_denied): The user said no; begin again";
        assert!(shown.contains(refusal) && shown.contains("status 1"), "{shown}");
    }

    #[test]
    fn nothing_is_registered_before_the_user_agrees() {
        let servers = Servers::start();
        let arguments = format!("-H {} --no-browser", servers.url());
        let shown = at_a_terminal(&programs::build("browser"), &folder(), &arguments, &[(OPEN, "n\n")]);
        assert!(shown.contains("Error: no page was opened; use --legacy to log in with single sign-on"), "{shown}");
        assert_eq!(servers.provider.targets(), Vec::<String>::new());
    }
}

// Tokens that are granted while their user is still unknown.

/// A homeserver that fails this many times at whoami.
fn failing(mut times: u32) -> impl FnMut(&Received) -> Option<Served> {
    move |received| {
        let fails = received.target == WHOAMI && times > 0;
        times -= u32::from(fails);
        fails.then(|| served(502, "<html>bad gateway"))
    }
}

#[test]
fn a_homeserver_that_fails_after_the_grant_is_asked_again() {
    let servers = Servers::with(failing(1), |_| None);
    let folder = folder();
    let (running, url) = servers.begin(&folder, &[]);
    browse(&granted(&url));
    let (status, stdout, stderr) = running.end();
    assert_eq!((status, stdout.as_str()), (Some(0), format!("{LOGGED_IN}\n").as_str()), "{stderr}");
    assert!(stderr.contains("the homeserver does not say yet who is logged in: asking again in 1s\n"), "{stderr}");
    assert_eq!(servers.forms("/token").len(), 1);
}

#[test]
fn tokens_of_an_unknown_user_are_revoked_in_the_end() {
    let servers = Servers::with(failing(3), |_| None);
    let folder = folder();
    let (running, url) = servers.begin(&folder, &[]);
    browse(&granted(&url));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(1));
    assert!(last_line(&stderr).starts_with("Error: the response to GET /_matrix/client/v3/account/whoami"), "{stderr}");
    assert!(last_line(&stderr).ends_with("; the login that was granted is revoked: begin again"), "{stderr}");
    assert_eq!(servers.forms("/revoke").pop().unwrap()["token"], "refresh-1");
    assert_eq!(servers.homeserver.targets().iter().filter(|target| *target == WHOAMI).count(), 3);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn tokens_that_cannot_be_revoked_are_reported() {
    let refused = |received: &Received| {
        (received.target == WHOAMI).then(|| served(403, r#"{"errcode":"M_FORBIDDEN","error":"No"}"#))
    };
    let fails: Different = |received| (received.target == "POST /revoke").then(|| served(503, "<html>"));
    let servers = Servers::with(refused, fails);
    let folder = folder();
    let (running, url) = servers.begin(&folder, &[]);
    browse(&granted(&url));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(1));
    // After a refusal, whoami is not asked again.
    assert_eq!(servers.homeserver.targets().iter().filter(|target| *target == WHOAMI).count(), 1);
    let line = "Error: the server refused (status 403, M_FORBIDDEN): No; the login that was granted cannot be revoked: \
                end it on the account page of the homeserver, and begin again";
    assert_eq!(last_line(&stderr), line);
}

// A session that is stored.

#[test]
fn an_expired_oauth_session_is_refreshed_before_it_is_used() {
    let servers = Servers::start();
    let run = Run::with(folder_with(&servers.stored(1)), &["--whoami"], "");
    run.says(LOGGED_IN);
    assert_eq!(servers.forms("/token").pop().unwrap()["refresh_token"], "refresh-0");
    assert_eq!(servers.homeserver.received().pop().unwrap().token.as_deref(), Some("access-1"));
    assert_eq!(run.file("data.json")["oauth"], servers.origin());
    servers.kept_the_apis_apart();
}

#[test]
fn an_oauth_session_whose_grant_is_gone_says_how_to_go_on() {
    let gone: Different = |received| {
        (received.target == "POST /token")
            .then(|| served(400, r#"{"error":"invalid_grant","error_description":"Gone"}"#))
    };
    let servers = Servers::with(|_| None, gone);
    let run = Run::with(folder_with(&servers.stored(1)), &["--refresh"], "");
    run.fails(
        "Error: the server refused (status 400, invalid_grant): Gone; the session cannot be refreshed, and ends when \
         its access token expires",
    );
    assert_eq!(run.file("data.json"), servers.stored(1));
}

#[test]
fn a_logout_that_fails_loses_nothing() {
    let moved: Different = |received| (received.target == "POST /revoke").then(|| served(404, "<html>moved"));
    let servers = Servers::with(|_| None, moved);
    let run = Run::with(folder_with(&servers.stored(u64::MAX)), &["--logout"], "");
    assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
    assert!(last_line(&run.stderr).ends_with("; the session stays unchanged"), "{}", run.stderr);
    assert_eq!(run.file("data.json"), servers.stored(u64::MAX));
    servers.kept_the_apis_apart();
}

#[test]
fn a_session_that_cannot_be_revoked_says_where_to_end_it() {
    let servers = Servers::start();
    let mut stored = servers.stored(u64::MAX);
    stored["oauth"].as_object_mut().unwrap().remove("revocation_endpoint");
    let run = Run::with(folder_with(&stored), &["--logout"], "");
    run.fails(
        "Error: the OAuth 2.0 server cannot revoke tokens: end the session on the account page of the homeserver; then \
         delete data.json",
    );
    assert_eq!(run.file("data.json"), stored);
    assert_eq!(servers.homeserver.targets(), Vec::<String>::new());
}

#[test]
fn an_oauth_session_begins_again_on_its_device() {
    let servers = Servers::start();
    let folder = folder_with(&servers.stored(u64::MAX));
    let mut running = Running::start(folder.path(), &["--again", "--no-browser"]);
    let url = running.url();
    assert_eq!(device_id(&url), "DEVICEID01");
    browse(&granted(&url));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!((&file(&folder)["access_token"], &file(&folder)["oauth"]), (&"access-1".into(), &servers.origin()));
}

#[test]
fn a_device_that_oauth_cannot_name_is_replaced() {
    let servers = Servers::start();
    let mut stored = servers.stored(u64::MAX);
    stored["device_id"] = "SHORT".into();
    stored.as_object_mut().unwrap().remove("oauth");
    let folder = folder_with(&stored);
    let mut running = Running::start(folder.path(), &["--again", "--no-browser"]);
    let url = running.url();
    let device_id = device_id(&url);
    assert_eq!(device_id.len(), 10);
    let said = format!("the device ID SHORT cannot be used with OAuth 2.0: requesting {device_id}\n");
    assert!(running.shown.contains(&said), "{}", running.shown);
    browse(&granted(&url));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("encryption keys belong to a device: do not use the keys of SHORT"), "{stderr}");
}

#[test]
fn an_oauth_login_again_as_another_user_is_revoked() {
    let bob: Different = |received| {
        (received.target == WHOAMI).then(|| served(200, r#"{"user_id":"@bob:example.org","device_id":"DEVICEID01"}"#))
    };
    let servers = Servers::with(bob, |_| None);
    let folder = folder_with(&servers.stored(u64::MAX));
    let mut running = Running::start(folder.path(), &["--again", "--no-browser"]);
    browse(&granted(&running.url()));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(1));
    let line =
        "Error: logged in as @bob:example.org, not as @alice:example.org; its device DEVICEID01 is logged out again";
    assert_eq!(last_line(&stderr), line);
    assert_eq!(servers.forms("/revoke").pop().unwrap()["token"], "refresh-1");
    assert_eq!(file(&folder), servers.stored(u64::MAX));
    servers.kept_the_apis_apart();
}

#[test]
fn one_of_two_processes_refreshes_an_oauth_session() {
    let servers = Servers::start();
    let folder = folder_with(&servers.stored(1));
    let start = || {
        let mut command = programs::command(program());
        command.arg("--whoami").current_dir(folder.path());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    for child in [start(), start()] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, format!("{LOGGED_IN}\n").as_bytes());
    }
    assert_eq!(servers.forms("/token").len(), 1);
}
