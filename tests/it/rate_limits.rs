//! Rate limits: how long to wait, how often, and when the count starts over.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Response;
use matrix_login::{DiscoveryOutcome, Error, Pause, Refresh, ResponseError, RetryAfter, Step};

use crate::refresh::{session, stored};
use crate::support::scenario::{
    CALLBACK, FORBIDDEN, GRANTED, HOMESERVER, LOGIN_URL, OFFERS, Scenario, VERSIONS, VERSIONS_URL, noon, password,
    respond, served, sso,
};

fn limited(headers: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
    served(429, headers, body)
}

#[test]
fn after_the_wait_the_same_request_is_due() {
    let mut story = Scenario::logging_in();
    let request = crate::support::replay::step_line(&story.flow.step(), noon());
    story.responds_with(limited(&[("retry-after", "3")], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2987}"#));
    story.waits(3_000, 1);
    assert_eq!(story.wait().until(), noon() + Duration::from_secs(3));
    assert_eq!(story.wait().error().errcode.as_deref(), Some("M_LIMIT_EXCEEDED"));
    story.timeout();
    assert_eq!(crate::support::replay::step_line(&story.flow.step(), noon()), request);
    story.responds(200, GRANTED).session();
}

#[test]
fn a_hint_says_how_long_to_wait() {
    const LIMIT: &str = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests"}"#;
    for (headers, body, milliseconds) in [
        // The header counts first. Browsers see only the body.
        (&[("retry-after", "3")][..], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":9000}"#, 3_000),
        (&[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2987}"#, 2_987),
        // Zero is not a hint: the body counts, or else the growing wait without a hint.
        (&[("retry-after", "0")], LIMIT, 1_000),
        (&[("retry-after", "0")], r#"{"retry_after_ms":5000}"#, 5_000),
        (&[("retry-after", "0"), ("retry-after", "9")], LIMIT, 9_000),
        (&[("retry-after", " 7 ")], LIMIT, 7_000),
        (&[("retry-after", "7"), ("retry-after", "9")], LIMIT, 7_000),
        // A date is compared with the time when the response arrived, or with the date of the response.
        (&[("retry-after", "Mon, 23 Nov 2026 12:01:30 GMT")], LIMIT, 90_000),
        (&[("retry-after", "Mon, 23 Nov 2026 11:00:00 GMT")], LIMIT, 1_000),
        (&[("retry-after", "Monday, 23-Nov-26 12:01:30 GMT")], LIMIT, 90_000),
        (&[("retry-after", "Mon Nov 23 12:01:30 2026")], LIMIT, 90_000),
        (&[("date", "Mon, 23 Nov 2026 11:00:00 GMT"), ("retry-after", "Mon, 23 Nov 2026 11:00:05 GMT")], LIMIT, 5_000),
        (
            &[("date", "Mon, 23 Nov 2026 11:00:00 GMT"), ("retry-after", "Mon, 23 Nov 2026 10:59:00 GMT")],
            r#"{"retry_after_ms":5000}"#,
            5_000,
        ),
        // A header that cannot be read does not count.
        (&[("retry-after", "soon")], r#"{"retry_after_ms":5000}"#, 5_000),
        (&[("retry-after", "+5")], r#"{"retry_after_ms":6000}"#, 6_000),
        (&[("retry-after", "-5")], r#"{"retry_after_ms":6000}"#, 6_000),
        (&[("retry-after", "1.5")], r#"{"retry_after_ms":6000}"#, 6_000),
        (&[("retry-after", "")], r#"{"retry_after_ms":6000}"#, 6_000),
        (&[("retry-after", "soon"), ("retry-after", "9")], LIMIT, 9_000),
        // The number in the body, rounded up and not below zero.
        (&[], r#"{"retry_after_ms":2986.2}"#, 2_987),
        (&[], r#"{"retry_after_ms":-5}"#, 1_000),
        (&[], r#"{"retry_after_ms":-0.5}"#, 1_000),
        (&[], r#"{"retry_after_ms":0}"#, 1_000),
        (&[], r#"{"retry_after_ms":1e3}"#, 1_000),
        // Without a header and a number, the wait is a second.
        (&[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":null}"#, 1_000),
        (&[], r#"{"retry_after_ms":"3000"}"#, 1_000),
        // The number is too large for its type, or too large for a time: the wait is the longest possible one.
        (&[], r#"{"retry_after_ms":1e30}"#, u64::MAX),
        (&[("retry-after", "18446744073709551615")], "", 3_155_760_000_000),
        (&[("retry-after", "99999999999999999999999")], "", 3_155_760_000_000),
        (&[], r#"{"errcode":"M_UNKNOWN"}"#, 1_000),
        (&[], "<html>error code: 1015</html>", 1_000),
        (&[], "[]", 1_000),
        (&[], r#"{"retry_after_ms":5000"#, 1_000),
        (&[], "", 1_000),
        // Cloudflare: a page and a header.
        (&[("retry-after", "12")], "<html>error code: 1015</html>", 12_000),
    ] {
        let mut story = Scenario::logging_in();
        story.responds_with(limited(headers, body)).waits(milliseconds, 1);
        assert_eq!(story.wait().delay(), Duration::from_millis(milliseconds), "{body}");
    }
}

#[test]
fn a_date_counts_from_the_arrival_of_the_response() {
    let mut story = Scenario::logging_in();
    let response = limited(&[("retry-after", "Mon, 23 Nov 2026 12:00:10 GMT")], "");
    let arrived = noon() - Duration::from_secs(50);
    respond(&mut story.flow, &response, arrived).unwrap();
    assert_eq!(story.wait().remaining(arrived), Duration::from_secs(60));
    assert_eq!(story.wait().remaining(noon()), Duration::from_secs(10));
    assert_eq!(story.wait().remaining(noon() + Duration::from_secs(11)), Duration::ZERO);
}

#[test]
fn a_clock_that_is_set_back_makes_no_wait_longer() {
    let mut story = Scenario::logging_in();
    story.responds_with(limited(&[("retry-after", "5")], ""));
    assert_eq!(story.wait().delay(), Duration::from_secs(5));
    let day = Duration::from_secs(86_400);
    for (now, left) in [(noon() - day, 5), (noon(), 5), (noon() + Duration::from_secs(2), 3), (noon() + day, 0)] {
        assert_eq!(story.wait().remaining(now), Duration::from_secs(left));
        let Step::Wait(wait) = story.flow.step() else { panic!("a wait is due") };
        assert_eq!(Pause::RateLimit(wait).remaining(now), Duration::from_secs(left));
    }
}

#[test]
fn without_a_hint_the_wait_doubles_to_a_minute() {
    let mut story = Scenario::logging_in();
    for (attempt, seconds) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60, 60]) {
        story.responds(429, "").waits(seconds * 1_000, attempt).timeout();
    }
}

#[test]
fn attempts_count_on_through_hints_and_errors() {
    let mut story = Scenario::logging_in();
    story.responds(429, r#"{"retry_after_ms":5}"#).waits(5, 1).timeout();
    story.fails(502, "<html>");
    story.responds(429, "").waits(2_000, 2).timeout();
    story.fails(200, "{}");
    story.responds(429, "").waits(4_000, 3);
}

#[test]
fn the_count_starts_over_after_a_response_without_a_wait() {
    let mut story = Scenario::at_versions();
    story.responds(429, "").timeout().responds(429, "").waits(2_000, 2).timeout();
    story.responds(200, VERSIONS).gets(LOGIN_URL);
    story.responds(429, "").waits(1_000, 1).timeout().responds(429, "").waits(2_000, 2).timeout();
    story.responds(200, OFFERS).choose(password());
    story.responds(429, "").waits(1_000, 1).timeout().responds(429, "").waits(2_000, 2).timeout();
    story.responds(403, FORBIDDEN).choose(password());
    story.responds(429, "").waits(1_000, 1);
}

#[test]
fn the_count_starts_over_after_back_and_use_homeserver() {
    let mut story = Scenario::logging_in();
    story.responds(429, "").timeout().responds(429, "").waits(2_000, 2).back().choose(password());
    story.responds(429, "").waits(1_000, 1).use_homeserver(HOMESERVER).gets(LOGIN_URL);
    story.responds(429, "").waits(1_000, 1);
    // After a resume, back leads to a request.
    let mut story = Scenario::in_the_browser();
    story.suspend().callback(CALLBACK).responds(429, "").timeout().responds(429, "").waits(2_000, 2);
    story.back().gets(LOGIN_URL).responds(429, "").waits(1_000, 1);
}

#[test]
fn a_limit_under_another_status_counts_if_it_names_a_wait() {
    let spam_checker = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many","retry_after_ms":4000}"#;
    Scenario::logging_in().responds(403, spam_checker).waits(4_000, 1);
    Scenario::logging_in().responds(503, spam_checker).waits(4_000, 1);
    Scenario::logging_in().responds(200, spam_checker).waits(4_000, 1);
    let header = served(400, &[("retry-after", "2")], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#);
    Scenario::logging_in().responds_with(header).waits(2_000, 1);

    let without = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many"}"#;
    let mut story = Scenario::logging_in();
    story.responds(403, without);
    assert_eq!(story.refused().errcode.as_deref(), Some("M_LIMIT_EXCEEDED"));
    assert!(matches!(Scenario::logging_in().fails(503, without), Error::Response(ResponseError::Server(_))));
}

#[test]
fn a_hint_without_a_limit_is_kept_and_makes_no_wait() {
    let mut story = Scenario::logging_in();
    story.responds_with(served(403, &[("retry-after", "5")], r#"{"errcode":"M_FORBIDDEN"}"#));
    assert_eq!(story.refused().retry_after, Some(RetryAfter::Delay(Duration::from_secs(5))));
    let busy = served(503, &[("retry-after", "5")], r#"{"errcode":"M_UNKNOWN"}"#);
    let Error::Response(ResponseError::Server(error)) = Scenario::logging_in().fails_with(busy) else { panic!() };
    assert_eq!(error.retry_after, Some(RetryAfter::Delay(Duration::from_secs(5))));
}

#[test]
fn a_hint_is_kept_wherever_it_appears() {
    let minute = Some(RetryAfter::Delay(Duration::from_secs(60)));
    let header = [("retry-after", "60")];
    let page = || served(503, &header, "<html>503 Service Unavailable</html>");

    // The hint of an error of the flow.
    for mut story in [Scenario::at(HOMESERVER), Scenario::logging_in()] {
        let error = story.fails_with(page());
        assert!(error.may_retry());
        assert_eq!(error.retry_after(), minute);
    }
    // The hint is kept also if the status does not say that the server fails.
    let error = Scenario::logging_in().fails_with(served(403, &header, "<html>403 Forbidden</html>"));
    assert_eq!((error.may_retry(), error.retry_after()), (false, minute));
    // The hint of a failure of discovery.
    let limited = || limited(&header, r#"{"errcode":"M_LIMIT_EXCEEDED"}"#);
    for (mut story, response) in [
        (Scenario::discover("example.org"), page()),
        (Scenario::discover("example.org"), limited()),
        (Scenario::discover("example.org"), served(429, &header, "<html>")),
        (Scenario::at_versions(), page()),
    ] {
        story.responds_with(response);
        let Step::Locate { failure, .. } = story.flow.step() else { panic!("{:?}", story.flow.step()) };
        let error = Error::from(failure.clone());
        assert!(error.may_retry());
        assert_eq!(error.retry_after(), minute);
    }
    // The hint of a refresh.
    let Refresh::Later { error, delay } = session(stored()).handle_refresh(&page(), noon()) else { panic!() };
    assert_eq!((error.may_retry(), error.retry_after(), delay), (true, minute, Duration::from_secs(60)));
}

#[test]
fn an_outage_that_looks_like_a_rate_limit_is_waited_out() {
    let mut story = Scenario::at_versions();
    story.responds(429, r#"{"errcode":"M_UNKNOWN"}"#).waits(1_000, 1).timeout();
    story.gets(VERSIONS_URL).responds(200, VERSIONS).gets(LOGIN_URL);
}

#[test]
fn a_limit_on_the_well_known_is_a_failure_of_discovery() {
    Scenario::discover("example.org").responds(429, "").locates(DiscoveryOutcome::FailPrompt);
}

#[test]
fn a_wait_for_the_login_can_be_left() {
    let mut story = Scenario::logging_in();
    story.responds(429, "").back().choose(sso());
    story.browses();
}

#[test]
fn a_wait_without_a_choice_cannot_be_left_by_back() {
    for mut story in [Scenario::at_versions(), Scenario::at(HOMESERVER)] {
        story.responds(429, "");
        assert!(matches!(story.flow.back(), Err(Error::OutOfStep { due: "Wait", .. })));
        story.waits(1_000, 1);
    }
}

#[test]
fn times_at_either_end_do_no_harm() {
    let long_ago = UNIX_EPOCH.checked_sub(Duration::from_secs(1 << 40)).unwrap();
    let far_away = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX.unsigned_abs())).unwrap();
    for received_at in [long_ago, far_away, SystemTime::UNIX_EPOCH] {
        let mut story = Scenario::logging_in();
        respond(&mut story.flow, &limited(&[("retry-after", "9")], ""), received_at).unwrap();
        assert!(story.wait().until() >= received_at);
        story.timeout().responds(200, GRANTED).session();
    }
}
