//! `GET /_matrix/client/v3/login`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3login>

use http::{Method, Request, Response};

use super::{Endpoint, json, object::Object};
use crate::{Error, Homeserver, IdentityProvider, LoginType, LoginTypes};

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
/// [`Error::LegacyLoginUnsupported`] for `M_UNRECOGNIZED`; [`Error::InvalidResponse`] if `flows` is missing or no list.
/// Other errors as the answer has them: see [`Error`].
pub fn response<B: AsRef<[u8]>>(response: &Response<B>) -> Result<LoginTypes, Error> {
    let json = json(response);
    let mut object = match ENDPOINT.object(response, &json) {
        // 404 by the specification, 400 by older servers.
        Err(Error::Server(error)) if error.refusal() == Some("M_UNRECOGNIZED") => {
            return Err(Error::LegacyLoginUnsupported);
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
