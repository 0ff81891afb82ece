//! Invariant: for any bytes, the crate's own JSON syntax accepts them exactly if `serde_json` does, and each value has
//! the same text.

#![no_main]

#[path = "../../tests/support/json.rs"]
mod json;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    json::check(text);
    json::check(&format!("{{\"a\":{text}}}"));
    json::check(&format!("{{{text}:1}}"));
});
