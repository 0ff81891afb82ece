//! Invariant: of all bytes, the crate's own JSON syntax accepts what `serde_json` accepts, and each value has the same
//! text.

#![no_main]

#[path = "../../tests/support/json.rs"]
mod json;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    json::check(text);
    json::check(&format!("{{\"a\":{text}}}"));
    json::check(&format!("{{{text}:1}}"));
});
