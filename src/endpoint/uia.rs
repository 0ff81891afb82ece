//! The User-Interactive Authentication API, as far as to see that a homeserver asks for it
//! <https://spec.matrix.org/latest/client-server-api/#user-interactive-authentication-api>

use std::borrow::Cow;
use std::fmt;

use http::{Response, StatusCode};
use serde_json::Value;

use crate::cursor::Cursor;
use crate::endpoint::body::Body;
use crate::fields::Fields;

/// What the user must do before the homeserver accepts a request. It is the body of a 401, which is not an error here.
#[derive(Clone)]
#[non_exhaustive]
pub struct UiaChallenge {
    /// What ties the stages together; `auth` has to repeat it.
    pub session: Option<String>,
    /// The ways to authenticate, as the homeserver lists them: objects with a list of `stages`.
    pub flows: Vec<Value>,
    /// All other keys, `params` among them.
    pub other: Fields,
}

/// Without what the homeserver said: it is the body of a response.
impl fmt::Debug for UiaChallenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UiaChallenge([{} flows])", self.flows.len())
    }
}

/// The challenge that a response is: a 401 with flows and without an errcode. With one, a stage has
/// failed, and the errcode says why.
pub(crate) fn challenge<B: AsRef<[u8]>>(response: &Response<B>) -> Option<UiaChallenge> {
    if response.status() != StatusCode::UNAUTHORIZED {
        return None;
    }
    let (mut session, mut flows, mut has_errcode) = (None, None, false);
    let mut read = |cursor: &mut Cursor<'_>, key: &str| {
        match key {
            "session" => session = cursor.string()?.map(Cow::into_owned),
            "errcode" => {
                // It stays with the keys that are not read.
                let mut ahead = *cursor;
                has_errcode = ahead.string()?.is_some();
            }
            "flows" => {
                let mut list: Vec<Value> = Vec::new();
                let mut read = |cursor: &mut Cursor<'_>| {
                    list.extend(cursor.parsed::<Value>()?);
                    Ok(())
                };
                flows = cursor.list(&mut read)?.then_some(list);
            }
            _ => {}
        }
        Ok(())
    };
    let other = Body::of(response).object(&mut read).ok()??;
    if has_errcode { None } else { Some(UiaChallenge { session, flows: flows?, other }) }
}
