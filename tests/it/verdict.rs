//! What the response to any request means for the session of that request.

use std::time::{Duration, SystemTime};

use http::Response;
use matrix_login::{MAX_BODY, Refresh, Session, Verdict};
use serde_json::{Value, json};

use crate::{
    documents::table,
    refresh::{oauth_session, session, stored},
    support::scenario::{noon, served},
};

/// The verdict on a token that has worked before, or that a login has granted.
const REFRESH: Verdict = Verdict::Refresh { delay: Duration::ZERO };

fn sessions() -> [Session; 2] {
    let mut without = stored();
    without.as_object_mut().unwrap().remove("refresh_token");
    [session(stored()), session(without)]
}

/// The text of a row of the table, the verdicts with and without a refresh token, and responses of that kind.
type Row = (&'static str, [Verdict; 2], Vec<Response<Vec<u8>>>);

/// The rows of the table in the documentation of [`Verdict`].
fn rows() -> Vec<Row> {
    use Verdict::{Locked, LoggedOut, NotMatrix, SoftLogout, Unaffected};

    let error = |status, errcode: &str| served(status, &[], json!({ "errcode": errcode, "error": "no" }).to_string());
    let soft = |errcode: &str, flag: Value| {
        served(401, &[], json!({ "errcode": errcode, "error": "no", "soft_logout": flag }).to_string())
    };
    vec![
        (
            "a success, a redirect",
            [Unaffected; 2],
            vec![
                served(200, &[], "{}"),
                served(200, &[], "<html>"),
                served(200, &[], r#"{"errcode":"M_UNKNOWN_TOKEN"}"#),
                served(204, &[], ""),
                served(302, &[("location", "https://example.org/")], ""),
                served(304, &[], ""),
            ],
        ),
        (
            "401 `M_UNKNOWN_TOKEN` with `soft_logout`",
            [REFRESH, SoftLogout],
            // A value that is neither `true` nor `false` is read as `true`, because then no session is lost.
            ["M_UNKNOWN_TOKEN"; 6]
                .into_iter()
                .zip([json!(true), json!("true"), json!("false"), json!(1), json!({}), json!(null)])
                .map(|(errcode, flag)| soft(errcode, flag))
                .collect(),
        ),
        (
            "401 `M_UNKNOWN_TOKEN` without it",
            [REFRESH, LoggedOut],
            vec![
                soft("M_UNKNOWN_TOKEN", json!(false)),
                error(401, "M_UNKNOWN_TOKEN"),
                served(401, &[], r#"{"errcode":"M_UNKNOWN_TOKEN"}"#),
                error(403, "M_UNKNOWN_TOKEN"),
            ],
        ),
        (
            "`M_USER_DEACTIVATED`",
            [LoggedOut; 2],
            vec![error(403, "M_USER_DEACTIVATED"), error(401, "M_USER_DEACTIVATED")],
        ),
        (
            "`M_USER_LOCKED`, whatever `soft_logout` says",
            [Locked; 2],
            vec![soft("M_USER_LOCKED", json!(true)), soft("M_USER_LOCKED", json!(false)), error(401, "M_USER_LOCKED")],
        ),
        (
            "any other error of a Matrix server: 4xx or 5xx",
            [Unaffected; 2],
            vec![
                error(400, "M_BAD_JSON"),
                error(401, "M_MISSING_TOKEN"),
                error(401, "M_UNAUTHORIZED"),
                error(403, "M_FORBIDDEN"),
                error(404, "M_UNRECOGNIZED"),
                error(404, "M_NOT_FOUND"),
                served(429, &[], ""),
                served(429, &[], r#"{"errcode":"M_UNKNOWN_TOKEN"}"#),
                served(403, &[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1}"#),
                error(500, "M_UNKNOWN"),
                error(502, "M_UNKNOWN_TOKEN"),
                error(408, "M_UNKNOWN_TOKEN"),
                error(425, "M_USER_DEACTIVATED"),
                served(400, &[], r#"{"error":"no"}"#),
            ],
        ),
        (
            "401 that asks the user to authenticate once more",
            [Unaffected; 2],
            vec![
                served(401, &[], r#"{"flows":[{"stages":["m.login.password"]}],"session":"x","params":{}}"#),
                served(401, &[], r#"{"errcode":"M_FORBIDDEN","error":"no","flows":[],"completed":[]}"#),
            ],
        ),
        (
            "any other response that is not from a Matrix server: a captive portal, a proxy",
            [NotMatrix; 2],
            vec![
                served(401, &[], "<html>"),
                served(401, &[("www-authenticate", "Basic")], ""),
                served(403, &[], "<html>"),
                served(404, &[], "{}"),
                served(403, &[], r#"{"flows":[]}"#),
                served(502, &[], "<html>"),
                served(511, &[], ""),
                served(999, &[], ""),
                served(401, &[], format!(r#"{{"errcode":"M_UNKNOWN_TOKEN"}}{}"#, " ".repeat(MAX_BODY))),
            ],
        ),
    ]
}

#[test]
fn each_response_means_what_the_table_says() {
    for (row, verdicts, responses) in rows() {
        for response in responses {
            let body = String::from_utf8_lossy(&response.body()[..response.body().len().min(80)]).into_owned();
            // A session of the OAuth 2.0 API asks the same homeserver.
            let mut oauth = [oauth_session(), oauth_session()];
            oauth[1].forget_refresh_token();
            for (session, verdict) in sessions().iter().zip(verdicts).chain(oauth.iter().zip(verdicts)) {
                let with = if session.refresh_token().is_some() { "with" } else { "without" };
                let api = if session.is_oauth() { "OAuth" } else { "legacy" };
                assert_eq!(session.judge(&response), verdict, "{row}, {api} {with}: {} {body}", response.status());
            }
        }
    }
}

#[test]
fn the_table_has_these_rows_and_no_others() {
    let name = |verdict: Verdict| match verdict {
        Verdict::Refresh { .. } => "`Refresh`".to_owned(),
        verdict => format!("`{verdict:?}`"),
    };
    let cells = |(row, verdicts, _): &Row| vec![(*row).to_owned(), name(verdicts[0]), name(verdicts[1])];
    let rows: Vec<_> = rows().iter().map(cells).collect();
    assert_eq!(table(include_str!("../../src/session/verdict.rs"), "| the response | with a refresh token |"), rows);
}

/// Refreshes the session, and its new access token is refused. Returns how long to wait before the next refresh.
fn refreshed_and_refused(session: &mut Session, at: SystemTime) -> Duration {
    let granted = served(200, &[], r#"{"access_token":"new","refresh_token":"new"}"#);
    assert!(matches!(session.handle_refresh(&granted, at), Refresh::Refreshed));
    refused(session)
}

fn refused(session: &Session) -> Duration {
    let unknown = served(401, &[], r#"{"errcode":"M_UNKNOWN_TOKEN","error":"no"}"#);
    let Verdict::Refresh { delay } = session.judge(&unknown) else { panic!() };
    delay
}

#[test]
fn a_token_that_is_refused_at_once_does_not_loop() {
    // MAS refreshes a locked user, and refuses the new token.
    let [mut session, _] = sessions();
    assert_eq!(refused(&session), Duration::ZERO, "a restored token can have expired long ago");
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(refreshed_and_refused(&mut session, noon()), Duration::from_secs(seconds));
        assert_eq!(refused(&session), Duration::from_secs(seconds), "to ask for the wait is not an attempt");
    }
}

#[test]
fn a_token_that_has_worked_is_refreshed_at_once() {
    let [mut session, _] = sessions();
    assert_eq!(refreshed_and_refused(&mut session, noon()), Duration::from_secs(1));
    // Any copy of the session with the same token can report the success.
    let copy = session.clone();
    assert_eq!(copy.judge(&served(500, &[], "")), Verdict::NotMatrix);
    assert_eq!(copy.judge(&served(302, &[], "")), Verdict::Unaffected);
    assert_eq!(refused(&session), Duration::from_secs(1), "only a success shows that the token works");
    assert_eq!(copy.judge(&served(200, &[], "{}")), Verdict::Unaffected);
    assert_eq!(refused(&session), Duration::ZERO);
    // The next token is another token, and the count starts over.
    assert_eq!(refreshed_and_refused(&mut session, noon()), Duration::from_secs(1));
    assert_eq!(copy.judge(&served(200, &[], "{}")), Verdict::Unaffected);
    assert_eq!(refused(&session), Duration::from_secs(1), "an old token says nothing about the new one");
}

#[test]
fn an_old_token_that_is_refused_is_not_a_loop() {
    // No success was judged. But the token was refused five minutes after its grant, so this is not a loop.
    let [mut session, _] = sessions();
    let minute = Duration::from_secs(60);
    for (at, seconds) in [(noon(), 1), (noon() + minute, 2), (noon() + 6 * minute, 1), (noon() + 12 * minute, 1)] {
        assert_eq!(refreshed_and_refused(&mut session, at), Duration::from_secs(seconds));
    }
}

#[test]
fn a_clock_that_is_set_back_hides_no_loop() {
    let [mut session, _] = sessions();
    for (at, seconds) in [(noon(), 1), (noon() - Duration::from_secs(86_400), 2), (noon(), 1)] {
        assert_eq!(refreshed_and_refused(&mut session, at), Duration::from_secs(seconds));
    }
}

#[test]
fn without_a_refresh_token_a_soft_logout_is_recognized() {
    let [mut session, _] = sessions();
    let unknown = |soft_logout: bool| {
        served(401, &[], json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "no", "soft_logout": soft_logout }).to_string())
    };
    assert_eq!([session.judge(&unknown(true)), session.judge(&unknown(false))], [REFRESH; 2]);
    session.forget_refresh_token();
    assert_eq!(
        [session.judge(&unknown(true)), session.judge(&unknown(false))],
        [Verdict::SoftLogout, Verdict::LoggedOut]
    );
    assert_eq!(session.refresh_in(noon(), Duration::MAX), None);
    assert!(serde_json::to_value(session).unwrap().get("refresh_token").is_none());
}
