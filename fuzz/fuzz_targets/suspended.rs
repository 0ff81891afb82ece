//! Invariant: a suspended flow that is read is written again unchanged. It stays at its homeserver, or at a server that
//! the homeserver may name. Errors quote nothing.
//!
//! A resume counts as an input: it gives the flow another request ID, and changes nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matrix_login::{HttpsUrl, LoginFlow, Step, Suspended};
use serde_json::{Value, json};
use url::Url;

/// The request ID of a stored form, and everything else.
fn split(stored: &Value) -> (Value, Value) {
    let mut rest = stored.clone();
    let request_id = rest.as_object_mut().and_then(|stored| stored.remove("request_id"));
    (request_id.expect("it is always written"), rest)
}

fuzz_target!(|data: &[u8]| {
    let suspended = match serde_json::from_slice::<Suspended>(data) {
        Ok(suspended) => suspended,
        Err(error) => {
            for secret in ["redirectUrl", "code_challenge="] {
                assert!(!error.to_string().contains(secret), "the URL, and with it the state, is quoted: {error}");
            }
            return;
        }
    };
    let text = serde_json::to_string(&suspended).expect("it serialises");
    let again: Suspended = serde_json::from_str(&text).expect("it is read back");
    assert_eq!(serde_json::to_string(&again).expect("it serialises"), text);

    let read: Value = serde_json::from_slice(data).expect("it was read");
    let stored = serde_json::to_value(&suspended).expect("it serialises");
    let (request_id, rest) = split(&stored);
    assert_eq!(&request_id, read.get("request_id").unwrap_or(&json!(0)));
    for key in ["server_name", "user_id"] {
        assert_eq!(stored.get(key), read.get(key).filter(|value| !value.is_null()), "{key}");
    }
    let fields = read.get("fields").filter(|fields| **fields != json!({}));
    assert_eq!(stored.get("fields"), fields);

    let flow = LoginFlow::resume(again);
    let (next_id, the_same) = split(&serde_json::to_value(flow.suspend()).expect("it serialises"));
    assert_eq!(the_same, rest);
    assert_ne!(next_id, request_id);
    match flow.step() {
        Step::Send { request, .. } => {
            let target = Url::parse(&request.uri().to_string()).map(|target| target.origin());
            match flow.homeserver() {
                Some(homeserver) => assert_eq!(target, Ok(homeserver.url().origin())),
                // A server name follows its grammar. That no address can be made of it (a.1) shows only at the request.
                None => assert_eq!(request.uri().scheme_str(), Some("https")),
            }
        }
        Step::Browse(url) => {
            let homeserver = flow.homeserver().expect("it is known");
            match stored.get("code_grant") {
                Some(grant) => {
                    assert_eq!(grant.get("authorization_url").and_then(Value::as_str), Some(url.as_str()));
                    assert!(HttpsUrl::named_by(homeserver, url.as_str()).is_ok());
                }
                None => assert_eq!(homeserver.url().origin(), url.origin()),
            }
            assert!(!format!("{:?}", flow.step()).contains('?'), "the query, and with it the state, is shown");
        }
        step => panic!("a flow was suspended at {step:?}"),
    }
});
