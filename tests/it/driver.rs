//! The driver that the manual and the README show; `documents.rs` keeps them the same.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{Choice, LoginFlow, Session, ShownCode, Step};
use url::Url;

/// Logs in with one choice. Gives up on a transport error, on a refusal, and after three waits. `browse` opens a
/// URL, and returns the address that the browser came back to. `show` shows a code, and where to enter it.
pub fn log_in(
    mut flow: LoginFlow,
    choice: Choice,
    mut send: impl FnMut(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Box<dyn Error>>,
    mut sleep: impl FnMut(Duration),
    mut browse: impl FnMut(&Url) -> Result<Url, Box<dyn Error>>,
    mut show: impl FnMut(&ShownCode),
) -> Result<Session, Box<dyn Error>> {
    loop {
        match flow.step() {
            Step::Send { id, request } => {
                let told =
                    send(request).and_then(|response| Ok(flow.handle_response(id, &response, SystemTime::now())?));
                match flow.shown_code() {
                    // A poll that fails is sent again until the end of the code, if that is known.
                    Some(code) if told.is_err() && code.expires_at() > Some(SystemTime::now()) => {
                        sleep(code.interval());
                    }
                    _ => told?,
                }
            }
            Step::Wait(wait) if wait.attempt() > 3 => return Err(wait.error().clone().into()),
            Step::Wait(wait) => {
                sleep(wait.remaining(SystemTime::now()));
                flow.handle_timeout()?;
            }
            Step::Locate { failure, .. } => return Err(failure.clone().into()),
            Step::Choose { refused: Some(refused), .. } => return Err(refused.clone().into()),
            Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
            Step::Browse(url) => {
                let callback = browse(url)?;
                flow.handle_callback(&callback)?;
            }
            Step::ShowCode(code) => {
                if code.is_new() {
                    show(code);
                }
                sleep(code.remaining(SystemTime::now()));
                flow.handle_timeout()?;
            }
            Step::Done(session) => return Ok(session.clone()),
        }
    }
}
