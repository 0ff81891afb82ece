//! The table of responses in the docs of `handle_response`: what each kind of response does to each request.
//!
//! The expected outcomes are read from three tables: two with the outcome of each kind of response, and one with the
//! special cases.

use std::collections::BTreeMap;

use http::Response;
use matrix_login::{Choice, Error, LoginFlow, LoginSettings, MAX_BODY, ResponseError, Step};

use crate::{
    documents::table,
    refresh,
    support::scenario::{
        AUTH_METADATA_URL, CALLBACK, CODE_CALLBACK, CODE_LIFETIME, CODE_TO_SHOW, GRANTED, HOMESERVER, METADATA,
        OAUTH_DEVICE_ID, OFFERS, REGISTERED, STATE, Scenario, TOKENS, TOKENS_THAT_END, UNRECOGNIZED, VERSIONS,
        WELL_KNOWN, WHOAMI, code, metadata_with, noon, served, sso, whole, with_oauth,
    },
};
use serde_json::json;

const FLOW: &str = include_str!("../../src/flow.rs");

/// The columns of the first two tables.
const COLUMNS: [&[&str]; 2] =
    [&["due", "good", "not usable", "3xx", "4xx"], &["due", "rate limit", "5xx", "not Matrix", "unreachable"]];

/// The first two tables, and their columns.
fn outcomes() -> [(&'static [&'static str], Vec<Vec<String>>); 2] {
    COLUMNS.map(|columns| (columns, plain(&format!("| {} |", columns.join(" | ")))))
}

/// The special cases: what is due, the kind of response, the case and the outcome.
fn special_cases() -> Vec<Vec<String>> {
    plain("| due | response | special case | outcome |")
}

/// The rows of a table, as plain text.
fn plain(header: &str) -> Vec<Vec<String>> {
    let rows = table(FLOW, header);
    rows.into_iter().map(|row| row.into_iter().map(|cell| cell.replace('`', "")).collect()).collect()
}

/// What the tables say about a request: by kind of response, the outcome of each case. The usual case is "".
pub fn cells(due: &str) -> Option<BTreeMap<&'static str, BTreeMap<String, String>>> {
    let mut cells = BTreeMap::new();
    for (columns, rows) in outcomes() {
        let row = rows.into_iter().find(|row| row[0] == due)?;
        assert_eq!(row.len(), columns.len(), "{row:?}");
        for (column, outcome) in columns.iter().zip(row).skip(1) {
            cells.insert(*column, BTreeMap::from([(String::new(), outcome)]));
        }
    }
    for row in special_cases().into_iter().filter(|row| row[0] == due) {
        let [_, response, case, outcome] = <[String; 4]>::try_from(row).unwrap();
        let cell = cells.get_mut(response.as_str()).unwrap_or_else(|| panic!("no column {response}"));
        assert_eq!(cell.insert(case.clone(), outcome), None, "{due}: {case}");
    }
    Some(cells)
}

/// A request that can be due, with the responses to it: by column and case.
struct Row {
    flow: LoginFlow,
    responses: BTreeMap<(&'static str, &'static str), Vec<Response<Vec<u8>>>>,
}

impl Row {
    /// A row with the responses that are the same for every request.
    fn new(flow: LoginFlow, good: &str) -> Self {
        let row = Self { flow, responses: BTreeMap::new() };
        row.with_2xx(good).with_3xx_and_4xx(good).with_others(good)
    }

    fn with_2xx(self, good: &str) -> Self {
        let too_long = format!("{good}{}", " ".repeat(MAX_BODY));
        let truncated = &good[..good.len() - 1];
        self.case(
            "good",
            "",
            [
                served(200, &[], good),
                served(200, &[("content-type", "text/html")], good),
                served(200, &[("retry-after", "7")], good),
                served(200, &[], format!("\u{feff}{good}")),
                served(200, &[], format!(" \r\n\t{good}\n")),
            ],
        )
        .case(
            "not usable",
            "",
            [
                served(200, &[], "{}"),
                served(200, &[], truncated),
                served(200, &[], format!("{good}{good}")),
                served(200, &[], format!("[{good}]")),
                served(200, &[], "null"),
                served(200, &[], "\"text\""),
                served(200, &[], too_long),
            ],
        )
    }

    fn with_3xx_and_4xx(self, good: &str) -> Self {
        let redirects = [300, 301, 302, 303, 304, 307, 308];
        self.case("3xx", "", redirects.map(|status| served(status, &[("location", "http://other.example.org/")], good)))
            .case(
                "4xx",
                "",
                [
                    served(403, &[], r#"{"errcode":"M_FORBIDDEN","error":"no"}"#),
                    served(400, &[], r#"{"errcode":"M_UNKNOWN"}"#),
                    served(401, &[], r#"{"error":"no"}"#),
                    served(403, &[], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
                    served(200, &[], r#"{"errcode":"M_FORBIDDEN","error":"no"}"#),
                    served(200, &[], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
                ],
            )
            .case(
                "rate limit",
                "",
                [
                    served(429, &[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}"#),
                    served(429, &[], "<html>"),
                    served(429, &[], ""),
                    served(403, &[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}"#),
                    served(503, &[("retry-after", "5")], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
                    served(408, &[("retry-after", "5")], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
                    served(200, &[], r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}"#),
                    served(200, &[("retry-after", "5")], r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
                ],
            )
    }

    fn with_others(self, good: &str) -> Self {
        self.case(
            "5xx",
            "",
            [
                served(500, &[], r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#),
                served(500, &[], r#"{"errcode":"M_UNRECOGNIZED"}"#),
                served(500, &[], good),
                served(502, &[], "<html>502 Bad Gateway</html>"),
                served(503, &[("retry-after", "5")], ""),
                served(408, &[], r#"{"errcode":"M_FORBIDDEN"}"#),
                served(408, &[], r#"{"errcode":"M_UNRECOGNIZED"}"#),
                served(408, &[], "<html>408 Request Time-out</html>"),
                served(425, &[], r#"{"errcode":"M_FORBIDDEN"}"#),
                served(425, &[], ""),
            ],
        )
        .case(
            "not Matrix",
            "",
            [
                served(200, &[], "<!DOCTYPE html>"),
                served(200, &[], ""),
                served(200, &[], r#"{"error":"no"}"#),
                served(200, &[("content-encoding", "gzip")], b"\x1f\x8b\x08".as_slice()),
                served(403, &[("content-encoding", "br")], b"\x0b\x02\x80".as_slice()),
                served(403, &[], "<html>Forbidden</html>"),
                served(400, &[], "[]"),
                served(401, &[], r#"{"flows":[],"session":"x"}"#),
                served(413, &[], ""),
                served(100, &[], ""),
                served(199, &[], ""),
                served(600, &[], ""),
                served(999, &[], ""),
            ],
        )
    }

    /// Adds a case, or replaces the responses of one.
    fn case(
        mut self,
        column: &'static str,
        case: &'static str,
        responses: impl IntoIterator<Item = Response<Vec<u8>>>,
    ) -> Self {
        self.responses.insert((column, case), responses.into_iter().collect());
        self
    }

    /// Adds responses to those that every request has.
    fn and(mut self, column: &'static str, responses: impl IntoIterator<Item = Response<Vec<u8>>>) -> Self {
        self.responses.entry((column, "")).or_default().extend(responses);
        self
    }

    /// The responses of an OAuth 2.0 server. There, `error` is a code, so it is an error under a 2xx too.
    fn of_oauth(self) -> Self {
        let is_code = |response: &Response<Vec<u8>>| response.body() == br#"{"error":"no"}"#;
        self.without("not Matrix", is_code)
            .and(
                "4xx",
                [
                    served(400, &[], r#"{"error":"invalid_grant","error_description":"no"}"#),
                    served(401, &[], r#"{"error":"invalid_client"}"#),
                    served(403, &[], r#"{"error":"M_LIMIT_EXCEEDED"}"#),
                    served(200, &[], r#"{"error":"invalid_grant"}"#),
                ],
            )
            .and("rate limit", [served(429, &[], r#"{"error":"slow_down"}"#)])
            .and(
                "5xx",
                [
                    served(500, &[], r#"{"error":"server_error"}"#),
                    served(503, &[], r#"{"error":"temporarily_unavailable"}"#),
                    served(408, &[], r#"{"error":"invalid_grant"}"#),
                ],
            )
            .and("not Matrix", [served(422, &[], "Failed to deserialize form body")])
    }

    /// Removes some of the responses that every request has.
    fn without(mut self, column: &'static str, is_out: impl Fn(&Response<Vec<u8>>) -> bool) -> Self {
        let responses = self.responses.entry((column, "")).or_default();
        let before = responses.len();
        responses.retain(|response| !is_out(response));
        assert!(responses.len() < before, "{column}");
        self
    }

    /// If the login types are known, a 4xx that does not come from the homeserver is a separate case.
    fn with_4xx_apart(mut self) -> Self {
        let (refusals, others): (Vec<_>, Vec<_>) = self
            .responses
            .remove(&("not Matrix", ""))
            .unwrap_or_default()
            .into_iter()
            .partition(|response| response.status().is_client_error());
        self.case("not Matrix", "the status is 4xx", refusals).case("not Matrix", "", others)
    }

    /// Every response does what the table says, and the table has no case without a response.
    fn check(self, due: &str) {
        let mut cells = cells(due).unwrap_or_else(|| panic!("the tables have no row {due}"));
        for ((column, case), responses) in &self.responses {
            let cell = cells.get_mut(column).unwrap();
            let expected = cell.remove(*case).unwrap_or_else(|| panic!("{due}, {column}: no case {case:?}"));
            for response in responses {
                let body = String::from_utf8_lossy(&response.body()[..response.body().len().min(80)]).into_owned();
                let outcome = outcome(&self.flow, response);
                assert_eq!(outcome, expected, "{due}, {column} {case}: {} {body}", response.status());
            }
        }
        let unreachable = cells.remove("unreachable").unwrap();
        assert_eq!(unreachable[""], unreachable_outcome(&self.flow), "{due}, unreachable");
        cells.retain(|_, cases| !cases.is_empty());
        assert!(cells.is_empty(), "{due}: no test covers {cells:?}");
    }
}

fn send(flow: &LoginFlow) -> matrix_login::RequestId {
    let Step::Send { id, .. } = flow.step() else { panic!("{:?}", flow.step()) };
    id
}

/// The outcome of a response, in the words of the table.
fn outcome(flow: &LoginFlow, response: &Response<Vec<u8>>) -> String {
    let mut moved = flow.clone();
    match moved.handle_response(send(flow), response, noon()) {
        Ok(()) => step(&moved),
        Err(Error::MissingRefreshToken(_)) => "MissingRefreshToken".to_owned(),
        Err(Error::WrongUser { .. }) => "WrongUser".to_owned(),
        Err(error) => {
            // The same step is due.
            assert_eq!(format!("{moved:?}"), format!("{flow:?}"), "{error}");
            match error {
                Error::Response(ResponseError::LoginUnsupported) => "LoginUnsupported".to_owned(),
                Error::Response(_) => "error".to_owned(),
                error => panic!("{error:?}"),
            }
        }
    }
}

/// The requests of an OAuth 2.0 login, in the words of the table.
const OTHER_REQUESTS: [(&str, &str); 5] = [
    ("/_matrix/client/v1/auth_metadata", "GET auth_metadata"),
    ("/token", "POST token"),
    ("/_matrix/client/v3/account/whoami", "GET whoami"),
    ("/register", "POST register"),
    ("/device", "POST device_authorization"),
];

fn step(flow: &LoginFlow) -> String {
    match flow.step() {
        Step::Send { request, .. } if request.uri().path() == "/_matrix/client/versions" => "GET versions".to_owned(),
        Step::Send { request, .. } if request.uri().path() == "/_matrix/client/v3/login" => {
            format!("{} login", request.method())
        }
        Step::Send { request, .. } => match OTHER_REQUESTS.iter().find(|(path, _)| *path == request.uri().path()) {
            Some((_, name)) => (*name).to_owned(),
            None => "followed".to_owned(),
        },
        Step::Wait(_) => "Wait".to_owned(),
        Step::Locate { failure, .. } => format!("{:?}", failure.outcome),
        Step::Choose { refused: Some(_), .. } => "Choose, refused".to_owned(),
        Step::Choose { refused: None, .. } => "Choose".to_owned(),
        Step::Browse(_) => "Browse".to_owned(),
        Step::ShowCode(_) => "ShowCode".to_owned(),
        Step::Done(_) => "Done".to_owned(),
    }
}

fn unreachable_outcome(flow: &LoginFlow) -> String {
    let mut moved = flow.clone();
    match moved.handle_unreachable(send(flow)) {
        Ok(()) => step(&moved),
        Err(Error::OutOfStep { due: "Send", .. }) => "OutOfStep".to_owned(),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn the_table_holds_for_get_well_known() {
    let not_found = ["", "<html>", WELL_KNOWN].map(|body| served(404, &[], body));
    let redirects = [301, 302, 303, 307, 308].map(|status| served(status, &[("location", "/other")], ""));
    let not_followed = [300, 301, 302, 303, 304, 307, 308]
        .map(|status| served(status, &[("location", "http://other.example.org/")], WELL_KNOWN));
    Row::new(Scenario::discover("example.org").flow, WELL_KNOWN)
        .and("not usable", [201, 202, 203, 204, 206].map(|status| served(status, &[], WELL_KNOWN)))
        .case(
            "not usable",
            "the base_url is not a URL, or is plain http",
            ["matrix.example:443", "http://hs.example.org", "http://127.0.0.1:8008"]
                .map(|base_url| served(200, &[], format!(r#"{{"m.homeserver":{{"base_url":"{base_url}"}}}}"#))),
        )
        .case("3xx", "", redirects)
        .case("3xx", "the redirect must not be followed", not_followed)
        .case("4xx", "the status is 404", [served(404, &[], r#"{"errcode":"M_NOT_FOUND"}"#)])
        .case("not Matrix", "the status is 404", not_found)
        .check("GET well-known");
}

#[test]
fn the_table_holds_for_get_versions() {
    Row::new(Scenario::at_versions().flow, VERSIONS).check("GET versions");
}

/// Responses that say that an API does not exist.
fn unrecognized() -> [Response<Vec<u8>>; 4] {
    [404, 400, 405, 200].map(|status| served(status, &[], UNRECOGNIZED))
}

#[test]
fn the_table_holds_for_get_login() {
    let only = |case: &'static str, flow: LoginFlow, outcome: &str| {
        let expected = cells("GET login").unwrap();
        let column = if case.starts_with("M_") { "4xx" } else { "good" };
        assert_eq!(expected[column][case], outcome);
        let responses = if column == "4xx" { unrecognized().to_vec() } else { vec![served(200, &[], OFFERS)] };
        for response in responses {
            assert_eq!(self::outcome(&flow, &response), outcome, "{case}");
        }
    };
    let wanted = || LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth());
    only("the settings ask for OAuth 2.0", wanted(), "GET auth_metadata");
    only("M_UNRECOGNIZED, and the settings ask for OAuth 2.0", wanted(), "GET auth_metadata");
    Row::new(Scenario::at(HOMESERVER).flow, OFFERS)
        .case("4xx", "M_UNRECOGNIZED", unrecognized())
        .case("good", "the settings ask for OAuth 2.0", [])
        .case("4xx", "M_UNRECOGNIZED, and the settings ask for OAuth 2.0", [])
        .check("GET login");
    // Everything else is the same, whether OAuth 2.0 is wanted or not.
    Row::new(wanted(), OFFERS)
        .case("good", "", [])
        .case("good", "the settings ask for OAuth 2.0", [served(200, &[], OFFERS)])
        .case("4xx", "M_UNRECOGNIZED", [])
        .case("4xx", "M_UNRECOGNIZED, and the settings ask for OAuth 2.0", unrecognized())
        .check("GET login");
}

#[test]
fn the_table_holds_for_post_login() {
    let mut again = Scenario::of(LoginFlow::again(&refresh::session(refresh::stored()), LoginSettings::default()));
    again.responds(200, OFFERS).choose(sso()).callback(CALLBACK);
    let ends = r#"{"user_id":"@alice:example.org","device_id":"D","access_token":"t","expires_in_ms":1}"#;
    let other = r#"{"user_id":"@mallory:example.org","device_id":"D","access_token":"t"}"#;
    Row::new(again.flow, GRANTED)
        .and("good", [201, 202, 203, 206].map(|status| served(status, &[], GRANTED)))
        .case("good", "the access token expires, and there is no refresh token", [served(200, &[], ends)])
        .case("good", "the login is of another user", [served(200, &[], other)])
        .and("4xx", [served(404, &[], r#"{"errcode":"M_UNRECOGNIZED"}"#)])
        .check("POST login");
}

#[test]
fn the_table_holds_for_get_auth_metadata_with_login_types() {
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    story.responds(200, OFFERS).gets(AUTH_METADATA_URL);
    Row::new(story.flow, METADATA)
        .and("good", [201, 203].map(|status| served(status, &[], METADATA)))
        .and("4xx", unrecognized())
        .with_4xx_apart()
        .check("GET auth_metadata, with login types");
}

#[test]
fn the_table_holds_for_get_auth_metadata_without_login_types() {
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    story.responds(404, UNRECOGNIZED).gets(AUTH_METADATA_URL);
    Row::new(story.flow, METADATA)
        .case("4xx", "M_UNRECOGNIZED", unrecognized())
        .check("GET auth_metadata, without login types");
}

#[test]
fn the_table_holds_for_get_auth_metadata_after_a_resume() {
    let mut story = Scenario::in_the_browser_for_a_code();
    story.suspend().callback(CODE_CALLBACK).gets(AUTH_METADATA_URL);
    let other = |member, value: &str| served(200, &[], metadata_with(member, value));
    Row::new(story.flow, METADATA)
        .case("4xx", "M_UNRECOGNIZED", unrecognized())
        .case(
            "good",
            "issuer or endpoints have changed",
            [
                other("issuer", "https://auth.example.org"),
                other("authorization_endpoint", "https://auth.example.org/other"),
                other("authorization_endpoint", "https://other.example.org/authorize"),
                other("token_endpoint", "https://other.example.org/token"),
                served(200, &[], r#"{"issuer":"https://auth.example.org/"}"#),
            ],
        )
        .check("GET auth_metadata, after a resume");
}

#[test]
fn the_table_holds_for_post_register() {
    let mut story = Scenario::at_the_question_with_oauth();
    story.choose(code());
    Row::new(story.flow, REGISTERED)
        .and("good", [201, 202].map(|status| served(status, &[], REGISTERED)))
        .and("not usable", [served(201, &[], r#"{"client_id":""}"#), served(201, &[], r#"{"client_id":7}"#)])
        .case("good", "the choice is a code to show", [])
        .of_oauth()
        .check("POST register");
    let mut story = Scenario::at_the_question_with_oauth();
    story.choose(Choice::device_authorization());
    Row::new(story.flow, REGISTERED)
        .case("good", "", [])
        .case("good", "the choice is a code to show", [201, 202].map(|status| served(status, &[], REGISTERED)))
        .of_oauth()
        .check("POST register");
}

#[test]
fn the_table_holds_for_post_device_authorization() {
    Row::new(Scenario::asking_for_a_code_to_show().flow, CODE_TO_SHOW)
        .and("not usable", [served(200, &[], r#"{"device_code":"d","user_code":"u"}"#)])
        .of_oauth()
        .check("POST device_authorization");
}

#[test]
fn the_table_holds_for_post_token_as_a_poll() {
    let undecided = || {
        let codes = ["authorization_pending", "slow_down"];
        let responses = [200, 400, 401, 403].map(|status| {
            codes.map(|code| served(status, &[("retry-after", "9")], json!({"error": code}).to_string()))
        });
        responses.into_iter().flatten()
    };
    let slow_down = |response: &Response<Vec<u8>>| response.body() == br#"{"error":"slow_down"}"#;
    let refusals = ["access_denied", "expired_token", "invalid_grant", "server_error", "M_FORBIDDEN"];
    Row::new(Scenario::polling().flow, TOKENS)
        .and("good", [served(200, &[], r#"{"access_token":"at"}"#)])
        .of_oauth()
        .and("4xx", refusals.map(|code| served(400, &[], json!({"error": code}).to_string())))
        .case("4xx", "authorization_pending or slow_down", undecided())
        .case("4xx", "the same, after the code has expired", [])
        .without("rate limit", slow_down)
        .case("rate limit", "slow_down", [served(429, &[], r#"{"error":"slow_down"}"#)])
        .check("POST token, a poll");
    let mut ended = Scenario::asking_for_a_code_to_show();
    ended.responds_at(noon() - CODE_LIFETIME, 200, CODE_TO_SHOW).timeout();
    for response in undecided() {
        let expected = &cells("POST token, a poll").unwrap()["4xx"]["the same, after the code has expired"];
        assert_eq!(&outcome(&ended.flow, &response), expected);
    }
}

#[test]
fn the_table_holds_for_post_token() {
    Row::new(Scenario::with_a_code().flow, TOKENS)
        .and("good", [served(200, &[], r#"{"access_token":"at"}"#)])
        .and("not usable", [served(200, &[], r#"{"access_token":"at","token_type":"mac"}"#)])
        .of_oauth()
        .check("POST token");
}

#[test]
fn the_table_holds_for_get_whoami() {
    let again = |tokens: &str| {
        let mut stored = refresh::stored();
        stored["device_id"] = OAUTH_DEVICE_ID.into();
        let mut story = Scenario::of(LoginFlow::again(&refresh::session(stored), with_oauth()));
        story.responds(200, OFFERS).responds(200, METADATA).choose(code()).responds(201, REGISTERED);
        story.callback(CODE_CALLBACK).responds(200, tokens);
        story.flow
    };
    let other = r#"{"user_id":"@mallory:example.org","device_id":"KITCHENTABLET"}"#;
    // The token expires for good, or not: that was granted before.
    let ends = "the access token expires, and there is no refresh token";
    assert_eq!(outcome(&again(TOKENS_THAT_END), &served(200, &[], WHOAMI)), cells("GET whoami").unwrap()["good"][ends]);
    Row::new(again(TOKENS), WHOAMI)
        .and("good", [201, 203].map(|status| served(status, &[], WHOAMI)))
        .case("good", ends, [])
        .case("good", "the login is of another user", [served(200, &[], other)])
        .case("good", "the response contains no device ID", [served(200, &[], r#"{"user_id":"@alice:example.org"}"#)])
        .and("4xx", [served(401, &[], r#"{"errcode":"M_UNKNOWN_TOKEN"}"#), served(404, &[], UNRECOGNIZED)])
        .check("GET whoami");
}

#[test]
fn the_table_holds_for_post_revoke() {
    let mut story = Scenario::with_tokens();
    story.back();
    let is_empty = |response: &Response<Vec<u8>>| response.status() == 200 && response.body().is_empty();
    Row::new(story.flow, "{}")
        .and("good", ["", " \n"].map(|body| served(200, &[], body)))
        .and("good", [served(204, &[], "")])
        .of_oauth()
        .without("not Matrix", is_empty)
        .check("POST revoke");
}

#[test]
fn the_table_holds_for_the_callback_of_the_code_grant() {
    let mut cells = cells("callback, of the code grant").unwrap();
    let metadata = metadata_with("authorization_response_iss_parameter_supported", true);
    let mut promising = Scenario::with_metadata(with_oauth(), metadata);
    promising.choose(code()).responds(201, REGISTERED);
    let silent = Scenario::in_the_browser_for_a_code();
    let issuer = "iss=https%3A%2F%2Fauth.example.org%2F";
    let (ours, other) = (format!("state={STATE}"), "state=fedcba9876543210");
    let check = |column: &str, story: &Scenario, queries: &[String]| {
        let outcomes = &cells[column];
        let expected = &outcomes[""];
        for query in queries {
            for separator in ["?", "#"] {
                let callback = format!("http://127.0.0.1:9/cb{separator}{query}").parse().unwrap();
                let mut moved = story.flow.clone();
                let outcome = match moved.handle_callback(&callback) {
                    Ok(()) => step(&moved),
                    Err(Error::ForeignCallback(_)) => {
                        assert_eq!(whole(&moved), whole(&story.flow), "{callback}");
                        "ForeignCallback".to_owned()
                    }
                    Err(error) => panic!("{error:?}"),
                };
                assert_eq!(&outcome, expected, "{callback}");
            }
        }
    };
    check(
        "good",
        &silent,
        &[format!("{ours}&code=c"), format!("code=c&x=y&{ours}"), format!("{ours}&code=c&{issuer}")],
    );
    check("good", &promising, &[format!("{ours}&code=c&{issuer}")]);
    check(
        "not usable",
        &silent,
        &[
            format!("{other}&code=c"),
            format!("{other}&error=access_denied"),
            "code=c".to_owned(),
            format!("{ours}&{ours}&code=c"),
            format!("{ours}&{other}&code=c"),
            format!("{ours}&code=c&code=d"),
            format!("{ours}&code=c&iss=https%3A%2F%2Fauth.example.org"),
            format!("{ours}&code=c&{issuer}&{issuer}"),
            format!("{ours}&code=c&error=access_denied"),
            ours.clone(),
            format!("{ours}&code="),
            format!("{ours}&loginToken=t"),
        ],
    );
    check("not usable", &promising, &[format!("{ours}&code=c"), format!("{ours}&error=access_denied")]);
    check("4xx", &silent, &[format!("{ours}&error=access_denied"), format!("{ours}&error=x&error_description=y")]);
    check("4xx", &promising, &[format!("{ours}&error=access_denied&{issuer}")]);
    cells.retain(|column, outcomes| {
        assert_eq!(outcomes.len(), 1, "{column}");
        outcomes[""] == "-"
    });
    assert_eq!(cells.keys().copied().collect::<Vec<_>>(), ["3xx", "5xx", "not Matrix", "rate limit", "unreachable"]);
}

#[test]
fn the_table_has_these_rows_and_no_others() {
    let expected = [
        "GET well-known",
        "GET versions",
        "GET login",
        "POST login",
        "GET auth_metadata, with login types",
        "GET auth_metadata, without login types",
        "GET auth_metadata, after a resume",
        "POST register",
        "callback, of the code grant",
        "POST token",
        "POST device_authorization",
        "POST token, a poll",
        "GET whoami",
        "POST revoke",
    ];
    for (_, rows) in outcomes() {
        let due: Vec<_> = rows.into_iter().map(|mut row| row.remove(0)).collect();
        assert_eq!(due, expected);
    }
    for row in special_cases() {
        assert!(expected.contains(&row[0].as_str()), "{row:?}");
    }
}

#[test]
fn a_status_that_no_server_sends_cannot_be_retried() {
    for status in [100, 101, 199, 600, 999] {
        for mut story in [Scenario::at(HOMESERVER), Scenario::logging_in()] {
            assert!(!story.fails(status, "").may_retry(), "{status}");
        }
    }
}
