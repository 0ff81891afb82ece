//! A wait that a homeserver asks for.

use std::time::{Duration, SystemTime};

use crate::endpoint::retry_after::backoff;
use crate::endpoint::server_error::ServerError;

const CENTURY: Duration = Duration::from_secs(3_155_760_000);

/// A wait that the homeserver asks for before it takes the request that is due.
#[derive(Clone, Debug)]
pub struct Wait {
    until: SystemTime,
    delay: Duration,
    attempt: u32,
    error: ServerError,
}

impl Wait {
    pub(crate) fn new(error: ServerError, attempt: u32, received_at: SystemTime) -> Self {
        let asked = error.retry_after.and_then(|retry_after| retry_after.delay(received_at));
        let delay = asked.unwrap_or_else(|| backoff(attempt));
        // A server may ask for more than time can hold: then a century will do.
        let until = received_at.checked_add(delay).or_else(|| received_at.checked_add(CENTURY));
        let until = until.unwrap_or(received_at);
        let delay = until.duration_since(received_at).unwrap_or(Duration::ZERO);
        Self { until, delay, attempt, error }
    }

    /// When the wait is over.
    pub fn until(&self) -> SystemTime {
        self.until
    }

    /// How long the wait is, from the arrival of the response that asked for it.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// What is left of the wait at a given time; zero if it is over. It is never more than the whole
    /// [delay](Self::delay), also if the clock was set back in between.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.until.duration_since(now).unwrap_or(Duration::ZERO).min(self.delay)
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
