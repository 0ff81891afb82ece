//! `authorization_endpoint`, the authorization code grant (RFC 6749, section 4.1; RFC 7636; RFC 9207)
//! <https://spec.matrix.org/latest/client-server-api/#authorization-code-flow>
//!
//! `request` makes a URL for a browser, not an HTTP request. The browser comes back to the redirect URI with a code or
//! with an error. `response` reads this callback.

use std::borrow::Cow;

use url::Url;

use crate::address::https_url::HttpsUrl;
use crate::credentials::code_verifier::CodeVerifier;
use crate::credentials::device_id::DeviceId;
use crate::credentials::redirect::{Action, Redirect, RedirectState, STATE};
use crate::credentials::secret::secret;
use crate::endpoint::callback::{ForeignCallback, fragment_pairs};
use crate::endpoint::server_error::ServerError;
use crate::fields::Fields;

secret! {
    /// An authorization code. The server adds it to the callback. The token endpoint accepts it once, and only for a
    /// few minutes.
    pub struct AuthorizationCode
}

impl AuthorizationCode {
    /// Takes a code from a callback.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }
}

/// The scope of every client, without the device.
const API_SCOPE: &str = "urn:matrix:client:api:*";

/// The prefix of a device ID in a scope.
const DEVICE_SCOPE: &str = "urn:matrix:client:device:";

/// The result of a login in a browser.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Response {
    /// The user has agreed.
    Granted(AuthorizationCode),
    /// The server has refused, or the user has refused (`access_denied`).
    Refused(Box<ServerError>),
}

/// The URL to open in a browser. `fields` are further parameters, such as `login_hint`. A string is sent unchanged, and
/// any other value as JSON.
pub fn request(
    authorization_endpoint: &HttpsUrl,
    client_id: &str,
    device_id: &DeviceId,
    redirect: &Redirect,
    verifier: &CodeVerifier,
    fields: &Fields,
) -> Url {
    let mut url = authorization_endpoint.url().clone();
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", redirect.text())
        .append_pair("scope", &scope(device_id))
        .append_pair(STATE, redirect.state())
        .append_pair("response_mode", if redirect.is_in_query() { "query" } else { "fragment" })
        .append_pair("code_challenge", verifier.challenge())
        .append_pair("code_challenge_method", "S256");
    if redirect.action() == Action::Register {
        query.append_pair("prompt", "create");
    }
    for (name, value) in serde_json::Map::from(fields) {
        query.append_pair(&name, value.as_str().map_or_else(|| value.to_string().into(), Cow::Borrowed).as_ref());
    }
    drop(query);
    url
}

/// The scope: the whole client-server API, for one device (specification, "Scope").
pub(crate) fn scope(device_id: &DeviceId) -> String {
    format!("{API_SCOPE} {DEVICE_SCOPE}{}", device_id.as_str())
}

/// Reads the callback of a login that began with this state. `issuer` is the issuer in the metadata, and
/// `iss_in_callback` says whether the metadata promise an `iss`.
///
/// The parameters can be in the query or in the fragment, whatever the client asked for. A parameter without a value is
/// treated as absent.
///
/// # Errors
///
/// [`ForeignCallback`] in these cases:
///
/// - The callback does not contain exactly one `state`, equal to the given one.
/// - A parameter appears twice, or some parameters are in the query and others in the fragment.
/// - `iss` is another issuer, or it is promised and missing.
/// - The callback contains both a `code` and an `error`, or neither of them.
pub fn response(
    callback: &Url,
    state: &str,
    issuer: Option<&str>,
    iss_in_callback: bool,
) -> Result<Response, ForeignCallback> {
    let [found, code, error, description, iss] = parameters(callback)?;
    // The comparison is not in constant time, for the reasons in `sso::response`.
    if found.as_deref() != Some(state) {
        return Err(ForeignCallback::new("expected exactly one `state`, the state of this login"));
    }
    let is_expected = match (&iss, issuer) {
        (Some(iss), Some(issuer)) => iss == issuer,
        (Some(_), None) => true,
        (None, _) => !iss_in_callback,
    };
    if !is_expected {
        return Err(ForeignCallback::new("expected `iss` to be the issuer of the metadata"));
    }
    match (code, error) {
        (Some(code), None) => Ok(Response::Granted(AuthorizationCode::new(code))),
        (None, Some(error)) => {
            let message = description.map(Cow::into_owned);
            Ok(Response::Refused(Box::new(ServerError::of_browser(error.into_owned(), message))))
        }
        (Some(_), Some(_)) => Err(ForeignCallback::new("expected `code` or `error`, not both")),
        (None, None) => Err(ForeignCallback::new("expected a `code` or an `error`")),
    }
}

/// The parameters that count, in the order of [`NAMES`].
fn parameters(callback: &Url) -> Result<[Option<Cow<'_, str>>; 5], ForeignCallback> {
    let is_known = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| NAMES.contains(&&**name) && !value.is_empty();
    let in_query: Vec<_> = callback.query_pairs().filter(is_known).collect();
    let in_fragment: Vec<_> = fragment_pairs(callback).filter(is_known).collect();
    if !in_query.is_empty() && !in_fragment.is_empty() {
        return Err(ForeignCallback::new("expected all parameters in the query, or all of them in the fragment"));
    }
    let mut parameters = [const { None }; 5];
    for (name, value) in in_query.into_iter().chain(in_fragment) {
        for (known, parameter) in NAMES.iter().zip(&mut parameters) {
            if *known == name && parameter.replace(value.clone()).is_some() {
                return Err(ForeignCallback::new(match *known {
                    STATE => "expected exactly one `state`, the state of this login",
                    "code" => "expected only one `code`",
                    "error" => "expected only one `error`",
                    "iss" => "expected only one `iss`",
                    _ => "expected only one `error_description`",
                }));
            }
        }
    }
    Ok(parameters)
}

const NAMES: [&str; 5] = [STATE, "code", "error", "error_description", "iss"];

/// The parameters of a login, read back from the URL that it began with.
pub(crate) struct Begun {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: RedirectState,
    pub(crate) challenge: String,
}

/// Reads the URL that a login began with. `None` if [`request`] does not make such a URL.
pub(crate) fn begun(url: &Url) -> Option<Begun> {
    let parameters: Vec<(Cow<'_, str>, Cow<'_, str>)> = url.query_pairs().collect();
    let only = |name: &str| {
        let mut values = parameters.iter().filter(|(found, _)| found == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(&**value)
    };
    let is_ours = only("response_type")? == "code"
        && only("code_challenge_method")? == "S256"
        && matches!(only("response_mode")?, "query" | "fragment");
    let scope = only("scope")?;
    let device_id = scope.strip_prefix(API_SCOPE)?.strip_prefix(' ')?.strip_prefix(DEVICE_SCOPE)?;
    DeviceId::new(device_id).ok().filter(|_| is_ours)?;
    let begun = Begun {
        client_id: only("client_id").filter(|client_id| !client_id.is_empty())?.to_owned(),
        redirect_uri: only("redirect_uri")?.to_owned(),
        state: RedirectState::new(only(STATE)?.to_owned()).ok()?,
        challenge: only("code_challenge")?.to_owned(),
    };
    Redirect::new(&begun.redirect_uri, begun.state.expose()).ok().map(|_| begun)
}

/// Whether the URL that a login began with belongs to this endpoint: its query starts with the endpoint's own query.
pub(crate) fn is_of(url: &Url, authorization_endpoint: &HttpsUrl) -> bool {
    let endpoint = authorization_endpoint.url();
    let mut query = url.query_pairs();
    url.origin() == endpoint.origin()
        && url.path() == endpoint.path()
        && endpoint.query_pairs().all(|own| query.next() == Some(own))
        && query.next().is_some_and(|(name, _)| name == "response_type")
}
