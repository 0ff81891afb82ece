//! The login program with `--account`: it shows the page on which the user manages the account. It asks only for the
//! metadata, and no token goes out.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    loopback::{Loopback, Served, served},
    run::{Run, folder},
    scenario::VERSIONS,
};

const METADATA: &str = "GET /_matrix/client/v1/auth_metadata";
const ISSUER: &str = "https://auth.example.org/";
const PAGE: &str = "https://auth.example.org/account?lang=en";
/// Characters that change what a terminal shows.
const MOVING: [char; 3] = ['\u{1b}', '\u{7}', '\u{202e}'];

fn listed() -> Value {
    json!(["org.matrix.profile", "org.matrix.devices_list", "org.matrix.device_view"])
}

/// A homeserver that sends this response to the metadata request. Otherwise it knows only the request for its versions.
fn responding(metadata: Served) -> Loopback {
    Loopback::start(move |received| match received.target.as_str() {
        METADATA => metadata.clone(),
        "GET /_matrix/client/versions" => served(200, VERSIONS),
        _ => served(404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
    })
}

fn with_page(uri: Value, actions: Value) -> Loopback {
    let metadata = json!({
        "issuer": ISSUER, "account_management_uri": uri, "account_management_actions_supported": actions,
    });
    responding(served(200, metadata.to_string()))
}

fn with_actions(actions: Value) -> Loopback {
    with_page(PAGE.into(), actions)
}

/// A session of the legacy API. Its tokens have expired, because the program does not need them.
fn legacy(homeserver: &Loopback) -> Value {
    json!({
        "access_token": "access-0", "access_token_valid_until": 1, "refresh_token": "refresh-0",
        "user_id": "@alice:example.org", "device_id": "KITCHEN&1",
        "base_client_url": format!("{}/_matrix/client/", homeserver.url),
    })
}

fn oauth(homeserver: &Loopback, issuer: &str) -> Value {
    let mut stored = legacy(homeserver);
    stored["oauth"] = json!({ "client_id": "client-1", "issuer": issuer, "token_endpoint": format!("{issuer}token") });
    stored
}

fn folder_with(stored: &Value) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("data.json"), stored.to_string()).unwrap();
    folder
}

/// Runs the program with a stored session. The stored session does not change, and no token goes out.
fn account(homeserver: &Loopback, stored: &Value, more: &[&str]) -> Run {
    let run = Run::with(folder_with(stored), &[&["--account"], more].concat(), "");
    assert_eq!((run.file("data.json"), run.files()), (stored.clone(), vec!["data.json".to_owned()]));
    for received in homeserver.received() {
        assert_eq!((received.token, received.body), (None, Value::Null), "{}", received.target);
    }
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains("access-0") && !text.contains("refresh-0"), "{text}");
        assert!(!text.contains(MOVING), "{text:?}");
    }
    run
}

/// The homeserver leads to no page, and the program ends with this line.
fn fails(homeserver: &Loopback, more: &[&str], line: &str) {
    account(homeserver, &legacy(homeserver), more).fails(&format!("Error: {line}"));
}

#[test]
fn a_session_of_either_api_leads_to_the_page() {
    let homeserver = with_actions(listed());
    for stored in [oauth(&homeserver, ISSUER), legacy(&homeserver)] {
        let run = account(&homeserver, &stored, &[]);
        run.says(PAGE);
        assert_eq!(run.stdout.lines().count(), 1);
        let own = homeserver.url.trim_start_matches("http://");
        let (asked, said) = run.stderr.split_once('\n').unwrap();
        assert_eq!(asked, format!("GET {}/_matrix/client/v1/auth_metadata: 200 OK", homeserver.url));
        // At a pipe, the program asks no question and opens no browser.
        assert_eq!(said, format!("you manage your account at auth.example.org for the homeserver {own}\n"));
    }
    assert_eq!(homeserver.targets(), [METADATA; 2]);
}

#[test]
fn an_action_is_named_as_the_server_lists_it() {
    let device = "device_id=KITCHEN%261";
    for (listed, action, page) in [
        (listed(), "org.matrix.devices_list", "action=org.matrix.devices_list".to_owned()),
        (listed(), "devices_list", "action=org.matrix.devices_list".to_owned()),
        (listed(), "sessions_list", "action=org.matrix.devices_list".to_owned()),
        (json!(["org.matrix.sessions_list"]), "devices_list", "action=org.matrix.sessions_list".to_owned()),
        // An action about the device of the session.
        (listed(), "org.matrix.device_view", format!("action=org.matrix.device_view&{device}")),
        (json!(["session_end"]), "org.matrix.device_delete", format!("action=session_end&{device}")),
        (json!(["org.matrix.session_view"]), "session_view", format!("action=org.matrix.session_view&{device}")),
        // An action that only this server has.
        (json!(["org.example.bills"]), "org.example.bills", "action=org.example.bills".to_owned()),
    ] {
        let homeserver = with_actions(listed);
        account(&homeserver, &legacy(&homeserver), &[action]).says(&format!("{PAGE}&{page}"));
    }
}

#[test]
fn an_action_that_is_not_offered_is_named_beside_the_offers() {
    let begin = "the account page does not offer the action account_deactivate; it offers";
    for (listed, offered) in [
        (listed(), "org.matrix.profile, org.matrix.devices_list, org.matrix.device_view"),
        (json!([7, "org.example.\u{1b}[2J\u{202e}", null]), "org.example. [2J "),
        (json!([]), "no actions: leave the action out"),
        (Value::Null, "no actions: leave the action out"),
        (json!("account_deactivate"), "no actions: leave the action out"),
    ] {
        fails(&with_actions(listed), &["account_deactivate"], &format!("{begin} {offered}"));
    }
    // The text of the user is shown in one line too.
    let line = "the account page does not offer the action a [2Jb; it offers no actions: leave the action out";
    fails(&with_actions(json!([])), &["a\u{1b}[2Jb"], line);
}

#[test]
fn a_homeserver_without_oauth_is_reported() {
    for response in [
        served(404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#),
        served(404, "404 page not found"),
    ] {
        let homeserver = responding(response);
        let url = &homeserver.url;
        let line = format!("the homeserver {url} has no OAuth 2.0, so it has no page to manage an account");
        for more in [&[][..], &["profile"]] {
            fails(&homeserver, more, &line);
        }
    }
}

#[test]
fn an_unusable_page_is_treated_as_a_missing_page() {
    for uri in [
        Value::Null,
        json!(""),
        json!("account"),
        json!("http://auth.example.org/account"),
        json!("javascript:alert(1)"),
        json!("file:///etc/passwd"),
        json!("https://user:password@auth.example.org/account"),
        json!(["https://auth.example.org/account"]),
    ] {
        let homeserver = with_page(uri, listed());
        let line = format!("the homeserver {} has no https page to manage an account", homeserver.url);
        for more in [&[][..], &["profile"], &["account_deactivate"]] {
            fails(&homeserver, more, &line);
        }
    }
}

#[test]
fn a_page_does_not_change_the_terminal() {
    for (uri, page, host) in [
        (
            "https://auth.example.org/\u{1b}[2J\u{202e}?\u{7}=\u{1b}x",
            "https://auth.example.org/%1B[2J%E2%80%AE?%07=%1Bx",
            "auth.example.org",
        ),
        // A host that looks like another one is shown in its encoded form.
        ("https://m\u{430}trix.org:8443/", "https://xn--mtrix-4ve.org:8443/", "xn--mtrix-4ve.org:8443"),
    ] {
        let homeserver = with_page(uri.into(), listed());
        let run = account(&homeserver, &legacy(&homeserver), &["--no-browser"]);
        run.says(page);
        assert!(run.stderr.contains(&format!("you manage your account at {host} for ")), "{}", run.stderr);
    }
}

#[test]
fn a_homeserver_that_fails_leaves_the_session_unchanged() {
    for (response, line) in [
        (
            served(500, r#"{"errcode":"M_UNKNOWN"}"#),
            "the server failed (status 500, M_UNKNOWN); the session stays unchanged",
        ),
        (
            served(429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":4001}"#),
            "the server refused (status 429, M_LIMIT_EXCEEDED); the session stays unchanged: try again in 5s",
        ),
        (
            served(502, "<html>"),
            "the response to GET /_matrix/client/v1/auth_metadata is not from a Matrix server (status 502): try again \
             later; the session stays unchanged",
        ),
    ] {
        fails(&responding(response), &[], line);
    }
}

#[test]
fn a_page_of_a_server_that_did_not_grant_is_reported() {
    let homeserver = with_actions(listed());
    let run = account(&homeserver, &oauth(&homeserver, "https://other.example.org/"), &[]);
    run.says(PAGE);
    let line = "\nthis page belongs to another OAuth 2.0 server than the one that granted the session\n";
    assert!(run.stderr.contains(line), "{}", run.stderr);
}

#[test]
fn the_homeserver_can_be_given_if_the_session_has_none() {
    let homeserver = with_actions(listed());
    let mut stored = legacy(&homeserver);
    stored.as_object_mut().unwrap().remove("base_client_url");
    account(&homeserver, &stored, &["-H", &homeserver.url]).says(PAGE);
    assert_eq!(homeserver.targets(), ["GET /_matrix/client/versions", METADATA]);
}

#[test]
fn options_that_exclude_the_account_page_are_named() {
    for more in ["--whoami", "--again", "--demo", "--legacy"] {
        let run = Run::with(folder(), &["--account", "profile", more], "");
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{more}");
        assert!(run.stderr.starts_with("error: the argument"), "{}", run.stderr);
    }
}

#[cfg(target_os = "linux")]
mod at_a_terminal {
    use std::{
        io::{BufRead, BufReader},
        os::unix::fs::PermissionsExt,
        path::Path,
        process::Command,
    };

    use super::*;
    use crate::support::{run::program, terminal::at_a_terminal};

    const OPEN: &str = "Open it in a browser? [Y/n] ";
    const HOST: &str = "you manage your account at auth.example.org for the homeserver 127.0.0.1:";
    const NOT_OPENED: &str = "no browser opened: open the URL yourself";

    /// A browser that writes the URL into a named pipe. The browser can be slower than the program. So a file would not
    /// do: a pipe makes its reader wait.
    fn browser() -> TempDir {
        let tools = folder();
        let pipe = tools.path().join("opened");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let launcher = tools.path().join("xdg-open");
        fs::write(&launcher, format!("#!/bin/sh\necho \"$1\" > {}\n", pipe.display())).unwrap();
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o700)).unwrap();
        tools
    }

    /// What the terminal shows. To open a URL, the program finds only these tools.
    fn account(tools: &TempDir, arguments: &str, type_at: &[(&str, &str)]) -> String {
        let homeserver = with_actions(listed());
        let arguments = format!("PATH={} {} --account {arguments}", tools.path().display(), program().display());
        let shown = at_a_terminal(Path::new("env"), &folder_with(&legacy(&homeserver)), &arguments, type_at);
        assert!(shown.contains("status 0"), "{shown}");
        assert!(shown.contains(HOST), "{shown}");
        shown
    }

    #[test]
    fn a_user_who_agrees_gets_the_page_in_a_browser() {
        let tools = browser();
        let pipe = fs::File::options().read(true).write(true).open(tools.path().join("opened")).unwrap();
        let shown = account(&tools, "profile", &[(OPEN, "\n")]);
        let page = format!("{PAGE}&action=org.matrix.profile");
        // The host is shown before the question, and the result comes last.
        let (before, after) = shown.split_once(OPEN).unwrap();
        assert!(before.contains(HOST) && after.contains(&page) && !after.contains(NOT_OPENED), "{shown}");
        let mut opened = String::new();
        BufReader::new(pipe).read_line(&mut opened).unwrap();
        assert_eq!(opened.trim_end(), page);
    }

    #[test]
    fn the_page_is_shown_if_no_browser_opens() {
        let shown = account(&folder(), "", &[(OPEN, "y\n")]);
        let (_, after) = shown.split_once(NOT_OPENED).unwrap();
        assert!(after.contains(PAGE), "{shown}");
    }

    #[test]
    fn a_user_who_wants_no_browser_gets_only_the_url() {
        // There is no browser: if the program tried to open one, it would say so. The text is typed without waiting for
        // a question. If a question comes after all, the text completes it.
        let unasked = &[(HOST, "n\n")][..];
        for (arguments, type_at) in [
            ("", &[(OPEN, "n\n")][..]),
            ("--no-browser", unasked),
            ("| env PATH=/usr/bin:/bin cat", unasked),
            ("< /dev/null", unasked),
        ] {
            let shown = account(&folder(), arguments, type_at);
            assert!(shown.contains(PAGE) && !shown.contains(NOT_OPENED), "{shown}");
            assert_eq!(shown.contains(OPEN), type_at != unasked, "{shown}");
        }
    }
}
