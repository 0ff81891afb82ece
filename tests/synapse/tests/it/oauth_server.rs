//! The authorization server of `run.py`, and the homeserver that delegates to it, without the library. They grant what
//! the tests of the library expect, through the pages of the server and through Chromium.

use http::{Request, header};
use matrix_login_synapse::{send, url};
use serde_json::{Value, json};
use url::{Url, form_urlencoded::Serializer};

use crate::browser::{Chromium, authorize, refuse};

const CALLBACK: &str = "http://127.0.0.1:9/callback";
const STATE: &str = "0123456789abcdef";
// The pair of RFC 7636, appendix B.
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A native application that the authorization server knows.
struct Client {
    metadata: Value,
    id: String,
}

impl Client {
    fn register() -> Self {
        let path = "/_matrix/client/v1/auth_metadata";
        let metadata = exchange(Request::get(format!("{}{path}", url("oauth"))), String::new());
        let about = json!({
            "client_uri": "https://example.org/", "application_type": "native",
            "redirect_uris": ["http://127.0.0.1/callback"], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
        });
        let request = Request::post(metadata["registration_endpoint"].as_str().unwrap());
        let registered = exchange(request.header(header::CONTENT_TYPE, "application/json"), about.to_string());
        Self { id: registered["client_id"].as_str().unwrap().to_owned(), metadata }
    }

    fn authorization_url(&self, device_id: &str) -> Url {
        let scope = format!("urn:matrix:client:api:* urn:matrix:client:device:{device_id}");
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", CALLBACK),
            ("scope", &scope),
            ("state", STATE),
            ("code_challenge", CODE_CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        Url::parse_with_params(self.metadata["authorization_endpoint"].as_str().unwrap(), parameters).unwrap()
    }

    /// The response to the code in this callback.
    fn token(&self, callback: &Url) -> Value {
        let parameters = [
            ("grant_type", "authorization_code"),
            ("client_id", &self.id),
            ("redirect_uri", CALLBACK),
            ("code", &self.parameter(callback, "code")),
            ("code_verifier", CODE_VERIFIER),
        ];
        let form = Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = Request::post(self.metadata["token_endpoint"].as_str().unwrap());
        exchange(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"), form)
    }

    /// A parameter of a callback, which also has the state and the issuer.
    fn parameter(&self, callback: &Url, name: &str) -> String {
        let one = |name| callback.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
        assert_eq!(one("state"), STATE);
        assert_eq!(one("iss"), self.metadata["issuer"].as_str().unwrap());
        one(name)
    }
}

/// Sends a request, and returns the JSON of a success.
fn exchange(request: http::request::Builder, body: String) -> Value {
    let response = send(request.body(body.into_bytes()).unwrap()).unwrap();
    let json = serde_json::from_slice(response.body()).unwrap();
    assert!(response.status().is_success(), "{json}");
    json
}

fn whoami(token: &Value) -> Value {
    let request = Request::get(format!("{}/_matrix/client/v3/account/whoami", url("oauth")));
    let access_token = token["access_token"].as_str().unwrap();
    exchange(request.header(header::AUTHORIZATION, format!("Bearer {access_token}")), String::new())
}

#[test]
fn a_code_becomes_tokens_of_the_user_and_the_device() {
    let client = Client::register();
    let callback = authorize(&client.authorization_url("PAGESDEVICE"), "alice");
    let token = client.token(&callback);
    assert_eq!(token["expires_in"], 6);
    assert!(token["refresh_token"].is_string(), "{token}");
    let whoami = whoami(&token);
    assert_eq!((&whoami["user_id"], &whoami["device_id"]), (&"@alice:example.test".into(), &"PAGESDEVICE".into()));
}

#[test]
fn a_user_who_refuses_comes_back_without_a_code() {
    let client = Client::register();
    let callback = refuse(&client.authorization_url("REFUSEDDEVICE"));
    assert_eq!(client.parameter(&callback, "error"), "access_denied");
}

#[test]
fn the_buttons_of_chromium_grant_and_refuse() {
    let (client, chromium) = (Client::register(), Chromium::start());
    chromium.open(&client.authorization_url("REFUSEDDEVICE"));
    chromium.refuse();
    assert_eq!(client.parameter(&chromium.callback(CALLBACK), "error"), "access_denied");
    chromium.open(&client.authorization_url("CHROMIUMDEVICE"));
    chromium.log_in("bob");
    let whoami = whoami(&client.token(&chromium.callback(CALLBACK)));
    assert_eq!((&whoami["user_id"], &whoami["device_id"]), (&"@bob:example.test".into(), &"CHROMIUMDEVICE".into()));
}
