//! A flow that waits in a file, a cookie store or a database, for another process to go on with it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use url::Url;

use crate::{
    address::{homeserver::Homeserver, server_name::ServerName, user_id::UserId},
    endpoint::sso,
    flow::state::Browse,
    invalid_input::InvalidInput,
    settings::LoginSettings,
};

/// The version of the serialised form. It changes when older versions of this crate cannot read a newer form.
const VERSION: u64 = 1;

/// Where a flow stands, its settings, and who is to log in [again](crate::LoginFlow::again), without any credential and
/// without what a server said of itself: the type has no room for either. It serialises to a small object;
/// [`LoginFlow::resume`](crate::LoginFlow::resume) makes a flow of it.
///
/// After a resume the login types are asked for again before the question is put, and a discovery starts over. What is
/// forgotten: a wait, a choice and its fields, a refusal, redirects that were followed.
///
/// While a single sign-on is under way it holds the URL with the SSO state. That is no credential of the user's, but
/// whoever can *write* it can decide which account the user ends up in, and on which homeserver: where others can write,
/// sign it.
///
/// # Errors when deserialising
///
/// The error says what is wrong: no object of this kind, another version, or a value that a flow cannot have.
#[derive(Clone)]
pub struct Suspended {
    pub(crate) position: Position,
    pub(crate) settings: LoginSettings,
    /// Who has to be logged in, if it is to be again.
    pub(crate) expected: Option<UserId>,
}

#[derive(Clone)]
pub(crate) enum Position {
    Discovery(ServerName),
    LogIn { homeserver: Homeserver, browse: Option<Browse> },
}

/// The serialised form: one of server name and homeserver, and what the browser opened if it did.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<ServerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homeserver: Option<Homeserver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sso_url: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    settings: LoginSettings,
}

impl Suspended {
    fn restore(stored: Stored) -> Result<Self, InvalidInput> {
        let position = match (stored.server_name, stored.homeserver, stored.sso_url) {
            (Some(server_name), None, None) => Position::Discovery(server_name),
            (None, Some(homeserver), None) => Position::LogIn { homeserver, browse: None },
            (None, Some(homeserver), Some(url)) => {
                // The state is in the URL, and nowhere else: two copies could differ.
                let state = sso::begun(&homeserver, &url)
                    .ok_or_else(|| InvalidInput::new("suspended flow", "an SSO URL of its homeserver"))?;
                Position::LogIn { homeserver, browse: Some(Browse { url, state }) }
            }
            _ => return Err(InvalidInput::new("suspended flow", "either a server name or a homeserver")),
        };
        Ok(Self { position, settings: stored.settings, expected: stored.user_id })
    }
}

impl Serialize for Suspended {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (user_id, settings) = (self.expected.clone(), self.settings.clone());
        let mut stored =
            Stored { version: VERSION, server_name: None, homeserver: None, sso_url: None, user_id, settings };
        match self.position.clone() {
            Position::Discovery(server_name) => stored.server_name = Some(server_name),
            Position::LogIn { homeserver, browse } => {
                stored.homeserver = Some(homeserver);
                stored.sso_url = browse.map(|browse| browse.url);
            }
        }
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Suspended {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The version is looked at first: another one may have other fields.
        let value = Value::deserialize(deserializer)?;
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) => {
                return Err(de::Error::custom(format!(
                    "suspended flow of version {version}: expected version {VERSION}; begin the login again"
                )));
            }
            None => return Err(de::Error::custom("no suspended flow: expected an object with a version")),
        }
        // serde's own words would quote the URL, and with it the state.
        let stored = Stored::deserialize(value)
            .map_err(|_| de::Error::custom("no suspended flow: a field is missing, unknown or cannot be used"))?;
        Self::restore(stored).map_err(de::Error::custom)
    }
}

/// Without the SSO state.
impl fmt::Debug for Suspended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Suspended");
        match &self.position {
            Position::Discovery(server_name) => debug.field("server_name", server_name),
            Position::LogIn { homeserver, browse } => debug.field("homeserver", homeserver).field("browse", browse),
        };
        debug.field("expected", &self.expected).field("settings", &self.settings).finish()
    }
}
