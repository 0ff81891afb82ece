//! A flow that waits in a file, a cookie store or a database until another process goes on with it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::https_url::HttpsUrl;
use crate::address::server_name::ServerName;
use crate::address::user_id::UserId;
use crate::credentials;
use crate::credentials::code_verifier::CodeVerifier;
use crate::endpoint::oauth::authorization;
use crate::endpoint::sso;
use crate::fields::Fields;
use crate::flow::state::{Browse, CodeGrant, Purpose};
use crate::flow::step::RequestId;
use crate::invalid_input::InvalidInput;
use crate::settings::LoginSettings;

/// The version of the serialized form. It changes if older versions of this crate cannot read the new form.
const VERSION: u64 = 1;

/// A suspended flow: its state, its settings, and the user that must log in [again](crate::LoginFlow::again). It never
/// contains a password, a token, a code or login types. It serializes to a small object.
/// [`LoginFlow::resume`](crate::LoginFlow::resume) makes a flow from it.
///
/// After a resume, the flow requests the login types again before it asks how to log in, and a discovery starts again.
/// A wait, chosen credentials, a refusal and the redirects that were followed are forgotten. The fields of a choice of
/// single sign-on are kept.
///
/// While the user is in the browser, the suspended flow contains the URL with the state. This URL is not a credential
/// of the user. But anybody who can *write* the suspended flow can decide which account the user logs in to, and on
/// which homeserver. If others can write to the storage, sign the suspended flow. For an OAuth 2.0 login it also
/// contains the code verifier. If others can *read* the storage, encrypt the suspended flow. The
/// [manual](crate#oauth-20) says why.
///
/// # Errors when deserializing
///
/// The error says what is wrong: not an object of this kind, another version, an unknown key, or a value that a flow
/// cannot have. Only self-describing formats work (JSON, not postcard).
#[derive(Clone, Debug)]
pub struct Suspended {
    pub(crate) position: Position,
    pub(crate) settings: LoginSettings,
    pub(crate) expected_user: Option<UserId>,
    pub(crate) request_id: RequestId,
}

#[derive(Clone, Debug)]
pub(crate) enum Position {
    /// Discovery starts again.
    Discovery(ServerName),
    /// The address of the homeserver is known. The user might be in the browser.
    LogIn { homeserver: Homeserver, browse: Option<Browse> },
}

/// The serialized form: either the server name or the homeserver, and the login in the browser if there is one.
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
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
    /// Everything else is in the URL, and not stored twice: two copies could differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    code_grant: Option<StoredGrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(default)]
    settings: LoginSettings,
    /// The ID of the last request, so that its response does not count after a resume.
    #[serde(default)]
    request_id: u64,
}

/// A login with the authorization code grant.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredGrant {
    authorization_url: Url,
    code_verifier: String,
    issuer: Box<str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    iss_in_callback: bool,
}

impl StoredGrant {
    fn of(grant: &CodeGrant) -> Self {
        Self {
            authorization_url: grant.url.clone(),
            code_verifier: grant.verifier.expose().to_owned(),
            issuer: grant.issuer.clone(),
            iss_in_callback: grant.iss_in_callback,
        }
    }

    /// The login in the browser, if the parts fit each other.
    fn restore(self, homeserver: &Homeserver, settings: &LoginSettings) -> Result<Browse, InvalidInput> {
        let Self { authorization_url: url, code_verifier, issuer, iss_in_callback } = self;
        let is_allowed = HttpsUrl::named_by(homeserver, url.as_str()).is_ok() && !issuer.is_empty();
        let invalid =
            || InvalidInput::new("suspended flow", "an authorization URL of its OAuth 2.0 client, and an issuer");
        let begun = authorization::begun(&url).filter(|_| is_allowed).ok_or_else(invalid)?;
        let client = settings.oauth().ok_or_else(invalid)?;
        if client.client_id().is_some_and(|client_id| client_id != begun.client_id) {
            return Err(invalid());
        }
        let grant = Box::new(CodeGrant {
            url: url.clone(),
            client_id: begun.client_id.into(),
            redirect_uri: begun.redirect_uri.into(),
            verifier: CodeVerifier::kept(code_verifier, &begun.challenge)?,
            issuer,
            iss_in_callback,
        });
        Ok(Browse { url, state: begun.state, purpose: Purpose::Code { grant, metadata: None } })
    }
}

impl Suspended {
    /// The settings of the flow.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let settings = LoginSettings::default().with_device_id("KITCHEN")?;
    /// let flow = LoginFlow::at("https://example.org".parse()?, settings);
    /// let suspended = flow.suspend().expect("the flow is not logged in");
    /// assert_eq!(suspended.settings().device_id(), Some("KITCHEN"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn settings(&self) -> &LoginSettings {
        &self.settings
    }

    /// The server name whose homeserver the flow discovers. `None` if the address of the homeserver is already known.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// let suspended = flow.suspend().expect("the flow is not logged in");
    /// assert!(suspended.server_name().is_some() && suspended.homeserver().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn server_name(&self) -> Option<&ServerName> {
        if let Position::Discovery(server_name) = &self.position { Some(server_name) } else { None }
    }

    /// The homeserver. `None` if its address is not known yet.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// let suspended = flow.suspend().expect("the flow is not logged in");
    /// assert!(suspended.homeserver().is_some() && suspended.server_name().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn homeserver(&self) -> Option<&Homeserver> {
        if let Position::LogIn { homeserver, .. } = &self.position { Some(homeserver) } else { None }
    }

    /// The user that must log in, if the flow logs in [again](crate::LoginFlow::again).
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let flow = LoginFlow::again(&session, LoginSettings::default());
    /// let suspended = flow.suspend().expect("the flow is not logged in");
    /// assert_eq!(suspended.expected_user(), Some(session.user_id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expected_user(&self) -> Option<&UserId> {
        self.expected_user.as_ref()
    }

    fn restore(stored: Stored) -> Result<Self, InvalidInput> {
        let Stored { server_name, homeserver, sso_url, fields, code_grant, user_id, settings, request_id, .. } = stored;
        let invalid = |expected| InvalidInput::new("suspended flow", expected);
        let position = match (server_name, homeserver, sso_url, code_grant) {
            (Some(server_name), None, None, None) if fields.is_empty() => Position::Discovery(server_name),
            (None, Some(homeserver), None, None) if fields.is_empty() => Position::LogIn { homeserver, browse: None },
            (None, Some(homeserver), Some(url), None) => {
                // The state is only in the URL: two copies could differ.
                let state = sso::begun(&homeserver, &url).ok_or_else(|| invalid("an SSO URL of its homeserver"))?;
                let add = |added, (name, value): (&String, &Value)| credentials::with_field(added, name, value);
                let fields = fields.iter().try_fold(Fields::default(), add)?;
                Position::LogIn { homeserver, browse: Some(Browse { url, state, purpose: Purpose::Sso { fields } }) }
            }
            (None, Some(homeserver), None, Some(grant)) if fields.is_empty() => {
                let browse = grant.restore(&homeserver, &settings)?;
                Position::LogIn { homeserver, browse: Some(browse) }
            }
            _ => return Err(invalid("a server name or a homeserver, and at most one login in a browser")),
        };
        Ok(Self { position, settings, expected_user: user_id, request_id: RequestId(request_id) })
    }
}

impl Serialize for Suspended {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let browse = match &self.position {
            Position::LogIn { browse, .. } => browse.as_ref(),
            Position::Discovery(_) => None,
        };
        let (sso_url, fields, code_grant) = match browse.map(|browse| (&browse.url, &browse.purpose)) {
            Some((url, Purpose::Sso { fields })) => (Some(url.clone()), Map::from(fields), None),
            Some((_, Purpose::Code { grant, .. })) => (None, Map::new(), Some(StoredGrant::of(grant))),
            None => (None, Map::new(), None),
        };
        Stored {
            version: VERSION,
            server_name: self.server_name().cloned(),
            homeserver: self.homeserver().cloned(),
            sso_url,
            fields,
            code_grant,
            user_id: self.expected_user.clone(),
            settings: self.settings.clone(),
            request_id: self.request_id.0,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Suspended {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The version comes first, since another version can have other fields.
        let value = Value::deserialize(deserializer)?;
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) => {
                return Err(de::Error::custom(format!(
                    "suspended flow of version {version}: expected version {VERSION}; begin the login again"
                )));
            }
            None => return Err(de::Error::custom("not a suspended flow: expected an object with a version")),
        }
        // The message of serde would quote the URL, which contains the state.
        let stored = Stored::deserialize(value)
            .map_err(|_| de::Error::custom("not a suspended flow: a field is missing, unknown or cannot be used"))?;
        Self::restore(stored).map_err(de::Error::custom)
    }
}
