//! The gate: the costs of this crate must not change by accident.
//!
//! Allocations are compared exactly. Instructions differ by machine and compiler. So they are divided by the
//! instructions of plain serde structs in the same run: for the same operation, or, for a whole login, for one login.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::report::ratio;
use crate::shapes;
use crate::task::{FLOWS, ONE_LOGIN, OPERATIONS, instructions_for_shape, measure};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.json");

/// How far the instructions may differ.
const TOLERANCE: f64 = 0.02;

/// This number of instructions may always differ. After an unrelated change the compiler can inline another function:
/// after one such change, reading a 429 took 145 more, and with owned structs reading a 403 took 82 less. At that time
/// the bodies were not at aligned addresses, which may be a part of the reason.
const NOISE: f64 = 200.0;

/// How many times the instructions for a body of 10 kB a body of 60 kB may take. A vector that doubles can copy eight
/// times as much. Quadratic work would take 36 times as much.
const GROWTH: f64 = 8.2;

const ADVICE: &str = "If this is meant, run `cargo run --release --manifest-path benches/Cargo.toml -- --update` and \
                      commit benches/figures.json.";

/// What an operation of this crate costs.
#[derive(Serialize, Deserialize)]
struct Figures {
    allocations: u64,
    /// Instructions divided by the instructions of the owned structs.
    instructions_to_owned: f64,
}

/// The measured costs of this crate, and the instructions of the owned structs.
struct Measured {
    allocations: u64,
    instructions: u64,
    owned: u64,
}

/// Compares this crate with the committed figures, and checks that its work is linear in the body.
pub fn check() -> Result<(), String> {
    let mut failures = compare()?;
    if !failures.is_empty() {
        failures.push(ADVICE.to_owned());
    }
    failures.extend(grow()?);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Writes the figures that [`check`] compares with.
pub fn update() -> Result<(), String> {
    let figures = |(operation, measured): (String, Measured)| {
        // More digits would differ from run to run.
        let instructions_to_owned = (ratio(measured.instructions, measured.owned) * 10_000.0).round() / 10_000.0;
        (operation, Figures { allocations: measured.allocations, instructions_to_owned })
    };
    let figures: BTreeMap<_, _> = measured()?.into_iter().map(figures).collect();
    let figures = serde_json::to_string_pretty(&figures).map_err(|error| error.to_string())?;
    fs::write(PATH, figures + "\n").map_err(|error| format!("{PATH} cannot be written: {error}"))
}

/// Returns what differs from the committed figures.
fn compare() -> Result<Vec<String>, String> {
    let committed = fs::read_to_string(PATH).map_err(|error| format!("{PATH} cannot be read: {error}"))?;
    let committed: BTreeMap<String, Figures> =
        serde_json::from_str(&committed).map_err(|error| format!("{PATH} is not valid: {error}"))?;
    let measured = measured()?;
    let mut failures = Vec::new();
    for (operation, now) in &measured {
        let Measured { allocations, instructions, owned } = *now;
        println!("{operation}: {allocations} allocations, {:.4} of owned", ratio(instructions, owned));
        let Some(before) = committed.get(operation) else {
            failures.push(format!("{operation}: not committed"));
            continue;
        };
        if allocations != before.allocations {
            failures.push(format!("{operation}: {allocations} allocations; {} are committed", before.allocations));
        }
        let expected = before.instructions_to_owned * ratio(owned, 1);
        let change = ratio(instructions, 1) - expected;
        if change.abs() > NOISE.max(TOLERANCE * expected) {
            failures.push(format!(
                "{operation}: {instructions} instructions, {:.4} of those of owned serde structs; {:.4} are committed, \
                 which are {expected:.0} here; the change is {:+.1} %",
                ratio(instructions, owned),
                before.instructions_to_owned,
                100.0 * change / expected
            ));
        }
    }
    let gone = committed.keys().filter(|operation| !measured.contains_key(*operation));
    failures.extend(gone.map(|operation| format!("{operation}: committed, but no longer measured")));
    Ok(failures)
}

fn measured() -> Result<BTreeMap<String, Measured>, String> {
    let ours = |operation, owned| {
        let ours = measure("ours", operation)?;
        Ok::<_, String>(Measured { allocations: ours.count.allocations, instructions: ours.instructions, owned })
    };
    let mut all = BTreeMap::new();
    let mut one_login = 0;
    for (index, operation) in OPERATIONS.into_iter().enumerate() {
        let owned = measure("owned", operation)?.instructions;
        if index < ONE_LOGIN {
            one_login += owned;
        }
        all.insert(operation.to_owned(), ours(operation, owned)?);
    }
    for flow in FLOWS {
        all.insert(format!("flow: {flow}"), ours(flow, one_login)?);
    }
    Ok(all)
}

/// Returns the shapes of bodies whose work grows faster than the body.
fn grow() -> Result<Vec<String>, String> {
    let mut failures = Vec::new();
    for shape in shapes::all() {
        let small = instructions_for_shape(shape.name, 10_000)?;
        let large = instructions_for_shape(shape.name, 60_000)?;
        let (name, growth) = (shape.name, ratio(large, small));
        println!("{name}: {large} instructions for 60 kB, {growth:.2} times those for 10 kB");
        if growth > GROWTH {
            failures.push(format!(
                "{name}: {large} instructions for a body of 60 kB are {growth:.2} times the {small} for 10 kB; linear \
                 work takes at most {GROWTH} times as many"
            ));
        }
    }
    Ok(failures)
}
