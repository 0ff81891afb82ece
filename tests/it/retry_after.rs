//! `Retry-After` as a date: which texts are dates. Any other text says nothing.

use std::time::{Duration, UNIX_EPOCH};

use matrix_login::{RetryAfter, ServerError};

use crate::support::scenario::served;

/// What the header of a 429 says.
fn read(text: &str) -> Option<RetryAfter> {
    ServerError::from_response(&served(429, &[("retry-after", text)], "")).unwrap().retry_after
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
        ("Tue, 29 Feb 2400 00:00:00 GMT", 13_574_563_200),
        ("Mon, 01 Jan 0000 00:00:00 GMT", 0),
        // The two obsolete formats. A year of two digits is one from 1970 to 2069.
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
        ("Sun Nov  6 08:49:37 1994", 784_111_777),
        ("Thu Feb 29 23:59:60 2024", 1_709_251_200),
        ("Friday, 01-Mar-24 00:00:00 GMT", 1_709_251_200),
        ("Thursday, 01-Jan-70 00:00:01 GMT", 1),
        ("Tuesday, 31-Dec-69 23:59:59 GMT", 3_155_759_999),
    ] {
        assert_eq!(read(text), Some(RetryAfter::At(UNIX_EPOCH + Duration::from_secs(seconds))), "{text}");
    }
}

#[test]
fn a_date_counts_from_the_date_of_its_response() {
    let read = |date: &str, retry_after: &str| {
        let response = served(429, &[("date", date), ("retry-after", retry_after)], "");
        ServerError::from_response(&response).unwrap().retry_after
    };
    let later = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (date, seconds) in [
        ("Sun, 06 Nov 1994 08:49:07 GMT", 30),
        (" Sun, 06 Nov 1994 08:49:07 GMT ", 30),
        ("Sunday, 06-Nov-94 08:49:36 GMT", 1),
        ("Sun Nov  6 07:49:37 1994", 3_600),
    ] {
        assert_eq!(read(date, later), Some(RetryAfter::Delay(Duration::from_secs(seconds))), "{date}");
    }
    assert_eq!(read(later, later), None, "the present is not a hint");
    assert_eq!(read("Sun, 06 Nov 1994 08:49:38 GMT", later), None, "the past is not a hint");
    let at = UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(read("yesterday", later), Some(RetryAfter::At(at)), "a date that cannot be read does not count");
    assert_eq!(read(later, "7"), Some(RetryAfter::Delay(Duration::from_secs(7))));
}

#[test]
fn zero_and_the_past_are_not_a_hint() {
    assert_eq!(read("0"), None);
    let body = |body: &str| ServerError::from_response(&served(429, &[], body)).unwrap().retry_after;
    assert_eq!(body(r#"{"retry_after_ms":0}"#), None);
    assert_eq!(body(r#"{"retry_after_ms":-5}"#), None);
    assert_eq!(body(r#"{"retry_after_ms":0.4}"#), Some(RetryAfter::Delay(Duration::from_millis(1))));

    let date = read("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    let at = UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(date.delay(at - Duration::from_secs(3)), Some(Duration::from_secs(3)));
    assert_eq!(date.delay(at), None);
    assert_eq!(date.delay(at + Duration::from_secs(3)), None);
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
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 06 Nov 1994 08:49:37:00 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37",
        "Sunday, 32-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov    08:49:37 1994",
        ", 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    // A date with one wrong byte is not read.
    for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov 16 08:49:37 1994"] {
        for index in 0..date.len() {
            let text = format!("{}*{}", &date[..index], &date[index + 1..]);
            assert_eq!(read(&text), None, "{text}");
        }
    }
}

#[test]
fn a_header_that_is_not_text_says_nothing() {
    // `Ã` has no byte in ASCII.
    assert_eq!(read("Ã"), None);
    let date = |date: &str| {
        let headers = [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), ("date", date)];
        ServerError::from_response(&served(429, &headers, "")).unwrap().retry_after
    };
    assert_eq!(date("Ã"), read("Sun, 06 Nov 1994 08:49:37 GMT"));
}
