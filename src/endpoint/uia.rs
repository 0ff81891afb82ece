//! The User-Interactive Authentication API, for all requests that need it
//! <https://spec.matrix.org/latest/client-server-api/#user-interactive-authentication-api>
//!
//! Some requests need more than an access token, for instance to [get a login token](super::get_token) for a new device
//! or to delete a device. The homeserver responds with a [challenge](UiaChallenge). Then send the same request again,
//! with `auth` in its body, until the homeserver accepts it:
//!
//! ```
//! use http::Response;
//! use matrix_login::{Password, UserIdentifier, endpoint::uia};
//!
//! // 1. The response to `DELETE /_matrix/client/v3/devices/OLD`.
//! let body = r#"{"session": "s", "flows": [{"stages": ["m.login.password"]}]}"#;
//! let mut response = Response::new(body);
//! *response.status_mut() = http::StatusCode::UNAUTHORIZED;
//!
//! // 2. The user types the password. If a password was wrong before, show the error.
//! let challenge = uia::response(&response).expect("the homeserver asks for more");
//! assert!(challenge.error.is_none());
//! let alice = UserIdentifier::user("alice");
//! let auth = challenge.password_stage(&alice, &Password::new("correct horse"));
//!
//! // 3. Send the request again, with this body. After another challenge, go on at 1.
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

/// What the user must do before the homeserver accepts a request. It is the body of a 401. This 401 is not an error.
#[derive(Clone)]
#[non_exhaustive]
pub struct UiaChallenge {
    /// The ID that connects the stages. `auth` must repeat it.
    pub session: Option<String>,
    /// Why the last stage failed, for instance `M_FORBIDDEN` for a wrong password. `None` if the homeserver asks for
    /// the first time, or if a stage has succeeded and another stage is left.
    pub error: Option<Box<ServerError>>,
    /// The JSON text of the list.
    flows: Box<str>,
    /// All other members, such as `params` and `completed`.
    pub other: Fields,
}

impl UiaChallenge {
    /// The ways to authenticate, as the homeserver lists them: objects with a list of `stages`. The list is parsed only
    /// when you call this function. Until then it takes no more memory than the response did.
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

/// Shows no text of the homeserver except the error: the rest is the body of a response.
impl fmt::Debug for UiaChallenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UiaChallenge([{} flows]", self.flows().len())?;
        if let Some(error) = &self.error {
            write!(formatter, ", {error}")?;
        }
        formatter.write_str(")")
    }
}

/// Reads the response to any request as a challenge, which is a 401 with `flows`. `None` for all other responses: read
/// them with the `response` of the request's own endpoint.
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
