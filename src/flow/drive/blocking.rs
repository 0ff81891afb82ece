//! The loop of a driver, for transports that block.
//!
//! A whole program, with the HTTP client `ureq` 3:
//!
//! ```no_run
//! use std::{
//!     error::Error,
//!     io::{self, Read},
//!     thread,
//!     time::{Duration, SystemTime},
//! };
//!
//! use http::{Request, Response};
//! use matrix_login::{
//!     Choice, LoginFlow, LoginSettings, MAX_BODY, Password, Pause, Step, UserId,
//!     UserIdentifier, blocking,
//! };
//!
//! struct Client(ureq::Agent);
//!
//! impl blocking::Transport for Client {
//!     type Body = Vec<u8>;
//!     type Error = ureq::Error;
//!
//!     fn send(
//!         &mut self,
//!         request: Request<Vec<u8>>,
//!     ) -> Result<Response<Vec<u8>>, ureq::Error> {
//!         let (head, body) = self.0.run(request)?.into_parts();
//!         let mut bytes = Vec::new();
//!         // One byte more than the flow reads: the flow sees that the body is too long.
//!         body.into_reader().take(MAX_BODY as u64 + 1).read_to_end(&mut bytes)?;
//!         Ok(Response::from_parts(head, bytes))
//!     }
//!
//!     fn pause(&mut self, pause: Pause<'_>) -> Result<(), ureq::Error> {
//!         let remaining = pause.remaining_within(Duration::from_secs(60), 3, self.now());
//!         thread::sleep(remaining.map_err(io::Error::other)?);
//!         Ok(())
//!     }
//!
//!     fn now(&self) -> SystemTime {
//!         SystemTime::now()
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//!     // A 4xx and a 5xx are responses, and the client follows no redirects.
//!     let config = ureq::Agent::config_builder()
//!         .http_status_as_error(false)
//!         .max_redirects(0)
//!         .timeout_global(Some(Duration::from_secs(30)))
//!         .build();
//!     let mut client = Client(config.into());
//!
//!     let user_id: UserId = "@alice:example.org".parse()?;
//!     // If you know the address of the homeserver, use `LoginFlow::at`.
//!     let mut flow = LoginFlow::discover(user_id.server_name(), LoginSettings::default());
//!     if let Step::Choose { .. } = blocking::drive(&mut flow, &mut client)? {
//!         let user = UserIdentifier::from(&user_id);
//!         flow.choose(Choice::password(user, Password::new("correct horse")))?;
//!     }
//!     match blocking::drive(&mut flow, &mut client)? {
//!         Step::Done(session) => println!("logged in, device ID {}", session.device_id()),
//!         Step::Choose { refused: Some(refused), .. } => return Err(refused.clone().into()),
//!         Step::Locate { failure, .. } => return Err(failure.clone().into()),
//!         step => return Err(format!("a person is needed: {step:?}").into()),
//!     }
//!     Ok(())
//! }
//! ```

use std::time::SystemTime;

use http::{Request, Response};

use crate::flow::LoginFlow;
use crate::flow::drive::{DriveError, Pause};
use crate::flow::step::Step;

/// Sends the requests of a login, with an HTTP client that blocks. [`drive`] uses it.
///
/// The methods and their rules are the same as in the asynchronous [`Transport`](crate::Transport).
pub trait Transport {
    /// The body of a response. [`BodyCollector`](crate::BodyCollector) makes one from chunks.
    type Body: AsRef<[u8]>;

    /// Why a request has no response, or why the transport gives up. [`DriveError`] implements `std::error::Error` only
    /// if this type does. `Box<dyn Error>` does not.
    type Error;

    /// Sends a request and returns the response, by the rules of the asynchronous [`send`](crate::Transport::send).
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

    /// The current time.
    fn now(&self) -> SystemTime;
}

/// Runs a flow until a person is needed, or until the login is done. Returns the next step, as the asynchronous
/// [`drive`](crate::drive()) does.
///
/// # Errors
///
/// [`DriveError`], as for the asynchronous [`drive`](crate::drive()).
pub fn drive<'a, T: Transport>(flow: &'a mut LoginFlow, transport: &mut T) -> Result<Step<'a>, DriveError<T::Error>> {
    flow.put_off_poll(|| transport.now())?;
    // If a code is due now, an earlier call has already returned it.
    let is_shown = flow.shown_code().is_some();
    loop {
        let pause = match flow.step() {
            Step::Send { id, request } => {
                let response = transport.send(request).map_err(DriveError::Transport)?;
                flow.handle_response(id, &response, transport.now())?;
                continue;
            }
            Step::Wait(wait) => Pause::RateLimit(wait),
            Step::ShowCode(code) if is_shown => Pause::Poll(code),
            Step::Locate { .. } | Step::Choose { .. } | Step::Browse(_) | Step::ShowCode(_) | Step::Done(_) => break,
        };
        transport.pause(pause).map_err(DriveError::Transport)?;
        flow.handle_timeout()?;
    }
    Ok(flow.step())
}
