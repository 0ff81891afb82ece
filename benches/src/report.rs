//! All figures, for people. The last line is for programs.

use std::mem::size_of;

use matrix_login::{LoginFlow, Session, Step, Suspended};
use serde::Serialize;

use crate::contender::{Contender, ours::Ours};
use crate::counting::count;
use crate::flow;
use crate::inputs::{FORBIDDEN, LIMIT_EXCEEDED, LOGIN, LOGIN_TYPES};
use crate::task::{CONTENDERS, Cost, FLOWS, MAKING, ONE_LOGIN, OPERATIONS, measure};

#[derive(Serialize)]
struct Summary {
    a_to_d: Contenders,
    flow: Flows,
    heap: Heap,
    size_of: Sizes,
}

#[derive(Serialize)]
struct Contenders {
    ours: Figures,
    ruma: Figures,
    owned: Figures,
    floor: Figures,
}

#[derive(Serialize)]
struct Flows {
    password: Figures,
    sso: Figures,
    code: Figures,
    device: Figures,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Figures {
    instructions: u64,
    allocations: u64,
    /// The bytes that the allocations asked for.
    bytes: u64,
}

#[derive(Serialize)]
struct Heap {
    browse: u64,
    suspended: u64,
    suspended_json: u64,
    browse_code: u64,
    suspended_code: u64,
    suspended_code_json: u64,
}

#[derive(Serialize)]
struct Sizes {
    login_flow: usize,
    session: usize,
    suspended: usize,
    step: usize,
}

impl Figures {
    fn plus(self, other: Self) -> Self {
        Self {
            instructions: self.instructions + other.instructions,
            allocations: self.allocations + other.allocations,
            bytes: self.bytes + other.bytes,
        }
    }

    fn cell(self) -> String {
        format!("{} / {}", grouped(self.instructions), self.allocations)
    }
}

impl From<Cost> for Figures {
    fn from(cost: Cost) -> Self {
        Self { instructions: cost.instructions, allocations: cost.count.allocations, bytes: cost.count.bytes }
    }
}

/// Measures everything and prints it.
pub fn print() -> Result<(), String> {
    println!("The bodies, in bytes:");
    for body in [&LOGIN_TYPES, &LOGIN, &FORBIDDEN, &LIMIT_EXCEEDED] {
        println!("- tests/bodies/{}: {}", body.name, body.bytes.len());
    }
    println!("- what POST login sends: {}", Ours::new().build_post_login().body().len());
    println!();
    println!("A cell shows the instructions and the allocations of one run. Calls that allocate count, and calls that");
    println!("reallocate. Each run also drops what it made.");
    println!();
    let [ours, ruma, owned, floor] = contenders()?;
    println!();
    making()?;
    println!();
    let flow = flows()?;
    println!();
    let (size_of, heap) = memory();
    println!();
    let summary = Summary { a_to_d: Contenders { ours, ruma, owned, floor }, flow, heap, size_of };
    println!("{}", serde_json::to_string(&summary).map_err(|error| error.to_string())?);
    Ok(())
}

/// Returns what one login costs.
fn contenders() -> Result<[Figures; CONTENDERS.len()], String> {
    row("operation", &CONTENDERS.map(|(_, heading)| heading.to_owned()));
    row("---", &CONTENDERS.map(|_| "---:".to_owned()));
    let mut one_login = [Figures::default(); CONTENDERS.len()];
    for (index, (letter, operation)) in ('a'..).zip(OPERATIONS).enumerate() {
        let mut figures = [Figures::default(); CONTENDERS.len()];
        for ((contender, _), figures) in CONTENDERS.into_iter().zip(&mut figures) {
            *figures = measure(contender, operation)?.into();
        }
        row(&format!("{letter}. {operation}"), &figures.map(Figures::cell));
        if index < ONE_LOGIN {
            for (sum, figures) in one_login.iter_mut().zip(figures) {
                *sum = sum.plus(figures);
            }
        }
    }
    row("**one login, a to d**", &one_login.map(|sum| format!("**{}**", sum.cell())));
    row("bytes allocated, a to d", &one_login.map(|sum| grouped(sum.bytes)));
    let [ours, ruma, ..] = one_login.map(|sum| sum.instructions);
    println!();
    println!("One login takes {:.3} of ruma's instructions.", ratio(ours, ruma));
    Ok(one_login)
}

fn making() -> Result<(), String> {
    let [ours, ruma] = [measure("ours", MAKING)?, measure("ruma", MAKING)?].map(|cost| Figures::from(cost).cell());
    println!("matrix-login borrows the credentials and the settings that c sends: to make them takes {ours} more.");
    println!("ruma consumes its request, so each run makes it from the text: that is {ruma} of c.");
    Ok(())
}

fn flows() -> Result<Flows, String> {
    println!("| a whole login with matrix-login | instructions | allocations | bytes allocated |");
    println!("| --- | ---: | ---: | ---: |");
    let mut figures = [Figures::default(); FLOWS.len()];
    let headings = [
        "by password",
        "by single sign-on, suspended as JSON and resumed",
        "by the code grant of OAuth 2.0, suspended as JSON and resumed",
        "by the device grant of OAuth 2.0, registered first, with two polls",
    ];
    for ((flow, heading), figures) in FLOWS.into_iter().zip(headings).zip(&mut figures) {
        *figures = measure("ours", flow)?.into();
        println!(
            "| {heading} | {} | {} | {} |",
            grouped(figures.instructions),
            figures.allocations,
            grouped(figures.bytes)
        );
    }
    let [password, sso, code, device] = figures;
    Ok(Flows { password, sso, code, device })
}

fn memory() -> (Sizes, Heap) {
    let size_of = Sizes {
        login_flow: size_of::<LoginFlow>(),
        session: size_of::<Session>(),
        suspended: size_of::<Suspended>(),
        step: size_of::<Step<'_>>(),
    };
    let [browse, suspended, suspended_json] = kept(flow::in_the_browser);
    let [browse_code, suspended_code, suspended_code_json] = kept(flow::in_the_browser_for_a_code);
    let heap = Heap { browse, suspended, suspended_json, browse_code, suspended_code, suspended_code_json };

    println!("| memory, in bytes | `size_of` | heap |");
    println!("| --- | ---: | ---: |");
    println!("| `LoginFlow`, in `Browse` | {} | {} |", size_of.login_flow, heap.browse);
    println!("| `Suspended`, the same login | {} | {} |", size_of.suspended, heap.suspended);
    println!("| its JSON | | {} |", heap.suspended_json);
    println!("| `LoginFlow`, in `Browse` for a code | {} | {} |", size_of.login_flow, heap.browse_code);
    println!("| `Suspended`, the same login | {} | {} |", size_of.suspended, heap.suspended_code);
    println!("| its JSON | | {} |", heap.suspended_code_json);
    println!("| `Session` | {} | |", size_of.session);
    println!("| `Step` | {} | |", size_of.step);
    println!();
    let gigabytes = |bytes: u64| ratio(bytes, 1000);
    println!(
        "A million people in the browser take {:.2} GB as flows, {:.2} GB suspended, and {:.2} GB as JSON.",
        gigabytes(size_of.login_flow as u64 + heap.browse),
        gigabytes(size_of.suspended as u64 + heap.suspended),
        gigabytes(heap.suspended_json)
    );
    (size_of, heap)
}

/// What a flow in the browser keeps on the heap, and what its suspended form keeps on the heap and takes as JSON.
fn kept(begin: fn() -> LoginFlow) -> [u64; 3] {
    let (flow, browse) = count(begin);
    let (suspended, in_memory) = count(|| flow::suspended(&flow));
    let json = serde_json::to_string(&suspended).expect("JSON");
    [browse.kept, in_memory.kept, json.len() as u64]
}

fn row(heading: &str, cells: &[String]) {
    println!("| {heading} | {} |", cells.join(" | "));
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
pub fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
