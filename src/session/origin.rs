//! The OAuth 2.0 server that granted the tokens of a session.

use serde_json::{Map, Value};

use crate::address::https_url::HttpsUrl;
use crate::invalid_input::InvalidInput;

/// The OAuth 2.0 server that granted the tokens. They are refreshed and revoked only there.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) client_id: Box<str>,
    /// `None` if another program has stored the session without an issuer.
    pub(crate) issuer: Option<Box<str>>,
    pub(crate) token_endpoint: HttpsUrl,
    pub(crate) revocation_endpoint: Option<HttpsUrl>,
}

impl Origin {
    /// The value of `oauth` in the stored form.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = Map::new();
        value.insert("client_id".to_owned(), (&*self.client_id).into());
        if let Some(issuer) = &self.issuer {
            value.insert("issuer".to_owned(), (&**issuer).into());
        }
        value.insert("token_endpoint".to_owned(), self.token_endpoint.as_str().into());
        if let Some(revocation_endpoint) = &self.revocation_endpoint {
            value.insert("revocation_endpoint".to_owned(), revocation_endpoint.as_str().into());
        }
        value.into()
    }

    /// Reads the value of `oauth` in the stored form. The error names the member that cannot be used. An endpoint that
    /// is not a URL is an error too, and not treated as absent: without the endpoint, a logout would do nothing.
    pub(crate) fn from_value(value: &Value) -> Result<Self, InvalidInput> {
        let members = value.as_object().ok_or_else(|| InvalidInput::new(OAUTH, "an object"))?;
        let text = |key| match members.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
            Some(_) => Err(invalid(key, "a string that is not empty")),
        };
        let url = |key| {
            let kept =
                |text| HttpsUrl::kept(text).ok_or_else(|| invalid(key, "a URL without user information and fragment"));
            text(key)?.map(kept).transpose()
        };
        let is_missing = |key| move || invalid(key, "a value, but it is missing");
        Ok(Self {
            client_id: text("client_id")?.ok_or_else(is_missing("client_id"))?.into(),
            issuer: text("issuer")?.map(Box::from),
            token_endpoint: url("token_endpoint")?.ok_or_else(is_missing("token_endpoint"))?,
            revocation_endpoint: url("revocation_endpoint")?,
        })
    }
}

/// The name of the object in errors.
const OAUTH: &str = "`oauth` of the stored session";

fn invalid(key: &str, expected: &'static str) -> InvalidInput {
    InvalidInput::new(format!("`{key}` in {OAUTH}"), expected)
}
