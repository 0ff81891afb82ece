//! How long a server asks to wait.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::endpoint::http_date;

/// When a server takes the request again, as it said: the header `Retry-After` (RFC 9110, section 10.2.3), or else
/// `retry_after_ms` of its error. A wait of zero is not a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// So long after its response. A date is one too, if the response says what the server's clock shows (`Date`).
    Delay(Duration),
    /// Not before a time of day, by the server's clock. The response does not say what that clock shows.
    At(SystemTime),
}

impl RetryAfter {
    /// How long to wait from the moment when the response arrived. `None` if the time is past: that is not a hint. Wait
    /// as long as you would without one.
    pub fn delay(self, received_at: SystemTime) -> Option<Duration> {
        let delay = match self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.duration_since(received_at).ok()?,
        };
        Some(delay).filter(|delay| !delay.is_zero())
    }

    /// What the headers say, if that is a hint and can be understood: seconds or a date.
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

/// How long to wait where the server does not say so, by the number of tries so far: one second, then twice as long
/// each time, up to a minute.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt.saturating_sub(1)).min(60))
}

/// Digits only: `parse` alone would also take a plus sign. More of them than fit are the largest number.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}
