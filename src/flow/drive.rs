//! The loop that every driver needs. The caller's transport does the I/O.

pub mod blocking;
pub(crate) mod body;

use std::time::{Duration, SystemTime};

use http::{Request, Response};

use crate::error::Error;
use crate::flow::LoginFlow;
use crate::flow::shown_code::ShownCode;
use crate::flow::step::Step;
use crate::flow::wait::Wait;

/// Sends the requests of a login, with any HTTP client and any runtime. [`drive`] uses it.
///
/// The futures need not be `Send`. If they are `Send`, the future of [`drive`] is `Send` too, so that a runtime with
/// many threads can run it. This is a trait and not a set of closures, because the future of an asynchronous closure
/// cannot be required to be `Send`.
///
/// ```
/// use std::{convert::Infallible, time::SystemTime};
///
/// use http::{Request, Response};
/// use matrix_login::{Pause, Transport};
///
/// /// A homeserver that offers to log in with a password.
/// struct Scripted;
///
/// impl Transport for Scripted {
///     type Body = &'static str;
///     type Error = Infallible;
///
///     async fn send(
///         &mut self,
///         _: Request<Vec<u8>>,
///     ) -> Result<Response<&'static str>, Infallible> {
///         Ok(Response::new(r#"{"flows": [{"type": "m.login.password"}]}"#))
///     }
///
///     async fn pause(&mut self, _: Pause<'_>) -> Result<(), Infallible> {
///         Ok(())
///     }
///
///     fn now(&self) -> SystemTime {
///         SystemTime::now()
///     }
/// }
/// # let _ = Scripted;
/// ```
pub trait Transport {
    /// The body of a response. [`BodyCollector`](crate::BodyCollector) makes one from chunks.
    type Body: AsRef<[u8]>;

    /// Why a request has no response, or why the transport gives up. [`DriveError`] implements `std::error::Error` only
    /// if this type does. `Box<dyn Error>` does not.
    type Error;

    /// Sends a request and returns the response, whatever its status: a 4xx and a 5xx are responses too. Stops reading
    /// the body one byte after [`MAX_BODY`](crate::MAX_BODY).
    ///
    /// - **Redirects:** follow none. Otherwise the client would send the credentials to any address that a server
    ///   names. The flow itself follows redirects of the well-known file. Only `fetch` [in a
    ///   browser](crate#in-a-browser) may follow them too.
    /// - **Time:** limit the whole exchange, including the body. Otherwise a silent server could keep it open without
    ///   end.
    /// - **Proxies:** many clients use the proxy in the environment variables. On a machine with several users, decide
    ///   whether you want that.
    ///
    /// The [manual](crate#http-clients) has a table of the settings of some clients.
    fn send(&mut self, request: Request<Vec<u8>>) -> impl Future<Output = Result<Response<Self::Body>, Self::Error>>;

    /// Waits as long as the pause [says](Pause::remaining). A transport that does not want to wait so long, or so
    /// often, returns an error.
    fn pause(&mut self, pause: Pause<'_>) -> impl Future<Output = Result<(), Self::Error>>;

    /// The current time. In a browser (`wasm32-unknown-unknown`), `SystemTime::now` panics: use JavaScript's `Date.now`
    /// there.
    fn now(&self) -> SystemTime;
}

/// Why a driver must wait before it goes on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Pause<'a> {
    /// The homeserver limits the rate.
    RateLimit(&'a Wait),
    /// The next poll is not due yet. The user already has the code, and enters it on another device.
    Poll(&'a ShownCode),
}

impl Pause<'_> {
    /// How much of the pause is left at `now`. Zero if the pause is over. A homeserver can ask for any wait, for
    /// instance a year: decide how long you want to wait.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        match self {
            Self::RateLimit(wait) => wait.remaining(now),
            Self::Poll(code) => code.remaining(now),
        }
    }

    /// How much of the pause is left at `now`, for a driver that limits its waits.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if the homeserver limits the rate for longer than `longest`, or more than `attempts` times in a row.
    /// Before a poll, [`TooLong`] needs two things: the pause is longer than `longest`, and the code expires before the
    /// pause ends, or has no known end.
    pub fn remaining_within(&self, longest: Duration, attempts: u32, now: SystemTime) -> Result<Duration, TooLong> {
        let remaining = self.remaining(now);
        let is_too_long = match self {
            Self::RateLimit(wait) => remaining > longest || wait.attempt() > attempts,
            Self::Poll(code) => remaining > longest && !code.outlives(remaining, now),
        };
        if is_too_long { Err(TooLong { remaining }) } else { Ok(remaining) }
    }

    /// How often in a row the driver must wait for the same request, 1 for the first time. The flow has no limit:
    /// decide how often you wait. Before a poll it is always 1, since the [end of the code](ShownCode::expires_at)
    /// limits the polls.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::RateLimit(wait) => wait.attempt(),
            Self::Poll(_) => 1,
        }
    }
}

/// A pause is longer than the driver wants to wait, or there were too many pauses in a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server asks to wait too long or too often: try again in {} s", in_whole_seconds(*remaining))]
#[non_exhaustive]
pub struct TooLong {
    /// How much of the pause is left.
    pub remaining: Duration,
}

/// Rounds up: a client that sends the request a moment too early is limited again.
fn in_whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Why [`drive`] stopped before a person was needed. The same step is still due: call [`drive`] again, or give up.
/// There is one exception: if the error owns a session ([`Error::MissingRefreshToken`], [`Error::WrongUser`]), the flow
/// asks again how to log in.
///
/// This enum is exhaustive on purpose: an error comes from the flow or from the transport.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DriveError<E> {
    /// The flow does not accept the response.
    #[error(transparent)]
    Flow(#[from] Error),
    /// The transport got no response, or gave up. If the pause was too long for the transport, do not call [`drive`]
    /// again at once: the transport would only give up again.
    #[error(transparent)]
    Transport(E),
}

/// Runs a flow until a person is needed, or until the login is done. Returns the next step: [`Step::Locate`],
/// [`Step::Choose`], [`Step::Browse`], [`Step::ShowCode`] or [`Step::Done`]. A refused password is a [`Step::Choose`]
/// too, which contains the refusal.
///
/// This function returns [`Step::ShowCode`] once for each code. Show the code, and call this function again: it polls
/// until the user has decided. It never polls too [early](ShownCode::remaining), and never after the server has granted
/// tokens. If a poll fails, this function returns the error, but the login goes on: call this function again. It waits
/// for the [interval](ShownCode::interval) before it sends the poll again.
///
/// If you drop the future, no step is lost: the same step is due, and this function goes on from there. But a response
/// that is on its way is lost. If this response grants a login, an unused device stays in the user's list. With your
/// own [device ID](crate::LoginSettings::with_device_id), the next login uses this device.
///
/// # Errors
///
/// [`DriveError`]. Its page says which step is due then. If the transport fails during discovery, the caller can give
/// up on the request: call [`LoginFlow::handle_unreachable`] with the ID in [`Step::Send`].
pub async fn drive<'a, T: Transport>(
    flow: &'a mut LoginFlow,
    transport: &mut T,
) -> Result<Step<'a>, DriveError<T::Error>> {
    flow.put_off_poll(|| transport.now())?;
    // If a code is due now, an earlier call has already returned it.
    let is_shown = flow.shown_code().is_some();
    loop {
        let pause = match flow.step() {
            Step::Send { id, request } => {
                let response = transport.send(request).await.map_err(DriveError::Transport)?;
                flow.handle_response(id, &response, transport.now())?;
                continue;
            }
            Step::Wait(wait) => Pause::RateLimit(wait),
            Step::ShowCode(code) if is_shown => Pause::Poll(code),
            Step::Locate { .. } | Step::Choose { .. } | Step::Browse(_) | Step::ShowCode(_) | Step::Done(_) => break,
        };
        transport.pause(pause).await.map_err(DriveError::Transport)?;
        flow.handle_timeout()?;
    }
    Ok(flow.step())
}
