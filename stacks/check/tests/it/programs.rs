//! Every program logs in, or fails in plain words, whatever the homeserver does. The programs must be built before.

use std::{
    env,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Mutex, atomic::Ordering},
    thread,
};

use crate::servers::{Homeserver, compressed, good, head, json, proxy_to, server};

/// The HTTP clients and their defaults.
const CLIENTS: [Client; 5] = [
    Client { name: "hyper", decodes: false, uses_proxy: false },
    Client { name: "isahc", decodes: true, uses_proxy: true },
    Client { name: "reqwest", decodes: true, uses_proxy: true },
    Client { name: "reqwest-blocking", decodes: true, uses_proxy: true },
    Client { name: "ureq", decodes: true, uses_proxy: true },
];

#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    decodes: bool,
    uses_proxy: bool,
}

const FORBIDDEN: &str = r#"{"errcode":"M_FORBIDDEN","error":"Invalid username or password"}"#;
const LIMITED: &str = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":20}"#;

/// Logs in with a program.
fn log_in(client: Client, homeserver: &str, environment: &[(&str, &str)]) -> Output {
    // The programs are beside the folder of this test.
    let folder: PathBuf = env::current_exe().unwrap().parent().and_then(|folder| folder.parent()).unwrap().into();
    let mut command = Command::new(folder.join(format!("login-with-{}", client.name)));
    for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(variable).env_remove(variable.to_uppercase());
    }
    command.args([homeserver, "alice"]).envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().expect("the programs are built: stacks/README.md says how");
    program.stdin.take().unwrap().write_all(b"wonderland\n").unwrap();
    program.wait_with_output().unwrap()
}

fn succeeds(client: Client, output: &Output) {
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}: {shown}", client.name);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "logged in as @alice:example.org\n", "{}", client.name);
}

fn fails(client: Client, output: &Output, reason: &str) {
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{}: {shown}", client.name);
    assert!(shown.contains(reason) && !shown.contains("panicked"), "{}: {shown}", client.name);
    assert!(!shown.contains("wonderland"), "{}: {shown}", client.name);
}

#[test]
fn every_client_logs_in_with_the_right_password() {
    for client in CLIENTS {
        let homeserver = Homeserver::start(|target, _| good(target));
        succeeds(client, &log_in(client, &homeserver.url, &[]));
    }
}

#[test]
fn every_client_shows_that_a_password_is_wrong() {
    for client in CLIENTS {
        let homeserver = Homeserver::start(|target, _| match target {
            "POST /_matrix/client/v3/login" => json(403, FORBIDDEN),
            _ => good(target),
        });
        fails(client, &log_in(client, &homeserver.url, &[]), "Invalid username or password");
        assert_eq!(homeserver.targets().len(), 2, "{}", client.name);
    }
}

#[test]
fn a_rate_limit_is_waited_out() {
    for client in CLIENTS {
        let mut is_limited = true;
        let homeserver = Homeserver::start(move |target, _| match target {
            "POST /_matrix/client/v3/login" if std::mem::take(&mut is_limited) => json(429, LIMITED),
            _ => good(target),
        });
        succeeds(client, &log_in(client, &homeserver.url, &[]));
        assert_eq!(homeserver.targets().len(), 3, "{}", client.name);
    }
}

#[test]
fn a_redirect_of_the_login_is_not_followed() {
    for client in CLIENTS {
        for status in [301, 302, 303, 307, 308] {
            let homeserver = Homeserver::start(move |target, _| match target {
                "POST /_matrix/client/v3/login" => (status, vec![("Location", "/elsewhere".to_owned())], Vec::new()),
                _ => good(target),
            });
            fails(client, &log_in(client, &homeserver.url, &[]), "is a redirect to /elsewhere that is not followed");
            assert_eq!(homeserver.targets().len(), 2, "{}", client.name);
        }
    }
}

#[test]
fn a_body_that_never_ends_is_cut_off() {
    for client in CLIENTS {
        let url = server(|mut connection| {
            head(&mut connection);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"flows\":[");
            // The connection breaks when the client has read enough.
            while connection.write_all(&[b' '; 4096]).is_ok() {}
        });
        fails(client, &log_in(client, &url, &[]), "the body is longer than");
    }
}

#[test]
fn a_silent_homeserver_is_given_up() {
    // Every client waits for its own limit of time, so all of them wait at once.
    thread::scope(|scope| {
        for client in CLIENTS {
            scope.spawn(move || {
                let kept = Mutex::new(Vec::new());
                let url = server(move |connection| kept.lock().unwrap().push(connection));
                fails(client, &log_in(client, &url, &[]), "");
            });
        }
    });
}

#[test]
fn a_connection_that_is_closed_halfway_is_an_error() {
    for client in CLIENTS {
        let url = server(|mut connection| {
            head(&mut connection);
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"flows\"").unwrap();
        });
        fails(client, &log_in(client, &url, &[]), "");
    }
}

#[test]
fn a_body_in_gzip_is_decoded_or_reported() {
    for client in CLIENTS {
        let homeserver = Homeserver::start(move |target, request| {
            let accepts = request.headers().iter().find(|header| header.field.equiv("Accept-Encoding"));
            let accepts = accepts.is_some_and(|header| header.value.as_str().contains("gzip"));
            assert_eq!(accepts, client.decodes, "{} asks for what it decodes", client.name);
            compressed(good(target))
        });
        let output = log_in(client, &homeserver.url, &[]);
        if client.decodes {
            succeeds(client, &output);
        } else {
            fails(client, &output, "is still encoded (gzip, status 200)");
        }
    }
}

#[test]
fn a_proxy_in_the_environment_is_used_as_the_table_says() {
    for client in CLIENTS {
        let homeserver = Homeserver::start(|target, _| {
            // Through a proxy without a tunnel, a request names the whole URL.
            let (method, url) = target.split_once(' ').unwrap();
            good(&format!("{method} {}", &url[url.find("/_matrix").unwrap()..]))
        });
        let (proxy, connections) = proxy_to(&homeserver);
        succeeds(client, &log_in(client, &homeserver.url, &[("http_proxy", &proxy)]));
        assert_eq!(connections.load(Ordering::SeqCst) > 0, client.uses_proxy, "{}", client.name);
    }
}
