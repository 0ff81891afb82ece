//! Single sign-on: Synapse with a certified OpenID provider, from the button to the session.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use http::StatusCode;
use matrix_login::{Error, Step, endpoint::sso};
use matrix_login_synapse::{Login, Story, ask, url};
use serde_json::{Value, json};
use url::Url;

use crate::browser::{Browser, Chromium, End};

const STATE: &str = "0123456789abcdef";
const CALLBACK: &str = "http://127.0.0.1:9/callback";

fn choice(redirect_url: &str, provider: &str) -> Value {
    json!({
        "type": "m.login.sso", "redirect_url": redirect_url, "state": STATE, "identity_provider": provider,
        "action": "login",
    })
}

/// Tells what happens once the user is in the browser.
fn in_the_browser<T>(name: &'static str, story: impl FnOnce(&mut Login) -> T) -> T {
    Story::at(name, "sso").tell(|login| {
        login.run().choose(choice(CALLBACK, "oidc-op"));
        story(login)
    })
}

#[test]
fn from_the_button_to_the_session() {
    Story::at("sso", "sso").tell(|login| {
        login.run();
        let Step::Choose { login_types, .. } = login.flow().step() else { panic!() };
        let offered = login_types.get("m.login.sso").unwrap_or_else(|| panic!("{login_types:?}"));
        assert!(!offered.oauth_aware_preferred());
        let shown: Vec<_> = offered
            .identity_providers()
            .iter()
            .map(|provider| (provider.id(), provider.name(), provider.icon(), provider.brand()))
            .collect();
        let icon = Some("mxc://example.test/icon");
        assert_eq!(
            shown,
            [("oidc-op", "Example", icon, Some("example")), ("oidc-down", "Nobody", icon, Some("example"))]
        );

        login.choose(choice(CALLBACK, "oidc-op"));
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        login.callback(&callback).unwrap();
        login.run();
        assert_eq!(login.session().user_id().as_str(), "@alice:example.test");
        assert_eq!(ask(login.session(), "/_matrix/client/v3/account/whoami").0, 200);
    });
}

#[test]
fn a_redirect_url_with_a_query_and_a_fragment_of_its_own() {
    Story::at("sso_redirect_url", "sso").tell(|login| {
        login.run().choose(choice("http://127.0.0.1:9/callback?a=b%20c&flag#here", "oidc-op"));
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        // Synapse writes the query anew, and puts its token before the fragment.
        let query = callback.query().unwrap();
        assert!(query.starts_with("a=b+c&flag=&state=0123456789abcdef&loginToken="), "{callback}");
        assert_eq!(callback.fragment(), Some("here"));
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn an_application_with_a_scheme_of_its_own() {
    Story::at("sso_private_scheme", "sso").tell(|login| {
        login.run().choose(choice("org.example.app:/callback", "oidc-op"));
        let callback = Browser::new("org.example.app:").log_in(&login.browse_url(), "alice").callback();
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn callbacks_that_somebody_changed_count_for_nothing() {
    in_the_browser("sso_foreign_callbacks", |login| {
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        let token = sso::response(&callback, STATE).unwrap();
        for query in [
            format!("loginToken={}", token.expose()),
            format!("state=fedcba9876543210&loginToken={}", token.expose()),
            format!("state={STATE}&state={STATE}&loginToken={}", token.expose()),
            format!("state={STATE}"),
            format!("state={STATE}&loginToken="),
        ] {
            let mut changed = callback.clone();
            changed.set_query(Some(&query));
            assert!(matches!(login.callback(&changed), Err(Error::ForeignCallback(_))), "{changed}");
        }
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn another_process_finishes() {
    in_the_browser("sso_suspended", |login| {
        let url = login.browse_url();
        login.suspend();
        assert_eq!(login.browse_url(), url);
        let callback = Browser::new(CALLBACK).log_in(&url, "alice").callback();
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn a_login_token_is_spent_once() {
    let callback = in_the_browser("sso_token_first", |login| {
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        login.callback(&callback).unwrap();
        login.run().session();
        callback
    });
    // The same state again, as a login that was suspended and resumed twice would have it.
    in_the_browser("sso_token_used", |login| {
        login.suspend().callback(&callback).unwrap();
        let refused = login.run().refused();
        assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::FORBIDDEN), Some("M_FORBIDDEN")));
    });
}

#[test]
fn a_user_who_is_locked_is_told_so() {
    in_the_browser("sso_locked", |login| {
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "locked").callback();
        login.callback(&callback).unwrap();
        let refused = login.run().refused();
        assert_eq!(
            (refused.status, refused.errcode.as_deref()),
            (Some(StatusCode::UNAUTHORIZED), Some("M_USER_LOCKED"))
        );
    });
}

#[test]
fn a_provider_that_is_down_leaves_the_user_on_a_page() {
    Story::at("sso_provider_down", "sso").tell(|login| {
        login.run().choose(choice(CALLBACK, "oidc-down"));
        let End::Page { status, .. } = Browser::new(CALLBACK).open(&login.browse_url()) else { panic!("no page") };
        assert!(status >= 400, "{status}");
        // Nobody comes back, and so the user does.
        login.back();
        assert!(login.login_types().contains(&"m.login.sso"));
    });
}

#[test]
fn without_a_provider_synapse_asks_which() {
    Story::at("sso_picker", "sso").tell(|login| {
        login.run().choose(json!({ "type": "m.login.sso", "redirect_url": CALLBACK, "state": STATE }));
        let End::Page { status, body, .. } = Browser::new(CALLBACK).open(&login.browse_url()) else {
            panic!("no page")
        };
        assert_eq!(status, 200);
        assert!(body.contains("Example") && body.contains("Nobody"), "{body}");
    });
}

/// The program, and the URL that it tells the user to open.
fn program(folder: &Path, arguments: &[&str]) -> (Child, BufReader<ChildStderr>, Url) {
    let mut child = spawn(folder, arguments);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("log in at ") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the program ended too early");
    }
    let url = line.trim_start_matches("log in at ").trim().parse().unwrap();
    (child, stderr, url)
}

fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env::var("BROWSER_PROGRAM").expect("run.py builds the program"));
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn logged_in(mut child: Child, mut stderr: impl Read) {
    let (mut shown, mut stdout) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    stderr.read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success(), "{shown}");
    assert!(stdout.starts_with("logged in as @alice:example.test with device ID "), "{stdout}");
}

#[test]
fn the_program_with_the_real_buttons_of_chromium() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["-H", url("sso"), "--provider", "oidc-op", "--no-browser"];
    let (child, stderr, url) = program(folder.path(), &arguments);
    let chromium = Chromium::start();
    chromium.open(&url);
    chromium.log_in("alice");
    chromium.sees("You can close this window.");
    logged_in(child, stderr);
}

#[test]
fn the_program_in_two_processes_with_a_file_between() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["-H", url("sso"), "--provider", "oidc-op", "--suspend", "login.json"];
    let (mut child, _stderr, url) = program(folder.path(), &arguments);
    let (_, redirect_url) = url.query_pairs().find(|(name, _)| name == "redirectUrl").unwrap();
    let callback = Browser::new(&redirect_url).log_in(&url, "alice").callback();
    assert!(child.wait().unwrap().success());
    let mut child = spawn(folder.path(), &["--resume", "login.json", callback.as_str()]);
    let stderr = child.stderr.take().unwrap();
    logged_in(child, stderr);
}
