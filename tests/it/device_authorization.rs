//! The request for a code to show, and the response that a device without a browser gets.

use std::time::Duration;

use http::header;
use matrix_login::{
    DeviceId, Error, Homeserver, HttpsUrl, ResponseError,
    endpoint::oauth::device_authorization::{self, Response},
};
use serde_json::{Value, json};

use crate::support::scenario::{HOMESERVER, invalid_field, served};

fn homeserver() -> Homeserver {
    HOMESERVER.parse().unwrap()
}

fn granted() -> Value {
    json!({
        "device_code": "dev1ce-c0de", "user_code": "WDJB-MJHT", "expires_in": 1800, "interval": 7,
        "verification_uri": "https://auth.example.org/link",
        "verification_uri_complete": "https://auth.example.org/link?code=WDJB-MJHT",
    })
}

fn read(body: &Value) -> Result<Response, ResponseError> {
    device_authorization::response(&homeserver(), &served(200, &[], body.to_string()))
}

fn with(member: &str, value: Value) -> Value {
    let mut body = granted();
    body[member] = value;
    body
}

fn without(member: &str) -> Value {
    let mut body = granted();
    body.as_object_mut().unwrap().remove(member);
    body
}

#[test]
fn the_request_has_the_client_and_the_scope() {
    let endpoint: HttpsUrl = "https://auth.example.org/device?x=1".parse().unwrap();
    let request = device_authorization::request(&endpoint, "c+/=", &DeviceId::new("KITCHENTABLET").unwrap());
    assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", endpoint.to_string()));
    assert_eq!(request.headers()[header::CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()[header::ACCEPT], "application/json");
    assert!(!request.headers().contains_key(header::AUTHORIZATION));
    assert_eq!(
        request.body(),
        b"client_id=c%2B%2F%3D\
          &scope=urn%3Amatrix%3Aclient%3Aapi%3A*+urn%3Amatrix%3Aclient%3Adevice%3AKITCHENTABLET"
    );
}

#[test]
fn everything_that_the_device_needs_is_read() {
    let mut body = granted();
    body["org.example.x"] = json!(1);
    let response = read(&body).unwrap();
    assert_eq!((response.device_code.expose(), &*response.user_code), ("dev1ce-c0de", "WDJB-MJHT"));
    assert_eq!(response.verification_uri.as_str(), "https://auth.example.org/link");
    let complete = response.verification_uri_complete.as_ref().unwrap();
    assert_eq!(complete.as_str(), "https://auth.example.org/link?code=WDJB-MJHT");
    assert_eq!((response.expires_in, response.interval), (Some(Duration::from_secs(1800)), Duration::from_secs(7)));
    assert_eq!(response.other.get("org.example.x"), Some(json!(1)));
    assert!(!format!("{response:?} {response:#?}").contains("dev1ce"), "{response:?}");
}

#[test]
fn an_interval_that_cannot_be_used_is_five_seconds() {
    for body in [
        without("interval"),
        with("interval", json!(0)),
        with("interval", Value::Null),
        with("interval", json!("7")),
        with("interval", json!(-7)),
        with("interval", json!(0.5)),
    ] {
        assert_eq!(read(&body).unwrap().interval, Duration::from_secs(5), "{body}");
    }
    for body in [without("expires_in"), with("expires_in", json!("1800")), with("expires_in", json!(-1))] {
        assert_eq!(read(&body).unwrap().expires_in, None, "{body}");
    }
}

#[test]
fn an_address_over_plain_http_is_not_shown() {
    for uri in [
        "http://auth.example.org/link",
        "http://127.0.0.1/link",
        "https://alice:pw@auth.example.org/link",
        "/link",
        "javascript:alert(1)",
        "",
    ] {
        assert_eq!(invalid_field(&read(&with("verification_uri", json!(uri))).unwrap_err()), "`verification_uri`");
        // `verification_uri_complete` is optional.
        let response = read(&with("verification_uri_complete", json!(uri))).unwrap();
        assert!(response.verification_uri_complete.is_none(), "{uri}");
    }
    // A page can have a fragment, and a server on loopback can name loopback.
    let response = read(&with("verification_uri", json!("https://auth.example.org/#/link"))).unwrap();
    assert_eq!(response.verification_uri.as_str(), "https://auth.example.org/#/link");
    let local = served(200, &[], with("verification_uri", json!("http://localhost:8090/link")).to_string());
    assert!(device_authorization::response(&"http://127.0.0.1:8008".parse().unwrap(), &local).is_ok());
}

#[test]
fn a_missing_member_that_the_device_needs_is_named() {
    for member in ["device_code", "user_code", "verification_uri"] {
        for body in [without(member), with(member, json!("")), with(member, json!(7)), with(member, Value::Null)] {
            assert_eq!(invalid_field(&read(&body).unwrap_err()), format!("`{member}`"), "{body}");
        }
    }
    let refused = served(400, &[], r#"{"error":"invalid_scope","error_description":"no such scope"}"#);
    let error = device_authorization::response(&homeserver(), &refused).unwrap_err();
    assert_eq!(Error::from(error).to_string(), "the server refused (status 400, invalid_scope): no such scope");
    // An error under a success status is an error too.
    let refused = served(200, &[], r#"{"error":"slow_down"}"#);
    let error = device_authorization::response(&homeserver(), &refused).unwrap_err();
    assert!(matches!(error, ResponseError::Server(_)), "{error:?}");
}
