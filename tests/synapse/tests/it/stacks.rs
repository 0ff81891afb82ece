//! A login with each HTTP client of `stacks`, against Synapse.

use std::{
    env,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::PoisonError,
};

use matrix_login_synapse::{password, url};

use crate::{limits::STRICT, page};

const CLIENTS: [&str; 5] = ["hyper", "isahc", "reqwest", "reqwest-blocking", "ureq"];

fn run(client: &str, server: &str, password: &str) -> (Option<i32>, String, String) {
    let folder = env::var("STACKS").expect("run.py builds the programs");
    let mut command = Command::new(Path::new(&folder).join(format!("login-with-{client}")));
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command.args([url(server), "alice"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    program.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_client_logs_in() {
    for client in CLIENTS {
        let (status, stdout, stderr) = run(client, "full", password("alice"));
        assert_eq!((status, stdout.as_str()), (Some(0), "logged in as @alice:example.test\n"), "{client}: {stderr}");
    }
}

#[test]
fn every_client_learns_that_a_password_is_wrong() {
    for client in CLIENTS {
        let (status, stdout, stderr) = run(client, "full", "not the password");
        assert_eq!((status, stdout.as_str()), (Some(1), ""), "{client}");
        assert!(stderr.contains("Invalid username or password"), "{client}: {stderr}");
    }
}

#[test]
fn every_client_waits_out_a_rate_limit() {
    let _turn = STRICT.lock().unwrap_or_else(PoisonError::into_inner);
    // The first login is allowed. All logins right after it come too soon.
    for client in CLIENTS {
        let (status, _, stderr) = run(client, "strict", password("alice"));
        assert_eq!(status, Some(0), "{client}: {stderr}");
    }
    page::logs_in("strict", 3);
}
