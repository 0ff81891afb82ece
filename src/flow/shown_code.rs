//! A code that a device shows.

use std::time::{Duration, SystemTime};

use url::Url;

use crate::endpoint::oauth::device_authorization;
use crate::flow::wait::left;

/// After `slow_down`, the time between two polls must be this much longer (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// A code that the user enters on a page, in a browser on any device.
///
/// It contains no secret: the flow does not show the device code.
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

    /// The same code after a response to a poll. The response can ask for a longer wait before the next poll.
    pub(crate) fn polled(self, retry_after: Option<Duration>, received_at: SystemTime) -> Self {
        let delay = retry_after.unwrap_or_default().max(self.interval);
        Self { delay, received_at, is_new: false, ..self }
    }

    /// The same code, with more time between two polls from now on.
    pub(crate) fn slower(self) -> Self {
        let interval = self.interval.saturating_add(SLOWER);
        Self { interval, ..self }
    }

    /// Whether the code has expired at a given time.
    pub(crate) fn has_ended(&self, time: SystemTime) -> bool {
        self.expires_at.is_some_and(|end| end <= time)
    }

    /// Whether the code has just arrived, and no poll has had a response yet. If you show the code only once, show it
    /// now.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether the code is still valid at a poll after a pause. `false` if it is not known when the code expires.
    pub(crate) fn outlives(&self, pause: Duration, now: SystemTime) -> bool {
        self.expires_at.zip(now.checked_add(pause)).is_some_and(|(end, poll)| poll < end)
    }

    /// The code that the user enters. The text comes from the server: show it with [`one_line`](crate::one_line).
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// The address of the page where the user enters the code. Some servers redirect it to a page on another host.
    pub fn verification_uri(&self) -> &Url {
        &self.verification_uri
    }

    /// The same address with the code in it, for a QR code. Some servers do not send it. Always show the plain address
    /// and the code too.
    pub fn verification_uri_complete(&self) -> Option<&Url> {
        self.verification_uri_complete.as_ref()
    }

    /// How long the code is valid after its arrival. `None` if the server does not say it.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// When the code expires. `None` if the server does not say it, or if `SystemTime` cannot hold the time.
    ///
    /// The flow has no clock, so it learns that the code has expired from the response to the next poll. A driver that
    /// does not want to wait for this response goes [back](crate::LoginFlow::back). If the clock is set ahead during
    /// the login, the code seems to expire early.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// How long to wait between two polls: as long as the server asked for, or five seconds. After each `slow_down`, it
    /// is five seconds more (RFC 8628, section 3.5). If a poll fails, wait for this interval before you send it again.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How long to wait between the last response and the next poll: the interval, or longer if the last response asked
    /// for a longer wait.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// How much of the [delay](Self::delay) is left at `now`. Zero if the delay is over.
    ///
    /// If the clock was set back since the last response, this returns the whole delay. If the clock was set ahead, the
    /// difference looks like time that has passed. So call this once, right after the response, and sleep for the
    /// result.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        left(self.delay, self.received_at, now)
    }
}
