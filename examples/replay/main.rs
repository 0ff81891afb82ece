//! Replays transcripts of logins without a network: `cargo run -q --example replay -- FILE...` (`-` is standard input).
//!
//! A transcript is one JSON file: how the flow starts, and what goes in. One line of JSON comes out for the step that
//! is due first, and for every input the error, if there was one, and the step that is due after it. So a bug report
//! can be tried, and a test can be data. **Secrets are printed too**: it is for made-up or spent credentials.
//!
//! Fields that are not known are left alone in the transcript and its responses, as notes of whoever recorded them; in
//! settings, inputs and choices they are mistakes.
//!
//! - `transcript.rs` is what a transcript contains,
//! - `print.rs` is the lines that come out,
//! - `flow.rs` replays a flow,
//! - `endpoint.rs` replays one endpoint,
//! - `lines.rs` finds out which of the two a transcript is of.
//!
//! The exit status is 0 whatever the login came to, and 2 if a file is no transcript.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    unreachable_pub,
    reason = "a program has no API and does the I/O that the library leaves to it"
)]

mod endpoint;
mod flow;
mod lines;
mod print;
mod transcript;

use std::{
    fs,
    io::{self, Read, Write},
    process::ExitCode,
};

use serde_json::Value;

use self::lines::replay;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: replay FILE... (- is standard input)");
        return ExitCode::from(2);
    }
    for file in files {
        let lines = read(&file).map_err(Into::into).and_then(|text| replay(&text));
        let printed = lines.and_then(|lines| print(&lines).map_err(Into::into));
        if let Err(problem) = printed {
            // In one line: what serde quotes may have several.
            eprintln!("{file}: {}", problem.to_string().replace(char::is_control, " "));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn read(file: &str) -> io::Result<String> {
    if file == "-" {
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
