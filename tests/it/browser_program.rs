//! The browser program with single sign-on, run as a process. The browser is a few lines of HTTP.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::{
    login_types::of_an_oauth_server,
    support::{
        browsing::{Running, agent, browse},
        loopback::{self, Loopback, Received, Served, served},
        programs::{build, command},
        scenario::FORBIDDEN,
    },
};

const OFFERS: &str = r#"{"flows":[{"type":"m.login.sso","identity_providers":[{"id":"oidc-x","name":"X"},
    {"id":"oidc-y","name":"Y"}]},{"type":"m.login.token"}]}"#;

fn good(received: &Received) -> Served {
    loopback::good(OFFERS, received)
}

/// The address to which the homeserver would send the browser in the end.
fn redirect_url(url: &Url) -> Url {
    url.query_pairs().find(|(name, _)| name == "redirectUrl").unwrap().1.parse().unwrap()
}

fn with_token(mut callback: Url) -> Url {
    callback.query_pairs_mut().append_pair("loginToken", "t0k3n");
    callback
}

fn begin(folder: &TempDir, homeserver: &Loopback, more: &[&str]) -> Running {
    let mut arguments = vec!["-H", &homeserver.url, "--no-browser"];
    arguments.extend(more);
    Running::start(folder.path(), &arguments)
}

fn token_of(homeserver: &Loopback) -> Value {
    homeserver.received().pop().unwrap().body["token"].clone()
}

#[test]
fn the_browser_comes_back_and_the_session_is_stored() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &["--provider", "oidc-y"]);
    let url = running.url();
    assert_eq!(url.path(), "/_matrix/client/v3/login/sso/redirect/oidc-y");
    let callback = redirect_url(&url);
    assert_eq!(browse(&callback.join("/favicon.ico").unwrap()).0, 404);
    let (status, page) = browse(&with_token(callback));
    assert_eq!(status, 200);
    assert!(page.contains("You can close this window."), "{page}");
    let (status, stdout, stderr) = running.end();
    let line = "logged in as @alice:example.org with device ID DEVICEID";
    assert_eq!((status, stdout.lines().last()), (Some(0), Some(line)), "{stderr}");
    assert!(!stderr.contains("t0k3n") && !stderr.contains("anopaquestring"), "{stderr}");
    assert_eq!(token_of(&homeserver), "t0k3n");
    let stored: Value = serde_json::from_slice(&fs::read(folder.path().join("data.json")).unwrap()).unwrap();
    assert_eq!(stored["access_token"], "anopaquestring");
}

#[test]
fn a_foreign_callback_gets_a_polite_page_and_changes_nothing() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &[]);
    let callback = redirect_url(&running.url());
    let mut foreign = callback.clone();
    foreign.set_query(Some("state=0123456789abcdef0123456789abcdef&loginToken=stolen"));
    for url in [foreign, callback.clone()] {
        let (status, page) = browse(&url);
        assert_eq!(status, 400);
        assert!(page.contains("If your login is not finished, go back and try again."), "{page}");
    }
    browse(&with_token(callback));
    assert_eq!(running.end().0, Some(0));
    assert_eq!(token_of(&homeserver), "t0k3n");
}

#[test]
fn a_repeated_callback_gets_a_polite_page_and_is_not_used() {
    // While the homeserver handles the login, the browser asks for the same address once more.
    let callback = Arc::new(Mutex::new(None::<Url>));
    let again = Arc::clone(&callback);
    let homeserver = Loopback::start(move |received| {
        if received.target.starts_with("POST") {
            let (status, page) = browse(again.lock().unwrap().as_ref().unwrap());
            assert_eq!(status, 400);
            assert!(page.contains("This page is only for the end of a login"), "{page}");
        }
        good(received)
    });
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &[]);
    let address = with_token(redirect_url(&running.url()));
    *callback.lock().unwrap() = Some(address.clone());
    browse(&address);
    assert_eq!(running.end().0, Some(0));
    assert_eq!(homeserver.targets().iter().filter(|target| target.starts_with("POST")).count(), 1);
}

#[test]
fn the_url_tells_the_homeserver_what_the_user_wants() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    for (option, action) in [(&[][..], "action=login"), (&["--register"], "action=register")] {
        let mut running = begin(&folder, &homeserver, option);
        assert!(running.url().query().unwrap().ends_with(action));
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
}

#[test]
fn the_legacy_api_of_an_oauth_server_learns_the_action_too() {
    let homeserver = Loopback::start(|received| loopback::good(&of_an_oauth_server(), received));
    for (option, action) in [(&["--legacy"][..], "login"), (&["--legacy", "--register"], "register")] {
        let folder = tempfile::tempdir().unwrap();
        let mut running = begin(&folder, &homeserver, option);
        let url = running.url();
        // The homeserver names no identity providers, because its own page asks for one.
        assert_eq!(url.path(), "/_matrix/client/v3/login/sso/redirect");
        let told: Vec<_> = url.query_pairs().filter(|(name, _)| name != "redirectUrl").collect();
        let named = |name: &'static str| (name.into(), action.into());
        assert_eq!(told, [named("action"), named("org.matrix.msc3824.action")]);
        browse(&with_token(redirect_url(&url)));
        let (status, _, stderr) = running.end();
        assert_eq!((status, token_of(&homeserver)), (Some(0), "t0k3n".into()), "{stderr}");
    }
    assert!(!homeserver.targets().iter().any(|target| target.contains("auth_metadata")));
}

#[test]
fn without_a_browser_the_address_is_pasted() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &[]);
    let callback = with_token(redirect_url(&running.url()));
    running.paste("no address");
    running.paste("http://127.0.0.1:9/callback?state=0123456789abcdef&loginToken=stolen");
    running.paste(&format!("  {callback}"));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("this is not an address: copy the whole address"), "{stderr}");
    assert!(stderr.contains("this address does not belong to this login"), "{stderr}");
}

#[test]
fn the_login_ends_if_no_browser_comes_back() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &["--patience", "1"]);
    running.url();
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(1));
    assert_eq!(stderr.lines().last(), Some("Error: the browser did not come back in time: begin again"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn one_process_begins_and_another_finishes() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &["--suspend", "login.json"]);
    let callback = with_token(redirect_url(&running.url()));
    assert_eq!(running.end().0, Some(0));
    let stored = fs::read_to_string(folder.path().join("login.json")).unwrap();
    assert!(!stored.contains("t0k3n"));

    let resume = |callback: &str| Running::start(folder.path(), &["--resume", "login.json", callback]).end();
    let (status, _, stderr) = resume("http://127.0.0.1:9/callback?state=0123456789abcdef&loginToken=stolen");
    assert_eq!(status, Some(1));
    assert!(stderr.starts_with("Error: the callback does not belong to this login"), "{stderr}");
    let (status, _, stderr) = resume("callback");
    assert_eq!(
        (status, stderr.as_str()),
        (Some(1), "Error: ADDRESS is not a URL: copy the whole address of the browser\n")
    );

    let (status, stdout, stderr) = resume(callback.as_str());
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(stdout, "logged in as @alice:example.org with device ID DEVICEID\n");
    assert_eq!(token_of(&homeserver), "t0k3n");
    assert!(!folder.path().join("login.json").exists(), "a finished login leaves no file");
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("login.json"), "precious").unwrap();
    let (status, _, stderr) = begin(&folder, &homeserver, &["--suspend", "login.json"]).end();
    assert_eq!(status, Some(1));
    assert_eq!(stderr.lines().last(), Some("Error: login.json exists already: name another file"));
    assert_eq!(fs::read(folder.path().join("login.json")).unwrap(), b"precious");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_suspended_login() {
    use std::os::unix::fs::PermissionsExt;

    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    begin(&folder, &homeserver, &["--suspend", "login.json"]).end();
    let mode = fs::metadata(folder.path().join("login.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn files_without_a_suspended_login_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("login.json");
    let refusal = || {
        let (status, _, stderr) = Running::start(folder.path(), &["--resume", "login.json", "http://a/"]).end();
        assert_eq!((status, stderr.lines().count()), (Some(1), 1), "{stderr}");
        stderr
    };
    assert!(refusal().starts_with("Error: login.json: cannot be read: "), "the file does not exist");
    for (stored, problem) in [
        (json!({"version": 1, "homeserver": 1}), "not a suspended flow: a field is missing, unknown or cannot be used"),
        (json!({"version": 0}), "suspended flow of version 0: expected version 1; begin the login again"),
        (json!({"version": 2, "new": true}), "suspended flow of version 2: expected version 1; begin the login again"),
        (json!({}), "not a suspended flow: expected an object with a version"),
        (json!({"version": 1, "homeserver": "https://a"}), "the file contains no login in a browser"),
        (
            json!({"version": 1, "homeserver": "https://a", "sso_url": "https://evil.example.com/", "settings": {}}),
            "invalid suspended flow: expected an SSO URL of its homeserver",
        ),
    ] {
        fs::write(&file, stored.to_string()).unwrap();
        assert!(refusal().contains(problem), "{stored}");
    }
    fs::write(&file, r#"{"version": 1, "homeser"#).unwrap();
    assert!(refusal().contains("EOF while parsing"));
}

#[test]
fn a_spent_login_token_is_reported() {
    let homeserver =
        Loopback::start(
            |received| {
                if received.target.starts_with("POST") { served(403, FORBIDDEN) } else { good(received) }
            },
        );
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &[]);
    browse(&with_token(redirect_url(&running.url())));
    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(1));
    let line = "Error: the server refused (status 403, M_FORBIDDEN): Invalid username or password; begin again";
    assert_eq!(stderr.lines().last(), Some(line));
}

#[test]
fn a_choice_that_is_not_offered_is_named() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = begin(&folder, &homeserver, &["--provider", "oidc-z"]).end();
    let line = "Error: the homeserver does not offer identity provider oidc-z; it offers oidc-x, oidc-y";
    assert_eq!((status, stderr.lines().last()), (Some(1), Some(line)));

    let offers = r#"{"flows":[{"type":"m.login.password"}]}"#;
    let homeserver = Loopback::start(|received| loopback::good(offers, received));
    let (status, _, stderr) = begin(&folder, &homeserver, &[]).end();
    let line = "Error: server does not support logging in with single sign-on; it offers m.login.password";
    assert_eq!((status, stderr.lines().last()), (Some(1), Some(line)));
}

#[test]
fn an_ended_session_begins_again_only_for_its_user() {
    for (user_id, status) in [("@alice:example.org", 0), ("@bob:example.org", 1)] {
        let homeserver = Loopback::start(move |received| match received.target.as_str() {
            "POST /_matrix/client/v3/login" => {
                let granted = json!({ "user_id": user_id, "device_id": "DEVICEID", "access_token": "new" });
                served(200, granted.to_string())
            }
            "POST /_matrix/client/v3/logout" => served(200, "{}"),
            _ => good(received),
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data.json");
        let before = json!({
            "access_token": "old", "user_id": "@alice:example.org", "device_id": "DEVICEID",
            "base_client_url": format!("{}/_matrix/client/", homeserver.url),
        });
        fs::write(&file, before.to_string()).unwrap();
        let mut running = Running::start(folder.path(), &["--again", "--no-browser"]);
        browse(&with_token(redirect_url(&running.url())));
        let (ended, _, stderr) = running.end();
        assert_eq!(ended, Some(status), "{stderr}");
        let login =
            homeserver.received().into_iter().find(|received| received.body["type"] == "m.login.token").unwrap();
        assert_eq!(login.body["device_id"], "DEVICEID");
        let after: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(after["access_token"], if status == 0 { "new" } else { "old" });
        // A session of another user is logged out.
        assert_eq!(homeserver.targets().contains(&"POST /_matrix/client/v3/logout".to_owned()), status == 1);
    }
}

/// Checks what the demo has printed, from the login to the end.
fn is_shown_to_the_end(stdout: &str, stderr: &str) {
    let lines: Vec<&str> = stdout.lines().collect();
    let who = lines[0].strip_prefix("logged in as ").unwrap();
    assert!(who.starts_with("@alice:127.0.0.1:") && who.contains(" with device ID "), "{who}");
    assert_eq!(lines[1..], [lines[0], lines[0], &format!("{who} is logged out")]);
    assert!(stderr.ends_with("    cargo run --example browser -- example.org\n"), "{stderr}");
    assert!(!stderr.contains("loginToken"), "{stderr}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_demo_needs_no_browser() {
    let (folder, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Without --no-browser, no browser opens either: the program finds no tool that opens one.
    for arguments in [&["--demo", "--no-browser"][..], &["--demo"]] {
        let mut program = command(build("browser"));
        program.env("PATH", empty.path()).env("CARGO", "cargo");
        let (status, stdout, stderr) = Running::of(program, folder.path(), arguments).end();
        assert_eq!(status, Some(0), "{stderr}");
        let mut rest = stderr.as_str();
        for said in [
            "\n1. Log in with single sign-on",
            "\nlog in at http://127.0.0.1:",
            "no browser is used: the demo opens the page and presses its button, as a user would\n",
            "/_matrix/client/v3/login/sso/redirect: 200 OK\n",
            ": 303 See Other\n",
            "/_matrix/client/v3/login: 200 OK\n",
            "\n2. Ask the homeserver who is logged in",
            "\n3. Refresh the session",
            "\n4. Log out",
        ] {
            rest = rest.split_once(said).unwrap_or_else(|| panic!("no {said:?} in {rest}")).1;
        }
        is_shown_to_the_end(&stdout, &stderr);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_demo_waits_for_the_browser_that_it_opens() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let launcher = tools.path().join("xdg-open");
    let opened = folder.path().join("opened");
    fs::write(&launcher, format!("#!/bin/sh\necho \"$1\" > {}\n", opened.display())).unwrap();
    fs::set_permissions(&launcher, fs::Permissions::from_mode(0o700)).unwrap();
    let mut program = command(build("browser"));
    program.env("PATH", tools.path()).env("CARGO", "cargo");
    let mut running = Running::of(program, folder.path(), &["--demo", "--data", "demo.json"]);
    let url = running.url();
    running.line_with("press the button in the browser");
    assert_eq!(fs::read_to_string(opened).unwrap().trim_end(), url.as_str());

    let (status, page) = browse(&url);
    assert_eq!(status, 200, "{page}");
    let button = page.split_once("action=\"").unwrap().1.split_once('"').unwrap().0;
    let pressed = agent().post(url.join(button).unwrap().as_str()).send_empty().unwrap();
    assert_eq!(pressed.status(), 303);
    let address: Url = pressed.headers()["location"].to_str().unwrap().parse().unwrap();
    assert!(address.as_str().starts_with(redirect_url(&url).as_str()), "{address}");
    let (status, page) = browse(&address);
    assert_eq!(status, 200);
    assert!(page.contains("You can close this window."), "{page}");

    let (status, _, stderr) = running.end();
    assert_eq!(status, Some(0), "{stderr}");
    assert!(!stderr.contains("/logout"), "{stderr}");
    assert!(stderr.contains("\nThe session stays in demo.json. Its homeserver stops with this program"), "{stderr}");
    let stored: Value = serde_json::from_slice(&fs::read(folder.path().join("demo.json")).unwrap()).unwrap();
    assert!(stored["access_token"].is_string() && stored["refresh_token"].is_string());
}

#[test]
fn the_demo_takes_no_homeserver_and_no_other_login() {
    let folder = tempfile::tempdir().unwrap();
    for more in [&["example.org"][..], &["-H", "http://a"], &["--again"], &["--suspend", "f"], &["--register"]] {
        let (status, stdout, stderr) = Running::start(folder.path(), &[&["--demo"], more].concat()).end();
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{more:?}");
        assert!(stderr.starts_with("error: the argument '--demo' cannot be used with"), "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_browser_that_does_not_open_is_reported() {
    let homeserver = Loopback::start(good);
    let (folder, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut program = command(build("browser"));
    program.env("PATH", empty.path());
    let mut running = Running::of(program, folder.path(), &["-H", &homeserver.url]);
    let url = running.url();
    running.line_with("no browser opened: open the URL yourself");
    browse(&with_token(redirect_url(&url)));
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn the_command_that_finishes_a_login_can_be_typed() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let program = build("browser");
    let typed = program.display().to_string();
    for (cargo, command_line) in [(Some("/bin/cargo"), "cargo run --example browser --"), (None, typed.as_str())] {
        let mut program = command(&program);
        program.env_remove("CARGO").envs(cargo.map(|cargo| ("CARGO", cargo)));
        let file = format!("{}.json", cargo.is_some());
        let running = Running::of(program, folder.path(), &["-H", &homeserver.url, "--suspend", &file]);
        let (status, _, stderr) = running.end();
        assert_eq!(status, Some(0), "{stderr}");
        assert!(stderr.ends_with(&format!("\n    {command_line} --resume {file} ADDRESS\n")), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_closed_output_is_an_error_and_loses_no_session() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &[]);
    drop(running.child.stdout.take());
    browse(&with_token(redirect_url(&running.url())));
    running.line_with("Error: standard output cannot be written: ");
    assert_eq!(running.child.wait().unwrap().code(), Some(1));
    assert!(folder.path().join("data.json").exists());
}

#[test]
fn its_version_is_the_version_of_the_package() {
    let folder = tempfile::tempdir().unwrap();
    let (status, stdout, _) = Running::start(folder.path(), &["--version"]).end();
    assert_eq!((status, stdout.trim_end()), (Some(0), concat!("browser ", env!("CARGO_PKG_VERSION"))));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_the_status_of_that_signal() {
    use crate::support::programs::signal;

    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let mut running = begin(&folder, &homeserver, &[]);
    running.url();
    signal("TERM", &running.child.id().to_string());
    assert_eq!(running.end().0, Some(143));
}

#[cfg(target_os = "linux")]
#[test]
fn a_user_at_a_terminal_chooses_one_of_the_providers() {
    let homeserver = Loopback::start(good);
    let folder = tempfile::tempdir().unwrap();
    let choose = |number: &str| {
        let arguments = format!("-H {} --suspend waiting.json", homeserver.url);
        crate::support::terminal::at_a_terminal(
            &build("browser"),
            &folder,
            &arguments,
            &[("Log in with (a number): ", number)],
        )
    };
    for number in ["0\n", "3\n", "X\n", "\n"] {
        let shown = choose(number);
        assert!(shown.contains("1: X") && shown.contains("2: Y"), "{shown}");
        assert!(shown.contains("Error: there is no such number; begin again") && shown.contains("status 1"), "{shown}");
    }
    let shown = choose("2\n");
    assert!(shown.contains("/login/sso/redirect/oidc-y?") && shown.contains("status 0"), "{shown}");
}
