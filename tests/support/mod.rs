//! What programs of tests share.
//!
//! - `replay.rs` is the replay example without its `main`,
//! - `scenario.rs` is the scripted homeserver of stories,
//! - `loopback.rs` is one on a real socket,
//! - `programs.rs` builds the example programs,
//! - `browsing.rs` runs the browser program, and is its browser,
//! - `shapes.rs` makes bodies of all shapes and sizes, for `tests/memory.rs` and for `benches`,
//! - `run.rs` runs the login program in a folder,
//! - `terminal.rs` runs a program at a terminal,
//! - `json.rs` compares what the crate makes of JSON with what `serde_json` makes of it,
//! - `golden.rs` compares with files, and renews them.

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
