//! Exchanges an authorization code with `oauth2`: `login TOKEN_ENDPOINT CODE`. It prints the request, and reads a line
//! of standard input as the body of the response.

use std::error::Error;
use std::io;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, AuthorizationCode, ClientId, CsrfToken, HttpRequest, HttpResponse};
use oauth2::{PkceCodeChallenge, TokenResponse, TokenUrl};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(endpoint), Some(code)) = (arguments.next(), arguments.next()) else {
        return Err("usage: login TOKEN_ENDPOINT CODE".into());
    };
    let client = BasicClient::new(ClientId::new("client".to_owned()))
        .set_auth_uri(AuthUrl::new(endpoint.clone())?)
        .set_token_uri(TokenUrl::new(endpoint)?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, _) = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge).url();
    println!("{url}");
    let exchange = client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
    let granted = exchange.request(&send)?;
    println!("{:?}", granted.expires_in());
    Ok(())
}

fn send(request: HttpRequest) -> Result<HttpResponse, io::Error> {
    println!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(request.body()));
    let mut body = String::new();
    io::stdin().read_line(&mut body)?;
    Ok(HttpResponse::new(body.into_bytes()))
}
