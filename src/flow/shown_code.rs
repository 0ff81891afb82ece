//! A code that a device shows.

use std::time::{Duration, SystemTime};

use url::Url;

use crate::endpoint::oauth::device_authorization;
use crate::flow::wait::left;

/// A server that is asked too often wants this much more time between two requests (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// A code that the user enters on a page, in a browser on any device.
///
/// It contains no secret: the flow keeps the device code to itself.
#[derive(Clone, Debug)]
pub struct ShownCode {
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    expires_in: Option<Duration>,
    expires_at: Option<SystemTime>,
    interval: Duration,
    delay: Duration,
    received_at: SystemTime,
    is_new: bool,
}

impl ShownCode {
    pub(crate) fn new(granted: device_authorization::Response, received_at: SystemTime) -> Self {
        let device_authorization::Response { user_code, verification_uri, verification_uri_complete, .. } = granted;
        let (expires_in, interval) = (granted.expires_in, granted.interval);
        let expires_at = expires_in.and_then(|expires_in| received_at.checked_add(expires_in));
        Self {
            user_code,
            verification_uri,
            verification_uri_complete,
            expires_in,
            expires_at,
            interval,
            delay: interval,
            received_at,
            is_new: true,
        }
    }

    /// The same code after a response to a poll, which may have asked for more time before the next one.
    pub(crate) fn polled(self, retry_after: Option<Duration>, received_at: SystemTime) -> Self {
        let delay = retry_after.unwrap_or_default().max(self.interval);
        Self { delay, received_at, is_new: false, ..self }
    }

    /// The same code with more time between two polls from now on.
    pub(crate) fn slower(self) -> Self {
        let interval = self.interval.saturating_add(SLOWER);
        Self { interval, ..self }
    }

    /// Whether the code had ended at a given time.
    pub(crate) fn has_ended(&self, time: SystemTime) -> bool {
        self.expires_at.is_some_and(|end| end <= time)
    }

    /// Whether the code has just arrived: no poll has had a response yet. Show it now if you show it once.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether a poll after a pause still finds the code alive. If nobody knows when the code ends, it does not.
    pub(crate) fn outlives(&self, pause: Duration, now: SystemTime) -> bool {
        self.expires_at.zip(now.checked_add(pause)).is_some_and(|(end, poll)| poll < end)
    }

    /// What the user enters. The text comes from the server: show it through [`one_line`](crate::one_line).
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the user enters it. Some servers redirect from here to a page with another name.
    pub fn verification_uri(&self) -> &Url {
        &self.verification_uri
    }

    /// The same address with the code in it, for a QR code. Some servers do not give it. Always show the plain address
    /// and the code too.
    pub fn verification_uri_complete(&self) -> Option<&Url> {
        self.verification_uri_complete.as_ref()
    }

    /// How long the code can be used, from its arrival on. `None` if the server does not say so.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// When the code ends. `None` if the server does not say so, or if time cannot hold it. The flow has no clock: it
    /// learns of the end with the response to the next poll. A driver that does not want to wait for that goes
    /// [back](crate::LoginFlow::back). A clock that is set ahead during the login ends the code early.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// How long to wait between two polls: what the server asked for, or five seconds, and five seconds more after each
    /// `slow_down` (RFC 8628, section 3.5). After a poll that failed, wait for this interval before
    /// you send it again.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How long to wait from the last response to the next poll: the interval, or longer if the last response asked for
    /// that.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// What is left of the [delay](Self::delay) at a given time; zero if it is over. It is never more than the whole
    /// delay, and a clock that was set back since the last response makes it no shorter. A clock that was set ahead
    /// looks like time that has passed: call this once, right after the response, and
    /// sleep for the result.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        left(self.delay, self.received_at, now)
    }
}
