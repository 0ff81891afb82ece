//! Compares `matrix-login` with `ruma-client-api` and with plain serde structs, on the bodies of the tests.
//!
//! - Without arguments it prints all figures, and as the last line a JSON object.
//! - `--check` compares this crate with `figures.json`, which is committed.
//! - `--update` writes that file.
//! - `--adoption` builds programs that log in, and compares their costs. It takes half an hour. Names of programs after
//!   it limit it to these programs.

mod adoption;
mod callgrind;
mod contender;
mod counting;
mod flow;
mod gate;
mod inputs;
mod report;
#[allow(dead_code, reason = "only a test uses the limits of memory")]
#[path = "../../tests/support/shapes.rs"]
mod shapes;
mod task;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), String> {
    if let ["--repeat", contender, operation, times] = arguments {
        let times = times.parse().map_err(|_| format!("not a number: {times}"))?;
        return task::repeat(contender, operation, times);
    }
    let work = match arguments {
        [] => report::print,
        ["--check"] => gate::check,
        ["--update"] => gate::update,
        ["--adoption", only @ ..] => return adoption::print(only),
        _ => return Err("usage: matrix-login-benches [--check | --update | --adoption [PROGRAM...]]".to_owned()),
    };
    task::check_that_all_do_the_same()?;
    callgrind::install()?;
    work()
}
