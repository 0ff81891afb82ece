//! `Retry-After` as a date: which texts are one, and that any other text says nothing.

use std::time::{Duration, UNIX_EPOCH};

use matrix_login::{RetryAfter, ServerError};

use crate::support::scenario::answer;

/// What the header of a 429 says.
fn read(text: &str) -> Option<RetryAfter> {
    ServerError::from_response(&answer(429, &[("retry-after", text)], "")).unwrap().retry_after
}

#[test]
fn dates_are_read() {
    for (text, seconds) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
        ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ("Tue, 31 Dec 1968 23:59:59 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", 0),
        ("Wed, 01 Mar 2000 00:00:01 GMT", 951_868_801),
        ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ("Mon, 01 Jan 0000 00:00:00 GMT", 0),
    ] {
        assert_eq!(read(text), Some(RetryAfter::At(UNIX_EPOCH + Duration::from_secs(seconds))), "{text}");
    }
}

#[test]
fn what_is_not_a_date_says_nothing() {
    for text in [
        "",
        "soon",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 2100 00:00:00 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 06 Nov 1994 08:49:37:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov +994 08:49:37 GMT",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    // Behind the name of the day every byte counts.
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for index in 3..date.len() {
        let text = format!("{}*{}", &date[..index], &date[index + 1..]);
        assert_eq!(read(&text), None, "{text}");
    }
}
