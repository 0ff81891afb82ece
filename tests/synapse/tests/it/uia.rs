//! User-Interactive Authentication: the server asks for the password once more, and again if it was mistyped.

use http::{Request, Response, StatusCode};
use matrix_login::{
    Password, Session, UserIdentifier,
    endpoint::{
        get_token,
        uia::{self, UiaChallenge},
    },
};
use matrix_login_synapse::{Story, exchange, password, password_choice, send, url};
use serde_json::{Value, json};

/// The passwords that a user types, one after the other.
fn typed(user: &str) -> [Password; 2] {
    [Password::new("mistyped"), Password::new(password(user))]
}

fn is_forbidden(challenge: &UiaChallenge) -> bool {
    challenge.error.as_ref().is_some_and(|error| error.errcode.as_deref() == Some("M_FORBIDDEN"))
}

#[test]
fn a_login_token_is_granted_after_a_mistyped_password() {
    let session = Story::at("uia_session", "sso").logs_in(password_choice("alice"));
    let ask = |name: &str, auth: Option<&matrix_login::Fields>| {
        let request = get_token::request(session.homeserver().unwrap(), session.access_token(), auth);
        get_token::response(&exchange(name, "get_token", request)).unwrap()
    };
    let get_token::Response::UiaRequired(mut challenge) = ask("uia_get_token", None) else { panic!() };
    assert!(challenge.error.is_none() && challenge.session.is_some(), "{challenge:?}");
    assert!(challenge.flows().contains(&json!({ "stages": ["m.login.password"] })), "{:?}", challenge.flows());

    let [mistyped, right] = typed("alice");
    let alice = UserIdentifier::from(session.user_id());
    let auth = challenge.password_stage(&alice, &mistyped);
    let get_token::Response::UiaRequired(refused) = ask("uia_get_token_mistyped", Some(&auth)) else { panic!() };
    assert!(is_forbidden(&refused), "{refused:?}");
    challenge = refused;

    let auth = challenge.password_stage(&alice, &right);
    let granted = ask("uia_get_token_granted", Some(&auth));
    let get_token::Response::Granted { login_token, .. } = granted else { panic!("{granted:?}") };
    let choice = json!({ "type": "m.login.token", "token": login_token.expose() });
    assert_eq!(Story::at("uia_token", "sso").logs_in(choice).user_id(), session.user_id());
}

#[test]
fn a_device_is_deleted_after_a_mistyped_password() {
    let (session, other) = {
        let log_in = |name| Story::at(name, "full").logs_in(password_choice("bob"));
        (log_in("uia_device"), log_in("uia_other_device"))
    };
    let delete = |auth: Option<&matrix_login::Fields>| -> Response<Vec<u8>> {
        let body = auth.map_or_else(|| json!({}), |auth| json!({ "auth": auth }));
        let uri = format!("{}/_matrix/client/v3/devices/{}", url("full"), other.device_id());
        let mut request = Request::delete(uri)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .unwrap();
        session.authorize(&mut request).unwrap();
        send(request).unwrap()
    };
    let challenge = uia::response(&delete(None)).unwrap();
    assert!(challenge.error.is_none(), "{challenge:?}");

    let [mistyped, right] = typed("bob");
    let bob = UserIdentifier::user("bob");
    let refused = uia::response(&delete(Some(&challenge.password_stage(&bob, &mistyped)))).unwrap();
    assert!(is_forbidden(&refused), "{refused:?}");
    assert!(is_there(&session, other.device_id()));

    let response = delete(Some(&refused.password_stage(&bob, &right)));
    assert!(uia::response(&response).is_none());
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!is_there(&session, other.device_id()));
}

fn is_there(session: &Session, device_id: &str) -> bool {
    let (status, devices) = matrix_login_synapse::ask(session, "/_matrix/client/v3/devices");
    assert_eq!(status, 200, "{devices}");
    let devices = devices["devices"].as_array().unwrap();
    devices.iter().any(|device: &Value| device["device_id"] == device_id)
}
