//! The login program with a stored session: it shows the user, refreshes the session, ends it, and begins it again. The
//! program gives a session up only if the homeserver says that it has ended. Several processes can share one file.

use std::{
    fs,
    io::Write,
    process::{Child, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    loopback::{Loopback, Received, Refusing, Served, served},
    programs,
    run::{Run, folder, program},
    scenario::{OFFERS, VERSIONS},
};

/// The end of a token that expired long ago, and the end of a token that never expires.
const PAST: u64 = 1_000_000_000;
const FUTURE: u64 = u64::MAX;

const LOGGED_IN: &str = "logged in as @alice:example.org with device ID DEVICEID";

fn stored(url: &str, valid_until: u64) -> Value {
    json!({
        "access_token": "access-1", "access_token_valid_until": valid_until, "refresh_token": "refresh-1",
        "user_id": "@alice:example.org", "device_id": "DEVICEID", "base_client_url": format!("{url}/_matrix/client/"),
        "next_batch": "s1",
    })
}

fn folder_with(stored: &Value) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("data.json"), stored.to_string()).unwrap();
    folder
}

fn unknown_token(soft_logout: bool) -> Served {
    let error =
        json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Access token has expired", "soft_logout": soft_logout });
    served(401, error.to_string())
}

/// A homeserver that treats tokens as Synapse does. A refresh token is valid until a token that it has bought is used.
/// After that, a use of the old refresh token ends the session.
struct Tokens {
    /// Which pair of tokens is in use.
    current: u32,
    /// The pair that was bought last, and that is not in use yet.
    bought: u32,
    /// Access tokens that have expired.
    expired: u32,
}

impl Tokens {
    /// The homeserver for the session of [`stored`], whose access token has expired.
    fn expired() -> Self {
        Self { current: 1, bought: 1, expired: 1 }
    }

    fn number(token: Option<&str>, kind: &str) -> u32 {
        token.and_then(|token| token.strip_prefix(kind)?.parse().ok()).unwrap_or(0)
    }

    fn responds(&mut self, received: &Received) -> Served {
        let token = Self::number(received.token.as_deref(), "access-");
        match received.target.as_str() {
            // The two APIs differ only in the names of the members and of the errors.
            "POST /_matrix/client/v3/refresh" | "POST /oauth2/token" => {
                let token = Self::number(received.body["refresh_token"].as_str(), "refresh-");
                if token == self.bought {
                    self.current = token;
                } else if token != self.current {
                    return if received.target == "POST /oauth2/token" {
                        served(400, r#"{"error":"invalid_grant"}"#)
                    } else {
                        served(403, r#"{"errcode":"M_FORBIDDEN","error":"refresh token isn't valid anymore"}"#)
                    };
                }
                // The pair that was bought before is no longer valid, unless it is in use.
                self.bought += 1;
                let bought = self.bought;
                let granted = json!({
                    "access_token": format!("access-{bought}"), "refresh_token": format!("refresh-{bought}"),
                    "expires_in_ms": 300_000, "expires_in": 300, "token_type": "Bearer",
                });
                served(200, granted.to_string())
            }
            _ if token != self.current && token != self.bought => unknown_token(false),
            _ if token <= self.expired => unknown_token(true),
            "GET /_matrix/client/v3/account/whoami" => {
                self.current = token;
                served(200, r#"{"user_id":"@alice:example.org","device_id":"DEVICEID","is_guest":false}"#)
            }
            "POST /_matrix/client/v3/logout" => {
                (self.current, self.bought) = (0, 0);
                served(200, "{}")
            }
            target => panic!("{target}"),
        }
    }

    fn serve(mut self) -> Loopback {
        Loopback::start(move |received| self.responds(received))
    }
}

/// The requests of the program, in short.
fn asked(homeserver: &Loopback) -> Vec<String> {
    homeserver.targets().iter().map(|target| target.rsplit('/').next().unwrap().to_owned()).collect()
}

// Whose session it is.

#[test]
fn a_valid_session_is_used_unchanged() {
    let homeserver = Tokens { current: 1, bought: 1, expired: 0 }.serve();
    let before = stored(&homeserver.url, FUTURE);
    let run = Run::with(folder_with(&before), &["--whoami"], "");
    run.says(LOGGED_IN);
    assert_eq!(asked(&homeserver), ["whoami"]);
    assert_eq!((run.file("data.json"), run.files()), (before, vec!["data.json".to_owned()]), "nothing was written");
    assert!(!run.stderr.contains("access-1"), "{}", run.stderr);
}

#[test]
fn a_session_that_has_expired_is_refreshed_before_it_is_used() {
    let homeserver = Tokens::expired().serve();
    let run = Run::with(folder_with(&stored(&homeserver.url, PAST)), &["--whoami"], "");
    run.says(LOGGED_IN);
    assert_eq!(asked(&homeserver), ["refresh", "whoami"]);
    let after = run.file("data.json");
    let until = after["access_token_valid_until"].as_u64().unwrap();
    assert!(until > 1_795_435_200_000_000_000, "{until}");
    let mut expected = stored(&homeserver.url, until);
    expected["access_token"] = json!("access-2");
    expected["refresh_token"] = json!("refresh-2");
    assert_eq!(after, expected);
    for token in ["access-", "refresh-"] {
        assert!(!run.stderr.contains(token), "{}", run.stderr);
    }
}

#[test]
fn the_homeservers_clock_counts_if_ours_was_set_back() {
    let homeserver = Tokens::expired().serve();
    let run = Run::with(folder_with(&stored(&homeserver.url, FUTURE)), &["--whoami"], "");
    run.says(LOGGED_IN);
    assert_eq!(asked(&homeserver), ["whoami", "refresh", "whoami"]);
    assert_eq!(run.file("data.json")["access_token"], "access-2");
}

#[test]
fn an_application_service_and_a_guest_are_shown_as_such() {
    for (body, line) in [
        (r#"{"user_id":"@bridge:example.org"}"#, "logged in as @bridge:example.org without a device"),
        (
            r#"{"user_id":"@1:example.org","device_id":"guest_device","is_guest":true}"#,
            "logged in as the guest @1:example.org with device ID guest_device",
        ),
    ] {
        let homeserver = Loopback::start(move |_| served(200, body));
        Run::with(folder_with(&stored(&homeserver.url, FUTURE)), &["--whoami"], "").says(line);
    }
}

#[test]
fn without_a_session_nothing_is_sent() {
    for option in ["--whoami", "--refresh", "--account", "--again"] {
        for stored in [json!({}), json!({"next_batch": "s1"})] {
            let run = Run::with(folder_with(&stored), &[option], "");
            run.fails("Error: data.json contains no session: log in first");
        }
    }
    for option in ["--whoami", "--refresh", "--logout", "--account", "--again"] {
        // The name of the file can be mistyped.
        let run = Run::with(folder(), &[option, "--data", "other.json"], "");
        run.fails("Error: other.json does not exist: log in first");
        assert_eq!(run.files(), Vec::<String>::new());
    }
}

// The refresh.

#[test]
fn it_is_refreshed_when_the_user_says_so() {
    let homeserver = Tokens::expired().serve();
    let run = Run::with(folder_with(&stored(&homeserver.url, FUTURE)), &["--refresh"], "");
    run.says(LOGGED_IN);
    assert!(run.stderr.ends_with("the access token is valid for 5m\n"), "{}", run.stderr);
    assert_eq!(run.file("data.json")["refresh_token"], "refresh-2");
    let again = Run::with(run.folder, &["--refresh"], "");
    again.says(LOGGED_IN);
    assert_eq!(again.file("data.json")["refresh_token"], "refresh-3");
}

#[test]
fn the_old_refresh_token_stays_if_there_is_no_new_one() {
    let homeserver = Loopback::start(|_| served(200, r#"{"access_token":"access-2"}"#));
    let run = Run::with(folder_with(&stored(&homeserver.url, PAST)), &["--refresh"], "");
    run.says(LOGGED_IN);
    let mut expected = stored(&homeserver.url, PAST);
    expected["access_token"] = json!("access-2");
    expected.as_object_mut().unwrap().remove("access_token_valid_until");
    assert_eq!(run.file("data.json"), expected);
}

/// A homeserver that sends this response to a refresh. To every other request it says that the access token has
/// expired.
fn at_a_refresh(refresh: Served) -> Loopback {
    Loopback::start(
        move |received| {
            if received.target.ends_with("/refresh") { refresh.clone() } else { unknown_token(true) }
        },
    )
}

#[test]
fn whatever_goes_wrong_the_session_stays_in_its_file() {
    let limited = || (429, vec![("Retry-After", "3".to_owned())], String::new());
    for (response, said) in [
        (
            unknown_token(true),
            "Error: the server refused (status 401, M_UNKNOWN_TOKEN): Access token has expired; the session has \
             expired: log in again with --again",
        ),
        (
            served(401, r#"{"errcode":"M_USER_LOCKED"}"#),
            "Error: the server refused (status 401, M_USER_LOCKED); the session stays: try again when the account is \
             unlocked",
        ),
        (
            served(500, r#"{"errcode":"M_UNKNOWN"}"#),
            "Error: the server failed (status 500, M_UNKNOWN); the session stays unchanged",
        ),
        (
            served(502, "<html>"),
            "Error: the response to POST /_matrix/client/v3/refresh is not from a Matrix server (status 502): try \
             again later; the session stays unchanged",
        ),
        (
            served(403, "<html>Welcome to the airport"),
            "Error: the response to POST /_matrix/client/v3/refresh is not from a Matrix server (status 403): check \
             the address; the session stays unchanged",
        ),
        (
            served(200, r#"{"access_token":"#),
            "Error: invalid response to POST /_matrix/client/v3/refresh: expected the body to be a JSON object; the \
             server is at fault; the session stays unchanged",
        ),
        (limited(), "Error: the server refused (status 429); the session stays unchanged: try again in 3s"),
    ] {
        let homeserver = at_a_refresh(response);
        let before = stored(&homeserver.url, PAST);
        for option in ["--refresh", "--whoami", "--logout"] {
            let run = Run::with(folder_with(&before), &[option], "");
            run.fails(said);
            assert_eq!(run.file("data.json"), before);
        }
        assert_eq!(asked(&homeserver), ["refresh", "refresh", "whoami", "refresh", "logout"]);
    }
}

#[test]
fn a_session_that_cannot_be_refreshed_is_used_until_it_ends() {
    for (refused, said) in [
        (
            served(403, r#"{"errcode":"M_FORBIDDEN","error":"refresh token isn't valid anymore"}"#),
            "the server refused (status 403, M_FORBIDDEN): refresh token isn't valid anymore; the session cannot be \
             refreshed, and ends when its access token expires",
        ),
        (
            served(404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
            "the server refused (status 404, M_UNRECOGNIZED); the session cannot be refreshed, and ends when its \
             access token expires",
        ),
    ] {
        let alive = refused.clone();
        let alive = Loopback::start(move |received| {
            if received.target.ends_with("/refresh") {
                alive.clone()
            } else {
                served(200, r#"{"user_id":"@alice:example.org","device_id":"DEVICEID"}"#)
            }
        });
        let before = stored(&alive.url, PAST);
        Run::with(folder_with(&before), &["--refresh"], "").fails(&format!("Error: {said}"));
        let run = Run::with(folder_with(&before), &["--whoami"], "");
        run.says(LOGGED_IN);
        assert!(run.stderr.contains(said), "{}", run.stderr);

        let expired = at_a_refresh(refused.clone());
        let run = Run::with(folder_with(&stored(&expired.url, PAST)), &["--whoami"], "");
        run.fails(
            "Error: the server refused (status 401, M_UNKNOWN_TOKEN): Access token has expired; the session has \
             expired: log in again with --again",
        );
        let over =
            Loopback::start(
                move |received| {
                    if received.target.ends_with("/refresh") { refused.clone() } else { unknown_token(false) }
                },
            );
        for valid_until in [PAST, FUTURE] {
            let before = stored(&over.url, valid_until);
            let run = Run::with(folder_with(&before), &["--whoami"], "");
            run.fails(
                "Error: the server refused (status 401, M_UNKNOWN_TOKEN): Access token has expired; the session has \
                 ended: empty its file with --logout, then log in",
            );
            assert_eq!(run.file("data.json"), before);
            let run = Run::with(run.folder, &["--logout"], "");
            run.says("@alice:example.org with device ID DEVICEID was already logged out");
        }
        assert_eq!(asked(&over), ["refresh", "whoami", "refresh", "logout", "whoami", "refresh", "logout", "refresh"]);
    }
}

#[test]
fn a_new_token_that_is_refused_is_not_refreshed_without_end() {
    let homeserver = Loopback::start(|received| {
        if received.target.ends_with("/refresh") {
            served(200, r#"{"access_token":"new","refresh_token":"new"}"#)
        } else {
            unknown_token(false)
        }
    });
    for (valid_until, option, requests) in [
        (PAST, "--whoami", &["refresh", "whoami"][..]),
        (FUTURE, "--whoami", &["whoami", "refresh", "whoami"]),
        (PAST, "--logout", &["refresh", "logout"]),
        (FUTURE, "--logout", &["logout", "refresh", "logout"]),
    ] {
        let before = homeserver.received().len();
        let run = Run::with(folder_with(&stored(&homeserver.url, valid_until)), &[option], "");
        assert_eq!((run.status, run.file("data.json")["access_token"].as_str()), (Some(1), Some("new")));
        let advice = "the homeserver does not know the access token that it has just granted: try again in 1s, or log \
                      in again with --again";
        assert!(run.stderr.lines().last().unwrap().ends_with(advice), "{}", run.stderr);
        assert_eq!(asked(&homeserver)[before..], *requests);
    }
}

#[test]
fn a_homeserver_that_says_when_to_ask_again_is_quoted() {
    let homeserver = Loopback::start(|_| served(429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":4001}"#));
    for option in ["--whoami", "--logout"] {
        Run::with(folder_with(&stored(&homeserver.url, FUTURE)), &[option], "").fails(
            "Error: the server refused (status 429, M_LIMIT_EXCEEDED); the session stays unchanged: try again in 5s",
        );
    }
}

#[test]
fn a_network_that_is_down_leaves_the_session() {
    let refusing = Refusing::new();
    let address = refusing.address();
    let before = stored(&format!("http://{address}"), PAST);
    for option in ["--refresh", "--whoami", "--logout"] {
        let run = Run::with(folder_with(&before), &[option], "");
        run.fails(&format!("Error: connection refused by {address}; check the network and try again"));
        assert_eq!(run.file("data.json"), before);
    }
}

#[test]
fn a_session_without_a_refresh_token_can_only_be_used() {
    let homeserver = Tokens { current: 1, bought: 1, expired: 0 }.serve();
    let mut before = stored(&homeserver.url, PAST);
    before.as_object_mut().unwrap().remove("refresh_token");
    let run = Run::with(folder_with(&before), &["--refresh"], "");
    run.fails("Error: the homeserver gave no refresh token: this session cannot be refreshed");
    // The token has expired by our clock, but not by the clock of the homeserver.
    Run::with(run.folder, &["--whoami"], "").says(LOGGED_IN);
}

#[cfg(target_os = "linux")]
#[test]
fn new_tokens_that_cannot_be_stored_are_not_used() {
    let homeserver = Tokens::expired().serve();
    let before = stored(&homeserver.url, PAST);
    let run = Run::of(folder_with(&before), crate::support::run::on_a_full_disk(&["--whoami"]), "");
    run.fails(
        "Error: data.json: cannot be written: File too large (os error 27); the old session is valid only if its \
         refresh token is accepted again",
    );
    assert_eq!(run.file("data.json"), before);
    let used: Vec<_> = homeserver.received().into_iter().map(|received| received.token).collect();
    assert_eq!(used, [None, Some("access-1".to_owned())], "the new tokens are not used");
    Run::with(run.folder, &["--whoami"], "").says(LOGGED_IN);
}

// Several processes.

/// Runs programs in one folder, all at once. Returns for each whether it succeeded, and what it said on both outputs.
fn at_once(folder: TempDir, arguments: &[&str], count: usize) -> Vec<(bool, String, String)> {
    let start = |_| start(&folder, arguments);
    let children: Vec<Child> = (0..count).map(start).collect();
    let end = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    children.into_iter().map(end).collect()
}

fn start(folder: &TempDir, arguments: &[&str]) -> Child {
    let mut command = programs::command(program());
    command.args(arguments).current_dir(folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The lock of the session in a folder.
fn lock(folder: &TempDir) -> fs::File {
    let lock = fs::File::create(folder.path().join("data.json.lock")).unwrap();
    fs4::FileExt::lock(&lock).unwrap();
    lock
}

/// Waits until a process waits for a lock. Linux shows that.
#[cfg(target_os = "linux")]
fn wait_until_it_waits(child: &mut Child) {
    let process = child.id().to_string();
    loop {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        if locks.lines().any(|line| line.contains("->") && line.split_whitespace().any(|word| word == process)) {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the program has ended without waiting for the lock");
    }
}

#[test]
fn one_of_several_processes_refreshes_and_all_go_on() {
    for _ in 0..3 {
        let homeserver = Tokens::expired().serve();
        let folder = folder_with(&stored(&homeserver.url, PAST));
        for run in at_once(folder, &["--whoami"], 6) {
            assert_eq!((run.0, run.1.trim_end()), (true, LOGGED_IN), "{}", run.2);
        }
        assert_eq!(asked(&homeserver).iter().filter(|target| *target == "refresh").count(), 1);
    }
}

#[test]
fn one_of_several_processes_refreshes_an_oauth_session() {
    for _ in 0..3 {
        let homeserver = Tokens::expired().serve();
        let mut stored = stored(&homeserver.url, PAST);
        stored["oauth"] =
            json!({ "client_id": "client", "token_endpoint": format!("{}/oauth2/token", homeserver.url) });
        let folder = folder_with(&stored);
        let path = folder.path().to_owned();
        let children: Vec<Child> = (0..6).map(|_| start(&folder, &["--whoami"])).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said.trim_end(), LOGGED_IN, "{}", String::from_utf8_lossy(&output.stderr));
        }
        let refreshes: Vec<Value> = homeserver
            .received()
            .into_iter()
            .filter(|received| received.target == "POST /oauth2/token")
            .map(|received| received.body)
            .collect();
        let form = json!({"grant_type": "refresh_token", "refresh_token": "refresh-1", "client_id": "client"});
        assert_eq!(refreshes, [form]);
        assert!(asked(&homeserver).iter().all(|target| target != "refresh"), "the legacy API does not know its tokens");
        let kept: Value = serde_json::from_slice(&fs::read(path.join("data.json")).unwrap()).unwrap();
        assert_eq!((&kept["oauth"], &kept["refresh_token"]), (&stored["oauth"], &json!("refresh-2")));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn after_the_wait_for_the_lock_the_newer_session_is_used() {
    let homeserver = Tokens { current: 1, bought: 2, expired: 1 }.serve();
    let folder = folder_with(&stored(&homeserver.url, PAST));
    let lock = lock(&folder);
    let mut child = start(&folder, &["--whoami"]);
    wait_until_it_waits(&mut child);
    // The program has read the file before. It must not use that refresh token, which is spent now.
    let mut refreshed = stored(&homeserver.url, FUTURE);
    refreshed["access_token"] = json!("access-2");
    refreshed["refresh_token"] = json!("refresh-2");
    let written = folder.path().join("new.json");
    fs::write(&written, refreshed.to_string()).unwrap();
    fs::rename(written, folder.path().join("data.json")).unwrap();
    drop(lock);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), LOGGED_IN);
    assert_eq!(asked(&homeserver), ["whoami"], "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn after_the_lock_the_session_of_another_user_is_kept() {
    let homeserver = Loopback::start(|_| served(200, "{}"));
    for (option, other) in [
        ("--logout", json!({"access_token": "bobs", "user_id": "@bob:example.org", "device_id": "DEVICEID"})),
        ("--whoami", json!({"access_token": "new", "user_id": "@alice:example.org", "device_id": "OTHER"})),
    ] {
        let folder = folder_with(&stored(&homeserver.url, PAST));
        let lock = lock(&folder);
        let mut child = start(&folder, &[option]);
        wait_until_it_waits(&mut child);
        fs::write(folder.path().join("data.json"), other.to_string()).unwrap();
        drop(lock);
        let run = Run::new(folder, child.wait_with_output().unwrap());
        assert!(
            run.stderr.starts_with("another process is changing data.json: waiting until it is done\n"),
            "{}",
            run.stderr
        );
        let user_id = other["user_id"].as_str().unwrap();
        assert!(
            run.stderr.contains(&format!("another process has logged in as {user_id} in the meantime")),
            "{}",
            run.stderr
        );
        assert_eq!(run.file("data.json"), other);
        assert!(homeserver.received().iter().all(|received| received.token.as_deref() != Some("bobs")));
    }
}

#[cfg(unix)]
#[test]
fn the_lock_is_beside_the_file_that_a_link_leads_to() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let homeserver = Tokens::expired().serve();
    let folder = folder();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("elsewhere/session.json"), stored(&homeserver.url, PAST).to_string()).unwrap();
    symlink("elsewhere/session.json", folder.path().join("data.json")).unwrap();
    let run = Run::with(folder, &["--whoami"], "");
    run.says(LOGGED_IN);
    let lock = fs::metadata(run.folder.path().join("elsewhere/session.json.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    assert_eq!(run.files(), ["data.json", "elsewhere"]);
    assert_eq!(run.file("elsewhere/session.json")["access_token"], "access-2");
}

#[cfg(unix)]
#[test]
fn a_session_is_stored_at_the_missing_target_of_a_link() {
    let homeserver = homeserver_of("@alice:example.org");
    let folder = folder();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere/session.json", folder.path().join("data.json")).unwrap();
    let run = Run::with(folder, &["-H", &homeserver.url, "alice"], "wonderland\n");
    run.says(LOGGED_IN);
    assert!(run.folder.path().join("data.json").is_symlink());
    assert_eq!(run.file("elsewhere/session.json")["access_token"], "access-9");
}

#[cfg(target_os = "linux")]
#[test]
fn a_login_overwrites_no_session_that_was_stored_meanwhile() {
    let homeserver = homeserver_of("@alice:example.org");
    let folder = folder_with(&json!({}));
    let lock = lock(&folder);
    let mut child = start(&folder, &["-H", &homeserver.url, "alice"]);
    child.stdin.take().unwrap().write_all(b"wonderland\n").unwrap();
    wait_until_it_waits(&mut child);
    // The program has a session, and waits to store it.
    let other = json!({"access_token": "t", "user_id": "@bob:example.org", "device_id": "D"});
    fs::write(folder.path().join("data.json"), other.to_string()).unwrap();
    drop(lock);
    let run = Run::new(folder, child.wait_with_output().unwrap());
    run.says(LOGGED_IN);
    assert_eq!(run.file("data.json"), other);
    assert_eq!(run.file("data.json.DEVICEID")["access_token"], "access-9");
    let waiting = "another process is changing data.json: waiting until it is done\n";
    assert!(run.stderr.contains(waiting), "{}", run.stderr);
    let elsewhere = "another process has changed data.json: to use the new session, name data.json.DEVICEID with \
                     --data\n";
    assert!(run.stderr.contains(elsewhere), "{}", run.stderr);
}

// The logout.

#[test]
fn after_a_logout_the_file_is_ready_for_the_next_login() {
    let homeserver = Tokens { current: 1, bought: 1, expired: 0 }.serve();
    let run = Run::with(folder_with(&stored(&homeserver.url, FUTURE)), &["--logout"], "");
    run.says("@alice:example.org with device ID DEVICEID is logged out");
    assert_eq!(run.file("data.json"), json!({}));
    let again = Run::with(run.folder, &["--logout"], "");
    again.says("data.json contains no session");
    assert_eq!(asked(&homeserver), ["logout"]);
}

#[test]
fn all_of_several_logouts_at_once_succeed() {
    let homeserver = Tokens::expired().serve();
    let folder = folder_with(&stored(&homeserver.url, PAST));
    for run in at_once(folder, &["--logout"], 4) {
        assert!(run.0, "{}", run.2);
    }
    assert_eq!(asked(&homeserver), ["refresh", "logout"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_logout_that_cannot_be_stored_can_be_repeated() {
    let homeserver = Tokens { current: 1, bought: 1, expired: 0 }.serve();
    let run =
        Run::of(folder_with(&stored(&homeserver.url, FUTURE)), crate::support::run::on_a_full_disk(&["--logout"]), "");
    run.fails(
        "Error: @alice:example.org with device ID DEVICEID is logged out, but data.json: cannot be written: File too \
         large (os error 27)",
    );
    let again = Run::with(run.folder, &["--logout"], "");
    again.says("@alice:example.org with device ID DEVICEID was already logged out");
    assert_eq!(again.file("data.json"), json!({}));
}

#[test]
fn a_session_that_had_been_logged_out_elsewhere_is_forgotten() {
    let homeserver = Tokens { current: 0, bought: 0, expired: 0 }.serve();
    let run = Run::with(folder_with(&stored(&homeserver.url, FUTURE)), &["--logout"], "");
    run.says("@alice:example.org with device ID DEVICEID was already logged out");
    assert_eq!((run.file("data.json"), asked(&homeserver)), (json!({}), vec!["logout".into(), "refresh".into()]));
}

#[test]
fn a_session_that_has_expired_is_refreshed_and_then_ended() {
    for (valid_until, requests) in [(PAST, &["refresh", "logout"][..]), (FUTURE, &["logout", "refresh", "logout"])] {
        let homeserver = Tokens::expired().serve();
        let run = Run::with(folder_with(&stored(&homeserver.url, valid_until)), &["--logout"], "");
        run.says("@alice:example.org with device ID DEVICEID is logged out");
        assert_eq!(
            (run.file("data.json"), asked(&homeserver)),
            (json!({}), requests.iter().map(|&s| s.into()).collect())
        );
    }
}

#[test]
fn a_session_that_cannot_be_refreshed_can_still_be_ended() {
    // The homeserver does as Synapse does: it accepts the logout of a token that has expired.
    let homeserver = Loopback::start(|received| {
        if received.target.ends_with("/refresh") {
            served(403, r#"{"errcode":"M_FORBIDDEN","error":"The supplied refresh token has expired"}"#)
        } else {
            served(200, "{}")
        }
    });
    let run = Run::with(folder_with(&stored(&homeserver.url, PAST)), &["--logout"], "");
    run.says("@alice:example.org with device ID DEVICEID is logged out");
    assert_eq!(
        (run.file("data.json"), asked(&homeserver)),
        (json!({}), vec!["refresh".to_owned(), "logout".to_owned()])
    );
}

#[test]
fn a_logout_that_fails_leaves_the_session() {
    for (response, said) in [
        (
            served(500, r#"{"errcode":"M_UNKNOWN"}"#),
            "Error: the server failed (status 500, M_UNKNOWN); the session stays unchanged",
        ),
        (
            served(403, "<html>"),
            "Error: the response to POST /_matrix/client/v3/logout is not from a Matrix server (status 403): check the \
             address; the session stays unchanged",
        ),
    ] {
        let homeserver = Loopback::start(move |_| response.clone());
        let before = stored(&homeserver.url, FUTURE);
        let run = Run::with(folder_with(&before), &["--logout"], "");
        run.fails(said);
        assert_eq!(run.file("data.json"), before);
    }
}

/// Some homeservers accept a refresh token only once, and end the access token with it. They say that an expired access
/// token is unknown.
#[test]
fn a_session_that_might_only_have_expired_is_kept() {
    let refresh_fails = Loopback::start(|received| {
        if received.target.ends_with("/refresh") { served(503, "<html>") } else { unknown_token(false) }
    });
    for valid_until in [PAST, FUTURE] {
        let before = stored(&refresh_fails.url, valid_until);
        let run = Run::with(folder_with(&before), &["--logout"], "");
        run.fails(
            "Error: the response to POST /_matrix/client/v3/refresh is not from a Matrix server (status 503): try \
             again later; the session stays unchanged",
        );
        assert_eq!(run.file("data.json"), before);
    }
    let homeserver = Loopback::start(|received| match (received.target.as_str(), received.token.as_deref()) {
        ("POST /_matrix/client/v3/refresh", _) => served(200, r#"{"access_token":"new","refresh_token":"new"}"#),
        (_, Some("new")) => served(200, "{}"),
        _ => unknown_token(false),
    });
    let run = Run::with(folder_with(&stored(&homeserver.url, FUTURE)), &["--logout"], "");
    run.says("@alice:example.org with device ID DEVICEID is logged out");
    assert_eq!(
        (run.file("data.json"), asked(&homeserver)),
        (json!({}), ["logout", "refresh", "logout"].map(String::from).into())
    );
}

#[cfg(unix)]
#[test]
fn no_process_refreshes_a_session_during_its_logout() {
    let folder = folder();
    let lock = folder.path().join("data.json.lock");
    let mut tokens = Tokens::expired();
    let homeserver = Loopback::start(move |received| {
        let lock = fs::File::open(&lock).unwrap();
        assert!(fs4::FileExt::try_lock(&lock).is_err(), "{} without the lock", received.target);
        tokens.responds(received)
    });
    fs::write(folder.path().join("data.json"), stored(&homeserver.url, PAST).to_string()).unwrap();
    let run = Run::with(folder, &["--logout"], "");
    run.says("@alice:example.org with device ID DEVICEID is logged out");
    assert_eq!(asked(&homeserver), ["refresh", "logout"]);
}

// A login again.

fn homeserver_of(user_id: &'static str) -> Loopback {
    Loopback::start(move |received| match received.target.as_str() {
        "GET /_matrix/client/versions" => served(200, VERSIONS),
        "GET /_matrix/client/v3/login" => served(200, OFFERS),
        "POST /_matrix/client/v3/login" => {
            let granted = json!({ "user_id": user_id, "device_id": "DEVICEID", "access_token": "access-9" });
            served(200, granted.to_string())
        }
        "POST /_matrix/client/v3/logout" => served(200, "{}"),
        target => panic!("{target}"),
    })
}

#[test]
fn a_login_again_replaces_the_session_on_the_same_device() {
    let homeserver = homeserver_of("@alice:example.org");
    let run = Run::with(folder_with(&stored(&homeserver.url, PAST)), &["--again"], "wonderland\n");
    run.says(LOGGED_IN);
    let body = homeserver.received().pop().unwrap().body;
    assert_eq!((&body["device_id"], &body["identifier"]["user"]), (&json!("DEVICEID"), &json!("@alice:example.org")));
    let expected = json!({
        "access_token": "access-9", "user_id": "@alice:example.org", "device_id": "DEVICEID",
        "base_client_url": format!("{}/_matrix/client/", homeserver.url), "next_batch": "s1",
    });
    assert_eq!(run.file("data.json"), expected);
    assert_eq!(run.files(), ["data.json", "data.json.lock"]);
}

#[test]
fn a_login_again_keeps_a_session_that_was_stored_meanwhile() {
    let folder = folder();
    let path = folder.path().join("data.json");
    let other = json!({"access_token": "access-2", "user_id": "@alice:example.org", "device_id": "DEVICEID"});
    let (written, meanwhile) = (path.clone(), other.to_string());
    let homeserver = Loopback::start(move |received| {
        if !received.target.starts_with("POST") {
            return served(200, OFFERS);
        }
        fs::write(&written, &meanwhile).unwrap();
        served(200, r#"{"user_id":"@alice:example.org","device_id":"DEVICEID","access_token":"access-9"}"#)
    });
    fs::write(path, stored(&homeserver.url, PAST).to_string()).unwrap();
    let run = Run::with(folder, &["--again"], "wonderland\n");
    run.says(LOGGED_IN);
    assert_eq!(run.file("data.json"), other);
    assert_eq!(run.file("data.json.DEVICEID")["access_token"], "access-9");
}

#[test]
fn a_login_again_on_another_device_says_what_that_costs() {
    let homeserver = homeserver_of("@alice:example.org");
    let mut before = stored(&homeserver.url, PAST);
    before["device_id"] = json!("BEFORE");
    let run = Run::with(folder_with(&before), &["--again"], "wonderland\n");
    run.says(LOGGED_IN);
    let said = "the homeserver granted the device ID DEVICEID, not BEFORE as requested\nencryption keys belong to a \
                device: do not use the keys of BEFORE for DEVICEID\n";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert_eq!(run.file("data.json")["device_id"], "DEVICEID");
}

#[test]
fn a_login_again_as_another_user_leaves_the_session() {
    let homeserver = homeserver_of("@bob:example.org");
    let before = stored(&homeserver.url, PAST);
    let run = Run::with(folder_with(&before), &["--again"], "wonderland\n");
    run.fails(
        "Error: logged in as @bob:example.org, not as @alice:example.org; its device DEVICEID is logged out again",
    );
    assert_eq!(homeserver.received().pop().unwrap().token.as_deref(), Some("access-9"));
    assert_eq!(run.file("data.json"), before);
}

// The homeserver of a session.

#[test]
fn the_homeserver_can_be_given_if_the_session_has_none() {
    let tokens = Tokens::expired();
    let homeserver = Loopback::start({
        let mut tokens = tokens;
        move |received| {
            if received.target.ends_with("/versions") { served(200, VERSIONS) } else { tokens.responds(received) }
        }
    });
    let mut before = stored(&homeserver.url, PAST);
    before.as_object_mut().unwrap().remove("base_client_url");
    let run = Run::with(folder_with(&before), &["--whoami", "-H", &homeserver.url], "");
    run.says(LOGGED_IN);
    assert_eq!(run.file("data.json")["base_client_url"], format!("{}/_matrix/client/", homeserver.url));
}

#[test]
fn the_homeserver_is_discovered_if_the_session_has_none() {
    let before = json!({"access_token": "t", "user_id": "@alice:127.0.0.1:9", "device_id": "D"});
    let run = Run::with(folder_with(&before), &["--whoami"], "");
    assert!(run.stderr.starts_with("GET https://127.0.0.1/.well-known/matrix/client: "), "{}", run.stderr);
    run.fails(
        "Error: No Matrix server found: connection refused by 127.0.0.1:443; check the server name and the network, \
         or give the URL of the homeserver with -H",
    );
}

#[test]
fn a_token_is_not_sent_to_another_homeserver() {
    let other = Loopback::start(|_| served(200, VERSIONS));
    let before = stored("https://hs.example.org", FUTURE);
    for option in ["--whoami", "--refresh", "--logout", "--account", "--again"] {
        let run = Run::with(folder_with(&before), &[option, "-H", &other.url], "");
        run.fails("Error: the session in data.json belongs to https://hs.example.org: leave -H out");
    }
    assert_eq!(other.received(), []);
}

#[test]
fn options_that_exclude_each_other_are_named() {
    for arguments in
        [&["--whoami", "--logout"][..], &["--refresh", "alice"], &["--logout", "--demo"], &["--again", "alice"]]
    {
        let run = Run::with(folder(), arguments, "");
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(run.stderr.starts_with("error: the argument"), "{}", run.stderr);
    }
}
