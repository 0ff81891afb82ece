//! The browser program as a running process, and a browser that is a few lines of HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use url::Url;

use super::programs::{build, command};

/// A running program.
pub struct Running {
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    /// What the program has said so far.
    pub shown: String,
}

impl Running {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::of(command(build("browser")), folder, arguments)
    }

    pub fn of(mut program: Command, folder: &Path, arguments: &[&str]) -> Self {
        let mut child = program
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, shown: String::new() }
    }

    /// The URL that the user must open.
    pub fn url(&mut self) -> Url {
        let line = self.line_with("log in at ");
        line.trim_start_matches("log in at ").trim().parse().unwrap()
    }

    /// The next line on standard error that begins like this.
    pub fn line_with(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "{}", self.shown);
            self.shown.push_str(&line);
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    pub fn paste(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for the end. Returns the exit status and both outputs.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        // Standard input stays open: a program that waits for the end of its input would hang here.
        self.stderr.read_to_string(&mut self.shown).unwrap();
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (self.child.wait().unwrap().code(), stdout, self.shown)
    }
}

/// A browser that follows no redirect.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build().into()
}

/// The status and the page that a browser gets.
pub fn browse(url: &Url) -> (u16, String) {
    let mut response = agent().get(url.as_str()).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}
