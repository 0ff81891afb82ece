//! The table of answers: what each kind of answer does to each request that can be due.

use http::Response;
use matrix_login::{DiscoveryOutcome, Error, LoginFlow, MAX_BODY, ResponseError, Step};

use crate::support::scenario::{
    GRANTED, HOMESERVER, OFFERS, Scenario, VERSIONS, WELL_KNOWN, answer, noon, request_id, respond, whole,
};

/// The columns, with more than one answer where the table means more than one.
struct Answers {
    good: Vec<Response<Vec<u8>>>,
    not_usable: Vec<Response<Vec<u8>>>,
    redirect: Vec<Response<Vec<u8>>>,
    matrix_error: Vec<Response<Vec<u8>>>,
    rate_limit: Vec<Response<Vec<u8>>>,
    server_error: Vec<Response<Vec<u8>>>,
    not_matrix: Vec<Response<Vec<u8>>>,
}

fn answers(good: &str) -> Answers {
    let too_long = format!("{good}{}", " ".repeat(MAX_BODY));
    let truncated = &good[..good.len() - 1];
    Answers {
        good: vec![
            answer(200, &[], good),
            answer(200, &[("content-type", "text/html")], good),
            answer(200, &[("retry-after", "7")], good),
            answer(200, &[], format!("\u{feff}{good}")),
            answer(200, &[], format!(" \r\n\t{good}\n")),
        ],
        not_usable: vec![
            answer(200, &[], "{}"),
            answer(200, &[], truncated),
            answer(200, &[], format!("{good}{good}")),
            answer(200, &[], format!("[{good}]")),
            answer(200, &[], "null"),
            answer(200, &[], "\"text\""),
            answer(200, &[], too_long),
        ],
        redirect: [300, 301, 302, 303, 304, 307, 308]
            .map(|status| answer(status, &[("location", "http://other.example.org/")], good))
            .into(),
        matrix_error: vec![
            answer(403, &[], r#"{"errcode":"M_FORBIDDEN","error":"no"}"#),
            answer(400, &[], r#"{"errcode":"M_UNKNOWN"}"#),
            answer(401, &[], r#"{"error":"no"}"#),
            answer(403, &[], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
        ],
        rate_limit: vec![
            answer(429, &[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}"#),
            answer(429, &[], "<html>"),
            answer(429, &[], ""),
            answer(403, &[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}"#),
            answer(503, &[("retry-after", "5")], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
        ],
        server_error: vec![
            answer(500, &[], r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#),
            answer(500, &[], good),
            answer(502, &[], "<html>502 Bad Gateway</html>"),
            answer(503, &[("retry-after", "5")], ""),
        ],
        not_matrix: vec![
            answer(200, &[], "<!DOCTYPE html>"),
            answer(200, &[], ""),
            answer(403, &[], "<html>Forbidden</html>"),
            answer(400, &[], "[]"),
            answer(401, &[], r#"{"flows":[],"session":"x"}"#),
            answer(413, &[], ""),
        ],
    }
}

/// What came of it: the step that is due then, or the error.
fn outcome(flow: &LoginFlow, response: &Response<Vec<u8>>) -> String {
    let mut flow = flow.clone();
    let before = whole(&flow);
    match respond(&mut flow, response, noon()) {
        Ok(()) => match flow.step() {
            Step::Send { request, .. } => format!("{} {}", request.method(), request.uri().path()),
            Step::Wait(_) => "wait".to_owned(),
            Step::Locate { failure, .. } => match failure.outcome {
                DiscoveryOutcome::Ignore => "ignore".to_owned(),
                DiscoveryOutcome::FailPrompt => "fail_prompt".to_owned(),
                DiscoveryOutcome::FailError => "fail_error".to_owned(),
                _ => unreachable!(),
            },
            Step::Choose { refused: Some(_), .. } => "refused".to_owned(),
            Step::Choose { refused: None, .. } => "choose".to_owned(),
            Step::Browse(_) => unreachable!(),
            Step::Done(_) => "done".to_owned(),
        },
        Err(error) => {
            assert_eq!(whole(&flow), before);
            match error {
                Error::Response(ResponseError::Server(_)) => "error: server",
                Error::Response(ResponseError::NotMatrix { .. }) => "error: not Matrix",
                Error::Response(ResponseError::InvalidResponse { .. } | ResponseError::TooLarge { .. }) => {
                    "error: not usable"
                }
                Error::Response(ResponseError::Redirected { .. }) => "error: redirected",
                Error::Response(ResponseError::LoginUnsupported) => "error: legacy login unsupported",
                error => panic!("{error:?}"),
            }
            .to_owned()
        }
    }
}

fn check(flow: &LoginFlow, cell: &str, responses: &[Response<Vec<u8>>], expected: &[&str]) {
    for response in responses {
        let outcome = outcome(flow, response);
        let body = String::from_utf8_lossy(&response.body()[..response.body().len().min(80)]).into_owned();
        assert!(expected.contains(&&*outcome), "{cell}: {} {body}: {outcome}", response.status());
    }
}

#[test]
fn get_well_known() {
    let flow = Scenario::discover("example.org").flow;
    let answers = answers(WELL_KNOWN);
    check(&flow, "good", &answers.good, &["GET /_matrix/client/versions"]);
    check(&flow, "not usable", &answers.not_usable, &["fail_prompt"]);
    let no_url = [answer(200, &[], r#"{"m.homeserver":{"base_url":"matrix.example:443"}}"#)];
    check(&flow, "base_url no URL", &no_url, &["fail_error"]);
    let followed = [301, 302, 303, 307, 308].map(|status| answer(status, &[("location", "/other")], ""));
    check(&flow, "3xx", &followed, &["GET /other"]);
    check(&flow, "wrong 3xx", &answers.redirect, &["fail_prompt"]);
    let not_found = ["", "<html>", r#"{"errcode":"M_NOT_FOUND"}"#, WELL_KNOWN].map(|body| answer(404, &[], body));
    check(&flow, "404", &not_found, &["ignore"]);
    check(&flow, "4xx", &answers.matrix_error, &["fail_prompt"]);
    check(&flow, "rate limit", &answers.rate_limit, &["fail_prompt"]);
    check(&flow, "5xx", &answers.server_error, &["fail_prompt"]);
    check(&flow, "not Matrix", &answers.not_matrix, &["fail_prompt"]);
    let not_200 = [201, 202, 203, 204, 206].map(|status| answer(status, &[], WELL_KNOWN));
    check(&flow, "2xx but 200", &not_200, &["fail_prompt"]);
    Scenario::of(flow).unreachable().locates(DiscoveryOutcome::FailPrompt);
}

#[test]
fn get_versions() {
    let flow = Scenario::at_versions().flow;
    let answers = answers(VERSIONS);
    check(&flow, "good", &answers.good, &["GET /_matrix/client/v3/login"]);
    check(&flow, "not usable", &answers.not_usable, &["fail_error"]);
    check(&flow, "3xx", &answers.redirect, &["fail_error"]);
    check(&flow, "4xx", &answers.matrix_error, &["fail_error"]);
    check(&flow, "rate limit", &answers.rate_limit, &["wait"]);
    check(&flow, "5xx", &answers.server_error, &["fail_error"]);
    check(&flow, "not Matrix", &answers.not_matrix, &["fail_error"]);
    Scenario::of(flow).unreachable().locates(DiscoveryOutcome::FailError);
}

#[test]
fn get_login() {
    let flow = Scenario::at(HOMESERVER).flow;
    let answers = answers(OFFERS);
    check(&flow, "good", &answers.good, &["choose"]);
    check(&flow, "not usable", &answers.not_usable, &["error: not usable"]);
    check(&flow, "3xx", &answers.redirect, &["error: redirected"]);
    let unrecognized = [404, 400, 405].map(|status| answer(status, &[], r#"{"errcode":"M_UNRECOGNIZED"}"#));
    check(&flow, "M_UNRECOGNIZED", &unrecognized, &["error: legacy login unsupported"]);
    check(&flow, "4xx", &answers.matrix_error, &["error: server"]);
    check(&flow, "rate limit", &answers.rate_limit, &["wait"]);
    check(&flow, "5xx", &answers.server_error, &["error: server", "error: not Matrix"]);
    let failing = [answer(500, &[], r#"{"errcode":"M_UNRECOGNIZED"}"#)];
    check(&flow, "5xx M_UNRECOGNIZED", &failing, &["error: server"]);
    check(&flow, "not Matrix", &answers.not_matrix, &["error: not Matrix"]);
    assert!(matches!(
        flow.clone().handle_unreachable(request_id(&flow).unwrap()),
        Err(Error::OutOfStep { due: "Send", .. })
    ));
}

#[test]
fn post_login() {
    let flow = Scenario::logging_in().flow;
    let answers = answers(GRANTED);
    check(&flow, "good", &answers.good, &["done"]);
    let any_2xx = [201, 202, 203, 206].map(|status| answer(status, &[], GRANTED));
    check(&flow, "any 2xx", &any_2xx, &["done"]);
    check(&flow, "not usable", &answers.not_usable, &["error: not usable"]);
    check(&flow, "3xx", &answers.redirect, &["error: redirected"]);
    check(&flow, "4xx", &answers.matrix_error, &["refused"]);
    let unrecognized = [answer(404, &[], r#"{"errcode":"M_UNRECOGNIZED"}"#)];
    check(&flow, "M_UNRECOGNIZED", &unrecognized, &["refused"]);
    check(&flow, "rate limit", &answers.rate_limit, &["wait"]);
    check(&flow, "5xx", &answers.server_error, &["error: server", "error: not Matrix"]);
    check(&flow, "not Matrix", &answers.not_matrix, &["error: not Matrix"]);
    assert!(matches!(
        flow.clone().handle_unreachable(request_id(&flow).unwrap()),
        Err(Error::OutOfStep { due: "Send", .. })
    ));
}

#[test]
fn statuses_that_nobody_sends_are_no_matrix() {
    for status in [100, 101, 199, 600, 999] {
        for mut story in [Scenario::at(HOMESERVER), Scenario::logging_in()] {
            let error = story.fails(status, "");
            assert!(matches!(error, Error::Response(ResponseError::NotMatrix { .. })), "{status}: {error:?}");
            assert!(!error.may_retry());
        }
    }
}
