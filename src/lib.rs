//! Logs in to a Matrix homeserver without doing any I/O.
//!
//! A server name or an address goes in, and a [`Session`] comes out. This crate finds the homeserver and asks what it
//! supports. It logs in with a password, a token, single sign-on or OAuth 2.0, or as an application service. It handles
//! refusals, rate limits and redirects. It builds [`http::Request`]s and reads [`http::Response`]s. Your program
//! decides which HTTP client sends them, on which runtime, and with which TLS.
//!
//! # Six words
//!
//! A [`LoginFlow`] is one login, as plain data. This page calls it the flow.
//!
//! - **Driver**: your code around a flow. It sends requests, waits, and asks the user.
//! - **Step**: what a flow needs next from the driver. See [`Step`].
//! - **Input**: a call that moves the flow to another step, such as [`choose`](LoginFlow::choose).
//! - **Due**: the step that the flow waits for now.
//! - **Refusal**: the server refuses this attempt. The flow then asks again how to log in.
//! - **Verdict**: what a response means for the session that sent the request. See [`Verdict`].
//!
//! # A login
//!
//! ```
//! use std::{convert::Infallible, error::Error, time::SystemTime};
//!
//! use http::{Request, Response};
//! use matrix_login::{
//!     Choice, LoginFlow, LoginSettings, Password, Pause, Step, Transport, UserId,
//!     UserIdentifier, drive, one_line,
//! };
//!
//! /// 1. A transport has your HTTP client and your timer. This one plays a homeserver.
//! struct Client;
//!
//! impl Transport for Client {
//!     type Body = &'static str;
//!     type Error = Infallible;
//!
//!     async fn send(
//!         &mut self,
//!         request: Request<Vec<u8>>,
//!     ) -> Result<Response<&'static str>, Infallible> {
//!         Ok(Response::new(match (request.method().as_str(), request.uri().path()) {
//!             (_, "/.well-known/matrix/client") => {
//!                 r#"{"m.homeserver": {"base_url": "https://matrix.example.org"}}"#
//!             }
//!             (_, "/_matrix/client/versions") => r#"{"versions": ["v1.18"]}"#,
//!             ("GET", _) => r#"{"flows": [{"type": "m.login.password"}]}"#,
//!             _ => {
//!                 r#"{"user_id": "@alice:example.org", "device_id": "KITCHENTABLET",
//!                     "access_token": "secret"}"#
//!             }
//!         }))
//!     }
//!
//!     async fn pause(&mut self, pause: Pause<'_>) -> Result<(), Infallible> {
//!         let _ = pause.remaining(self.now()); // Your timer sleeps as long as this.
//!         Ok(())
//!     }
//!
//!     fn now(&self) -> SystemTime {
//!         SystemTime::now()
//!     }
//! }
//!
//! async fn log_in() -> Result<(), Box<dyn Error>> {
//!     // 2. A flow is one login. It begins with the server name, or with an address.
//!     let user_id: UserId = "@alice:example.org".parse()?;
//!     let settings = LoginSettings::default().with_device_id("KITCHENTABLET")?;
//!     let mut flow = LoginFlow::discover(user_id.server_name(), settings);
//!     let password = Password::new("correct horse");
//!     let choice = Choice::password(UserIdentifier::from(&user_id), password);
//!     loop {
//!         match drive(&mut flow, &mut Client).await? {
//!             // 3. A person is needed: here, to choose how to log in.
//!             Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
//!             Step::Choose { refused: Some(refused), .. } => {
//!                 return Err(refused.clone().into());
//!             }
//!             // 4. The login is done. Store the session.
//!             Step::Done(session) => {
//!                 println!("logged in as {}", one_line(session.user_id().as_str()));
//!                 return Ok(());
//!             }
//!             step => return Err(format!("a person is needed: {step:?}").into()),
//!         }
//!     }
//! }
//! # futures_executor::block_on(log_in())?;
//! # Ok::<(), Box<dyn Error>>(())
//! ```
//!
//! 1. A [`Transport`] sends a request, waits, and knows the time. Its HTTP client must not follow redirects, and must
//!    return a 4xx and a 5xx as responses. It should stop reading a body one byte after [`MAX_BODY`], which is 64 KiB:
//!    [`BodyCollector`] does so. Let its `Error` be an [`Error`](std::error::Error), for example [`std::io::Error`].
//!    Then [`DriveError`] implements `Error` too.
//! 2. [`LoginFlow::discover`] finds the homeserver of a server name. If you know the address, use [`LoginFlow::at`].
//!    Each login makes a device, which the user sees in a list. With a device ID of your own, a login that you repeat
//!    does not make a second device.
//! 3. [`drive()`] sends requests until a person is needed, and returns the step that is due. Here it is
//!    [`Step::Choose`]. After a refusal it is due again, with the reason.
//! 4. [`Session::to_json`] is what a program stores. The server chooses user IDs and messages: [`one_line`] makes them
//!    safe for a terminal.
//!
//! If sending fails, [`drive()`] returns an error, and the flow does not change: the same step is still due. Call
//! [`drive()`] again to send the request again. Print errors with `{error}`, which is a sentence for people.
//! [`blocking`] is the same without `async`, and its page has a whole program with ureq.
//!
//! In discovery, a host may never respond, for example because the user has mistyped its name. Then the flow can go on
//! without the response, and [`Step::Locate`] is due:
//!
//! ```
//! use matrix_login::{DriveError, LoginFlow, Step, Transport, drive};
//!
//! /// Drives a login, and gives up requests that the flow can do without.
//! async fn drive_on<T: Transport>(
//!     flow: &mut LoginFlow,
//!     client: &mut T,
//! ) -> Result<(), DriveError<T::Error>> {
//!     while let Err(error) = drive(flow, client).await {
//!         let is_given_up = match (&error, flow.step()) {
//!             (DriveError::Transport(_), Step::Send { id, .. }) => {
//!                 flow.handle_unreachable(id).is_ok()
//!             }
//!             _ => false,
//!         };
//!         if !is_given_up {
//!             return Err(error);
//!         }
//!     }
//!     Ok(())
//! }
//! #
//! # struct Unplugged;
//! # impl Transport for Unplugged {
//! #     type Body = Vec<u8>;
//! #     type Error = std::io::Error;
//! #     async fn send(&mut self, _: http::Request<Vec<u8>>) -> std::io::Result<http::Response<Vec<u8>>> {
//! #         Err(std::io::ErrorKind::ConnectionRefused.into())
//! #     }
//! #     async fn pause(&mut self, _: matrix_login::Pause<'_>) -> std::io::Result<()> {
//! #         Ok(())
//! #     }
//! #     fn now(&self) -> std::time::SystemTime {
//! #         std::time::UNIX_EPOCH
//! #     }
//! # }
//! # let mut flow = LoginFlow::discover("mistyped.example".parse()?, Default::default());
//! # futures_executor::block_on(drive_on(&mut flow, &mut Unplugged))?;
//! # assert!(matches!(flow.step(), Step::Locate { .. }));
//! # let mut flow = LoginFlow::at("https://example.org".parse()?, Default::default());
//! # assert!(futures_executor::block_on(drive_on(&mut flow, &mut Unplugged)).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The methods of a flow
//!
//! **Five ways to begin.** [`discover`](LoginFlow::discover) with a server name, [`at`](LoginFlow::at) with an address,
//! [`again`](LoginFlow::again) with a session that has ended, [`logged_in`](LoginFlow::logged_in) with a session that
//! is alive, and [`resume`](LoginFlow::resume) with a flow that was [suspended](LoginFlow::suspend).
//!
//! **One output.** [`step`](LoginFlow::step) says what is due. It changes nothing: ask as often as you like.
//!
//! **Four inputs from the world**, each named after what has happened:
//!
//! - [`handle_response`](LoginFlow::handle_response): a response has arrived. Its page has a table of where each
//!   response leads.
//! - [`handle_unreachable`](LoginFlow::handle_unreachable): you give up on a request that got no response. The flow can
//!   go on without some requests. Without a response in discovery, [`Step::Locate`] is due. Without a response to POST
//!   revoke, or to GET `auth_metadata` if the login types are known, [`Step::Choose`] is due. For other requests this
//!   is an error: send the request again, or stop.
//! - [`handle_timeout`](LoginFlow::handle_timeout): the wait is over.
//! - [`handle_callback`](LoginFlow::handle_callback): the browser came back.
//!
//! **Two answers from a person.** [`choose`](LoginFlow::choose) says how to log in, and
//! [`use_homeserver`](LoginFlow::use_homeserver) says where.
//!
//! **One way back.** [`back`](LoginFlow::back) returns to [`Step::Choose`], or from [`Step::Locate`] to discovery.
//!
//! Four rules hold for all of them:
//!
//! 1. A step is a view, not an event. If you ask twice, drop a future or fail to send, nothing is lost.
//! 2. If an input returns `Ok`, the flow has moved. If it returns an [`Error`], nothing has changed. There is one
//!    exception: the homeserver grants a login, and the flow does not accept it ([`Error::MissingRefreshToken`],
//!    [`Error::WrongUser`]). Then [`Step::Choose`] is due again. The error contains the session: log it out, or use it.
//!    By default, the flow asks for a refresh token, and does not accept a session that expires and has none.
//!    [`LoginSettings::with_require_refresh_token`] changes that.
//! 3. A refusal is a step, not an error, and every step has a way out. `back` works in [`Step::Locate`], and after
//!    every choice until the login is done. `use_homeserver` works until the login is done, but not while the flow
//!    waits for the user ID of tokens (`GET whoami`).
//! 4. A flow has no clock, no randomness and no I/O. You give it the time.
//!
//! # A loop of your own
//!
//! [`drive()`] is enough for most programs. If you need another loop, begin with this one:
//!
//! ```
//! use std::{
//!     error::Error,
//!     time::{Duration, SystemTime},
//! };
//!
//! use http::{Request, Response};
//! use matrix_login::{Choice, LoginFlow, RequestId, Session, ShownCode, Step};
//! use url::Url;
//!
//! type Failure = Box<dyn Error>;
//!
//! /// Logs in with one choice. Gives up if sending fails, after a refusal, after three waits
//! /// and if the server asks for more than a minute. `browse` opens a URL and returns the
//! /// callback. `show` shows a code.
//! fn log_in(
//!     mut flow: LoginFlow,
//!     choice: Choice,
//!     mut send: impl FnMut(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
//!     mut sleep: impl FnMut(Duration),
//!     mut browse: impl FnMut(&Url) -> Result<Url, Failure>,
//!     mut show: impl FnMut(&ShownCode),
//! ) -> Result<Session, Failure> {
//!     loop {
//!         match flow.step() {
//!             // 1. Send the request, and give the response to the flow.
//!             Step::Send { id, request } => {
//!                 let done = exchange(&mut flow, id, request, &mut send);
//!                 match flow.shown_code() {
//!                     // A poll that fails is due again until the code ends.
//!                     Some(code) if done.is_err() && lives(code) => sleep(code.interval()),
//!                     _ => done?,
//!                 }
//!             }
//!             // 2. Wait as long as the server asks.
//!             Step::Wait(wait) => {
//!                 let remaining = wait.remaining(SystemTime::now());
//!                 if wait.attempt() > 3 || remaining > Duration::from_secs(60) {
//!                     return Err(wait.error().clone().into());
//!                 }
//!                 sleep(remaining);
//!                 flow.handle_timeout()?;
//!             }
//!             // 3. No homeserver was found.
//!             Step::Locate { failure, .. } => return Err(failure.clone().into()),
//!             // 4. Answer the question how to log in.
//!             Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
//!             Step::Choose { refused: Some(error), .. } => return Err(error.clone().into()),
//!             // 5. The user logs in in a browser.
//!             Step::Browse(url) => {
//!                 let callback = browse(url)?;
//!                 flow.handle_callback(&callback)?;
//!             }
//!             // 6. The user enters a code on another device.
//!             Step::ShowCode(code) => {
//!                 if code.is_new() {
//!                     show(code);
//!                 }
//!                 sleep(code.remaining(SystemTime::now()));
//!                 flow.handle_timeout()?;
//!             }
//!             // 7. Store the session.
//!             Step::Done(session) => return Ok(session.clone()),
//!         }
//!     }
//! }
//!
//! /// Sends a request, and gives the response to the flow.
//! fn exchange(
//!     flow: &mut LoginFlow,
//!     id: RequestId,
//!     request: Request<Vec<u8>>,
//!     send: impl FnOnce(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
//! ) -> Result<(), Failure> {
//!     let response = send(request)?;
//!     flow.handle_response(id, &response, SystemTime::now())?;
//!     Ok(())
//! }
//!
//! /// Whether a code has an end, and that end is not reached.
//! fn lives(code: &ShownCode) -> bool {
//!     code.expires_at().is_some_and(|end| end > SystemTime::now())
//! }
//! #
//! # type Sent = Result<Response<Vec<u8>>, Failure>;
//! # let mut flow = LoginFlow::at("https://example.org".parse()?, Default::default());
//! # let send = |request: Request<Vec<u8>>| -> Sent {
//! #     Ok(Response::new(match request.method().as_str() {
//! #         "GET" => r#"{"flows":[{"type":"m.login.password"}]}"#.into(),
//! #         _ => r#"{"user_id":"@alice:example.org","device_id":"KITCHEN","access_token":"t"}"#.into(),
//! #     }))
//! # };
//! # let password = matrix_login::Password::new("correct horse");
//! # let choice = Choice::password(matrix_login::UserIdentifier::user("alice"), password);
//! # let browse = |_: &Url| Err("no browser".into());
//! # let session = log_in(flow, choice, send, |_| (), browse, |_| ())?;
//! # assert_eq!(session.device_id(), "KITCHEN");
//! # Ok::<(), Failure>(())
//! ```
//!
//! 1. [`Step::Send`]: send the request, and give the response to the flow with the [ID](RequestId) of the step. A
//!    response with an older ID is [`Error::StaleResponse`]. If no response comes, the same request is still due.
//! 2. [`Step::Wait`]: wait as long as the server asks, or give up. A server can ask for a year, and the flow sets no
//!    limit.
//! 3. [`Step::Locate`]: no homeserver was found, and [`DiscoveryFailure`] says why. A program with a user asks for the
//!    address and calls [`use_homeserver`](LoginFlow::use_homeserver). If a request of discovery gets no response, this
//!    step comes after [`handle_unreachable`](LoginFlow::handle_unreachable).
//! 4. [`Step::Choose`]: ask the user how to log in. `refused` says why the last attempt failed.
//! 5. [`Step::Browse`]: open the URL. The browser comes back to an address, the callback. Give it to
//!    [`handle_callback`](LoginFlow::handle_callback).
//! 6. [`Step::ShowCode`]: show the code once, and wait until the next poll. A poll is a request for the tokens of the
//!    code.
//! 7. [`Step::Done`]: store the session.
//!
//! [`Error::may_retry`] says whether the same request can succeed later. Try again a few times, and wait longer each
//! time. A login request is not idempotent: if its response is lost, the homeserver may have made a device. With a
//! [device ID](LoginSettings::with_device_id) of your own, a repeated request leads to the same device.
//!
//! # HTTP clients
//!
//! A transport needs three things from its HTTP client: a 4xx and a 5xx are responses, redirects are not followed, and
//! the time is limited. Most clients need a switch for that:
//!
//! | client | a 4xx, a 5xx | redirects | gzip | proxy | limit of time |
//! | --- | --- | --- | --- | --- | --- |
//! | `hyper-util` 0.1 | responses | not followed | not asked for | not used | none |
//! | `isahc` 2 | responses | not followed | decoded | used | none |
//! | `reqwest` 0.13 | responses | followed | decoded, with its feature `gzip` | used | none; `blocking`: 30 s |
//! | `ureq` 3 | errors | followed | decoded, with its feature `gzip` | used | none |
//!
//! - `hyper-util`: time: `tokio::time::timeout(..)` around the whole exchange.
//! - `isahc`: time: `timeout(..)`; no proxy: `proxy(None)`; no gzip: `automatic_decompression(false)`.
//! - `reqwest`: redirects: `redirect(Policy::none())`; time: `timeout(..)`; no proxy: `no_proxy()`; no gzip:
//!   `no_gzip()`.
//! - `ureq`: a 4xx and a 5xx: `http_status_as_error(false)`; redirects: `max_redirects(0)`; time:
//!   `timeout_global(Some(..))`; no proxy: `proxy(None)`; no gzip: leave out the feature.
//!
//! *Proxy* is the proxy that the environment names, for example in `https_proxy`. A client does not need to decode
//! gzip: if a body is still compressed, the flow returns an error that says so. None of these clients keeps cookies
//! unless a feature of its crate is switched on. The folder `stacks` of the repository has a program of at most sixty
//! lines for each client, and the tests of every switch in this table.
//!
//! This is `send` for the asynchronous `reqwest`:
//!
//! ```ignore
//! async fn send(&mut self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
//!     let request = request.try_into().map_err(io::Error::other)?;
//!     let mut response = self.0.execute(request).await.map_err(io::Error::other)?;
//!     let mut body = BodyCollector::default();
//!     while let Some(chunk) = response.chunk().await.map_err(io::Error::other)? {
//!         body.push(chunk);
//!         if body.is_full() {
//!             break;
//!         }
//!     }
//!     let (head, _) = Response::<reqwest::Body>::from(response).into_parts();
//!     Ok(body.into_response(head))
//! }
//! ```
//!
//! # In a browser
//!
//! The crate compiles to `wasm32-unknown-unknown`, and needs nothing from its environment there. A [`Transport`] on
//! `fetch` differs from other transports:
//!
//! - **Clock.** [`SystemTime::now`](std::time::SystemTime::now) compiles for that target, and panics. Use `Date.now` of
//!   JavaScript.
//! - **Random values.** `crypto.getRandomValues` makes the state, the verifier and the device ID. With its feature
//!   `wasm_js`, the crate `getrandom` calls that function.
//! - **Redirects.** `fetch` does not show where a redirect leads. It follows the redirect, or it fails. Let it fail:
//!   `redirect: "error"`. There is one exception: the request for the well-known file contains no secret, so `fetch`
//!   may follow its redirects.
//! - **Limits.** `fetch` has none. `AbortSignal.timeout` limits the time, including the time of the body. Read the body
//!   in chunks into a [`BodyCollector`], and cancel the reader when the collector is full.
//! - **CORS.** A page sees the status, the body and a few headers. It sees `Retry-After` only if the server exposes
//!   that header. Without it, the flow uses `retry_after_ms` of the body, or else times of its own, which grow. If a
//!   server is not reachable, redirects, or does not allow the page to read its responses, `fetch` fails without a
//!   reason.
//! - **Encoding.** The browser decodes the body, and keeps the header `Content-Encoding`. Remove that header: otherwise
//!   the flow believes that the body is still compressed.
//! - **Cookies.** A login needs none: `credentials: "omit"`.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use http::{Request, Response};
//! use matrix_login::{BodyCollector, Pause, Transport};
//!
//! # mod js {
//! #     use std::time::Duration;
//! #     use http::{Request, Response};
//! #     pub struct Reader;
//! #     impl Reader {
//! #         pub async fn read(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
//! #             Ok(Some(vec![b' '; 60_000]))
//! #         }
//! #         pub async fn cancel(self) -> Result<(), &'static str> {
//! #             Ok(())
//! #         }
//! #     }
//! #     pub async fn fetch(
//! #         request: &Request<Vec<u8>>, redirect: &str, _: Duration,
//! #     ) -> Result<Response<Reader>, &'static str> {
//! #         let is_well_known = request.uri().path().starts_with("/.well-known/");
//! #         assert_eq!(redirect == "follow", is_well_known);
//! #         Ok(Response::new(Reader))
//! #     }
//! #     pub async fn sleep(_: Duration) -> Result<(), &'static str> {
//! #         Ok(())
//! #     }
//! #     pub fn date_now() -> f64 {
//! #         1500.7
//! #     }
//! # }
//! /// The module `js` calls JavaScript, as `stacks/browser` does with `web-sys`. Its `fetch`
//! /// sends no cookies, and removes `Content-Encoding` from the response.
//! struct Fetch;
//!
//! impl Transport for Fetch {
//!     type Body = Vec<u8>;
//!     type Error = &'static str;
//!
//!     async fn send(
//!         &mut self,
//!         request: Request<Vec<u8>>,
//!     ) -> Result<Response<Vec<u8>>, Self::Error> {
//!         let redirect = match request.uri().path() {
//!             "/.well-known/matrix/client" => "follow",
//!             _ => "error",
//!         };
//!         let fetched = js::fetch(&request, redirect, Duration::from_secs(30)).await?;
//!         let (head, mut reader) = fetched.into_parts();
//!         let mut body = BodyCollector::default();
//!         while !body.is_full() {
//!             let Some(chunk) = reader.read().await? else { break };
//!             body.push(chunk);
//!         }
//!         reader.cancel().await?;
//!         Ok(body.into_response(head))
//!     }
//!
//!     async fn pause(&mut self, pause: Pause<'_>) -> Result<(), Self::Error> {
//!         js::sleep(pause.remaining(self.now())).await
//!     }
//!
//!     fn now(&self) -> SystemTime {
//!         SystemTime::UNIX_EPOCH + Duration::from_millis(js::date_now() as u64)
//!     }
//! }
//! #
//! # assert_eq!(Fetch.now(), SystemTime::UNIX_EPOCH + Duration::from_millis(1500));
//! # for path in ["/.well-known/matrix/client", "/_matrix/client/v3/login"] {
//! #     let request = Request::get(path).body(Vec::new()).unwrap();
//! #     let response = futures_executor::block_on(Fetch.send(request)).unwrap();
//! #     assert_eq!(response.body().len(), matrix_login::MAX_BODY + 1);
//! # }
//! ```
//!
//! Single sign-on and OAuth 2.0 leave the page: the browser goes to the URL of [`Step::Browse`], and loads the page
//! again at the callback. Give the whole `location.href` to [`handle_callback`](LoginFlow::handle_callback), with the
//! fragment. Then remove the token or the code from the address with `history.replaceState`.
//!
//! Meanwhile, the [suspended](LoginFlow::suspend) flow waits in `sessionStorage`. Remove it from there before you use
//! it, so that it is used once. `sessionStorage` belongs to one tab and one origin, so pages of the homeserver cannot
//! read it. Every script of your origin can read it, and browser extensions can, too. Such a script could also read the
//! password. So allow only your own scripts, with a `Content-Security-Policy`. Do not store a suspended flow in
//! `localStorage`, which outlives the tab.
//!
//! The folder `stacks/browser` of the repository has the whole page.
//!
//! # Finding the homeserver
//!
//! [`LoginFlow::discover`] takes a [`ServerName`] and follows the specification. It loads the [well-known
//! file](https://spec.matrix.org/v1.18/client-server-api/#well-known-uris), and asks the homeserver that the file names
//! for its versions. If that fails, [`Step::Locate`] is due, and a [`DiscoveryOutcome`] says what to do. After `Ignore`
//! there is no well-known file: ask the user, or try `https://` and the server name. [`LoginFlow::at`] takes the
//! address of a [`Homeserver`], and asks it for its login types at once.
//!
//! The file is loaded over https from the host of the server name, without its port. To reach a server on your machine,
//! use `LoginFlow::at("http://127.0.0.1:8008".parse()?, ..)`: the caller can choose plain http, and a server cannot.
//!
//! The flow itself follows redirects of the well-known file, to https only. All other redirects are errors. A transport
//! that cannot stop redirects, such as `fetch`, may follow redirects of the well-known file only.
//!
//! A person may type a URL or a server name. [`Typed`] reads the text, and [`ServerAddress`] says which of the two it
//! is:
//!
//! ```
//! use matrix_login::{InvalidInput, LoginFlow, LoginSettings, ServerAddress, Typed};
//!
//! fn begin(typed: &str, settings: LoginSettings) -> Result<LoginFlow, InvalidInput> {
//!     Ok(match ServerAddress::try_from(&typed.parse::<Typed>()?)? {
//!         ServerAddress::Homeserver(homeserver) => LoginFlow::at(homeserver, settings),
//!         ServerAddress::ServerName(name) => LoginFlow::discover(name, settings),
//!     })
//! }
//!
//! let settings = LoginSettings::default;
//! assert!(begin(" example.org ", settings())?.server_name().is_some());
//! assert!(begin("https://example.org/_matrix", settings())?.homeserver().is_some());
//! # Ok::<(), InvalidInput>(())
//! ```
//!
//! # Who logs in, and how
//!
//! [`LoginTypes::for_a_person`] lists the login types that a client should offer to a person. A [`Choice`] is a login
//! type with its credentials: [`password`](Choice::password), [`token`](Choice::token), [`sso`](Choice::sso),
//! [`application_service`](Choice::application_service), or a [`custom`](Choice::custom) login type. OAuth 2.0 has
//! [`authorization_code`](Choice::authorization_code) and [`device_authorization`](Choice::device_authorization).
//! [`with_field`](Choice::with_field) adds another field to the login request. [`LoginSettings`] are the same for all
//! choices. A [`UserIdentifier`] is a user name, a user ID, an e-mail address, a phone number, or anything else that
//! the homeserver knows.
//!
//! [`Typed`] finds out which of these a person has typed. It also accepts links to a user, and copied text. It says if
//! it is not sure. For example, `alice@example.org` can be an e-mail address, or a mistyped user ID:
//!
//! ```
//! use matrix_login::{Typed, UserIdentifier};
//!
//! let typed: Typed = "alice@example.org ".parse()?;
//! if !typed.is_sure() {
//!     println!("{typed} is probably this {}: {}", typed.best().kind(), typed.best());
//!     for other in typed.others() {
//!         println!("it can also be this {}: {other}", other.kind());
//!     }
//! }
//! let identifier = UserIdentifier::try_from(typed.best())?;
//! assert_eq!(identifier.identifier_type(), "m.id.thirdparty");
//! # Ok::<(), matrix_login::InvalidInput>(())
//! ```
//!
//! A program that offers several ways tries OAuth 2.0 first, then single sign-on, then a password:
//!
//! ```
//! use matrix_login::{Choice, CodeVerifier, Redirect, Step};
//!
//! /// The best way to log in that the homeserver offers.
//! fn best_way(
//!     step: &Step<'_>,
//!     redirect: Redirect,
//!     verifier: CodeVerifier,
//!     password: impl FnOnce() -> Choice,
//! ) -> Option<Choice> {
//!     let Step::Choose { login_types, oauth, .. } = step else { return None };
//!     let offers = |name| login_types.for_a_person().any(|offered| offered.name() == name);
//!     if matches!(oauth, Some(server) if server.offers_authorization_code()) {
//!         // First show the user where the browser goes: see "OAuth 2.0" below.
//!         Some(Choice::authorization_code(redirect, verifier))
//!     } else if offers("m.login.sso") {
//!         Some(Choice::sso(redirect))
//!     } else if offers("m.login.password") {
//!         Some(password())
//!     } else {
//!         None
//!     }
//! }
//! ```
//!
//! If it returns `None`, the homeserver may still have a [fallback page](endpoint::login_fallback).
//!
//! # Single sign-on
//!
//! ```
//! use matrix_login::{Choice, Redirect};
//! use url::Url;
//!
//! // Use 16 random bytes in hexadecimal, new ones for every login.
//! let state = "00112233445566778899aabbccddeeff";
//! let callback = Url::parse("http://127.0.0.1:8765/callback")?;
//! let choice = Choice::sso(Redirect::new(callback, state)?);
//! # drop(choice);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The state is a random text, new for every login. The callback contains the state too, so the flow knows that the
//! callback belongs to this login. The crate `getrandom` makes random bytes, and `examples/login/callback.rs` waits for
//! a callback. [`Step::Browse`] contains the URL to open. The browser comes back to the callback with a login token and
//! the state. If the state is right, the flow logs in with the token at once. A user who gives up never comes back, so
//! limit the time that you wait.
//!
//! The callback may reach another process, or the same process after a restart. [`LoginFlow::suspend`] returns the flow
//! as plain data without passwords and tokens, and [`LoginFlow::resume`] goes on from it. [`endpoint::callback::state`]
//! finds the state in a callback, so a web backend can store suspended flows under their states. [`endpoint::sso`]
//! shows how, and how to bind a login to the browser that began it. With OAuth 2.0, two things differ. After the
//! choice, POST register can be due: drive the flow until [`Step::Browse`], and then suspend it. After the callback,
//! more than one request is due: drive the resumed flow. The folder `stacks/web` of the repository has a whole web
//! application.
//!
//! # OAuth 2.0
//!
//! matrix.org, and every homeserver with the Matrix Authentication Service, use the OAuth 2.0 API. The older way to log
//! in, with login types, is called the legacy API. A flow uses OAuth 2.0 if the settings contain an [`OAuthClient`]. If
//! the homeserver does not have that API, the flow goes on without it:
//!
//! ```
//! use std::error::Error;
//!
//! use matrix_login::{
//!     Choice, CodeVerifier, LoginFlow, LoginSettings, OAuthClient, Redirect, Step,
//! };
//!
//! fn begin(new_device_id: &str) -> Result<LoginFlow, Box<dyn Error>> {
//!     // 1. Name your program, and an https page of your own. The server shows both.
//!     let client = OAuthClient::new("https://app.example.com/".parse()?, "Example");
//!     // 2. Name the device: ten random characters or more.
//!     let settings = LoginSettings::default().with_oauth(client);
//!     let settings = settings.with_device_id(new_device_id)?;
//!     Ok(LoginFlow::discover("matrix.org".parse()?, settings))
//! }
//!
//! /// Answers the question how to log in, if no earlier answer was `refused`. `state` and
//! /// `verifier` are random, and new for every login. The verifier is 32 bytes in
//! /// base64url: 43 characters.
//! fn choose(
//!     flow: &mut LoginFlow,
//!     state: &str,
//!     verifier: &str,
//! ) -> Result<(), Box<dyn Error>> {
//!     let Step::Choose { oauth: Some(metadata), refused: None, .. } = flow.step() else {
//!         return Err("the homeserver has no OAuth 2.0 API, or has refused".into());
//!     };
//!     // 3. Show the user where the browser goes. Ask before you go on.
//!     let (Some(page), Some(homeserver)) =
//!         (&metadata.authorization_endpoint, flow.homeserver())
//!     else {
//!         return Err("the homeserver offers no login in a browser".into());
//!     };
//!     println!("log in at {} for {homeserver}", page.url().host_str().unwrap_or_default());
//!     // 4. Choose. The browser comes back to this address.
//!     let redirect = Redirect::new("http://127.0.0.1:8765/callback", state)?;
//!     flow.choose(Choice::authorization_code(redirect, CodeVerifier::new(verifier)?))?;
//!     Ok(())
//! }
//! #
//! # let homeserver = |path: &str| match path {
//! #     "/.well-known/matrix/client" => r#"{"m.homeserver": {"base_url": "https://example.org"}}"#,
//! #     "/_matrix/client/versions" => r#"{"versions": ["v1.18"]}"#,
//! #     "/_matrix/client/v3/login" => r#"{"flows": []}"#,
//! #     _ => r#"{"issuer": "https://a.example/", "authorization_endpoint": "https://a.example/authorize",
//! #         "token_endpoint": "https://a.example/token", "response_types_supported": ["code"],
//! #         "registration_endpoint": "https://a.example/register", "response_modes_supported": ["query"],
//! #         "grant_types_supported": ["authorization_code"], "code_challenge_methods_supported": ["S256"]}"#,
//! # };
//! # let (state, verifier) = ("0123456789abcdef", "0123456789012345678901234567890123456789012");
//! # let mut flow = begin("QWKTZRVBHM")?;
//! # assert!(choose(&mut flow, state, verifier).is_err());
//! # while let Step::Send { id, request } = flow.step() {
//! #     let response = http::Response::new(homeserver(request.uri().path()));
//! #     flow.handle_response(id, &response, std::time::UNIX_EPOCH)?;
//! # }
//! # choose(&mut flow, state, verifier)?;
//! # assert!(matches!(flow.step(), Step::Send { request, .. } if request.uri().path() == "/register"));
//! # Ok::<(), Box<dyn Error>>(())
//! ```
//!
//! 1. The server shows the name of your program and its page to the user. The page can be any https page about the
//!    program. If the redirect URL is https too, give it the host of that page: servers want that. The flow registers
//!    the client, unless it is [registered already](OAuthClient::registered).
//! 2. The client chooses the device ID, and the user grants access for that device. The device ID has at least 10
//!    characters of `A-Z`, `a-z`, `0-9`, `-`, `.`, `_` and `~`. Take a new one for each new device.
//! 3. A homeserver says which OAuth 2.0 server it trusts. A malicious homeserver can name the honest OAuth 2.0 server
//!    of another homeserver. If the user logs in there, the malicious homeserver receives the access token, because
//!    `GET whoami` goes to the homeserver. The protocol cannot prevent that. **So show the host of the page next to the
//!    homeserver, and ask the user before you choose.** Do not show the issuer, which is only a name.
//! 4. After the choice, [`Step::Browse`] contains the URL to open, as for single sign-on. The browser comes back with a
//!    code. Give the callback to [`handle_callback`](LoginFlow::handle_callback). The flow exchanges the code for
//!    tokens, and asks the homeserver which user they belong to (`GET whoami`). If the redirect URL is https, and not
//!    on loopback, the code is in the fragment of the callback, which only a script of the page can see. A web backend
//!    calls [`Redirect::in_query`]: then the code is in the query.
//!
//! An OAuth 2.0 server can offer the login in a browser, the [login with a code](#a-device-without-a-browser), or
//! both. [`offers_authorization_code`] and [`offers_device_authorization`] say which.
//!
//! [`offers_authorization_code`]: endpoint::oauth::auth_metadata::AuthMetadata::offers_authorization_code
//! [`offers_device_authorization`]: endpoint::oauth::auth_metadata::AuthMetadata::offers_device_authorization
//!
//! Then the [`Session`] is like any other. [`refresh_request`](Session::refresh_request), [`judge`](Session::judge) and
//! [`logout_request`](Session::logout_request) know which API granted it. [`choose`](LoginFlow::choose) refuses a login
//! in a browser if the token endpoint has another origin than the page that the browser opens. So no code goes to
//! another server.
//!
//! [`CodeVerifier::new`](CodeVerifier) needs the feature `pkce`: `cargo add matrix-login --features pkce`. Without that
//! feature, compute the challenge yourself and call [`CodeVerifier::with_challenge`]. 32 random bytes in hexadecimal
//! are a verifier too, with 64 characters.
//!
//! **Protect a suspended login.** The data contain the state and the code verifier. The verifier is worthless without
//! its code. A person who can read both the data and the callback can log in as the user.
//!
//! - If no other program can read or write your store, you need no protection.
//! - If others can *write* to the store, sign the data: otherwise they can replace the login with one of their own.
//! - If others can *read* the store, as in a cookie, encrypt the data: the callback is in the history of the browser.
//!
//! A code, and tokens whose user is not known yet, are never stored. If a flow has them when you suspend it, the
//! resumed flow asks again how to log in.
//!
//! **If the response to POST token is lost**, the same request is still due. Some servers accept the code again for a
//! few seconds. Others end the session that the first request has made. Then call [`back`](LoginFlow::back), and log in
//! again.
//!
//! # A device without a browser
//!
//! A bot on a server, a command line and a television have no browser that can come back. They show an address and a
//! short code, the user code. The user opens that address on any device, and enters the code there. Meanwhile, the flow
//! polls. The settings contain an [`OAuthClient`] and a device ID of at least 10 characters, as for any OAuth 2.0
//! login. The feature `pkce` is not needed.
//!
//! ```
//! use std::error::Error;
//!
//! use matrix_login::{Choice, LoginFlow, Session, ShownCode, Step, blocking, one_line};
//!
//! /// Logs in with a code that the user enters elsewhere.
//! fn log_in<T>(flow: &mut LoginFlow, transport: &mut T) -> Result<Session, Box<dyn Error>>
//! where
//!     T: blocking::Transport<Error: Error + 'static>,
//! {
//!     loop {
//!         match blocking::drive(flow, transport) {
//!             // 1. Ask for a code.
//!             Ok(Step::Choose { refused: None, .. }) => {
//!                 flow.choose(Choice::device_authorization())?;
//!             }
//!             // 2. Show it.
//!             Ok(Step::ShowCode(code)) => {
//!                 let user_code = one_line(code.user_code());
//!                 println!("open {} on any device", code.verification_uri());
//!                 println!("and enter the code {user_code}");
//!                 if let Some(homeserver) = flow.homeserver() {
//!                     println!("if that page belongs to {homeserver}");
//!                 }
//!             }
//!             // 3. The user has agreed.
//!             Ok(Step::Done(session)) => return Ok(session.clone()),
//!             // 4. The user has refused, or the code has ended.
//!             Ok(Step::Choose { refused: Some(refused), .. }) => {
//!                 return Err(refused.clone().into());
//!             }
//!             Ok(step) => return Err(format!("a person is needed: {step:?}").into()),
//!             Err(error) => {
//!                 // 5. A poll that failed is still due: the next call waits and sends it.
//!                 let is_poll = matches!(flow.step(), Step::Send { .. });
//!                 let end = flow.shown_code().and_then(ShownCode::expires_at);
//!                 if !is_poll || end.is_none_or(|end| end <= transport.now()) {
//!                     return Err(error.into());
//!                 }
//!             }
//!         }
//!     }
//! }
//! #
//! # struct ByHeart(u32);
//! # impl blocking::Transport for ByHeart {
//! #     type Body = &'static str;
//! #     type Error = std::io::Error;
//! #     fn send(&mut self, request: http::Request<Vec<u8>>) -> std::io::Result<http::Response<&'static str>> {
//! #         Ok(http::Response::new(match request.uri().path() {
//! #             "/_matrix/client/v3/login" => r#"{"flows": []}"#,
//! #             "/_matrix/client/v1/auth_metadata" => r#"{"issuer": "https://a.example/",
//! #                 "token_endpoint": "https://a.example/token",
//! #                 "device_authorization_endpoint": "https://a.example/device",
//! #                 "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"]}"#,
//! #             "/device" => r#"{"device_code": "d", "user_code": "WDJB-MJHT", "expires_in": 60,
//! #                 "verification_uri": "https://a.example/link"}"#,
//! #             "/token" => {
//! #                 self.0 += 1;
//! #                 match self.0 {
//! #                     1 => return Err(std::io::Error::other("connection reset")),
//! #                     2 => r#"{"error": "authorization_pending"}"#,
//! #                     _ => r#"{"access_token": "t"}"#,
//! #                 }
//! #             }
//! #             _ => r#"{"user_id": "@alice:example.org", "device_id": "QWKTZRVBHM"}"#,
//! #         }))
//! #     }
//! #     fn pause(&mut self, _: matrix_login::Pause<'_>) -> std::io::Result<()> { Ok(()) }
//! #     fn now(&self) -> std::time::SystemTime { std::time::SystemTime::now() }
//! # }
//! # let client = matrix_login::OAuthClient::registered("c")?;
//! # let settings = matrix_login::LoginSettings::default().with_oauth(client).with_device_id("QWKTZRVBHM")?;
//! # let mut flow = LoginFlow::at("https://example.org".parse()?, settings);
//! # assert_eq!(log_in(&mut flow, &mut ByHeart(0))?.device_id(), "QWKTZRVBHM");
//! # Ok::<(), Box<dyn Error>>(())
//! ```
//!
//! 1. The flow registers the client, and asks for a code.
//! 2. [`Step::ShowCode`] contains the user code and the address where the user enters it. It may contain a second
//!    address for a QR code, which includes the user code. Show the host of the address next to the homeserver: the
//!    user should enter the code only if the two belong together. `SECURITY.md` says why. [`drive()`] and
//!    [`blocking::drive`] return a new code once. Call them again: they poll until the user has decided.
//! 3. If the user agrees, `GET whoami` says which user the tokens belong to. If that request fails, the flow keeps the
//!    tokens: try again. If you give up, call [`back`](LoginFlow::back), which makes POST revoke due, and send that
//!    request. Otherwise an unused device stays in the user's list.
//! 4. If the user refuses, or if the code ends, [`Step::Choose`] is due again. Its `refused` has the `errcode`
//!    `access_denied` or `expired_token`.
//! 5. A poll that fails does not end the login: the same poll is due again. A server that is asked too often makes all
//!    later polls wait longer, so [`drive()`] waits for the [interval](ShownCode::interval) before it sends the poll.
//!    Stop when the code [ends](ShownCode::expires_at). If it has no end, set a limit.
//!
//! A loop of your own waits as long as [`ShownCode::remaining`] says, and calls
//! [`handle_timeout`](LoginFlow::handle_timeout). After a poll that failed, it waits for the interval. While a poll is
//! on its way, [`LoginFlow::shown_code`] still returns the code.
//!
//! A flow that is suspended while it shows a code asks again how to log in. A person who has the device code can get
//! the tokens, so the device code is never stored.
//!
//! # The session
//!
//! A [`Session`] contains the tokens. [`Session::to_json`] writes it as a JSON object, **with the tokens in it**, and
//! [`Session::from_json`] reads it back. The object `{}` means that no user is logged in. [`Session::authorize`] adds
//! the access token to a request. It refuses a request to another origin (scheme, host and port).
//!
//! ```
//! use matrix_login::{LoginFlow, Session};
//!
//! let stored = r#"{"access_token": "t", "user_id": "@alice:example.org",
//!     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
//! let session = Session::from_json(stored)?.expect("a user is logged in");
//! let whoami = "https://example.org/_matrix/client/v3/account/whoami";
//! let mut request = http::Request::get(whoami).body(())?;
//! session.authorize(&mut request)?;
//!
//! assert!(Session::from_json(session.to_json())?.is_some());
//! assert!(Session::from_json("{}")?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keeping a session alive
//!
//! On many homeservers an access token expires, for example after five minutes. A session then has a second token, the
//! refresh token. The client sends it to the server that granted it, and gets a new access token, and usually a new
//! refresh token.
//!
//! - [`Session::refresh_in`] says when to do that.
//! - [`Session::refresh_request`] builds the request, and [`Session::handle_refresh`] reads the response into the
//!   session. [`Refresh`] is the result.
//! - [`Session::judge`] reads the response to any *other* request. The [`Verdict`] says what it means for the session:
//!   for example, that the access token has expired, or that the user has ended the session elsewhere.
//!
//! Clocks can be wrong, so the homeserver decides what has expired. Only the homeserver can end a session. A bad
//! network, a failing server or the login page of a hotel never does.
//!
//! When a client uses one of the new tokens, the old refresh token becomes invalid. Until then, the specification
//! allows the client to send the old one again, so a lost response does no harm. But if two threads refresh at the same
//! time, both get new tokens, and only the tokens of one thread are valid. Some homeservers also accept a refresh token
//! only once. **So let only one thread or process at a time refresh a session.** This function does that:
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
//! /// Refreshes the session that threads share. `used` is the session whose access token has
//! /// expired or was refused. Afterwards, use the session in `shared`. Returns `None` if
//! /// another thread has refreshed it, or if it has no refresh token.
//! fn refresh(
//!     shared: &Mutex<Session>,
//!     used: &Session,
//!     send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
//!     store: impl Fn(&Session) -> Result<(), Failure>,
//! ) -> Result<Option<Refresh>, Failure> {
//!     // 1. Take the lock. Other threads wait here.
//!     let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
//!     // 2. Look again: another thread may have been here before.
//!     if !session.has_token_of(used) || session.refresh_token().is_none() {
//!         return Ok(None);
//!     }
//!     let mut next = session.clone();
//!     let response = send(next.refresh_request()?)?;
//!     let outcome = next.handle_refresh(&response, SystemTime::now());
//!     match outcome {
//!         // 3. Store the new tokens before you use them.
//!         Refresh::Refreshed => {
//!             store(&next)?;
//!             *session = next;
//!         }
//!         // 4. Do not send the refresh token again.
//!         Refresh::TokenGone(_) | Refresh::Unsupported(_) => session.forget_refresh_token(),
//!         // 5. Keep `next`, which counts the attempts.
//!         Refresh::Later { .. } | Refresh::SoftLogout(_) | Refresh::Locked(_) => {
//!             *session = next;
//!         }
//!     }
//!     Ok(Some(outcome))
//! }
//! #
//! # fn main() -> Result<(), Failure> {
//! # let session = r#"{"access_token": "1", "refresh_token": "1", "user_id": "@alice:example.org",
//! #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
//! # let used = Session::from_json(session)?.expect("somebody is logged in");
//! # let shared = Mutex::new(used.clone());
//! # let granted = br#"{"access_token": "2", "refresh_token": "2", "expires_in_ms": 300000}"#;
//! # let send = |_| Ok(Response::new(granted.into()));
//! # assert!(matches!(refresh(&shared, &used, send, |_| Ok(()))?, Some(Refresh::Refreshed)));
//! # assert_eq!(shared.lock().unwrap().access_token().expose(), "2");
//! # Ok(())
//! # }
//! ```
//!
//! 1. Take the lock. Other threads wait here.
//! 2. Look again: another thread may have refreshed the session, or may have removed its refresh token. If the session
//!    never had one, log in again when the access token has expired.
//! 3. Store the new tokens before you use them, because their first use makes the old refresh token invalid.
//! 4. The homeserver no longer accepts this refresh token, or does not support refreshing. The access token stays valid
//!    until it expires. You need not store this: after a restart, the homeserver refuses the refresh token once more.
//! 5. Keep `next`, which counts the attempts. After [`Refresh::Later`], wait for its `delay` before the next refresh.
//!    After [`Refresh::SoftLogout`], log in again. After [`Refresh::Locked`], keep the session and try again from time
//!    to time.
//!
//! If a [`Verdict::Refresh`] asked for the refresh, first wait for its `delay`. Asynchronous tasks do the same with the
//! mutex of their runtime. Processes that share a file use a file lock: take the lock, read the session again, refresh
//! it, write it to a new file, rename that file over the old one, and release the lock. Lock a separate file, because
//! the rename replaces the file of the session. `examples/login/stored.rs` and `session_file.rs` do this, and tests run
//! them with several processes at once. If you cannot store the new tokens, they may be lost. So check that you can
//! write before you send the request, and try more than once to store them.
//!
//! # Logging in again, and logging out
//!
//! After a soft logout the tokens are no longer valid, but the device and its encryption keys still exist.
//! [`LoginFlow::again`] logs in on that device. It does not accept the session of another user: [`Error::WrongUser`]
//! contains that session. For a login with OAuth 2.0, the settings contain an [`OAuthClient`] again. If the device ID
//! is shorter than 10 characters, [`Choice::with_device_id`] gives the login a new one.
//!
//! Let only one thread or process at a time log in again. Look first: if the shared session has another access token
//! than the request had, another thread was faster. Then only send the request again.
//!
//! [`Session::logout_request`] builds the request that ends a session, at the API that granted it.
//! [`Session::handle_logout`] reads the response:
//!
//! ```
//! use std::error::Error;
//!
//! use http::{Request, Response};
//! use matrix_login::Session;
//!
//! /// Logs out. Returns whether the session has ended for certain. Then delete it.
//! fn log_out(
//!     session: &Session,
//!     send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Box<dyn Error>>,
//! ) -> Result<bool, Box<dyn Error>> {
//!     // 1. The request belongs to the API that granted the session.
//!     let response = send(session.logout_request()?)?;
//!     // 2. An error says that the session may still exist.
//!     let logged_out = session.handle_logout(&response)?;
//!     // 3. The access token of the legacy API might only have expired.
//!     let can_refresh = !session.is_oauth() && session.refresh_token().is_some();
//!     Ok(!(logged_out.already_logged_out && can_refresh))
//! }
//! #
//! # let stored = r#"{"access_token": "t", "refresh_token": "r", "user_id": "@alice:example.org",
//! #     "device_id": "KITCHEN", "base_client_url": "https://example.org/_matrix/client/"}"#;
//! # let session = Session::from_json(stored)?.expect("somebody is logged in");
//! # assert!(log_out(&session, |_| Ok(Response::new(b"{}".into())))?);
//! # let unknown = br#"{"errcode": "M_UNKNOWN_TOKEN"}"#;
//! # assert!(!log_out(&session, |_| Ok(Response::builder().status(401).body(unknown.into())?))?);
//! # Ok::<(), Box<dyn Error>>(())
//! ```
//!
//! 1. The legacy API ends the session of an access token. The OAuth 2.0 API ends the session of a refresh token, so it
//!    does not matter there whether the access token has expired.
//! 2. If the access token of the legacy API has expired, some homeservers refuse with a soft logout. Refresh the
//!    session, or log in again, and then log out.
//! 3. Other homeservers say only that they do not know the access token. If the session has a refresh token, refresh
//!    the session, and log out again.
//!
//! [`endpoint::logout_all`] ends all sessions of a user, except sessions of the OAuth 2.0 API. [`endpoint::whoami`]
//! asks whose session it is.
//!
//! # The life of a bot
//!
//! A bot restores its session, calls the homeserver with it, and does what each verdict asks for. This is the loop
//! around one call. `World::refresh` calls the function `refresh` above. After [`Refresh::SoftLogout`] it logs in
//! again, after [`Refresh::Later`] it waits for the `delay`, and after [`Refresh::Locked`] it returns an error.
//! `World::log_in_again` drives [`LoginFlow::again`]:
//!
//! ```
//! use std::{
//!     error::Error,
//!     sync::{Mutex, PoisonError},
//!     thread,
//!     time::{Duration, SystemTime},
//! };
//!
//! use http::{Request, Response};
//! use matrix_login::{Session, Verdict};
//!
//! type Failure = Box<dyn Error + Send + Sync>;
//! type Shared = Mutex<Session>;
//!
//! /// What the bot needs besides: an HTTP client, and the two ways to renew a session.
//! trait World {
//!     fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>;
//!     fn refresh(&self, shared: &Shared, used: &Session) -> Result<(), Failure>;
//!     fn log_in_again(&self, shared: &Shared, used: &Session) -> Result<(), Failure>;
//! }
//!
//! /// Calls the homeserver with the session that threads share.
//! fn call(
//!     shared: &Shared,
//!     path: &str,
//!     world: &impl World,
//! ) -> Result<Response<Vec<u8>>, Failure> {
//!     let session = || shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
//!     for _ in 0..5 {
//!         // 1. Refresh in time.
//!         let before = session();
//!         let margin = Duration::from_secs(30);
//!         if before.refresh_in(SystemTime::now(), margin) == Some(Duration::ZERO) {
//!             // If that fails, the access token may still be valid.
//!             let _ = world.refresh(shared, &before);
//!         }
//!         // 2. Call.
//!         let used = session();
//!         let homeserver = used.homeserver().ok_or("no homeserver is known")?;
//!         let mut request = Request::get(format!("{homeserver}{path}")).body(Vec::new())?;
//!         used.authorize(&mut request)?;
//!         let response = world.send(request)?;
//!         // 3. Judge every response, also a success.
//!         match used.judge(&response) {
//!             Verdict::Unaffected => return Ok(response),
//!             // 4. Refresh, and call again.
//!             Verdict::Refresh { delay } => {
//!                 thread::sleep(delay);
//!                 world.refresh(shared, &used)?;
//!             }
//!             // 5. Log in again.
//!             Verdict::SoftLogout => world.log_in_again(shared, &used)?,
//!             // 6. Nothing more can be done now.
//!             Verdict::LoggedOut => return Err("the session was ended".into()),
//!             Verdict::Locked => return Err("the account is locked".into()),
//!             Verdict::NotMatrix => return Err("this is not the homeserver".into()),
//!         }
//!     }
//!     Err("the homeserver refuses its own tokens".into())
//! }
//! #
//! # struct OneGoodToken;
//! # impl World for OneGoodToken {
//! #     fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure> {
//! #         let is_good = request.headers()["authorization"] == "Bearer good";
//! #         let refused = br#"{"errcode": "M_UNKNOWN_TOKEN", "soft_logout": true}"#;
//! #         let response = Response::builder().status(if is_good { 200 } else { 401 });
//! #         Ok(response.body(if is_good { b"{}".to_vec() } else { refused.to_vec() })?)
//! #     }
//! #     fn refresh(&self, _: &Shared, _: &Session) -> Result<(), Failure> {
//! #         Err("there is no refresh token".into())
//! #     }
//! #     fn log_in_again(&self, shared: &Shared, used: &Session) -> Result<(), Failure> {
//! #         let stored = used.to_json().replace("old", "good");
//! #         *shared.lock().unwrap() = Session::from_json(stored)?.expect("somebody is logged in");
//! #         Ok(())
//! #     }
//! # }
//! # let stored = r#"{"access_token": "old", "user_id": "@alice:example.org", "device_id": "KITCHEN",
//! #     "base_client_url": "https://example.org/_matrix/client/"}"#;
//! # let shared = Mutex::new(Session::from_json(stored)?.expect("somebody is logged in"));
//! # let response = call(&shared, "/_matrix/client/v3/account/whoami", &OneGoodToken)?;
//! # assert!(response.status().is_success());
//! # Ok::<(), Failure>(())
//! ```
//!
//! 1. Refresh in time: 30 seconds before the access token expires.
//! 2. Call the homeserver with the access token.
//! 3. Judge every response, also a success.
//! 4. Refresh, and call again.
//! 5. Log in again. The device still exists, with its encryption keys.
//! 6. The session has ended, an administrator has locked the account, or a proxy responded instead of the homeserver.
//!    Tell the user. In the last two cases keep the session, and try again later. If you have forgotten the refresh
//!    token of an OAuth 2.0 session, its device may still exist: see [`Verdict::LoggedOut`].
//!
//! With a password, `World::log_in_again` needs no person. With OAuth 2.0 it needs one: the bot shows a code, or tells
//! its administrator. So a bot on matrix.org logs in once [with a code](#a-device-without-a-browser), stores the
//! session, and refreshes it.
//!
//! A transport for logins stops after [`MAX_BODY`]. Do not use it for calls with long responses, such as `GET sync`: it
//! would cut them off. [`judge`](Session::judge) needs the body of an error only.
//!
//! The folder `stacks/bot` of the repository has a whole bot of this kind, with tasks on tokio, and its tests.
//!
//! # Late responses
//!
//! A response belongs to a request. [`Step::Send`] contains a [`RequestId`], and [`LoginFlow::handle_response`] takes
//! it together with the response. Every input that the flow accepts makes all earlier IDs stale. A response with a
//! stale ID is [`Error::StaleResponse`], and nothing changes. So a late response never counts for another request or
//! another homeserver.
//!
//! A user may go [back](LoginFlow::back) or [elsewhere](LoginFlow::use_homeserver) while a login request is on its way.
//! Its late response may still grant a login that nobody uses, and its device stays in the user's list. A driver ends
//! that login like this. For a response to `POST token`, use [`endpoint::oauth::token`] and
//! [`endpoint::oauth::revocation`]:
//!
//! ```
//! use http::{Request, Response};
//! use matrix_login::{
//!     Homeserver,
//!     endpoint::{login, logout},
//! };
//!
//! /// The request that ends a login which came too late, at the homeserver that was asked.
//! /// `None` if no login was granted.
//! fn end_late_login(
//!     response: &Response<Vec<u8>>,
//!     homeserver: &Homeserver,
//! ) -> Option<Request<Vec<u8>>> {
//!     let granted = login::response(response).ok()?;
//!     Some(logout::request(homeserver, &granted.access_token))
//! }
//! #
//! # let granted = r#"{"user_id": "@alice:example.org", "device_id": "KITCHEN", "access_token": "t"}"#;
//! # let homeserver = "https://example.org".parse()?;
//! # assert!(end_late_login(&Response::new(granted.into()), &homeserver).is_some());
//! # assert!(end_late_login(&Response::new(b"{}".into()), &homeserver).is_none());
//! # Ok::<(), matrix_login::Error>(())
//! ```
//!
//! # Addresses from strangers
//!
//! A stranger must not choose freely where a program on a server sends requests (server-side request forgery). A server
//! name can be `127.0.0.1`, `[::1]`, or a name that leads there. Some systems also read `2130706433` and `0x7f.1` as
//! addresses. A redirect of the well-known file, its `base_url` and the `well_known` of a login response can lead
//! anywhere. This crate does not resolve names, so it cannot check that. Check every request before you send it:
//! resolve the name, refuse addresses of your own network, and connect to the addresses that you have checked. Do not
//! resolve the name again: it may lead to another address the second time. In reqwest, a `dns_resolver` does that. An
//! address in a URL does not reach the resolver, so check the URL too. A proxy resolves names itself: use none, or one
//! that refuses private addresses. The files `outgoing.rs` and `public.rs` in `stacks/web/src` of the repository do all
//! this.
//!
//! ```
//! use std::{
//!     io,
//!     net::{IpAddr, SocketAddr, ToSocketAddrs},
//! };
//!
//! use http::Uri;
//! use matrix_login::{LoginFlow, LoginSettings, Step};
//!
//! /// Where to connect for a request. Give only these addresses to the HTTP client.
//! fn public_addresses(uri: &Uri) -> io::Result<Vec<SocketAddr>> {
//!     let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
//!     let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
//!     let port = uri.port_u16().unwrap_or(default_port);
//!     let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
//!     if !addresses.iter().all(|address| is_public(address.ip())) {
//!         return Err(io::Error::other("not a public address"));
//!     }
//!     Ok(addresses)
//! }
//!
//! /// Whether an address is public. The registries of IANA list the special addresses.
//! fn is_public(address: IpAddr) -> bool {
//!     match address.to_canonical() {
//!         IpAddr::V4(address) => {
//!             let [first, second, ..] = address.octets();
//!             !(address.is_private()
//!                 || address.is_loopback()
//!                 || address.is_link_local()
//!                 || address.is_documentation()
//!                 || first == 0 // this network
//!                 || first >= 224 // multicast, reserved, broadcast
//!                 || (first == 100 && (64..128).contains(&second)) // carrier-grade NAT
//!                 || (first == 192 && second == 0) // protocol assignments
//!                 || (first == 198 && (18..20).contains(&second))) // benchmarks
//!         }
//!         // Global unicast, without special blocks and without 6to4, which contains IPv4.
//!         IpAddr::V6(address) => {
//!             let [first, second, ..] = address.segments();
//!             let is_special = first == 0x2001 && (second < 0x200 || second == 0xdb8);
//!             let is_unicast = (first & 0xe000) == 0x2000;
//!             is_unicast && !is_special && first != 0x2002 && first != 0x3fff
//!         }
//!     }
//! }
//!
//! // A flow begins with the server name that a stranger has typed.
//! for server_name in ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "10.0.0.1:8448"] {
//!     let flow = LoginFlow::discover(server_name.parse()?, LoginSettings::default());
//!     let Step::Send { request, .. } = flow.step() else { unreachable!() };
//!     assert!(public_addresses(request.uri()).is_err(), "{server_name}");
//! }
//! # for special in [
//! #     "0.0.0.0", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.168.0.1",
//! #     "198.18.0.1", "224.0.0.1",
//! #     "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2001::1", "2001:db8::1",
//! #     "2002:7f00:1::", "fc00::1", "fe80::1", "ff02::1", "3fff::1",
//! # ] {
//! #     assert!(!is_public(special.parse()?), "{special}");
//! # }
//! for public in ["1.1.1.1", "[2606:4700:4700::1111]:8448"] {
//!     assert!(public_addresses(&format!("https://{public}/").parse()?).is_ok(), "{public}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Do this for every [`Step::Send`], and for the requests of a [`Session`]: its address can come from a server.
//!
//! # Without the flow
//!
//! Below the flow are pure functions: a `request` and a `response` for each [`endpoint`]. They check a response as the
//! flow does. [`Session::granted`] makes a session from a login response that did not go through a flow. Such a
//! response can come from a registration, from another crate, or from the homeserver's [fallback
//! page](endpoint::login_fallback), which works for unknown login types. A device that is logged in can [get a login
//! token](endpoint::get_token) for a new device.
//!
//! # Secrets
//!
//! [`Password`], [`LoginToken`], [`AccessToken`], [`RefreshToken`] and [`CodeVerifier`] print as `[redacted]`. They
//! have no `Display`, no `Eq` and no `Serialize`. Only their method `expose` returns the secret. No error message and
//! no `Debug` output of this crate contains a whole body, or a value in [`Fields`]. They contain what the crate reads
//! and shows: addresses, user IDs, login types, and the code and message of a [`ServerError`]. A server chooses these
//! texts, and could write a secret that it knows into them. [`one_line`] makes them safe for a terminal. Do not log the
//! request of [`Step::Send`]: the `Debug` of [`http::Request`] prints the body.
//!
//! # With a Matrix SDK
//!
//! A Matrix SDK goes on from the session. It takes the address of the homeserver, the user ID, the device ID and the
//! tokens, and for OAuth 2.0 the [client ID](Session::client_id). From then on, only the SDK refreshes the tokens and
//! stores them. If two programs refresh one session, one of them loses it.
//!
//! # What is not in it
//!
//! - Registration of users. A homeserver with the OAuth 2.0 API registers users on its pages: see
//!   [`Redirect::with_action`].
//! - HTTP, TLS, timeouts, retries, storage and random numbers: your program has them.
//! - End-to-end encryption, synchronisation and rooms: a Matrix SDK has them.
//!
//! Types of other crates in this API: those of [`http`], [`url::Url`], [`serde_json::Map`] and [`serde_json::Value`],
//! and the traits of serde. The crate needs `std`, but no clock, threads, files or sockets. It compiles with Rust 1.85
//! and later. Only a minor release raises that version.
#![warn(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod address;
mod blank;
mod credentials;
mod cursor;
pub mod endpoint;
mod error;
mod fields;
mod flow;
mod invalid_input;
mod session;
mod settings;
mod shown;

pub use self::address::homeserver::Homeserver;
pub use self::address::https_url::HttpsUrl;
pub use self::address::server_name::ServerName;
pub use self::address::typed::{Meaning, ServerAddress, Typed};
pub use self::address::user_id::UserId;
pub use self::credentials::Credentials;
pub use self::credentials::code_verifier::CodeVerifier;
pub use self::credentials::device_id::DeviceId;
pub use self::credentials::identifier::UserIdentifier;
pub use self::credentials::redirect::{Action, Redirect};
pub use self::credentials::secret::{AccessToken, LoginToken, Password, RefreshToken};
#[doc(inline)]
pub use self::endpoint::{
    Endpoint, MAX_BODY, callback::ForeignCallback, error::ResponseError, identity_provider::IdentityProvider,
    location::Location, login_types::LoginType, login_types::LoginTypes, retry_after::RetryAfter,
    server_error::ServerError, well_known::DiscoveryFailure, well_known::DiscoveryOutcome,
};
pub use self::error::Error;
pub use self::fields::Fields;
pub use self::flow::LoginFlow;
pub use self::flow::choice::Choice;
pub use self::flow::drive::body::BodyCollector;
pub use self::flow::drive::{DriveError, Pause, TooLong, Transport, blocking, drive};
pub use self::flow::shown_code::ShownCode;
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
pub use self::settings::oauth_client::OAuthClient;
pub use self::shown::one_line;
