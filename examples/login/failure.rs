//! The failure of a program: one line on standard error, which says what went wrong and what to do.

use std::fmt;

use matrix_login::one_line;

pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Text from elsewhere can contain line breaks, or change the terminal.
        write!(formatter, "Error: {}", one_line(&self.0))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
