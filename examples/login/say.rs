//! What the programs say on standard error. A reader that has gone away must not cost a session that was granted.

/// Like `eprintln!`, which panics where nobody reads.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
