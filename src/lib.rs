//! Logs in to a Matrix homeserver without doing any I/O.
//!
//! A server name or an address goes in, a [`Session`] comes out. Between the two, this crate finds the homeserver and asks
//! what it supports. It logs in with a password, a token, single sign-on or as an application service. It deals with
//! refusals, rate limits and redirects on the way. It builds [`http::Request`]s and reads [`http::Response`]s. The caller
//! decides what carries them, on what runtime and with which TLS.
//!
//! # A login in twenty lines
//!
//! A [`LoginFlow`] always knows what is due. A driver asks it, does that, and tells it what came of it:
//!
//! ```
//! # use matrix_login::{LoginSettings, Password, UserId, UserIdentifier};
//! use std::{
//!     error::Error,
//!     time::{Duration, SystemTime},
//! };
//!
//! use http::{Request, Response};
//! use matrix_login::{Choice, LoginFlow, Session, Step};
//!
//! /// Logs in with one choice. Gives up on a transport error, on a refusal, and after three waits.
//! fn log_in(
//!     mut flow: LoginFlow,
//!     choice: Choice,
//!     mut send: impl FnMut(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Box<dyn Error>>,
//!     mut sleep: impl FnMut(Duration),
//! ) -> Result<Session, Box<dyn Error>> {
//!     loop {
//!         match flow.step() {
//!             Step::Send { id, request } => flow.handle_response(id, &send(request)?, SystemTime::now())?,
//!             Step::Wait(wait) if wait.attempt() > 3 => return Err(wait.error().clone().into()),
//!             Step::Wait(wait) => {
//!                 sleep(wait.remaining(SystemTime::now()));
//!                 flow.handle_timeout()?;
//!             }
//!             Step::Locate { failure, .. } => return Err(failure.clone().into()),
//!             Step::Choose { refused: Some(refused), .. } => return Err(refused.clone().into()),
//!             Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
//!             Step::Browse(url) => return Err(format!("nobody is there to open {url}").into()),
//!             Step::Done(session) => return Ok(session.clone()),
//!         }
//!     }
//! }
//! #
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let send = |request: Request<Vec<u8>>| {
//! #     Ok(Response::new(match (request.method().as_str(), request.uri().path()) {
//! #         (_, "/.well-known/matrix/client") => r#"{"m.homeserver":{"base_url":"https://example.org"}}"#.into(),
//! #         (_, "/_matrix/client/versions") => r#"{"versions":["v1.11"]}"#.into(),
//! #         ("GET", _) => r#"{"flows":[{"type":"m.login.password"}]}"#.into(),
//! #         _ => r#"{"user_id":"@alice:example.org","device_id":"KITCHEN","access_token":"t"}"#.into(),
//! #     }))
//! # };
//! # let sleep = |_: Duration| {};
//!
//! let user_id: UserId = "@alice:example.org".parse()?;
//! let settings = LoginSettings::default().with_device_id("KITCHEN")?;
//! let flow = LoginFlow::discover(user_id.server_name().clone(), settings);
//! let password = Choice::password(UserIdentifier::from(&user_id), Password::new("correct horse"));
//! let session = log_in(flow, password, send, sleep)?;
//! println!("logged in as {} with device ID {}", session.user_id(), session.device_id());
//! # Ok(())
//! # }
//! ```
//!
//! `send` is any HTTP client that **follows no redirects** and returns a 4xx and a 5xx as responses. It should stop reading
//! one byte after [`MAX_BODY`]: [`BodyCollector`] does so. Where the flow stands does not depend on the driver's success:
//! after a failure the same step is due.
//!
//! # The loop in the crate
//!
//! Nobody needs to write the part of that loop which needs no person. A [`Transport`] says how to send a request, how to
//! wait and what time it is. [`drive()`] does the rest, and returns when a person is needed or the login is done.
//! [`blocking`] is the same without `async`.
//!
//! ```
//! use std::{convert::Infallible, time::SystemTime};
//!
//! use http::{Request, Response};
//! use matrix_login::{Choice, DriveError, LoginFlow, Pause, Step, Transport, drive};
//! # use matrix_login::{LoginSettings, Password, UserIdentifier};
//!
//! /// A transport knows an HTTP client and a timer. This one knows a homeserver by heart.
//! struct ByHeart;
//!
//! impl Transport for ByHeart {
//!     type Body = &'static str;
//!     type Error = Infallible;
//!
//!     async fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<&'static str>, Infallible> {
//!         Ok(Response::new(match request.method().as_str() {
//!             "GET" => r#"{"flows": [{"type": "m.login.password"}]}"#,
//!             _ => r#"{"user_id": "@alice:example.org", "device_id": "KITCHEN", "access_token": "t"}"#,
//!         }))
//!     }
//!
//!     async fn pause(&mut self, _pause: Pause<'_>) -> Result<(), Infallible> {
//!         Ok(()) // Sleep for `_pause.remaining(self.now())`, or give up with an error.
//!     }
//!
//!     fn now(&self) -> SystemTime {
//!         SystemTime::now()
//!     }
//! }
//!
//! /// Logs in with one choice.
//! async fn log_in(flow: &mut LoginFlow, choice: Choice) -> Result<(), DriveError<Infallible>> {
//!     drive(flow, &mut ByHeart).await?;
//!     if let Step::Choose { refused: None, .. } = flow.step() {
//!         flow.choose(choice).map_err(DriveError::Flow)?;
//!         drive(flow, &mut ByHeart).await?;
//!     }
//!     Ok(())
//! }
//! #
//! # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
//! # let password = Choice::password(UserIdentifier::user("alice"), Password::new("correct horse"));
//! # futures_executor::block_on(log_in(&mut flow, password)).expect("the homeserver is known by heart");
//! # assert_eq!(flow.device_id(), Some("KITCHEN"));
//! # Ok::<(), matrix_login::Error>(())
//! ```
//!
//! # What the steps ask for
//!
//! | [`Step`] | the driver | then |
//! | --- | --- | --- |
//! | `Send` | sends the request | [`handle_response`](LoginFlow::handle_response) with the ID of the step; or again; or, in discovery, [`handle_unreachable`](LoginFlow::handle_unreachable) |
//! | `Wait` | waits as long as the server asks, or gives up | [`handle_timeout`](LoginFlow::handle_timeout) |
//! | `Locate` | asks the user for the homeserver's URL | [`use_homeserver`](LoginFlow::use_homeserver) |
//! | `Choose` | asks the user how to log in, and shows why the last try was refused | [`choose`](LoginFlow::choose) |
//! | `Browse` | opens the URL and takes the callback | [`handle_callback`](LoginFlow::handle_callback), or [`back`](LoginFlow::back) |
//! | `Done` | stores the session | |
//!
//! The page of [`handle_response`](LoginFlow::handle_response) has the table of what each response does.
//!
//! Four rules hold everywhere:
//!
//! 1. A step is a view, not an event: asking twice, dropping a future or failing to send loses nothing.
//! 2. An input returns `Ok` and the flow has moved, or an [`Error`] and nothing has changed. One exception: a login
//!    that was granted and is refused here ([`Error::MissingRefreshToken`], [`Error::WrongUser`]) is over, and the error
//!    owns its session.
//! 3. A refusal is a step, not an error, and no step is a dead end: `use_homeserver` works any time before there is a
//!    session, and `back` works after every choice.
//! 4. There is no clock, no randomness and no I/O inside.
//!
//! The driver decides whether and when to try again; [`Error::may_retry`] says whether it can help. A login request is not
//! idempotent: if its response is lost, it may have made a device. With a [device ID](LoginSettings::with_device_id) of
//! your own, a repeated request leads to that device and not to another one.
//!
//! # Late responses
//!
//! A response belongs to a request. [`Step::Send`] has a [`RequestId`], and [`LoginFlow::handle_response`] takes it back
//! with the response. Every input that the flow accepts makes all earlier IDs stale. A response with a stale ID is
//! [`Error::StaleResponse`], and nothing changes. So a late response never counts for another request, or for another
//! homeserver.
//!
//! If a user goes [back](LoginFlow::back) or [elsewhere](LoginFlow::use_homeserver) while a login request is in flight, its
//! late response may still grant a login. Nobody uses that login, but its device stays in the user's list. A driver ends it
//! like this:
//!
//! ```
//! use http::{Request, Response};
//! use matrix_login::{
//!     Homeserver,
//!     endpoint::{login, logout},
//! };
//!
//! /// The request that ends a login which was granted too late. `None` if the response grants none.
//! fn end_late_login(response: &Response<Vec<u8>>, asked: &Homeserver) -> Option<Request<Vec<u8>>> {
//!     let granted = login::response(response).ok()?;
//!     Some(logout::request(asked, &granted.access_token))
//! }
//! #
//! # let granted = r#"{"user_id": "@alice:example.org", "device_id": "KITCHEN", "access_token": "t"}"#;
//! # let asked = "https://example.org".parse()?;
//! # assert!(end_late_login(&Response::new(granted.into()), &asked).is_some());
//! # assert!(end_late_login(&Response::new(b"{}".into()), &asked).is_none());
//! # Ok::<(), matrix_login::Error>(())
//! ```
//!
//! # Finding the homeserver
//!
//! [`LoginFlow::discover`] takes a [`ServerName`] and follows the specification: the well-known file, and the versions
//! of the homeserver that it names. If that leads nowhere, [`Step::Locate`] says why, and a [`DiscoveryOutcome`] says what
//! to do. [`LoginFlow::at`] takes a [`Homeserver`] whose address is known and asks it for its login types straight away.
//! The flow itself follows redirects of the well-known file, to https only. Nobody follows other redirects. A transport
//! that cannot avoid following redirects (a browser's `fetch`) may do so for that GET alone.
//!
//! # Who logs in, and how
//!
//! [`LoginTypes::for_a_person`] is what to offer. A [`Choice`] is a login type with its credentials:
//! [`password`](Choice::password), [`token`](Choice::token), [`sso`](Choice::sso),
//! [`application_service`](Choice::application_service), or a [`custom`](Choice::custom) one.
//! [`with_field`](Choice::with_field) adds to its request what this crate does not know. A [`UserIdentifier`] is a user
//! name, a user ID, an e-mail address, a phone number or anything else that the homeserver knows. [`LoginSettings`] are the
//! same for all of them.
//!
//! # Single sign-on
//!
//! ```
//! use matrix_login::{Choice, Redirect};
//! use url::Url;
//!
//! # let sixteen_random_bytes_in_hex = "00112233445566778899aabbccddeeff";
//! let callback = Url::parse("http://127.0.0.1:8765/callback")?;
//! let choice = Choice::sso(Redirect::new(callback, sixteen_random_bytes_in_hex)?);
//! # drop(choice);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Step::Browse`] is the URL to open. The browser comes back to the callback with a login token and the state. If the
//! state is the right one, the flow logs in with the token at once. A user who gives up never comes back, so limit the time
//! that you wait.
//!
//! The callback may reach another process, or this one after a restart. [`LoginFlow::suspend`] makes a small object in every
//! state, without any credential, and [`LoginFlow::resume`] goes on with it. [`endpoint::callback::state`] finds the state
//! in a callback, so a web backend can store suspended flows under it. [`endpoint::sso`] shows how, and how a login stays
//! with the browser that began it.
//!
//! # The session
//!
//! A [`Session`] contains the tokens. It serialises to a JSON object, **with the tokens in it**, and
//! [`Session::from_json`] reads it back; `{}` is nobody. [`Session::authorize`] puts the access token into a request, and
//! refuses if the request goes elsewhere.
//!
//! ```
//! use matrix_login::{LoginFlow, Session};
//!
//! let stored = r#"{"access_token": "t", "user_id": "@alice:example.org", "device_id": "KITCHEN",
//!     "base_client_url": "https://example.org/_matrix/client/"}"#;
//! let session = Session::from_json(stored)?.expect("somebody is logged in");
//! let mut request = http::Request::get("https://example.org/_matrix/client/v3/account/whoami").body(())?;
//! session.authorize(&mut request)?;
//!
//! assert!(Session::from_json("{}")?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keeping a session alive
//!
//! Where access tokens expire, a refresh token gets the next one. [`Session::refresh_in`] says when it is time.
//! [`Session::refresh_request`] and [`Session::handle_refresh`] do it, and [`Refresh`] says what came of it.
//! [`Session::judge`] says what the response to any other request means for the session. Clocks jump, so the homeserver has
//! the last word on what has expired. Only the homeserver can end a session: no bad network, no failing server and no page
//! of a captive portal does.
//!
//! **Only one user of a session at a time may refresh it.** The specification allows to use a refresh token again until a
//! token that it got is used. So a lost response costs nothing. But a second response ends the tokens of the first. If two
//! refresh at once, one of them gets a pair of tokens that is already dead. And some homeservers take a refresh token only
//! once. So refresh like this:
//!
//! ```
//! use std::{
//!     error::Error,
//!     sync::{Mutex, PoisonError},
//!     time::SystemTime,
//! };
//!
//! use http::{Request, Response};
//! use matrix_login::{Refresh, Session};
//!
//! type Failure = Box<dyn Error + Send + Sync>;
//!
//! /// Refreshes the session that threads share, after the access token of `used` was refused or has expired. What to go on
//! /// with is `shared` then; what was said is `None` if another thread has seen to it.
//! fn refresh(
//!     shared: &Mutex<Session>,
//!     used: &Session,
//!     send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
//!     store: impl Fn(&Session) -> Result<(), Failure>,
//! ) -> Result<Option<Refresh>, Failure> {
//!     // 1. Alone. Whoever comes meanwhile waits here.
//!     let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
//!     // 2. Look again: the refresh token of `used` may be spent by now, or given up.
//!     if !session.has_token_of(used) || session.refresh_token().is_none() {
//!         return Ok(None);
//!     }
//!     let mut next = session.clone();
//!     let response = send(next.refresh_request()?)?;
//!     let outcome = next.handle_refresh(&response, SystemTime::now());
//!     match outcome {
//!         // 3. Store it, then use it: its first use spends the refresh token that was stored before.
//!         Refresh::Refreshed => {
//!             store(&next)?;
//!             *session = next;
//!         }
//!         // 4. Nobody has to ask this again.
//!         Refresh::TokenGone(_) | Refresh::Unsupported(_) => session.forget_refresh_token(),
//!         Refresh::Later { .. } | Refresh::SoftLogout(_) | Refresh::Locked(_) => {}
//!     }
//!     Ok(Some(outcome))
//! }
//! #
//! # fn main() -> Result<(), Failure> {
//! # let session = r#"{"access_token": "1", "refresh_token": "1", "user_id": "@alice:example.org", "device_id": "KITCHEN",
//! #     "base_client_url": "https://example.org/_matrix/client/"}"#;
//! # let used = Session::from_json(session)?.expect("somebody is logged in");
//! # let shared = Mutex::new(used.clone());
//! # let send = |_| Ok(Response::new(br#"{"access_token": "2", "refresh_token": "2", "expires_in_ms": 300000}"#.into()));
//! # assert!(matches!(refresh(&shared, &used, send, |_| Ok(()))?, Some(Refresh::Refreshed)));
//! # assert_eq!(shared.lock().unwrap().access_token().expose(), "2");
//! # Ok(())
//! # }
//! ```
//!
//! Tasks do the same with their runtime's mutex. Processes that share a file use a lock from a library. They take the lock
//! and read the session again. If nobody else has refreshed it, they do, write the session to a new file, rename that over
//! the old one, and let the lock go. The lock is on a third file, because the one with the session is replaced.
//! `examples/login/stored.rs` and `session_file.rs` do this, and tests run them with several processes at once. Tokens that
//! cannot be stored may be lost: look whether there is room before you send the request, and do not give up storing soon.
//!
//! # Logging in again, and logging out
//!
//! After a soft logout the device is still there, with its encryption keys. [`LoginFlow::again`] logs in on that device. It
//! refuses the session of another user with [`Error::WrongUser`], which owns that session. Only one user of a session at a
//! time may do this too. A verdict is about the access token that was sent: if the shared session has another one by now,
//! send the request again.
//!
//! [`endpoint::logout`] ends a session and [`endpoint::logout_all`] ends all of a user's sessions. Refresh a session that
//! has expired before you log it out. If the homeserver does not know the access token, that counts as a success. But if
//! the session has a refresh token, it may not be over: refresh it, and log out with the new access token.
//! [`endpoint::whoami`] asks whose session it is.
//!
//! # Without the flow
//!
//! Below the flow are pure functions, a `request` and a `response` for each [`endpoint`]. They check as much as the flow
//! does. [`Session::granted`] makes a session of a login response that came another way: from the homeserver's
//! [fallback page](endpoint::login_fallback), which works for login types that no client knows, from a registration, or
//! from another crate. A device that is logged in can [get a login token](endpoint::get_token) for a new one.
//!
//! # Secrets
//!
//! [`Password`], [`LoginToken`], [`AccessToken`] and [`RefreshToken`] print as `[redacted]`. They have no `Display`, no `Eq`
//! and no `Serialize`; only `expose` returns them. No error and no `Debug` output of this crate contains the body of a
//! response, or the values of [`Fields`] that it does not know. The words of a server in a [`ServerError`] are shown. The
//! `Debug` of [`http::Request`] prints the body: do not log the request of [`Step::Send`]. A server chooses user IDs, names
//! and messages: [`one_line`] makes them safe for a terminal.
//!
//! # What is not in it
//!
//! - Registration, and the OAuth 2.0 API. A homeserver that has only the latter is
//!   [`ResponseError::LoginUnsupported`].
//! - HTTP, TLS, timeouts, retries, storage, random numbers: the caller has them.
//! - End-to-end encryption, synchronisation, rooms: a Matrix SDK goes on where the session begins.
//!
//! Types of other crates in this API: those of [`http`], [`url::Url`], [`serde_json::Map`] and [`serde_json::Value`],
//! and serde's traits. The oldest Rust that this crate compiles with is 1.85; only a minor release raises it.
#![warn(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

/// The README's code is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod address;
mod credentials;
pub mod endpoint;
mod error;
mod fields;
mod flow;
mod invalid_input;
mod session;
mod settings;
mod shown;

pub use self::address::homeserver::Homeserver;
pub use self::address::server_name::ServerName;
pub use self::address::user_id::UserId;
pub use self::credentials::Credentials;
pub use self::credentials::identifier::UserIdentifier;
pub use self::credentials::redirect::{Action, Redirect};
pub use self::credentials::secret::{AccessToken, LoginToken, Password, RefreshToken};
#[doc(inline)]
pub use self::endpoint::{
    Endpoint, MAX_BODY, callback::ForeignCallback, error::ResponseError, login_types::IdentityProvider,
    login_types::LoginType, login_types::LoginTypes, retry_after::RetryAfter, server_error::ServerError,
    well_known::DiscoveryFailure, well_known::DiscoveryOutcome,
};
pub use self::error::Error;
pub use self::fields::Fields;
pub use self::flow::LoginFlow;
pub use self::flow::choice::Choice;
pub use self::flow::drive::body::BodyCollector;
pub use self::flow::drive::{DriveError, Pause, Transport, blocking, drive};
pub use self::flow::state::Discovered;
pub use self::flow::step::{RequestId, Step};
pub use self::flow::suspended::Suspended;
pub use self::flow::wait::Wait;
pub use self::invalid_input::InvalidInput;
pub use self::session::Session;
pub use self::session::error::SessionError;
pub use self::session::refresh::Refresh;
pub use self::session::verdict::Verdict;
pub use self::settings::LoginSettings;
pub use self::shown::one_line;
