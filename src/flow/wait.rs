//! A wait that a homeserver asks for.

use std::time::{Duration, SystemTime};

use crate::endpoint::retry_after::backoff;
use crate::endpoint::server_error::ServerError;

const CENTURY: Duration = Duration::from_secs(3_155_760_000);

/// A wait that the homeserver asks for before it takes the request that is due.
#[derive(Clone, Debug)]
pub struct Wait {
    received_at: SystemTime,
    delay: Duration,
    attempt: u32,
    error: ServerError,
}

impl Wait {
    /// A wait of a length that is at least `interval`.
    pub(crate) fn new(error: ServerError, attempt: u32, interval: Duration, received_at: SystemTime) -> Self {
        let asked = error.retry_after.and_then(|retry_after| retry_after.delay(received_at));
        let delay = asked.unwrap_or_else(|| backoff(attempt)).max(interval);
        // A server may ask for more than time can hold: then a century will do.
        let delay = if received_at.checked_add(delay).is_some() { delay } else { delay.min(CENTURY) };
        Self { received_at, delay, attempt, error }
    }

    /// When the wait is over. If time cannot hold that, it is when the wait began.
    pub fn until(&self) -> SystemTime {
        self.received_at.checked_add(self.delay).unwrap_or(self.received_at)
    }

    /// How long the wait is, from the arrival of the response that asked for it.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// What is left of the wait at a given time; zero if it is over. It is never more than the whole
    /// [delay](Self::delay), also if the clock was set back in between.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        left(self.delay, self.received_at, now)
    }

    /// How often in a row the request was put off: 1 for the first time. The flow never gives up; the driver may.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What the server said.
    pub fn error(&self) -> &ServerError {
        &self.error
    }
}

/// What is left at `now` of a delay that began at a given time. A clock that was set back counts as one that stood
/// still: otherwise five seconds could become a day, or nothing.
pub(crate) fn left(delay: Duration, since: SystemTime, now: SystemTime) -> Duration {
    let elapsed = now.duration_since(since).unwrap_or(Duration::ZERO);
    delay.saturating_sub(elapsed)
}
