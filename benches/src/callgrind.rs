//! Instructions, as callgrind counts them.

use std::process::{Command, Stdio};

/// How many instructions one run of a task takes. A short process and a long process run the task as often as the array
/// says. The two processes start and end in the same way, so they differ only in the runs.
pub fn instructions(contender: &str, operation: &str, [short, long]: [u32; 2]) -> Result<u64, String> {
    let difference = total(contender, operation, long)?.saturating_sub(total(contender, operation, short)?);
    Ok(difference / u64::from(long - short))
}

/// Installs valgrind if it is missing.
pub fn install() -> Result<(), String> {
    let is_there = || {
        let mut version = Command::new("valgrind");
        version.arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if is_there() {
        return Ok(());
    }
    for arguments in [&["-qq", "update"][..], &["-qq", "install", "--yes", "--no-install-recommends", "valgrind"]] {
        let mut install = Command::new("apt-get");
        install.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        match install.status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("valgrind is missing, and apt-get {} failed: {status}", arguments[1])),
            Err(error) => return Err(format!("valgrind is missing, and apt-get does not run: {error}")),
        }
    }
    if is_there() { Ok(()) } else { Err("valgrind was installed, but does not run".to_owned()) }
}

/// The instructions of a whole process.
fn total(contender: &str, operation: &str, times: u32) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--repeat", contender, operation, &times.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match collected {
        Some(instructions) if output.status.success() => Ok(instructions),
        _ => Err(format!("valgrind failed at {contender}, {operation} ({}):\n{said}", output.status)),
    }
}
