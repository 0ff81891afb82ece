//! The login program with a code, which Chromium enters or refuses.

use std::{fs, path::Path, thread, time::Duration};

use matrix_login_synapse::{ask, send, url};
use tempfile::TempDir;

use crate::{
    browser::Chromium,
    browser_program::{Program, ends_for_good, login, session},
    support::{programs, terminal::watch},
};

const WAITING: &str = "waiting until the code is entered";

/// What the program shows: the address of a page, and the code to enter there.
struct Shown {
    page: String,
    code: String,
}

impl Shown {
    /// Reads the address and the code from an output.
    fn read(output: &str) -> Self {
        let after = |text| {
            let (_, rest) = output.split_once(text).unwrap_or_else(|| panic!("no {text:?} in {output}"));
            rest.lines().nth(1).unwrap().trim().to_owned()
        };
        Self { page: after("open in a browser on any device"), code: after("and enter the code") }
    }

    fn enter(&self, chromium: &Chromium) {
        chromium.open(&self.page.parse().unwrap());
        chromium.enter(&self.code);
    }
}

/// Starts the program, until it waits for the user.
fn begin(folder: &TempDir, arguments: &[&str]) -> (Program, Shown) {
    let mut program = Program::start("LOGIN_PROGRAM", folder, arguments);
    let shown = Shown::read(&program.says(WAITING));
    (program, shown)
}

#[test]
fn a_code_that_is_confirmed_in_chromium_leads_to_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let (program, shown) = begin(&folder, &["--device", "-H", url("oauth")]);
    let chromium = Chromium::start();
    shown.enter(&chromium);
    chromium.confirm("alice");
    program.logs_in("alice");
    let granted = session(&folder);
    assert!(granted.is_oauth());
    assert_eq!(ask(&granted, "/_matrix/client/v3/sync?timeout=0").0, 200);
    let who = format!("@alice:example.test with device ID {}", granted.device_id());
    let line = format!("logged in as {who}\n");

    // The access token expires.
    thread::sleep(Duration::from_millis(6_200));
    let (status, stdout, stderr) = login(&folder, "--whoami");
    assert_eq!((status, stdout), (Some(0), line.clone()), "{stderr}");
    assert!(stderr.contains("/token: 200 OK"), "{stderr}");
    let refreshed = session(&folder);
    assert!(!refreshed.has_token_of(&granted));
    let (status, stdout, stderr) = login(&folder, "--refresh");
    assert_eq!((status, stdout), (Some(0), line), "{stderr}");
    assert!(!session(&folder).has_token_of(&refreshed));

    ends_for_good(&folder, &who);
}

#[test]
fn a_session_that_was_revoked_begins_again_with_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let chromium = Chromium::start();
    let (program, shown) = begin(&folder, &["--device", url("oauth")]);
    shown.enter(&chromium);
    chromium.confirm("bob");
    program.logs_in("bob");
    let first = session(&folder);
    assert_eq!(send(first.logout_request().unwrap()).unwrap().status(), 200);

    let (program, shown) = begin(&folder, &["--again", "--device"]);
    shown.enter(&chromium);
    // The browser knows its user by now.
    chromium.agree();
    program.logs_in("bob");
    let second = session(&folder);
    assert_eq!(second.device_id(), first.device_id());
    assert!(!second.has_token_of(&first));
    assert_eq!(ask(&second, "/_matrix/client/v3/account/whoami").0, 200);
}

#[test]
fn a_code_that_is_refused_in_chromium_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (program, shown) = begin(&folder, &["--device", "-H", url("oauth")]);
    let chromium = Chromium::start();
    shown.enter(&chromium);
    chromium.abort();
    let (status, stdout, stderr) = program.end();
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    let line = "Error: the login was denied, and you are not logged in: the server refused (status 400, \
                access_denied): End-User aborted interaction; begin again";
    assert_eq!(stderr.lines().last(), Some(line));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_interrupted_program_leaves_no_device_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (program, shown) = begin(&folder, &["--device", "-H", url("oauth")]);
    programs::signal("INT", &program.id().to_string());
    let (status, stdout, stderr) = program.end();
    assert_eq!((status, stdout.as_str()), (Some(130), ""));
    assert_eq!(stderr.lines().last(), Some("you are not logged in: do not enter the code"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // The provider does not know about the interrupt. Carol has no other login.
    let chromium = Chromium::start();
    shown.enter(&chromium);
    chromium.confirm("carol");
    let (program, shown) = begin(&folder, &["--device", "-H", url("oauth")]);
    shown.enter(&chromium);
    chromium.agree();
    program.logs_in("carol");
    let (status, listed) = ask(&session(&folder), "/_matrix/client/v3/devices");
    assert_eq!((status, listed["devices"].as_array().unwrap().len()), (200, 1), "{listed}");
}

#[test]
fn without_a_browser_the_program_offers_a_code() {
    const GET: &str = "Get a code to enter there? [Y/n] ";
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::var("LOGIN_PROGRAM").unwrap();
    let arguments =
        format!("-u DISPLAY -u WAYLAND_DISPLAY -u SSH_CONNECTION -u SSH_TTY {program} -H {} alice", url("oauth"));
    let shown = watch(Path::new("env"), &folder, &arguments, &[GET, WAITING], |number, shown| {
        if number == 0 {
            return "\n".to_owned();
        }
        let chromium = Chromium::start();
        Shown::read(shown).enter(&chromium);
        chromium.confirm("alice");
        String::new()
    });
    let line = format!("logged in as @alice:example.test with device ID {}", session(&folder).device_id());
    assert!(shown.contains(&line) && shown.contains("status 0"), "{shown}");
    assert!(
        shown.contains("or scan this picture, which contains the address and the code:") && !shown.contains("Password"),
        "{shown}"
    );
}
