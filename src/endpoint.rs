//! The endpoints: one module each, with a `request` that builds what to send and a `response` that reads the response.
//!
//! They are pure functions, for those who do not want the [`LoginFlow`](crate::LoginFlow) that is built on them. This
//! file builds every request; `response.rs` judges every response.

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

/// The longest body that is read, in bytes. What a login exchanges is much smaller. A longer one counts as an invalid
/// response where it was needed and as absent in an error. A driver should stop reading one byte later, so that it
/// shows.
pub const MAX_BODY: usize = 64 * 1024;

/// What the body of a request usually has room for, in bytes. A longer one grows.
const USUAL_BODY: usize = 256;

/// An endpoint as errors name it: a method and a path. Each module has its own as a constant, so that a program can
/// tell which request failed.
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
    /// Whether its errors are those of RFC 6749 and not those of Matrix.
    is_oauth: bool,
}

impl Endpoint {
    pub(crate) const fn new(method: Method, path: &'static str) -> Self {
        assert!(path.len() <= LONGEST_PATH.len(), "LONGEST_PATH is not the longest path");
        Self { method, path, is_oauth: false }
    }

    /// An endpoint of an OAuth 2.0 server. Its address is in this member of the metadata.
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

    /// The path, such as `/_matrix/client/v3/login`. It is below the homeserver's base URL, except that of the
    /// well-known file. For an endpoint of an OAuth 2.0 server, this is the member of the metadata that has the
    /// address, such as `token_endpoint`.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// A request without a body, to this endpoint of a homeserver.
    pub(crate) fn request(&self, homeserver: &Homeserver) -> Request<Vec<u8>> {
        self.request_to(homeserver.uri(self.path))
    }

    /// A request without a body, to wherever this endpoint is.
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

    /// A request with a JSON body, to wherever this endpoint is.
    pub(crate) fn json_request_to(&self, uri: Uri, body: &impl Serialize) -> Request<Vec<u8>> {
        let mut request = self.request_to(uri);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The default is never taken: the bodies of this crate are objects of strings, flags and JSON values, for all
        // of which there is JSON.
        let mut json = Vec::with_capacity(USUAL_BODY);
        let written = serde_json::to_writer(&mut json, body);
        *request.body_mut() = if written.is_ok() { json } else { Vec::new() };
        request
    }

    /// A request of the user's whose access token this is. Its header is marked as sensitive.
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
