//! A browser goes out to an OAuth 2.0 server, and comes back with a code or with a refusal.

use matrix_login::{
    Action, CodeVerifier, DeviceId, Fields, ForeignCallback, Redirect,
    endpoint::{
        callback,
        oauth::authorization::{self, Response},
    },
};
use serde_json::{Value, json};
use url::Url;

use crate::support::scenario::{CHALLENGE, STATE, VERIFIER};

// The URL.

const ENDPOINT: &str = "https://auth.example.org/authorize";

fn redirect(redirect_uri: &str) -> Redirect {
    Redirect::new(redirect_uri, STATE).unwrap()
}

fn url(endpoint: &str, client_id: &str, redirect: &Redirect, fields: &Value) -> Url {
    let device_id = DeviceId::new("KITCHENTABLET").unwrap();
    let verifier = CodeVerifier::new(VERIFIER).unwrap();
    let fields: Fields = fields.to_string().parse().unwrap();
    authorization::request(&endpoint.parse().unwrap(), client_id, &device_id, redirect, &verifier, &fields)
}

/// The parameters, in the order of their names.
fn parameters(url: &Url) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    parameters.sort();
    parameters
}

/// The only value of a parameter.
fn only(url: &Url, name: &str) -> Option<String> {
    let mut values = url.query_pairs().filter(|(found, _)| found == name).map(|(_, value)| value.into_owned());
    let value = values.next();
    assert_eq!(values.next(), None, "{name} appears twice");
    value
}

#[test]
fn the_url_has_each_parameter_once() {
    let url = url(ENDPOINT, "client", &redirect("http://127.0.0.1:8765/cb"), &json!({}));
    assert!(url.as_str().starts_with("https://auth.example.org/authorize?"), "{url}");
    assert_eq!(url.fragment(), None);
    let expected = [
        ("client_id", "client"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "http://127.0.0.1:8765/cb"),
        ("response_mode", "query"),
        ("response_type", "code"),
        ("scope", "urn:matrix:client:api:* urn:matrix:client:device:KITCHENTABLET"),
        ("state", STATE),
    ];
    assert_eq!(parameters(&url), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(!url.as_str().contains(VERIFIER), "only the challenge goes through the browser");
}

#[test]
fn the_query_of_the_endpoint_is_kept() {
    for own in ["tenant=1", "a=b%20c&d=%2F&e", "tenant=1&tenant=2"] {
        let url = url(&format!("{ENDPOINT}?{own}"), "client", &redirect("http://127.0.0.1/cb"), &json!({}));
        assert!(url.as_str().starts_with(&format!("{ENDPOINT}?{own}&")), "{url}");
        assert_eq!(only(&url, "response_type").as_deref(), Some("code"));
    }
}

#[test]
fn the_redirect_uri_goes_out_as_it_was_written() {
    for redirect_uri in [
        "https://app.example.com",
        "https://app.example.com/",
        "HTTPS://App.Example.COM:443/%7ea/../b?x=%20&y=+#",
        "http://127.0.0.1:8765/cb?x=1&y=%20z",
        "http://[::1]:8765/cb",
        "com.example.app:/cb",
        "com.example:cb",
    ] {
        let url = url(ENDPOINT, "client", &redirect(redirect_uri), &json!({}));
        assert_eq!(only(&url, "redirect_uri").as_deref(), Some(redirect_uri));
    }
}

#[test]
fn the_client_id_can_be_any_text() {
    for client_id in ["a+b/c==", "a b&c=d#e", "\u{e4}%41"] {
        let url = url(ENDPOINT, client_id, &redirect("http://127.0.0.1/cb"), &json!({}));
        assert_eq!(only(&url, "client_id").as_deref(), Some(client_id));
        let encoded = url.query().unwrap().split('&').find_map(|pair| pair.strip_prefix("client_id=")).unwrap();
        assert!(!encoded.contains(['+', '/', '=']) || client_id.contains(' '), "{encoded}");
    }
}

#[test]
fn the_response_mode_follows_from_the_redirect_uri() {
    for (redirect_uri, response_mode) in [
        ("https://app.example.com/cb", "fragment"),
        ("https://app.example.com:8443", "fragment"),
        ("https://127.0.0.1:8443/cb", "query"),
        ("https://localhost/cb", "query"),
        ("http://127.0.0.1:8765/cb", "query"),
        ("http://[::1]/cb", "query"),
        ("com.example.app:/cb", "query"),
    ] {
        let mode = |redirect: &Redirect| only(&url(ENDPOINT, "client", redirect, &json!({})), "response_mode");
        assert_eq!(mode(&redirect(redirect_uri)).as_deref(), Some(response_mode), "{redirect_uri}");
        assert_eq!(mode(&redirect(redirect_uri).in_query()).as_deref(), Some("query"), "{redirect_uri}");
    }
}

#[test]
fn the_page_can_be_the_one_that_creates_an_account() {
    for (action, prompt) in [(Action::Login, None), (Action::Register, Some("create"))] {
        let redirect = redirect("http://127.0.0.1/cb").with_action(action);
        let url = url(ENDPOINT, "client", &redirect, &json!({}));
        assert_eq!(only(&url, "prompt").as_deref(), prompt);
    }
}

#[test]
fn further_parameters_are_added() {
    let fields = json!({"login_hint": "mxid:@alice:example.org", "max_age": 7, "org.example.flag": true, "x y": "&=+"});
    let url = url(ENDPOINT, "client", &redirect("http://127.0.0.1/cb"), &fields);
    for (name, value) in
        [("login_hint", "mxid:@alice:example.org"), ("max_age", "7"), ("org.example.flag", "true"), ("x y", "&=+")]
    {
        assert_eq!(only(&url, name).as_deref(), Some(value));
    }
    assert_eq!(url.query_pairs().count(), 12);
}

// The callback.

const ISSUER: &str = "https://auth.example.org/";

fn respond(callback: &str) -> Result<Response, ForeignCallback> {
    authorization::response(&callback.parse().unwrap(), STATE, Some(ISSUER), false)
}

fn code(callback: &str) -> String {
    match respond(callback) {
        Ok(Response::Granted(code)) => code.expose().to_owned(),
        other => panic!("{callback}: {other:?}"),
    }
}

fn problem(callback: &str) -> &'static str {
    respond(callback).expect_err(callback).problem
}

const ITS_STATE: &str = "expected exactly one `state`, the state of this login";
const ONE_PLACE: &str = "expected all parameters in the query, or all of them in the fragment";
const THE_ISSUER: &str = "expected `iss` to be the issuer of the metadata";
const NOT_BOTH: &str = "expected `code` or `error`, not both";
const NEITHER: &str = "expected a `code` or an `error`";

#[test]
fn a_code_comes_in_the_query_or_in_the_fragment() {
    for callback in [
        "http://127.0.0.1:8765/cb?code=c0de&state=0123456789abcdef",
        "http://127.0.0.1:8765/cb?state=0123456789abcdef&code=c0de",
        // MAS ends its callback with an empty fragment.
        "http://127.0.0.1:8765/cb?state=0123456789abcdef&code=c0de#",
        "https://app.example.com/cb#state=0123456789abcdef&code=c0de",
        "https://app.example.com/cb?#state=0123456789abcdef&code=c0de",
        "com.example.app:/cb?code=c0de&state=0123456789abcdef",
        "com.example:cb#code=c0de&state=0123456789abcdef",
        // Other parameters of the URL do not count, in the query or in the fragment.
        "http://127.0.0.1/cb?x=1&y=+z&state=0123456789abcdef&code=c0de&session_state=s&scope=a&scope=b",
        "http://127.0.0.1/cb?x=1&y=%20z#code=c0de&state=0123456789abcdef&iss=https%3A%2F%2Fauth.example.org%2F",
        "http://127.0.0.1/cb?code=c0de&state=0123456789abcdef#top",
        "https://elsewhere.example.net/other?code=c0de&state=0123456789abcdef",
    ] {
        assert_eq!(code(callback), "c0de", "{callback}");
    }
}

#[test]
fn values_are_decoded_as_a_form() {
    let callback = "http://127.0.0.1/cb?code=a+b%2Bc%20d%26%3D%25&state=0123456789abcdef";
    assert_eq!(code(callback), "a b+c d&=%");
    let fragment = "http://127.0.0.1/cb#co%64e=a+b%2Bc&stat%65=0123456789abcdef";
    assert_eq!(code(fragment), "a b+c");
    let state = "a b+c d&=%0123456";
    let callback = "http://127.0.0.1/cb?code=c0de&state=a+b%2Bc%20d%26%3D%250123456".parse().unwrap();
    assert!(authorization::response(&callback, state, None, false).is_ok());
}

#[test]
fn a_parameter_without_a_value_is_absent() {
    for callback in [
        "http://127.0.0.1/cb?code=c0de&error=&error_description=&iss=&state=0123456789abcdef",
        "http://127.0.0.1/cb?code=&code=c0de&state=&state=0123456789abcdef&error",
        "http://127.0.0.1/cb?code=c0de&state=0123456789abcdef#code=&state=&error",
        "http://127.0.0.1/cb?code=&state=#code=c0de&state=0123456789abcdef",
    ] {
        assert_eq!(code(callback), "c0de", "{callback}");
    }
    assert_eq!(problem("http://127.0.0.1/cb?code=&state=0123456789abcdef"), NEITHER);
    assert_eq!(problem("http://127.0.0.1/cb?code=c0de&state="), ITS_STATE);
}

#[test]
fn a_refusal_contains_the_servers_words() {
    for (callback, errcode, message) in [
        (
            "http://127.0.0.1/cb?error=access_denied&error_description=The+user%20said+no&state=0123456789abcdef",
            "access_denied",
            Some("The user said no"),
        ),
        ("https://app.example.com/#state=0123456789abcdef&error=server_error", "server_error", None),
        (
            "http://127.0.0.1/cb?error=login_required&error_uri=https%3A%2F%2Fx%2F&state=0123456789abcdef\
             &iss=https%3A%2F%2Fauth.example.org%2F",
            "login_required",
            None,
        ),
    ] {
        let Ok(Response::Refused(error)) = respond(callback) else { panic!("{callback}") };
        assert_eq!((error.errcode.as_deref(), error.message.as_deref()), (Some(errcode), message));
        assert_eq!(error.status, None, "a callback has no status");
        assert!(!error.is_rate_limit() && error.retry_after.is_none());
    }
}

#[test]
fn a_callback_of_another_login_does_not_count() {
    for callback in [
        "http://127.0.0.1/cb",
        "http://127.0.0.1/cb?code=c0de",
        "http://127.0.0.1/cb?code=c0de&state=fedcba9876543210",
        "http://127.0.0.1/cb?code=c0de&state=0123456789ABCDEF",
        "http://127.0.0.1/cb?code=c0de&state=0123456789abcdef0",
        "http://127.0.0.1/cb?code=c0de&State=0123456789abcdef",
        "http://127.0.0.1/cb?error=access_denied",
        "http://127.0.0.1/cb?error=access_denied&state=fedcba9876543210",
        // A state that appears twice belongs to no login.
        "http://127.0.0.1/cb?code=c0de&state=0123456789abcdef&state=0123456789abcdef",
        "http://127.0.0.1/cb?code=c0de&state=0123456789abcdef&state=fedcba9876543210",
    ] {
        assert_eq!(problem(callback), ITS_STATE, "{callback}");
    }
}

#[test]
fn an_empty_state_belongs_to_no_login() {
    for callback in ["http://127.0.0.1/cb?code=c0de&state=", "http://127.0.0.1/cb?code=c0de"] {
        let foreign = authorization::response(&callback.parse().unwrap(), "", None, false).unwrap_err();
        assert_eq!(foreign.problem, ITS_STATE);
    }
}

#[test]
fn a_parameter_that_appears_twice_is_refused() {
    for parameter in ["code=c0de", "error=x", "error_description=x", "iss=https%3A%2F%2Fauth.example.org%2F"] {
        let callback = format!("http://127.0.0.1/cb?{parameter}&state=0123456789abcdef&{parameter}");
        let name = parameter.split('=').next().unwrap();
        assert_eq!(problem(&callback), format!("expected only one `{name}`"));
        let callback = format!("http://127.0.0.1/cb#{parameter}&{parameter}&state=0123456789abcdef");
        assert_eq!(problem(&callback), format!("expected only one `{name}`"));
    }
}

#[test]
fn parameters_are_not_split_over_query_and_fragment() {
    for callback in [
        "http://127.0.0.1/cb?code=c0de#state=0123456789abcdef",
        "http://127.0.0.1/cb?state=0123456789abcdef#code=c0de",
        "http://127.0.0.1/cb?state=0123456789abcdef&code=c0de#state=0123456789abcdef&code=c0de",
        "http://127.0.0.1/cb?state=0123456789abcdef&code=c0de#error=access_denied",
        "http://127.0.0.1/cb?state=0123456789abcdef&code=c0de#iss=https%3A%2F%2Fauth.example.org%2F",
    ] {
        assert_eq!(problem(callback), ONE_PLACE, "{callback}");
    }
}

#[test]
fn a_callback_has_a_code_or_an_error() {
    assert_eq!(problem("http://127.0.0.1/cb?state=0123456789abcdef&code=c0de&error=x"), NOT_BOTH);
    assert_eq!(problem("http://127.0.0.1/cb?state=0123456789abcdef"), NEITHER);
    assert_eq!(problem("http://127.0.0.1/cb?state=0123456789abcdef&error_description=x"), NEITHER);
    assert_eq!(problem("http://127.0.0.1/cb?state=0123456789abcdef&loginToken=t0k3n"), NEITHER);
}

#[test]
fn iss_is_the_issuer_byte_for_byte() {
    for (iss, is_promised, is_accepted) in [
        (None, false, true),
        (None, true, false),
        (Some(""), true, false),
        (Some("https%3A%2F%2Fauth.example.org%2F"), false, true),
        (Some("https%3A%2F%2Fauth.example.org%2F"), true, true),
        (Some("https://auth.example.org/"), true, true),
        (Some("https://auth.example.org"), false, false),
        (Some("https://auth.example.org"), true, false),
        (Some("https://AUTH.example.org/"), true, false),
        (Some("https://auth.example.org:443/"), true, false),
        (Some("https%253A%252F%252Fauth.example.org%252F"), true, false),
        (Some("https://evil.example.net/"), false, false),
    ] {
        for outcome in ["code=c0de", "error=access_denied"] {
            let iss = iss.map(|iss| format!("&iss={iss}")).unwrap_or_default();
            let callback = format!("http://127.0.0.1/cb?{outcome}&state={STATE}{iss}").parse().unwrap();
            let response = authorization::response(&callback, STATE, Some(ISSUER), is_promised);
            let problem = response.as_ref().err().map(|foreign| foreign.problem);
            assert_eq!(problem, (!is_accepted).then_some(THE_ISSUER), "{callback}, promised: {is_promised}");
        }
    }
}

#[test]
fn without_an_issuer_any_iss_is_accepted() {
    let callback = |rest: &str| format!("http://127.0.0.1/cb?code=c0de&state={STATE}{rest}").parse().unwrap();
    assert!(authorization::response(&callback("&iss=https://a/"), STATE, None, false).is_ok());
    assert!(authorization::response(&callback("&iss=https://a/"), STATE, None, true).is_ok());
    assert!(authorization::response(&callback(""), STATE, None, true).is_err());
}

#[test]
fn a_backend_finds_the_login_by_its_state() {
    for (callback, state) in [
        ("http://127.0.0.1/cb?code=c0de&state=0123456789abcdef", Some(STATE)),
        ("http://127.0.0.1/cb?code=c0de&state=0123456789abcdef#", Some(STATE)),
        ("https://app.example.com/cb#code=c0de&state=0123456789abcdef", Some(STATE)),
        ("https://app.example.com/cb?x=1#state=a+b%2B", Some("a b+")),
        // A parameter without a value is treated as absent here too.
        ("http://127.0.0.1/cb?code=c0de&state=&state=0123456789abcdef", Some(STATE)),
        ("http://127.0.0.1/cb?code=&state=#code=c0de&state=0123456789abcdef", Some(STATE)),
        ("http://127.0.0.1/cb?code=c0de&state=", None),
        ("https://app.example.com/cb#state=a&state=a", None),
        ("https://app.example.com/cb?state=a&state=a#state=b", None),
        ("https://app.example.com/cb", None),
    ] {
        assert_eq!(callback::state(&callback.parse().unwrap()).as_deref(), state, "{callback}");
    }
}
