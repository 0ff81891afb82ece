//! The OAuth 2.0 API: one module for each endpoint, as for the Matrix API
//! <https://spec.matrix.org/latest/client-server-api/#oauth-20-api>
//!
//! The [metadata](auth_metadata) of the homeserver contain the addresses of the other endpoints. Requests to these
//! endpoints contain no access token. Their errors follow RFC 6749: the `errcode` of a
//! [`ServerError`](crate::ServerError) is the `error` of the response. The HTTP client must not follow their redirects,
//! since a request can contain a code or a token.

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
