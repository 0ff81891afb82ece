//! The flow. Only this file changes the state of a login, and only in one function: `enter`.

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
/// [`step`](Self::step) says what is due. Do it, and tell the flow the result with the method that the step names.
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
/// An *input* is a call that can move the flow: a `handle_*` method, `choose`, `use_homeserver` or `back`.
///
/// - A step is a view of the flow. Nothing is lost if you ask twice, drop a future or fail to send.
/// - If an input returns `Ok`, the flow has moved. If it returns `Err`, nothing has changed. The one exception is a
///   login that the server granted and the flow refuses: [`Error::MissingRefreshToken`], [`Error::WrongUser`].
/// - A refusal is a step, not an error: a wrong password is [`Step::Choose`], a rate limit is [`Step::Wait`], a server
///   that cannot be found is [`Step::Locate`].
/// - The flow has no clock, no randomness and no I/O. It learns the time from the caller, with a response.
///
/// `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct LoginFlow {
    settings: LoginSettings,
    /// The server name that the flow began with.
    server_name: Option<ServerName>,
    /// The user that must log in, if the flow logs in [again](LoginFlow::again).
    expected_user: Option<UserId>,
    /// What discovery found out about the homeserver in use. `None` after the caller gave another homeserver.
    discovered: Option<Box<Discovered>>,
    due: Due,
    /// How often in a row a rate limit has delayed the request that is due.
    attempts: u32,
    request_id: RequestId,
}

impl LoginFlow {
    /// Begins with a server name. The flow discovers its homeserver (specification, "Server Discovery").
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

    /// Begins with the address of a homeserver.
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

    /// Begins at the end, with a session from storage. So a driver needs no special case for a stored session.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session, Step};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let flow = LoginFlow::logged_in(session);
    /// assert!(matches!(flow.step(), Step::Done(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn logged_in(session: Session) -> Self {
        Self::new(LoginSettings::default(), Due::Done(Box::new(session)))
    }

    /// Logs in again as the user of a session whose tokens are no longer valid, for example after a soft logout. The
    /// login goes to the homeserver of the session. If the session does not know its homeserver, the flow discovers it.
    /// The device stays the same: the device ID of the session replaces the device ID in the settings. `session` itself
    /// does not change. After the login, [store](Session::store_in) the new session in place of the old one.
    ///
    /// The flow refuses a login of another user with [`Error::WrongUser`]: this error contains the session of the other
    /// user. The homeserver chooses the device: if its response contains another device ID, the new session has that
    /// device ID. Compare the two IDs before you use old encryption keys. If the response contains no device ID, the
    /// requested one counts.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
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

    /// Goes on with a flow that was [suspended](Self::suspend), for instance by another process. The resumed flow
    /// refuses responses to requests that the first flow made before the suspension. Do not go on with the first flow.
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

    /// What is due. This is a pure function of the flow: call it as often as you like.
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
    /// These tables say what each response leads to: another request, a [`Step`], or an error. If a special case in the
    /// third table applies, its outcome counts.
    ///
    /// | due | good | not usable | 3xx | 4xx |
    /// | --- | --- | --- | --- | --- |
    /// | GET well-known | GET versions | `FailPrompt` | followed | `FailPrompt` |
    /// | GET versions | GET login | `FailError` | `FailError` | `FailError` |
    /// | GET login | `Choose` | error | error | error |
    /// | POST login | `Done` | error | error | `Choose`, refused |
    /// | GET `auth_metadata`, with login types | `Choose` | error | error | `Choose` |
    /// | GET `auth_metadata`, without login types | `Choose` | error | error | error |
    /// | GET `auth_metadata`, after a resume | POST token | error | error | error |
    /// | POST register | `Browse` | error | error | `Choose`, refused |
    /// | callback, of the code grant | POST token | `ForeignCallback` | - | `Choose`, refused |
    /// | POST token | GET whoami | error | error | `Choose`, refused |
    /// | POST `device_authorization` | `ShowCode` | error | error | `Choose`, refused |
    /// | POST token, a poll | GET whoami | error | error | `Choose`, refused |
    /// | GET whoami | `Done` | error | error | error |
    /// | POST revoke | `Choose` | `Choose` | `Choose` | `Choose` |
    ///
    /// | due | rate limit | 5xx | not Matrix | unreachable |
    /// | --- | --- | --- | --- | --- |
    /// | GET well-known | `FailPrompt` | `FailPrompt` | `FailPrompt` | `FailPrompt` |
    /// | GET versions | `Wait` | `FailError` | `FailError` | `FailError` |
    /// | GET login | `Wait` | error | error | `OutOfStep` |
    /// | POST login | `Wait` | error | error | `OutOfStep` |
    /// | GET `auth_metadata`, with login types | `Wait` | error | error | `Choose` |
    /// | GET `auth_metadata`, without login types | `Wait` | error | error | `OutOfStep` |
    /// | GET `auth_metadata`, after a resume | `Wait` | error | error | `OutOfStep` |
    /// | POST register | `Wait` | error | error | `OutOfStep` |
    /// | callback, of the code grant | - | - | - | - |
    /// | POST token | `Wait` | error | error | `OutOfStep` |
    /// | POST `device_authorization` | `Wait` | error | error | `OutOfStep` |
    /// | POST token, a poll | `Wait` | error | error | `OutOfStep` |
    /// | GET whoami | `Wait` | error | error | `OutOfStep` |
    /// | POST revoke | `Wait` | error | error | `Choose` |
    ///
    /// | due | response | special case | outcome |
    /// | --- | --- | --- | --- |
    /// | GET well-known | not usable | the `base_url` is not a URL, or is plain http | `FailError` |
    /// | GET well-known | 3xx | the redirect must not be followed | `FailPrompt` |
    /// | GET well-known | 4xx | the status is 404 | `Ignore` |
    /// | GET well-known | not Matrix | the status is 404 | `Ignore` |
    /// | GET login | good | the settings ask for OAuth 2.0 | GET `auth_metadata` |
    /// | GET login | 4xx | `M_UNRECOGNIZED` | `LoginUnsupported` |
    /// | GET login | 4xx | `M_UNRECOGNIZED`, and the settings ask for OAuth 2.0 | GET `auth_metadata` |
    /// | POST login | good | the access token expires, and there is no refresh token | `MissingRefreshToken` |
    /// | POST login | good | the login is of another user | `WrongUser` |
    /// | GET `auth_metadata`, with login types | not Matrix | the status is 4xx | `Choose` |
    /// | GET `auth_metadata`, without login types | 4xx | `M_UNRECOGNIZED` | `LoginUnsupported` |
    /// | GET `auth_metadata`, after a resume | good | issuer or endpoints have changed | error |
    /// | GET `auth_metadata`, after a resume | 4xx | `M_UNRECOGNIZED` | `LoginUnsupported` |
    /// | POST register | good | the choice is a code to show | POST `device_authorization` |
    /// | POST token, a poll | 4xx | `authorization_pending` or `slow_down` | `ShowCode` |
    /// | POST token, a poll | 4xx | the same, after the code has expired | `Choose`, refused |
    /// | POST token, a poll | rate limit | `slow_down` | `ShowCode` |
    /// | GET whoami | good | the access token expires, and there is no refresh token | `MissingRefreshToken` |
    /// | GET whoami | good | the login is of another user | `WrongUser` |
    /// | GET whoami | good | the response contains no device ID | error |
    ///
    /// The kinds of responses:
    ///
    /// - *good*: a 2xx (for the well-known file only a 200) whose body contains what the step needs.
    /// - *not usable*: a 2xx with JSON that lacks what the step needs, or with a body longer than
    ///   [`MAX_BODY`](crate::MAX_BODY), which is not read.
    /// - *4xx*: a 4xx with an error of the Matrix API or of the OAuth 2.0 API. A 2xx can contain an
    ///   errcode in place of what the step needs: it is treated as a *4xx*, or as a rate limit.
    /// - *5xx*: a 5xx, and also 408 and 425, after which the same request can succeed later.
    /// - *not Matrix*: any other body, for instance a page, or a body that is still compressed.
    /// - *unreachable*: no response, see [`handle_unreachable`](Self::handle_unreachable).
    /// - A callback is not a response: it goes to [`handle_callback`](Self::handle_callback). It is *not usable* if it
    ///   contains another `state` or another `iss`, if an `iss` was promised and is missing, if a parameter appears
    ///   twice, or if it contains both `code` and `error`, or neither. It is *4xx* if it contains an `error`.
    ///
    /// The outcomes:
    ///
    /// - `FailPrompt`, `FailError` and `Ignore`: [`Step::Locate`] with this outcome.
    /// - *error*: the same step stays due. At POST login, the homeserver might have granted a login nevertheless. With
    ///   your own [device ID](LoginSettings::with_device_id), a repeated request logs in as the same device.
    /// - `Choose` needs the login types. If they were forgotten in a suspension, GET login comes first. With login
    ///   types, any 4xx for GET `auth_metadata` means that the homeserver has no OAuth 2.0: a page must not prevent a
    ///   login with a password.
    ///
    /// The rules:
    ///
    /// - **Polls.** The errors of RFC 8628, section 3.5, count before the status: servers send them with 400, 403 and
    ///   429. If `authorization_pending` or `slow_down` arrives after the [end](ShownCode::expires_at) of the code, it
    ///   is treated as `expired_token`. `slow_down` makes the [interval](ShownCode::interval) five seconds longer
    ///   from then on. If the server asks for a longer wait, only the next poll waits longer. A rate limit lasts
    ///   at least the interval. After an error, wait for the interval, and then send the poll again.
    /// - **Tokens.** After POST token, the flow keeps the tokens until whoami says which user they belong to. POST
    ///   revoke is due after [`back`](Self::back) from GET whoami.
    /// - **Rate limits.** A 429 is a rate limit, whatever its body. `M_LIMIT_EXCEEDED` with another status is a rate
    ///   limit if the response says how long to wait. The header `Retry-After` counts before `retry_after_ms`, which is
    ///   rounded up. The header is a number of seconds, or a date in one of the three formats of HTTP. A date is
    ///   compared with the `Date` of the response, or else with the time of arrival. A wait of zero, or a date in the
    ///   past, is treated as absent. Then the flow asks for 1 s, then twice as long each time, up to 60 s. The flow
    ///   never gives up.
    /// - **Redirects.** The flow follows only redirects of the well-known file: 301, 302, 303, 307 and 308, at most
    ///   five, only to https, and never to an address that it has already asked. A relative `Location` is relative to
    ///   the address of the last request.
    /// - **Plain http.** Only the caller can choose plain http, never a server ([`Homeserver::may_name`]). A server may
    ///   name any https address. It may name a plain http address in two cases: the address has the origin in use, or
    ///   both addresses are on loopback. Any other address in a well-known file is a failure. The failure contains the
    ///   address, so that a user can insist on it with [`use_homeserver`](Self::use_homeserver). In a login response,
    ///   such an address is ignored.
    /// - **Moves.** If the login response contains a `well_known`, the session moves to the homeserver in it, unless
    ///   the [settings](LoginSettings::with_follow_well_known) forbid it.
    /// - **Bodies.** Status and headers count before the body. One byte order mark is skipped. The `Content-Type` does
    ///   not matter. The last of duplicate keys counts. An optional field that cannot be used is treated as absent.
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
    /// // Your HTTP client sends the request and gets this response:
    /// let response = Response::new(r#"{"flows": [{"type": "m.login.password"}]}"#);
    /// flow.handle_response(id, &response, SystemTime::now())?;
    /// assert!(matches!(flow.step(), Step::Choose { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::StaleResponse`] if the response belongs to another request than the one that is due, or if no request
    /// is due. [`Error::Response`] if the response is not what the request asked for: then the same request is due
    /// again. [`Error::MissingRefreshToken`] and [`Error::WrongUser`] own a session that was granted: then
    /// [`Step::Choose`] is due, or the login types are requested first.
    pub fn handle_response<B: AsRef<[u8]>>(
        &mut self,
        id: RequestId,
        response: &Response<B>,
        received_at: SystemTime,
    ) -> Result<(), Error> {
        self.check(id)?;
        let next = self.after_response(response, received_at)?;
        self.enter(next)
    }

    /// Gives up on a request that got no response, if the flow can go on without the response. In discovery,
    /// [`Step::Locate`] is due next. After GET `auth_metadata` with login types, [`Step::Choose`] is due, without OAuth
    /// 2.0. After POST revoke, [`Step::Choose`] is due too.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Step};
    ///
    /// let mut flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// // The server cannot be reached.
    /// flow.handle_unreachable(id)?;
    /// assert!(matches!(flow.step(), Step::Locate { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::StaleResponse`] if the ID belongs to another request than the one that is due, or if no request is due.
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

    /// Says that a wait is over. After [`Step::Wait`], the delayed request is due. After [`Step::ShowCode`], the next
    /// poll is due.
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

    /// Takes the callback: the URL that the browser came back to.
    ///
    /// After single sign-on, POST login with the token in the callback is due, even if the homeserver does not list
    /// `m.login.token`. For a code grant, POST token is due. After a resume, the metadata are requested again before
    /// that. If the callback of a code grant contains an error, [`Step::Choose`] is due. Single sign-on has no such
    /// callback: after a while, go [back](Self::back).
    ///
    /// ```
    /// use matrix_login::{Choice, LoginFlow, LoginSettings, Redirect, Step};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let offers = r#"{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}"#;
    /// # flow.handle_response(id, &http::Response::new(offers), std::time::UNIX_EPOCH)?;
    /// let redirect_url = "http://127.0.0.1:8765/callback";
    /// let state = "00112233445566778899aabbccddeeff";
    /// flow.choose(Choice::sso(Redirect::new(redirect_url, state)?))?;
    /// let Step::Browse(url) = flow.step() else { unreachable!() };
    /// println!("log in at {url}");
    /// // The browser comes back to:
    /// let callback = format!("{redirect_url}?state={state}&loginToken=t");
    /// flow.handle_callback(&callback.parse()?)?;
    /// assert!(matches!(flow.step(), Step::Send { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ForeignCallback`] if the URL does not belong to this login: the flow still waits for the right one.
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

    /// Goes on with this homeserver, and not with the one that was discovered or given before. The flow forgets the
    /// login types and the choice.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let mut flow = LoginFlow::discover("example.org".parse()?, LoginSettings::default());
    /// flow.use_homeserver("https://matrix.example.org".parse()?)?;
    /// let homeserver = flow.homeserver().map(|homeserver| homeserver.as_str());
    /// assert_eq!(homeserver, Some("https://matrix.example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyLoggedIn`] if there is a session. [`Error::OutOfStep`] if an OAuth 2.0 server has granted tokens
    /// and whoami is due: first go [back](Self::back), which revokes the tokens.
    pub fn use_homeserver(&mut self, homeserver: Homeserver) -> Result<(), Error> {
        match &self.due {
            Due::Done(_) => Err(Error::AlreadyLoggedIn),
            due if matches!(due.behind_wait(), Due::GetWhoami { .. }) => Err(due.out_of_step("use_homeserver")),
            _ => self.enter(Next::At { homeserver, discovered: None }),
        }
    }

    /// Chooses how to log in, after [`Step::Choose`]. If the flow refuses the choice, the choice is dropped: keep a
    /// clone, so that the user need not type everything again.
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
    /// let password = Password::new("correct horse");
    /// flow.choose(Choice::password(UserIdentifier::user("alice"), password))?;
    /// assert!(matches!(flow.step(), Step::Send { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::AlreadyLoggedIn`] if there is a session.
    /// - [`Error::OutOfStep`] if another step is due than [`Step::Choose`].
    /// - [`Error::NotOffered`] if the homeserver does not list the login type or the identity provider, and the choice
    ///   is not [unlisted](Choice::unlisted). Also if the homeserver does not offer the grant of an OAuth 2.0 choice,
    ///   or if the settings do not [ask for OAuth 2.0](LoginSettings::with_oauth).
    /// - [`Error::InvalidInput`] for an OAuth 2.0 choice, if the device ID is missing or not suitable, if the redirect
    ///   URL contains a fragment, or if the client is not registered and the server registers no clients.
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

    /// Goes back to [`Step::Choose`], from any step after it. The flow drops the credentials, and refuses a late
    /// response to the login request. This response can still grant a login: the manual says
    /// [what to do with it](crate#late-responses).
    ///
    /// From [`Step::Locate`], this begins discovery again: the failure of the server might have been short.
    ///
    /// If an OAuth 2.0 server has granted tokens and whoami is due, POST revoke comes first, if the server can revoke
    /// tokens. A second `back` skips POST revoke: then the tokens stay valid.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginFlow, LoginSettings, Redirect, Step};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let offers = r#"{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}"#;
    /// # flow.handle_response(id, &http::Response::new(offers), std::time::UNIX_EPOCH)?;
    /// let state = "00112233445566778899aabbccddeeff";
    /// let redirect = Redirect::new("http://127.0.0.1:8765/callback", state)?;
    /// flow.choose(Choice::sso(redirect))?;
    /// // The user does not want to log in with a browser.
    /// flow.back()?;
    /// assert!(matches!(flow.step(), Step::Choose { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfStep`] before a choice, except in [`Step::Locate`], and after the login.
    pub fn back(&mut self) -> Result<(), Error> {
        // The caller can go back from a wait too.
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

    /// The state of the flow, for a file, a cookie store or a database. `None` after the login: then store the
    /// [`Session`].
    ///
    /// Codes, and tokens that whoami has not confirmed yet, are not stored: anybody who has a device code can get
    /// tokens. After a resume, the flow asks again how to log in.
    ///
    /// ```
    /// use matrix_login::{Choice, LoginFlow, LoginSettings, Redirect, Step};
    ///
    /// # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
    /// # let Step::Send { id, .. } = flow.step() else { unreachable!() };
    /// # let offers = r#"{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}"#;
    /// # flow.handle_response(id, &http::Response::new(offers), std::time::UNIX_EPOCH)?;
    /// let state = "00112233445566778899aabbccddeeff";
    /// let redirect = Redirect::new("http://127.0.0.1:8765/callback", state)?;
    /// flow.choose(Choice::sso(redirect))?;
    /// let stored = serde_json::to_string(&flow.suspend().expect("the flow is not logged in"))?;
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

    /// The settings that the flow began with. After [`again`](Self::again) they contain the device ID of the session. A
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

    /// The homeserver in use. `None` if its address is not known yet. After the login, this is the homeserver of the
    /// session.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings};
    ///
    /// let homeserver = "https://matrix.example.org/".parse()?;
    /// let flow = LoginFlow::at(homeserver, LoginSettings::default());
    /// let homeserver = flow.homeserver().map(|homeserver| homeserver.as_str());
    /// assert_eq!(homeserver, Some("https://matrix.example.org"));
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

    /// What discovery found out about the homeserver in use. `None` if the caller gave the address of the homeserver,
    /// or if the flow was resumed.
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

    /// The user that must log in: the user of the session, if the flow logs in [again](Self::again). `None` if any user
    /// can log in.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, LoginSettings, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let flow = LoginFlow::again(&session, LoginSettings::default());
    /// let expected_user = flow.expected_user().map(|user_id| user_id.as_str());
    /// assert_eq!(expected_user, Some("@alice:example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expected_user(&self) -> Option<&UserId> {
        self.expected_user.as_ref()
    }

    /// The code that the user must enter. It exists while [`Step::ShowCode`] is due, and also while a poll is due, so
    /// that it can stay on the screen.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, one_line};
    ///
    /// /// The line that a screen shows, whatever step is due.
    /// fn status_line(flow: &LoginFlow) -> String {
    ///     let Some(code) = flow.shown_code() else { return String::new() };
    ///     format!("enter {} at {}", one_line(code.user_code()), code.verification_uri())
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

    /// The session. `None` before the end of the login.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let flow = LoginFlow::logged_in(session);
    /// assert_eq!(flow.session().map(Session::device_id), Some("KITCHEN"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn session(&self) -> Option<&Session> {
        if let Due::Done(session) = &self.due { Some(session) } else { None }
    }

    /// The user that is logged in. `None` before the end of the login.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let flow = LoginFlow::logged_in(session);
    /// assert_eq!(flow.user_id().map(|user_id| user_id.as_str()), Some("@alice:example.org"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_id(&self) -> Option<&UserId> {
        self.session().map(Session::user_id)
    }

    /// The device that is logged in. `None` before the end of the login. The homeserver chooses the device: compare it
    /// with [the requested device ID](LoginSettings::device_id) before you use old encryption keys.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
    /// let flow = LoginFlow::logged_in(session);
    /// assert_eq!(flow.device_id(), Some("KITCHEN"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn device_id(&self) -> Option<&str> {
        self.session().map(Session::device_id)
    }

    /// Returns the session by value.
    ///
    /// ```
    /// use matrix_login::{LoginFlow, Session};
    ///
    /// # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
    /// #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
    /// # let session = Session::from_json(stored)?.expect("it contains a session");
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
    /// The unchanged flow, before the end of the login.
    #[expect(clippy::result_large_err, reason = "the error is the caller's own flow, given back")]
    pub fn into_session(self) -> Result<Session, Self> {
        match self.due {
            Due::Done(session) => Ok(*session),
            _ => Err(self),
        }
    }

    /// Delays a poll by the interval, after it was sent and got no usable response.
    pub(crate) fn put_off_poll(&mut self, now: impl FnOnce() -> SystemTime) -> Result<(), Error> {
        match &self.due {
            Due::PostPoll { server, grant } => {
                let next = device_grant::show_again(server, grant, grant.code.clone().polled(None, now()));
                self.enter(next)
            }
            _ => Ok(()),
        }
    }

    /// Checks that the request with this ID is due. If no request is due, no caller has the current ID yet.
    fn check(&self, id: RequestId) -> Result<(), Error> {
        if id == self.request_id { Ok(()) } else { Err(Error::StaleResponse) }
    }

    /// What the response to the request that is due leads to.
    fn after_response<B: AsRef<[u8]>>(&self, response: &Response<B>, received_at: SystemTime) -> Result<Next, Error> {
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
            due => oauth::after_response(due, wanted, response, received_at)?,
        };
        self.judged(next, received_at)
    }

    /// What a response leads to, after its endpoint has read it.
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

    /// Moves the flow. This makes the ID of every earlier request stale.
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
