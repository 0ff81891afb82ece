//! Why a program did not do what was asked of it: one line on standard error, that says what to do.

use std::fmt;

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
        formatter.write_str(&Self::one_line(&line))
    }
}

impl Failure {
    /// What comes from elsewhere may have several lines, or change the terminal.
    pub fn one_line(text: &str) -> String {
        let moves_the_text = |character: char| {
            character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        text.replace(moves_the_text, " ")
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.to_string())
    }
}
