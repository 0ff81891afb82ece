//! What every contender does, and the check that all of them do the same.

pub mod ours;
pub mod plain;
pub mod ruma;

use http::{Request, Response};
use serde_json::{Value, json};

use crate::inputs::{FORBIDDEN, LIMIT_EXCEEDED, LOGIN, LOGIN_TYPES};

/// A library, or the code that one would write without a library. It keeps what a caller makes once, and does the other
/// work again in each run.
pub trait Contender {
    type LoginTypes<'a>;
    type Login<'a>;
    type Error<'a>;

    fn build_get_login(&self) -> Request<Vec<u8>>;
    fn build_post_login(&self) -> Request<Vec<u8>>;

    fn read_login_types<'a>(&self, response: Response<&'a [u8]>) -> Self::LoginTypes<'a>;
    fn read_login<'a>(&self, response: Response<&'a [u8]>) -> Self::Login<'a>;
    /// Reads the response to a login that was not granted.
    fn read_error<'a>(&self, response: Response<&'a [u8]>) -> Self::Error<'a>;

    /// The result of the reading, for a comparison. This step is not measured.
    fn login_types(read: &Self::LoginTypes<'_>) -> Value;
    fn login(read: &Self::Login<'_>) -> Value;
    fn error(read: &Self::Error<'_>) -> Value;
}

/// Everything that a contender makes from the inputs.
pub fn outcome<C: Contender>(contender: &C) -> Value {
    let request = |request: Request<Vec<u8>>| {
        let content_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
        let body: Option<Value> = serde_json::from_slice(request.body()).ok();
        json!([request.method().as_str(), request.uri().to_string(), content_type, body])
    };
    json!({
        "build GET login": request(contender.build_get_login()),
        "build POST login": request(contender.build_post_login()),
        "read login types": C::login_types(&contender.read_login_types(LOGIN_TYPES.response())),
        "read the response": C::login(&contender.read_login(LOGIN.response())),
        "read a 403": C::error(&contender.read_error(FORBIDDEN.response())),
        "read a 429": C::error(&contender.read_error(LIMIT_EXCEEDED.response())),
    })
}
