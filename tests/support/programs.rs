//! The example programs. Cargo builds their current source.

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
    // The variables that cargo sets for a test would make build scripts run again, and everything that depends on them.
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

/// The environment variables that name proxies, in lower case. The same names in upper case count too.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// A program, without the proxies that the environment of the tests can name.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in PROXIES {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command
}

/// An output whose reader has closed it.
#[cfg(unix)]
pub fn closed() -> Stdio {
    let (output, reader) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(reader);
    std::os::fd::OwnedFd::from(output).into()
}

/// Sends a signal, such as `TERM`, to a process.
#[cfg(unix)]
pub fn signal(name: &str, process: &str) {
    // Some machines have no program `kill`, but every shell has the command.
    let sent = command("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, process]).status().unwrap();
    assert!(sent.success());
}

/// Runs a program to its end, with this text on its standard input.
pub fn run(program: &mut Command, input: &str) -> Output {
    let piped = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A program that ends before it has read its input is not a failure of the test.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}
