//! The login program, run in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;
use tempfile::TempDir;

use super::programs::{self, build, run};

pub const PASSWORD: &str = "wonderland";

pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("login"))
}

/// The result of a run of the program, and the folder of the run.
pub struct Run {
    pub folder: TempDir,
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

impl Run {
    pub fn new(folder: TempDir, output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { folder, status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs the program in a folder, with this text on its standard input.
    pub fn with(folder: TempDir, arguments: &[&str], input: &str) -> Self {
        let mut command = programs::command(program());
        command.args(arguments);
        Self::of(folder, command, input)
    }

    pub fn of(folder: TempDir, mut command: Command, input: &str) -> Self {
        let output = run(command.current_dir(folder.path()), input);
        Self::new(folder, output)
    }

    /// The run succeeds, and this is the last line on standard output.
    pub fn says(&self, line: &str) {
        assert_eq!((self.status, self.stdout.lines().last()), (Some(0), Some(line)), "{}", self.stderr);
    }

    /// The run is a demo: a user logs in, the program asks twice who is logged in, and the user logs out. The demo has
    /// printed these texts in this order, and ends with the last one.
    pub fn is_a_demo(&self, said: &[&str]) {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
        let lines: Vec<&str> = self.stdout.lines().collect();
        let who = lines[0].strip_prefix("logged in as ").unwrap();
        assert!(who.starts_with("@alice:127.0.0.1:") && who.contains(" with device ID "), "{who}");
        assert_eq!(lines[1..], [lines[0], lines[0], &format!("{who} is logged out")]);
        let rest = said.iter().fold(self.stderr.as_str(), |rest, said| {
            rest.split_once(said).unwrap_or_else(|| panic!("no {said:?} in {rest}")).1
        });
        assert_eq!(rest, "");
    }

    /// The run fails without a result. Its last line says why, and is this one.
    pub fn fails(&self, line: &str) {
        assert_eq!((self.status, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        assert_eq!(self.stderr.lines().last(), Some(line), "{}", self.stderr);
        assert!(!self.stderr.contains(PASSWORD), "{}", self.stderr);
    }

    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }

    pub fn file(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.folder.path().join(name)).unwrap()).unwrap()
    }
}

/// The program, with a limit of zero bytes for every file. The signal of that limit is ignored, so that writing fails
/// as on a full disk.
#[cfg(target_os = "linux")]
pub fn on_a_full_disk(arguments: &[&str]) -> Command {
    let mut command = programs::command("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""]).arg(program()).args(arguments);
    command
}
