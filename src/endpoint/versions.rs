//! `GET /_matrix/client/versions`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientversions>

use std::collections::BTreeMap;

use http::{Method, Request};

use crate::address::homeserver::Homeserver;
use crate::endpoint::Endpoint;
use crate::endpoint::error::ResponseError;
use crate::endpoint::object::{Object, json};
use crate::fields::Fields;

/// The endpoint, as errors name it.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/versions");

/// What the homeserver supports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The versions of the specification, such as `v1.11`, in the server's order.
    pub versions: Vec<String>,
    /// Features that are not in the specification yet, and whether they are on.
    pub unstable_features: BTreeMap<String, bool>,
    /// All other keys of the response.
    pub other: Fields,
}

/// Asks a homeserver for its versions; discovery does so to see that there is one.
pub fn request(homeserver: &Homeserver) -> Request<Vec<u8>> {
    ENDPOINT.request(homeserver)
}

/// Reads the response.
///
/// # Errors
///
/// [`ResponseError::InvalidResponse`] if `versions` is missing or not a list; a version that is not a string is left
/// out, and so is a feature that is neither true nor false. For the other errors see [`ResponseError`].
pub fn response<B: AsRef<[u8]>>(response: &http::Response<B>) -> Result<Response, ResponseError> {
    let json = json(response);
    let mut object = ENDPOINT.object(response, &json)?;
    let versions = object.take_list("versions").ok_or_else(|| ENDPOINT.invalid("`versions`", "a list of strings"))?;
    let versions = versions.collect();
    let features = object.take::<Object<'_>>("unstable_features").map(Object::rest).unwrap_or_default();
    let features = features.0.into_iter().filter_map(|(feature, is_on)| Some((feature, is_on.as_bool()?)));
    Ok(Response { versions, unstable_features: features.collect(), other: object.rest() })
}
