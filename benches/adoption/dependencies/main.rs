//! Logs in with plain serde structs, with only the dependencies of `matrix-login`: `login HOMESERVER USER PASSWORD`. It
//! prints each request, and reads a line of standard input as the body of the response.

use std::io;

use http::{Method, Request};
use serde::{Deserialize, Serialize};
use url::Url;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: login HOMESERVER USER PASSWORD")]
    Usage,
    #[error("the homeserver offers no login with a password")]
    NotOffered,
    #[error(transparent)]
    Url(#[from] url::ParseError),
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[derive(Deserialize)]
struct LoginTypes {
    flows: Vec<LoginType>,
}

#[derive(Deserialize)]
struct LoginType {
    r#type: String,
}

#[derive(Serialize)]
struct Login<'a> {
    r#type: &'a str,
    identifier: Identifier<'a>,
    password: &'a str,
}

#[derive(Serialize)]
struct Identifier<'a> {
    r#type: &'a str,
    user: &'a str,
}

#[derive(Deserialize)]
struct Granted {
    user_id: String,
    device_id: String,
    #[expect(dead_code, reason = "a program would use it")]
    access_token: String,
    well_known: Option<serde_json::Value>,
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(user), Some(password)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(Error::Usage);
    };
    let url = server.parse::<Url>()?.join("_matrix/client/v3/login")?;
    let login_types: LoginTypes = serde_json::from_str(&send(Method::GET, &url, Vec::new())?)?;
    if !login_types.flows.iter().any(|offered| offered.r#type == "m.login.password") {
        return Err(Error::NotOffered);
    }
    let login = Login {
        r#type: "m.login.password",
        identifier: Identifier { r#type: "m.id.user", user: &user },
        password: &password,
    };
    let granted: Granted = serde_json::from_str(&send(Method::POST, &url, serde_json::to_vec(&login)?)?)?;
    println!("{} {} {}", granted.user_id, granted.device_id, granted.well_known.unwrap_or_default());
    Ok(())
}

fn send(method: Method, url: &Url, body: Vec<u8>) -> Result<String, Error> {
    let request = Request::builder().method(method).uri(url.as_str()).header("content-type", "application/json");
    let request = request.body(body)?;
    println!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(request.body()));
    let mut body = String::new();
    io::stdin().read_line(&mut body)?;
    Ok(body)
}
