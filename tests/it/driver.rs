//! The driver that the manual and the README show; `documents.rs` keeps them the same.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{Choice, LoginFlow, Session, Step};

/// Logs in with one choice. Gives up on a transport error, on a refusal, and after three waits.
pub fn log_in(
    mut flow: LoginFlow,
    choice: Choice,
    mut send: impl FnMut(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Box<dyn Error>>,
    mut sleep: impl FnMut(Duration),
) -> Result<Session, Box<dyn Error>> {
    loop {
        match flow.step() {
            Step::Send { id, request } => flow.handle_response(id, &send(request)?, SystemTime::now())?,
            Step::Wait(wait) if wait.attempt() > 3 => return Err(wait.error().clone().into()),
            Step::Wait(wait) => {
                sleep(wait.remaining(SystemTime::now()));
                flow.handle_timeout()?;
            }
            Step::Locate { failure, .. } => return Err(failure.clone().into()),
            Step::Choose { refused: Some(refused), .. } => return Err(refused.clone().into()),
            Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
            Step::Browse(url) => return Err(format!("nobody is there to open {url}").into()),
            Step::Done(session) => return Ok(session.clone()),
        }
    }
}
