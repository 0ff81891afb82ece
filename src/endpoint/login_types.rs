//! `GET /_matrix/client/v3/login`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3login>

use http::{Method, Request, Response};

use crate::{
    address::homeserver::Homeserver,
    endpoint::{Endpoint, error::ResponseError, object::Object, response::json},
    fields::Fields,
};

pub(crate) const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/v3/login");

/// Asks a homeserver for its login types.
#[must_use]
pub fn request(homeserver: &Homeserver) -> Request<Vec<u8>> {
    ENDPOINT.request(homeserver)
}

/// Reads the answer. An entry of the list without a `type` is left out, and so is an identity provider without an ID.
///
/// # Errors
///
/// [`ResponseError::LoginUnsupported`] for `M_UNRECOGNIZED`; [`ResponseError::InvalidResponse`] if `flows` is missing or no list.
/// Other errors as the answer has them: see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &Response<B>) -> Result<LoginTypes, ResponseError> {
    let json = json(response);
    let mut object = match ENDPOINT.object(response, &json) {
        // 404 by the specification, 400 by older servers.
        Err(ResponseError::Server(error)) if error.refusal() == Some("M_UNRECOGNIZED") => {
            return Err(ResponseError::LoginUnsupported);
        }
        judged => judged?,
    };
    let flows = object.take_list("flows").ok_or_else(|| ENDPOINT.invalid("`flows`", "a list"))?;
    Ok(flows.filter_map(login_type).collect())
}

fn login_type(mut entry: Object<'_>) -> Option<LoginType> {
    let login_type = entry.take_text("type")?;
    Some(match login_type.as_str() {
        "m.login.password" => LoginType::Password,
        "m.login.token" => LoginType::Token { get_login_token: entry.take_flag("get_login_token") },
        "m.login.sso" => {
            let preferred = entry.take_flag("oauth_aware_preferred");
            let preferred_before_it_was_specified = entry.take_flag("org.matrix.msc3824.delegated_oidc_compatibility");
            let identity_providers = entry.take_list("identity_providers").into_iter().flatten();
            LoginType::Sso {
                identity_providers: identity_providers.filter_map(identity_provider).collect(),
                oauth_aware_preferred: preferred || preferred_before_it_was_specified,
            }
        }
        "m.login.application_service" => LoginType::ApplicationService,
        _ => LoginType::Other { login_type, fields: entry.rest() },
    })
}

fn identity_provider(mut entry: Object<'_>) -> Option<IdentityProvider> {
    let id = entry.take_text("id")?;
    let name = entry.take_text("name").unwrap_or_else(|| id.clone());
    Some(IdentityProvider { id, name, icon: entry.take_text("icon"), brand: entry.take_text("brand") })
}

/// A login type that a homeserver offers (specification, "Login").
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoginType {
    /// `m.login.password`
    Password,
    /// `m.login.token`
    Token {
        /// Whether a device that is logged in can get a login token for a new one.
        get_login_token: bool,
    },
    /// `m.login.sso`
    Sso {
        /// Where the user can have an account, in the server's order; may be empty, then the server asks.
        identity_providers: Vec<IdentityProvider>,
        /// Whether a client that can do either should offer nothing else: behind it stands the OAuth 2.0 API. Servers
        /// also spell it `org.matrix.msc3824.delegated_oidc_compatibility`.
        oauth_aware_preferred: bool,
    },
    /// `m.login.application_service`
    ApplicationService,
    /// A type that this crate does not know, for [`Choice::custom`](crate::Choice::custom).
    Other {
        /// The type's name.
        login_type: String,
        /// What the server says about it.
        fields: Fields,
    },
}

/// An identity provider for single sign-on (specification, "Client login via SSO").
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityProvider {
    /// For [`sso::Redirect::identity_provider`](crate::endpoint::sso::Redirect::identity_provider).
    pub id: String,
    /// What to show; the ID if the server gives no name.
    pub name: String,
    /// A picture, as an `mxc:` URI; some servers give an https URL.
    pub icon: Option<String>,
    /// How to style the button, such as `github`.
    pub brand: Option<String>,
}

impl LoginType {
    /// The type's name, such as `m.login.password`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Password => "m.login.password",
            Self::Token { .. } => "m.login.token",
            Self::Sso { .. } => "m.login.sso",
            Self::ApplicationService => "m.login.application_service",
            Self::Other { login_type, .. } => login_type,
        }
    }
}

/// The login types that a homeserver offers, each once, in its order.
#[derive(Clone, Debug, Default)]
pub struct LoginTypes(Vec<LoginType>);

impl LoginTypes {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, LoginType> {
        self.0.iter()
    }

    /// The login type of this name, if it is offered.
    #[must_use]
    pub fn get(&self, login_type: &str) -> Option<&LoginType> {
        self.iter().find(|offered| offered.as_str() == login_type)
    }

    /// Whether the login type of this name is offered.
    #[must_use]
    pub fn contains(&self, login_type: &str) -> bool {
        self.get(login_type).is_some()
    }

    /// What to offer a person: never the application service, and nothing but single sign-on where the server
    /// prefers it for clients that know of OAuth ([`oauth_aware_preferred`](LoginType::Sso::oauth_aware_preferred)).
    pub fn for_a_person(&self) -> impl Iterator<Item = &LoginType> {
        let preferred = |offered: &LoginType| matches!(offered, LoginType::Sso { oauth_aware_preferred: true, .. });
        let only_preferred = self.iter().any(preferred);
        self.iter().filter(move |offered| match offered {
            LoginType::ApplicationService => false,
            offered => !only_preferred || preferred(offered),
        })
    }
}

impl<'a> IntoIterator for &'a LoginTypes {
    type Item = &'a LoginType;
    type IntoIter = std::slice::Iter<'a, LoginType>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Keeps the first of types that are listed twice.
impl FromIterator<LoginType> for LoginTypes {
    fn from_iter<I: IntoIterator<Item = LoginType>>(login_types: I) -> Self {
        let mut offered = Self::default();
        for login_type in login_types {
            if !offered.contains(login_type.as_str()) {
                offered.0.push(login_type);
            }
        }
        offered
    }
}
