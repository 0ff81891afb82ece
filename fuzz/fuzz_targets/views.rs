//! The view of a flow from outside.
//!
//! It is not a target: `flow` and `oauth` share it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use matrix_login::{Homeserver, LoginFlow, RequestId, Step};
use serde_json::Value;
use url::Url;

/// Everything that can be seen of a flow. If nothing has changed, two pictures are equal.
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// The ID of the request that is due, and how it is shown and stored.
    pub id: (Option<RequestId>, String, Option<Value>),
    /// Everything else. If something has moved, this differs: the ID would differ in any case.
    pub place: String,
}

impl Picture {
    pub fn of(flow: &LoginFlow) -> Self {
        let (id, step) = match flow.step() {
            Step::Send { id, request } => {
                let (head, body) = request.into_parts();
                (Some(id), format!("{head:?} {}", String::from_utf8_lossy(&body)))
            }
            step => (None, format!("{step:?}")),
        };
        let mut suspended = serde_json::to_value(flow.suspend()).expect("it serialises");
        let stored_id = suspended.as_object_mut().and_then(|suspended| suspended.remove("request_id"));
        assert_eq!(stored_id.is_some(), flow.session().is_none());
        let session = serde_json::to_string(&flow.session()).expect("it serialises");
        let shown = format!("{flow:?}");
        let (shown, shown_id) = shown.rsplit_once("request_id").expect("it is the last field");
        let known = format!("{:?} {:?} {:?}", flow.homeserver(), flow.server_name(), flow.expected_user());
        let place = format!("{step}\n{suspended}\n{session}\n{known}\n{shown}");
        Self { id: (id, shown_id.to_owned(), stored_id), place }
    }
}

pub fn due_id(flow: &LoginFlow) -> Option<RequestId> {
    match flow.step() {
        Step::Send { id, .. } => Some(id),
        _ => None,
    }
}

/// Whether a browser goes there for a code, not for a single sign-on.
pub fn is_of_a_code(url: &Url) -> bool {
    url.query_pairs().any(|(name, value)| name == "response_type" && value == "code")
}

/// A homeserver may name addresses with https, and on loopback if it is on loopback itself.
pub fn may_name(homeserver: &Homeserver, url: &Url) {
    let origin: Homeserver = url.join("/").expect("it has a host").as_str().parse().expect("it is an address");
    assert!(homeserver.may_name(&origin), "{homeserver} may not name {origin}");
}

/// A response that every request of a login hopes for. Members that a request did not ask for do no harm.
pub const GOOD: &str = r#"{"m.homeserver":{"base_url":"https://hs.example.org"},"versions":["v1.11"],
    "flows":[{"type":"m.login.password"},{"type":"m.login.sso"}],
    "user_id":"@alice:example.org","device_id":"KITCHENTABLET","access_token":"s3cr3t-late",
    "refresh_token":"s3cr3t-late-refresh","expires_in":300,"client_id":"late",
    "issuer":"https://auth.example.org/","authorization_endpoint":"https://auth.example.org/authorize",
    "token_endpoint":"https://auth.example.org/token","registration_endpoint":"https://auth.example.org/register",
    "revocation_endpoint":"https://auth.example.org/revoke",
    "device_authorization_endpoint":"https://auth.example.org/device","response_types_supported":["code"],
    "grant_types_supported":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],
    "code_challenge_methods_supported":["S256"],"device_code":"s3cr3t-late","user_code":"LATE",
    "verification_uri":"https://auth.example.org/link"}"#;

/// The remaining time of a wait, right after the response that asked for it, and with any other clock.
pub fn check_remaining(
    received_at: SystemTime,
    delay: Duration,
    least: Duration,
    remaining: impl Fn(SystemTime) -> Duration,
) {
    assert!(delay >= least && remaining(received_at) == delay);
    let age = received_at.duration_since(UNIX_EPOCH).unwrap_or_else(|error| error.duration());
    for back in [Duration::from_millis(1), Duration::from_secs(1), Duration::from_secs(86400), age] {
        if let Some(earlier) = received_at.checked_sub(back) {
            assert_eq!(remaining(earlier), delay, "the clock was set back");
        }
        if let Some(later) = received_at.checked_add(back) {
            assert_eq!(remaining(later), delay.saturating_sub(back));
        }
    }
}
