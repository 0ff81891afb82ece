//! Why a program did not do what was asked of it: one line on standard error, that says what to do.

use std::fmt;

use matrix_login::one_line;

pub enum Failure {
    /// The address leads to no homeserver.
    NoServer(String),
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match self {
            Self::NoServer(reason) => format!("No Matrix server found: {reason}"),
            Self::Other(problem) => format!("Error: {problem}"),
        };
        // What comes from elsewhere may have several lines, or change the terminal.
        formatter.write_str(&one_line(&line))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.to_string())
    }
}
