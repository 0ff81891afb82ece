//! A wait because of a rate limit.

use std::time::{Duration, SystemTime};

use crate::endpoint::retry_after::backoff;
use crate::endpoint::server_error::ServerError;

const CENTURY: Duration = Duration::from_secs(3_155_760_000);

/// A wait that the homeserver asks for before it accepts the request that is due.
#[derive(Clone, Debug)]
pub struct Wait {
    received_at: SystemTime,
    delay: Duration,
    attempt: u32,
    error: ServerError,
}

impl Wait {
    /// A wait that is at least as long as `interval`.
    pub(crate) fn new(error: ServerError, attempt: u32, interval: Duration, received_at: SystemTime) -> Self {
        let asked = error.retry_after.and_then(|retry_after| retry_after.delay(received_at));
        let delay = asked.unwrap_or_else(|| backoff(attempt)).max(interval);
        // If a server asks for more than `SystemTime` can hold, the wait is a century.
        let delay = if received_at.checked_add(delay).is_some() { delay } else { delay.min(CENTURY) };
        Self { received_at, delay, attempt, error }
    }

    /// When the wait is over. If `SystemTime` cannot hold this time, the result is when the wait began.
    pub fn until(&self) -> SystemTime {
        self.received_at.checked_add(self.delay).unwrap_or(self.received_at)
    }

    /// How long the whole wait is, from the arrival of the response that asked for it.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// How much of the wait is left at `now`. Zero if the wait is over. It is never longer than the whole
    /// [delay](Self::delay), even if the clock was set back in the meantime.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        left(self.delay, self.received_at, now)
    }

    /// How often in a row the request was delayed, 1 for the first time. The flow never gives up, but the driver can.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The error in the response that asked for the wait.
    pub fn error(&self) -> &ServerError {
        &self.error
    }
}

/// How much is left at `now` of a delay that began at `since`. If the clock was set back, this treats it as stopped:
/// otherwise five seconds could become a day, or nothing.
pub(crate) fn left(delay: Duration, since: SystemTime, now: SystemTime) -> Duration {
    let elapsed = now.duration_since(since).unwrap_or(Duration::ZERO);
    delay.saturating_sub(elapsed)
}
