//! Logs in with `matrix-login` by OAuth 2.0: `login SERVER_NAME STATE CODE_VERIFIER`. It prints each request. It reads
//! a line of standard input as the body of the response, and as the callback.

#[path = "../terminal.rs"]
mod terminal;

use std::error::Error;
use std::io;

use matrix_login::{Choice, CodeVerifier, LoginFlow, LoginSettings, OAuthClient, Redirect, Step, blocking};

use self::terminal::Terminal;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(state), Some(verifier)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: login SERVER_NAME STATE CODE_VERIFIER".into());
    };
    let client = OAuthClient::new("https://app.example.com/".parse()?, "Example");
    let settings = LoginSettings::default().with_oauth(client).with_device_id("KITCHENTABLET")?;
    let mut flow = LoginFlow::discover(server.parse()?, settings);
    let redirect = Redirect::new("http://127.0.0.1:8765/callback", state)?;
    let choice = Choice::authorization_code(redirect, CodeVerifier::new(verifier)?);
    loop {
        match blocking::drive(&mut flow, &mut Terminal)? {
            Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
            Step::Choose { refused: Some(refused), .. } => return Err(refused.clone().into()),
            Step::Browse(url) => {
                println!("{url}");
                let mut callback = String::new();
                io::stdin().read_line(&mut callback)?;
                flow.handle_callback(&callback.trim().parse()?)?;
            }
            Step::Done(session) => {
                println!("{} {}", session.user_id(), session.device_id());
                return Ok(());
            }
            _ => return Err("there is no such homeserver".into()),
        }
    }
}
