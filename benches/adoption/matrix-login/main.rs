//! Logs in with `matrix-login`: `login SERVER_NAME USER PASSWORD`. It prints each request, and reads a line of standard
//! input as the body of the response.

use std::error::Error;
use std::io;
use std::thread;
use std::time::SystemTime;

use http::{Request, Response};
use matrix_login::{Choice, LoginFlow, LoginSettings, Password, Pause, Step, UserIdentifier, blocking};

struct Terminal;

impl blocking::Transport for Terminal {
    type Body = String;
    type Error = io::Error;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<String>, io::Error> {
        println!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(request.body()));
        let mut body = String::new();
        io::stdin().read_line(&mut body)?;
        Ok(Response::new(body))
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), io::Error> {
        thread::sleep(pause.remaining(self.now()));
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

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
