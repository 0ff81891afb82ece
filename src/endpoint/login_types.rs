//! `GET /_matrix/client/v3/login`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3login>

use http::{Method, Request, Response};

use crate::address::homeserver::Homeserver;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::endpoint::object::{Object, json};
use crate::fields::Fields;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/v3/login");

/// Asks a homeserver for its login types.
pub fn request(homeserver: &Homeserver) -> Request<Vec<u8>> {
    ENDPOINT.request(homeserver)
}

/// Reads the response. An entry of the list without a `type` is left out, and so is an identity provider without an ID.
///
/// # Errors
///
/// [`ResponseError::LoginUnsupported`] for `M_UNRECOGNIZED`; [`ResponseError::InvalidResponse`] if `flows` is missing
/// or not a list. For the other errors see [`ResponseError`].
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
    let mut login_types = LoginTypes(Vec::new());
    for login_type in flows.filter_map(login_type) {
        // Of types that are listed twice the first counts.
        if !login_types.contains(login_type.name()) {
            login_types.0.push(login_type);
        }
    }
    Ok(login_types)
}

fn login_type(mut entry: Object<'_>) -> Option<LoginType> {
    let name = entry.take_text("type")?;
    let get_login_token = name == "m.login.token" && entry.take_flag("get_login_token");
    let is_sso = name == "m.login.sso";
    // The second name is the one before it was specified.
    let oauth_aware_preferred = ["oauth_aware_preferred", "org.matrix.msc3824.delegated_oidc_compatibility"]
        .map(|key| is_sso && entry.take_flag(key))
        .contains(&true);
    let providers = if is_sso { entry.take_list("identity_providers") } else { None };
    let identity_providers = providers.into_iter().flatten().filter_map(identity_provider).collect();
    Some(LoginType { name, identity_providers, oauth_aware_preferred, get_login_token, other: entry.rest() })
}

fn identity_provider(mut entry: Object<'_>) -> Option<IdentityProvider> {
    let id = entry.take_text("id")?;
    let name = entry.take_text("name").unwrap_or_else(|| id.clone());
    Some(IdentityProvider { id, name, icon: entry.take_text("icon"), brand: entry.take_text("brand") })
}

/// A login type that a homeserver offers (specification, "Login").
#[derive(Clone, Debug)]
pub struct LoginType {
    name: String,
    identity_providers: Vec<IdentityProvider>,
    oauth_aware_preferred: bool,
    get_login_token: bool,
    other: Fields,
}

impl LoginType {
    /// The name, such as `m.login.password`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of `m.login.sso`: where the user can have an account, in the server's order. If there are none, the server asks.
    pub fn identity_providers(&self) -> &[IdentityProvider] {
        &self.identity_providers
    }

    /// Of `m.login.sso`: whether a client that can do either should offer nothing else, because the OAuth 2.0 API
    /// stands behind it. Servers also spell it `org.matrix.msc3824.delegated_oidc_compatibility`.
    pub fn oauth_aware_preferred(&self) -> bool {
        self.oauth_aware_preferred
    }

    /// Of `m.login.token`: whether a device that is logged in can get a login token for a new one, with
    /// [`get_token`](super::get_token).
    pub fn get_login_token(&self) -> bool {
        self.get_login_token
    }

    /// All other keys. For a login type that this crate does not know, these are all but the name.
    pub fn other(&self) -> &Fields {
        &self.other
    }
}

/// An identity provider for single sign-on (specification, "Client login via SSO").
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityProvider {
    /// For [`Redirect::with_identity_provider`](crate::Redirect::with_identity_provider).
    pub id: String,
    /// What to show; the ID if the server gives no name.
    pub name: String,
    /// A picture, as an `mxc:` URI; some servers give an https URL.
    pub icon: Option<String>,
    /// How to style the button, such as `github`.
    pub brand: Option<String>,
}

/// The login types that a homeserver offers, each once, in its order.
#[derive(Clone, Debug)]
pub struct LoginTypes(Vec<LoginType>);

impl LoginTypes {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, LoginType> {
        self.0.iter()
    }

    /// The login type of this name, if it is offered.
    pub fn get(&self, login_type: &str) -> Option<&LoginType> {
        self.iter().find(|offered| offered.name() == login_type)
    }

    /// Whether the login type of this name is offered.
    pub fn contains(&self, login_type: &str) -> bool {
        self.get(login_type).is_some()
    }

    /// What to offer a person: never the application service, and nothing but single sign-on where the server
    /// prefers it for clients that know of OAuth ([`oauth_aware_preferred`](LoginType::oauth_aware_preferred)).
    pub fn for_a_person(&self) -> impl Iterator<Item = &LoginType> {
        let only_preferred = self.iter().any(LoginType::oauth_aware_preferred);
        self.iter().filter(move |offered| {
            offered.name() != "m.login.application_service" && (!only_preferred || offered.oauth_aware_preferred())
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
