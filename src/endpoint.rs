//! The endpoints. Each one has a module with two functions: `request` builds the request, and `response` reads the
//! response.
//!
//! They are pure functions. [`LoginFlow`](crate::LoginFlow) is built on them, and a program can also use them without a
//! flow. This file builds every request, and `response.rs` judges every response.

use http::{HeaderValue, Method, Request, Uri, header};
use serde::Serialize;

use crate::address::homeserver::{Homeserver, LONGEST_PATH};
use crate::credentials::secret::AccessToken;

pub(crate) mod body;
pub mod callback;
pub(crate) mod error;
pub mod get_token;
pub(crate) mod http_date;
pub(crate) mod identity_provider;
pub(crate) mod location;
pub mod login;
pub mod login_fallback;
pub mod login_types;
pub mod logout;
pub mod logout_all;
pub mod oauth;
pub mod refresh;
pub(crate) mod response;
pub(crate) mod retry_after;
pub(crate) mod server_error;
pub mod sso;
pub mod uia;
pub mod versions;
pub mod well_known;
pub mod whoami;

/// The longest body that the crate reads, in bytes. The bodies of a login are much smaller. A longer body of a success
/// makes the response invalid. A longer body of an error is treated as absent. A driver should stop reading one byte
/// after this length, so that the crate sees that the body is too long.
pub const MAX_BODY: usize = 64 * 1024;

/// The initial capacity of the body of a request, in bytes.
const USUAL_BODY: usize = 256;

/// An endpoint: a method and a path. Errors contain it, and each module has it as a constant, so that a program can see
/// which request failed.
///
/// ```
/// use matrix_login::endpoint::login;
///
/// assert_eq!(login::ENDPOINT.to_string(), "POST /_matrix/client/v3/login");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    method: Method,
    path: &'static str,
    /// Whether the endpoint has the errors of RFC 6749, and not the errors of the Matrix API.
    is_oauth: bool,
}

impl Endpoint {
    pub(crate) const fn new(method: Method, path: &'static str) -> Self {
        assert!(path.len() <= LONGEST_PATH.len(), "LONGEST_PATH is not the longest path");
        Self { method, path, is_oauth: false }
    }

    /// An endpoint of an OAuth 2.0 server. `member` is the member of the metadata that contains its address.
    pub(crate) const fn of_oauth(method: Method, member: &'static str) -> Self {
        Self { method, path: member, is_oauth: true }
    }

    pub(crate) const fn is_oauth(&self) -> bool {
        self.is_oauth
    }

    /// The method, such as POST.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The path, such as `/_matrix/client/v3/login`. It follows the homeserver's base URL, except for the well-known
    /// file. For an endpoint of an OAuth 2.0 server, this is the member of the metadata that contains the address, such
    /// as `token_endpoint`.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// A request without a body, to this endpoint of a homeserver.
    pub(crate) fn request(&self, homeserver: &Homeserver) -> Request<Vec<u8>> {
        self.request_to(homeserver.uri(self.path))
    }

    /// A request without a body, to this endpoint at another address.
    pub(crate) fn request_to(&self, uri: Uri) -> Request<Vec<u8>> {
        let mut request = Request::new(Vec::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        request
    }

    /// A request with a JSON body, to this endpoint of a homeserver.
    pub(crate) fn json_request(&self, homeserver: &Homeserver, body: &impl Serialize) -> Request<Vec<u8>> {
        self.json_request_to(homeserver.uri(self.path), body)
    }

    /// A request with a JSON body, to this endpoint at another address.
    pub(crate) fn json_request_to(&self, uri: Uri, body: &impl Serialize) -> Request<Vec<u8>> {
        let mut request = self.request_to(uri);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The default is never used: the bodies of this crate contain only strings, flags and JSON values, and JSON can
        // express them all.
        let mut json = Vec::with_capacity(USUAL_BODY);
        let written = serde_json::to_writer(&mut json, body);
        *request.body_mut() = if written.is_ok() { json } else { Vec::new() };
        request
    }

    /// A request with the access token of a user. The header is marked as sensitive.
    pub(crate) fn authorized(&self, homeserver: &Homeserver, access_token: &AccessToken) -> Request<Vec<u8>> {
        let mut request = self.request(homeserver);
        request.headers_mut().insert(header::AUTHORIZATION, access_token.authorization());
        request
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}
