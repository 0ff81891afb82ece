//! The command line: its arguments, and how to start the program with other arguments.

use std::{
    env,
    io::{self, Write},
    process,
};

use clap::Parser;

/// A command line that starts this program in the same way, with other arguments.
pub fn command(arguments: &str) -> String {
    let name = env!("CARGO_CRATE_NAME");
    // Cargo sets this variable for the programs that it runs. The program is not installed, so its name alone would
    // start nothing.
    let program = match (env::var_os("CARGO"), env::args().next()) {
        (None, Some(program)) => program,
        _ => format!("cargo run --example {name} --"),
    };
    format!("{program} {arguments}").trim_end().to_owned()
}

/// The arguments. Ends the program if they are not valid, or if they ask for the help or the version.
pub fn arguments<A: Parser>() -> A {
    let matches = A::command().bin_name(command("")).try_get_matches();
    matches.and_then(|matches| A::from_arg_matches(&matches)).unwrap_or_else(|text| {
        let printed = text.print().and_then(|()| io::stdout().flush());
        // The help is a result, so it is a success only if it was printed.
        process::exit(if text.use_stderr() { 2 } else { i32::from(printed.is_err()) })
    })
}
