//! The refresh of a session: when it is time, what is sent, and what each response means for the session.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Response;
use matrix_login::{
    Homeserver, MAX_BODY, Refresh, RefreshToken, ResponseError, RetryAfter, Session, endpoint::refresh,
};
use serde_json::{Value, json};

use crate::{
    documents::table,
    support::{
        replay,
        scenario::{HOMESERVER, noon, served},
    },
};

/// A session as it is stored, with tokens that expire at noon.
pub fn stored() -> Value {
    json!({
        "access_token": "old-access", "access_token_valid_until": 1_795_435_200_000_000_000_u64,
        "refresh_token": "old-refresh", "user_id": "@alice:example.org", "device_id": "DEVICEID",
        "base_client_url": "https://hs.example.org/_matrix/client/", "next_batch": "s1",
    })
}

pub fn session(stored: Value) -> Session {
    Session::from_json(stored.to_string()).unwrap().unwrap()
}

fn expiring() -> Session {
    session(stored())
}

fn without(key: &str) -> Session {
    let mut stored = stored();
    stored.as_object_mut().unwrap().remove(key);
    session(stored)
}

fn as_stored(session: &Session) -> Value {
    serde_json::to_value(session).unwrap()
}

// When it is time.

#[test]
fn it_is_time_from_a_margin_before_the_end_on() {
    let session = expiring();
    let minute = Duration::from_secs(60);
    for (now, margin, left) in [
        (noon() - 10 * minute, minute, 9 * minute),
        (noon() - 10 * minute, Duration::ZERO, 10 * minute),
        (noon() - minute, minute, Duration::ZERO),
        (noon() - minute / 2, minute, Duration::ZERO),
        (noon(), Duration::ZERO, Duration::ZERO),
        (noon() + 1000 * minute, minute, Duration::ZERO),
        // The margin is longer than the lifetime, and longer than any time: it is always time.
        (noon() - minute, Duration::MAX, Duration::ZERO),
    ] {
        assert_eq!(session.refresh_in(now, margin), Some(left), "{now:?} {margin:?}");
        assert_eq!(session.is_expired(now, margin), left.is_zero(), "{now:?} {margin:?}");
    }
}

#[test]
fn it_is_never_time_without_an_end_or_without_a_refresh_token() {
    let far = noon() + Duration::from_secs(1 << 40);
    assert_eq!(without("access_token_valid_until").refresh_in(far, Duration::MAX), None);
    assert_eq!(without("refresh_token").refresh_in(far, Duration::MAX), None);
}

#[test]
fn a_clock_that_jumps_changes_only_when_it_is_time() {
    let session = expiring();
    let before = as_stored(&session);
    // The clock is set back by a century, and to the first possible time.
    assert!(session.refresh_in(noon() - Duration::from_secs(3_155_760_000), Duration::ZERO).is_some());
    assert_eq!(session.refresh_in(UNIX_EPOCH, Duration::ZERO), noon().duration_since(UNIX_EPOCH).ok());
    assert_eq!(as_stored(&session), before);
}

#[test]
fn an_end_that_does_not_fit_is_left_out() {
    for (lifetime, received_at) in [
        (json!(u64::MAX), noon()),
        (json!(18_446_744_073_709_u64), noon()),
        (json!(1), UNIX_EPOCH + Duration::from_nanos(u64::MAX)),
        (json!(1), UNIX_EPOCH - Duration::from_secs(1)),
        (json!(-1), noon()),
        (json!(0.5), noon()),
        (json!("300000"), noon()),
        (json!(null), noon()),
    ] {
        let mut session = expiring();
        let body = json!({"access_token": "new", "expires_in_ms": lifetime}).to_string();
        assert!(matches!(session.handle_refresh(&served(200, &[], body), received_at), Refresh::Refreshed));
        assert_eq!(session.expires_at(), None, "{lifetime}: the earlier end belonged to the old token");
        assert_eq!(session.refresh_in(noon(), Duration::MAX), None, "{lifetime}");
        assert_eq!(session.access_token().expose(), "new");
    }
}

// What is sent.

#[test]
fn the_request_has_the_refresh_token_and_nothing_else() {
    let expected = json!({
        "method": "POST", "url": "https://hs.example.org/_matrix/client/v3/refresh",
        "headers": {"content-type": "application/json"}, "body": {"refresh_token": "old-refresh"}, "step": "send",
    });
    let line = |request| {
        let mut line = replay::request_value(&request);
        line["step"] = json!("send");
        line
    };
    let session = expiring();
    assert_eq!(line(session.refresh_request().unwrap()), expected);
    assert_eq!(line(session.refresh_request().unwrap()), expected, "to build a request changes nothing");
    let homeserver: Homeserver = HOMESERVER.parse().unwrap();
    assert_eq!(line(refresh::request(&homeserver, &RefreshToken::new("old-refresh"))), expected);
}

#[test]
fn a_request_needs_a_refresh_token_and_a_homeserver() {
    let refusal = |session: Session| session.refresh_request().unwrap_err().to_string();
    assert_eq!(
        refusal(without("refresh_token")),
        "the session has no refresh token: log in again when its access token expires"
    );
    assert_eq!(
        refusal(without("base_client_url")),
        "the session does not know its homeserver: discover the server of its user ID, then set the homeserver"
    );
}

// What the response means.

#[test]
fn new_tokens_replace_the_old_and_everything_else_stays() {
    let mut session = expiring();
    let body = r#"{"access_token":"new-access","refresh_token":"new-refresh","expires_in_ms":3000.0}"#;
    assert!(matches!(session.handle_refresh(&served(200, &[], body), noon()), Refresh::Refreshed));
    let mut expected = stored();
    expected["access_token"] = json!("new-access");
    expected["refresh_token"] = json!("new-refresh");
    expected["access_token_valid_until"] = json!(1_795_435_203_000_000_000_u64);
    assert_eq!(as_stored(&session), expected);
}

#[test]
fn without_a_new_refresh_token_the_old_one_stays() {
    for refresh_token in ["", r#","refresh_token":null"#, r#","refresh_token":"""#, r#","refresh_token":7"#] {
        let mut session = expiring();
        let body = format!(r#"{{"access_token":"new"{refresh_token}}}"#);
        assert!(matches!(session.handle_refresh(&served(200, &[], body), noon()), Refresh::Refreshed));
        assert_eq!(session.refresh_token().unwrap().expose(), "old-refresh", "{refresh_token}");
    }
}

/// The text of a row of the table, the outcome, and responses of that kind.
type Row = (&'static str, &'static str, Vec<Response<Vec<u8>>>);

/// The rows of the table in the documentation of [`Refresh`].
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn rows() -> Vec<Row> {
    let error = |status, errcode: &str| served(status, &[], json!({ "errcode": errcode, "error": "no" }).to_string());
    let soft = |flag: Value| {
        let body = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "no", "soft_logout": flag });
        served(401, &[], body.to_string())
    };
    let granted = r#"{"access_token":"new"}"#;
    let too_long = format!("{granted}{}", " ".repeat(MAX_BODY));
    vec![
        (
            "2xx with an access token",
            "Refreshed",
            vec![
                served(200, &[], granted),
                served(201, &[("content-type", "text/html")], format!("\u{feff}{granted}")),
                served(200, &[], r#"{"access_token":"new","refresh_token":[],"expires_in_ms":{},"x":1e999}"#),
            ],
        ),
        (
            "429, or another rate limit",
            "Later",
            vec![
                served(429, &[], ""),
                served(429, &[("retry-after", "3")], "<html>"),
                served(429, &[], r#"{"errcode":"M_UNKNOWN_TOKEN"}"#),
                served(403, &[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":3000}"#),
            ],
        ),
        (
            "5xx, 408, 425",
            "Later",
            vec![
                error(408, "M_UNKNOWN_TOKEN"),
                error(425, "M_FORBIDDEN"),
                served(408, &[], "<html>"),
                error(500, "M_UNKNOWN"),
                error(502, "M_UNKNOWN_TOKEN"),
                error(503, "M_FORBIDDEN"),
                error(504, "M_UNRECOGNIZED"),
            ],
        ),
        (
            "not Matrix, whatever the status: a captive portal, a proxy",
            "Later",
            vec![
                served(200, &[], "<!DOCTYPE html><title>Welcome to the airport</title>"),
                served(200, &[], ""),
                served(401, &[], "<html>"),
                served(403, &[], "<html>403 Forbidden</html>"),
                served(404, &[], ""),
                served(511, &[], "<html>Network Authentication Required</html>"),
                served(403, &[], r#"{"message":"M_FORBIDDEN"}"#),
                served(403, &[], r#"["M_FORBIDDEN"]"#),
                served(502, &[], "<html>"),
                served(100, &[], ""),
                served(999, &[], ""),
                served(401, &[], format!(r#"{{"errcode":"M_UNKNOWN_TOKEN"}}{}"#, " ".repeat(MAX_BODY))),
            ],
        ),
        (
            "a redirect",
            "Later",
            vec![served(302, &[("location", "https://portal.example.net/")], ""), served(301, &[], "")],
        ),
        (
            "2xx that cannot be read, or with an errcode",
            "Later",
            vec![
                served(200, &[], r#"{"errcode":"M_UNKNOWN_TOKEN","error":"no"}"#),
                served(200, &[], r#"{"errcode":"M_FORBIDDEN"}"#),
                served(200, &[], r#"{"errcode":"M_UNRECOGNIZED"}"#),
                served(200, &[], r#"{"errcode":"M_USER_LOCKED"}"#),
                served(200, &[], "{}"),
                served(200, &[], r#"{"access_token":"#),
                served(200, &[], r#"{"access_token":null}"#),
                served(200, &[], r#"{"access_token":"a b"}"#),
                served(200, &[], r#"[{"access_token":"new"}]"#),
                served(200, &[], too_long),
            ],
        ),
        (
            "401 `M_UNKNOWN_TOKEN` with `soft_logout`",
            "SoftLogout",
            vec![soft(json!(true)), soft(json!("true")), soft(json!(null))],
        ),
        ("401 `M_UNKNOWN_TOKEN` without it", "TokenGone", vec![error(401, "M_UNKNOWN_TOKEN"), soft(json!(false))]),
        (
            "403 `M_FORBIDDEN`",
            "TokenGone",
            vec![
                error(403, "M_FORBIDDEN"),
                served(403, &[], r#"{"errcode":"M_FORBIDDEN"}"#),
                error(400, "M_FORBIDDEN"),
            ],
        ),
        ("`M_USER_DEACTIVATED`", "TokenGone", vec![error(403, "M_USER_DEACTIVATED"), error(401, "M_USER_DEACTIVATED")]),
        (
            "`M_USER_LOCKED`",
            "Locked",
            vec![
                error(401, "M_USER_LOCKED"),
                served(401, &[], r#"{"errcode":"M_USER_LOCKED","soft_logout":true}"#),
                error(403, "M_USER_LOCKED"),
            ],
        ),
        (
            "404 `M_UNRECOGNIZED`",
            "Unsupported",
            vec![error(404, "M_UNRECOGNIZED"), error(400, "M_UNRECOGNIZED"), error(405, "M_UNRECOGNIZED")],
        ),
        (
            "any other 4xx",
            "Later",
            vec![
                error(400, "M_UNKNOWN"),
                error(400, "M_INVALID_PARAM"),
                error(401, "M_MISSING_TOKEN"),
                error(403, "M_LIMIT_EXCEEDED"),
                error(404, "M_NOT_FOUND"),
                served(401, &[], r#"{"error":"no"}"#),
                served(401, &[], r#"{"errcode":["M_UNKNOWN_TOKEN"],"error":"no"}"#),
            ],
        ),
        (
            "OAuth 2.0: `invalid_grant`, `invalid_client`, `unauthorized_client`",
            "TokenGone",
            vec![
                served(400, &[], r#"{"error":"invalid_grant","error_description":"no"}"#),
                served(400, &[], r#"{"error":"invalid_client"}"#),
                served(401, &[], r#"{"error":"invalid_client"}"#),
                served(401, &[], r#"{"error":"unauthorized_client"}"#),
                served(403, &[], r#"{"error":"invalid_grant"}"#),
                served(400, &[("retry-after", "3")], r#"{"error":"invalid_grant","soft_logout":true,"x":1e999}"#),
                served(400, &[], r#"{"errcode":"invalid_grant"}"#),
            ],
        ),
        (
            "OAuth 2.0: any other error, also one of the Matrix API",
            "Later",
            vec![
                served(400, &[], r#"{"error":"invalid_request"}"#),
                served(400, &[], r#"{"error":"invalid_scope"}"#),
                served(429, &[], r#"{"error":"slow_down"}"#),
                served(408, &[], r#"{"error":"invalid_grant"}"#),
                served(500, &[], r#"{"error":"invalid_grant"}"#),
                served(200, &[], r#"{"error":"invalid_grant"}"#),
                error(401, "M_UNKNOWN_TOKEN"),
                error(403, "M_FORBIDDEN"),
                error(404, "M_UNRECOGNIZED"),
                served(404, &[], "<html>"),
                served(422, &[], "Failed to deserialize form body"),
                served(200, &[], r#"{"access_token":"new","token_type":"DPoP"}"#),
                served(200, &[], r#"{"access_token":"","token_type":"Bearer","refresh_token":"newer"}"#),
                served(400, &[], r#"{"error":"unsupported_grant_type"}"#),
                served(403, &[], r#"{"error":"access_denied"}"#),
                served(400, &[], r#"{"error":"Invalid_Grant"}"#),
                served(400, &[], r#"{"error":["invalid_grant"]}"#),
                served(400, &[], r#"{"error_description":"invalid_grant"}"#),
                served(400, &[], "invalid_grant"),
                served(429, &[], r#"{"error":"invalid_grant"}"#),
                served(503, &[], r#"{"error":"temporarily_unavailable"}"#),
                served(400, &[], r#"{"errcode":"M_FORBIDDEN","error":"invalid_grant"}"#),
            ],
        ),
    ]
}

/// A session of the OAuth 2.0 API, with tokens that expire at noon.
pub fn oauth_session() -> Session {
    let mut stored = stored();
    stored["oauth"] = json!({
        "client_id": "client", "issuer": "https://auth.example.org/",
        "token_endpoint": "https://auth.example.org/token",
        "revocation_endpoint": "https://auth.example.org/revoke",
    });
    session(stored)
}

fn name(refresh: &Refresh) -> &'static str {
    match refresh {
        Refresh::Refreshed => "Refreshed",
        Refresh::Later { .. } => "Later",
        Refresh::SoftLogout(_) => "SoftLogout",
        Refresh::TokenGone(_) => "TokenGone",
        Refresh::Locked(_) => "Locked",
        Refresh::Unsupported(_) => "Unsupported",
    }
}

#[test]
fn each_response_means_what_the_table_says() {
    for (row, outcome, responses) in rows() {
        for response in responses {
            let mut session = if row.starts_with("OAuth") { oauth_session() } else { expiring() };
            let before = as_stored(&session);
            let refresh = session.handle_refresh(&response, noon());
            let body = String::from_utf8_lossy(&response.body()[..response.body().len().min(80)]).into_owned();
            assert_eq!(name(&refresh), outcome, "{row}: {} {body}", response.status());
            assert_eq!(as_stored(&session) != before, outcome == "Refreshed", "{row}: {} {body}", response.status());
        }
    }
}

#[test]
fn the_rows_of_the_matrix_api_end_no_oauth_session() {
    for (row, outcome, responses) in rows().into_iter().filter(|(row, ..)| !row.starts_with("OAuth")) {
        let outcome = if outcome == "Refreshed" { outcome } else { "Later" };
        for response in responses {
            let mut session = oauth_session();
            assert_eq!(name(&session.handle_refresh(&response, noon())), outcome, "{row}: {response:?}");
            assert!(session.is_oauth());
        }
    }
}

#[test]
fn the_table_has_these_rows_and_no_others() {
    let mut rows: Vec<_> =
        rows().iter().map(|(row, outcome, _)| vec![(*row).to_owned(), format!("`{outcome}`")]).collect();
    rows.push(vec!["no response".to_owned(), "do not call `handle_refresh`".to_owned()]);
    let documented = table(include_str!("../../src/session/refresh.rs"), "| the response | means |");
    let documented: Vec<_> = documented.into_iter().map(|row| row[..2].to_vec()).collect();
    assert_eq!(documented, rows);
}

#[test]
fn a_refusal_keeps_the_servers_words_and_a_rate_limit_its_wait() {
    let gone = served(403, &[], r#"{"errcode":"M_FORBIDDEN","error":"refresh token isn't valid anymore"}"#);
    let Refresh::TokenGone(error) = expiring().handle_refresh(&gone, noon()) else { panic!() };
    assert_eq!(error.message.as_deref(), Some("refresh token isn't valid anymore"));

    let limited = served(429, &[("retry-after", "3")], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2987}"#);
    let Refresh::Later { error, delay } = expiring().handle_refresh(&limited, noon()) else { panic!() };
    assert_eq!(delay, Duration::from_secs(3));
    assert!(error.may_retry());
    let ResponseError::Server(error) = error else { panic!("{error:?}") };
    assert_eq!(error.retry_after, Some(RetryAfter::Delay(Duration::from_secs(3))));
}

#[test]
fn each_refused_refresh_makes_the_wait_longer() {
    let mut session = expiring();
    let busy = served(503, &[], "<html>");
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let Refresh::Later { delay, .. } = session.handle_refresh(&busy, noon()) else { panic!() };
        assert_eq!(delay, Duration::from_secs(seconds));
    }
    // A hint counts, and the count of the attempts goes on.
    let mut session = expiring();
    let limited = served(429, &[("retry-after", "7")], "");
    for (response, seconds) in [(&busy, 1), (&limited, 7), (&busy, 4)] {
        let Refresh::Later { delay, .. } = session.handle_refresh(response, noon()) else { panic!() };
        assert_eq!(delay, Duration::from_secs(seconds));
    }
    // A hint counts also if it is shorter than the wait without a hint.
    let soon = served(429, &[("retry-after", "1")], "");
    for (response, seconds) in [(&busy, 8), (&soon, 1), (&busy, 32)] {
        let Refresh::Later { delay, .. } = session.handle_refresh(response, noon()) else { panic!() };
        assert_eq!(delay, Duration::from_secs(seconds));
    }
    // After a success the count starts over.
    let granted = served(200, &[], r#"{"access_token":"new"}"#);
    assert!(matches!(session.handle_refresh(&granted, noon()), Refresh::Refreshed));
    let Refresh::Later { delay, .. } = session.handle_refresh(&busy, noon()) else { panic!() };
    assert_eq!(delay, Duration::from_secs(1));
}

#[test]
fn an_unreadable_response_keeps_the_refresh_token() {
    let mut session = expiring();
    let refresh = session.handle_refresh(&served(200, &[], r#"{"access_token":"new"#), SystemTime::now());
    assert!(matches!(refresh, Refresh::Later { error: ResponseError::InvalidResponse { .. }, .. }), "{refresh:?}");
    let body = session.refresh_request().unwrap().into_body();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["refresh_token"], "old-refresh");
}
