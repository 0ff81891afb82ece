//! The client that a program is to an OAuth 2.0 server
//! <https://spec.matrix.org/latest/client-server-api/#client-registration>

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::address::https_url::HttpsUrl;
use crate::invalid_input::InvalidInput;

/// The members of a registration that the crate writes itself.
const WRITTEN: [&str; 5] = ["client_uri", "client_name", "grant_types", "response_types", "token_endpoint_auth_method"];

/// A program as a client of an OAuth 2.0 server. The server shows the name and the page of the client to the user.
///
/// ```
/// use matrix_login::OAuthClient;
///
/// let client = OAuthClient::new("https://app.example.com/".parse()?, "Example")
///     .with_field("logo_uri", "https://app.example.com/logo.png")?;
/// assert_eq!(client.client_name(), Some("Example"));
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
///
/// A client serializes to an object: `client_uri`, `client_name` and `fields`, or `client_id`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[must_use]
#[serde(transparent)]
pub struct OAuthClient {
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Kind {
    Registers {
        client_uri: HttpsUrl,
        #[serde(skip_serializing_if = "String::is_empty")]
        client_name: String,
        #[serde(skip_serializing_if = "Map::is_empty")]
        fields: Map<String, Value>,
    },
    Registered {
        client_id: String,
    },
}

impl OAuthClient {
    /// A client that registers itself at every login, as the specification requires. `client_uri` is a page about the
    /// client. Servers want all other addresses of the client to be on the same host.
    pub fn new(client_uri: HttpsUrl, client_name: impl Into<String>) -> Self {
        Self { kind: Kind::Registers { client_uri, client_name: client_name.into(), fields: Map::new() } }
    }

    /// A client that the server's administrator has registered, with its client ID.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the ID is empty.
    pub fn registered(client_id: impl Into<String>) -> Result<Self, InvalidInput> {
        let client_id = client_id.into();
        if client_id.is_empty() {
            return Err(InvalidInput::new("client ID", "the ID that the server has given to the client"));
        }
        Ok(Self { kind: Kind::Registered { client_id } })
    }

    /// Adds a member to the registration: `logo_uri`, `tos_uri`, `policy_uri`, a name in another language
    /// (`client_name#fr`), or any other. `application_type` replaces the value that the crate would write. The
    /// addresses in `redirect_uris` are registered in addition to the redirect URL of the login.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the crate writes this member itself (`client_uri`, `client_name`, `grant_types`,
    /// `response_types`, `token_endpoint_auth_method`), if `redirect_uris` is not a list of strings, or if the client
    /// is already registered.
    pub fn with_field(self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self, InvalidInput> {
        let (name, value) = (name.into(), value.into());
        let Kind::Registers { client_uri, client_name, mut fields } = self.kind else {
            return Err(InvalidInput::new(
                "OAuth client",
                "a client that registers itself: only such a client has fields",
            ));
        };
        if WRITTEN.contains(&name.as_str()) {
            return Err(InvalidInput::new(
                format!("field `{name}`"),
                "a name that the registration does not have already",
            ));
        }
        let is_text = |uris: &Value| uris.as_array().is_some_and(|uris| uris.iter().all(Value::is_string));
        if name == "redirect_uris" && !is_text(&value) {
            return Err(InvalidInput::new("field `redirect_uris`", "a list of strings"));
        }
        fields.insert(name, value);
        Ok(Self { kind: Kind::Registers { client_uri, client_name, fields } })
    }

    /// The page about the client. `None` if the client is already registered.
    pub fn client_uri(&self) -> Option<&HttpsUrl> {
        if let Kind::Registers { client_uri, .. } = &self.kind { Some(client_uri) } else { None }
    }

    /// The name of the client. `None` if the client is already registered.
    pub fn client_name(&self) -> Option<&str> {
        if let Kind::Registers { client_name, .. } = &self.kind { Some(client_name) } else { None }
    }

    /// The members that were [added](Self::with_field). `None` if the client is already registered.
    pub fn fields(&self) -> Option<&Map<String, Value>> {
        if let Kind::Registers { fields, .. } = &self.kind { Some(fields) } else { None }
    }

    /// The client ID. `None` if the client registers itself.
    pub fn client_id(&self) -> Option<&str> {
        if let Kind::Registered { client_id } = &self.kind { Some(client_id) } else { None }
    }
}

/// Shows no values of further fields.
impl fmt::Debug for OAuthClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("OAuthClient");
        match &self.kind {
            Kind::Registers { client_uri, client_name, fields } => {
                let names: Vec<&String> = fields.keys().collect();
                shown.field("client_uri", client_uri).field("client_name", client_name).field("fields", &names)
            }
            Kind::Registered { client_id } => shown.field("client_id", client_id),
        };
        shown.finish()
    }
}

/// A stored client must follow the same rules as a client that a caller sets.
impl<'de> Deserialize<'de> for OAuthClient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            client_uri: Option<HttpsUrl>,
            client_name: Option<String>,
            #[serde(default)]
            fields: Map<String, Value>,
            client_id: Option<String>,
        }
        let Stored { client_uri, client_name, fields, client_id } = Stored::deserialize(deserializer)?;
        let client = match (client_uri, client_name, client_id) {
            (Some(client_uri), client_name, None) => Ok(Self::new(client_uri, client_name.unwrap_or_default())),
            (None, None, Some(client_id)) => Self::registered(client_id),
            _ => Err(InvalidInput::new("OAuth client", "`client_uri` and `client_name`, or `client_id`")),
        };
        let add = |client: Self, (name, value)| client.with_field(name, value);
        client.and_then(|client| fields.into_iter().try_fold(client, add)).map_err(de::Error::custom)
    }
}
