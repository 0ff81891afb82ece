//! The same loop for transports that block.

use std::time::SystemTime;

use http::{Request, Response};

use crate::flow::LoginFlow;
use crate::flow::drive::{DriveError, Pause};
use crate::flow::step::Step;

/// What carries the requests of a login, on a client that blocks. [`drive`] uses it.
///
/// Its methods are those of the asynchronous [`Transport`](crate::Transport), and the same rules hold for them.
pub trait Transport {
    /// The body of a response. [`BodyCollector`](crate::BodyCollector) makes one from chunks.
    type Body: AsRef<[u8]>;

    /// Why a request has no response, or why the transport gives up.
    type Error;

    /// Sends a request and returns the response, whatever its status: a 4xx and a 5xx are responses too. Follows **no
    /// redirects**. Stops reading the body one byte after [`MAX_BODY`](crate::MAX_BODY).
    ///
    /// # Errors
    ///
    /// Why there is no response.
    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Self::Body>, Self::Error>;

    /// Waits as long as the pause [says](Pause::remaining).
    ///
    /// # Errors
    ///
    /// Why the transport gives up: it does not want to wait so long, or so often.
    fn pause(&mut self, pause: Pause<'_>) -> Result<(), Self::Error>;

    /// The time.
    fn now(&self) -> SystemTime;
}

/// Runs a flow until a person is needed or until the login is done: see [`drive`](crate::drive()).
///
/// # Errors
///
/// [`DriveError`], as [`drive`](crate::drive()) has it.
pub fn drive<T: Transport>(flow: &mut LoginFlow, transport: &mut T) -> Result<(), DriveError<T::Error>> {
    loop {
        match flow.step() {
            Step::Send { id, request } => {
                let response = transport.send(request).map_err(DriveError::Transport)?;
                flow.handle_response(id, &response, transport.now()).map_err(DriveError::Flow)?;
            }
            Step::Wait(wait) => {
                transport.pause(Pause::RateLimit(wait)).map_err(DriveError::Transport)?;
                flow.handle_timeout().map_err(DriveError::Flow)?;
            }
            Step::Locate { .. } | Step::Choose { .. } | Step::Browse(_) | Step::Done(_) => return Ok(()),
        }
    }
}
