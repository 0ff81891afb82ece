//! Prints the public API that the JSON of rustdoc describes, one line for each item. usage: `public-api FILE.json`
//!
//! The program leaves out lines that add nothing: the functions of an implementation of a trait, and the traits that
//! the compiler implements by itself, such as `Send`. `tests/it/auto_traits.rs` checks those traits.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these are rules of the library, and a program reads arguments and prints"
)]

use std::{collections::HashSet, env, error::Error};

use public_api::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, file] = &*env::args().collect::<Vec<_>>() else { return Err("usage: public-api FILE.json".into()) };
    let api = Builder::from_rustdoc_json(file).omit_blanket_impls(true).omit_auto_trait_impls(true).build()?;
    let (mut of_traits, mut printed) = (HashSet::new(), HashSet::new());
    for item in api.items() {
        // The JSON names the crate in which serde defines its traits, and older versions of serde have no such crate.
        let line = item.to_string().replace("serde_core::", "serde::");
        if line.starts_with("impl") && line.contains(" for ") {
            of_traits.insert(item.id());
        }
        let is_block = line.starts_with("impl") && !line.contains(" for ");
        // `derive(PartialEq)` implements this trait, which only the compiler uses.
        let is_marker = line.contains("core::marker::StructuralPartialEq");
        let is_of_trait = line.starts_with("pub fn") && item.parent_id().is_some_and(|id| of_traits.contains(&id));
        // An item with two paths has its implementations twice.
        if !is_block && !is_marker && !is_of_trait && printed.insert(line.clone()) {
            println!("{line}");
        }
    }
    Ok(())
}
