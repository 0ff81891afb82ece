//! The OAuth 2.0 API: one module for each endpoint, as for the Matrix API
//! <https://spec.matrix.org/latest/client-server-api/#oauth-20-api>
//!
//! The homeserver says in its [metadata](auth_metadata) where the other endpoints are. They have no access token in
//! their requests, and their errors are those of RFC 6749: a [`ServerError`](crate::ServerError) has their `error` as
//! its `errcode`. The HTTP client must not follow their redirects, since a request can contain a code or a token.

use http::{HeaderValue, Request, header};
use url::form_urlencoded::Serializer;

use crate::address::https_url::HttpsUrl;
use crate::endpoint::Endpoint;

pub mod auth_metadata;
pub mod authorization;
pub mod device_authorization;
pub mod registration;
pub mod revocation;
pub mod token;

impl Endpoint {
    /// A request with a form as its body.
    fn form_request(&self, url: &HttpsUrl, form: &[(&str, &str)]) -> Request<Vec<u8>> {
        let mut request = self.request_to(url.uri());
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        *request.body_mut() = Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
        request
    }
}
