//! The login program, run as a process: what it says, what it sends, and what it leaves in its file.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Stdio,
    sync::mpsc,
    thread,
};

use serde_json::json;

use crate::support::{
    loopback::{self, Loopback, Received, Refusing, Served, served},
    programs,
    run::{PASSWORD, Run, folder, program},
    scenario::{FORBIDDEN, GRANTED, OFFERS, VERSIONS},
};

fn good(received: &Received) -> Served {
    loopback::good(OFFERS, received)
}

/// A homeserver that works until the login request. To the login request it sends this response.
fn until_login(login: impl Fn() -> Served + Send + 'static) -> Loopback {
    Loopback::start(move |received| if received.target.starts_with("POST") { login() } else { good(received) })
}

const USE_A_BROWSER: &str = "log in with a browser, without --legacy: cargo run --example browser -- SERVER";

fn is_tidy(run: &Run) {
    assert_eq!(run.files(), Vec::<String>::new(), "{}", run.stderr);
}

#[test]
fn the_demo_shows_a_login_and_what_follows_and_leaves_no_file() {
    let (folder, temporary) = (folder(), folder());
    let mut command = programs::command(program());
    command.arg("--demo").env("TMPDIR", temporary.path()).env("CARGO", "cargo");
    let run = Run::of(folder, command, "");
    // Every part first says what it shows.
    run.is_a_demo(&[
        "This demo logs in as alice to a homeserver that it starts on this machine.",
        "\n1. Log in with a password.",
        "/_matrix/client/versions: 200 OK\n",
        "/_matrix/client/v3/login: 200 OK\n",
        "/_matrix/client/v3/login: 403 Forbidden\n",
        "/_matrix/client/v3/login: 429 Too Many Requests\n",
        "the homeserver limits the rate of logins: waiting 1s\n",
        "/_matrix/client/v3/login: 200 OK\n",
        "\n2. Ask the homeserver who is logged in",
        "/_matrix/client/v3/account/whoami: 200 OK\n",
        "\n3. Refresh the session",
        "/_matrix/client/v3/refresh: 200 OK\n",
        "\n4. Log out",
        "/_matrix/client/v3/logout: 200 OK\n",
        "\nNow log in to your own homeserver:\n    cargo run --example login -- @alice:example.org\n",
    ]);
    is_tidy(&run);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn the_demo_keeps_its_session_if_a_file_is_named() {
    let run = Run::with(folder(), &["--demo", "--data", "demo.json"], "");
    assert_eq!(
        (run.status, run.files()),
        (Some(0), vec!["demo.json".to_owned(), "demo.json.lock".to_owned()]),
        "{}",
        run.stderr
    );
    let session = run.file("demo.json");
    let url = session["well_known_from_login"]["m.homeserver"]["base_url"].as_str().unwrap();
    assert_eq!(session["base_client_url"], format!("{url}_matrix/client/"));
    assert!(session["refresh_token"].is_string() && session["access_token_valid_until"].is_u64());
    assert!(!run.stderr.contains("/logout"), "{}", run.stderr);
    let said = "\nThe session stays in demo.json. Its homeserver stops with this program, so you cannot use it:\nlook \
                at demo.json and demo.json.lock, then delete them.\n";
    assert!(run.stderr.contains(said), "{}", run.stderr);

    let again = Run::with(run.folder, &["--demo", "--data", "demo.json"], "");
    let user_id = session["user_id"].as_str().unwrap();
    again.fails(&format!(
        "Error: already logged in as {user_id} in demo.json; name another file with --data to log in once more"
    ));
}

#[test]
fn a_localpart_logs_in_at_a_url_and_the_session_is_stored() {
    let homeserver = Loopback::start(good);
    let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.says("logged in as @alice:example.org with device ID DEVICEID");
    assert_eq!(
        run.file("data.json"),
        json!({
            "access_token": "anopaquestring", "user_id": "@alice:example.org", "device_id": "DEVICEID",
            "base_client_url": format!("{}/_matrix/client/", homeserver.url),
        })
    );
    assert_eq!(run.files(), ["data.json", "data.json.lock"]);
    let Received { target, mut body, .. } = homeserver.received().pop().unwrap();
    assert_eq!(target, "POST /_matrix/client/v3/login");
    let device_id = body["device_id"].take();
    assert!(device_id.as_str().is_some_and(|id| id.len() == 10), "{device_id}");
    assert_eq!(
        body,
        json!({
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": PASSWORD,
            "device_id": null, "initial_device_display_name": "matrix-login", "refresh_token": true,
        })
    );
    assert!(!run.stderr.contains(PASSWORD) && !run.stderr.contains("anopaquestring"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn after_a_login_only_its_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let homeserver = Loopback::start(good);
    let folder = folder();
    let file = folder.path().join("data.json");
    fs::write(&file, "{}").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_stays_a_symbolic_link() {
    let homeserver = Loopback::start(good);
    let folder = folder();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("elsewhere/session.json"), "{}").unwrap();
    std::os::unix::fs::symlink("elsewhere/session.json", folder.path().join("data.json")).unwrap();
    let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.folder.path().join("data.json").is_symlink());
    assert_eq!(run.file("elsewhere/session.json")["user_id"], "@alice:example.org");
}

#[test]
fn the_url_can_be_copied_from_a_session_file() {
    let homeserver = Loopback::start(good);
    for path in ["/", "/_matrix/client", "/_matrix/client/"] {
        let run = Run::with(folder(), &["-H", &format!("{}{path}", homeserver.url), "alice"], "wonderland\n");
        run.says("logged in as @alice:example.org with device ID DEVICEID");
    }
    let wrong = Run::with(folder(), &["-H", &format!("{}/elsewhere", homeserver.url), "alice"], "wonderland\n");
    assert_eq!(wrong.status, Some(1));
}

#[test]
fn the_user_is_asked_for_if_it_is_not_given() {
    let homeserver = Loopback::start(good);
    let run = Run::with(folder(), &["-H", &homeserver.url], "@alice:example.org\nwonderland\n");
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let body = homeserver.received().pop().unwrap().body;
    assert_eq!((&body["identifier"]["user"], &body["password"]), (&json!("@alice:example.org"), &json!(PASSWORD)));
}

#[test]
fn a_password_keeps_its_blanks_and_loses_the_end_of_line() {
    for (input, password) in [("  a b \n", "  a b "), ("a\r\n", "a"), ("a", "a"), ("\n", ""), ("a\nb\n", "a")] {
        let homeserver = Loopback::start(good);
        let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], input);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert_eq!(homeserver.received().pop().unwrap().body["password"], password);
    }
}

#[test]
fn if_a_user_is_logged_in_already_nothing_is_sent() {
    let homeserver = Loopback::start(good);
    let folder = folder();
    let stored = r#"{"access_token":"t","user_id":"@bob:example.org","device_id":"D"}"#;
    fs::write(folder.path().join("data.json"), stored).unwrap();
    let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.fails(
        "Error: already logged in as @bob:example.org in data.json; name another file with --data to log in once more",
    );
    assert_eq!(homeserver.received(), []);
    assert_eq!(fs::read_to_string(run.folder.path().join("data.json")).unwrap(), stored);
}

#[test]
fn a_file_without_an_access_token_keeps_its_other_content() {
    let homeserver = Loopback::start(good);
    let folder = folder();
    let stored = json!({"refresh_token": "stale", "access_token_valid_until": 1, "next_batch": "s1", "o": {"x": null}});
    fs::write(folder.path().join("data.json"), stored.to_string()).unwrap();
    let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.says("logged in as @alice:example.org with device ID DEVICEID");
    let session = run.file("data.json");
    assert_eq!((&session["next_batch"], &session["o"]), (&json!("s1"), &json!({"x": null})));
    assert_eq!((session.get("refresh_token"), session.get("access_token_valid_until")), (None, None));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_and_stays_untouched() {
    let homeserver = Loopback::start(good);
    for (stored, problem) in [
        ("{\"access_token\":", "it is not a JSON object"),
        ("", "it is not a JSON object"),
        ("[]", "it is not a JSON object"),
        (
            r#"{"access_token":7}"#,
            "invalid `access_token` of the stored session: expected a string of visible ASCII characters",
        ),
        (
            r#"{"access_token":"t","user_id":"bob"}"#,
            "invalid `user_id` of the stored session: expected a user ID, such as @alice:example.org",
        ),
    ] {
        let folder = folder();
        fs::write(folder.path().join("data.json"), stored).unwrap();
        let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
        run.fails(&format!("Error: data.json: {problem}; repair it, or name another file with --data"));
        assert_eq!(fs::read_to_string(run.folder.path().join("data.json")).unwrap(), stored);
        assert_eq!(run.files(), ["data.json"]);
    }
    assert_eq!(homeserver.received(), []);
}

#[test]
fn a_missing_folder_is_an_error_before_anything_is_sent() {
    let homeserver = Loopback::start(good);
    let run = Run::with(folder(), &["-H", &homeserver.url, "--data", "no/such.json", "alice"], "wonderland\n");
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.starts_with("Error: no/such.json: cannot write to its folder: "), "{}", run.stderr);
    assert_eq!(homeserver.received(), []);
}

#[test]
fn a_file_that_another_process_writes_meanwhile_is_not_lost() {
    let folder = folder();
    let file = folder.path().join("data.json");
    // While the homeserver handles the request, another process writes to the file.
    let written = file.clone();
    let homeserver = until_login(move || {
        fs::write(&written, r#"{"next_batch":"s1"}"#).unwrap();
        served(200, GRANTED)
    });
    let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert_eq!(run.file("data.json")["next_batch"], "s1");
    assert_eq!(run.file("data.json")["device_id"], "DEVICEID");
}

#[test]
fn two_logins_to_the_same_file_lose_neither_session() {
    for other in [r#"{"access_token":"t","user_id":"@bob:example.org","device_id":"D"}"#, "{broken"] {
        let folder = folder();
        let file = folder.path().join("data.json");
        let written = file.clone();
        let homeserver = until_login(move || {
            fs::write(&written, other).unwrap();
            served(200, GRANTED)
        });
        let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
        run.says("logged in as @alice:example.org with device ID DEVICEID");
        assert!(run.stderr.ends_with("stored the session in data.json.DEVICEID\n"), "{}", run.stderr);
        assert_eq!(fs::read_to_string(file).unwrap(), other);
        assert_eq!(run.file("data.json.DEVICEID")["user_id"], "@alice:example.org");
    }
}

#[test]
fn logins_at_once_to_a_missing_file_lose_no_session() {
    let homeserver = Loopback::start({
        let mut logins = 0;
        move |received| {
            logins += usize::from(received.target.starts_with("POST"));
            let granted = GRANTED.replace("DEVICEID", &format!("DEVICE{logins}"));
            if received.target.starts_with("POST") { served(200, granted) } else { good(received) }
        }
    });
    let folder = folder();
    let url = homeserver.url.clone();
    let path = folder.path();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut command = programs::command(program());
                command.args(["-H", &url, "alice"]).current_dir(path).stdin(Stdio::piped()).stdout(Stdio::null());
                let mut child = command.stderr(Stdio::null()).spawn().unwrap();
                // A process that looks later says that a user is logged in already, and reads no password.
                let _ = child.stdin.take().unwrap().write_all(b"wonderland\n");
                child.wait().unwrap();
            });
        }
    });
    let granted = homeserver.targets().iter().filter(|target| target.starts_with("POST")).count();
    assert_eq!(fs::read_dir(path).unwrap().count(), granted + 1, "a file for each session, and the lock");
}

#[test]
fn the_homeserver_chooses_no_path_and_moves_no_cursor() {
    let folder = folder();
    let written = folder.path().join("data.json");
    let other = r#"{"access_token":"t","user_id":"@bob:example.org","device_id":"D"}"#;
    let granted = r#"{"user_id":"@al\u001b[31mice:example.org","device_id":"../x\u202ey","access_token":"t"}"#;
    let homeserver = until_login(move || {
        fs::write(&written, other).unwrap();
        served(200, granted)
    });
    let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.says("logged in as @al [31mice:example.org with device ID ../x y");
    assert_eq!(run.files(), ["data.json", "data.json.___x_y", "data.json.lock"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_an_error_and_loses_no_session() {
    for (outputs, status) in [(">/dev/full 2>/dev/full", 1), (">/dev/full", 1), ("2>/dev/full", 0)] {
        let homeserver = Loopback::start(good);
        let mut deaf = programs::command("sh");
        deaf.args(["-c", &format!("exec \"$0\" \"$@\" {outputs}")]).arg(program());
        deaf.args(["-H", &homeserver.url, "alice"]);
        let run = Run::of(folder(), deaf, "wonderland\n");
        assert_eq!(
            (run.status, run.files()),
            (Some(status), vec!["data.json".to_owned(), "data.json.lock".to_owned()])
        );
        if outputs == ">/dev/full" {
            run.fails("Error: standard output cannot be written: No space left on device (os error 28)");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_that_is_closed_is_an_error() {
    for option in ["--logout", "--help", "--version"] {
        let folder = folder();
        fs::write(folder.path().join("data.json"), "{}").unwrap();
        let mut command = programs::command(program());
        let child = command.arg(option).current_dir(folder.path()).stdin(Stdio::null()).stderr(Stdio::piped());
        let output = child.stdout(programs::closed()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{option}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_the_file_stays_and_the_session_ends() {
    for (logout, ended) in [
        (served(200, "{}"), "its device DEVICEID is logged out again"),
        (served(502, ""), "log its device DEVICEID out with another client"),
    ] {
        let homeserver =
            Loopback::start(
                move |received| {
                    if received.target.ends_with("/logout") { logout.clone() } else { good(received) }
                },
            );
        let folder = folder();
        fs::write(folder.path().join("data.json"), r#"{"next_batch":"s1"}"#).unwrap();
        let run =
            Run::of(folder, crate::support::run::on_a_full_disk(&["-H", &homeserver.url, "alice"]), "wonderland\n");
        run.fails(&format!(
            "Error: logged in as @alice:example.org, but data.json: cannot be written: File too large (os error 27); \
             {ended}"
        ));
        assert_eq!(run.file("data.json"), json!({"next_batch": "s1"}));
        assert_eq!(homeserver.received().pop().unwrap().token.as_deref(), Some("anopaquestring"));
    }
}

#[test]
fn a_localpart_without_a_url_names_the_option() {
    let run = Run::with(folder(), &["alice"], "");
    run.fails(
        "Error: alice is not a full user ID: give one, such as @alice:example.org, or the URL of the homeserver with \
         -H",
    );
    is_tidy(&run);
}

#[test]
fn mistyped_addresses_are_named() {
    let homeserver = Loopback::start(good);
    let expected = "an @, a name, a colon and a server name, such as @alice:example.org";
    Run::with(folder(), &["@alice:"], "").fails(&format!("Error: invalid user ID: expected {expected}"));
    Run::with(folder(), &["-H", &homeserver.url, "@:alice:"], "")
        .fails(&format!("Error: invalid user ID: expected {expected}"));
    Run::with(folder(), &["https://example.org"], "").fails("Error: https://example.org is a homeserver, not a user");
    let expected =
        "an http or https URL with a host, such as https://matrix.example.org (a server name needs discovery)";
    Run::with(folder(), &["-H", "https://", "alice"], "")
        .fails(&format!("Error: invalid homeserver: expected {expected}"));
    let expected = "a URL such as https://matrix.example.org, or a server name such as example.org";
    Run::with(folder(), &["-H", "@alice:example.org", "alice"], "")
        .fails(&format!("Error: invalid homeserver: expected {expected}"));
    assert_eq!(homeserver.received(), []);
}

#[test]
fn mistyped_options_are_named() {
    for arguments in [&["--demo", "alice"][..], &["--date", "x"], &["a", "b"], &["--timeout", "0", "a"]] {
        let run = Run::with(folder(), arguments, "");
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
}

#[test]
fn a_missing_password_login_is_reported_before_a_question() {
    for (flows, offered) in [
        (r#"{"flows":[{"type":"m.login.sso"},{"type":"m.login.token"}]}"#, "m.login.sso, m.login.token"),
        (r#"{"flows":[]}"#, "nothing"),
    ] {
        let homeserver = Loopback::start(move |received| {
            served(200, if received.target.ends_with("login") { flows } else { VERSIONS })
        });
        let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "");
        run.fails(&format!(
            "Error: server does not support logging in with password; it offers {offered}; {USE_A_BROWSER}"
        ));
        is_tidy(&run);
    }
}

#[test]
fn a_preference_for_the_browser_is_shown_and_not_enforced() {
    let said = format!("\nthe homeserver asks people to {USE_A_BROWSER}\n");
    for (hint, is_said) in [
        (r#""oauth_aware_preferred":true"#, true),
        (r#""org.matrix.msc3824.delegated_oidc_compatibility":true"#, true),
        (r#""oauth_aware_preferred":false"#, false),
    ] {
        let offers = format!(r#"{{"flows":[{{"type":"m.login.password"}},{{"type":"m.login.sso",{hint}}}]}}"#);
        let homeserver = Loopback::start(move |received| loopback::good(&offers, received));
        for more in [&[][..], &["--legacy"]] {
            let arguments = [&["-H", &homeserver.url, "alice"], more].concat();
            let run = Run::with(folder(), &arguments, "wonderland\n");
            run.says("logged in as @alice:example.org with device ID DEVICEID");
            assert_eq!(run.stderr.matches(&said).count(), usize::from(is_said), "{}", run.stderr);
        }
    }
}

#[test]
fn an_address_without_a_homeserver_says_how_to_give_another() {
    let web_site = Loopback::start(|_| served(200, "<!DOCTYPE html>"));
    let run = Run::with(folder(), &["-H", &web_site.url, "alice"], "");
    run.fails(&format!(
        "Error: No Matrix server found: there is no homeserver at {} (status 200); check the URL and the network",
        web_site.url
    ));
    let refusing = Refusing::new();
    let address = refusing.address();
    let run = Run::with(folder(), &["-H", &format!("http://{address}"), "alice"], "");
    run.fails(&format!(
        "Error: No Matrix server found: connection refused by {address}; check the URL and the network"
    ));
}

#[test]
fn a_redirect_of_the_api_is_not_followed() {
    let moved = Loopback::start(|_| (301, vec![("Location", "https://example.org/".to_owned())], String::new()));
    let run = Run::with(folder(), &["-H", &moved.url, "alice"], "");
    assert!(run.stderr.contains("is a redirect to https://example.org/ that is not followed: use the right address"));
    assert_eq!((run.status, moved.received().len()), (Some(1), 1));
}

#[test]
fn a_server_that_cannot_be_discovered_is_reported() {
    // Nothing listens on the default port of loopback.
    let run = Run::with(folder(), &["@alice:127.0.0.1:9"], "");
    run.fails(
        "Error: No Matrix server found: connection refused by 127.0.0.1:443; check the server name and the network, \
         or give the URL of the homeserver with -H",
    );
    let request = "GET https://127.0.0.1/.well-known/matrix/client: connection refused by 127.0.0.1:443\n";
    assert!(run.stderr.starts_with(request), "{}", run.stderr);
    is_tidy(&run);
}

#[test]
fn a_name_that_does_not_resolve_is_reported_first() {
    // A name with an empty label is not valid, so no name server is asked for it.
    let run = Run::with(folder(), &["-H", "http://a..b", "alice"], "");
    run.fails("Error: No Matrix server found: the name a..b does not resolve; check the URL and the network");
}

#[test]
fn a_server_that_does_not_speak_http_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for mut connection in listener.incoming().take(2).map(Result::unwrap) {
            let _ = connection.write_all(b"220 mail.example.org\r\n\r\n");
        }
    });
    for (scheme, reason) in [
        ("http", format!("the response of {address} is not valid HTTP")),
        ("https", format!("no secure connection to {address}: ")),
    ] {
        let run = Run::with(folder(), &["-H", &format!("{scheme}://{address}"), "alice"], "");
        let last = run.stderr.lines().last().unwrap();
        assert!(last.starts_with(&format!("Error: No Matrix server found: {reason}")), "{last}");
    }
    server.join().unwrap();
}

#[test]
fn the_request_is_shown_before_the_response_comes() {
    let (shown, was_shown) = mpsc::channel();
    let homeserver = Loopback::start(move |received| {
        // The response comes only after the request was read on standard error.
        let _ = was_shown.recv();
        good(received)
    });
    // `shown` must be dropped before the homeserver, which would wait without end otherwise.
    let shown = shown;
    let folder = folder();
    let mut command = programs::command(program());
    command.args(["-H", &homeserver.url, "alice"]).current_dir(folder.path()).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut read = |text: &str| {
        let mut seen = vec![0; text.len()];
        stderr.read_exact(&mut seen).unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), text);
    };
    for path in ["versions", "v3/login"] {
        read(&format!("GET {}/_matrix/client/{path}", homeserver.url));
        shown.send(()).unwrap();
        read(": 200 OK\n");
    }
    child.wait().unwrap();
}

#[test]
fn a_device_that_was_not_requested_is_reported() {
    for (device, said) in [(None, 0), (Some("OTHER"), 1)] {
        let homeserver = Loopback::start(move |received| {
            if !received.target.starts_with("POST") {
                return good(received);
            }
            let device_id = device.map_or(received.body["device_id"].clone(), |device| json!(device));
            let granted = json!({ "user_id": "@alice:example.org", "access_token": "t", "device_id": device_id });
            served(200, granted.to_string())
        });
        let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\n");
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let wanted = homeserver.received().pop().unwrap().body["device_id"].clone();
        let line =
            format!("the homeserver granted the device ID OTHER, not {} as requested\n", wanted.as_str().unwrap());
        assert_eq!((run.stderr.matches(&line).count(), run.stderr.matches("device ID").count()), (said, said));
    }
}

#[test]
fn its_version_is_the_version_of_the_package() {
    for option in ["--version", "-V"] {
        Run::with(folder(), &[option], "").says(concat!("login ", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn the_usage_names_a_command_that_can_be_typed() {
    let usage = |cargo: Option<&str>| {
        let mut command = programs::command(program());
        command.arg("--help").env_remove("CARGO").envs(cargo.map(|cargo| ("CARGO", cargo)));
        let run = Run::of(folder(), command, "");
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
        run.stdout.lines().find_map(|line| line.strip_prefix("Usage: ").map(str::to_owned)).unwrap()
    };
    assert_eq!(usage(Some("/bin/cargo")), "cargo run --example login -- [OPTIONS] [USER]");
    assert_eq!(usage(None), format!("{} [OPTIONS] [USER]", program().display()));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_the_status_of_that_signal() {
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let mut command = programs::command(program());
        let mut child =
            command.args(["-H", &url, "alice"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The program has connected, and waits for a response.
        let _connection = silent.accept().unwrap();
        programs::signal(signal, &child.id().to_string());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
    }
}

#[test]
fn a_wrong_password_from_a_pipe_ends_it() {
    let homeserver = until_login(|| served(403, FORBIDDEN));
    let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\nwonderland\n");
    run.fails(
        "Error: the server refused (status 403, M_FORBIDDEN): Invalid username or password; check the user and the \
         password",
    );
    assert_eq!(homeserver.targets().iter().filter(|target| target.starts_with("POST")).count(), 1);
    is_tidy(&run);
}

#[test]
fn other_refusals_are_shown_as_the_server_says_them_in_one_line() {
    let homeserver = until_login(|| {
        served(403, r#"{"errcode":"M_USER_DEACTIVATED","error":"This account\nhas been \u001b[31mdeactivated"}"#)
    });
    Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\n").fails(
        "Error: the server refused (status 403, M_USER_DEACTIVATED): This account has been  [31mdeactivated; \
         ask the administrator of the homeserver",
    );
}

#[test]
fn a_short_rate_limit_is_waited_out_and_a_long_one_is_named() {
    let limited = || served(429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":332100}"#);
    let homeserver = until_login(limited);
    let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\n");
    assert_eq!(run.status, Some(1));
    // A second can have passed in the meantime.
    let last = run.stderr.lines().last().unwrap();
    let named = ["5m 33s", "5m 32s"]
        .map(|left| format!("Error: the homeserver limits the rate of logins: try again in {left}"));
    assert!(named.iter().any(|line| line == last), "{last}");
    is_tidy(&run);

    let homeserver = until_login(|| served(429, r#"{"retry_after_ms":1}"#));
    let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.fails("Error: the homeserver limits the rate of logins: try again in 1s");
    assert_eq!(homeserver.targets().iter().filter(|target| target.starts_with("POST")).count(), 4);
}

#[test]
fn a_server_that_goes_away_midway_is_named() {
    // The server sends one response on each connection, and closes the connection at the login.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        for (body, connection) in [VERSIONS, OFFERS, ""].into_iter().zip(listener.incoming()) {
            let mut connection = connection.unwrap();
            let head = BufReader::new(&connection).lines().next().unwrap().unwrap();
            if head.starts_with("GET") {
                let length = body.len();
                let response =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
                connection.write_all(response.as_bytes()).unwrap();
            }
        }
    });
    let run = Run::with(folder(), &["-H", &url, "alice"], "wonderland\n");
    server.join().unwrap();
    let address = url.trim_start_matches("http://");
    run.fails(&format!("Error: {address} closed the connection before it responded; check the network and try again"));
    is_tidy(&run);
}

#[test]
fn a_server_that_never_responds_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let run = Run::with(folder(), &["-H", &url, "--timeout", "1", "alice"], "");
    let address = url.trim_start_matches("http://");
    run.fails(&format!(
        "Error: No Matrix server found: no response from {address} within 1 s; check the URL and the network"
    ));
}

#[test]
fn a_response_that_never_ends_is_not_read_to_its_end() {
    let homeserver = until_login(|| served(200, " ".repeat(1 << 24)));
    let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.fails(
        "Error: invalid response to POST /_matrix/client/v3/login: the body is longer than 65536 \
         bytes; the server, or a proxy in front of it, is at fault",
    );
}

#[test]
fn a_token_that_expires_for_good_is_accepted_and_reported() {
    let granted = r#"{"user_id":"@alice:example.org","device_id":"D","access_token":"t","expires_in_ms":300000}"#;
    let homeserver = until_login(move || served(200, granted));
    let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.says("logged in as @alice:example.org with device ID D");
    let said = "this session ends when its access token expires: the homeserver gave no refresh token";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

#[test]
fn an_empty_standard_input_is_reported() {
    let homeserver = Loopback::start(good);
    let run = Run::with(folder(), &["-H", &homeserver.url, "alice"], "");
    run.fails("Error: standard input has ended: expected a password on a line");
    is_tidy(&run);
}

#[cfg(target_os = "linux")]
mod terminal {
    use std::path::Path;

    use super::*;
    use crate::support::terminal::{at_a_terminal, watch};

    #[test]
    fn a_password_is_not_shown_and_can_be_tried_again() {
        let homeserver = Loopback::start({
            let mut tries = 0;
            move |received| {
                tries += usize::from(received.target.starts_with("POST"));
                if tries == 1 { served(403, FORBIDDEN) } else { good(received) }
            }
        });
        let folder = folder();
        let arguments = format!("-H {}", homeserver.url);
        let asked = "Password for alice: ";
        let typed = [("User ID: ", "alice\n"), (asked, "a guess\n"), (asked, "wonderland\n")];
        let shown = at_a_terminal(program(), &folder, &arguments, &typed);
        assert!(shown.contains("logged in as @alice:example.org with device ID DEVICEID"), "{shown}");
        assert!(shown.contains("status 0"), "{shown}");
        assert!(shown.contains("Invalid username or password; try again"), "{shown}");
        assert!(!shown.contains("guess") && !shown.contains(PASSWORD), "{shown}");
        assert!(folder.path().join("data.json").exists());
    }

    #[test]
    fn the_third_wrong_password_ends_it() {
        let homeserver = until_login(|| served(403, FORBIDDEN));
        let folder = folder();
        let shown = at_a_terminal(
            program(),
            &folder,
            &format!("-H {} alice", homeserver.url),
            &[("Password for alice: ", "x\n"); 3],
        );
        assert!(shown.contains("check the user and the password"), "{shown}");
        assert!(shown.contains("status 1"), "{shown}");
        assert_eq!(homeserver.targets().iter().filter(|target| target.starts_with("POST")).count(), 3);
    }

    #[test]
    fn a_signal_at_the_prompt_restores_the_terminal() {
        let homeserver = Loopback::start(good);
        let folder = folder();
        let arguments = format!("-c 'echo process $$; exec {} -H {} alice'", program().display(), homeserver.url);
        let shown = watch(Path::new("sh"), &folder, &arguments, &["Password for alice: "], |_, shown| {
            let process = shown.split_once("process ").unwrap().1.split_whitespace().next().unwrap();
            programs::signal("TERM", process);
            String::new()
        });
        assert!(shown.contains("status 143"), "{shown}");
        for setting in ["echo", "icanon", "isig"] {
            assert!(shown.contains(setting) && !shown.contains(&format!("-{setting} ")), "{setting}: {shown}");
        }
    }

    #[test]
    fn an_interrupt_at_the_prompt_leaves_nothing_behind() {
        let homeserver = Loopback::start(good);
        let folder = folder();
        let arguments = format!("-H {} alice", homeserver.url);
        let shown = at_a_terminal(program(), &folder, &arguments, &[("Password for alice: ", "wonder\u{3}")]);
        assert!(shown.contains("status 130"), "{shown}");
        assert!(!shown.contains("wonder"), "{shown}");
        for setting in ["echo", "icanon", "isig"] {
            assert!(shown.contains(setting) && !shown.contains(&format!("-{setting} ")), "{setting}: {shown}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(homeserver.targets().iter().filter(|target| target.starts_with("POST")).count(), 0);
    }
}
