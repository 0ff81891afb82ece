//! Replays transcripts of logins without a network: `cargo run -q --example replay -- FILE...` (`-` is standard input).
//!
//! A transcript is one JSON file: how the flow starts, and the inputs. The program prints one line of JSON for the
//! first step. For every input it prints the error, if there is one, and the next step. So a bug report can be tried,
//! and a test can be data. **The program prints secrets too**: use made-up credentials, or credentials that are no
//! longer valid.
//!
//! Unknown fields of the transcript and of its responses are ignored, as notes. In settings, inputs and choices, they
//! are errors.
//!
//! - `transcript.rs` reads the parts of a transcript,
//! - `print.rs` writes the lines of the output,
//! - `flow.rs` replays a flow,
//! - `endpoint.rs` replays one endpoint, and `oauth.rs` one of the OAuth 2.0 API,
//! - `session.rs` replays what a response means for a session,
//! - `lines.rs` decides which of them replays a transcript.
//!
//! The exit status is 0 whatever the result of the login is, 2 if a file is not a transcript, and 1 if the output
//! cannot be written.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    unreachable_pub,
    reason = "a program has no API and does the I/O that the library leaves to it"
)]

mod endpoint;
mod flow;
mod lines;
mod oauth;
mod print;
mod session;
mod transcript;

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use serde_json::Value;

use self::lines::replay;

/// Replay transcripts of logins: one line of JSON for each step and each error
#[derive(Parser)]
#[command(name = "replay", bin_name = "cargo run -q --example replay --", version)]
struct Arguments {
    /// A transcript; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let files = match Arguments::try_parse() {
        Ok(arguments) => arguments.files,
        Err(text) => {
            let printed = text.print().and_then(|()| io::stdout().flush());
            // The help is a result, so it is a success only if it was printed.
            return ExitCode::from(if text.use_stderr() { 2 } else { u8::from(printed.is_err()) });
        }
    };
    for file in files {
        let lines = match read(&file).map_err(Into::into).and_then(|text| replay(&text)) {
            Ok(lines) => lines,
            Err(problem) => {
                // The message of serde can contain line breaks.
                say(&format!("{}: {}", file.display(), problem.to_string().replace(char::is_control, " ")));
                return ExitCode::from(2);
            }
        };
        if let Err(error) = print(&lines) {
            say(&format!("standard output cannot be written: {error}"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Like `eprintln!`, but without its panic if standard error is closed.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        Ok(text)
    } else {
        fs::read_to_string(file)
    }
}

fn print(lines: &[Value]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(output, "{line}"))
}
