//! What the programs say on standard error, while they work. A reader that has gone away must not cost a session that
//! was granted.

use std::{
    io::{self, Write},
    time::Duration,
};

/// Like `eprintln!`, which panics where nobody reads.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

/// Says the beginning of a line.
pub fn part(text: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// In whole seconds, rounded up: nobody wants to read more.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}
