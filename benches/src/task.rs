//! The measured tasks: an operation of a contender, or a whole login of this crate.

use std::hint::black_box;

use crate::contender::ours::{self, Ours};
use crate::contender::plain::{Borrowed, Owned, Plain};
use crate::contender::ruma::{self, Ruma};
use crate::contender::{Contender, outcome};
use crate::counting::{Count, count};
use crate::inputs::{FORBIDDEN, LIMIT_EXCEEDED, LOGIN, LOGIN_TYPES};
use crate::{callgrind, flow, shapes};

/// The contenders: the name in the JSON, and the heading in the table.
pub const CONTENDERS: [(&str, &str); 4] = [
    ("ours", "matrix-login"),
    ("ruma", "ruma-client-api"),
    ("owned", "owned serde structs"),
    ("floor", "borrowed serde structs"),
];

/// The operations. The first four are one login.
pub const OPERATIONS: [&str; 6] =
    ["build GET login", "read login types", "build POST login", "read the response", "read a 403", "read a 429"];

/// How many of the operations are one login.
pub const ONE_LOGIN: usize = 4;

/// The whole logins of this crate.
pub const FLOWS: [&str; 4] = ["password", "sso", "code", "device"];

/// What a caller makes before POST login. For ruma this is the request, so its time to build POST login contains it.
pub const MAKING: &str = "make the credentials";

/// The name that stands in place of a contender before the size of a body.
const SHAPE: &str = "shape of ";

/// The cost of one run.
pub struct Cost {
    pub instructions: u64,
    pub count: Count,
}

/// Measures one run.
pub fn measure(contender: &str, operation: &str) -> Result<Cost, String> {
    let mut run = prepare(contender, operation)?;
    // The first run can set up values that later runs reuse.
    run();
    let ((), count) = count(run);
    Ok(Cost { instructions: callgrind::instructions(contender, operation, [100, 600])?, count })
}

/// How many instructions it takes to read a body of this shape and size. A large body needs few runs.
pub fn instructions_for_shape(shape: &str, size: usize) -> Result<u64, String> {
    callgrind::instructions(&format!("{SHAPE}{size}"), shape, [1, 4])
}

/// Runs a task this many times. Callgrind counts these runs.
pub fn repeat(contender: &str, operation: &str, times: u32) -> Result<(), String> {
    let mut run = prepare(contender, operation)?;
    for _ in 0..times {
        run();
    }
    Ok(())
}

/// Checks that all contenders make the same from the inputs.
pub fn check_that_all_do_the_same() -> Result<(), String> {
    let ours = outcome(&Ours::new());
    let others = [
        ("ruma", outcome(&Ruma::new())),
        ("owned", outcome(&Plain::<Owned>::new())),
        ("floor", outcome(&Plain::<Borrowed>::new())),
    ];
    for (name, other) in others {
        if other != ours {
            return Err(format!("{name} does something else.\nours: {ours:#}\n{name}: {other:#}"));
        }
    }
    Ok(())
}

type Run = Box<dyn FnMut()>;

fn prepare(contender: &str, operation: &str) -> Result<Run, String> {
    if let Some(size) = contender.strip_prefix(SHAPE).and_then(|size| size.parse().ok()) {
        let shape = shapes::all().into_iter().find(|shape| shape.name == operation);
        let shape = shape.ok_or_else(|| format!("not a shape: {operation}"))?;
        let response = shape.response(size);
        return Ok(of(move || (shape.read)(black_box(&response))));
    }
    let run = match (contender, operation) {
        ("ours", "password") => Some(of(flow::password)),
        ("ours", "sso") => Some(of(flow::single_sign_on)),
        ("ours", "code") => Some(of(flow::code_grant)),
        ("ours", "device") => Some(of(flow::device_grant)),
        ("ours", MAKING) => Some(of(ours::made)),
        ("ruma", MAKING) => Some(of(ruma::made)),
        ("ours", operation) => of_contender(Ours::new(), operation),
        ("ruma", operation) => of_contender(Ruma::new(), operation),
        ("owned", operation) => of_contender(Plain::<Owned>::new(), operation),
        ("floor", operation) => of_contender(Plain::<Borrowed>::new(), operation),
        _ => None,
    };
    run.ok_or_else(|| format!("{contender} has no operation {operation:?}"))
}

fn of_contender<C: Contender + 'static>(contender: C, operation: &str) -> Option<Run> {
    let run: Run = match operation {
        "build GET login" => of(move || black_box(&contender).build_get_login()),
        "read login types" => of(move || contender.read_login_types(black_box(LOGIN_TYPES.response()))),
        "build POST login" => of(move || black_box(&contender).build_post_login()),
        "read the response" => of(move || contender.read_login(black_box(LOGIN.response()))),
        "read a 403" => of(move || contender.read_error(black_box(FORBIDDEN.response()))),
        "read a 429" => of(move || contender.read_error(black_box(LIMIT_EXCEEDED.response()))),
        _ => return None,
    };
    Some(run)
}

/// A run whose result is used and dropped.
fn of<T>(mut run: impl FnMut() -> T + 'static) -> Run {
    Box::new(move || drop(black_box(run())))
}
