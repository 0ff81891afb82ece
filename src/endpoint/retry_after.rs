//! How long a server asks a client to wait.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::endpoint::http_date;

/// When a server accepts a request again. The server says so in the header `Retry-After` (RFC 9110, section 10.2.3), or
/// else in `retry_after_ms` of its error. A wait of zero is treated as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// This long after the response. A date becomes a delay if the response also says what the clock of the server
    /// shows (`Date`).
    Delay(Duration),
    /// Not before this time, by the clock of the server. The response does not say what that clock shows.
    At(SystemTime),
}

impl RetryAfter {
    /// How long to wait after `received_at`, the time when the response arrived. `None` if the time is already past.
    /// Then choose the wait as if the server had said nothing.
    pub fn delay(self, received_at: SystemTime) -> Option<Duration> {
        let delay = match self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.duration_since(received_at).ok()?,
        };
        Some(delay).filter(|delay| !delay.is_zero())
    }

    /// The wait that the headers ask for, in seconds or as a date. `None` if it is absent, zero or not readable.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(RETRY_AFTER).iter().find_map(|value| {
            let text = value.to_str().ok()?.trim();
            if let Some(seconds) = number(text) {
                return Self::after(Duration::from_secs(seconds));
            }
            let end = http_date::read(text)?;
            match headers.get(DATE).and_then(|date| http_date::read(date.to_str().ok()?.trim())) {
                Some(now) => Self::after(end.duration_since(now).ok()?),
                None => Some(Self::At(end)),
            }
        })
    }

    /// A delay, unless it is zero.
    pub(crate) fn after(delay: Duration) -> Option<Self> {
        (!delay.is_zero()).then_some(Self::Delay(delay))
    }
}

/// How long to wait if the server does not say so. `attempt` is the number of tries so far. The wait is one second
/// after the first try, then twice as long each time, up to a minute.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt.saturating_sub(1)).min(60))
}

/// A number of digits only: `parse` alone would also accept a plus sign. A number that is too large becomes the largest
/// `u64`.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}
