//! The code that one would write with only serde and `http`. With owned text, the result can be kept. Borrowed text is
//! the lower limit of the cost.

use std::marker::PhantomData;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contender::Contender;
use crate::inputs::{DEVICE_DISPLAY_NAME, DEVICE_ID, HOMESERVER, PASSWORD, USER};

/// How text is kept.
pub trait Kept {
    type Text<'a>: Deserialize<'a> + Serialize;
}

pub enum Owned {}

impl Kept for Owned {
    type Text<'a> = String;
}

pub enum Borrowed {}

impl Kept for Borrowed {
    type Text<'a> = &'a str;
}

pub struct Plain<K> {
    homeserver: &'static str,
    login: LoginRequest,
    kept: PhantomData<K>,
}

#[derive(Serialize)]
struct LoginRequest {
    r#type: &'static str,
    identifier: Identifier,
    password: &'static str,
    device_id: &'static str,
    initial_device_display_name: &'static str,
    refresh_token: bool,
}

#[derive(Serialize)]
struct Identifier {
    r#type: &'static str,
    user: &'static str,
}

#[derive(Deserialize)]
pub struct LoginTypes<T> {
    flows: Vec<LoginType<T>>,
}

#[derive(Deserialize)]
struct LoginType<T> {
    r#type: T,
    // This needs no `Default` of `T`, which serde would ask for.
    identity_providers: Option<Vec<IdentityProvider<T>>>,
    #[serde(default)]
    get_login_token: bool,
}

#[derive(Deserialize)]
struct IdentityProvider<T> {
    id: T,
    name: T,
    icon: Option<T>,
    brand: Option<T>,
}

#[derive(Deserialize)]
pub struct Login<T> {
    user_id: T,
    access_token: T,
    home_server: Option<T>,
    device_id: T,
    expires_in_ms: Option<u64>,
    refresh_token: Option<T>,
    well_known: Option<WellKnown<T>>,
}

#[derive(Deserialize)]
struct WellKnown<T> {
    #[serde(rename = "m.homeserver")]
    homeserver: Server<T>,
}

#[derive(Deserialize)]
struct Server<T> {
    base_url: T,
}

#[derive(Deserialize)]
pub struct Error<T> {
    errcode: T,
    #[serde(rename = "error")]
    message: T,
    retry_after_ms: Option<u64>,
}

impl<K> Plain<K> {
    pub fn new() -> Self {
        let login = LoginRequest {
            r#type: "m.login.password",
            identifier: Identifier { r#type: "m.id.user", user: USER },
            password: PASSWORD,
            device_id: DEVICE_ID,
            initial_device_display_name: DEVICE_DISPLAY_NAME,
            refresh_token: true,
        };
        Self { homeserver: HOMESERVER, login, kept: PhantomData }
    }

    fn uri(&self) -> String {
        format!("{}/_matrix/client/v3/login", self.homeserver)
    }
}

/// The body of a 200, or else the status and the error in the body.
fn read<'a, T: Deserialize<'a>, E: Deserialize<'a>>(response: &Response<&'a [u8]>) -> Result<T, (StatusCode, E)> {
    match response.status() {
        StatusCode::OK => Ok(serde_json::from_slice(response.body()).expect("the body of a 200")),
        status => Err((status, serde_json::from_slice(response.body()).expect("the body of an error"))),
    }
}

impl<K: Kept> Contender for Plain<K> {
    type LoginTypes<'a> = LoginTypes<K::Text<'a>>;
    type Login<'a> = Login<K::Text<'a>>;
    type Error<'a> = (StatusCode, Error<K::Text<'a>>);

    fn build_get_login(&self) -> Request<Vec<u8>> {
        Request::builder().method(Method::GET).uri(self.uri()).body(Vec::new()).expect("a request")
    }

    fn build_post_login(&self) -> Request<Vec<u8>> {
        Request::builder()
            .method(Method::POST)
            .uri(self.uri())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(serde_json::to_vec(&self.login).expect("JSON"))
            .expect("a request")
    }

    fn read_login_types<'a>(&self, response: Response<&'a [u8]>) -> Self::LoginTypes<'a> {
        let read: Result<_, (_, Error<K::Text<'a>>)> = read(&response);
        read.ok().expect("login types")
    }

    fn read_login<'a>(&self, response: Response<&'a [u8]>) -> Self::Login<'a> {
        let read: Result<_, (_, Error<K::Text<'a>>)> = read(&response);
        read.ok().expect("a login")
    }

    fn read_error<'a>(&self, response: Response<&'a [u8]>) -> Self::Error<'a> {
        let read: Result<Login<K::Text<'a>>, _> = read(&response);
        read.err().expect("an error of the server")
    }

    fn login_types(read: &Self::LoginTypes<'_>) -> Value {
        let login_type = |login_type: &LoginType<_>| {
            let providers: Vec<_> = login_type
                .identity_providers
                .iter()
                .flatten()
                .map(|provider| json!([provider.id, provider.name, provider.icon, provider.brand]))
                .collect();
            json!([login_type.r#type, login_type.get_login_token, providers])
        };
        read.flows.iter().map(login_type).collect()
    }

    fn login(read: &Self::Login<'_>) -> Value {
        json!([
            read.user_id,
            read.access_token,
            read.home_server,
            read.device_id,
            read.expires_in_ms.map(|milliseconds| milliseconds / 1000),
            read.refresh_token,
            read.well_known.as_ref().map(|well_known| &well_known.homeserver.base_url),
        ])
    }

    fn error((status, error): &Self::Error<'_>) -> Value {
        let retry_after = error.retry_after_ms.map(|milliseconds| milliseconds / 1000);
        json!([status.as_u16(), error.errcode, error.message, retry_after])
    }
}
