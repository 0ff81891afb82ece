//! Drives a login. The crate's own loop carries the requests and waits. This file does what that loop leaves open: it
//! looks for a homeserver that discovery has not found, and asks an [`Answers`] what only a person can answer.

use matrix_login::{
    Choice, DiscoveryFailure, DiscoveryOutcome, DriveError, Error, Homeserver, LoginFlow, LoginSettings, LoginType,
    LoginTypes, Pause, ResponseError, ServerError, ServerName, Session, Step,
    blocking::{self, Transport as _},
    endpoint::versions,
};
use url::Url;

use crate::{failure::Failure, stored, transport::Transport};

/// Whoever answers for the user.
pub trait Answers {
    /// How to log in, given what is offered, and why the last choice was refused.
    fn choose(&mut self, login_types: &LoginTypes, refused: Option<&ServerError>) -> Result<Choice, Failure>;

    /// A URL that the browser came back to, after it was sent to this one.
    fn browse(&mut self, url: &Url) -> Result<Url, Failure>;

    /// Whether that URL belongs to this login. If not, it is asked for another.
    fn came_back(&mut self, accepted: bool);
}

/// Settings with a device ID of the program's own: a request that is sent again, after a rate limit say, leads to the
/// same device.
pub fn settings() -> Result<LoginSettings, Failure> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let device_id: String = random.iter().map(|byte| char::from(b'A' + byte % 26)).collect();
    Ok(LoginSettings::default()
        .with_device_id(device_id)?
        .with_initial_device_display_name("matrix-login")
        .with_require_refresh_token(false))
}

/// Begins at an address that nobody has checked yet.
pub fn at(homeserver_url: &str, transport: &Transport) -> Result<LoginFlow, Failure> {
    // It may be copied from a session file.
    let homeserver = Homeserver::from_base_client_url(homeserver_url)?;
    check(&homeserver, transport).map_err(Failure::NoServer)?;
    Ok(LoginFlow::at(homeserver, settings()?))
}

/// Whether there is a homeserver at an address that nobody has checked yet; if not, why.
pub fn check(homeserver: &Homeserver, transport: &Transport) -> Result<(), String> {
    match transport.carry(versions::request(homeserver)) {
        Err(error) => Err(format!("no answer from {homeserver}: {error}")),
        Ok(response) => match versions::response(&response) {
            // Whatever it is that the homeserver does not like, it is one.
            Ok(_) | Err(ResponseError::Server(_)) => Ok(()),
            Err(error) => Err(format!("{homeserver} is no homeserver: {error}")),
        },
    }
}

/// Drives the flow to its end.
pub fn log_in(mut flow: LoginFlow, transport: &Transport, answers: &mut impl Answers) -> Result<Session, Failure> {
    loop {
        match flow.step() {
            Step::Browse(url) => {
                let callback = answers.browse(url)?;
                answers.came_back(flow.handle_callback(&callback).is_ok());
            }
            Step::Done(session) => return Ok(session.clone()),
            _ => advance(&mut flow, transport, answers)?,
        }
    }
}

/// Does what is due, except for a visit to the browser.
pub fn advance(flow: &mut LoginFlow, transport: &Transport, answers: &mut impl Answers) -> Result<(), Failure> {
    match flow.step() {
        Step::Send { .. } | Step::Wait(_) => drive(flow, transport)?,
        Step::Locate { failure, .. } => {
            let homeserver = locate(failure, flow.server_name(), transport)?;
            flow.use_homeserver(homeserver)?;
        }
        Step::Choose { login_types, refused, .. } => {
            let choice = answers.choose(login_types, refused)?;
            flow.choose(choice)?;
        }
        Step::Browse(_) | Step::Done(_) => {}
    }
    Ok(())
}

/// Does what is between the program and the homeserver alone.
fn drive(flow: &mut LoginFlow, mut transport: &Transport) -> Result<(), Failure> {
    match blocking::drive(flow, &mut transport) {
        Ok(_) => Ok(()),
        Err(DriveError::Transport(failure)) => match flow.step() {
            // Only discovery goes on without a response.
            Step::Send { id, .. } => flow.handle_unreachable(id).map_err(|_| failure),
            _ => Err(failure),
        },
        // The session is of no use to anybody here, and its device would stay in that user's list.
        Err(DriveError::Flow(Error::WrongUser { expected, session, .. })) => {
            let (user_id, ended) = (session.user_id(), stored::end(&session, transport));
            Err(Failure::Other(format!("logged in as {user_id}, not as {expected}; {ended}")))
        }
        Err(DriveError::Flow(error)) => Err(error.into()),
    }
}

/// The homeserver of a server name, for a session that does not say where it is.
pub fn find(server_name: &ServerName, mut transport: &Transport) -> Result<Homeserver, Failure> {
    let mut flow = LoginFlow::discover(server_name.clone(), LoginSettings::default());
    // By hand: the crate's loop does not stop after discovery, but asks for the login types.
    loop {
        if let Some(discovered) = flow.discovered() {
            return Ok(discovered.well_known.base_url.clone());
        }
        match flow.step() {
            Step::Send { id, request } => match transport.ask(request) {
                Ok(response) => flow.handle_response(id, &response, transport.now())?,
                Err(_) => flow.handle_unreachable(id)?,
            },
            Step::Wait(wait) => {
                transport.pause(Pause::RateLimit(wait))?;
                flow.handle_timeout()?;
            }
            Step::Locate { failure, .. } => return locate(failure, Some(server_name), transport),
            Step::Choose { .. } | Step::Browse(_) | Step::Done(_) => unreachable!("these come after discovery"),
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
            check(&homeserver, transport)
                .map_err(|problem| Failure::NoServer(format!("{problem}; give the URL of the homeserver with -H")))?;
            Ok(homeserver)
        }
        _ => Err(Failure::NoServer(format!("{failure} with -H"))),
    }
}

/// The login type of this name; if it is not offered, what is.
pub fn offered<'a>(login_types: &'a LoginTypes, name: &str, in_words: &str) -> Result<&'a LoginType, Failure> {
    login_types.get(name).ok_or_else(|| {
        let offered: Vec<&str> = login_types.iter().map(LoginType::name).collect();
        let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
        Failure::Other(format!("server does not support logging in with {in_words}; it offers {offered}"))
    })
}
