//! A login with a password and the stored session, in a WebAssembly module. `.ci/wasm` checks that the module imports
//! nothing, and runs it.

use std::time::{Duration, SystemTime};

use http::Response;
use matrix_login::{Choice, CodeVerifier, LoginFlow, LoginSettings, Password, Session, Step, UserIdentifier};

/// Logs in, at a time that the caller gives. Returns how long the access token is valid after that time, in seconds.
#[unsafe(no_mangle)]
pub extern "C" fn log_in(seconds_since_1970: u32) -> u32 {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds_since_1970.into());
    CodeVerifier::new("x".repeat(43)).expect("43 characters");
    let mut flow = LoginFlow::discover("example.org".parse().expect("a server name"), LoginSettings::default());
    let session = loop {
        match flow.step() {
            Step::Send { id, request } => {
                let body = match (request.method().as_str(), request.uri().path()) {
                    (_, "/.well-known/matrix/client") => r#"{"m.homeserver": {"base_url": "https://example.org"}}"#,
                    (_, "/_matrix/client/versions") => r#"{"versions": ["v1.11"]}"#,
                    ("GET", _) => r#"{"flows": [{"type": "m.login.password"}]}"#,
                    _ => {
                        r#"{"user_id": "@alice:example.org", "device_id": "KITCHEN", "access_token": "t",
                            "refresh_token": "r", "expires_in_ms": 60000}"#
                    }
                };
                flow.handle_response(id, &Response::new(body), now).expect("the flow accepts the response");
            }
            Step::Choose { .. } => {
                let choice = Choice::password(UserIdentifier::user("alice"), Password::new("correct horse"));
                flow.choose(choice).expect("the homeserver offers it");
            }
            Step::Done(session) => break session.clone(),
            step => panic!("{step:?}"),
        }
    };
    let session = Session::from_json(session.to_json()).expect("the form is valid").expect("a user is logged in");
    let expires_at = session.expires_at().expect("the response gives a lifetime");
    expires_at.duration_since(now).expect("the end is later").as_secs().try_into().expect("a minute")
}
