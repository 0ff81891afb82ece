//! E-mail addresses and phone numbers, in the form in which homeservers store them.

use crate::blank::{is_blank, trim};

/// An e-mail address without blanks at its ends, and with its domain in lower case. The domain is the part after the
/// last `@`. The part before it stays unchanged, since a mail server can treat capitals there as different.
pub(crate) fn email(address: &str) -> String {
    let address = trim(address);
    match address.rsplit_once('@') {
        Some((localpart, domain)) => format!("{localpart}@{}", domain.to_lowercase()),
        None => address.to_owned(),
    }
}

/// The digits of a phone number, without `+`, blanks and dashes. `None` if other characters are left, or no digits.
pub(crate) fn digits(number: &str) -> Option<String> {
    let is_filling = |character| matches!(character, '+' | '-' | '\u{2010}'..='\u{2015}') || is_blank(character);
    let digits = number.replace(is_filling, "");
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}
