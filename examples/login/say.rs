//! The messages of the programs on standard error. If standard error is closed, a granted session must not be lost.

use std::{
    io::{self, Write},
    time::Duration,
};

/// Like `eprintln!`, but without its panic if standard error is closed.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

/// Writes the beginning of a line.
pub fn part(text: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// A duration in whole seconds, rounded up. A more exact text would only be longer.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}
