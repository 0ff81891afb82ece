//! Every input of a flow, with every kind of value that it takes.
//!
//! Every secret in them contains [`SECRET`], so that a test can look for it.

use std::{sync::LazyLock, time::SystemTime};

use http::Response;
use matrix_login::{
    AccessToken, Choice, CodeVerifier, Error, LoginFlow, LoginToken, MAX_BODY, OAuthClient, Password, Redirect,
    RequestId, UserIdentifier,
};
use serde_json::{Map, Value, json};

use crate::support::scenario::{
    CODE_LIFETIME, HOMESERVER, METADATA, OFFERS, PENDING, UNRECOGNIZED, VERSIONS, WELL_KNOWN, noon, served,
};

/// The text in every planted secret.
pub const SECRET: &str = "s3cr3t";

const STATE: &str = "0123456789-s3cr3t";
const ISSUER: &str = "iss=https%3A%2F%2Fauth.example.org%2F";
const OTHER_HOMESERVER: &str = "https://other.example.org";

type Apply = dyn Fn(&mut LoginFlow, RequestId) -> Result<(), Error> + Send + Sync;

/// A call of a method that moves a flow.
pub struct Input {
    pub name: &'static str,
    /// The name in `rules.txt` for this input and others that do the same in most states.
    pub family: &'static str,
    /// The method of [`LoginFlow`].
    pub method: &'static str,
    apply: Box<Apply>,
}

impl Input {
    /// If the input belongs to a request, `id` is the ID of that request.
    pub fn apply(&self, flow: &mut LoginFlow, id: RequestId) -> Result<(), Error> {
        (self.apply)(flow, id)
    }

    /// Whether the input can lead back to the question of this homeserver. Another homeserver has its own question.
    pub fn may_ask(&self) -> bool {
        self.method != "use_homeserver"
    }

    pub fn is_about_a_request(&self) -> bool {
        ["handle_response", "handle_unreachable"].contains(&self.method)
    }
}

/// Every input, in the order of `rules.txt`.
pub fn inputs() -> &'static [Input] {
    static INPUTS: LazyLock<Vec<Input>> = LazyLock::new(|| {
        let mut inputs = Vec::new();
        inputs.extend(good_responses());
        inputs.extend(bad_responses());
        let unreachable = |flow: &mut LoginFlow, id| flow.handle_unreachable(id);
        inputs.push(input("unreachable", "", "handle_unreachable", unreachable));
        inputs.push(input("timeout", "", "handle_timeout", |flow, _| flow.handle_timeout()));
        inputs.extend(choices());
        inputs.extend(callbacks());
        inputs.push(input("back", "", "back", |flow, _| flow.back()));
        inputs.push(input("use_homeserver", "", "use_homeserver", |flow, _| {
            // The homeserver must always differ from the one in use.
            let is_other = flow.homeserver().is_some_and(|homeserver| homeserver.as_str() == OTHER_HOMESERVER);
            flow.use_homeserver(if is_other { HOMESERVER } else { OTHER_HOMESERVER }.parse()?)
        }));
        inputs
    });
    &INPUTS
}

fn input(
    name: &'static str,
    family: &'static str,
    method: &'static str,
    apply: impl Fn(&mut LoginFlow, RequestId) -> Result<(), Error> + Send + Sync + 'static,
) -> Input {
    Input { name, family, method, apply: Box::new(apply) }
}

fn response(name: &'static str, family: &'static str, response: Response<Vec<u8>>) -> Input {
    response_at(name, family, response, noon())
}

fn response_at(
    name: &'static str,
    family: &'static str,
    response: Response<Vec<u8>>,
    received_at: SystemTime,
) -> Input {
    input(name, family, "handle_response", move |flow, id| flow.handle_response(id, &response, received_at))
}

/// The metadata of a server that registers no client, has no device grant, revokes nothing, and puts its name into
/// every callback.
fn poor_metadata() -> String {
    let mut metadata: Map<String, Value> = serde_json::from_str(METADATA).unwrap();
    for member in ["registration_endpoint", "revocation_endpoint", "device_authorization_endpoint"] {
        metadata.remove(member);
    }
    metadata.insert("authorization_response_iss_parameter_supported".to_owned(), true.into());
    Value::from(metadata).to_string()
}

/// The responses that the requests ask for.
fn good_responses() -> Vec<Input> {
    let of = |name, status, body: &str| response(name, "body", served(status, &[], body));
    let session = |more: Value| {
        let mut session = json!({"user_id": "@alice:example.org", "device_id": "D", "access_token": "s3cr3t"});
        session.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        session.to_string()
    };
    let whoami = |user: &str| json!({"user_id": user, "device_id": "KITCHENTABLET", "x": "s3cr3t"}).to_string();
    vec![
        of("well-known", 200, WELL_KNOWN),
        of("well-known with plain http", 200, r#"{"m.homeserver":{"base_url":"http://hs.example.org"}}"#),
        of("versions", 200, VERSIONS),
        of("login types", 200, OFFERS),
        of("no login types", 200, r#"{"flows":[]}"#),
        of("session", 200, &session(json!({"refresh_token": "s3cr3t", "expires_in_ms": 60_000}))),
        of("session that ends", 200, &session(json!({"expires_in_ms": 1}))),
        of("session of another user", 200, &session(json!({"user_id": "@bob:example.org"}))),
        of("session without a device", 200, r#"{"user_id":"@alice:example.org","access_token":"s3cr3t"}"#),
        of("metadata", 200, METADATA),
        of("poor metadata", 200, &poor_metadata()),
        of("metadata of another issuer", 200, &METADATA.replace(r#""https://auth.example.org/""#, r#""https://x/""#)),
        of("registration", 201, r#"{"client_id":"c1+/=","client_secret":"s3cr3t"}"#),
        of(
            "code to show",
            200,
            r#"{"device_code":"s3cr3t","user_code":"WDJB-MJHT","expires_in":1800,"interval":7,
                "verification_uri":"https://auth.example.org/link"}"#,
        ),
        of(
            "tokens",
            200,
            r#"{"access_token":"s3cr3t","token_type":"Bearer","expires_in":300,"refresh_token":"s3cr3t"}"#,
        ),
        of("tokens that end", 200, r#"{"access_token":"s3cr3t","token_type":"Bearer","expires_in":300}"#),
        of("whoami", 200, &whoami("@alice:example.org")),
        of("whoami of another user", 200, &whoami("@bob:example.org")),
        of("whoami without a device", 200, r#"{"user_id":"@alice:example.org"}"#),
    ]
}

/// All other responses, under their names in the table of `handle_response`.
fn bad_responses() -> Vec<Input> {
    let of = |name, family, status, body: &str| response(name, family, served(status, &[], body));
    let with = |name, family, status, header, body: &str| response(name, family, served(status, &[header], body));
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5,"x":"s3cr3t"}"#;
    let too_large = format!(r#"{{"access_token":"s3cr3t","x":"{}"}}"#, " ".repeat(MAX_BODY));
    vec![
        of("{}", "useless 2xx", 200, "{}"),
        of("null", "useless 2xx", 200, "null"),
        of("a list", "useless 2xx", 200, r#"["s3cr3t"]"#),
        of("cut off", "useless 2xx", 200, r#"{"access_token":"s3cr3t"#),
        of("wrong types", "useless 2xx", 200, r#"{"access_token":["s3cr3t"],"flows":"s3cr3t","client_id":["s3cr3t"]}"#),
        of("too large", "useless 2xx", 200, &too_large),
        of("403 M_FORBIDDEN", "refusal", 403, r#"{"errcode":"M_FORBIDDEN","error":"No.","x":"s3cr3t"}"#),
        of("200 M_FORBIDDEN", "refusal", 200, r#"{"errcode":"M_FORBIDDEN","x":"s3cr3t"}"#),
        of("401 M_UNKNOWN_TOKEN", "refusal", 401, r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":"s3cr3t"}"#),
        of("403 M_LIMIT_EXCEEDED (no wait)", "refusal", 403, r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
        of("404 M_UNRECOGNIZED", "refusal", 404, UNRECOGNIZED),
        of("400 invalid_grant", "refusal", 400, r#"{"error":"invalid_grant","error_uri":"https://x/?s3cr3t"}"#),
        of("400 access_denied", "refusal", 400, r#"{"error":"access_denied","x":"s3cr3t"}"#),
        of("400 pending", "refusal", 400, PENDING),
        response_at("403 pending (after the end)", "refusal", served(403, &[], PENDING), noon() + CODE_LIFETIME),
        of("429", "rate limit", 429, ""),
        of("429 M_LIMIT_EXCEEDED", "rate limit", 429, limited),
        of("403 M_LIMIT_EXCEEDED", "rate limit", 403, limited),
        of("200 M_LIMIT_EXCEEDED", "rate limit", 200, limited),
        of("429 slow_down", "rate limit", 429, r#"{"error":"slow_down","x":"s3cr3t"}"#),
        // Each of these redirects leads one step deeper.
        with("301", "redirect", 301, ("location", "x/"), ""),
        with("302 to plain http", "redirect", 302, ("location", "http://x.example.org/?s3cr3t"), ""),
        with("304", "redirect", 304, ("location", "x/"), ""),
        of("307 without an address", "redirect", 307, ""),
        of("200 (a page)", "page", 200, "<html>s3cr3t</html>"),
        of("200 (empty)", "page", 200, ""),
        with("200 (compressed)", "page", 200, ("content-encoding", "gzip"), "s3cr3t"),
        of("401 (a page)", "page", 401, "<html>s3cr3t</html>"),
        of("401 (UIA)", "page", 401, r#"{"flows":[],"session":"s3cr3t"}"#),
        of("404 (a page)", "page", 404, "<html>s3cr3t</html>"),
        with("403 (compressed)", "page", 403, ("content-encoding", "br"), "s3cr3t"),
        of("600", "page", 600, "s3cr3t"),
        of("408", "server failure", 408, r#"{"errcode":"M_FORBIDDEN","x":"s3cr3t"}"#),
        of("425", "server failure", 425, ""),
        of("500", "server failure", 500, r#"{"errcode":"M_UNRECOGNIZED","x":"s3cr3t"}"#),
        of("502 (a page)", "server failure", 502, "<html>s3cr3t</html>"),
        with("503", "server failure", 503, ("retry-after", "5"), "s3cr3t"),
    ]
}

fn choices() -> Vec<Input> {
    let of = |name, choice: Choice| input(name, "choice", "choose", move |flow, _| flow.choose(choice.clone()));
    let redirect = || Redirect::new("http://127.0.0.1:9/cb?key=s3cr3t", STATE).unwrap();
    let provider = |id| redirect().with_identity_provider(id).unwrap();
    let code = || {
        let verifier = CodeVerifier::new(format!("s3cr3t{}", "v".repeat(40))).unwrap();
        Choice::authorization_code(redirect(), verifier).with_field("login_hint", "s3cr3t").unwrap()
    };
    let user = || UserIdentifier::user("alice");
    let fields = || Map::from_iter([("pin".to_owned(), json!({"deep": ["s3cr3t"]}))]);
    let badge = |name| Choice::custom(name, fields()).unwrap();
    vec![
        of("choose password", Choice::password(user(), Password::new("s3cr3t"))),
        of("choose token", Choice::token(LoginToken::new("s3cr3t"))),
        of("choose application service", Choice::application_service(user(), AccessToken::new("s3cr3t").unwrap())),
        of("choose custom", badge("org.example.badge")),
        of("choose SSO", Choice::sso(redirect()).with_field("org.example.x", json!({"deep": ["s3cr3t"]})).unwrap()),
        of("choose SSO (a provider)", Choice::sso(provider("oidc-x"))),
        of("choose SSO (unknown provider)", Choice::sso(provider("oidc-y"))),
        of("choose unknown type", badge("org.example.unknown")),
        of("choose unknown type (unlisted)", badge("org.example.unknown").unlisted()),
        of("choose code", code()),
        of("choose code (unlisted)", code().unlisted()),
        of("choose code (unfit device ID)", code().with_device_id("no ID").unwrap()),
        of("choose device", Choice::device_authorization()),
        of("choose device (unfit device ID)", Choice::device_authorization().with_device_id("no ID").unwrap()),
    ]
}

fn callbacks() -> Vec<Input> {
    let of = |name, query: &str| {
        let url: url::Url = format!("http://127.0.0.1:9/cb?key=s3cr3t&{query}").parse().unwrap();
        input(name, "callback", "handle_callback", move |flow, _| flow.handle_callback(&url))
    };
    let ours = |query: &str| format!("state={STATE}&{query}");
    vec![
        of("callback with a login token", &ours("loginToken=s3cr3t")),
        of("callback with a login token (another state)", "state=another-s3cr3t&loginToken=s3cr3t"),
        of("callback with code", &ours("code=s3cr3t")),
        of("callback with code and issuer", &ours(&format!("code=s3cr3t&{ISSUER}"))),
        of("callback with code (another issuer)", &ours("code=s3cr3t&iss=https%3A%2F%2Fx%2Fs3cr3t")),
        of("callback with code (another state)", "state=another-s3cr3t&code=s3cr3t"),
        of("callback with code and error", &ours(&format!("code=s3cr3t&error=access_denied&{ISSUER}"))),
        of("callback with error", &ours("error=access_denied")),
        of("callback with error and issuer", &ours(&format!("error=access_denied&{ISSUER}"))),
        of("callback with nothing", "x=s3cr3t"),
    ]
}

/// A client that an administrator has registered, or one that registers itself.
pub fn client(is_registered: bool) -> OAuthClient {
    if is_registered {
        return OAuthClient::registered("c1+/=").unwrap();
    }
    let client = OAuthClient::new("https://app.example.com/".parse().unwrap(), "Example");
    client.with_field("software_statement", "s3cr3t").unwrap()
}
