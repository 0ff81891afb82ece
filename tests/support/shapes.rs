//! Bodies that a hostile or a broken server could send, in any size.

use std::any::Any;
use std::time::{Duration, UNIX_EPOCH};

use http::{Response, StatusCode};
use matrix_login::endpoint::oauth::{auth_metadata, registration, revocation, token};
use matrix_login::endpoint::{get_token, login, login_types, refresh, versions, well_known};
use matrix_login::{Choice, LoginFlow, LoginSettings, OAuthClient, Password, Step, UserIdentifier};

/// A kind of body.
pub struct Shape {
    pub name: &'static str,
    pub status: u16,
    /// The limit for the kept memory, as a multiple of the size of the body.
    pub limit: u64,
    before: &'static str,
    element: fn(usize) -> String,
    after: &'static str,
    /// Reads a response, and returns everything that is kept of it.
    pub read: fn(&Response<Vec<u8>>) -> Box<dyn Any>,
}

/// The limit for members that the crate does not read.
const UNREAD: u64 = 2;

/// The limit for login types, providers and other lists.
const LISTED: u64 = 4;

impl Shape {
    /// A response whose body has at most this many bytes, and almost as many.
    pub fn response(&self, size: usize) -> Response<Vec<u8>> {
        let mut body = self.before.to_owned();
        for index in 0.. {
            let comma = if index == 0 { "" } else { "," };
            let element = (self.element)(index);
            if body.len() + comma.len() + element.len() + self.after.len() > size {
                break;
            }
            body.push_str(comma);
            body.push_str(&element);
        }
        body.push_str(self.after);
        // This byte stands for a byte that is not UTF-8. No shape needs it for itself.
        let body = body.bytes().map(|byte| if byte == b'\x7f' { b'\xff' } else { byte }).collect();
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        response
    }
}

pub fn all() -> Vec<Shape> {
    [of_any_object(), of_login_types(), of_other_lists(), of_oauth(), of_flows()].into_iter().flatten().collect()
}

const GRANTED: &str = r#"{"user_id":"@a:b.c","device_id":"D","access_token":"t","#;

fn shape(
    (name, status, limit): (&'static str, u16, u64),
    (before, element, after): (&'static str, fn(usize) -> String, &'static str),
    read: fn(&Response<Vec<u8>>) -> Box<dyn Any>,
) -> Shape {
    Shape { name, status, limit, before, element, after, read }
}

fn member(index: usize) -> String {
    format!(r#""k{index}":{index}"#)
}

fn tiny_object(_: usize) -> String {
    r#"{"":0}"#.to_owned()
}

fn of_any_object() -> Vec<Shape> {
    let unread = |name| (name, 200, UNREAD);
    let long = |index| format!(r#""k{index}":"{}""#, "x".repeat(200));
    let deep = |index: usize| if index == 0 { "[".repeat(400) + &"]".repeat(400) } else { "[[[[{}]]]]".to_owned() };
    vec![
        shape(unread("login, many keys"), (GRANTED, member, "}"), read_login),
        shape(unread("login, the same key"), (GRANTED, |_| r#""k":0"#.to_owned(), "}"), read_login),
        shape(
            unread("login, tiny objects"),
            (r#"{"user_id":"@a:b.c","device_id":"D","access_token":"t","x":["#, tiny_object, "]}"),
            read_login,
        ),
        shape(unread("login, long strings"), (GRANTED, long, "}"), read_login),
        shape(
            unread("login, bytes that are not UTF-8"),
            (GRANTED, |index| format!("\"k{index}\":\"{}\"", "\x7f".repeat(200)), "}"),
            read_login,
        ),
        shape(
            unread("login, nested lists"),
            (r#"{"user_id":"@a:b.c","device_id":"D","access_token":"t","x":["#, deep, "]}"),
            read_login,
        ),
        shape(
            unread("login, a well_known with many keys"),
            (
                r#"{"user_id":"@a:b.c","device_id":"D","access_token":"t","well_known":{"#,
                member,
                r#","m.homeserver":{"base_url":"https://b.c"}}}"#,
            ),
            read_login,
        ),
        shape(unread("refresh, many keys"), (r#"{"access_token":"t","#, member, "}"), |response| {
            Box::new(refresh::response(response).expect("tokens"))
        }),
        shape(
            unread("well-known file, many keys"),
            (r#"{"m.homeserver":{"base_url":"https://b.c"},"#, member, "}"),
            |response| Box::new(well_known::response(response).expect("a homeserver")),
        ),
        shape(
            unread("well-known file, tiny objects"),
            (r#"{"m.homeserver":{"base_url":"https://b.c"},"x":["#, tiny_object, "]}"),
            |response| Box::new(well_known::response(response).expect("a homeserver")),
        ),
        shape(("error, many keys", 403, UNREAD), (r#"{"errcode":"M_FORBIDDEN","#, member, "}"), read_error),
        shape(
            ("rate limit, tiny objects", 429, UNREAD),
            (r#"{"errcode":"M_LIMIT_EXCEEDED","x":["#, tiny_object, "]}"),
            read_error,
        ),
        shape(
            ("error, a long message", 403, UNREAD),
            (r#"{"errcode":"M_FORBIDDEN","error":""#, |_| "no".to_owned(), "\"}"),
            read_error,
        ),
    ]
}

fn of_login_types() -> Vec<Shape> {
    let listed = |name| (name, 200, LISTED);
    let unread = |name| (name, 200, UNREAD);
    let providers = r#"{"flows":[{"type":"m.login.sso","identity_providers":["#;
    vec![
        shape(
            listed("login types, distinct"),
            (r#"{"flows":["#, |index| format!(r#"{{"type":"org.example.{index}"}}"#), "]}"),
            read_login_types,
        ),
        shape(
            listed("login types, as short as can be"),
            (r#"{"flows":["#, |index| format!(r#"{{"type":"{index:x}"}}"#), "]}"),
            read_login_types,
        ),
        shape(
            listed("login types, the same"),
            (r#"{"flows":["#, |_| r#"{"type":"m.login.password"}"#.to_owned(), "]}"),
            read_login_types,
        ),
        shape(
            listed("login types, each with an unread key"),
            (r#"{"flows":["#, |index| format!(r#"{{"type":"org.example.{index}","k":{index}}}"#), "]}"),
            read_login_types,
        ),
        shape(
            listed("login types, each with its type last"),
            (r#"{"flows":["#, |index| format!(r#"{{"k":{index},"type":"org.example.{index}"}}"#), "]}"),
            read_login_types,
        ),
        shape(
            unread("login types, one with many keys"),
            (r#"{"flows":[{"type":"org.example.type","#, member, "}]}"),
            read_login_types,
        ),
        shape(
            unread("login types, one with many keys and its type last"),
            (r#"{"flows":[{"#, member, r#","type":"org.example.type"}]}"#),
            read_login_types,
        ),
        shape(
            unread("login types, one with tiny objects"),
            (r#"{"flows":[{"type":"org.example.type","x":["#, tiny_object, "]}]}"),
            read_login_types,
        ),
        shape(
            listed("providers"),
            (
                providers,
                |index| format!(r#"{{"id":"oidc-{index}","name":"Provider {index}","brand":"org.example"}}"#),
                "]}]}",
            ),
            read_login_types,
        ),
        shape(
            listed("providers, as short as can be"),
            (providers, |index| format!(r#"{{"id":"{index:x}"}}"#), "]}]}"),
            read_login_types,
        ),
        shape(unread("providers that are none"), (providers, tiny_object, "]}]}"), read_login_types),
    ]
}

fn of_other_lists() -> Vec<Shape> {
    let listed = |name| (name, 200, LISTED);
    let read_versions =
        |response: &Response<Vec<u8>>| -> Box<dyn Any> { Box::new(versions::response(response).expect("versions")) };
    vec![
        shape(listed("versions"), (r#"{"versions":["#, |index| format!(r#""v1.{index}""#), "]}"), read_versions),
        shape(
            listed("versions, unstable features"),
            (r#"{"versions":[],"unstable_features":{"#, |index| format!(r#""org.matrix.msc{index}":true"#), "}}"),
            read_versions,
        ),
        shape(("versions, many keys", 200, UNREAD), (r#"{"versions":[],"#, member, "}"), read_versions),
        shape(("challenge, tiny objects as flows", 401, LISTED), (r#"{"flows":["#, tiny_object, "]}"), |response| {
            Box::new(get_token::response(response).expect("a challenge"))
        }),
        shape(("challenge, many keys", 401, UNREAD), (r#"{"flows":[],"#, member, "}"), |response| {
            Box::new(get_token::response(response).expect("a challenge"))
        }),
    ]
}

/// Bodies for the endpoints of the OAuth 2.0 API.
fn of_oauth() -> Vec<Shape> {
    let unread = |name| (name, 200, UNREAD);
    let listed = |name| (name, 200, LISTED);
    let short = |index: usize| format!(r#""{index:x}""#);
    let url = |index| format!(r#""token_endpoint":"https://auth.example.org/{index}""#);
    vec![
        shape(unread("metadata, many keys"), (r#"{"issuer":"i","#, member, "}"), read_metadata),
        shape(unread("metadata, tiny objects"), (r#"{"issuer":"i","x":["#, tiny_object, "]}"), read_metadata),
        shape(unread("metadata, a long issuer"), (r#"{"x":1,"issuer":""#, |_| "i".to_owned(), r#""}"#), read_metadata),
        shape(unread("metadata, the same endpoint"), (r#"{"issuer":"i","#, url, "}"), read_metadata),
        shape(
            unread("metadata, a long endpoint"),
            (r#"{"issuer":"i","token_endpoint":"https://auth.example.org/"#, |_| "x".to_owned(), r#""}"#),
            read_metadata,
        ),
        shape(
            listed("metadata, an endpoint that is encoded"),
            (r#"{"issuer":"i","token_endpoint":"https://auth.example.org/"#, |_| "\u{e4}".to_owned(), r#""}"#),
            read_metadata,
        ),
        shape(
            unread("metadata, grants"),
            (r#"{"issuer":"i","grant_types_supported":["#, |index| format!(r#""org.example.{index}""#), "]}"),
            read_metadata,
        ),
        shape(
            unread("metadata, grants as short as can be"),
            (r#"{"issuer":"i","grant_types_supported":["#, short, "]}"),
            read_metadata,
        ),
        shape(
            unread("metadata, grants without a name"),
            (r#"{"issuer":"i","grant_types_supported":["#, |_| r#""""#.to_owned(), "]}"),
            read_metadata,
        ),
        shape(
            unread("metadata, response modes as short as can be"),
            (r#"{"issuer":"i","response_modes_supported":["#, short, "]}"),
            read_metadata,
        ),
        shape(
            unread("metadata, grants that are not strings"),
            (r#"{"issuer":"i","grant_types_supported":["#, tiny_object, "]}"),
            read_metadata,
        ),
        shape(unread("registration, many keys"), (r#"{"client_id":"c","#, member, "}"), |response| {
            Box::new(registration::response(response).expect("a client"))
        }),
        shape(unread("registration, a long ID"), (r#"{"client_id":""#, |_| "c".to_owned(), r#""}"#), |response| {
            Box::new(registration::response(response).expect("a client"))
        }),
        shape(unread("token, many keys"), (r#"{"access_token":"t","#, member, "}"), read_token),
        shape(unread("token, tiny objects"), (r#"{"access_token":"t","x":["#, tiny_object, "]}"), read_token),
        shape(
            unread("token, a long scope"),
            (r#"{"access_token":"t","scope":""#, |_| "s".to_owned(), r#""}"#),
            read_token,
        ),
        shape(
            ("token, an error with many keys", 400, UNREAD),
            (r#"{"error":"invalid_grant","#, member, "}"),
            |response| Box::new(token::response(response).expect_err("an error")),
        ),
        shape(
            ("token, an error with a long description", 400, UNREAD),
            (r#"{"error":"invalid_grant","error_description":""#, |_| "no".to_owned(), r#""}"#),
            |response| Box::new(token::response(response).expect_err("an error")),
        ),
        shape(unread("revocation, many keys"), ("{", member, "}"), |response| {
            Box::new(revocation::response(response).expect("a success"))
        }),
        shape(
            unread("flow, metadata with grants"),
            (r#"{"issuer":"i","grant_types_supported":["#, |index| format!(r#""org.example.{index}""#), "]}"),
            |response| Box::new(after(at_metadata(), response)),
        ),
        shape(unread("flow, metadata with tiny objects"), (r#"{"issuer":"i","x":["#, tiny_object, "]}"), |response| {
            Box::new(after(at_metadata(), response))
        }),
    ]
}

fn read_metadata(response: &Response<Vec<u8>>) -> Box<dyn Any> {
    let homeserver = "https://b.c".parse().expect("a homeserver");
    Box::new(auth_metadata::response(&homeserver, response).expect("metadata"))
}

fn read_token(response: &Response<Vec<u8>>) -> Box<dyn Any> {
    Box::new(token::response(response).expect("tokens"))
}

/// A flow that asks for the metadata.
fn at_metadata() -> LoginFlow {
    let client = OAuthClient::registered("c").expect("an ID");
    let settings = LoginSettings::default().with_oauth(client);
    let flow = LoginFlow::at("https://b.c".parse().expect("a homeserver"), settings);
    after(flow, &Response::new(br#"{"flows":[{"type":"m.login.password"}]}"#.to_vec()))
}

/// Bodies for a whole flow.
fn of_flows() -> Vec<Shape> {
    vec![
        shape(
            ("flow, tiny objects beside the login types", 200, UNREAD),
            (r#"{"flows":[{"type":"m.login.password"}],"x":["#, tiny_object, "]}"),
            |response| Box::new(after(at(), response)),
        ),
        shape(
            ("flow, login types", 200, LISTED),
            (r#"{"flows":["#, |index| format!(r#"{{"type":"org.example.{index}"}}"#), "]}"),
            |response| Box::new(after(at(), response)),
        ),
        shape(
            ("flow, a refusal with many keys", 403, UNREAD),
            (r#"{"errcode":"M_FORBIDDEN","#, member, "}"),
            |response| Box::new(after(logging_in(), response)),
        ),
        shape(
            ("flow, a login with tiny objects", 200, UNREAD),
            (r#"{"user_id":"@a:b.c","device_id":"D","access_token":"t","x":["#, tiny_object, "]}"),
            |response| Box::new(after(logging_in(), response)),
        ),
    ]
}

fn read_login(response: &Response<Vec<u8>>) -> Box<dyn Any> {
    Box::new(login::response(response).expect("a login"))
}

fn read_error(response: &Response<Vec<u8>>) -> Box<dyn Any> {
    Box::new(login::response(response).expect_err("an error"))
}

fn read_login_types(response: &Response<Vec<u8>>) -> Box<dyn Any> {
    Box::new(login_types::response(response).expect("login types"))
}

fn at() -> LoginFlow {
    LoginFlow::at("https://b.c".parse().expect("a homeserver"), LoginSettings::default())
}

fn logging_in() -> LoginFlow {
    let login_types = Response::new(br#"{"flows":[{"type":"m.login.password"}]}"#.to_vec());
    let mut flow = after(at(), &login_types);
    flow.choose(Choice::password(UserIdentifier::user("a"), Password::new("p"))).expect("an offer");
    flow
}

fn after(mut flow: LoginFlow, response: &Response<Vec<u8>>) -> LoginFlow {
    let Step::Send { id, .. } = flow.step() else { panic!("{:?}", flow.step()) };
    flow.handle_response(id, response, UNIX_EPOCH + Duration::from_secs(1)).expect("a response that counts");
    flow
}
