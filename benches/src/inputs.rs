//! The inputs of all contenders: the same text for the requests, and the same bytes for the responses.

use http::{Response, StatusCode};

pub const HOMESERVER: &str = "https://matrix.example.org";
pub const USER: &str = "alice";
pub const PASSWORD: &str = "correct horse battery staple";
pub const DEVICE_ID: &str = "KCZFUCGSLZ";
pub const DEVICE_DISPLAY_NAME: &str = "Example client on Linux";

/// A response of a homeserver.
pub struct Body {
    pub name: &'static str,
    pub status: StatusCode,
    pub bytes: &'static [u8],
}

/// Bytes at an aligned address. The search for a byte reads aligned blocks, so its instructions depend on the address.
/// Without this type, the address depends on the length of the path of the checkout, which the program also contains.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

impl Body {
    /// The response, as an HTTP client hands it over.
    pub fn response(&self) -> Response<&'static [u8]> {
        let mut response = Response::new(self.bytes);
        *response.status_mut() = self.status;
        response
    }
}

macro_rules! body {
    ($name:literal, $status:ident) => {
        Body {
            name: $name,
            status: StatusCode::$status,
            bytes: {
                static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!("../../tests/bodies/", $name)));
                &ALIGNED.0
            },
        }
    };
}

pub static LOGIN_TYPES: Body = body!("login_types.json", OK);
pub static LOGIN: Body = body!("login.json", OK);
pub static FORBIDDEN: Body = body!("forbidden.json", FORBIDDEN);
pub static LIMIT_EXCEEDED: Body = body!("limit_exceeded.json", TOO_MANY_REQUESTS);
pub static AUTH_METADATA: Body = body!("auth_metadata.json", OK);
pub static REGISTERED: Body = body!("registered.json", CREATED);
pub static DEVICE_CODE: Body = body!("device_code.json", OK);
pub static AUTHORIZATION_PENDING: Body = body!("authorization_pending.json", FORBIDDEN);
pub static TOKEN: Body = body!("token.json", OK);
pub static WHOAMI: Body = body!("whoami.json", OK);
