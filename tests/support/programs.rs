//! The example programs, built by cargo as they are now.

use std::{
    env,
    ffi::OsStr,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

pub fn build(example: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells a test about its package makes build scripts run again, and what depends on them is built anew.
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let build = cargo
        .args(["build", "--quiet", "--all-features", "--example", example, "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let messages = String::from_utf8(build.stdout).unwrap();
    let mut executables = messages.lines().filter_map(|message| {
        let message: Value = serde_json::from_str(message).unwrap();
        (message["target"]["name"] == example).then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
    });
    executables.next().expect("cargo builds the example")
}

/// What names proxies in the environment, in lower case; upper case counts too.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// A program, without the proxies that the environment of the tests may name.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in PROXIES {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command
}

/// An output that nobody reads.
#[cfg(unix)]
pub fn closed() -> Stdio {
    let (output, reader) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(reader);
    std::os::fd::OwnedFd::from(output).into()
}

/// Sends a signal, such as `TERM`, to a process.
#[cfg(unix)]
pub fn signal(name: &str, process: &str) {
    // Not every machine has a program `kill`; every shell has the command.
    let sent = command("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, process]).status().unwrap();
    assert!(sent.success());
}

/// Runs a program to its end, with something on its standard input.
pub fn run(program: &mut Command, input: &str) -> Output {
    let piped = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A program that ends before it has read its input is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}
