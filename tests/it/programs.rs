//! The example programs, built by cargo as they are now.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

pub fn build(example: &str) -> PathBuf {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", example, "--message-format", "json"])
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
