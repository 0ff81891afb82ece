//! Drives a login: carries its requests, waits, and finds the homeserver. What only a person can answer is left to an
//! [`Answers`].

use std::{
    fmt, thread,
    time::{Duration, SystemTime},
};

use http::Uri;
use matrix_login::{
    Choice, DiscoveryFailure, DiscoveryOutcome, Error, Homeserver, LoginFlow, LoginSettings, LoginType, LoginTypes,
    ServerError, ServerName, Session, Step, Wait, endpoint::versions,
};
use url::Url;

use crate::{stored, transport::Transport};

/// How long a rate limit is waited out.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often in a row.
const MAX_WAITS: u32 = 3;

/// Why nobody is logged in, in one line that says what to do.
pub enum Failure {
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
        formatter.write_str(&Self::one_line(&line))
    }
}

impl Failure {
    /// What comes from elsewhere may have several lines, or change the terminal.
    pub fn one_line(text: &str) -> String {
        let moves_the_text = |character: char| {
            character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        text.replace(moves_the_text, " ")
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.to_string())
    }
}

/// Whoever answers for the user.
pub trait Answers {
    /// How to log in, given what is offered, and why the last choice was refused.
    fn choose(&mut self, login_types: &LoginTypes, refused: Option<&ServerError>) -> Result<Choice, Failure>;

    /// A URL that the browser came back to, after it was sent to this one.
    fn browse(&mut self, url: &Url) -> Result<Url, Failure>;

    /// Whether that URL belongs to this login. If not, it is asked for another.
    fn came_back(&mut self, accepted: bool);
}

/// Settings with a device ID of the program's own: a request that is sent again, after a rate limit say, leads to the same
/// device.
pub fn settings() -> Result<LoginSettings, Failure> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let device_id: String = random.iter().map(|byte| char::from(b'A' + byte % 26)).collect();
    Ok(LoginSettings::default()
        .device_id(device_id)?
        .initial_device_display_name("matrix-login")
        .require_refresh_token(false))
}

/// The address that somebody gave, which may be copied from a session file: that has the path of the client API in it.
pub fn homeserver(url: &str) -> Result<Homeserver, Failure> {
    let url = url.trim_end_matches('/');
    Ok(url.strip_suffix("/_matrix/client").unwrap_or(url).parse()?)
}

/// Begins at an address that nobody has checked yet.
pub fn at(homeserver_url: &str, transport: &Transport) -> Result<LoginFlow, Failure> {
    let homeserver = homeserver(homeserver_url)?;
    check(&homeserver, transport)?;
    Ok(LoginFlow::at(homeserver, settings()?))
}

/// Whether there is a homeserver at an address that nobody has checked yet.
pub fn check(homeserver: &Homeserver, transport: &Transport) -> Result<(), Failure> {
    let problem = match transport.send(versions::request(homeserver)) {
        Err(error) => format!("no answer from {homeserver}: {error}"),
        Ok(response) => match versions::response(&response) {
            // Whatever it is that the homeserver does not like, it is one.
            Ok(_) | Err(Error::Server(_)) => return Ok(()),
            Err(error) => format!("{homeserver} is no homeserver: {error}"),
        },
    };
    Err(Failure::NoServer(problem))
}

/// Drives the flow to its end. `server_name` is what it was begun with, if it was.
pub fn log_in(
    mut flow: LoginFlow,
    server_name: Option<&ServerName>,
    transport: &Transport,
    answers: &mut impl Answers,
) -> Result<Session, Failure> {
    loop {
        match flow.step() {
            Step::Browse(url) => {
                let callback = answers.browse(url)?;
                answers.came_back(flow.handle_callback(&callback).is_ok());
            }
            Step::Done(session) => return Ok(session.clone()),
            _ => advance(&mut flow, server_name, transport, answers)?,
        }
    }
}

/// Does one step, unless it is the browser's or the end.
pub fn advance(
    flow: &mut LoginFlow,
    server_name: Option<&ServerName>,
    transport: &Transport,
    answers: &mut impl Answers,
) -> Result<(), Failure> {
    match flow.step() {
        Step::Locate { failure } => {
            let homeserver = locate(failure, server_name, transport)?;
            flow.use_homeserver(homeserver)?;
        }
        Step::Choose { login_types, refused } => {
            let choice = answers.choose(login_types, refused)?;
            flow.choose(choice)?;
        }
        _ => exchange(flow, transport)?,
    }
    Ok(())
}

/// Does one step that is between the program and the homeserver alone.
fn exchange(flow: &mut LoginFlow, transport: &Transport) -> Result<(), Failure> {
    match flow.step() {
        Step::Send(request) => {
            let uri = request.uri().clone();
            match transport.send(request) {
                Ok(response) => match flow.handle_response(&response, SystemTime::now()) {
                    // It is of no use to anybody here, and its device would stay in that user's list.
                    Err(Error::WrongUser { expected, session, .. }) => {
                        let (user_id, ended) = (session.user_id(), stored::end(&session, transport));
                        return Err(Failure::Other(format!("logged in as {user_id}, not as {expected}; {ended}")));
                    }
                    handled => handled?,
                },
                Err(error) => flow.handle_unreachable().map_err(|_| no_answer(&uri, &error))?,
            }
        }
        Step::Wait(wait) => {
            wait_out(wait)?;
            flow.handle_timeout()?;
        }
        _ => {}
    }
    Ok(())
}

/// There was no answer where one is needed.
pub fn no_answer(uri: &Uri, error: &ureq::Error) -> Failure {
    Failure::Other(format!("no answer from {uri}: {error}; check the network and try again"))
}

fn wait_out(wait: &Wait) -> Result<(), Failure> {
    let left = wait.remaining(SystemTime::now());
    let shown = in_words(left);
    if left > LONGEST_WAIT || wait.attempt() > MAX_WAITS {
        return Err(Failure::Other(format!("the homeserver limits the rate of logins: try again in {shown}")));
    }
    say!("the homeserver limits the rate of logins: waiting {shown}");
    thread::sleep(left);
    Ok(())
}

/// In whole seconds, rounded up: nobody wants to read more.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// The homeserver of a server name, for a session that does not say where it is.
pub fn find(server_name: &ServerName, transport: &Transport) -> Result<Homeserver, Failure> {
    let mut flow = LoginFlow::discover(server_name.clone(), LoginSettings::default());
    loop {
        match (flow.step(), flow.homeserver()) {
            (Step::Locate { failure }, _) => return locate(failure, Some(server_name), transport),
            (_, Some(homeserver)) if flow.discovered().is_some() => return Ok(homeserver.clone()),
            _ => exchange(&mut flow, transport)?,
        }
    }
}

/// Where else the homeserver may be. A server that says nothing may be one itself, as other clients assume too.
fn locate(
    failure: &DiscoveryFailure,
    server_name: Option<&ServerName>,
    transport: &Transport,
) -> Result<Homeserver, Failure> {
    match server_name {
        Some(server_name) if failure.outcome == DiscoveryOutcome::Ignore => {
            let homeserver: Homeserver = format!("https://{server_name}").parse()?;
            say!("{server_name} does not say where its homeserver is: trying {homeserver}");
            check(&homeserver, transport).map_err(|failure| match failure {
                Failure::NoServer(reason) => {
                    Failure::NoServer(format!("{reason}; give the URL of the homeserver with -H"))
                }
                other @ Failure::Other(_) => other,
            })?;
            Ok(homeserver)
        }
        _ => Err(Failure::NoServer(format!("{failure} with -H"))),
    }
}

/// Whether a login type is offered; if not, what is.
pub fn check_offered(login_types: &LoginTypes, login_type: &str, in_words: &str) -> Result<(), Failure> {
    if login_types.contains(login_type) {
        return Ok(());
    }
    let offered: Vec<&str> = login_types.iter().map(LoginType::as_str).collect();
    let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
    Err(Failure::Other(format!("server does not support logging in with {in_words}; it offers {offered}")))
}
