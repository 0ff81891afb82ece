//! Code that the programs of tests share.
//!
//! - `replay.rs` is the replay example without its `main`,
//! - `scenario.rs` is the scripted homeserver of stories,
//! - `loopback.rs` is a scripted homeserver on a real socket,
//! - `programs.rs` builds the example programs,
//! - `browsing.rs` runs the browser program, and is its browser,
//! - `shapes.rs` makes bodies of all shapes and sizes, for `tests/memory.rs` and for `benches`,
//! - `run.rs` runs the login program in a folder,
//! - `terminal.rs` runs a program at a terminal,
//! - `json.rs` checks that the crate reads JSON as `serde_json` reads it,
//! - `golden.rs` compares texts with files, and writes these files again.

pub mod browsing;
pub mod golden;
pub mod json;
pub mod loopback;
pub mod programs;
pub mod replay;
pub mod run;
pub mod scenario;
#[cfg(target_os = "linux")]
pub mod terminal;

/// Whether the tests run in the published archive of the crate, which does not contain everything that the repository
/// contains. Cargo writes this file into every archive. The file never exists in the repository, and so no test is
/// skipped there.
pub fn is_archive() -> bool {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml.orig").exists()
}
