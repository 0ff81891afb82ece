//! The flow: the only file that changes where a login stands.

pub(crate) mod choice;
mod state;
pub(crate) mod step;
pub(crate) mod suspended;
pub(crate) mod wait;

use std::time::SystemTime;

use http::{Response, StatusCode, Uri};
use url::Url;

use crate::{
    address::{homeserver::Homeserver, server_name::ServerName, uri, user_id::UserId},
    credentials::Credentials,
    endpoint::{
        error::ResponseError,
        login, login_types,
        login_types::{LoginType, LoginTypes},
        sso, versions, well_known,
        well_known::{DiscoveryFailure, DiscoveryOutcome},
    },
    error::Error,
    fields::Fields,
    flow::{
        choice::{Choice, Kind},
        state::{Browse, LogIn, Pending, Stage, State},
        step::Step,
        suspended::{Position, Suspended},
        wait::Wait,
    },
    session::Session,
    settings::LoginSettings,
};

/// How many redirects of the well-known file are followed.
const MAX_REDIRECTS: usize = 5;

/// What discovery found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovered {
    /// What the server's well-known file says.
    pub well_known: well_known::Response,
    /// What the homeserver supports.
    pub versions: versions::Response,
}

/// A login, from a server name or an address to a [`Session`].
///
/// Ask [`step`](Self::step) what is due, do it, and tell the flow what came of it with the method that the step names.
///
/// ```text
/// LoginFlow::discover(server)      LoginFlow::at(homeserver)      LoginFlow::logged_in(session)
///       |                                   |                                |
///  Send GET well-known --no-> Locate --use_homeserver--+                     |
///       | yes                   ^                      |                     |
///  Send GET versions ---no------+                      v                     |
///       | yes                                    Send GET login              |
///       +--------------------------------------------> |                     |
///                    +---------refused------------- Choose <--back--+        |
///                    |                        password,|   | sso    |        |
///                    |                     token, ...  |   +-> Browse        |
///            Send POST login <-------------------------+        |            |
///               |  |  ^  +--------------callback----------------+            |
///               |  |  +--timeout-- Wait <-- rate limit                       |
///               |  +----------------ok----------------------------> Done <---+
/// ```
///
/// [`again`](Self::again) begins like `at`, for the user and the device of a session that has ended.
///
/// - A step is a view of the flow. Nothing is lost by asking twice, by dropping a future or by failing to send.
/// - An input returns `Ok` and the flow has moved, or `Err` and nothing has changed. The one exception is a login that
///   was granted and is refused here: [`Error::MissingRefreshToken`], [`Error::WrongUser`].
/// - A refusal is a step, not an error: a wrong password is [`Step::Choose`], a rate limit is [`Step::Wait`], a server
///   that cannot be found is [`Step::Locate`].
/// - There is no clock, no randomness and no I/O inside. Time comes in with a response.
///
/// `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct LoginFlow {
    settings: LoginSettings,
    /// Who has to be logged in, if it is to be [again](LoginFlow::again).
    expected: Option<UserId>,
    /// About the homeserver that the login is asked of, so not after another one was given.
    discovered: Option<Box<Discovered>>,
    state: State,
}

impl LoginFlow {
    /// Begins with a server name, whose homeserver is discovered (specification, "Server Discovery").
    #[must_use]
    pub fn discover(server_name: ServerName, settings: LoginSettings) -> Self {
        Self::new(settings, State::WellKnown { server_name, redirects: Vec::new() })
    }

    /// Begins with a homeserver whose address is known.
    #[must_use]
    pub fn at(homeserver: Homeserver, settings: LoginSettings) -> Self {
        Self::new(settings, State::LogIn(LogIn::at(homeserver)))
    }

    /// Begins at the end, with a session that was restored from storage, so that a driver needs no other case for it.
    #[must_use]
    pub fn logged_in(session: Session) -> Self {
        Self::new(LoginSettings::default(), State::Done(Box::new(session)))
    }

    /// Logs in again as the user of a session whose tokens are good no more, after a soft logout say: at the same
    /// homeserver, which is discovered if the session does not know it, and on the same device, whose ID replaces that of
    /// the settings. The session itself is left alone; when the flow has another one, [store](Session::store_in) that in
    /// its place.
    ///
    /// A login of another user is refused with [`Error::WrongUser`], which owns that session. The device ID is the
    /// homeserver's to give: compare it before old encryption keys are used with it.
    #[must_use]
    pub fn again(session: &Session, settings: LoginSettings) -> Self {
        let settings = LoginSettings { device_id: Some(session.device_id().to_owned()), ..settings };
        let user_id = session.user_id().clone();
        let flow = match session.homeserver() {
            Some(homeserver) => Self::at(homeserver.clone(), settings),
            None => Self::discover(user_id.server_name().clone(), settings),
        };
        Self { expected: Some(user_id), ..flow }
    }

    /// Goes on with a flow that was [suspended](Self::suspend), perhaps by another process.
    #[must_use]
    pub fn resume(suspended: Suspended) -> Self {
        let Suspended { position, settings, expected } = suspended;
        let flow = match position {
            Position::Discovery(server_name) => Self::discover(server_name, settings),
            Position::LogIn { homeserver, browse } => {
                let stage = match browse {
                    Some(browse) => Stage::Browse { browse, further_fields: Fields::default() },
                    None => Stage::Question { refused: None },
                };
                Self::new(settings, State::LogIn(LogIn::new(homeserver, stage)))
            }
        };
        Self { expected, ..flow }
    }

    fn new(settings: LoginSettings, state: State) -> Self {
        Self { settings, expected: None, discovered: None, state }
    }

    /// What is due. A pure function of the flow: ask as often as you like.
    pub fn step(&self) -> Step<'_> {
        if let Some(wait) = self.wait() {
            return Step::Wait(wait);
        }
        match &self.state {
            State::WellKnown { server_name, redirects } => Step::Send(match redirects.last() {
                Some(target) => well_known::ENDPOINT.request_to(target.clone()),
                None => well_known::request(server_name),
            }),
            State::Versions { well_known, .. } => Step::Send(versions::request(&well_known.base_url)),
            State::Locate { failure, .. } => Step::Locate { failure },
            State::LogIn(log_in) => match (&log_in.stage, &log_in.login_types) {
                (Stage::Question { refused }, Some(login_types)) => {
                    Step::Choose { login_types, refused: refused.as_deref() }
                }
                (Stage::Question { .. }, None) => Step::Send(login_types::request(&log_in.homeserver)),
                (Stage::Credentials { credentials, further_fields }, _) => {
                    Step::Send(login::request_with(&log_in.homeserver, credentials, further_fields, &self.settings))
                }
                (Stage::Browse { browse, .. }, _) => Step::Browse(&browse.url),
            },
            State::Done(session) => Step::Done(session),
        }
    }

    /// Takes the answer to the request that is due, and the time when it arrived.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfStep`] if no request is due. What the answer itself can be: [`Error::InvalidResponse`],
    /// [`Error::TooLarge`], [`Error::NotMatrix`], [`Error::Redirected`], [`Error::Server`],
    /// [`Error::LegacyLoginUnsupported`]; the same request is due then. [`Error::MissingRefreshToken`] and
    /// [`Error::WrongUser`] own a session that was granted; the flow is back at the question then.
    pub fn handle_response<B: AsRef<[u8]>>(
        &mut self,
        response: &Response<B>,
        received_at: SystemTime,
    ) -> Result<(), Error> {
        if self.wait().is_some() {
            return Err(self.out_of_step("handle_response"));
        }
        match &mut self.state {
            State::WellKnown { server_name, redirects } => match well_known::response(response) {
                Ok(well_known) => {
                    let server_name = server_name.clone();
                    self.state = State::Versions { server_name, well_known, pending: Pending::default() };
                }
                Err(failure) => match redirect(server_name, redirects, response.status(), &failure.cause) {
                    Some(target) => redirects.push(target),
                    None => self.state = locate(server_name, *failure),
                },
            },
            State::Versions { server_name, well_known, pending } => match versions::response(response) {
                Ok(versions) => {
                    let log_in = LogIn::at(well_known.base_url.clone());
                    self.discovered = Some(Box::new(Discovered { well_known: well_known.clone(), versions }));
                    self.state = State::LogIn(log_in);
                }
                Err(ResponseError::Server(error)) if error.is_rate_limit() => pending.put_off(*error, received_at),
                Err(cause) => self.state = locate(server_name, unusable(&well_known.base_url, cause)),
            },
            State::LogIn(log_in) => match (&log_in.stage, &log_in.login_types) {
                (Stage::Question { .. }, None) => match login_types::response(response) {
                    Ok(login_types) => {
                        log_in.login_types = Some(login_types);
                        log_in.pending = Pending::default();
                    }
                    Err(ResponseError::Server(error)) if error.is_rate_limit() => {
                        log_in.pending.put_off(*error, received_at)
                    }
                    Err(error) => return Err(error.into()),
                },
                (Stage::Credentials { .. }, _) => match login::response(response) {
                    Ok(granted) => {
                        let session = Session::granted(granted, &log_in.homeserver, &self.settings, received_at);
                        match accept(session, &self.settings, self.expected.as_ref()) {
                            Ok(session) => self.state = State::Done(session),
                            Err(error) => {
                                log_in.enter(Stage::Question { refused: None });
                                return Err(error);
                            }
                        }
                    }
                    Err(ResponseError::Server(error)) if error.is_rate_limit() => {
                        log_in.pending.put_off(*error, received_at)
                    }
                    Err(ResponseError::Server(error)) if error.status.is_client_error() => {
                        log_in.enter(Stage::Question { refused: Some(error) });
                    }
                    Err(error) => return Err(error.into()),
                },
                _ => return Err(self.out_of_step("handle_response")),
            },
            _ => return Err(self.out_of_step("handle_response")),
        }
        Ok(())
    }

    /// The wait that [`Step::Wait`] asked for is over: the request that it held up is due.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfStep`] if no wait is due.
    pub fn handle_timeout(&mut self) -> Result<(), Error> {
        match &mut self.state {
            State::Versions { pending: Pending { wait: wait @ Some(_), .. }, .. }
            | State::LogIn(LogIn { pending: Pending { wait: wait @ Some(_), .. }, .. }) => {
                *wait = None;
                Ok(())
            }
            _ => Err(self.out_of_step("handle_timeout")),
        }
    }

    /// The driver gives up on a request of discovery, to which no answer came: [`Step::Locate`] is due.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfStep`] if no request for the well-known file or the versions is due. All other requests go to a
    /// homeserver that the flow knows: send them again, or drop the flow.
    pub fn handle_unreachable(&mut self) -> Result<(), Error> {
        if self.wait().is_some() {
            return Err(self.out_of_step("handle_unreachable"));
        }
        self.state = match &self.state {
            State::WellKnown { server_name, .. } => {
                let cause = ResponseError::Unreachable { endpoint: well_known::ENDPOINT };
                locate(server_name, *DiscoveryFailure::new(DiscoveryOutcome::FailPrompt, cause))
            }
            State::Versions { server_name, well_known, .. } => {
                let cause = ResponseError::Unreachable { endpoint: versions::ENDPOINT };
                locate(server_name, unusable(&well_known.base_url, cause))
            }
            _ => return Err(self.out_of_step("handle_unreachable")),
        };
        Ok(())
    }

    /// Goes on with this homeserver, whatever was found before. Login types and choice are forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyLoggedIn`] if there is a session.
    pub fn use_homeserver(&mut self, homeserver: Homeserver) -> Result<(), Error> {
        if self.session().is_some() {
            return Err(Error::AlreadyLoggedIn);
        }
        self.discovered = None;
        self.state = State::LogIn(LogIn::at(homeserver));
        Ok(())
    }

    /// Answers the question how to log in.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyLoggedIn`] if there is a session; [`Error::OutOfStep`] if the question is not due;
    /// [`Error::NotOffered`] if the homeserver does not offer the login type, or not the identity provider.
    pub fn choose(&mut self, choice: Choice) -> Result<(), Error> {
        let log_in = match &mut self.state {
            State::LogIn(log_in) => log_in,
            State::Done(_) => return Err(Error::AlreadyLoggedIn),
            _ => return Err(self.out_of_step("choose")),
        };
        let (Stage::Question { .. }, Some(login_types)) = (&log_in.stage, &log_in.login_types) else {
            return Err(self.out_of_step("choose"));
        };
        check_offered(login_types, &choice)?;
        let Choice { kind, fields: further_fields } = choice;
        log_in.enter(match kind {
            Kind::Credentials(credentials) => Stage::Credentials { credentials, further_fields },
            Kind::Sso(redirect) => {
                let browse =
                    Browse { url: sso::request(&log_in.homeserver, &redirect), state: redirect.state().clone() };
                Stage::Browse { browse, further_fields }
            }
        });
        Ok(())
    }

    /// Takes the URL that the browser came back to. The login with the token in it is due then, whether or not the
    /// homeserver lists `m.login.token`.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignCallback`] if the URL does not belong to this login; the flow still waits for the one that does.
    /// [`Error::OutOfStep`] if no callback is due.
    pub fn handle_callback(&mut self, url: &Url) -> Result<(), Error> {
        let State::LogIn(log_in) = &mut self.state else { return Err(self.out_of_step("handle_callback")) };
        let Stage::Browse { browse, further_fields } = &mut log_in.stage else {
            return Err(self.out_of_step("handle_callback"));
        };
        let credentials = Credentials::Token(sso::response(url, browse.state.expose())?);
        let further_fields = std::mem::take(further_fields);
        log_in.enter(Stage::Credentials { credentials, further_fields });
        Ok(())
    }

    /// Goes back to the question: from the browser, or from credentials that have not been answered yet, which are
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfStep`] if nothing was chosen.
    pub fn back(&mut self) -> Result<(), Error> {
        match &mut self.state {
            State::LogIn(log_in @ LogIn { stage: Stage::Credentials { .. } | Stage::Browse { .. }, .. }) => {
                log_in.enter(Stage::Question { refused: None });
                Ok(())
            }
            _ => Err(self.out_of_step("back")),
        }
    }

    /// Where the flow stands, for a file, a cookie store or a database. `None` once logged in: store the
    /// [`Session`] then.
    #[must_use]
    pub fn suspend(&self) -> Option<Suspended> {
        let position = match &self.state {
            State::WellKnown { server_name, .. }
            | State::Versions { server_name, .. }
            | State::Locate { server_name, .. } => Position::Discovery(server_name.clone()),
            State::LogIn(LogIn { homeserver, stage, .. }) => {
                let browse = match stage {
                    Stage::Browse { browse, .. } => Some(browse.clone()),
                    Stage::Question { .. } | Stage::Credentials { .. } => None,
                };
                Position::LogIn { homeserver: homeserver.clone(), browse }
            }
            State::Done(_) => return None,
        };
        Some(Suspended { position, settings: self.settings.clone(), expected: self.expected.clone() })
    }

    /// The address in use, once it is known. After the login it is the session's.
    #[must_use]
    pub fn homeserver(&self) -> Option<&Homeserver> {
        match &self.state {
            State::WellKnown { .. } | State::Locate { .. } => None,
            State::Versions { well_known, .. } => Some(&well_known.base_url),
            State::LogIn(LogIn { homeserver, .. }) => Some(homeserver),
            State::Done(session) => session.homeserver(),
        }
    }

    /// What discovery found out about the homeserver that the login was asked of; `None` if its address was given, or
    /// the flow was resumed.
    #[must_use]
    pub fn discovered(&self) -> Option<&Discovered> {
        self.discovered.as_deref()
    }

    /// The session; `None` until logged in.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Done(session) => Some(session),
            _ => None,
        }
    }

    /// Who is logged in; `None` until logged in.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        self.session().map(Session::user_id)
    }

    /// The device that is logged in; `None` until logged in.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.session().map(Session::device_id)
    }

    /// The session by value.
    ///
    /// # Errors
    ///
    /// The flow as it was, if it is not logged in.
    #[expect(clippy::result_large_err, reason = "the error is the caller's own flow, given back")]
    pub fn into_session(self) -> Result<Session, Self> {
        match self.state {
            State::Done(session) => Ok(*session),
            _ => Err(self),
        }
    }

    fn wait(&self) -> Option<&Wait> {
        match &self.state {
            State::Versions { pending, .. } | State::LogIn(LogIn { pending, .. }) => pending.wait.as_deref(),
            _ => None,
        }
    }

    fn out_of_step(&self, input: &'static str) -> Error {
        Error::OutOfStep { input, due: self.step().name() }
    }
}

fn locate(server_name: &ServerName, failure: DiscoveryFailure) -> State {
    State::Locate { server_name: server_name.clone(), failure }
}

/// The failure of an address that the well-known file names.
fn unusable(homeserver: &Homeserver, cause: ResponseError) -> DiscoveryFailure {
    let failure = *DiscoveryFailure::new(DiscoveryOutcome::FailError, cause);
    DiscoveryFailure { homeserver: Some(homeserver.clone()), ..failure }
}

/// Where a redirect of the well-known file leads, if it may be followed.
fn redirect(server_name: &ServerName, redirects: &[Uri], status: StatusCode, cause: &ResponseError) -> Option<Uri> {
    match cause {
        // The other 3xx are no redirects in this sense (RFC 9110, section 15.4).
        ResponseError::Redirected { location: Some(location), .. }
            if matches!(status.as_u16(), 301..=303 | 307 | 308) =>
        {
            redirect_target(server_name, redirects, location)
        }
        _ => None,
    }
}

/// A target that may be followed: on https, where the flow has not been, and not after too many others.
fn redirect_target(server_name: &ServerName, redirects: &[Uri], location: &str) -> Option<Uri> {
    let first = uri(server_name.well_known());
    let here = redirects.last().unwrap_or(&first);
    let mut target = Url::parse(&here.to_string()).ok()?.join(location).ok()?;
    if target.scheme() != "https" || redirects.len() >= MAX_REDIRECTS {
        return None;
    }
    target.set_username("").ok()?;
    target.set_password(None).ok()?;
    // A `Uri` has no fragment.
    let target = Uri::try_from(target.as_str()).ok()?;
    (target != first && !redirects.contains(&target)).then_some(target)
}

/// The session, unless it is not what was asked for: then the error owns it.
fn accept(session: Session, settings: &LoginSettings, expected: Option<&UserId>) -> Result<Box<Session>, Error> {
    let session = Box::new(session);
    match expected {
        Some(expected) if expected != session.user_id() => {
            Err(Error::WrongUser { expected: expected.clone(), session })
        }
        _ if settings.require_refresh_token && session.ends_for_good() => Err(Error::MissingRefreshToken(session)),
        _ => Ok(session),
    }
}

fn check_offered(login_types: &LoginTypes, choice: &Choice) -> Result<(), Error> {
    let login_type = choice.login_type();
    let Some(offered) = login_types.get(login_type) else {
        let offered = login_types.iter().map(|offered| offered.as_str().to_owned());
        return Err(Error::NotOffered { choice: login_type.to_owned(), offered: offered.collect() });
    };
    // A server that lists no providers may still have some.
    if let (LoginType::Sso { identity_providers, .. }, Kind::Sso(redirect)) = (offered, &choice.kind) {
        if let Some(id) = redirect.identity_provider_id() {
            if !identity_providers.is_empty() && !identity_providers.iter().any(|provider| provider.id == id) {
                let offered = identity_providers.iter().map(|provider| provider.id.clone());
                return Err(Error::NotOffered {
                    choice: format!("identity provider {id}"),
                    offered: offered.collect(),
                });
            }
        }
    }
    Ok(())
}
