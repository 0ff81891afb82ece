//! Logs in with `ruma-client-api`: `login HOMESERVER USER PASSWORD`. It prints each request, and reads a line of
//! standard input as the body of the response.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;

use http::{Request, Response};
use ruma_client_api::session::{get_login_types, login};
use ruma_client_api::uiaa::{MatrixUserIdentifier, UserIdentifier};
use ruma_common::api::auth_scheme::SendAccessToken;
use ruma_common::api::{IncomingResponseExt, OutgoingRequestExt, SupportedVersions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(user), Some(password)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: login HOMESERVER USER PASSWORD".into());
    };
    let versions = SupportedVersions::from_parts(&["v1.11".to_owned()], &BTreeMap::new());

    let request = get_login_types::v3::Request::new();
    let request: Request<Vec<u8>> =
        request.try_into_http_request(&server, SendAccessToken::None, Cow::Borrowed(&versions))?;
    let offered = get_login_types::v3::Response::try_from_http_response(Response::new(send(&request)?.as_slice()))?;
    if !offered.flows.iter().any(|offered| offered.login_type() == "m.login.password") {
        return Err("the homeserver offers no login with a password".into());
    }

    let password = login::v3::Password::new(UserIdentifier::Matrix(MatrixUserIdentifier::new(user)), password);
    let request = login::v3::Request::new(login::v3::LoginInfo::Password(password));
    let request: Request<Vec<u8>> =
        request.try_into_http_request(&server, SendAccessToken::None, Cow::Borrowed(&versions))?;
    let granted = login::v3::Response::try_from_http_response(Response::new(send(&request)?.as_slice()))?;
    println!("{} {}", granted.user_id, granted.device_id);
    Ok(())
}

fn send(request: &Request<Vec<u8>>) -> Result<Vec<u8>, io::Error> {
    println!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(request.body()));
    let mut body = String::new();
    io::stdin().read_line(&mut body)?;
    Ok(body.into_bytes())
}
