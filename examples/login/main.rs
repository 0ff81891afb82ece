//! Logs in as a user to a homeserver, with a password: `cargo run --example login -- USER`.
//!
//! - `main.rs` drives the flow,
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

mod demo;
mod person;
mod session_file;
mod transport;

use std::{
    fmt,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, SystemTime},
};

use clap::Parser;
use matrix_login::{
    Choice, DiscoveryFailure, DiscoveryOutcome, Error, Homeserver, LoginFlow, LoginSettings, LoginType, LoginTypes,
    ServerError, Session, Step, UserId, UserIdentifier, Wait, endpoint::versions,
};

use self::{demo::Demo, person::Person, session_file::SessionFile, transport::Transport};

/// How often a password may be typed.
const MAX_TRIES: u32 = 3;

/// How long a rate limit is waited out.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often in a row.
const MAX_WAITS: u32 = 3;

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
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,

    /// Start a homeserver on this machine and log in to it. Stores the session only if --data is given
    #[arg(long, conflicts_with_all = ["user", "homeserver_url"])]
    demo: bool,
}

/// Why nobody is logged in, in one line that says what to do.
enum Failure {
    /// The address leads to no homeserver.
    NoServer(String),
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match self {
            Self::NoServer(reason) => format!("No Matrix server found: {reason}"),
            Self::Other(problem) => format!("Error: {problem}"),
        };
        // What comes from elsewhere may have several lines, or change the terminal.
        formatter.write_str(&line.replace(char::is_control, " "))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.to_string())
    }
}

fn main() -> ExitCode {
    person::restore_terminal_when_interrupted();
    match run(Arguments::parse()) {
        Ok(session) => {
            println!("logged in as {} with device ID {}", session.user_id(), session.device_id());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
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
        look_at(file)?;
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
        None => person.user()?,
    };

    let flow = begin(&user, homeserver_url.as_deref(), &transport)?;
    let session = log_in(flow, &user, &transport, &mut person)?;
    if let Some(file) = &file {
        store(file, &session, &mut person)?;
    }
    Ok(session)
}

/// Looks before anything is sent or asked.
fn look_at(file: &SessionFile) -> Result<(), Failure> {
    if let Some(session) = file.session()? {
        let path = file.path().display();
        let user_id = session.user_id();
        return Err(Failure::Other(format!(
            "already logged in as {user_id} in {path}; name another file with --data to log in once more"
        )));
    }
    Ok(file.check_writable()?)
}

/// Begins where the arguments say, with a device ID of the program's own: if an answer is lost and the login is asked
/// for again, it leads to that device instead of another.
fn begin(user: &str, homeserver_url: Option<&str>, transport: &Transport) -> Result<LoginFlow, Failure> {
    let settings = LoginSettings::default()
        .device_id(random_device_id()?)?
        .initial_device_display_name("matrix-login")
        .require_refresh_token(false);
    let user_id = if user.starts_with('@') { Some(user.parse::<UserId>()?) } else { None };
    match (homeserver_url, user_id) {
        (Some(url), _) => {
            let homeserver = url.parse()?;
            check(&homeserver, transport)?;
            Ok(LoginFlow::at(homeserver, settings))
        }
        (None, Some(user_id)) => Ok(LoginFlow::discover(user_id.server_name().clone(), settings)),
        (None, None) => Err(Failure::Other(format!(
            "{user} is no full user ID: give one, such as @alice:example.org, or the URL of the homeserver with -H"
        ))),
    }
}

fn random_device_id() -> Result<String, Failure> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| char::from(b'A' + byte % 26)).collect())
}

/// Whether there is a homeserver at an address that nobody has checked yet.
fn check(homeserver: &Homeserver, transport: &Transport) -> Result<(), Failure> {
    let problem = match transport.send(versions::request(homeserver)) {
        Err(error) => format!("no answer from {homeserver}: {error}"),
        Ok(response) => match versions::response(&response) {
            // Whatever it is that the homeserver does not like, it is one.
            Ok(_) | Err(Error::Server(_)) => return Ok(()),
            Err(error) => format!("{homeserver} is no homeserver: {error}"),
        },
    };
    Err(Failure::NoServer(format!("{problem}; give the URL of the homeserver with -H")))
}

/// Drives the flow to its end.
fn log_in(mut flow: LoginFlow, user: &str, transport: &Transport, person: &mut Person) -> Result<Session, Failure> {
    let mut tries = 0;
    loop {
        match flow.step() {
            Step::Send(request) => {
                let uri = request.uri().clone();
                match transport.send(request) {
                    Ok(response) => flow.handle_response(&response, SystemTime::now())?,
                    Err(error) => flow.handle_unreachable().map_err(|_| {
                        Failure::Other(format!("no answer from {uri}: {error}; check the network and try again"))
                    })?,
                }
            }
            Step::Wait(wait) => {
                wait_out(wait)?;
                flow.handle_timeout()?;
            }
            Step::Locate { failure } => {
                let homeserver = locate(failure, user, transport)?;
                flow.use_homeserver(homeserver)?;
            }
            Step::Choose { login_types, refused } => {
                check_offered(login_types)?;
                if let Some(refused) = refused {
                    try_again(refused, tries, person)?;
                }
                tries += 1;
                let password = person.password(user)?;
                flow.choose(Choice::password(UserIdentifier::user(user), password))?;
            }
            Step::Browse(_) => unreachable!("nobody chose single sign-on"),
            Step::Done(session) => return Ok(session.clone()),
        }
    }
}

fn wait_out(wait: &Wait) -> Result<(), Failure> {
    let left = wait.remaining(SystemTime::now());
    // In whole seconds, rounded up: nobody wants to read more.
    let seconds = Duration::from_secs(left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0)));
    let shown = humantime::format_duration(seconds);
    if left > LONGEST_WAIT || wait.attempt() > MAX_WAITS {
        return Err(Failure::Other(format!("the homeserver limits the rate of logins: try again in {shown}")));
    }
    eprintln!("the homeserver limits the rate of logins: waiting {shown}");
    thread::sleep(left);
    Ok(())
}

/// Where else the homeserver may be. A server that says nothing may be one itself, as other clients assume too.
fn locate(failure: &DiscoveryFailure, user: &str, transport: &Transport) -> Result<Homeserver, Failure> {
    if failure.outcome != DiscoveryOutcome::Ignore {
        return Err(Failure::NoServer(format!("{failure} with -H")));
    }
    let user_id: UserId = user.parse()?;
    let homeserver: Homeserver = format!("https://{}", user_id.server_name()).parse()?;
    eprintln!("{} does not say where its homeserver is: trying {homeserver}", user_id.server_name());
    check(&homeserver, transport)?;
    Ok(homeserver)
}

fn check_offered(login_types: &LoginTypes) -> Result<(), Failure> {
    if login_types.contains("m.login.password") {
        return Ok(());
    }
    let offered: Vec<&str> = login_types.iter().map(LoginType::as_str).collect();
    let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
    Err(Failure::Other(format!("server does not support logging in with password; it offers {offered}")))
}

/// Says why the last password was refused, if there is somebody who can type another.
fn try_again(refused: &ServerError, tries: u32, person: &Person) -> Result<(), Failure> {
    let wrong_password = refused.errcode.as_deref() == Some("M_FORBIDDEN");
    if wrong_password && tries < MAX_TRIES && person.can_be_asked_again() {
        eprintln!("{}; try again", Failure::Other(refused.to_string()));
        return Ok(());
    }
    let advice = if wrong_password { "check the user and the password" } else { "ask whoever runs the homeserver" };
    Err(Failure::Other(format!("{refused}; {advice}")))
}

/// Stores what was granted. Somebody at a terminal can make room for it first.
fn store(file: &SessionFile, session: &Session, person: &mut Person) -> Result<(), Failure> {
    if session.expires_at().is_some() && session.refresh_token().is_none() {
        eprintln!("this session ends when its access token expires: the homeserver gave no refresh token");
    }
    loop {
        match file.store(session) {
            Ok(path) => {
                eprintln!("stored the session in {}", path.display());
                return Ok(());
            }
            Err(error) if person.can_be_asked_again() => {
                eprintln!("{}", Failure::from(error));
                person.confirm("The session is not lost yet. Make room for it, then press Enter to try again. ")?;
            }
            Err(error) => {
                let (user_id, device_id) = (session.user_id(), session.device_id());
                return Err(Failure::Other(format!(
                    "logged in as {user_id}, but {error}; log the device {device_id} out with another client"
                )));
            }
        }
    }
}
