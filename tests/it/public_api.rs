//! The public API, as `tests/public-api.txt` lists it. `.ci/api` compares that file with the code.

use std::collections::BTreeSet;

pub const LIST: &str = include_str!("../public-api.txt");
const MANUAL: &str = include_str!("../../src/lib.rs");

/// Types and traits of other crates, and their names in the manual.
const FOREIGN: [(&str, &str); 10] = [
    ("http::method::Method", "[`http`]"),
    ("http::request::Request", "[`http`]"),
    ("http::response::Parts", "[`http`]"),
    ("http::response::Response", "[`http`]"),
    ("http::status::StatusCode", "[`http`]"),
    ("serde::de::Deserialize", "the traits of serde"),
    ("serde::ser::Serialize", "the traits of serde"),
    ("serde_json::map::Map", "[`serde_json::Map`]"),
    ("serde_json::value::Value", "[`serde_json::Value`]"),
    ("url::Url", "[`url::Url`]"),
];

/// Every path in the list that leads to a crate other than this one and the standard library.
fn foreign() -> BTreeSet<&'static str> {
    let paths = LIST.split(|character: char| !(character.is_alphanumeric() || "_:".contains(character)));
    let crates = ["", "Self", "alloc", "core", "matrix_login", "std"];
    paths.filter(|path| path.contains("::") && !crates.contains(&path.split("::").next().unwrap())).collect()
}

#[test]
fn the_api_has_these_types_of_other_crates() {
    assert_eq!(foreign(), FOREIGN.iter().map(|(path, _)| *path).collect());
}

#[test]
fn the_manual_names_the_types_of_other_crates() {
    let (_, sentence) = MANUAL.split_once("//! Types of other crates in this API:").unwrap();
    let (sentence, _) = sentence.split_once(". ").unwrap();
    let sentence = sentence.replace("\n//! ", " ");
    for (path, name) in FOREIGN {
        assert!(sentence.contains(name), "the manual does not name {path}");
    }
    let names = BTreeSet::from(FOREIGN.map(|(_, name)| name));
    let links = names.iter().filter(|name| name.starts_with('[')).count();
    assert_eq!(sentence.matches("[`").count(), links, "the manual names a type that the API does not have: {sentence}");
}
