//! How long a server asks to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header::RETRY_AFTER};

/// When a server takes the request again, as it said: the header `Retry-After` (RFC 9110, section 10.2.3), or else
/// `retry_after_ms` of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long after its answer.
    Delay(Duration),
    /// Not before a time of day. It is the server's clock that says so.
    At(SystemTime),
}

impl RetryAfter {
    /// How long to wait from the moment when the answer arrived; zero if the time is past.
    #[must_use]
    pub fn delay(self, received_at: SystemTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.duration_since(received_at).unwrap_or(Duration::ZERO),
        }
    }

    /// What the header says, if it can be understood: seconds or an IMF-fixdate.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        match number(text) {
            Some(seconds) => Some(Self::Delay(Duration::from_secs(seconds))),
            None => imf_fixdate(text).map(Self::At),
        }
    }
}

/// Digits only: `parse` alone would also take a plus sign.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7). The day's name is not compared with the date.
fn imf_fixdate(text: &str) -> Option<SystemTime> {
    let (day_name, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let [day, month, year, time, zone] = std::array::from_fn(|_| parts.next().unwrap_or(""));
    let mut clock = time.split(':');
    let [hour, minute, second] = std::array::from_fn(|_| clock.next().unwrap_or(""));
    let digits = |text: &str, length: usize| if text.len() == length { number(text) } else { None };

    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let (day, year) = (digits(day, 2)?, digits(year, 4)?);
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    let valid = day_name.len() == 3
        && zone == "GMT"
        && parts.next().is_none()
        && clock.next().is_none()
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    let seconds = days?.checked_mul(86_400)?.checked_add(hour.checked_mul(3_600)?)?;
    let seconds = seconds.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The days from the epoch to a date of the Gregorian calendar; zero for dates before it, which are past in any case.
/// The month counts from zero.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    // With the year beginning in March, the leap day is its last and the months' lengths repeat every five.
    let (shifted_year, shifted_month) = match month.checked_sub(2) {
        Some(from_march) => (year, from_march),
        None => (year.checked_sub(1)?, month.checked_add(10)?),
    };
    let leap_days = (shifted_year / 4).checked_sub(shifted_year / 100)?.checked_add(shifted_year / 400)?;
    let day_of_year = shifted_month.checked_mul(153)?.checked_add(2)? / 5;
    let days = shifted_year.checked_mul(365)?.checked_add(leap_days)?.checked_add(day_of_year)?.checked_add(day)?;
    // The 1st of January 1970, counted in the same way.
    Some(days.saturating_sub(719_469))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        imf_fixdate(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn dates_are_read() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:60 GMT"), Some(1_709_251_200));
        assert_eq!(seconds("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200));
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:59 GMT"), Some(253_402_300_799));
        assert_eq!(seconds("Tue, 31 Dec 1968 00:00:00 GMT"), Some(0));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "soon",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov +994 08:49:37 GMT",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
