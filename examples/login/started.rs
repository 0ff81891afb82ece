//! How the program is started: what the command line says, and how to give it another one.

use std::{
    env,
    io::{self, Write},
    process,
};

use clap::Parser;

/// A command line that starts this program as it was started now, with other arguments.
pub fn command(arguments: &str) -> String {
    let name = env!("CARGO_CRATE_NAME");
    // Cargo tells that to what it runs. The program is not installed, so its name alone would start nothing.
    let program = match (env::var_os("CARGO"), env::args().next()) {
        (None, Some(program)) => program,
        _ => format!("cargo run --example {name} --"),
    };
    format!("{program} {arguments}").trim_end().to_owned()
}

/// The arguments. Ends the program where they cannot be understood, and where they ask for a text that is always the
/// same.
pub fn arguments<A: Parser>() -> A {
    let matches = A::command().bin_name(command("")).try_get_matches();
    matches.and_then(|matches| A::from_arg_matches(&matches)).unwrap_or_else(|text| {
        let printed = text.print().and_then(|()| io::stdout().flush());
        // A text that was asked for is the result: it counts only if it was printed.
        process::exit(if text.use_stderr() { 2 } else { i32::from(printed.is_err()) })
    })
}
