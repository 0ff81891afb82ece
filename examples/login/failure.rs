//! Why a program did not do what was asked of it: one line on standard error, that says why and what to do.

use std::fmt;

use matrix_login::one_line;

pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What comes from elsewhere may have several lines, or change the terminal.
        write!(formatter, "Error: {}", one_line(&self.0))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
