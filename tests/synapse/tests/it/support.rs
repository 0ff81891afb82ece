//! Code that these tests share with the tests that need no servers.

#[allow(dead_code, reason = "run.py builds the programs")]
#[path = "../../../support/programs.rs"]
pub mod programs;
#[allow(dead_code, reason = "these tests use some of it")]
#[path = "../../../support/terminal.rs"]
pub mod terminal;
