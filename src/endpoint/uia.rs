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
    /// The text of a list.
    flows: Box<str>,
    /// All other keys, `params` among them.
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
}

/// Without what the homeserver said: it is the body of a response.
impl fmt::Debug for UiaChallenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UiaChallenge([{} flows])", self.flows().len())
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
            "session" => session = cursor.text()?.map(Cow::into_owned),
            "errcode" => {
                // It stays with the keys that are not read.
                let mut ahead = *cursor;
                has_errcode = ahead.string()?.is_some();
            }
            "flows" => {
                let text = cursor.value()?;
                flows = text.starts_with('[').then(|| Box::from(text));
            }
            _ => {}
        }
        Ok(())
    };
    let other = Body::of(response).object(&mut read).ok()??;
    if has_errcode { None } else { Some(UiaChallenge { session, flows: flows?, other }) }
}
