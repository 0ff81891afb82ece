//! The loop that the manual shows; `documents.rs` keeps the two the same.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{Choice, LoginFlow, RequestId, Session, ShownCode, Step};
use url::Url;

pub type Failure = Box<dyn Error>;

/// Logs in with one choice. Gives up if sending fails, after a refusal, after three waits
/// and if the server asks for more than a minute. `browse` opens a URL and returns the
/// callback. `show` shows a code.
pub fn log_in(
    mut flow: LoginFlow,
    choice: Choice,
    mut send: impl FnMut(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
    mut sleep: impl FnMut(Duration),
    mut browse: impl FnMut(&Url) -> Result<Url, Failure>,
    mut show: impl FnMut(&ShownCode),
) -> Result<Session, Failure> {
    loop {
        match flow.step() {
            // 1. Send the request, and give the response to the flow.
            Step::Send { id, request } => {
                let done = exchange(&mut flow, id, request, &mut send);
                match flow.shown_code() {
                    // A poll that fails is due again until the code ends.
                    Some(code) if done.is_err() && lives(code) => sleep(code.interval()),
                    _ => done?,
                }
            }
            // 2. Wait as long as the server asks.
            Step::Wait(wait) => {
                let remaining = wait.remaining(SystemTime::now());
                if wait.attempt() > 3 || remaining > Duration::from_secs(60) {
                    return Err(wait.error().clone().into());
                }
                sleep(remaining);
                flow.handle_timeout()?;
            }
            // 3. No homeserver was found.
            Step::Locate { failure, .. } => return Err(failure.clone().into()),
            // 4. Answer the question how to log in.
            Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
            Step::Choose { refused: Some(error), .. } => return Err(error.clone().into()),
            // 5. The user logs in in a browser.
            Step::Browse(url) => {
                let callback = browse(url)?;
                flow.handle_callback(&callback)?;
            }
            // 6. The user enters a code on another device.
            Step::ShowCode(code) => {
                if code.is_new() {
                    show(code);
                }
                sleep(code.remaining(SystemTime::now()));
                flow.handle_timeout()?;
            }
            // 7. Store the session.
            Step::Done(session) => return Ok(session.clone()),
        }
    }
}

/// Sends a request, and gives the response to the flow.
fn exchange(
    flow: &mut LoginFlow,
    id: RequestId,
    request: Request<Vec<u8>>,
    send: impl FnOnce(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
) -> Result<(), Failure> {
    let response = send(request)?;
    flow.handle_response(id, &response, SystemTime::now())?;
    Ok(())
}

/// Whether a code has an end, and that end is not reached.
fn lives(code: &ShownCode) -> bool {
    code.expires_at().is_some_and(|end| end > SystemTime::now())
}
