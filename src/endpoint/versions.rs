//! `GET /_matrix/client/versions`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientversions>

use std::borrow::Cow;

use http::{Method, Request};

use crate::address::homeserver::Homeserver;
use crate::cursor::Cursor;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::fields::Fields;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/versions");

/// What the homeserver supports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The versions of the specification, such as `v1.11`, in the server's order.
    pub versions: Vec<String>,
    /// Features that are not in the specification yet. Each is `true` or `false`.
    pub unstable_features: Fields,
    /// All other members of the response.
    pub other: Fields,
}

impl Response {
    /// Whether a feature that is not in the specification yet is on.
    pub fn has_unstable_feature(&self, name: &str) -> bool {
        self.unstable_features.text_of(name) == Some("true")
    }
}

/// Asks a homeserver for its versions. Discovery uses this request to check that an address is a homeserver.
pub fn request(homeserver: &Homeserver) -> Request<Vec<u8>> {
    ENDPOINT.request(homeserver)
}

/// Reads the response.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `versions` is missing or not a list. A version that is not a string is left
/// out. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let (mut versions, mut unstable_features) = (None, Fields::default());
    let other = ENDPOINT.read(response, &mut |cursor, key| {
        match key {
            "versions" => {
                let mut list = Vec::new();
                let mut read = |cursor: &mut Cursor<'_>| {
                    list.extend(cursor.string()?.map(Cow::into_owned));
                    Ok(())
                };
                let is_list = cursor.list(&mut read)?;
                list.shrink_to_fit();
                versions = is_list.then_some(list);
            }
            "unstable_features" => {
                unstable_features = Fields::left_of(cursor, &mut |_, _| Ok(()))?.unwrap_or_default();
            }
            _ => {}
        }
        Ok(())
    })?;
    let versions = versions.ok_or_else(|| ENDPOINT.lacks(response, "`versions`", "a list of strings"))?;
    Ok(Response { versions, unstable_features, other })
}
