//! `GET /_matrix/client/v3/login`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3login>

use std::collections::BTreeSet;

use http::{Method, Request, Response};

use crate::address::homeserver::Homeserver;
use crate::cursor::{Cursor, NotJson};
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::endpoint::identity_provider::IdentityProvider;
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
/// [`ResponseError::LoginUnsupported`] for `M_UNRECOGNIZED`. [`ResponseError::InvalidResponse`] if `flows` is missing
/// or not a list. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &Response<B>) -> Result<LoginTypes, ResponseError> {
    let mut flows = None;
    let read = ENDPOINT.read(response, &mut |cursor, key| {
        if key == "flows" {
            flows = login_types(cursor)?;
        }
        Ok(())
    });
    match read.and_then(|_| flows.ok_or_else(|| ENDPOINT.lacks(response, "`flows`", "a list"))) {
        // The specification says 404. Older servers send 400.
        Err(ResponseError::Server(error)) if error.refusal() == Some("M_UNRECOGNIZED") => {
            Err(ResponseError::LoginUnsupported)
        }
        read => read,
    }
}

/// Reads the list. If a type is listed twice, the first entry counts.
fn login_types(cursor: &mut Cursor<'_>) -> Result<Option<LoginTypes>, NotJson> {
    let mut types: Vec<LoginType> = Vec::new();
    // A set keeps the work linear for long lists.
    let mut names = BTreeSet::new();
    let is_list = cursor.list(&mut |cursor| {
        let Some(login_type) = LoginType::read(cursor)? else { return Ok(()) };
        let is_new = if types.len() < 8 {
            types.iter().all(|known| known.name != login_type.name)
        } else {
            if names.is_empty() {
                names.extend(types.iter().map(|known| known.name.clone()));
            }
            names.insert(login_type.name.clone())
        };
        if is_new {
            types.push(login_type);
        }
        Ok(())
    })?;
    Ok(is_list.then(|| LoginTypes(types.into())))
}

fn identity_providers(cursor: &mut Cursor<'_>) -> Result<Box<[IdentityProvider]>, NotJson> {
    let mut providers = Vec::new();
    cursor.list(&mut |cursor| {
        providers.extend(IdentityProvider::read(cursor)?);
        Ok(())
    })?;
    Ok(providers.into())
}

impl LoginType {
    /// Reads an entry of the list. `None` if it has no name.
    fn read(cursor: &mut Cursor<'_>) -> Result<Option<Self>, NotJson> {
        let mut again = *cursor;
        let (login_type, early) = Self::read_as(cursor, None)?;
        // The meaning of a key depends on the name. If the name comes late, the entry is read again with the name.
        match login_type {
            Some(login_type) if early => Ok(Self::read_as(&mut again, Some(&login_type.name))?.0),
            login_type => Ok(login_type),
        }
    }

    /// Reads an entry of the list, with its name if that is already known. Also returns whether a key came before the
    /// name, so that its meaning was not known.
    fn read_as(cursor: &mut Cursor<'_>, known: Option<&str>) -> Result<(Option<Self>, bool), NotJson> {
        let mut name: Option<Box<str>> = known.map(Box::from);
        let (mut identity_providers, mut preferred, mut get_login_token) = (Box::default(), [false; 2], false);
        let mut early = false;
        let other = Fields::left_of(cursor, &mut |cursor, key| {
            match (key, name.as_deref()) {
                ("type", _) => {
                    let found = cursor.text()?;
                    if known.is_none() {
                        early |= name.is_some();
                        name = found.map(Box::from);
                    }
                }
                ("get_login_token", Some("m.login.token")) => get_login_token = cursor.flag()?,
                ("identity_providers", Some("m.login.sso")) => identity_providers = self::identity_providers(cursor)?,
                ("oauth_aware_preferred", Some("m.login.sso")) => preferred[0] = cursor.flag()?,
                // The name of the same key before it was specified.
                ("org.matrix.msc3824.delegated_oidc_compatibility", Some("m.login.sso")) => {
                    preferred[1] = cursor.flag()?;
                }
                (_, None) => early = true,
                _ => {}
            }
            Ok(())
        })?;
        let login_type = name.zip(other).map(|(name, other)| {
            let single_sign_on = SingleSignOn { identity_providers, oauth_aware_preferred: preferred.contains(&true) };
            let single_sign_on = (single_sign_on != SingleSignOn::default()).then(|| Box::new(single_sign_on));
            Self { name, single_sign_on, get_login_token, other }
        });
        Ok((login_type, early))
    }
}

/// A login type that a homeserver offers (specification, "Login").
#[derive(Clone, Debug)]
pub struct LoginType {
    name: Box<str>,
    /// This is a separate box, so that a list of a thousand other types takes half the memory.
    single_sign_on: Option<Box<SingleSignOn>>,
    get_login_token: bool,
    other: Fields,
}

/// The members that only `m.login.sso` has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SingleSignOn {
    identity_providers: Box<[IdentityProvider]>,
    oauth_aware_preferred: bool,
}

impl LoginType {
    /// The name, such as `m.login.password`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Only for `m.login.sso`: the identity providers, in the server's order. If the list is empty, the page of the
    /// server asks the user.
    pub fn identity_providers(&self) -> &[IdentityProvider] {
        self.single_sign_on.as_deref().map_or(&[], |single_sign_on| &single_sign_on.identity_providers)
    }

    /// Only for `m.login.sso`: whether a client should offer only single sign-on, because the server implements it with
    /// the OAuth 2.0 API. Servers also write the name `org.matrix.msc3824.delegated_oidc_compatibility`.
    pub fn oauth_aware_preferred(&self) -> bool {
        self.single_sign_on.as_deref().is_some_and(|single_sign_on| single_sign_on.oauth_aware_preferred)
    }

    /// Only for `m.login.token`: whether a device that is logged in can get a login token for a new device, with
    /// [`get_token`](super::get_token).
    pub fn get_login_token(&self) -> bool {
        self.get_login_token
    }

    /// All other members. For a login type that this crate does not know, these are all members except the name.
    pub fn other(&self) -> &Fields {
        &self.other
    }
}

/// The login types that a homeserver offers, in the order of the homeserver. Each type is in the list once.
#[derive(Clone, Debug, Default)]
pub struct LoginTypes(Box<[LoginType]>);

impl LoginTypes {
    /// All login types.
    pub fn iter(&self) -> std::slice::Iter<'_, LoginType> {
        self.0.iter()
    }

    /// The login type with this name, if it is offered.
    pub fn get(&self, login_type: &str) -> Option<&LoginType> {
        self.iter().find(|offered| offered.name() == login_type)
    }

    /// Whether the login type with this name is offered.
    pub fn contains(&self, login_type: &str) -> bool {
        self.get(login_type).is_some()
    }

    /// The login types to offer a person. They never contain `m.login.application_service` and `m.login.token`, since a
    /// person has no such token. If the server [prefers](LoginType::oauth_aware_preferred) single sign-on for clients
    /// that know OAuth, they contain only single sign-on.
    pub fn for_a_person(&self) -> impl Iterator<Item = &LoginType> {
        let only_preferred = self.iter().any(LoginType::oauth_aware_preferred);
        self.iter().filter(move |offered| {
            !matches!(offered.name(), "m.login.application_service" | "m.login.token")
                && (!only_preferred || offered.oauth_aware_preferred())
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
