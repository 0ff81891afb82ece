//! `GET /_matrix/client/v1/auth_metadata`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1auth_metadata>
//!
//! The members are those of RFC 8414. A homeserver without the OAuth 2.0 API responds with `M_UNRECOGNIZED`.

use std::borrow::Cow;
use std::fmt;

use http::{Method, Request, Response};

use crate::address::homeserver::Homeserver;
use crate::address::https_url::HttpsUrl;
use crate::cursor::{Cursor, NotJson};
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::fields::Fields;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/v1/auth_metadata");

/// The grant type of a device that shows a code (RFC 8628, section 3.4).
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the OAuth 2.0 server of a homeserver is, and where its endpoints are.
///
/// An address that cannot be used is not there: it must be https, or within the rule of
/// [`Homeserver::may_name`](crate::Homeserver::may_name), and without user information and fragment.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthMetadata {
    /// The issuer, as the server sent it. Only its bytes are compared.
    pub issuer: Box<str>,
    /// Where a browser goes to log in.
    pub authorization_endpoint: Option<HttpsUrl>,
    /// Where a code or a refresh token becomes an access token.
    pub token_endpoint: Option<HttpsUrl>,
    /// Where a client registers itself.
    pub registration_endpoint: Option<HttpsUrl>,
    /// Where a session ends.
    pub revocation_endpoint: Option<HttpsUrl>,
    /// Where a device without a browser gets a code to show.
    pub device_authorization_endpoint: Option<HttpsUrl>,
    /// Where the user manages the account in a browser.
    pub account_management_uri: Option<HttpsUrl>,
    /// Whether every callback has an `iss` (RFC 9207).
    pub iss_in_callback: bool,
    /// All members that this crate does not read.
    pub other: Fields,
    lists: Lists,
}

type List = Vec<Box<str>>;

/// What the server supports, from the lists that the crate reads. `None` if there is no such list.
#[derive(Clone, Default)]
struct Lists {
    grant_types: Option<List>,
    response_types: Option<List>,
    response_modes: Option<List>,
    code_challenge_methods: Option<List>,
    prompt_values: Option<List>,
}

impl AuthMetadata {
    /// Whether a login in a browser that comes back is offered. It needs more than its endpoint: the code, PKCE with
    /// `S256`, a way back that this crate reads, and a token endpoint on the same origin. Otherwise a homeserver could
    /// send the browser to an honest server, and the code and its verifier to itself (RFC 9700, section 4.4).
    pub fn offers_authorization_code(&self) -> bool {
        has(self.lists.response_types.as_ref(), "code", false)
            && has(self.lists.code_challenge_methods.as_ref(), "S256", false)
            && has(self.lists.grant_types.as_ref(), "authorization_code", true)
            && (self.supports_mode(true) || self.supports_mode(false))
            && self.gives_tokens_at(self.authorization_endpoint.as_ref())
    }

    /// Whether a login with a code that a device shows is offered.
    pub fn offers_device_authorization(&self) -> bool {
        has(self.lists.grant_types.as_ref(), DEVICE_CODE, false)
            && self.gives_tokens_at(self.device_authorization_endpoint.as_ref())
    }

    /// Whether sessions can be refreshed.
    pub fn offers_refresh_token(&self) -> bool {
        has(self.lists.grant_types.as_ref(), "refresh_token", true)
    }

    /// Whether the browser's page can be asked to make an account.
    pub fn offers_registration_of_users(&self) -> bool {
        has(self.lists.prompt_values.as_ref(), "create", false)
    }

    /// Whether a callback can have its parameters in the query, or in the fragment. Both if there is no list.
    pub(crate) fn supports_mode(&self, is_in_query: bool) -> bool {
        has(self.lists.response_modes.as_ref(), if is_in_query { "query" } else { "fragment" }, true)
    }

    fn gives_tokens_at(&self, endpoint: Option<&HttpsUrl>) -> bool {
        endpoint.zip(self.token_endpoint.as_ref()).is_some_and(|(one, other)| one.has_origin_of(other))
    }
}

fn has(list: Option<&List>, value: &str, without_a_list: bool) -> bool {
    list.map_or(without_a_list, |list| list.iter().any(|listed| **listed == *value))
}

/// Without the members that nobody has read.
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

/// Asks a homeserver for its OAuth 2.0 server.
pub fn request(homeserver: &Homeserver) -> Request<Vec<u8>> {
    ENDPOINT.request(homeserver)
}

/// Reads the response of this homeserver. `None` for `M_UNRECOGNIZED`: the homeserver has no OAuth 2.0 API.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `issuer` is missing. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(
    homeserver: &Homeserver,
    response: &Response<B>,
) -> Result<Option<AuthMetadata>, ResponseError> {
    let (mut issuer, mut iss_in_callback, mut lists) = (None, false, Lists::default());
    let mut endpoints: [Option<HttpsUrl>; 6] = Default::default();
    let read = ENDPOINT.read(response, &mut |cursor, key| {
        if let Some(endpoint) =
            MEMBERS.iter().zip(&mut endpoints).find_map(|(member, url)| (*member == key).then_some(url))
        {
            *endpoint = cursor.string()?.and_then(|text| HttpsUrl::named_by(homeserver, &text).ok());
            return Ok(());
        }
        match key {
            "issuer" => issuer = cursor.text()?.map(Box::from),
            "authorization_response_iss_parameter_supported" => iss_in_callback = cursor.flag()?,
            "grant_types_supported" => lists.grant_types = strings(cursor)?,
            "response_types_supported" => lists.response_types = strings(cursor)?,
            "response_modes_supported" => lists.response_modes = strings(cursor)?,
            "code_challenge_methods_supported" => lists.code_challenge_methods = strings(cursor)?,
            "prompt_values_supported" => lists.prompt_values = strings(cursor)?,
            _ => {}
        }
        Ok(())
    });
    let found = read.and_then(|other| {
        let issuer = issuer.ok_or_else(|| ENDPOINT.lacks(response, "`issuer`", "a string that is not empty"))?;
        Ok((issuer, other))
    });
    let (issuer, other) = match found {
        Err(ResponseError::Server(error)) if error.refusal() == Some("M_UNRECOGNIZED") => return Ok(None),
        found => found?,
    };
    let [
        authorization_endpoint,
        token_endpoint,
        registration_endpoint,
        revocation_endpoint,
        device_authorization_endpoint,
        account_management_uri,
    ] = endpoints;
    Ok(Some(AuthMetadata {
        issuer,
        authorization_endpoint,
        token_endpoint,
        registration_endpoint,
        revocation_endpoint,
        device_authorization_endpoint,
        account_management_uri,
        iss_in_callback,
        other,
        lists,
    }))
}

/// The members that are addresses, in the order of [`AuthMetadata`].
const MEMBERS: [&str; 6] = [
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "device_authorization_endpoint",
    "account_management_uri",
];

/// A list of strings. What is not a string is left out, and what is not a list is not there.
fn strings(cursor: &mut Cursor<'_>) -> Result<Option<List>, NotJson> {
    let mut strings = Vec::new();
    let is_list = cursor.list(&mut |cursor| {
        strings.extend(cursor.string()?.map(Cow::into_owned).map(String::into_boxed_str));
        Ok(())
    })?;
    strings.shrink_to_fit();
    Ok(is_list.then_some(strings))
}
