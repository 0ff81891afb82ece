//! The User-Interactive Authentication API, for all requests that need it
//! <https://spec.matrix.org/latest/client-server-api/#user-interactive-authentication-api>
//!
//! Some requests need more than an access token: to [get a login token](super::get_token) for a new device, or to
//! delete a device. The homeserver responds with a [challenge](UiaChallenge). Send the same request again, with `auth`
//! in its body, until the homeserver accepts it:
//!
//! ```
//! use http::Response;
//! use matrix_login::{Password, UserIdentifier, endpoint::uia};
//!
//! // 1. The response to `DELETE /_matrix/client/v3/devices/OLD`.
//! let mut response = Response::new(r#"{"session": "s", "flows": [{"stages": ["m.login.password"]}]}"#);
//! *response.status_mut() = http::StatusCode::UNAUTHORIZED;
//!
//! // 2. The user types the password. Show what was wrong with the last one, if there was one.
//! let challenge = uia::response(&response).expect("the homeserver asks for more");
//! assert!(challenge.error.is_none());
//! let alice = UserIdentifier::user("alice");
//! let auth = challenge.password_stage(&alice, &Password::new("correct horse"));
//!
//! // 3. Send the request again, with this body. If it is refused, continue at 1.
//! let body = serde_json::json!({ "auth": auth });
//! # assert_eq!(body["auth"]["session"], "s");
//! ```

use std::borrow::Cow;
use std::fmt;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::credentials::identifier::UserIdentifier;
use crate::credentials::secret::Password;
use crate::cursor::Cursor;
use crate::endpoint::body::Body;
use crate::endpoint::server_error::ServerError;
use crate::fields::Fields;

/// What the user must do before the homeserver accepts a request. It is the body of a 401, which is not an error here.
#[derive(Clone)]
#[non_exhaustive]
pub struct UiaChallenge {
    /// What connects the stages: `auth` must repeat it.
    pub session: Option<String>,
    /// Why the last stage failed, for instance with `M_FORBIDDEN` for a wrong password. `None` if the homeserver asks
    /// for the first time, or a stage has succeeded and another one is left.
    pub error: Option<Box<ServerError>>,
    /// The text of a list.
    flows: Box<str>,
    /// All other keys, `params` and `completed` among them.
    pub other: Fields,
}

impl UiaChallenge {
    /// The ways to authenticate, as the homeserver lists them: objects with a list of `stages`. They are read when you
    /// call this: until then they take no more memory than the response did.
    pub fn flows(&self) -> Vec<Value> {
        let mut flows = Vec::new();
        // The text was a list when it was kept.
        let _ = Cursor::new(&self.flows).list(&mut |cursor| {
            flows.extend(cursor.parsed::<Value>()?);
            Ok(())
        });
        flows
    }

    /// The `auth` that completes the stage `m.login.password`. It contains the password.
    pub fn password_stage(&self, identifier: &UserIdentifier, password: &Password) -> Fields {
        let mut auth = Fields::default();
        auth.insert("type", &json!("m.login.password"));
        auth.insert("identifier", &json!(identifier));
        auth.insert("password", &json!(password.expose()));
        if let Some(session) = &self.session {
            auth.insert("session", &json!(session));
        }
        auth
    }
}

/// Without what the homeserver said: it is the body of a response.
impl fmt::Debug for UiaChallenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UiaChallenge([{} flows]", self.flows().len())?;
        if let Some(error) = &self.error {
            write!(formatter, ", {error}")?;
        }
        formatter.write_str(")")
    }
}

/// The challenge that a response is, to any request: a 401 with `flows`. `None` for all other responses: read them as
/// the responses to that request.
pub fn response<B: AsRef<[u8]>>(response: &Response<B>) -> Option<UiaChallenge> {
    if response.status() != StatusCode::UNAUTHORIZED {
        return None;
    }
    let (mut session, mut flows) = (None, None);
    let mut read = |cursor: &mut Cursor<'_>, key: &str| {
        match key {
            "session" => session = cursor.text()?.map(Cow::into_owned),
            "flows" => {
                let text = cursor.value()?;
                flows = text.starts_with('[').then(|| Box::from(text));
            }
            _ => {}
        }
        Ok(())
    };
    let other = Body::of(response).object(&mut read).ok()??;
    let error = ServerError::from_response(response).map(Box::new);
    Some(UiaChallenge { session, error, flows: flows?, other })
}
