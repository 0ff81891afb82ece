//! What all contenders get: the same text for the requests, and the same bytes for the responses.

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
    pub text: &'static str,
}

impl Body {
    /// The response, as an HTTP client hands it over.
    pub fn response(&self) -> Response<&'static [u8]> {
        let mut response = Response::new(self.text.as_bytes());
        *response.status_mut() = self.status;
        response
    }
}

pub static LOGIN_TYPES: Body = Body {
    name: "login_types.json",
    status: StatusCode::OK,
    text: include_str!("../../tests/bodies/login_types.json"),
};

pub static LOGIN: Body =
    Body { name: "login.json", status: StatusCode::OK, text: include_str!("../../tests/bodies/login.json") };

pub static FORBIDDEN: Body = Body {
    name: "forbidden.json",
    status: StatusCode::FORBIDDEN,
    text: include_str!("../../tests/bodies/forbidden.json"),
};

pub static LIMIT_EXCEEDED: Body = Body {
    name: "limit_exceeded.json",
    status: StatusCode::TOO_MANY_REQUESTS,
    text: include_str!("../../tests/bodies/limit_exceeded.json"),
};

pub static AUTH_METADATA: Body = Body {
    name: "auth_metadata.json",
    status: StatusCode::OK,
    text: include_str!("../../tests/bodies/auth_metadata.json"),
};

pub static TOKEN: Body =
    Body { name: "token.json", status: StatusCode::OK, text: include_str!("../../tests/bodies/token.json") };

pub static WHOAMI: Body =
    Body { name: "whoami.json", status: StatusCode::OK, text: include_str!("../../tests/bodies/whoami.json") };
