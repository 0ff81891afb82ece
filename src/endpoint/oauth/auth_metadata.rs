//! `GET /_matrix/client/v1/auth_metadata`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1auth_metadata>
//!
//! RFC 8414 defines the members. A homeserver without the OAuth 2.0 API responds with `M_UNRECOGNIZED`.

use std::fmt;

use http::{Method, Request, Response};
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::https_url::HttpsUrl;
use crate::credentials::redirect::STATE;
use crate::cursor::{Cursor, NotJson};
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::fields::Fields;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/v1/auth_metadata");

/// The prefix of the specification's actions.
const PREFIX: &str = "org.matrix.";

/// Actions that had another name before they were specified (MSC4191). Both names exist with and without the prefix.
const OLD_ACTIONS: [(&str, &str); 3] =
    [("devices_list", "sessions_list"), ("device_view", "session_view"), ("device_delete", "session_end")];

/// The grant type of a device that shows a code (RFC 8628, section 3.4).
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The parameters that a login adds to the authorization endpoint. The endpoint's own query and the fields of the
/// caller must not contain any of them: a parameter must not be included more than once (RFC 6749, section 3.1).
pub(crate) const PARAMETERS: [&str; 9] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    STATE,
    "response_mode",
    "code_challenge",
    "code_challenge_method",
    "prompt",
];

/// The OAuth 2.0 server of a homeserver, with the addresses of its endpoints.
///
/// An address must be https, or plain http as [`Homeserver::may_name`](crate::Homeserver::may_name) allows, without
/// user information and fragment. Any other address is `None`.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthMetadata {
    /// The issuer, as the server sent it. It is compared byte by byte.
    pub issuer: Box<str>,
    /// The page to log in, for a browser.
    pub authorization_endpoint: Option<HttpsUrl>,
    /// The endpoint that exchanges a code or a refresh token for an access token.
    pub token_endpoint: Option<HttpsUrl>,
    /// The endpoint where a client registers itself.
    pub registration_endpoint: Option<HttpsUrl>,
    /// The endpoint that ends a session.
    pub revocation_endpoint: Option<HttpsUrl>,
    /// The endpoint where a device without a browser gets a code to show.
    pub device_authorization_endpoint: Option<HttpsUrl>,
    /// The page where the user manages the account, for a browser.
    pub account_management_uri: Option<HttpsUrl>,
    /// Whether every callback contains an `iss` (RFC 9207).
    pub iss_in_callback: bool,
    /// All members that this crate does not read.
    pub other: Fields,
    lists: Lists,
}

/// Which of the values that count are in the lists. Other values are not kept, since a list can be long.
#[derive(Clone)]
struct Lists {
    /// In the order of [`GRANT_TYPES`].
    grant_types: [bool; 3],
    /// `query` and `fragment`.
    response_modes: [bool; 2],
    /// `code`
    response_types: [bool; 1],
    /// `S256`
    code_challenge_methods: [bool; 1],
    /// `create`
    prompt_values: [bool; 1],
}

const GRANT_TYPES: [&str; 3] = ["authorization_code", "refresh_token", DEVICE_CODE];

impl Lists {
    /// What this crate assumes for a server without these lists.
    const MISSING: Self = Self {
        grant_types: [true, true, false],
        response_modes: [true, true],
        response_types: [false],
        code_challenge_methods: [false],
        prompt_values: [false],
    };
}

impl AuthMetadata {
    /// Whether the server offers a login in a browser (authorization code grant). It needs the response type `code`,
    /// the grant type, PKCE with `S256`, a response mode that this crate knows, and an authorization endpoint without a
    /// parameter that the login adds. The token endpoint must have the same origin as the authorization endpoint.
    /// Otherwise a homeserver could send the browser to an honest server, and make the client send the code and its
    /// verifier to the homeserver (RFC 9700, section 4.4).
    pub fn offers_authorization_code(&self) -> bool {
        self.without_authorization_code().is_none()
    }

    /// Why the server does not offer a login in a browser: the member of the metadata, and what is wrong with it.
    pub(crate) fn without_authorization_code(&self) -> Option<(&'static str, &'static str)> {
        let Lists { grant_types: [has_grant, ..], response_modes, .. } = self.lists;
        let ([has_code], [has_s256]) = (self.lists.response_types, self.lists.code_challenge_methods);
        unmet(&[
            (self.authorization_endpoint.is_some(), "`authorization_endpoint`", "is not an https URL"),
            (!self.has_parameters(), "`authorization_endpoint`", "has a parameter that the login adds"),
            (self.token_endpoint.is_some(), "`token_endpoint`", "is not an https URL"),
            (
                self.gives_tokens_at(self.authorization_endpoint.as_ref()),
                "`token_endpoint`",
                "is not on the origin of `authorization_endpoint`",
            ),
            (has_code, "`response_types_supported`", "does not contain `code`"),
            (has_grant, "`grant_types_supported`", "does not contain `authorization_code`"),
            (has_s256, "`code_challenge_methods_supported`", "does not contain `S256`"),
            (response_modes.contains(&true), "`response_modes_supported`", "contains neither `query` nor `fragment`"),
        ])
    }

    /// Whether the query of the authorization endpoint contains parameters that the login adds.
    fn has_parameters(&self) -> bool {
        let endpoint = self.authorization_endpoint.iter();
        endpoint.flat_map(|endpoint| endpoint.url().query_pairs()).any(|(name, _)| PARAMETERS.contains(&&*name))
    }

    /// Whether the server offers a login with a code that a device shows (device authorization grant). The token
    /// endpoint must have the same origin as the device authorization endpoint, for the same reason as in
    /// [`offers_authorization_code`](Self::offers_authorization_code).
    pub fn offers_device_authorization(&self) -> bool {
        self.without_device_authorization().is_none()
    }

    /// Why the server does not offer a login with a code that a device shows: the member of the metadata, and what is
    /// wrong with it.
    pub(crate) fn without_device_authorization(&self) -> Option<(&'static str, &'static str)> {
        let [.., has_grant] = self.lists.grant_types;
        let endpoint = self.device_authorization_endpoint.as_ref();
        unmet(&[
            (endpoint.is_some(), "`device_authorization_endpoint`", "is not an https URL"),
            (self.token_endpoint.is_some(), "`token_endpoint`", "is not an https URL"),
            (
                self.gives_tokens_at(endpoint),
                "`token_endpoint`",
                "is not on the origin of `device_authorization_endpoint`",
            ),
            (has_grant, "`grant_types_supported`", "does not contain the grant type of RFC 8628"),
        ])
    }

    /// Whether sessions can be refreshed.
    pub fn offers_refresh_token(&self) -> bool {
        let [_, is_listed, _] = self.lists.grant_types;
        is_listed
    }

    /// Whether the page in the browser can create an account (`prompt=create`).
    pub fn offers_registration_of_users(&self) -> bool {
        self.lists.prompt_values == [true]
    }

    /// The page where the user manages the account, for an action such as `org.matrix.devices_list` (specification,
    /// "Account management"). Without an action, the URL of the page itself. The action can lack the prefix
    /// `org.matrix.`, and it can be an older name such as `sessions_list`. The URL contains the name that the server
    /// lists.
    ///
    /// `org.matrix.device_view` and `org.matrix.device_delete` need the ID of a device. `None` if the server has no
    /// such page, or does not list the action.
    pub fn account_management_url(&self, action: Option<&str>, device_id: Option<&str>) -> Option<Url> {
        let mut url = self.account_management_uri.as_ref()?.url().clone();
        let Some(action) = action else { return Some(url) };
        let supported = self.other.get("account_management_actions_supported")?;
        let is_supported =
            |name: &str| supported.as_array().is_some_and(|names| names.iter().any(|listed| listed == name));
        let base = action.strip_prefix(PREFIX).unwrap_or(action);
        let renamed = OLD_ACTIONS.into_iter().find(|(name, old)| [*name, *old].contains(&base));
        let (base, old) = renamed.unwrap_or((base, base));
        let names = [action.to_owned(), format!("{PREFIX}{base}"), format!("{PREFIX}{old}"), old.to_owned()];
        let name = names.into_iter().find(|name| is_supported(name))?;
        remove_parameters(&mut url, &["action", "device_id"]);
        url.query_pairs_mut().append_pair("action", &name);
        if let Some(device_id) = device_id.filter(|_| matches!(base, "device_view" | "device_delete")) {
            url.query_pairs_mut().append_pair("device_id", device_id);
        }
        Some(url)
    }

    /// Whether the server supports callbacks with their parameters in the query, or in the fragment. Without a list, it
    /// supports both.
    pub(crate) fn supports_mode(&self, is_in_query: bool) -> bool {
        let [query, fragment] = self.lists.response_modes;
        if is_in_query { query } else { fragment }
    }

    fn gives_tokens_at(&self, endpoint: Option<&HttpsUrl>) -> bool {
        endpoint.zip(self.token_endpoint.as_ref()).is_some_and(|(one, other)| one.has_origin_of(other))
    }
}

/// Removes parameters that will be added, so that the URL contains each of them once.
fn remove_parameters(url: &mut Url, names: &[&str]) {
    if url.query_pairs().any(|(name, _)| names.contains(&&*name)) {
        let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| !names.contains(&name.as_str())).collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
}

/// The first condition that is not met: the member, and what is wrong with it.
fn unmet(conditions: &[(bool, &'static str, &'static str)]) -> Option<(&'static str, &'static str)> {
    conditions.iter().find_map(|(is_met, member, problem)| (!is_met).then_some((*member, *problem)))
}

/// Shows no members that this crate does not read.
impl fmt::Debug for AuthMetadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AuthMetadata")
            .field("issuer", &self.issuer)
            .field("authorization_endpoint", &self.authorization_endpoint)
            .field("token_endpoint", &self.token_endpoint)
            .field("registration_endpoint", &self.registration_endpoint)
            .field("revocation_endpoint", &self.revocation_endpoint)
            .field("device_authorization_endpoint", &self.device_authorization_endpoint)
            .finish_non_exhaustive()
    }
}

/// Asks a homeserver for the metadata of its OAuth 2.0 server.
pub fn request(homeserver: &Homeserver) -> Request<Vec<u8>> {
    ENDPOINT.request(homeserver)
}

/// Reads the response of this homeserver. `None` if the homeserver has no OAuth 2.0 API (`M_UNRECOGNIZED`).
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `issuer` is missing. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(
    homeserver: &Homeserver,
    response: &Response<B>,
) -> Result<Option<AuthMetadata>, ResponseError> {
    let mut metadata = AuthMetadata {
        issuer: Box::default(),
        authorization_endpoint: None,
        token_endpoint: None,
        registration_endpoint: None,
        revocation_endpoint: None,
        device_authorization_endpoint: None,
        account_management_uri: None,
        iss_in_callback: false,
        other: Fields::default(),
        lists: Lists::MISSING,
    };
    let address = |cursor: &mut Cursor<'_>| -> Result<Option<HttpsUrl>, NotJson> {
        Ok(cursor.string()?.and_then(|text| HttpsUrl::named_by(homeserver, &text).ok()))
    };
    let mut issuer = None;
    let read = ENDPOINT.read(response, &mut |cursor, key| {
        let lists = &mut metadata.lists;
        match key {
            "issuer" => issuer = cursor.text()?.map(Box::from),
            "authorization_endpoint" => metadata.authorization_endpoint = address(cursor)?,
            "token_endpoint" => metadata.token_endpoint = address(cursor)?,
            "registration_endpoint" => metadata.registration_endpoint = address(cursor)?,
            "revocation_endpoint" => metadata.revocation_endpoint = address(cursor)?,
            "device_authorization_endpoint" => metadata.device_authorization_endpoint = address(cursor)?,
            "account_management_uri" => metadata.account_management_uri = address(cursor)?,
            "authorization_response_iss_parameter_supported" => metadata.iss_in_callback = cursor.flag()?,
            "grant_types_supported" => lists.grant_types = listed(cursor, GRANT_TYPES, Lists::MISSING.grant_types)?,
            "response_types_supported" => {
                lists.response_types = listed(cursor, ["code"], Lists::MISSING.response_types)?;
            }
            "response_modes_supported" => {
                lists.response_modes = listed(cursor, ["query", "fragment"], Lists::MISSING.response_modes)?;
            }
            "code_challenge_methods_supported" => {
                lists.code_challenge_methods = listed(cursor, ["S256"], Lists::MISSING.code_challenge_methods)?;
            }
            "prompt_values_supported" => {
                lists.prompt_values = listed(cursor, ["create"], Lists::MISSING.prompt_values)?;
            }
            _ => {}
        }
        Ok(())
    });
    let named = read.and_then(|other| {
        let issuer = issuer.ok_or_else(|| ENDPOINT.lacks(response, "`issuer`", "a string that is not empty"))?;
        Ok((issuer, other))
    });
    match named {
        Err(ResponseError::Server(error)) if error.refusal() == Some("M_UNRECOGNIZED") => Ok(None),
        Err(error) => Err(error),
        Ok((issuer, other)) => Ok(Some(AuthMetadata { issuer, other, ..metadata })),
    }
}

/// Which of these values are in a list. A value that is not a list is treated as missing.
fn listed<const N: usize>(
    cursor: &mut Cursor<'_>,
    values: [&str; N],
    missing: [bool; N],
) -> Result<[bool; N], NotJson> {
    let mut found = [false; N];
    let is_list = cursor.list(&mut |cursor| {
        if let Some(text) = cursor.string()? {
            values.iter().zip(&mut found).for_each(|(value, found)| *found |= *value == text);
        }
        Ok(())
    })?;
    Ok(if is_list { found } else { missing })
}
