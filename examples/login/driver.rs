//! Drives a login. The loop of the crate sends the requests and waits. This file does the rest: if discovery fails, it
//! looks for the homeserver in another way, and it asks an [`Answers`] the questions that only a person can answer.

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

/// Answers the questions of a login, for the user.
pub trait Answers {
    /// Chooses how to log in.
    fn choose(&mut self, question: &Question<'_>) -> Result<Choice, Failure>;

    /// Opens this URL in a browser, and returns the callback.
    fn browse(&mut self, url: &Url) -> Result<Url, Failure>;

    /// Takes the result of the last callback.
    fn came_back(&mut self, callback: Callback);

    /// The code is on the screen. The demo enters it.
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
    /// The requested device ID.
    pub device_id: &'a str,
    /// Why the last choice was refused.
    pub refused: Option<&'a ServerError>,
}

impl<'a> Question<'a> {
    /// The OAuth 2.0 server, if it offers the authorization code grant.
    pub fn code_grant(&self) -> Option<&'a AuthMetadata> {
        self.oauth.filter(|metadata| metadata.offers_authorization_code())
    }

    /// The OAuth 2.0 server, if it offers the device authorization grant.
    pub fn device_grant(&self) -> Option<&'a AuthMetadata> {
        self.oauth.filter(|metadata| metadata.offers_device_authorization())
    }

    /// An OAuth 2.0 choice with a device ID that can be a part of the scope. The device ID of a legacy session might
    /// not be suitable.
    pub fn with_fit_device(&self, choice: Choice) -> Result<Choice, Failure> {
        if DeviceId::new(self.device_id).is_ok_and(|device_id| device_id.is_recommended()) {
            return Ok(choice);
        }
        let (old, new) = (one_line(self.device_id), random_device_id()?);
        say!("the device ID {old} cannot be used with OAuth 2.0: requesting {new}");
        Ok(choice.with_device_id(new)?)
    }
}

/// The result of a callback.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Callback {
    /// The login goes on.
    Accepted,
    /// The user or the server refused: the login is over.
    Refused,
    /// The callback belongs to another login: this login still waits.
    Foreign,
}

/// Which API the user wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OAuth 2.0 if the homeserver has it, otherwise the legacy API.
    Any,
    /// Only the legacy API.
    Legacy,
}

/// The page about this program that an OAuth 2.0 server shows to the user. Servers want an https URL. This domain
/// cannot be registered: put the page of your own program here.
const CLIENT_URI: &str = "https://matrix-login.example/";

/// Settings with the program's own device ID. So a request that is sent again, for instance after a rate limit, logs in
/// as the same device.
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

/// A device ID that both APIs accept.
fn random_device_id() -> Result<String, Failure> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| char::from(b'A' + byte % 26)).collect())
}

/// Begins at an address that was not checked yet.
pub fn at(address: ServerAddress, api: Api, transport: &Transport) -> Result<LoginFlow, Failure> {
    match address {
        ServerAddress::Homeserver(homeserver) => {
            check(&homeserver, CHECK_THE_URL, transport)?;
            Ok(LoginFlow::at(homeserver, settings(api)?))
        }
        ServerAddress::ServerName(server_name) => Ok(LoginFlow::discover(server_name, settings(api)?)),
    }
}

/// What to do if a server name does not lead to a homeserver.
const CHECK_THE_NAME: &str = "check the server name and the network, or give the URL of the homeserver with -H";

/// What to do if a URL does not lead to a homeserver.
pub const CHECK_THE_URL: &str = "check the URL and the network";

/// Checks whether there is a homeserver at an address.
///
/// # Errors
///
/// Why there is no homeserver, and the advice.
pub fn check(homeserver: &Homeserver, advice: &str, transport: &Transport) -> Result<(), Failure> {
    let response = transport.carry(versions::request(homeserver));
    match response.map(|response| versions::response(&response)) {
        // A homeserver that refuses this request is a homeserver too.
        Ok(Ok(_) | Err(ResponseError::Server(_))) => Ok(()),
        Ok(Err(ResponseError::NotMatrix { status, .. })) => {
            Err(not_found(&format!("there is no homeserver at {homeserver} (status {}); {advice}", status.as_u16())))
        }
        Ok(Err(error)) => Err(not_found(&error.to_string())),
        Err(reason) => Err(not_found(&format!("{reason}; {advice}"))),
    }
}

/// Uses the words of the chapter that this program implements.
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

/// Says if the homeserver granted another device. Some homeservers grant a new device, whatever the request contains.
fn tell_another_device(flow: &LoginFlow, session: &Session) {
    let granted = one_line(session.device_id());
    match flow.settings().device_id() {
        Some(wanted) if wanted != session.device_id() => {
            say!("the homeserver granted the device ID {granted}, not {} as requested", one_line(wanted));
            if flow.expected_user().is_some() {
                say!("encryption keys belong to a device: do not use the keys of {} for {granted}", one_line(wanted));
            }
        }
        _ => {}
    }
}

/// Does the step that is due, except the steps that the user does in a browser.
pub fn advance(flow: &mut LoginFlow, transport: &Transport, answers: &mut impl Answers) -> Result<(), Failure> {
    match flow.step() {
        Step::Send { .. } | Step::Wait(_) => drive(flow, transport)?,
        Step::Locate { failure, .. } => {
            let homeserver = locate(failure, flow.server_name(), transport)?;
            flow.use_homeserver(homeserver)?;
        }
        Step::Choose { login_types, oauth, refused, .. } => {
            let choice = answers.choose(&Question {
                homeserver: flow.homeserver().expect("the flow knows its homeserver when it asks how to log in"),
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

/// How often the program asks whoami, after an OAuth 2.0 server has granted tokens.
const MAX_TRIES: u32 = 3;

/// Does everything that needs no person. If an OAuth 2.0 server has granted tokens, a short failure of the homeserver
/// does not lose them: the code cannot be used again.
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
            // The transport gives up on a rate limit only after it has waited.
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

/// Whether an OAuth 2.0 server has granted tokens, and the homeserver has not yet said which user they belong to.
fn has_tokens(flow: &LoginFlow) -> bool {
    let mut flow = flow.clone();
    // Whoami can wait behind a rate limit. If no wait is due, nothing changes.
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

/// Revokes tokens that the program cannot use. Returns the result in words.
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

/// Goes on without a response, or says why this is not possible.
fn failed(flow: &mut LoginFlow, error: DriveError<String>, transport: &Transport) -> Result<(), Failure> {
    match error {
        DriveError::Transport(reason) => match flow.step() {
            Step::Send { id, .. } => without_response(flow, id, &reason),
            _ => Err(Failure(reason)),
        },
        // This program cannot use the session, and its device would stay in the list of the other user.
        DriveError::Flow(Error::WrongUser { expected, session, .. }) => {
            let (user_id, ended) = (session.user_id(), stored::end(&session, transport));
            Err(Failure(format!("logged in as {user_id}, not as {expected}; {ended}")))
        }
        // The homeserver might have only OAuth 2.0, which the settings do not ask for.
        DriveError::Flow(Error::Response(error @ ResponseError::LoginUnsupported))
            if flow.settings().oauth().is_none() =>
        {
            Err(Failure(format!("{error}; {USE_A_BROWSER}")))
        }
        DriveError::Flow(error) => Err(error.into()),
    }
}

/// What to do if a homeserver offers no other login.
pub const USE_A_BROWSER: &str = "log in with a browser, without --legacy: cargo run --example browser -- SERVER";

/// Goes on without a response, if the flow can do this. Only discovery can.
fn without_response(flow: &mut LoginFlow, id: RequestId, reason: &str) -> Result<(), Failure> {
    if flow.handle_unreachable(id).is_err() {
        return Err(transport::no_response(reason));
    }
    // The flow does not know the reason, but the user needs it.
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

/// The homeserver of a server name, for a session without the address of its homeserver.
pub fn find(server_name: &ServerName, mut transport: &Transport) -> Result<Homeserver, Failure> {
    let mut flow = LoginFlow::discover(server_name.clone(), LoginSettings::default());
    // This is a loop of its own, since the loop of the crate does not stop after discovery: it asks for the login
    // types.
    loop {
        if let Some(discovered) = flow.discovered() {
            return Ok(discovered.well_known.base_url.clone());
        }
        match flow.step() {
            Step::Send { id, request } => match transport.carry(request) {
                Ok(response) => flow.handle_response(id, &response, transport.now())?,
                Err(reason) => without_response(&mut flow, id, &reason)?,
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

/// Looks for the homeserver in another way. A server without a well-known file can be a homeserver itself, as other
/// clients assume too.
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

/// The login type with this name. If it is not offered, the failure says which types are.
pub fn offered<'a>(login_types: &'a LoginTypes, name: &str, in_words: &str) -> Result<&'a LoginType, Failure> {
    login_types.get(name).ok_or_else(|| {
        let offered: Vec<&str> = login_types.iter().map(LoginType::name).collect();
        let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
        Failure(format!("server does not support logging in with {in_words}; it offers {offered}"))
    })
}
