//! Drives a login. The crate's own loop carries the requests and waits. This file does what that loop leaves open: it
//! looks for a homeserver that discovery has not found, and asks an [`Answers`] what only a person can answer.

use std::{thread, time::Duration};

use http::Method;
use matrix_login::{
    Choice, DeviceId, DiscoveryFailure, DiscoveryOutcome, DriveError, Error, Homeserver, LoginFlow, LoginSettings,
    LoginType, LoginTypes, OAuthClient, Pause, RequestId, ResponseError, ServerAddress, ServerError, ServerName,
    Session, ShownCode, Step,
    blocking::{self, Transport as _},
    endpoint::{
        oauth::{auth_metadata::AuthMetadata, revocation},
        versions, whoami,
    },
    one_line,
};
use url::Url;

use crate::{
    device,
    failure::Failure,
    say::in_words,
    stored,
    transport::{self, Transport},
};

/// What answers for the user.
pub trait Answers {
    /// How to log in.
    fn choose(&mut self, question: &Question<'_>) -> Result<Choice, Failure>;

    /// A URL that the browser came back to, after it was sent to this one.
    fn browse(&mut self, url: &Url) -> Result<Url, Failure>;

    /// What that URL means for this login.
    fn came_back(&mut self, callback: Callback);

    /// A code is on the screen. The demo enters it.
    fn code_shown(&mut self, _: &ShownCode) -> Result<(), Failure> {
        Ok(())
    }
}

/// The question how to log in.
pub struct Question<'a> {
    pub homeserver: &'a Homeserver,
    pub login_types: &'a LoginTypes,
    /// The OAuth 2.0 server, if there is one.
    pub oauth: Option<&'a AuthMetadata>,
    /// The device that is asked for.
    pub device_id: &'a str,
    /// Why the last choice was refused.
    pub refused: Option<&'a ServerError>,
}

impl<'a> Question<'a> {
    /// The OAuth 2.0 server, if it grants logins in a browser that comes back.
    pub fn code_grant(&self) -> Option<&'a AuthMetadata> {
        self.oauth.filter(|metadata| metadata.offers_authorization_code())
    }

    /// The OAuth 2.0 server, if it grants logins with a code that is shown.
    pub fn device_grant(&self) -> Option<&'a AuthMetadata> {
        self.oauth.filter(|metadata| metadata.offers_device_authorization())
    }

    /// A choice of OAuth 2.0 with a device ID that its scope can hold. That of a legacy session can be unfit.
    pub fn with_fit_device(&self, choice: Choice) -> Result<Choice, Failure> {
        if DeviceId::new(self.device_id).is_ok_and(|device_id| device_id.is_recommended()) {
            return Ok(choice);
        }
        let (old, new) = (one_line(self.device_id), random_device_id()?);
        say!("the device ID {old} cannot be used with OAuth 2.0: asking for {new}");
        Ok(choice.with_device_id(new)?)
    }
}

/// What the browser brought.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Callback {
    /// The login goes on.
    Accepted,
    /// The user, or the server, has said no: the login is over.
    Refused,
    /// It belongs to another login: this one still waits.
    Foreign,
}

/// Which API the user wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OAuth 2.0 if the homeserver has it.
    Any,
    Legacy,
}

/// The page about this program that an OAuth 2.0 server shows to the user. Servers want an https URL. The domain is one
/// that nobody can own: put the page of your program here.
const CLIENT_URI: &str = "https://matrix-login.example/";

/// Settings with a device ID of the program's own: a request that is sent again, after a rate limit say, leads to the
/// same device.
pub fn settings(api: Api) -> Result<LoginSettings, Failure> {
    let settings = LoginSettings::default()
        .with_device_id(random_device_id()?)?
        .with_initial_device_display_name("matrix-login")
        .with_require_refresh_token(false);
    Ok(match api {
        Api::Any => settings.with_oauth(OAuthClient::new(CLIENT_URI.parse()?, "matrix-login")),
        Api::Legacy => settings,
    })
}

/// A device ID that both APIs take.
fn random_device_id() -> Result<String, Failure> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| char::from(b'A' + byte % 26)).collect())
}

/// Begins at an address that nobody has checked yet.
pub fn at(address: ServerAddress, api: Api, transport: &Transport) -> Result<LoginFlow, Failure> {
    match address {
        ServerAddress::Homeserver(homeserver) => {
            check(&homeserver, CHECK_THE_URL, transport)?;
            Ok(LoginFlow::at(homeserver, settings(api)?))
        }
        ServerAddress::ServerName(server_name) => Ok(LoginFlow::discover(server_name, settings(api)?)),
    }
}

/// What to do about a server name that does not lead to a homeserver.
const CHECK_THE_NAME: &str = "check the server name and the network, or give the URL of the homeserver with -H";

/// What to do about a URL that does not lead to a homeserver.
pub const CHECK_THE_URL: &str = "check the URL and the network";

/// Looks whether there is a homeserver at an address that nobody has checked yet.
///
/// # Errors
///
/// Why there is not, and the advice.
pub fn check(homeserver: &Homeserver, advice: &str, transport: &Transport) -> Result<(), Failure> {
    let response = transport.carry(versions::request(homeserver));
    match response.map(|response| versions::response(&response)) {
        // A homeserver that refuses this is one.
        Ok(Ok(_) | Err(ResponseError::Server(_))) => Ok(()),
        Ok(Err(ResponseError::NotMatrix { status, .. })) => {
            Err(not_found(&format!("there is no homeserver at {homeserver} (status {}); {advice}", status.as_u16())))
        }
        Ok(Err(error)) => Err(not_found(&error.to_string())),
        Err(reason) => Err(not_found(&format!("{reason}; {advice}"))),
    }
}

/// In the words of the chapter that this program implements.
fn not_found(reason: &str) -> Failure {
    Failure(format!("No Matrix server found: {reason}"))
}

/// Drives the flow to its end.
pub fn log_in(mut flow: LoginFlow, transport: &Transport, answers: &mut impl Answers) -> Result<Session, Failure> {
    loop {
        match flow.step() {
            Step::Browse(url) => {
                let url = answers.browse(url)?;
                let accepted = flow.handle_callback(&url);
                answers.came_back(match (accepted, flow.step()) {
                    (Err(_), _) => Callback::Foreign,
                    (Ok(()), Step::Choose { .. }) => Callback::Refused,
                    (Ok(()), _) => Callback::Accepted,
                });
            }
            Step::ShowCode(code) => {
                device::show(code, flow.homeserver());
                answers.code_shown(code)?;
                drive(&mut flow, transport)?;
            }
            Step::Done(session) => {
                device::say_at_an_end(None);
                tell_another_device(&flow, session);
                return Ok(session.clone());
            }
            _ => advance(&mut flow, transport, answers)?,
        }
    }
}

/// The homeserver decides about the device. Some grant a new one, whatever was asked for.
fn tell_another_device(flow: &LoginFlow, session: &Session) {
    let granted = one_line(session.device_id());
    match flow.settings().device_id() {
        Some(wanted) if wanted != session.device_id() => {
            say!("the homeserver granted the device ID {granted}, not {} as requested", one_line(wanted));
            if flow.expected_user().is_some() {
                say!("encryption keys belong to a device: do not use those of {} for {granted}", one_line(wanted));
            }
        }
        _ => {}
    }
}

/// Does what is due, except for what the user does in a browser.
pub fn advance(flow: &mut LoginFlow, transport: &Transport, answers: &mut impl Answers) -> Result<(), Failure> {
    match flow.step() {
        Step::Send { .. } | Step::Wait(_) => drive(flow, transport)?,
        Step::Locate { failure, .. } => {
            let homeserver = locate(failure, flow.server_name(), transport)?;
            flow.use_homeserver(homeserver)?;
        }
        Step::Choose { login_types, oauth, refused, .. } => {
            let choice = answers.choose(&Question {
                homeserver: flow.homeserver().expect("a question is put by a homeserver"),
                login_types,
                oauth,
                device_id: flow.settings().device_id().unwrap_or_default(),
                refused,
            })?;
            flow.choose(choice)?;
        }
        Step::Browse(_) | Step::ShowCode(_) | Step::Done(_) => {}
    }
    Ok(())
}

/// How often whoami is asked, after an OAuth 2.0 server has granted tokens.
const MAX_TRIES: u32 = 3;

/// Does what is between the program and the homeserver alone. Tokens that were granted are not given up because the
/// homeserver fails for a moment: the code that they were granted for is spent.
fn drive(flow: &mut LoginFlow, mut transport: &Transport) -> Result<(), Failure> {
    let mut pause = Duration::from_secs(1);
    let mut tries = 1;
    loop {
        let driven = match flow.shown_code().cloned() {
            Some(code) => device::poll(flow, &code, transport),
            None => blocking::drive(flow, &mut transport).map(drop),
        };
        let Err(error) = driven else { return Ok(()) };
        if !has_tokens(flow) {
            return failed(flow, error, transport);
        }
        let may_retry = match &error {
            // A rate limit that takes too long has been waited for already.
            DriveError::Transport(_) => matches!(flow.step(), Step::Send { .. }),
            DriveError::Flow(error) => error.may_retry(),
        };
        if !may_retry || tries == MAX_TRIES {
            return Err(Failure(format!("{}; {}", in_short(&error), revoke(flow, transport))));
        }
        say!("the homeserver does not say yet who is logged in: asking again in {}", in_words(pause));
        thread::sleep(pause);
        pause *= 2;
        tries += 1;
    }
}

/// Whether an OAuth 2.0 server has granted tokens, and the homeserver has not yet said whose they are.
fn has_tokens(flow: &LoginFlow) -> bool {
    let mut flow = flow.clone();
    // Whoami may wait behind a rate limit. If no wait is due, nothing changes.
    let _ = flow.handle_timeout();
    matches!(flow.step(), Step::Send { request, .. } if request.uri().path().ends_with(whoami::ENDPOINT.path()))
}

/// Why the flow does not go on, without advice.
pub fn in_short(error: &DriveError<String>) -> String {
    match error {
        DriveError::Transport(reason) => reason.clone(),
        DriveError::Flow(error) => error.to_string(),
    }
}

/// Revokes tokens that the program cannot use, and says what came of it.
fn revoke(flow: &mut LoginFlow, transport: &Transport) -> &'static str {
    let is_revoked = flow.back().is_ok()
        && match flow.step() {
            Step::Send { request, .. } if request.method() == Method::POST => {
                transport.carry(request).is_ok_and(|response| revocation::response(&response).is_ok())
            }
            _ => false,
        };
    if is_revoked {
        "the login that was granted is revoked: begin again"
    } else {
        "the login that was granted cannot be revoked: end it on the account page of the homeserver, and begin again"
    }
}

/// Why the flow does not go on, unless it can.
fn failed(flow: &mut LoginFlow, error: DriveError<String>, transport: &Transport) -> Result<(), Failure> {
    match error {
        DriveError::Transport(reason) => match flow.step() {
            Step::Send { id, .. } => unanswered(flow, id, &reason),
            _ => Err(Failure(reason)),
        },
        // The session is of no use to anybody here, and its device would stay in that user's list.
        DriveError::Flow(Error::WrongUser { expected, session, .. }) => {
            let (user_id, ended) = (session.user_id(), stored::end(&session, transport));
            Err(Failure(format!("logged in as {user_id}, not as {expected}; {ended}")))
        }
        // Only OAuth 2.0 is left, which was not asked for.
        DriveError::Flow(Error::Response(error @ ResponseError::LoginUnsupported))
            if flow.settings().oauth().is_none() =>
        {
            Err(Failure(format!("{error}; {USE_A_BROWSER}")))
        }
        DriveError::Flow(error) => Err(error.into()),
    }
}

/// What to do about a homeserver that does not log in otherwise.
pub const USE_A_BROWSER: &str = "log in with a browser, without --legacy: cargo run --example browser -- SERVER";

/// Goes on without a response, if the flow can. Only discovery does.
fn unanswered(flow: &mut LoginFlow, id: RequestId, reason: &str) -> Result<(), Failure> {
    if flow.handle_unreachable(id).is_err() {
        return Err(transport::no_response(reason));
    }
    // The flow does not know the reason, and the user needs it.
    match flow.step() {
        Step::Locate { failure: DiscoveryFailure { homeserver: Some(homeserver), .. }, .. } => {
            Err(not_found(&format!(
                "{reason}; the server says that its homeserver is {homeserver}: \
                 if you know another URL, give it with -H"
            )))
        }
        Step::Locate { .. } => Err(not_found(&format!("{reason}; {CHECK_THE_NAME}"))),
        _ => Ok(()),
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
            Step::Send { id, request } => match transport.carry(request) {
                Ok(response) => flow.handle_response(id, &response, transport.now())?,
                Err(reason) => unanswered(&mut flow, id, &reason)?,
            },
            Step::Wait(wait) => {
                transport.pause(Pause::RateLimit(wait)).map_err(Failure)?;
                flow.handle_timeout()?;
            }
            Step::Locate { failure, .. } => return locate(failure, Some(server_name), transport),
            Step::Choose { .. } | Step::Browse(_) | Step::ShowCode(_) | Step::Done(_) => {
                unreachable!("these come after discovery")
            }
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
            check(&homeserver, CHECK_THE_NAME, transport)?;
            Ok(homeserver)
        }
        _ => Err(not_found(&format!("{failure} with -H"))),
    }
}

/// The login type of this name; if it is not offered, what is.
pub fn offered<'a>(login_types: &'a LoginTypes, name: &str, in_words: &str) -> Result<&'a LoginType, Failure> {
    login_types.get(name).ok_or_else(|| {
        let offered: Vec<&str> = login_types.iter().map(LoginType::name).collect();
        let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
        Failure(format!("server does not support logging in with {in_words}; it offers {offered}"))
    })
}
