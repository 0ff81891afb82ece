//! A date in a header, in one of the three formats of HTTP (RFC 9110, section 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The three formats, without the name of the day: IMF-fixdate, and two obsolete ones that a recipient must still read.
/// `_` is a digit or a space.
const FORMATS: [&str; 3] = [", DD MMM YYYY hh:mm:ss GMT", ", DD-MMM-YY hh:mm:ss GMT", " MMM _D hh:mm:ss YYYY"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads a date. The name of the day is not compared with the date. A date before the epoch becomes the epoch: both are
/// in the past.
pub(crate) fn read(text: &str) -> Option<SystemTime> {
    let date = text.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    let names_a_day = date.len() < text.len();
    FORMATS.iter().filter(|_| names_a_day).find_map(|format| Date::read(date, format))?.time()
}

#[derive(Default)]
struct Date {
    year: u64,
    month: String,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Date {
    fn read(text: &str, format: &str) -> Option<Self> {
        if text.len() != format.len() {
            return None;
        }
        let mut date = Self::default();
        for (byte, part) in text.bytes().zip(format.bytes()) {
            let number = match part {
                b'Y' => &mut date.year,
                b'D' => &mut date.day,
                b'h' => &mut date.hour,
                b'm' => &mut date.minute,
                b's' => &mut date.second,
                b'_' if byte.is_ascii_digit() => &mut date.day,
                b'_' if byte == b' ' => continue,
                b'M' if date.month.len() < 3 => {
                    date.month.push(char::from(byte));
                    continue;
                }
                _ if byte == part => continue,
                _ => return None,
            };
            let digit = char::from(byte).to_digit(10)?;
            *number = number.saturating_mul(10).saturating_add(u64::from(digit));
        }
        // RFC 9110 chooses the century from today's date. This crate has no clock. Until 2070, the fixed rule gives
        // another result only for dates that are more than 40 years away.
        if !format.contains("YYYY") {
            date.year = date.year.saturating_add(if date.year < 70 { 2000 } else { 1900 });
        }
        Some(date)
    }

    fn time(&self) -> Option<SystemTime> {
        let month = MONTHS.iter().position(|name| *name == self.month)?;
        let is_leap_year = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let last_day = if month == 1 && is_leap_year { 29 } else { *DAYS.get(month)? };
        if !(1..=last_day).contains(&self.day) || self.hour > 23 || self.minute > 59 || self.second > 60 {
            return None;
        }
        let Some(years) = self.year.checked_sub(1970) else { return Some(UNIX_EPOCH) };
        // The leap days of the years before: every fourth year has one, but of the years that end in 00 only every
        // fourth.
        let before = self.year.checked_sub(1)?;
        let leap_days = (before / 4).checked_sub(before / 100)?.checked_add(before / 400)?.checked_sub(477)?;
        let leap_day = u64::from(month > 1 && is_leap_year);
        let days_of_months: u64 = DAYS.iter().take(month).sum();
        let days = [years.checked_mul(365)?, leap_days, days_of_months, leap_day, self.day.checked_sub(1)?];
        let days = days.iter().sum::<u64>();
        let seconds = [days.checked_mul(86_400)?, self.hour.checked_mul(3_600)?, self.minute.checked_mul(60)?];
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds.iter().sum::<u64>().checked_add(self.second)?))
    }
}
