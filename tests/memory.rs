//! The memory that a response keeps stays in proportion to its body, and so does the work, however hostile the body is.
//! This test counts allocations, so it is a program of its own.
#![allow(unreachable_pub, reason = "a program of tests has no API")]

#[path = "support/shapes.rs"]
mod shapes;

use std::mem::size_of_val;

use allocation_counter::{AllocationInfo, measure};

use http::Response;
use matrix_login::endpoint::{login_types, logout, logout_all};
use matrix_login::{AccessToken, Fields, Homeserver};
use shapes::Shape;

const SIZES: [usize; 3] = [1_000, 10_000, 60_000];

/// How many times the number of allocations may grow if the body is six times as long.
const GROWTH: f64 = 6.6;

/// The same for the allocated bytes. A vector that doubles can have eight times the capacity for six times the
/// elements.
const GROWTH_OF_BYTES: f64 = 8.2;

/// Allocations that do not depend on the body.
const CONSTANT_ALLOCATIONS: u64 = 20;
const CONSTANT_BYTES: u64 = 2_000;

/// What the reading of a response allocates, and how many bytes the result keeps on the heap.
fn read(shape: &Shape, size: usize) -> (AllocationInfo, u64) {
    let response = shape.response(size);
    let length = response.body().len();
    assert!(length <= size && length + 900 > size, "{}: {length} bytes instead of {size}", shape.name);
    let mut result = None;
    let allocations = measure(|| result = Some((shape.read)(&response)));
    // The box belongs to the test.
    let outside = size_of_val(&*result.expect("it was read"));
    let kept = u64::try_from(allocations.bytes_current).expect("it allocates more than it frees");
    (allocations, kept.saturating_sub(outside.try_into().expect("a size")))
}

fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_kept_memory_is_in_proportion_to_the_body() {
    let mut failures = Vec::new();
    for shape in shapes::all() {
        for size in SIZES {
            let (_, kept) = read(&shape, size);
            let length = u64::try_from(shape.response(size).body().len()).unwrap();
            if kept > length * shape.limit {
                let (name, limit) = (shape.name, shape.limit);
                failures.push(format!("{name}: {length} bytes keep {kept}, which is more than {limit} times as many"));
            }
        }
    }
    assert_none(&failures);
}

#[test]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]
fn the_allocations_grow_in_proportion_to_the_body() {
    let grown = |number: u64, growth: f64| (number as f64 * growth) as u64;
    let mut failures = Vec::new();
    for shape in shapes::all() {
        let [(small, _), (large, _)] = [SIZES[1], SIZES[2]].map(|size| read(&shape, size));
        for (what, small, large, growth, constant) in [
            ("allocations", small.count_total, large.count_total, GROWTH, CONSTANT_ALLOCATIONS),
            ("bytes allocated", small.bytes_total, large.bytes_total, GROWTH_OF_BYTES, CONSTANT_BYTES),
        ] {
            if large > grown(small, growth) + constant {
                let times = large as f64 / small as f64;
                failures
                    .push(format!("{}: {small} {what} for 10 kB, {large} for 60 kB ({times:.1} times)", shape.name));
            }
        }
    }
    assert_none(&failures);
}

#[test]
fn a_plain_name_is_not_copied() {
    for length in 0..=24 {
        for character in [' ', '!', 'a', '[', ']', '~', '\u{7f}', 'é', '😀'] {
            let name = character.to_string().repeat(length);
            let fields: Fields = format!(r#"{{"{name}":true}}"#).parse().unwrap();
            let allocations = measure(|| assert_eq!(fields.text_of(&name), Some("true"))).count_total;
            assert_eq!(allocations, 0, "{name:?}");
        }
    }
}

#[test]
fn an_entry_whose_type_comes_first_is_read_once() {
    let flow = r#""type":"m.login.sso","identity_providers":[{"id":"a","name":"A"}]"#;
    let late = r#""identity_providers":[{"id":"a","name":"A"}],"type":"m.login.sso""#;
    let [once, twice] = [flow, late].map(|entry| {
        let response = Response::new(format!(r#"{{"flows":[{{{entry}}}]}}"#));
        measure(|| drop(login_types::response(&response).unwrap())).count_total
    });
    assert!(once < twice, "{once} allocations, and {twice} if the type comes last");
}

#[test]
fn in_a_short_list_a_type_costs_less_than_in_a_long_one() {
    // A long list needs a set, so that each type is compared with few others.
    let allocations = |length: usize| {
        let flows: Vec<String> = (0..length).map(|number| format!(r#"{{"type":"org.example.{number}"}}"#)).collect();
        let response = Response::new(format!(r#"{{"flows":[{}]}}"#, flows.join(",")));
        measure(|| drop(login_types::response(&response).unwrap())).count_total
    };
    let (short, long) = (allocations(4) - allocations(2), allocations(14) - allocations(12));
    assert!(short < long, "two types more: {short} allocations in a short list, {long} in a long one");
}

#[test]
fn the_path_of_a_request_is_not_copied() {
    let homeserver: Homeserver = "https://example.org".parse().unwrap();
    let token = AccessToken::new("token").unwrap();
    // The path of the second request is longer.
    let short = measure(|| drop(logout::request(&homeserver, &token))).bytes_total;
    let long = measure(|| drop(logout_all::request(&homeserver, &token))).bytes_total;
    assert_eq!(short, long);
}
