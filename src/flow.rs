//! The flow: the only file that changes where a login stands, and it does so in one function, `enter`.

pub(crate) mod choice;
mod discovery;
pub(crate) mod drive;
mod log_in;
mod oauth;
pub(crate) mod shown_code;
pub(crate) mod state;
pub(crate) mod step;
pub(crate) mod suspended;
pub(crate) mod wait;

use std::time::{Duration, SystemTime};

use http::Response;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::server_name::ServerName;
use crate::address::user_id::UserId;
use crate::endpoint::error::ResponseError;
use crate::endpoint::{login, login_types, versions, well_known};
use crate::error::Error;
use crate::flow::choice::Choice;
use crate::flow::oauth::{code_grant, device_grant};
use crate::flow::shown_code::ShownCode;
use crate::flow::state::{Browse, Discovered, Due, Next, Offers, Purpose, Redirects, Server};
use crate::flow::step::{RequestId, Step};
use crate::flow::suspended::{Position, Suspended};
use crate::flow::wait::Wait;
use crate::session::Session;
use crate::settings::LoginSettings;

/// A login, from a server name or an address to a [`Session`].
///
/// Ask [`step`](Self::step) what is due, do it, and tell the flow what came of it with the method that the step names.
///
/// ```text
/// LoginFlow::discover(server)      LoginFlow::at(homeserver)      LoginFlow::logged_in(session)
///       |                                   |                                |
///  Send GET well-known --no-> Locate --use_homeserver--+                     |
///       | yes   <-----back----+ ^                      |                     |
///  Send GET versions ---no------+                      v                     |
///       | yes                                    Send GET login              |
///       +--------------------------------------------> |                     |
///                                            Send GET auth_metadata          |   if the settings ask for OAuth 2.0
///                    +---------refused------------- Choose <--back--+        |
///                    |       password, token, ... |  | sso |  OAuth 2.0      |
///            Send POST login <--------------------+  |     v        |        |
///               |  |  ^                              |  Send POST register   |   unless the client is registered
///               |  |  +--callback--- Browse <--------+     |        |        |
///               |  |                                  code |        | device |
///               |  |                                    Browse   Send POST device_authorization
///               |  |                           callback |           |        |
///               |  |     (after a resume: Send GET auth_metadata)   |        |
///               |  |                                    |        ShowCode <--|-- the user has not decided --+
///               |  |                                    v     timeout |      |                              |
///               |  +--timeout-- Wait <-- rate    Send POST token   Send POST token -------------------------+
///               |                        limit          v           |        |
///               +-----ok------> Done <------ok--- Send GET whoami <-+        |
///                                ^-------------------------------------------+
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
    /// What the flow began with.
    server_name: Option<ServerName>,
    /// Who must be logged in, if it is to be [again](LoginFlow::again).
    expected_user: Option<UserId>,
    /// About the homeserver that the login is asked of, so not after another one was given.
    discovered: Option<Box<Discovered>>,
    due: Due,
    /// How often in a row rate limits have put off the request that is due.
    attempts: u32,
    request_id: RequestId,
}

impl LoginFlow {
    /// Begins with a server name, whose homeserver is discovered (specification, "Server Discovery").
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// let flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// let Step::Send { request, .. } = flow.step() else { unreachable!() };
    /// assert_eq!(request.uri(), "https://example.org/.well-known/matrix/client");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn discover(server_name: ServerName, settings: LoginSettings) -> Self {
        let due = Due::GetWellKnown { server_name: server_name.clone(), redirects: Redirects::default() };
        Self { server_name: Some(server_name), ..Self::new(settings, due) }
    }

    /// Begins with a homeserver whose address is known.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// let flow = LoginFlow::at("https://matrix.example.org".parse()?, LoginSettings::default());
    /// let Step::Send { request, .. } = flow.step() else { unreachable!() };
    /// assert_eq!(request.uri(), "https://matrix.example.org/_matrix/client/v3/login");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(homeserver: Homeserver, settings: LoginSettings) -> Self {
        Self::new(settings, Due::GetLogin { homeserver, refused: None })
    }

    /// Begins at the end, with a session that was restored from storage, so that a driver needs no other case for it.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session, Step};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let flow = LoginFlow::logged_in(session);
    /// assert!(matches!(flow.step(), Step::Done(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn logged_in(session: Session) -> Self {
        Self::new(LoginSettings::default(), Due::Done(Box::new(session)))
    }

    /// Logs in again as the user of a session whose tokens are no longer valid, for example after a soft logout. The
    /// login goes to the homeserver of the session; if the session does not know it, the flow discovers it. The device
    /// is the same: the device ID of the session replaces the one in the settings. `session` itself does not change.
    /// After the login, [store](Session::store_in) the new session in place of the old one.
    ///
    /// A login of another user is refused with [`Error::WrongUser`], which owns that session. The homeserver decides
    /// about the device: if its response names another one, the new session has that device ID. Compare the two before
    /// you use old encryption keys. If the response names no device, the ID that was asked for counts.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let flow = LoginFlow::again(&session, LoginSettings::default());
    /// assert_eq!(flow.expected_user(), Some(session.user_id()));
    /// assert_eq!(flow.settings().device_id(), Some(session.device_id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn again(session: &Session, settings: LoginSettings) -> Self {
        let settings = settings.with_known_device_id(session.device_id().to_owned());
        let user_id = session.user_id().clone();
        let flow = match session.homeserver() {
            Some(homeserver) => Self::at(homeserver.clone(), settings),
            None => Self::discover(user_id.server_name(), settings),
        };
        Self { expected_user: Some(user_id), ..flow }
    }

    /// Goes on with a flow that was [suspended](Self::suspend), perhaps by another process. It refuses responses to
    /// requests that the first flow gave out before it was suspended. Do not go on with the first flow.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Suspended};
    ///
    /// let flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// let stored = serde_json::to_string(&flow.suspend())?;
    /// // In another process:
    /// let suspended: Suspended = serde_json::from_str(&stored)?;
    /// let flow = LoginFlow::resume(suspended);
    /// assert!(flow.server_name().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(suspended: Suspended) -> Self {
        let Suspended { position, settings, expected_user, request_id } = suspended;
        let flow = match position {
            Position::Discovery(server_name) => Self::discover(server_name, settings),
            Position::LogIn { homeserver, browse: None } => Self::at(homeserver, settings),
            Position::LogIn { homeserver, browse: Some(browse) } => {
                Self::new(settings, Due::Browse { server: Server { homeserver, offers: None }, browse })
            }
        };
        Self { expected_user, request_id: request_id.next(), ..flow }
    }

    fn new(settings: LoginSettings, due: Due) -> Self {
        Self {
            settings,
            server_name: None,
            expected_user: None,
            discovered: None,
            due,
            attempts: 0,
            request_id: RequestId(0),
        }
    }

    /// What is due. A pure function of the flow: ask as often as you like.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// let flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// match flow.step() {
    ///     Step::Send { request, .. } => println!("send {} {}", request.method(), request.uri()),
    ///     step => println!("{step:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn step(&self) -> Step<'_> {
        let request = match &self.due {
            Due::Wait { wait, .. } => return Step::Wait(wait),
            Due::Locate { failure, .. } => return Step::Locate { failure },
            Due::Choose { offers: Offers { login_types, oauth }, refused, .. } => {
                return Step::Choose { login_types, oauth: oauth.as_deref(), refused: refused.as_deref() };
            }
            Due::Browse { browse, .. } => return Step::Browse(&browse.url),
            Due::ShowCode { grant, .. } => return Step::ShowCode(&grant.code),
            Due::Done(session) => return Step::Done(session),
            Due::GetWellKnown { server_name, redirects } => discovery::well_known_request(server_name, redirects),
            Due::GetVersions { well_known, .. } => versions::request(&well_known.base_url),
            Due::GetLogin { homeserver, .. } => login_types::request(homeserver),
            Due::PostLogin { server, credentials } => login::request(&server.homeserver, credentials, &self.settings),
            due => oauth::request(due, &self.settings),
        };
        Step::Send { id: self.request_id, request }
    }

    /// Takes the response to a request, with the ID of the step that asked for it, and the time when the response
    /// arrived.
    ///
    /// | due | good | not usable | 3xx | 4xx | rate limit | 5xx | not Matrix | unreachable |
    /// | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    /// | GET well-known | GET versions | `FailPrompt`; a `base_url` that is not a URL, or is plain http: `FailError` | followed; if it may not be: `FailPrompt` | `FailPrompt`; 404: `Ignore` | `FailPrompt` | `FailPrompt` | `FailPrompt`; 404: `Ignore` | `FailPrompt` |
    /// | GET versions | GET login | `FailError` | `FailError` | `FailError` | `Wait` | `FailError` | `FailError` | `FailError` |
    /// | GET login | `Choose`; if OAuth 2.0 is wanted: GET `auth_metadata` | error | error | error; `M_UNRECOGNIZED`: `LoginUnsupported`; `M_UNRECOGNIZED`, if OAuth 2.0 is wanted: GET `auth_metadata` | `Wait` | error | error | `OutOfStep` |
    /// | POST login | `Done`; a token that expires for good: `MissingRefreshToken`; another user: `WrongUser` | error | error | `Choose`, refused | `Wait` | error | error | `OutOfStep` |
    /// | GET `auth_metadata`, with login types | `Choose` | error | error | `Choose` | `Wait` | error | error; 4xx: `Choose` | `Choose` |
    /// | GET `auth_metadata`, without login types | `Choose` | error | error | error; `M_UNRECOGNIZED`: `LoginUnsupported` | `Wait` | error | error | `OutOfStep` |
    /// | GET `auth_metadata`, after a resume | POST token; if issuer or endpoints do not fit: error | error | error | error; `M_UNRECOGNIZED`: `LoginUnsupported` | `Wait` | error | error | `OutOfStep` |
    /// | POST register | `Browse`; for a device: POST `device_authorization` | error | error | `Choose`, refused | `Wait` | error | error | `OutOfStep` |
    /// | callback, of the code grant | POST token | `ForeignCallback` | - | `Choose`, refused | - | - | - | - |
    /// | POST token | GET whoami | error | error | `Choose`, refused | `Wait` | error | error | `OutOfStep` |
    /// | POST `device_authorization` | `ShowCode` | error | error | `Choose`, refused | `Wait` | error | error | `OutOfStep` |
    /// | POST token, a poll | GET whoami | error | error | `Choose`, refused; pending or `slow_down`: `ShowCode`; pending or `slow_down`, after the end of the code: `Choose`, refused | `Wait`; `slow_down`: `ShowCode` | error | error | `OutOfStep` |
    /// | GET whoami | `Done`; a token that expires for good: `MissingRefreshToken`; another user: `WrongUser`; without a device ID: error | error | error | error | `Wait` | error | error | `OutOfStep` |
    /// | POST revoke | `Choose` | `Choose` | `Choose` | `Choose` | `Wait` | error | error | `Choose` |
    ///
    /// - `FailPrompt`, `FailError` and `Ignore` are the outcomes of [`Step::Locate`].
    /// - *good*: a 2xx (of the well-known file a 200) whose body has what the step needs. *Not usable*: a 2xx with JSON
    ///   that lacks it, or with a body over [`MAX_BODY`](crate::MAX_BODY), which is not read. *4xx*: with an error of
    ///   the Matrix API, or of the OAuth 2.0 API. A 2xx that lacks what the step needs and has an errcode is that error
    ///   too: a refusal, or a rate limit. *5xx*: also 408 and 425, which mean: later. *Not Matrix*: any other body, a
    ///   page for instance, or one that is still compressed. *Unreachable*: no response, see
    ///   [`handle_unreachable`](Self::handle_unreachable).
    /// - A callback is not a response, and goes to [`handle_callback`](Self::handle_callback). *Not usable*: another
    ///   `state`, another `iss` or a missing one that was promised, a parameter twice, both `code` and `error`, or
    ///   neither. *4xx*: an `error`.
    /// - *error*: the same step stays due. At POST login, the homeserver may have granted a login all the same: with a
    ///   [device ID](LoginSettings::with_device_id) of your own, a repeated request leads to the same device.
    /// - `Choose` needs the login types. If a resume has forgotten them, GET login comes first. Next to login types, a
    ///   4xx of any kind for GET `auth_metadata` means that there is no OAuth 2.0: a page must not cost a login with a
    ///   password.
    /// - **Polls.** *pending* is the error `authorization_pending`. The codes of RFC 8628, section 3.5, count before
    ///   the status: servers send them under 400, 403 and 429. A response of that kind that arrives after the
    ///   [end](ShownCode::expires_at) of the code counts as `expired_token`. `slow_down` makes the
    ///   [interval](ShownCode::interval) longer by five seconds for good. A longer hint of the server counts for one
    ///   poll. A rate limit lasts at least the interval. After an error, wait for the interval, and then send the poll
    ///   again.
    /// - After POST token, the tokens are kept until whoami says whose they are. POST revoke is due after
    ///   [`back`](Self::back) from GET whoami.
    /// - **Rate limits.** A 429 is one, whatever its body. `M_LIMIT_EXCEEDED` under another status is one if it names a
    ///   wait. The header `Retry-After` comes before `retry_after_ms`, which is rounded up. The header is a number of
    ///   seconds, or a date in any of HTTP's three formats. A date is compared with the `Date` of the response, or
    ///   without that with the time of arrival. A wait of zero, or a date in the past, is not a hint. Without a hint,
    ///   the flow asks for 1 s, then twice as long each time, up to 60 s. The flow never gives up.
    /// - **Redirects.** The flow follows those of the well-known file only: 301, 302, 303, 307 and 308, at most five,
    ///   to https only, and never to an address where it was. A relative `Location` belongs to the address that was
    ///   asked last.
    /// - **Plain http.** Only the caller can choose plain http, never a server: an address from a server must be https,
    ///   or have the origin in use, or be on loopback if the address in use is on loopback too
    ///   ([`Homeserver::may_name`]). Another address in a well-known file is a failure that contains the address, so
    ///   that a user can insist on it with [`use_homeserver`](Self::use_homeserver). In a login response, it is
    ///   ignored. The session moves to the homeserver that the `well_known` of a login response names only if the
    ///   [settings](LoginSettings::with_follow_well_known) allow it.
    /// - Status and headers count before the body. One byte order mark is skipped. The `Content-Type` does not matter.
    ///   The last of duplicate keys counts. An optional field that is not usable counts as absent.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use http::Response;
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// let Step::Send { id, request } = flow.step() else { unreachable!() };
    /// # drop(request);
    /// // Your HTTP client sends the request, and has this response:
    /// let response = Response::new(r#"{"flows": [{"type": "m.login.password"}]}"#);
    /// flow.handle_response(id, &response, SystemTime::now())?;
    /// assert!(matches!(flow.step(), Step::Choose { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::StaleResponse`] if the response belongs to another request than the one that is due, or if none is due.
    /// [`Error::Response`] if the response is not what was asked for; the same request is due then.
    /// [`Error::MissingRefreshToken`] and [`Error::WrongUser`] own a session that was granted; the flow is back at the
    /// question then.
    pub fn handle_response<B: AsRef<[u8]>>(
        &mut self,
        id: RequestId,
        response: &Response<B>,
        received_at: SystemTime,
    ) -> Result<(), Error> {
        self.check(id)?;
        let next = self.answered(response, received_at)?;
        self.enter(next)
    }

    /// The driver gives up on a request that got no response, if the flow can go on without it. In discovery,
    /// [`Step::Locate`] is due. After GET `auth_metadata` next to login types, the question is due, without OAuth 2.0.
    /// After the revocation of tokens that nobody wants, the question is due too.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// let mut flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// // Nothing listens there.
    /// flow.handle_unreachable(id)?;
    /// assert!(matches!(flow.step(), Step::Locate { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::StaleResponse`] if the ID is not that of the request that is due, or if no request is due.
    /// [`Error::OutOfStep`] for every other request: send it again, go [back](Self::back), or drop the flow.
    pub fn handle_unreachable(&mut self, id: RequestId) -> Result<(), Error> {
        self.check(id)?;
        let next = match &self.due {
            Due::GetWellKnown { server_name, .. } => {
                discovery::no_well_known(server_name, well_known::ENDPOINT.unreachable())
            }
            Due::GetVersions { server_name, well_known } => {
                discovery::cannot_use(server_name, &well_known.base_url, versions::ENDPOINT.unreachable())
            }
            Due::GetAuthMetadata { homeserver, login_types: Some(login_types), refused } => {
                oauth::question(homeserver, Some(login_types), None, refused.as_deref())
            }
            Due::PostRevoke { server, .. } => Next::To(server.question(None)),
            due if due.step() == "Send" => return Err(due.out_of_step("handle_unreachable")),
            _ => return Err(Error::StaleResponse),
        };
        self.enter(next)
    }

    /// The wait that [`Step::Wait`] asked for is over: the request that it held up is due. Or the time until the next
    /// poll of [`Step::ShowCode`] is over: the poll is due.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let limited = http::Response::builder().status(429).body("")?;
    /// # flow.handle_response(id, &limited, SystemTime::now())?;
    /// let Step::Wait(wait) = flow.step() else { unreachable!() };
    /// println!("wait for {:?}", wait.remaining(SystemTime::now()));
    /// flow.handle_timeout()?;
    /// assert!(matches!(flow.step(), Step::Send { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfStep`] if no wait is due.
    pub fn handle_timeout(&mut self) -> Result<(), Error> {
        match &self.due {
            Due::ShowCode { server, grant } => {
                let poll = Due::PostPoll { server: server.clone(), grant: grant.clone() };
                self.enter(Next::To(poll))
            }
            Due::Wait { request, .. } => {
                let request = Due::clone(request);
                self.enter(Next::Again(request))
            }
            due => Err(due.out_of_step("handle_timeout")),
        }
    }

    /// Takes the URL that the browser came back to. The login with the token in it is due then, whether or not the
    /// homeserver lists `m.login.token`.
    ///
    /// For a code grant, the code becomes tokens then. After a resume the metadata are read again before that. If the
    /// server or the user has refused, the question is due.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginFlow, LoginSettings, Redirect, Step};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let offers = r#"{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}"#;
    /// # flow.handle_response(id, &http::Response::new(offers), std::time::UNIX_EPOCH)?;
    /// # let redirect = Redirect::new("http://127.0.0.1:8765/callback", "00112233445566778899aabbccddeeff")?;
    /// # flow.choose(Choice::sso(redirect))?;
    /// let Step::Browse(url) = flow.step() else { unreachable!() };
    /// println!("log in at {url}");
    /// // The browser comes back to:
    /// let callback = "http://127.0.0.1:8765/callback?state=00112233445566778899aabbccddeeff&loginToken=t";
    /// flow.handle_callback(&callback.parse()?)?;
    /// assert!(matches!(flow.step(), Step::Send { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ForeignCallback`] if the URL does not belong to this login; the flow still waits for the one that does.
    /// [`Error::OutOfStep`] if no callback is due.
    pub fn handle_callback(&mut self, url: &Url) -> Result<(), Error> {
        match &self.due {
            Due::Browse { server, browse: Browse { state, purpose, .. } } => {
                let next = match purpose {
                    Purpose::Sso { fields } => log_in::after_callback(server, state, fields, url)?,
                    Purpose::Code { grant, metadata } => {
                        code_grant::after_callback(server, state.expose(), (grant, metadata.as_ref()), url)?
                    }
                };
                self.enter(next)
            }
            due => Err(due.out_of_step("handle_callback")),
        }
    }

    /// Goes on with this homeserver instead of any other. The flow forgets the login types and the choice.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let mut flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// flow.use_homeserver("https://matrix.example.org".parse()?)?;
    /// assert_eq!(flow.homeserver().map(|homeserver| homeserver.as_str()), Some("https://matrix.example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyLoggedIn`] if there is a session. [`Error::OutOfStep`] if an OAuth 2.0 server has granted tokens
    /// and whoami is due: go [back](Self::back) first, which revokes them.
    pub fn use_homeserver(&mut self, homeserver: Homeserver) -> Result<(), Error> {
        match &self.due {
            Due::Done(_) => Err(Error::AlreadyLoggedIn),
            due if matches!(due.behind_wait(), Due::GetWhoami { .. }) => Err(due.out_of_step("use_homeserver")),
            _ => self.enter(Next::At { homeserver, discovered: None }),
        }
    }

    /// Answers the question how to log in. If the flow refuses the choice, the choice is dropped: keep a clone of it if
    /// it contains what the user should not type again.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginFlow, LoginSettings, Password, Step, UserIdentifier};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let offers = r#"{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}"#;
    /// # flow.handle_response(id, &http::Response::new(offers), std::time::UNIX_EPOCH)?;
    /// let Step::Choose { login_types, .. } = flow.step() else { unreachable!() };
    /// assert!(login_types.get("m.login.password").is_some());
    /// flow.choose(Choice::password(UserIdentifier::user("alice"), Password::new("correct horse")))?;
    /// assert!(matches!(flow.step(), Step::Send { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyLoggedIn`] if there is a session; [`Error::OutOfStep`] if the question is not due;
    /// [`Error::NotOffered`] if the homeserver does not list the login type, or not the identity provider, and the
    /// choice is not [unlisted](Choice::unlisted); if it does not offer the grant of an OAuth 2.0 choice, or the
    /// settings do not [ask for that API](LoginSettings::with_oauth). For an OAuth 2.0 choice, [`Error::InvalidInput`]
    /// if the device ID is missing or unfit, or if the client has no ID and the server registers none.
    pub fn choose(&mut self, choice: Choice) -> Result<(), Error> {
        match &self.due {
            Due::Choose { homeserver, offers, .. } => {
                let next = log_in::after_choice(homeserver, offers, &self.settings, choice)?;
                self.enter(next)
            }
            Due::Done(_) => Err(Error::AlreadyLoggedIn),
            due => Err(due.out_of_step("choose")),
        }
    }

    /// Goes back to the question: from the browser, or from credentials that the homeserver has not judged yet. The
    /// flow drops the credentials, and refuses a late response to the login request. That response may still grant a
    /// login: the manual says [what to do with it](crate#late-responses).
    ///
    /// From [`Step::Locate`], it begins discovery again: the server may have failed only for a moment.
    ///
    /// After an OAuth 2.0 server has granted tokens and before whoami has said whose they are, their revocation is due
    /// first, if the server has an endpoint for that. Another `back` leaves it out: the tokens stay valid then.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginFlow, LoginSettings, Redirect, Step};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let offers = r#"{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}"#;
    /// # flow.handle_response(id, &http::Response::new(offers), std::time::UNIX_EPOCH)?;
    /// # let redirect = Redirect::new("http://127.0.0.1:8765/callback", "00112233445566778899aabbccddeeff")?;
    /// # flow.choose(Choice::sso(redirect))?;
    /// // The user does not want to log in with a browser.
    /// flow.back()?;
    /// assert!(matches!(flow.step(), Step::Choose { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfStep`] if nothing was chosen, and no address is missing.
    pub fn back(&mut self) -> Result<(), Error> {
        // A wait does not stop anybody from going back.
        match self.due.behind_wait() {
            Due::Locate { server_name, .. } => {
                let server_name = server_name.clone();
                self.enter(Next::To(Due::GetWellKnown { server_name, redirects: Redirects::default() }))
            }
            Due::GetWhoami { server, granted } => {
                let next = oauth::back(server, granted);
                self.enter(next)
            }
            due => {
                let question = due.server().map(|server| server.question(None));
                self.enter(Next::To(question.ok_or_else(|| self.due.out_of_step("back"))?))
            }
        }
    }

    /// Where the flow stands, for a file, a cookie store or a database. `None` once logged in: store the
    /// [`Session`] then.
    ///
    /// A code of either grant, and tokens that whoami has not confirmed yet, are not stored: after a resume, the
    /// question is put again. Anybody who has a device code can get tokens.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginFlow, LoginSettings, Redirect, Step};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let offers = r#"{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}"#;
    /// # flow.handle_response(id, &http::Response::new(offers), std::time::UNIX_EPOCH)?;
    /// # let redirect = Redirect::new("http://127.0.0.1:8765/callback", "00112233445566778899aabbccddeeff")?;
    /// # flow.choose(Choice::sso(redirect))?;
    /// let stored = serde_json::to_string(&flow.suspend().expect("nobody is logged in yet"))?;
    /// let flow = LoginFlow::resume(serde_json::from_str(&stored)?);
    /// assert!(matches!(flow.step(), Step::Browse(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn suspend(&self) -> Option<Suspended> {
        let position = match self.due.behind_wait() {
            Due::GetWellKnown { server_name, .. }
            | Due::GetVersions { server_name, .. }
            | Due::Locate { server_name, .. } => Position::Discovery(server_name.clone()),
            Due::Browse { server, browse } => {
                Position::LogIn { homeserver: server.homeserver.clone(), browse: Some(browse.clone()) }
            }
            Due::Done(_) => return None,
            _ => Position::LogIn { homeserver: self.homeserver()?.clone(), browse: None },
        };
        let (settings, expected_user) = (self.settings.clone(), self.expected_user.clone());
        Some(Suspended { position, settings, expected_user, request_id: self.request_id })
    }

    /// The settings that the flow began with. After [`again`](Self::again) they have the device ID of the session. A
    /// flow from [`logged_in`](Self::logged_in) has the default settings.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let settings = LoginSettings::default().with_device_id("KITCHEN")?;
    /// let flow = LoginFlow::at("https://example.org".parse()?, settings);
    /// assert_eq!(flow.settings().device_id(), Some("KITCHEN"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn settings(&self) -> &LoginSettings {
        &self.settings
    }

    /// The server name that the flow began with. `None` if it began with the address of a homeserver or with a session,
    /// or if it was suspended after the address was known.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// assert_eq!(flow.server_name().map(|name| name.as_str()), Some("example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn server_name(&self) -> Option<&ServerName> {
        self.server_name.as_ref()
    }

    /// The address in use, once it is known. After the login it is the session's.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let flow = LoginFlow::at("https://matrix.example.org/".parse()?, LoginSettings::default());
    /// assert_eq!(flow.homeserver().map(|homeserver| homeserver.as_str()), Some("https://matrix.example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn homeserver(&self) -> Option<&Homeserver> {
        match self.due.behind_wait() {
            Due::GetVersions { well_known, .. } => Some(&well_known.base_url),
            Due::GetLogin { homeserver, .. }
            | Due::GetAuthMetadata { homeserver, .. }
            | Due::Choose { homeserver, .. } => Some(homeserver),
            Due::Done(session) => session.homeserver(),
            due => due.server().map(|server| &server.homeserver),
        }
    }

    /// What discovery found out about the homeserver that the login was asked of; `None` if its address was given, or
    /// the flow was resumed.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use http::Response;
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// let mut flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// let well_known = r#"{"m.homeserver": {"base_url": "https://matrix.example.org"}}"#;
    /// for response in [well_known, r#"{"versions": ["v1.18"]}"#] {
    ///     let Step::Send { id, .. } = flow.step() else { unreachable!() };
    ///     flow.handle_response(id, &Response::new(response), SystemTime::now())?;
    /// }
    /// let discovered = flow.discovered().expect("the homeserver is found");
    /// assert_eq!(discovered.versions.versions, ["v1.18"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn discovered(&self) -> Option<&Discovered> {
        self.discovered.as_deref()
    }

    /// Who must be logged in: the user of the session that the flow logs in [again](Self::again). `None` if anybody
    /// may.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let flow = LoginFlow::again(&session, LoginSettings::default());
    /// assert_eq!(flow.expected_user().map(|user_id| user_id.as_str()), Some("@alice:example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expected_user(&self) -> Option<&UserId> {
        self.expected_user.as_ref()
    }

    /// The code that the user must enter. It is here while [`Step::ShowCode`] is due, and also while the flow polls, so
    /// that it need not vanish from the screen.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, one_line};
    ///
    /// /// What a screen shows, whatever step is due.
    /// fn status_line(flow: &LoginFlow) -> String {
    ///     match flow.shown_code() {
    ///         Some(code) => format!("enter {} at {}", one_line(code.user_code()), code.verification_uri()),
    ///         None => String::new(),
    ///     }
    /// }
    /// # let flow = LoginFlow::at("https://example.org".parse()?, matrix_login::LoginSettings::default());
    /// # assert_eq!(status_line(&flow), "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shown_code(&self) -> Option<&ShownCode> {
        match self.due.behind_wait() {
            Due::ShowCode { grant, .. } | Due::PostPoll { grant, .. } => Some(&grant.code),
            _ => None,
        }
    }

    /// The session; `None` until logged in.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let flow = LoginFlow::logged_in(session);
    /// assert_eq!(flow.session().map(Session::device_id), Some("KITCHEN"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn session(&self) -> Option<&Session> {
        if let Due::Done(session) = &self.due { Some(session) } else { None }
    }

    /// Who is logged in; `None` until logged in.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let flow = LoginFlow::logged_in(session);
    /// assert_eq!(flow.user_id().map(|user_id| user_id.as_str()), Some("@alice:example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_id(&self) -> Option<&UserId> {
        self.session().map(Session::user_id)
    }

    /// The device that is logged in; `None` until logged in. The homeserver decides about it: compare it with
    /// [the device ID that was asked for](LoginSettings::device_id) before you use old encryption keys.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let flow = LoginFlow::logged_in(session);
    /// assert_eq!(flow.device_id(), Some("KITCHEN"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn device_id(&self) -> Option<&str> {
        self.session().map(Session::device_id)
    }

    /// The session by value.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("somebody is logged in");
    /// let flow = LoginFlow::logged_in(session);
    /// match flow.into_session() {
    ///     Ok(session) => println!("logged in as {}", session.user_id()),
    ///     Err(flow) => println!("not yet: {:?}", flow.step()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The flow as it was, if it is not logged in.
    #[expect(clippy::result_large_err, reason = "the error is the caller's own flow, given back")]
    pub fn into_session(self) -> Result<Session, Self> {
        match self.due {
            Due::Done(session) => Ok(*session),
            _ => Err(self),
        }
    }

    /// A poll that is due here was sent and had no usable response: it is put off by the interval.
    pub(crate) fn put_off_poll(&mut self, now: impl FnOnce() -> SystemTime) -> Result<(), Error> {
        match &self.due {
            Due::PostPoll { server, grant } => {
                let next = device_grant::show_again(server, grant, grant.code.clone().polled(None, now()));
                self.enter(next)
            }
            _ => Ok(()),
        }
    }

    /// Whether this is the request that is due. If none is due, the flow has not given out its present ID.
    fn check(&self, id: RequestId) -> Result<(), Error> {
        if id == self.request_id { Ok(()) } else { Err(Error::StaleResponse) }
    }

    /// Where a response to the request that is due leads.
    fn answered<B: AsRef<[u8]>>(&self, response: &Response<B>, received_at: SystemTime) -> Result<Next, Error> {
        let wanted = (&self.settings, self.expected_user.as_ref());
        let next = match &self.due {
            Due::GetWellKnown { server_name, redirects } => {
                Ok(discovery::after_well_known(server_name, redirects, response))
            }
            Due::GetVersions { well_known, .. } => discovery::after_versions(well_known, response),
            Due::GetLogin { homeserver, refused } => {
                log_in::after_login_types(homeserver, &self.settings, refused.as_deref(), response)
            }
            Due::PostLogin { server, .. } => log_in::after_login(server, wanted, response, received_at),
            due => oauth::answered(due, wanted, response, received_at)?,
        };
        self.judged(next, received_at)
    }

    /// Where a response leads, once its endpoint has read it.
    fn judged(&self, next: Result<Next, ResponseError>, received_at: SystemTime) -> Result<Next, Error> {
        match (&self.due, next) {
            (_, Ok(next)) => Ok(next),
            (_, Err(ResponseError::Server(error))) if error.is_rate_limit() => {
                let interval = self.shown_code().map_or(Duration::ZERO, ShownCode::interval);
                let wait = Wait::new(*error, self.attempts.saturating_add(1), interval, received_at);
                Ok(Next::To(Due::Wait { wait, request: Box::new(self.due.clone()) }))
            }
            (Due::GetVersions { server_name, well_known }, Err(cause)) => {
                Ok(discovery::cannot_use(server_name, &well_known.base_url, cause))
            }
            (
                Due::PostLogin { server, .. }
                | Due::PostRegister { server, .. }
                | Due::PostToken { server, .. }
                | Due::PostDeviceAuthorization { server, .. }
                | Due::PostPoll { server, .. },
                Err(ResponseError::Server(error)),
            ) if error.is_refusal() => Ok(Next::To(server.question(Some(error)))),
            (_, Err(error)) => Err(error.into()),
        }
    }

    /// Moves. All that was asked before is stale then.
    fn enter(&mut self, next: Next) -> Result<(), Error> {
        self.request_id = self.request_id.next();
        self.attempts = match &next {
            Next::Again(_) => self.attempts,
            Next::To(Due::Wait { wait, .. }) => wait.attempt(),
            _ => 0,
        };
        match next {
            Next::To(due) | Next::Again(due) => self.due = due,
            Next::At { homeserver, discovered } => {
                self.discovered = discovered;
                self.due = Due::GetLogin { homeserver, refused: None };
            }
            Next::Refused(due, error) => {
                self.due = due;
                return Err(error);
            }
        }
        Ok(())
    }
}
