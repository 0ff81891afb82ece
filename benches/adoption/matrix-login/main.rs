//! Logs in with `matrix-login`: `login SERVER_NAME USER PASSWORD`. It prints each request, and reads a line of standard
//! input as the body of the response.

#[path = "../terminal.rs"]
mod terminal;

use std::error::Error;

use matrix_login::{Choice, LoginFlow, LoginSettings, Password, Step, UserIdentifier, blocking};

use self::terminal::Terminal;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(user), Some(password)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: login SERVER_NAME USER PASSWORD".into());
    };
    let mut flow = LoginFlow::discover(server.parse()?, LoginSettings::default());
    let choice = Choice::password(UserIdentifier::user(user), Password::new(password));
    loop {
        match blocking::drive(&mut flow, &mut Terminal)? {
            Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
            Step::Choose { refused: Some(refused), .. } => return Err(refused.clone().into()),
            Step::Done(session) => {
                println!("{} {}", session.user_id(), session.device_id());
                return Ok(());
            }
            _ => return Err("there is no such homeserver".into()),
        }
    }
}
