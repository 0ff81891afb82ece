//! `POST registration_endpoint` (RFC 7591)
//! <https://spec.matrix.org/latest/client-server-api/#client-registration>

use http::{HeaderValue, Method, Request, header};
use serde_json::{Map, Value, json};
use url::Url;

use crate::address::https_url::HttpsUrl;
use crate::address::is_loopback;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::endpoint::oauth::auth_metadata::DEVICE_CODE;
use crate::settings::oauth_client::OAuthClient;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::of_oauth(Method::POST, "registration_endpoint");

/// The redirect URI of a client that needs none. Some servers refuse a client without a redirect URI.
const NO_REDIRECT_URI: &str = "http://127.0.0.1/";

/// The response of a server that registered a client. All other members only repeat the request, and some servers
/// repeat it wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The ID of the client. It is not a secret.
    pub client_id: String,
}

/// Registers a client with these redirect URIs, for all grants that this crate knows. If a redirect URI is plain http
/// on loopback, its port is left out: the server must allow any port there (RFC 8252, section 7.3). `None` if the
/// client is already registered.
pub fn request(
    registration_endpoint: &HttpsUrl,
    client: &OAuthClient,
    redirect_uris: &[&str],
) -> Option<Request<Vec<u8>>> {
    let body = body(client, redirect_uris)?;
    let mut request = ENDPOINT.json_request_to(registration_endpoint.uri(), &body);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    Some(request)
}

fn body(client: &OAuthClient, redirect_uris: &[&str]) -> Option<Map<String, Value>> {
    let (client_uri, fields) = (client.client_uri()?, client.fields()?);
    let further = fields.get("redirect_uris").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut uris: Vec<String> = redirect_uris.iter().copied().chain(further).map(without_port).collect();
    if uris.is_empty() {
        uris.push(NO_REDIRECT_URI.to_owned());
    }
    let application_type = if uris.iter().all(|uri| is_native(uri)) { "native" } else { "web" };
    let mut body = Map::new();
    body.insert("client_uri".to_owned(), client_uri.as_str().into());
    if let Some(client_name) = client.client_name().filter(|name| !name.is_empty()) {
        body.insert("client_name".to_owned(), client_name.into());
    }
    body.insert("application_type".to_owned(), application_type.into());
    body.extend(fields.clone());
    body.insert("redirect_uris".to_owned(), json!(uris));
    body.insert("grant_types".to_owned(), json!(["authorization_code", "refresh_token", DEVICE_CODE]));
    body.insert("response_types".to_owned(), json!(["code"]));
    // The default is a client with a secret. A program on a user's machine cannot keep a secret.
    body.insert("token_endpoint_auth_method".to_owned(), "none".into());
    Some(body)
}

/// Whether this is the redirect URI of a client on the user's machine: plain http on loopback, or the client's own
/// scheme.
fn is_native(redirect_uri: &str) -> bool {
    Url::parse(redirect_uri).is_ok_and(|url| match url.scheme() {
        "https" => false,
        "http" => url.host().is_some_and(|host| is_loopback(&host)),
        _ => true,
    })
}

/// The redirect URI as it is written, but without the port of plain http on loopback.
fn without_port(redirect_uri: &str) -> String {
    let url = Url::parse(redirect_uri).ok().filter(|url| url.scheme() == "http" && is_native(redirect_uri));
    let parts = url.and_then(|_| redirect_uri.split_once("//"));
    // A URL parser also accepts an address without the slashes after `http:`. Then the first slashes are in its path.
    let Some((start, rest)) = parts.filter(|(start, _)| start.eq_ignore_ascii_case("http:")) else {
        return redirect_uri.to_owned();
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    format!("{start}//{host}{path}")
}

/// Reads the response. Any 2xx with a `client_id` is a success. The client asks for no client secret and keeps none.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `client_id` is missing or not usable. [`ResponseError::Server`] if the server
/// refuses, for instance with `invalid_redirect_uri`. Its message says what is wrong. For the other errors see
/// [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let mut client_id = None;
    ENDPOINT.read(response, &mut |cursor, key| {
        if key == "client_id" {
            client_id = cursor.text()?.map(String::from);
        }
        Ok(())
    })?;
    let client_id = client_id.ok_or_else(|| ENDPOINT.lacks(response, "`client_id`", "a string that is not empty"))?;
    Ok(Response { client_id })
}
