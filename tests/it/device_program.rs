//! The login program with a code, run as a process: what it shows, how it waits, and how it ends. The shortest time
//! between two polls is a second, so these tests wait.

use std::{fs, sync::mpsc};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    oauth_programs::{LOGGED_IN, WHOAMI, last_line, metadata, start_homeserver},
    support::{
        browsing::Running,
        loopback::{self, Loopback, NO_RESPONSE, Received, Served, served},
        programs,
        run::{Run, folder, program},
        scenario::{OFFERS, PENDING},
    },
};

const WAITING: &str = "waiting until the code is entered";
const NOT_NOW: &str = "the server does not say whether the code was entered: ";
const ENDED: &str = "Error: the code has expired, and you are not logged in: begin again for a new code";
const TOKENS: &str =
    r#"{"access_token":"access-1","refresh_token":"refresh-1","token_type":"Bearer","expires_in":300}"#;

/// A homeserver, and the OAuth 2.0 server that it names.
struct Servers {
    homeserver: Loopback,
    provider: Loopback,
}

impl Servers {
    /// The polls get these responses in turn.
    fn start(polls: &[Served]) -> Self {
        Self::with(polls, |_, _| {}, |_| None)
    }

    /// The same with other metadata or another code. The last argument gives the homeserver other responses.
    fn with(
        polls: &[Served],
        change: fn(&mut Value, &mut Value),
        homeserver: impl FnMut(&Received) -> Option<Served> + Send + 'static,
    ) -> Self {
        let mut polls: Vec<Served> = polls.iter().rev().cloned().collect();
        let provider = Loopback::start(move |received| match received.target.as_str() {
            "POST /register" => served(201, r#"{"client_id":"client-1"}"#),
            "POST /device" => {
                let mut code = json!({
                    "device_code": "dev1ce-c0de", "user_code": "WDJB-\u{1b}MJHT",
                    "verification_uri": "http://127.0.0.1:9/link",
                    "verification_uri_complete": "http://127.0.0.1:9/link?code=WDJB-MJHT",
                    "expires_in": 1200, "interval": 1,
                });
                change(&mut json!({}), &mut code);
                served(200, code.to_string())
            }
            "POST /token" => polls.pop().expect("no further poll is expected"),
            _ => served(404, "<html>"),
        });
        let mut metadata = metadata(&provider.url);
        metadata["device_authorization_endpoint"] = format!("{}/device", provider.url).into();
        let grants = json!(["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]);
        metadata["grant_types_supported"] = grants;
        change(&mut metadata, &mut json!({}));
        Self { homeserver: start_homeserver(metadata, homeserver), provider }
    }

    fn run(&self) -> Run {
        Run::with(folder(), &["--device", &self.homeserver.url], "")
    }

    fn polls(&self) -> usize {
        self.provider.targets().iter().filter(|target| *target == "POST /token").count()
    }

    fn stored(&self) -> Value {
        let url = &self.provider.url;
        json!({
            "access_token": "access-0", "refresh_token": "refresh-0", "user_id": "@alice:example.org",
            "device_id": "DEVICEID01", "base_client_url": format!("{}/_matrix/client/", self.homeserver.url),
            "oauth": {"client_id": "client-1", "issuer": url, "token_endpoint": format!("{url}/token"),
                "revocation_endpoint": format!("{url}/revoke")},
        })
    }
}

fn pending() -> Served {
    served(403, PENDING)
}

fn tokens() -> Served {
    served(200, TOKENS)
}

fn error(status: u16, code: &str) -> Served {
    served(status, json!({ "error": code, "error_description": "In its\nwords" }).to_string())
}

fn count(run: &Run, text: &str) -> usize {
    run.stderr.matches(text).count()
}

fn folder_with(stored: &Value) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("data.json"), stored.to_string()).unwrap();
    folder
}

#[test]
fn the_page_and_the_code_are_shown_once_and_the_login_is_stored() {
    let servers = Servers::start(&[pending(), tokens()]);
    let run = servers.run();
    run.says(LOGGED_IN);
    let host = |url: &str| url.trim_start_matches("http://").to_owned();
    let (provider, homeserver) = (host(&servers.provider.url), host(&servers.homeserver.url));
    // The host is shown before any request goes to it, and the homeserver is shown next to the page.
    let (before, after) = run.stderr.split_once("POST").unwrap();
    assert!(before.contains(&format!("you log in at {provider} for the homeserver {homeserver}\ngo on only if")));
    let shown = format!(
        "to log in to http://{homeserver}, open in a browser on any device\n    http://127.0.0.1:9/link\n\
         and enter the code\n    WDJB- MJHT\nbut only if that page belongs to the homeserver\n\
         {WAITING}: 20m left\nGET http://{homeserver}"
    );
    assert!(after.contains(&shown), "{}", run.stderr);
    assert_eq!((count(&run, "/link"), count(&run, "WDJB"), count(&run, WAITING)), (1, 1, 1), "{}", run.stderr);
    for secret in ["dev1ce-c0de", "access-1", "refresh-1", "\u{1b}"] {
        assert!(!run.stderr.contains(secret), "{}", run.stderr);
    }
    assert_eq!((&run.file("data.json")["access_token"], servers.polls()), (&json!("access-1"), 2));
    Run::with(run.folder, &["--whoami"], "").says(LOGGED_IN);
}

// A server that fails for a moment.

#[test]
fn polls_that_fail_do_not_end_it_and_are_reported_once() {
    let lost = (NO_RESPONSE, vec![], String::new());
    let limited = (429, vec![("Retry-After", "1".to_owned())], String::new());
    let page = served(200, "<!DOCTYPE html>log in to this network");
    let failed = error(503, "temporarily_unavailable");
    let servers = Servers::start(&[lost, served(502, "<html>"), limited, page, failed, tokens()]);
    let run = servers.run();
    run.says(LOGGED_IN);
    assert_eq!((count(&run, NOT_NOW), count(&run, WAITING), servers.polls()), (1, 1, 6), "{}", run.stderr);
    assert!(run.stderr.contains("is not valid HTTP; still asking\n"), "{}", run.stderr);
}

#[test]
fn a_code_without_an_end_is_given_up_after_some_failures() {
    let failed = || served(503, "");
    let servers = Servers::with(
        &[failed(), failed(), pending(), failed(), failed(), failed(), failed(), failed()],
        |_, code| code["expires_in"] = Value::Null,
        |_| None,
    );
    let run = servers.run();
    assert!(last_line(&run.stderr).starts_with("Error: the response to POST token_endpoint"), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("{WAITING}\n")), "{}", run.stderr);
    assert_eq!((run.status, servers.polls(), run.files()), (Some(1), 8, vec![]));
}

#[test]
fn tokens_are_kept_when_the_homeserver_fails_after_the_grant() {
    let mut failures = 1;
    let servers = Servers::with(
        &[tokens()],
        |_, _| {},
        move |received| {
            let fails = received.target == WHOAMI && failures > 0;
            failures -= u32::from(fails);
            fails.then(|| served(502, "<html>"))
        },
    );
    let run = servers.run();
    run.says(LOGGED_IN);
    assert_eq!((servers.polls(), count(&run, "asking again in 1s")), (1, 1), "{}", run.stderr);
}

// How it ends without a login.

#[test]
fn a_login_that_is_denied_says_so() {
    let servers = Servers::start(&[error(403, "access_denied")]);
    let run = servers.run();
    run.fails(
        "Error: the login was denied, and you are not logged in: the server refused (status 403, access_denied): In \
         its words; begin again",
    );
    assert_eq!((run.files(), servers.polls()), (vec![], 1));
}

#[test]
fn a_code_that_the_server_has_ended_says_so() {
    Servers::start(&[error(400, "expired_token")]).run().fails(ENDED);
}

#[test]
fn other_refusals_end_it() {
    let servers = Servers::start(&[error(400, "invalid_grant")]);
    servers.run().fails("Error: the server refused (status 400, invalid_grant): In its words; begin again");
    assert_eq!(servers.polls(), 1);
}

#[test]
fn a_code_that_the_clock_has_ended_is_not_polled_for() {
    // The next poll would come seconds after the end.
    let servers = Servers::with(&[error(400, "slow_down")], |_, code| code["expires_in"] = json!(2), |_| None);
    let run = servers.run();
    run.fails(ENDED);
    assert_eq!((servers.polls(), run.files()), (1, vec![]));
}

#[test]
fn a_rate_limit_is_waited_out_until_the_code_ends() {
    let limited = (429, vec![("Retry-After", "600".to_owned())], String::new());
    let servers = Servers::with(&[limited], |_, code| code["expires_in"] = json!(2), |_| None);
    let run = servers.run();
    run.fails(ENDED);
    assert!(run.stderr.contains(&format!("{NOT_NOW}it limits the rate; still asking\n")), "{}", run.stderr);
}

#[test]
fn a_server_without_the_grant_is_reported_before_a_request() {
    let offers = |member| {
        format!(
            "Error: the homeserver does not offer urn:ietf:params:oauth:grant-type:device_code ({member}); it offers \
             m.login.password"
        )
    };
    let servers = Servers::with(&[], |metadata, _| metadata["grant_types_supported"] = Value::Null, |_| None);
    let run = servers.run();
    let line = offers("`grant_types_supported` does not contain the grant type of RFC 8628");
    assert!(last_line(&run.stderr).starts_with(&line), "{}", run.stderr);
    assert!(!run.stderr.contains("you log in at"), "{}", run.stderr);
    assert_eq!(servers.provider.targets(), Vec::<String>::new());

    let legacy = Loopback::start(|received| loopback::good(OFFERS, received));
    let run = Run::with(folder(), &["--device", "-H", &legacy.url], "");
    assert!(last_line(&run.stderr).starts_with(&offers("it has no OAuth 2.0 API")), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_signal_while_it_waits_says_that_nobody_is_logged_in() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let servers = Servers::with(&[], |_, code| code["interval"] = json!(600), |_| None);
        let folder = folder();
        let mut running =
            Running::of(programs::command(program()), folder.path(), &["--device", &servers.homeserver.url]);
        running.line_with(WAITING);
        programs::signal(signal, &running.child.id().to_string());
        let (ended, stdout, stderr) = running.end();
        assert_eq!((ended, stdout.as_str()), (Some(status), ""));
        assert_eq!(last_line(&stderr), "you are not logged in: do not enter the code");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_after_the_grant_says_that_a_login_remains() {
    let (asked, is_asked) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let servers = Servers::with(
        &[tokens()],
        |_, _| {},
        move |received| {
            if received.target == WHOAMI {
                asked.send(()).unwrap();
                // The response waits until the program has ended.
                let _ = is_released.recv();
            }
            None
        },
    );
    let folder = folder();
    let running = Running::of(programs::command(program()), folder.path(), &["--device", &servers.homeserver.url]);
    is_asked.recv().unwrap();
    programs::signal("INT", &running.child.id().to_string());
    let (ended, stdout, stderr) = running.end();
    drop(release);
    assert_eq!((ended, stdout.as_str()), (Some(130), ""));
    let said = "a login was granted, but not stored: end it on the account page of the homeserver";
    assert_eq!(last_line(&stderr), said);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

// The demo.

#[test]
fn the_demo_of_a_code_shows_a_login_and_what_follows() {
    let mut command = programs::command(program());
    command.args(["--demo", "--device", "--no-browser"]).env("CARGO", "cargo");
    let run = Run::of(folder(), command, "");
    // Every part first says what it shows.
    run.is_a_demo(&[
        "\n1. Log in with a code",
        "\nand enter the code\n",
        "the demo enters the code and presses the button, as a user would\n",
        "/link: 200 OK\n",
        WAITING,
        "/_matrix/client/v3/account/whoami: 200 OK\n",
        "\n2. Ask the homeserver who is logged in",
        "\n3. Refresh the session",
        "/oauth/token: 200 OK\n",
        "\n4. Log out",
        "/oauth/revoke: 200 OK\n",
        "\nNow log in to your own homeserver:\n    cargo run --example login -- --device example.org\n",
    ]);
    assert_eq!(run.files(), Vec::<String>::new());
}

// What else the command line can say.

#[test]
fn an_ended_session_begins_again_on_its_device() {
    let servers = Servers::start(&[tokens()]);
    let run = Run::with(folder_with(&servers.stored()), &["--again", "--device"], "");
    run.says(LOGGED_IN);
    let asked = servers.provider.received().into_iter().find(|received| received.target == "POST /device").unwrap();
    let scope = "urn:matrix:client:api:* urn:matrix:client:device:DEVICEID01";
    assert_eq!(asked.body, json!({"client_id": "client-1", "scope": scope}));
    assert_eq!(run.file("data.json")["access_token"], "access-1");
}

#[test]
fn the_server_can_be_named_in_several_ways() {
    // Nothing listens on the default port of loopback.
    for (named, input) in [("@alice:127.0.0.1:9", ""), ("127.0.0.1:9", ""), ("", "127.0.0.1:9\n")] {
        let arguments = ["--device", named];
        let run = Run::with(folder(), &arguments[..arguments.len() - usize::from(named.is_empty())], input);
        assert!(run.stderr.starts_with("GET https://127.0.0.1/.well-known/matrix/client: "), "{}", run.stderr);
    }
    for senseless in ["--legacy", "--email", "--phone=GB", "--whoami", "--refresh", "--logout", "--account"] {
        let run = Run::with(folder(), &["--device", "-H", "http://127.0.0.1:9", senseless], "");
        assert_eq!(run.status, Some(2), "{senseless}: {}", run.stderr);
    }
    let run = Run::with(folder(), &["--device", "-H", "http://127.0.0.1:9", "@bob:example.org"], "");
    assert_eq!((run.status, run.stderr.lines().count()), (Some(1), 1), "{}", run.stderr);
    assert!(run.stderr.starts_with("Error: give the server as USER, or its URL with -H: "), "{}", run.stderr);
}

#[cfg(target_os = "linux")]
mod at_a_terminal {
    use std::path::Path;

    use super::*;
    use crate::support::{
        programs::build,
        terminal::{at_a_terminal, watch},
    };

    const GET: &str = "Get a code to enter there? [Y/n] ";
    const OPEN: &str = "Open it in a browser? [Y/n] ";
    const NO_SCREEN: &str = "-u DISPLAY -u WAYLAND_DISPLAY -u SSH_CONNECTION -u SSH_TTY";

    /// The program in another environment.
    fn within(environment: &str, program: &Path, arguments: &str) -> String {
        format!("{environment} {} {arguments}", program.display())
    }

    fn log_in(environment: &str, servers: &Servers, more: &str, typed: &[(&str, &str)]) -> String {
        let arguments = format!("-H {} {more}", servers.homeserver.url);
        at_a_terminal(Path::new("env"), &folder(), &within(environment, program(), &arguments), typed)
    }

    #[test]
    fn the_code_is_drawn_and_one_line_shows_how_long_it_lives() {
        let servers = Servers::start(&[pending(), tokens()]);
        let shown = log_in("", &servers, "--device", &[(GET, "\n")]);
        assert!(shown.contains(LOGGED_IN) && shown.contains("status 0"), "{shown}");
        let (before, drawn) = shown
            .split_once(
                "or scan this picture, which contains the address and the \
                                                code:",
            )
            .unwrap();
        assert!(before.contains("WDJB- MJHT") && !shown.contains("WDJB-MJHT"), "{shown}");
        let lines = drawn.lines().filter(|line| line.starts_with("\u{1b}[40;97m")).count();
        // The code has 29 rows of squares and a margin of four rows above and below. A line of text shows two rows.
        assert_eq!(lines, (29 + 8_usize).div_ceil(2), "{shown}");
        let line = drawn.lines().find(|line| line.contains(WAITING)).unwrap();
        let rewritten: Vec<&str> = line.split('\r').filter(|text| text.contains(WAITING)).collect();
        assert!(rewritten.len() > 1 && rewritten.iter().all(|text| text.len() == 60), "{line:?}");
    }

    #[test]
    fn a_picture_that_leads_elsewhere_is_not_drawn() {
        let elsewhere = |_: &mut Value, code: &mut Value| {
            code["verification_uri_complete"] = json!("http://127.0.0.1:8/link?code=WDJB-MJHT");
        };
        let servers = Servers::with(&[tokens()], elsewhere, |_| None);
        let shown = log_in("", &servers, "--device", &[(GET, "\n")]);
        assert!(shown.contains(LOGGED_IN) && !shown.contains("scan"), "{shown}");
    }

    #[test]
    fn nothing_is_registered_before_the_user_agrees() {
        let servers = Servers::start(&[]);
        let shown = log_in("", &servers, "--device", &[(GET, "n\n")]);
        assert!(shown.contains("Error: no code was requested, and you are not logged in"), "{shown}");
        assert_eq!(servers.provider.targets(), Vec::<String>::new());
    }

    #[test]
    fn an_interrupt_finishes_the_line() {
        let servers = Servers::with(&[], |_, code| code["interval"] = json!(600), |_| None);
        let arguments = format!("--device {}", servers.homeserver.url);
        let shown = watch(program(), &folder(), &arguments, &[GET, "left"], |number, _| {
            if number == 0 { "\n".to_owned() } else { "\u{3}".to_owned() }
        });
        let said = "\r\nyou are not logged in: do not enter the code\r\nstatus 130";
        assert!(shown.contains(said), "{shown:?}");
    }

    #[test]
    fn without_a_browser_a_code_is_offered_instead() {
        for environment in [NO_SCREEN, "DISPLAY=:0 SSH_TTY=/dev/pts/0", "DISPLAY=:0 SSH_CONNECTION=x"] {
            let servers = Servers::start(&[tokens()]);
            let shown = log_in(environment, &servers, "alice", &[(GET, "\n")]);
            assert!(shown.contains(LOGGED_IN) && shown.contains("WDJB"), "{environment}: {shown}");
        }
        let servers = Servers::start(&[error(403, "access_denied")]);
        let shown = log_in(NO_SCREEN, &servers, "alice", &[(GET, "\n")]);
        assert!(shown.contains("Error: the login was denied") && !shown.contains("Password"), "{shown}");
        let servers = Servers::start(&[]);
        let shown = log_in(NO_SCREEN, &servers, "alice", &[(GET, "n\n"), ("Password for alice: ", "wonderland\n")]);
        assert!(shown.contains("logged in as @alice:example.org with device ID DEVICEID\r"), "{shown}");
    }

    #[test]
    fn with_a_browser_or_without_the_grant_nothing_changes() {
        let typed = [(OPEN, "n\n"), ("Password for alice: ", "wonderland\n")];
        let servers = Servers::start(&[]);
        let screens = ["DISPLAY", "WAYLAND_DISPLAY"].map(|name| format!("{NO_SCREEN} {name}=:0"));
        for environment in &screens {
            let shown = log_in(environment, &servers, "alice", &typed);
            assert!(shown.contains("status 0") && !shown.contains(GET), "{environment}: {shown}");
        }
        let shown = log_in(NO_SCREEN, &servers, "--no-browser alice", &typed);
        assert!(shown.contains("status 0") && !shown.contains(GET), "{shown}");
        let servers = Servers::with(&[], |metadata, _| metadata["grant_types_supported"] = Value::Null, |_| None);
        let shown = log_in(NO_SCREEN, &servers, "alice", &typed);
        assert!(shown.contains("status 0") && !shown.contains(GET), "{shown}");
        assert!(!servers.provider.targets().contains(&"POST /device".to_owned()));
    }

    #[test]
    fn without_a_browser_the_browser_program_names_the_option() {
        let hint = "there is no browser here: cargo run --example login -- --device SERVER shows a code";
        let with_screen = format!("{NO_SCREEN} DISPLAY=:0");
        for (environment, is_said) in [(NO_SCREEN, true), (with_screen.as_str(), false)] {
            let servers = Servers::start(&[]);
            let arguments = within(environment, &build("browser"), &format!("-H {}", servers.homeserver.url));
            let shown = at_a_terminal(Path::new("env"), &folder(), &arguments, &[(OPEN, "n\n")]);
            assert_eq!(shown.contains(hint), is_said, "{shown}");
        }
    }
}
