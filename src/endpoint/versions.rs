//! `GET /_matrix/client/versions`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientversions>

use std::borrow::Cow;
use std::collections::BTreeMap;

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
    let (mut versions, mut unstable_features) = (None, BTreeMap::new());
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
                unstable_features.clear();
                let mut read = |cursor: &mut Cursor<'_>, feature: &str| {
                    match cursor.value()? {
                        is_on @ ("true" | "false") => unstable_features.insert(feature.to_owned(), is_on == "true"),
                        _ => unstable_features.remove(feature),
                    };
                    Ok(())
                };
                cursor.object(&mut read, &mut drop)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    let versions = versions.ok_or_else(|| ENDPOINT.invalid("`versions`", "a list of strings"))?;
    Ok(Response { versions, unstable_features, other })
}
