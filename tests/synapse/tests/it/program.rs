//! The login program as a process, against Synapse.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use matrix_login::Session;
use matrix_login_synapse::{ask, password, servers, url};
use tempfile::TempDir;

fn program(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var("LOGIN_PROGRAM").expect("run.py builds the program"));
    command.args(arguments).current_dir(folder.path());
    // Some tests name a proxy of their own.
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn with_password(mut child: Child, password: &str) -> Output {
    // Some programs end without reading the password.
    let _ = writeln!(child.stdin.take().unwrap(), "{password}");
    child.wait_with_output().unwrap()
}

fn run(folder: &TempDir, arguments: &[&str], password: &str) -> (Option<i32>, String, String) {
    let output = with_password(program(folder, arguments).spawn().unwrap(), password);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn log_in(folder: &TempDir, server: &str, user: &str) -> (Option<i32>, String, String) {
    run(folder, &["-H", url(server), user], password(user))
}

fn session(folder: &TempDir) -> Session {
    Session::from_json(fs::read(folder.path().join("data.json")).unwrap()).unwrap().unwrap()
}

#[test]
fn a_login_leaves_a_session_that_works_and_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let (status, stdout, stderr) = log_in(&folder, "full", "alice");
    let session = session(&folder);
    let line = format!("logged in as @alice:example.test with device ID {}", session.device_id());
    assert_eq!((status, stdout.lines().last()), (Some(0), Some(line.as_str())), "{stderr}");
    let (status, device) = ask(&session, &format!("/_matrix/client/v3/devices/{}", session.device_id()));
    assert_eq!((status, device["display_name"].as_str()), (200, Some("matrix-login")));

    let (status, _, stderr) = log_in(&folder, "full", "alice");
    assert_eq!(status, Some(1));
    assert!(stderr.starts_with("Error: already logged in as @alice:example.test in data.json"), "{stderr}");
}

#[test]
fn a_wrong_password_is_refused_in_synapses_words() {
    let folder = tempfile::tempdir().unwrap();
    let (status, stdout, stderr) = run(&folder, &["-H", url("full"), "@alice:example.test"], "not the password");
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    let line = "Error: the server refused (status 403, M_FORBIDDEN): Invalid username or password; check the user and \
                the password";
    assert_eq!(stderr.lines().last(), Some(line));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn passwords_that_are_switched_off_are_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = log_in(&folder, "no_passwords", "alice");
    let line = "Error: server does not support logging in with password; it offers m.login.application_service; log in \
                with a browser, without --legacy: cargo run --example browser -- SERVER";
    assert_eq!((status, stderr.lines().last()), (Some(1), Some(line)));
}

#[test]
fn a_server_that_is_stopped_midway_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(&folder, &["-H", url("mortal"), "alice"]).spawn().unwrap();
    // The login types have arrived, and the program waits for the password.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("/v3/login: 200 OK") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the program ended too early");
    }
    let process = servers()["mortal_process"].to_string();
    assert!(Command::new("kill").arg(process).status().unwrap().success());
    let address = url("mortal").trim_start_matches("http://");
    while TcpStream::connect(address).is_ok() {
        thread::yield_now();
    }
    let output = with_password(child, password("alice"));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let last = rest.lines().last().unwrap();
    assert!(last.starts_with("Error: ") && last.contains(address), "{rest}");
    assert!(last.ends_with("; check the network and try again"), "{rest}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A proxy that leads the names that end in `.test` to nginx, and all other names to their own addresses. The machine
/// need not be changed for it, because programs read their proxy from the environment.
fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || tunnel(client));
        }
    });
    format!("http://{address}")
}

fn tunnel(mut client: TcpStream) -> io::Result<()> {
    let mut head = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    while line.trim() != "" || line.is_empty() {
        line.clear();
        head.read_line(&mut line)?;
    }
    let target = request.split(' ').nth(1).unwrap_or_default();
    let nginx = format!("127.0.0.1:{}", servers()["nginx_tls"]);
    let mut server = TcpStream::connect(if target.ends_with(".test:443") { &nginx } else { target })?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut upward, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut upward, &mut to_server));
    io::copy(&mut server, &mut client).map(drop)
}

/// Exit status and standard error of a login with its own trust store. The verifier of the platform lets every program
/// name one.
fn discover(folder: &TempDir, user_id: &str) -> (Option<i32>, String) {
    let mut command = program(folder, &[user_id]);
    command.env("HTTPS_PROXY", proxy()).env("SSL_CERT_FILE", servers()["authority"].as_str().unwrap());
    let output = with_password(command.spawn().unwrap(), password("alice"));
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_server_of_a_user_id_is_discovered_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (status, stderr) = discover(&folder, "@alice:example.test");
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.starts_with("GET https://example.test/.well-known/matrix/client: 200 OK"), "{stderr}");
    assert_eq!(session(&folder).homeserver().unwrap().as_str(), "https://example.test");
}

#[test]
fn a_server_that_says_nothing_can_be_the_homeserver_itself() {
    let folder = tempfile::tempdir().unwrap();
    // Synapse knows its users by another server name, so it refuses.
    let (_, stderr) = discover(&folder, "@alice:direct.test");
    assert!(stderr.contains("trying https://direct.test"), "{stderr}");
    assert!(stderr.contains("POST https://direct.test/_matrix/client/v3/login: 403"), "{stderr}");
}

#[test]
fn a_server_that_is_not_a_homeserver_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (status, stderr) = discover(&folder, "@alice:absent.test");
    assert_eq!(status, Some(1), "{stderr}");
    let tried = "absent.test does not say where its homeserver is: trying https://absent.test";
    assert!(stderr.contains(tried), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(
        last.starts_with("Error: No Matrix server found: there is no homeserver at https://absent.test (status "),
        "{stderr}"
    );
}

#[test]
fn an_authority_that_is_not_trusted_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(&folder, &["@alice:example.test"]);
    let output = with_password(command.env("HTTPS_PROXY", proxy()).spawn().unwrap(), password("alice"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    let reason = "the certificate of example.test:443 is not trusted through the proxy ";
    assert!(last.starts_with(&format!("Error: No Matrix server found: {reason}")), "{stderr}");
}

/// Runs programs at once in one folder, and returns the outputs.
fn at_once(folder: &TempDir, arguments: &[&str], count: usize) -> Vec<Output> {
    let children: Vec<_> = (0..count).map(|_| program(folder, arguments).spawn().unwrap()).collect();
    children.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

#[test]
fn two_processes_refresh_one_file_at_once_and_stay_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = log_in(&folder, "full", "alice");
    assert_eq!(status, Some(0), "{stderr}");
    let device_id = session(&folder).device_id().to_owned();
    for round in 0..10 {
        let before = session(&folder);
        for output in at_once(&folder, &["--refresh"], 2) {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "round {round}: {stderr}");
        }
        let after = session(&folder);
        assert_ne!(after.access_token().expose(), before.access_token().expose());
        assert_eq!(after.device_id(), device_id);
        // The new tokens are used, so that the tokens before them are spent.
        assert_eq!(ask(&after, "/_matrix/client/v3/account/whoami").0, 200, "round {round}");
    }
}

#[test]
fn processes_that_find_an_expired_session_at_once_all_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = log_in(&folder, "full", "alice");
    assert_eq!(status, Some(0), "{stderr}");
    for _ in 0..3 {
        let path = folder.path().join("data.json");
        let mut stored: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        stored["access_token_valid_until"] = 1.into();
        fs::write(&path, stored.to_string()).unwrap();
        let outputs = at_once(&folder, &["--whoami"], 4);
        let said = outputs.iter().map(|output| String::from_utf8_lossy(&output.stderr));
        let refreshes: usize = said.map(|stderr| stderr.matches("/v3/refresh: 200").count()).sum();
        assert_eq!(refreshes, 1);
        assert!(outputs.iter().all(|output| output.status.success()));
    }
}

#[test]
fn a_session_expires_and_is_refreshed_shown_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = log_in(&folder, "short", "carol");
    assert_eq!(status, Some(0), "{stderr}");
    let stored = session(&folder);
    let line = format!("logged in as @carol:example.test with device ID {}\n", stored.device_id());
    thread::sleep(Duration::from_millis(3200));
    assert_eq!(ask(&stored, "/_matrix/client/v3/account/whoami").0, 401);
    let (status, stdout, stderr) = run(&folder, &["--whoami"], "");
    assert_eq!((status, stdout), (Some(0), line.clone()), "{stderr}");
    let (status, stdout, stderr) = run(&folder, &["--refresh"], "");
    assert_eq!((status, stdout), (Some(0), line), "{stderr}");
    assert!(stderr.ends_with("the access token is valid for 3s\n"), "{stderr}");

    thread::sleep(Duration::from_millis(3200));
    let (status, stdout, stderr) = run(&folder, &["--logout"], "");
    let line = format!("@carol:example.test with device ID {} is logged out\n", stored.device_id());
    assert_eq!((status, stdout), (Some(0), line), "{stderr}");
    assert_eq!(fs::read_to_string(folder.path().join("data.json")).unwrap(), "{}\n");
    let (status, stdout, _) = run(&folder, &["--logout"], "");
    assert_eq!((status, stdout.as_str()), (Some(0), "data.json contains no session\n"));
}

#[test]
fn a_session_without_valid_tokens_begins_again_on_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = log_in(&folder, "full", "bob");
    assert_eq!(status, Some(0), "{stderr}");
    let path = folder.path().join("data.json");
    let stored = fs::read_to_string(&path).unwrap();
    assert_eq!(run(&folder, &["--refresh"], "").0, Some(0));
    assert_eq!(run(&folder, &["--whoami"], "").0, Some(0));
    // A backup is put back. Its refresh token is spent.
    fs::write(&path, stored).unwrap();
    let (status, _, stderr) = run(&folder, &["--refresh"], "");
    let line = "Error: the server refused (status 403, M_FORBIDDEN): refresh token isn't valid anymore; the session \
                cannot be refreshed, and ends when its access token expires";
    assert_eq!((status, stderr.lines().last()), (Some(1), Some(line)));
    let device_id = session(&folder).device_id().to_owned();
    let (status, stdout, stderr) = run(&folder, &["--again"], password("bob"));
    let line = format!("logged in as @bob:example.test with device ID {device_id}\n");
    assert_eq!((status, stdout), (Some(0), line), "{stderr}");
    assert_eq!(run(&folder, &["--whoami"], "").0, Some(0));
}

#[test]
fn a_homeserver_without_oauth_has_no_account_page() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, stderr) = log_in(&folder, "full", "dave");
    assert_eq!(status, Some(0), "{stderr}");
    let (status, stdout, stderr) = run(&folder, &["--account"], "");
    let homeserver = url("full");
    let line = format!("Error: the homeserver {homeserver} has no OAuth 2.0, so it has no page to manage an account");
    assert_eq!((status, stdout.as_str(), stderr.lines().last()), (Some(1), "", Some(line.as_str())));
}
