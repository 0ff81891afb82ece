//! The person who answers the questions of the program: a user at a terminal, a pipe, or the script of the demo.

use std::{
    collections::VecDeque,
    io::{self, BufRead, IsTerminal},
    process, thread,
};

use matrix_login::Password;

use crate::{device, say};

/// The exit status of a program that was ended with Ctrl-C, as shells report it.
const INTERRUPTED: i32 = 130;

pub enum Person {
    /// A user at a terminal, who can be asked again. A password is read without echo.
    Terminal,
    /// A file or another program. An answer is a line of standard input.
    Pipe,
    /// The answers of the demo. They are not secret.
    Script(VecDeque<&'static str>),
}

impl Person {
    pub fn at_standard_input() -> Self {
        if io::stdin().is_terminal() { Self::Terminal } else { Self::Pipe }
    }

    pub fn password(&mut self, user: &str) -> io::Result<Password> {
        let password = match self {
            Self::Terminal => match rpassword::prompt_password(format!("Password for {user}: ")) {
                // The prompt has restored the terminal, and has sent this program the signal that is handled below.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => process::exit(INTERRUPTED),
                password => password?,
            },
            Self::Pipe | Self::Script(_) => self.ask(&format!("Password for {user}: "), "a password")?,
        };
        Ok(Password::new(password))
    }

    /// Whether a user can read what went wrong, and can do something about it.
    pub fn can_be_asked_again(&self) -> bool {
        match self {
            Self::Terminal => true,
            Self::Pipe => false,
            Self::Script(answers) => !answers.is_empty(),
        }
    }

    /// Whether this is a user who can answer an unexpected question.
    pub fn can_answer_yes_or_no(&self) -> bool {
        matches!(self, Self::Terminal)
    }

    /// Asks until the answer is yes or no. Enter alone means yes.
    pub fn confirms(&mut self, question: &str) -> io::Result<bool> {
        loop {
            match self.ask(&format!("{question} [Y/n] "), "yes or no")?.trim().to_lowercase().as_str() {
                "" | "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => say!("answer y or n"),
            }
        }
    }

    /// Waits until the user has read the text above.
    pub fn confirm(&mut self, what: &str) -> io::Result<()> {
        self.ask(what, "Enter").map(drop)
    }

    /// Asks for an answer that is not secret.
    pub fn ask(&mut self, question: &str, expected: &str) -> io::Result<String> {
        let mut line = String::new();
        match self {
            Self::Script(answers) => {
                line.extend(answers.pop_front());
                say!("{question}{line}");
                return Ok(line);
            }
            Self::Terminal => say::part(question),
            Self::Pipe => {}
        }
        if io::stdin().lock().read_line(&mut line)? == 0 {
            if matches!(self, Self::Terminal) {
                say!("");
            }
            return Err(io::Error::other(format!("standard input has ended: expected {expected} on a line")));
        }
        // The end of the line is not a part of a password, but blanks are.
        let answer = line.strip_suffix('\n').unwrap_or(&line);
        Ok(answer.strip_suffix('\r').unwrap_or(answer).to_owned())
    }
}

/// If a signal ends the program, for instance Ctrl-C, restores the terminal first: the prompt for a password switches
/// the echo off. The exit status is the same as shells report for the signal.
#[cfg(unix)]
pub fn restore_terminal_when_ended() {
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM},
        iterator::Signals,
    };

    let found = rustix::termios::tcgetattr(io::stdin()).ok();
    // Without a handler a signal still ends the program.
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            if let Some(found) = &found {
                let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, found);
            }
            let said = device::at_an_end();
            // A line has already begun, which shows the request.
            if io::stderr().is_terminal() || said == Some(device::GRANTED) {
                say!("");
            }
            if let Some(said) = said {
                say!("{said}");
            }
            process::exit(128 + signal);
        }
    });
}

/// On other systems, the system ends the program.
#[cfg(not(unix))]
pub fn restore_terminal_when_ended() {}
