//! How long a server asks to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// When a server takes the request again, as it said: the header `Retry-After` (RFC 9110, section 10.2.3), or else
/// `retry_after_ms` of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// So long after its response.
    Delay(Duration),
    /// Not before a time of day. It is the server's clock that says so.
    At(SystemTime),
}

impl RetryAfter {
    /// How long to wait from the moment when the response arrived; zero if the time is past.
    pub fn delay(self, received_at: SystemTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.duration_since(received_at).unwrap_or(Duration::ZERO),
        }
    }

    /// What the header says, if it can be understood: seconds or an IMF-fixdate.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(RETRY_AFTER).iter().find_map(|value| {
            let text = value.to_str().ok()?.trim();
            let delay = number(text).map(|seconds| Self::Delay(Duration::from_secs(seconds)));
            delay.or_else(|| imf_fixdate(text).map(Self::At))
        })
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

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7). The day's name is not compared with the date. What
/// was before the epoch is the epoch: past in any case.
fn imf_fixdate(text: &str) -> Option<SystemTime> {
    // Every part has its place: all of them are as long in any date.
    let part = |start: usize, length: usize| text.get(start..start.saturating_add(length));
    let digits = |start, length| number(part(start, length)?);
    let separators = [(3, ", "), (7, " "), (11, " "), (16, " "), (19, ":"), (22, ":"), (25, " GMT")];
    if text.len() != 29 || separators.iter().any(|(start, separator)| part(*start, separator.len()) != Some(separator))
    {
        return None;
    }

    let month = MONTHS.iter().position(|name| part(8, 3) == Some(name))?;
    let (day, year) = (digits(5, 2)?, digits(12, 4)?);
    let (hour, minute, second) = (digits(17, 2)?, digits(20, 2)?, digits(23, 2)?);
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last_day = if month == 1 && is_leap_year { 29 } else { *DAYS.get(month)? };
    if !(1..=last_day).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let Some(years) = year.checked_sub(1970) else { return Some(UNIX_EPOCH) };
    // The leap days of the years before: every fourth, but of the hundredth only every fourth.
    let before = year.checked_sub(1)?;
    let leap_days = (before / 4).checked_sub(before / 100)?.checked_add(before / 400)?.checked_sub(477)?;
    let leap_day = u64::from(month > 1 && is_leap_year);
    let days_of_months: u64 = DAYS.iter().take(month).sum();
    let days = [years.checked_mul(365)?, leap_days, days_of_months, leap_day, day.checked_sub(1)?];
    let seconds =
        [days.iter().sum::<u64>().checked_mul(86_400)?, hour.checked_mul(3_600)?, minute.checked_mul(60)?, second];
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds.iter().sum()))
}
