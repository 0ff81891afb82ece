//! Whose access token it is: it belongs to a device, to an application service, to a guest, or to no user.

use matrix_login::{AccessToken, Homeserver, ResponseError, endpoint::whoami};

use crate::support::scenario::{HOMESERVER, invalid_field, not_matrix, served};

fn whoami(status: u16, body: &str) -> Result<whoami::Response, ResponseError> {
    whoami::response(&served(status, &[], body))
}

#[test]
fn the_request_has_the_token() {
    let homeserver: Homeserver = HOMESERVER.parse().unwrap();
    let request = whoami::request(&homeserver, &AccessToken::new("t0k3n").unwrap());
    let target = (request.method().as_str(), request.uri().to_string());
    assert_eq!(target, ("GET", format!("{HOMESERVER}/_matrix/client/v3/account/whoami")));
    assert_eq!(request.headers()["authorization"], "Bearer t0k3n");
    assert!(request.headers()["authorization"].is_sensitive());
    assert!(request.body().is_empty());
}

#[test]
fn only_an_application_service_has_no_device() {
    let alice = whoami(200, r#"{"user_id":"@alice:example.org","device_id":"DEVICEID","is_guest":false}"#).unwrap();
    assert_eq!(alice.user_id.as_str(), "@alice:example.org");
    assert_eq!((alice.device_id.as_deref(), alice.is_guest), (Some("DEVICEID"), false));
    for body in [
        r#"{"user_id":"@bridge:b"}"#,
        r#"{"user_id":"@bridge:b","device_id":null}"#,
        r#"{"user_id":"@bridge:b","device_id":""}"#,
    ] {
        let bridge = whoami(200, body).unwrap();
        assert_eq!((bridge.device_id, bridge.is_guest), (None, false));
    }
}

#[test]
fn a_guest_is_recognized() {
    assert!(
        whoami(200, r#"{"user_id":"@1:example.org","device_id":"guest_device","is_guest":true}"#).unwrap().is_guest
    );
    // Older servers do not send `is_guest`, and an odd flag does not make the response invalid.
    assert!(!whoami(200, r#"{"user_id":"@1:example.org","is_guest":"yes"}"#).unwrap().is_guest);
}

#[test]
fn a_response_without_a_user_id_is_invalid() {
    for body in ["{}", r#"{"user_id":null}"#, r#"{"user_id":"alice"}"#, r#"{"user_id":["@alice:example.org"]}"#] {
        assert_eq!(invalid_field(&whoami(200, body).unwrap_err()), "`user_id`", "{body}");
    }
    assert_eq!(invalid_field(&whoami(200, "[]").unwrap_err()), "the body");
    assert_eq!(not_matrix(&whoami(200, "<html>").unwrap_err()).as_u16(), 200);
}

#[test]
fn a_refusal_comes_from_the_server() {
    let error = whoami(401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Access token has expired","soft_logout":true}"#);
    assert!(matches!(error, Err(ResponseError::Server(error)) if error.soft_logout));
}
