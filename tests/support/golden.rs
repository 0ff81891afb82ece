//! Files that contain what a test expects. `UPDATE=1 cargo test` writes them again.

use std::{env, fs, path::Path};

const RENEW: &str = "`UPDATE=1 cargo test` writes it again; read the difference before you commit it";

/// Compares a text with a file, or writes the file if `UPDATE` is 1.
pub fn compare(path: &Path, text: &str) {
    let file = path.display();
    let expected = fs::read_to_string(path);
    if expected.as_ref().is_ok_and(|expected| expected == text) {
        return;
    }
    if env::var("UPDATE").is_ok_and(|update| update == "1") {
        fs::write(path, text).unwrap_or_else(|error| panic!("{file}: {error}"));
        return;
    }
    let expected = expected.unwrap_or_else(|error| panic!("{file}: {error}; {RENEW}"));
    let equal = expected.lines().zip(text.lines()).take_while(|(expected, line)| expected == line).count();
    // The equal lines before a difference are left out, so that the difference is easy to see.
    assert_eq!(text.lines().nth(equal), expected.lines().nth(equal), "{file}, line {}; {RENEW}", equal + 1);
    panic!("{file}: the ends of the lines differ; {RENEW}");
}
