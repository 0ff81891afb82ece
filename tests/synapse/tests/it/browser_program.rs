//! The browser program as a process: single sign-on at one homeserver, OAuth 2.0 at another.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::Duration,
};

use matrix_login::Session;
use matrix_login_synapse::{ask, servers, url};
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use crate::browser::{Browser, Chromium, authorize};

/// A running program.
pub struct Program {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Program {
    pub fn start(variable: &str, folder: &TempDir, arguments: &[&str]) -> Self {
        let mut command = Command::new(env::var(variable).expect("run.py builds the program"));
        command.args(arguments).current_dir(folder.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// The browser program, and the URL that it tells the user to open.
    fn begin(folder: &TempDir, arguments: &[&str]) -> (Self, Url) {
        let mut program = Self::start("BROWSER_PROGRAM", folder, arguments);
        let said = program.says("log in at ");
        let url = said.lines().last().unwrap().trim_start_matches("log in at ").parse().unwrap();
        (program, url)
    }

    /// Waits for a line that begins with this text. Returns everything that the program has said.
    pub fn says(&mut self, beginning: &str) -> String {
        let mut said = String::new();
        while !said.lines().last().is_some_and(|line| line.starts_with(beginning)) {
            assert_ne!(self.stderr.read_line(&mut said).unwrap(), 0, "the program ended too early: {said}");
        }
        said
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end. Returns the exit status and both outputs.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let (mut shown, mut stdout) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut shown).unwrap();
        (self.child.wait().unwrap().code(), stdout, shown)
    }

    pub fn logs_in(self, user: &str) {
        let (status, stdout, shown) = self.end();
        assert_eq!(status, Some(0), "{shown}");
        assert!(stdout.starts_with(&format!("logged in as @{user}:example.test with device ID ")), "{stdout}");
    }
}

/// Runs the login program with the stored session.
pub fn login(folder: &TempDir, option: &str) -> (Option<i32>, String, String) {
    Program::start("LOGIN_PROGRAM", folder, &[option]).end()
}

pub fn session(folder: &TempDir) -> Session {
    Session::from_json(fs::read(folder.path().join("data.json")).unwrap()).unwrap().unwrap()
}

#[test]
fn single_sign_on_works_with_the_buttons_of_chromium() {
    let folder = tempfile::tempdir().unwrap();
    let (program, url) = Program::begin(&folder, &["-H", url("sso"), "--provider", "oidc-op", "--no-browser"]);
    let chromium = Chromium::start();
    chromium.open(&url);
    chromium.log_in("alice");
    chromium.sees("You can close this window.");
    program.logs_in("alice");
}

#[test]
fn single_sign_on_works_in_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["-H", url("sso"), "--provider", "oidc-op", "--suspend", "login.json"];
    let (program, url) = Program::begin(&folder, &arguments);
    let (_, redirect_url) = url.query_pairs().find(|(name, _)| name == "redirectUrl").unwrap();
    let callback = Browser::new(&redirect_url).log_in(&url, "alice").callback();
    assert_eq!(program.end().0, Some(0));
    let resumed = ["--resume", "login.json", callback.as_str()];
    Program::start("BROWSER_PROGRAM", &folder, &resumed).logs_in("alice");
}

#[test]
fn oauth_works_with_the_buttons_of_chromium() {
    let folder = tempfile::tempdir().unwrap();
    let (program, authorization_url) = Program::begin(&folder, &["-H", url("oauth"), "--no-browser"]);
    let chromium = Chromium::start();
    chromium.open(&authorization_url);
    chromium.log_in("alice");
    chromium.sees("You can close this window.");
    program.logs_in("alice");
    let granted = session(&folder);
    assert!(granted.is_oauth());
    assert_eq!(ask(&granted, "/_matrix/client/v3/account/whoami").0, 200);
    let who = format!("@alice:example.test with device ID {}", granted.device_id());

    // The access token expires.
    thread::sleep(Duration::from_millis(6200));
    let (status, stdout, stderr) = login(&folder, "--whoami");
    assert_eq!((status, stdout), (Some(0), format!("logged in as {who}\n")), "{stderr}");
    assert!(stderr.contains("/token: 200 OK"), "{stderr}");
    assert!(!session(&folder).has_token_of(&granted));

    ends_for_good(&folder, &who);
}

/// Logs out of a session that an OAuth 2.0 server has granted.
pub fn ends_for_good(folder: &TempDir, who: &str) {
    let path = folder.path().join("data.json");
    let stored = fs::read(&path).unwrap();
    let (status, stdout, stderr) = login(folder, "--logout");
    assert_eq!((status, stdout), (Some(0), format!("{who} is logged out\n")), "{stderr}");
    assert!(!stderr.contains("/_matrix/client/v3/logout"), "{stderr}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
    // A backup is put back: its refresh token is revoked.
    fs::write(&path, stored).unwrap();
    let (status, _, stderr) = login(folder, "--refresh");
    assert_eq!(status, Some(1));
    assert!(stderr.contains("invalid_grant"), "{stderr}");
}

#[test]
fn a_refusal_in_chromium_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (program, authorization_url) = Program::begin(&folder, &["-H", url("oauth"), "--no-browser"]);
    let chromium = Chromium::start();
    chromium.open(&authorization_url);
    chromium.refuse();
    chromium.sees("You are not logged in.");
    let (status, stdout, stderr) = program.end();
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    let last = stderr.lines().last().unwrap();
    assert!(
        last.starts_with("Error: the server refused (access_denied)") && last.ends_with("; begin again"),
        "{stderr}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn oauth_works_in_two_processes_and_again_on_the_same_device() {
    let folder = tempfile::tempdir().unwrap();
    let (program, authorization_url) = Program::begin(&folder, &["-H", url("oauth"), "--suspend", "login.json"]);
    let callback = authorize(&authorization_url, "bob");
    assert_eq!(program.end().0, Some(0));
    let resumed = ["--resume", "login.json", callback.as_str()];
    Program::start("BROWSER_PROGRAM", &folder, &resumed).logs_in("bob");
    let first = session(&folder);

    let (program, authorization_url) = Program::begin(&folder, &["--again", "--no-browser"]);
    let callback = authorize(&authorization_url, "bob");
    ureq::get(callback.as_str()).call().unwrap();
    program.logs_in("bob");
    let second = session(&folder);
    assert_eq!(second.device_id(), first.device_id());
    assert!(!second.has_token_of(&first));
    assert_eq!(ask(&second, "/_matrix/client/v3/account/whoami").0, 200);
}

#[test]
fn the_login_program_names_the_browser_program_in_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = Program::start("LOGIN_PROGRAM", &folder, &["-H", url("oauth"), "alice"]).end();
    assert_eq!(status, Some(1));
    assert!(stderr.ends_with("without --legacy: cargo run --example browser -- SERVER\n"), "{stderr}");
}

#[test]
fn the_account_page_is_at_the_provider_for_either_api() {
    let folder = tempfile::tempdir().unwrap();
    let (program, authorization_url) = Program::begin(&folder, &["-H", url("oauth"), "--suspend", "login.json"]);
    let callback = authorize(&authorization_url, "alice");
    assert_eq!(program.end().0, Some(0));
    let resumed = ["--resume", "login.json", callback.as_str()];
    Program::start("BROWSER_PROGRAM", &folder, &resumed).logs_in("alice");

    let path = folder.path().join("data.json");
    let granted = session(&folder);
    let provider = servers()["provider"].as_str().unwrap();
    let host = provider.trim_start_matches("http://");
    let device = format!("{provider}/account?action=org.matrix.device_delete&device_id={}", granted.device_id());
    let list = format!("{provider}/account?action=org.matrix.devices_list");
    // This homeserver grants no session of the legacy API. A session from the time before it had the provider looks
    // like this.
    let mut legacy: Value = serde_json::from_str(&granted.to_json()).unwrap();
    legacy.as_object_mut().unwrap().remove("oauth");
    for stored in [granted.to_json(), legacy.to_string()] {
        fs::write(&path, &stored).unwrap();
        for (action, page) in [
            (&[][..], format!("{provider}/account")),
            (&["devices_list"], list.clone()),
            (&["org.matrix.sessions_list"], list.clone()),
            (&["device_delete"], device.clone()),
        ] {
            let arguments = [&["--account"], action].concat();
            let (status, stdout, stderr) = Program::start("LOGIN_PROGRAM", &folder, &arguments).end();
            assert_eq!((status, stdout), (Some(0), format!("{page}\n")), "{stderr}");
            assert!(stderr.contains(&format!("you manage your account at {host} for the homeserver ")), "{stderr}");
        }
        let (status, _, stderr) = Program::start("LOGIN_PROGRAM", &folder, &["--account", "profile"]).end();
        let line = "Error: the account page does not offer the action profile; it offers org.matrix.devices_list, \
                    org.matrix.device_delete";
        assert_eq!((status, stderr.lines().last()), (Some(1), Some(line)));
        assert_eq!(fs::read_to_string(&path).unwrap(), stored);
    }
}
