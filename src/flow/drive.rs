//! The loop that every driver needs, without the I/O: the caller's transport does that.

pub mod blocking;
pub(crate) mod body;

use std::time::{Duration, SystemTime};

use http::{Request, Response};

use crate::error::Error;
use crate::flow::LoginFlow;
use crate::flow::shown_code::ShownCode;
use crate::flow::step::Step;
use crate::flow::wait::Wait;

/// What carries the requests of a login, on any HTTP client and any runtime. [`drive`] uses it.
///
/// The futures need not be `Send`. A future of [`drive`] over a transport whose futures are `Send` is `Send` itself, so
/// that a runtime with many threads can take it. The trait is not a set of closures, because a future over asynchronous
/// closures cannot be given to such a runtime.
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
///     async fn send(&mut self, _: Request<Vec<u8>>) -> Result<Response<&'static str>, Infallible> {
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

    /// Why a request has no response, or why the transport gives up. [`DriveError`] is an error only if this type is
    /// one; `Box<dyn Error>` is not.
    type Error;

    /// Sends a request and returns the response, whatever its status: a 4xx and a 5xx are responses too. Stops reading
    /// the body one byte after [`MAX_BODY`](crate::MAX_BODY).
    ///
    /// - **Redirects:** follow none, because the client would send the credentials on to wherever a server says. The
    ///   flow follows those of the well-known file itself.
    /// - **Time:** limit the whole exchange, the body included, because a silent server otherwise holds it for ever.
    /// - **Proxies:** many clients use the proxy that the environment names; on a machine with several users, decide
    ///   whether you want that.
    ///
    /// The [manual](crate#http-clients) has a table of the switches of some clients.
    fn send(&mut self, request: Request<Vec<u8>>) -> impl Future<Output = Result<Response<Self::Body>, Self::Error>>;

    /// Waits as long as the pause [says](Pause::remaining). A transport that does not want to wait so long, or so
    /// often, gives up with an error.
    fn pause(&mut self, pause: Pause<'_>) -> impl Future<Output = Result<(), Self::Error>>;

    /// The time. In a browser (`wasm32-unknown-unknown`) `SystemTime::now` panics: use JavaScript's `Date.now` there.
    fn now(&self) -> SystemTime;
}

/// Why a driver must wait before it goes on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Pause<'a> {
    /// The homeserver limits the rate.
    RateLimit(&'a Wait),
    /// The time until the next poll. The user has the code already, and enters it somewhere else.
    Poll(&'a ShownCode),
}

impl Pause<'_> {
    /// What is left of the pause at a given time; zero if it is over. A homeserver may ask for any time, a year for
    /// instance: decide how long you want to wait.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        match self {
            Self::RateLimit(wait) => wait.remaining(now),
            Self::Poll(code) => code.remaining(now),
        }
    }

    /// What is left of the pause at a given time, for a driver that does not wait for ever.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if the homeserver limits the rate for longer than `longest`, or more than `attempts` times in a row.
    /// Before a poll, if the pause is longer than `longest` and the code ends before it is over, or has no known end.
    pub fn remaining_within(&self, longest: Duration, attempts: u32, now: SystemTime) -> Result<Duration, TooLong> {
        let remaining = self.remaining(now);
        let is_too_long = match self {
            Self::RateLimit(wait) => remaining > longest || wait.attempt() > attempts,
            Self::Poll(code) => remaining > longest && !code.outlives(remaining, now),
        };
        if is_too_long { Err(TooLong { remaining }) } else { Ok(remaining) }
    }

    /// How often in a row the driver must wait for a request: 1 for the first time. The flow sets no limit: decide how
    /// often you wait. It is always 1 before a poll: the [end of the code](ShownCode::expires_at) limits the polls.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::RateLimit(wait) => wait.attempt(),
            Self::Poll(_) => 1,
        }
    }
}

/// A pause is longer than a driver wants to wait, or comes too often.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server asks to wait: try again in {} s", in_whole_seconds(*remaining))]
#[non_exhaustive]
pub struct TooLong {
    /// What is left of the pause.
    pub remaining: Duration,
}

/// Rounded up: a client that comes back a moment too early is limited again.
fn in_whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Why [`drive`] has stopped before a person was needed. The same step is still due: call it again, or stop. There is
/// one exception: after an error that owns a session ([`Error::MissingRefreshToken`], [`Error::WrongUser`]) the flow is
/// back at the question.
///
/// It is exhaustive on purpose: an error comes from the flow or from the transport.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DriveError<E> {
    /// The flow does not accept the response.
    #[error(transparent)]
    Flow(#[from] Error),
    /// The transport has no response, or gives up. If it does not want to wait so long, do not call again at once: it
    /// would only say so again.
    #[error(transparent)]
    Transport(E),
}

/// Runs a flow until a person is needed, or until the login is done. Returns the step that is due then:
/// [`Step::Locate`], [`Step::Choose`], [`Step::Browse`], [`Step::ShowCode`] or [`Step::Done`]. A refused password is a
/// [`Step::Choose`] too: it says what was refused.
///
/// It returns [`Step::ShowCode`] once for each code. Show the code, and call this function again: it polls until the
/// user has decided. It never polls before the [time](ShownCode::remaining) for that, and never after the server has
/// granted tokens. If a poll fails, this function returns the error, and the login goes on: call it again. It waits for
/// the [interval](ShownCode::interval) before it sends that poll again.
///
/// Dropping the future loses no step: the same one is due, and this function goes on from there. But a response that is
/// on its way is lost with the future. If it grants a login, a device stays in the user's list that nobody uses. With a
/// [device ID](crate::LoginSettings::with_device_id) of your own, the next login takes that device.
///
/// # Errors
///
/// [`DriveError`]. The same step is due then, with one exception: after an error that owns a session
/// ([`Error::MissingRefreshToken`], [`Error::WrongUser`]) the flow is back at the question. If the transport fails
/// during discovery, the caller can give up on that request with [`LoginFlow::handle_unreachable`].
pub async fn drive<'a, T: Transport>(
    flow: &'a mut LoginFlow,
    transport: &mut T,
) -> Result<Step<'a>, DriveError<T::Error>> {
    flow.put_off_poll(|| transport.now())?;
    // A code that is due now was returned by an earlier call.
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
