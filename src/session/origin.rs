//! Where the tokens of a session of the OAuth 2.0 API came from.

use serde_json::{Map, Value};

use crate::address::https_url::HttpsUrl;
use crate::invalid_input::InvalidInput;

/// Where the tokens came from: they are refreshed and revoked there, and nowhere else.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) client_id: Box<str>,
    /// `None` for a session that another program has stored without it.
    pub(crate) issuer: Option<Box<str>>,
    pub(crate) token_endpoint: HttpsUrl,
    pub(crate) revocation_endpoint: Option<HttpsUrl>,
}

impl Origin {
    /// The value of the stored form's `oauth`.
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

    /// The error is about the member that cannot be used. An endpoint that is there and is not a URL is not usable
    /// either: without it, a logout would come to nothing.
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
        let is_missing = |key| move || invalid(key, "to be there");
        Ok(Self {
            client_id: text("client_id")?.ok_or_else(is_missing("client_id"))?.into(),
            issuer: text("issuer")?.map(Box::from),
            token_endpoint: url("token_endpoint")?.ok_or_else(is_missing("token_endpoint"))?,
            revocation_endpoint: url("revocation_endpoint")?,
        })
    }
}

/// Where these members are.
const OAUTH: &str = "`oauth` of the stored session";

fn invalid(key: &str, expected: &'static str) -> InvalidInput {
    InvalidInput::new(format!("`{key}` in {OAUTH}"), expected)
}
