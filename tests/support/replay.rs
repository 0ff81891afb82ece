//! The parts of the replay example, without its `main`.

#[path = "../../examples/replay/endpoint.rs"]
mod endpoint;
#[path = "../../examples/replay/flow.rs"]
mod flow;
#[path = "../../examples/replay/lines.rs"]
mod lines;
#[path = "../../examples/replay/oauth.rs"]
mod oauth;
#[path = "../../examples/replay/print.rs"]
mod print;
#[path = "../../examples/replay/session.rs"]
mod session;
#[path = "../../examples/replay/transcript.rs"]
mod transcript;

#[allow(unused_imports, reason = "no program of tests uses all of them")]
pub use self::{
    lines::replay,
    print::{request_value, step_line},
    transcript::{Chosen, Settings},
};
