//! Logs in as a user to a homeserver, with a password: `cargo run --example login -- USER`.
//!
//! - `driver.rs` drives the flow,
//! - `person.rs` asks whoever logs in,
//! - `transport.rs` carries the requests,
//! - `session_file.rs` stores the session,
//! - `demo.rs` is a homeserver for people who have none at hand.
//!
//! What it does goes to standard error, line by line; who is logged in goes to standard output, last. The exit status is
//! 0 after a login, 1 if there was none, and 2 if the arguments cannot be understood.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a program has no API and does the I/O that the library leaves to it"
)]

#[macro_use]
mod say;

mod demo;
mod driver;
mod person;
mod session_file;
mod transport;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use matrix_login::{Choice, LoginFlow, LoginTypes, ServerError, ServerName, Session, UserId, UserIdentifier};
use url::Url;

use self::{
    demo::Demo,
    driver::{Answers, Failure},
    person::Person,
    session_file::SessionFile,
    transport::Transport,
};

/// How often a password may be typed.
const MAX_TRIES: u32 = 3;

/// Log in as a user to a homeserver, with a password
#[derive(Parser)]
#[command(name = "login")]
struct Arguments {
    /// User ID to log in as, such as @alice:example.org; with -H also its name alone. Asked for if it is left out
    user: Option<String>,

    /// Base URL of the homeserver; without it the server of the user ID says where its homeserver is
    #[arg(short = 'H', long, value_name = "URL")]
    homeserver_url: Option<String>,

    /// File that the session is stored in [default: data.json]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// How long to wait for each answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Start a homeserver on this machine and log in to it. Stores the session only if --data is given
    #[arg(long, conflicts_with_all = ["user", "homeserver_url"])]
    demo: bool,
}

fn main() -> ExitCode {
    person::restore_terminal_when_interrupted();
    match run(Arguments::parse()) {
        Ok(session) => {
            driver::show(&session);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<Session, Failure> {
    let file = match arguments.data {
        None if arguments.demo => None,
        data => Some(SessionFile::new(data.unwrap_or_else(|| "data.json".into()))),
    };
    if let Some(file) = &file {
        driver::look_at(file)?;
    }

    let transport = Transport::new(Duration::from_secs(arguments.timeout));
    let demo = if arguments.demo { Some(Demo::start()?) } else { None };
    let (mut person, user, homeserver_url) = match &demo {
        Some(demo) => {
            (Person::Script(demo::PASSWORDS.into()), Some(demo::USER.to_owned()), Some(demo.url().to_owned()))
        }
        None => (Person::at_standard_input(), arguments.user, arguments.homeserver_url),
    };
    let user = match user {
        Some(user) => user,
        None => person.ask("User ID: ", "a user ID")?,
    };
    let user = user.trim().to_owned();
    if user.is_empty() {
        return Err(Failure::Other("there is no user: give a user ID, such as @alice:example.org".to_owned()));
    }

    let (flow, server_name) = begin(&user, homeserver_url.as_deref(), &transport)?;
    let mut password = WithPassword { user: &user, person: &mut person, tries: 0 };
    let session = driver::log_in(flow, server_name.as_ref(), &transport, &mut password)?;
    if let Some(file) = &file {
        driver::store(file, &session, &mut person)?;
    }
    Ok(session)
}

/// Begins where the arguments say. A server name comes with a flow that discovers its homeserver.
fn begin(
    user: &str,
    homeserver_url: Option<&str>,
    transport: &Transport,
) -> Result<(LoginFlow, Option<ServerName>), Failure> {
    let user_id = if user.starts_with('@') { Some(user.parse::<UserId>()?) } else { None };
    match (homeserver_url, user_id) {
        (Some(url), _) => Ok((driver::at(url, transport)?, None)),
        (None, Some(user_id)) => {
            let server_name = user_id.server_name().clone();
            Ok((LoginFlow::discover(server_name.clone(), driver::settings()?), Some(server_name)))
        }
        (None, None) => Err(Failure::Other(format!(
            "{user} is no full user ID: give one, such as @alice:example.org, or the URL of the homeserver with -H"
        ))),
    }
}

/// Answers with the password of a user.
struct WithPassword<'a> {
    user: &'a str,
    person: &'a mut Person,
    tries: u32,
}

impl Answers for WithPassword<'_> {
    fn choose(&mut self, login_types: &LoginTypes, refused: Option<&ServerError>) -> Result<Choice, Failure> {
        driver::check_offered(login_types, "m.login.password", "password")?;
        if let Some(refused) = refused {
            self.try_again(refused)?;
        }
        self.tries += 1;
        let password = self.person.password(self.user)?;
        Ok(Choice::password(UserIdentifier::user(self.user), password))
    }

    fn browse(&mut self, _: &Url) -> Result<Url, Failure> {
        unreachable!("nobody chose single sign-on")
    }

    fn came_back(&mut self, _: bool) {}
}

impl WithPassword<'_> {
    /// Says why the last password was refused, if there is somebody who can type another.
    fn try_again(&self, refused: &ServerError) -> Result<(), Failure> {
        let wrong_password = refused.errcode.as_deref() == Some("M_FORBIDDEN");
        if wrong_password && self.tries < MAX_TRIES && self.person.can_be_asked_again() {
            say!("{}; try again", Failure::Other(refused.to_string()));
            return Ok(());
        }
        let advice = if wrong_password { "check the user and the password" } else { "ask whoever runs the homeserver" };
        Err(Failure::Other(format!("{refused}; {advice}")))
    }
}
