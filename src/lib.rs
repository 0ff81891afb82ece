//! Logs in to a Matrix homeserver without doing any I/O.
//!
//! A server name or an address goes in, a [`Session`] comes out. Between the two, this crate finds the homeserver and
//! asks what it supports. It logs in with a password, a token, single sign-on, OAuth 2.0 or as an application service.
//! It deals with refusals, rate limits and redirects on the way. It builds [`http::Request`]s and reads
//! [`http::Response`]s. The caller decides what carries them, on what runtime and with which TLS.
//!
//! # The whole loop
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
//! use matrix_login::{Choice, LoginFlow, Session, ShownCode, Step, one_line};
//! use url::Url;
//!
//! /// Logs in with one choice. Gives up on a transport error, on a refusal, and after three waits. `browse` opens a
//! /// URL, and returns the address that the browser came back to. `show` shows a code, and where to enter it.
//! fn log_in(
//!     mut flow: LoginFlow,
//!     choice: Choice,
//!     mut send: impl FnMut(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Box<dyn Error>>,
//!     mut sleep: impl FnMut(Duration),
//!     mut browse: impl FnMut(&Url) -> Result<Url, Box<dyn Error>>,
//!     mut show: impl FnMut(&ShownCode),
//! ) -> Result<Session, Box<dyn Error>> {
//!     loop {
//!         match flow.step() {
//!             Step::Send { id, request } => {
//!                 let told =
//!                     send(request).and_then(|response| Ok(flow.handle_response(id, &response, SystemTime::now())?));
//!                 match flow.shown_code() {
//!                     // A poll that fails is sent again until the end of the code, if that is known.
//!                     Some(code) if told.is_err() && code.expires_at() > Some(SystemTime::now()) => {
//!                         sleep(code.interval());
//!                     }
//!                     _ => told?,
//!                 }
//!             }
//!             Step::Wait(wait) if wait.attempt() > 3 => return Err(wait.error().clone().into()),
//!             Step::Wait(wait) => {
//!                 sleep(wait.remaining(SystemTime::now()));
//!                 flow.handle_timeout()?;
//!             }
//!             Step::Locate { failure, .. } => return Err(failure.clone().into()),
//!             Step::Choose { refused: Some(refused), .. } => return Err(refused.clone().into()),
//!             Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
//!             Step::Browse(url) => {
//!                 let callback = browse(url)?;
//!                 flow.handle_callback(&callback)?;
//!             }
//!             Step::ShowCode(code) => {
//!                 if code.is_new() {
//!                     show(code);
//!                 }
//!                 sleep(code.remaining(SystemTime::now()));
//!                 flow.handle_timeout()?;
//!             }
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
//! # let browse = |url: &Url| Err(format!("nobody is there to open {url}").into());
//! # let show = |_: &ShownCode| {};
//!
//! let user_id: UserId = "@alice:example.org".parse()?;
//! let settings = LoginSettings::default().with_device_id("KITCHEN")?;
//! let flow = LoginFlow::discover(user_id.server_name(), settings);
//! let password = Choice::password(UserIdentifier::from(&user_id), Password::new("correct horse"));
//! let session = log_in(flow, password, send, sleep, browse, show)?;
//! // The homeserver chooses both: `one_line` makes them safe for a terminal.
//! println!("logged in as {} with {}", one_line(session.user_id().as_str()), one_line(session.device_id()));
//! # Ok(())
//! # }
//! ```
//!
//! `send` is any HTTP client that **follows no redirects** and returns a 4xx and a 5xx as responses. It should stop
//! reading one byte after [`MAX_BODY`]: [`BodyCollector`] does so. If sending fails, the flow does not change: the same
//! step is still due.
//!
//! # The loop in the crate
//!
//! The crate has the part of that loop that needs no person. A [`Transport`] says how to send a request, how to wait
//! and what time it is. [`drive()`] does the rest, and returns the step that needs a person, or the last one.
//! [`blocking`] is the same without `async`; its page has a whole program with a real HTTP client.
//!
//! ```
//! use std::{convert::Infallible, error::Error, time::SystemTime};
//!
//! use http::{Request, Response};
//! use matrix_login::{Choice, LoginFlow, Pause, Session, Step, Transport, drive};
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
//! /// Logs in with one choice. Fails on a refusal.
//! async fn log_in(flow: &mut LoginFlow, choice: Choice) -> Result<Session, Box<dyn Error>> {
//!     if let Step::Choose { .. } = drive(flow, &mut ByHeart).await? {
//!         flow.choose(choice)?;
//!     }
//!     match drive(flow, &mut ByHeart).await? {
//!         Step::Done(session) => Ok(session.clone()),
//!         Step::Choose { refused: Some(refused), .. } => Err(refused.clone().into()),
//!         step => Err(format!("a person is needed: {step:?}").into()),
//!     }
//! }
//! #
//! # let mut flow = LoginFlow::at("https://example.org".parse()?, LoginSettings::default());
//! # let password = Choice::password(UserIdentifier::user("alice"), Password::new("correct horse"));
//! # assert_eq!(futures_executor::block_on(log_in(&mut flow, password))?.device_id(), "KITCHEN");
//! # Ok::<(), Box<dyn Error>>(())
//! ```
//!
//! # HTTP clients
//!
//! A transport needs from its client: a 4xx and a 5xx as responses, no redirects, and a limit of time. It can do
//! without a decoder: if a body is still compressed, the flow returns an error that says so. No client here keeps
//! cookies unless a feature of its crate is switched on.
//!
//! | client | a 4xx, a 5xx | redirects | gzip | proxy of the environment | limit of time |
//! | --- | --- | --- | --- | --- | --- |
//! | `hyper-util` 0.1 | responses | not followed | not asked for | not used | none: `tokio::time::timeout(..)` |
//! | `isahc` 2 | responses | not followed | decoded; off: `automatic_decompression(false)` | used; off: `proxy(None)` | `timeout(..)` |
//! | `reqwest` 0.13 | responses | followed; off: `redirect(Policy::none())` | decoded with the feature `gzip`; off: `no_gzip()` | used; off: `no_proxy()` | `timeout(..)` |
//! | `ureq` 3 | errors; off: `http_status_as_error(false)` | followed; off: `max_redirects(0)` | decoded; off: without the feature `gzip` | used; off: `proxy(None)` | `timeout_global(Some(..))` |
//!
//! The folder `stacks` has a whole program for each of them in sixty lines, and the tests that the table comes from.
//!
//! # In a browser
//!
//! The crate compiles to `wasm32-unknown-unknown`, and asks nothing of what is around it. A [`Transport`] on `fetch`
//! differs from others:
//!
//! - **The clock.** [`SystemTime::now`](std::time::SystemTime::now) compiles for that target, and panics. Use
//!   JavaScript's `Date.now`.
//! - **Redirects.** `fetch` does not show a script where a redirect leads: it follows the redirect, or it fails. Let it
//!   fail (`redirect: "error"`). There is one exception: it may follow those of the well-known file, which is public.
//! - **Limits.** `fetch` has none. `AbortSignal.timeout` limits the time, that of the body included. Read the body
//!   chunk by chunk into a [`BodyCollector`], and cancel the reader once that is full.
//! - **What CORS hides.** A page sees the status, the body and few of the headers. `Retry-After` is hidden unless the
//!   server exposes it. Then the flow takes `retry_after_ms` of the body, or else times of its own, which grow. If a
//!   server is away, if it forbids the page to read its responses, or if it redirects, `fetch` fails, and does not say
//!   which of them it was.
//! - **Encoding.** The browser decodes the body, and keeps the header `Content-Encoding`. Leave that header out:
//!   otherwise the flow takes the body for encoded.
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
//! /// The module `js` calls JavaScript. `stacks/browser` does the same with `web-sys`.
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
//! Single sign-on and the authorization code end the page: the browser goes to the URL of [`Step::Browse`], and loads
//! the page again at the callback. Give all of `location.href` to
//! [`handle_callback`](LoginFlow::handle_callback), with the fragment. Then `history.replaceState` takes the token or
//! the code out of the address.
//!
//! Meanwhile the [suspended](LoginFlow::suspend) flow waits in `sessionStorage`. Remove it from there before you use
//! it, so that it counts once. `sessionStorage` belongs to one tab and one origin: the pages of the homeserver cannot
//! read it. Every script of your origin can, and so can extensions of the browser. Such a script could also read the
//! password, so let in no script but your own, with a `Content-Security-Policy`. `localStorage` outlives the tab: do
//! not keep a suspended flow there.
//!
//! The folder `stacks/browser` has the whole page.
//!
//! # What the steps ask for
//!
//! | [`Step`] | the driver | then |
//! | --- | --- | --- |
//! | `Send` | sends the request | [`handle_response`](LoginFlow::handle_response) with the ID of the step. Without a response: sends it again, or, in discovery, [`handle_unreachable`](LoginFlow::handle_unreachable) |
//! | `Wait` | waits as long as the server asks, or gives up | [`handle_timeout`](LoginFlow::handle_timeout) |
//! | `Locate` | asks the user for the homeserver's URL, or tries again | [`use_homeserver`](LoginFlow::use_homeserver), or [`back`](LoginFlow::back) |
//! | `Choose` | asks the user how to log in, and shows why the last try was refused | [`choose`](LoginFlow::choose) |
//! | `Browse` | opens the URL and takes the callback | [`handle_callback`](LoginFlow::handle_callback), or [`back`](LoginFlow::back) |
//! | `ShowCode` | shows the code once, and waits until the next poll | [`handle_timeout`](LoginFlow::handle_timeout), or [`back`](LoginFlow::back) |
//! | `Done` | stores the session | |
//!
//! The page of [`handle_response`](LoginFlow::handle_response) has the table of what each response does.
//!
//! Four rules hold everywhere:
//!
//! 1. A step is a view, not an event: asking twice, dropping a future or failing to send loses nothing.
//! 2. If an input returns `Ok`, the flow has moved. If it returns an [`Error`], nothing has changed. There is one
//!    exception: the homeserver grants a login, and the flow refuses it ([`Error::MissingRefreshToken`],
//!    [`Error::WrongUser`]). Then the flow is back at `Choose`, and the error owns the session.
//! 3. A refusal is a step, not an error, and no step is a dead end: `use_homeserver` works any time before there is a
//!    session. `back` works after every choice, and in `Locate`, where discovery begins again.
//! 4. There is no clock, no randomness and no I/O inside.
//!
//! The driver decides whether and when to try again; [`Error::may_retry`] says whether it can help. A login request is
//! not idempotent: if its response is lost, it may have made a device. With a [device
//! ID](LoginSettings::with_device_id) of your own, a repeated request leads to that device and not to another one.
//!
//! # Late responses
//!
//! A response belongs to a request. [`Step::Send`] has a [`RequestId`], and [`LoginFlow::handle_response`] takes it
//! back with the response. Every input that the flow accepts makes all earlier IDs stale. A response with a stale ID is
//! [`Error::StaleResponse`], and nothing changes. So a late response never counts for another request, or for another
//! homeserver.
//!
//! If a user goes [back](LoginFlow::back) or [elsewhere](LoginFlow::use_homeserver) while a login request is in flight,
//! its late response may still grant a login. Nobody uses that login, but its device stays in the user's list. A driver
//! ends it like this:
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
//! of the homeserver that it names. If that leads nowhere, [`Step::Locate`] says why, and a [`DiscoveryOutcome`] says
//! what to do. [`LoginFlow::at`] takes a [`Homeserver`] whose address is known and asks it for its login types straight
//! away. The flow itself follows redirects of the well-known file, to https only. Neither the flow nor the transport
//! follows other redirects. A transport that always follows redirects (a browser's `fetch`) may do so for the
//! well-known file only.
//!
//! Where a program asks for the homeserver, a person may type a URL or a server name. [`Typed`] reads the text, and a
//! [`ServerAddress`] says which of the two it is:
//!
//! ```
//! use matrix_login::{InvalidInput, LoginFlow, LoginSettings, ServerAddress, Typed};
//!
//! fn begin(homeserver: &str, settings: LoginSettings) -> Result<LoginFlow, InvalidInput> {
//!     Ok(match ServerAddress::try_from(&homeserver.parse::<Typed>()?)? {
//!         ServerAddress::Homeserver(homeserver) => LoginFlow::at(homeserver, settings),
//!         ServerAddress::ServerName(server_name) => LoginFlow::discover(server_name, settings),
//!     })
//! }
//! #
//! # assert!(begin(" example.org ", LoginSettings::default())?.server_name().is_some());
//! # assert!(begin("https://example.org/_matrix", LoginSettings::default())?.homeserver().is_some());
//! # Ok::<(), InvalidInput>(())
//! ```
//!
//! # Who logs in, and how
//!
//! [`LoginTypes::for_a_person`] lists the login types that a client should offer a person. A [`Choice`] is a login type
//! with its credentials: [`password`](Choice::password), [`token`](Choice::token), [`sso`](Choice::sso),
//! [`application_service`](Choice::application_service), or a [`custom`](Choice::custom) one.
//! [`with_field`](Choice::with_field) adds any other field to the login request. A [`UserIdentifier`] is a user name, a
//! user ID, an e-mail address, a phone number or anything else that the homeserver knows. [`LoginSettings`] are the
//! same for all of them.
//!
//! [`Typed`] finds out which of these a person typed. It takes links to a user and copied text too. It says when it is
//! not sure: `alice@example.org` can be an e-mail address, or the user ID `@alice:example.org` with a mistake.
//!
//! ```
//! use matrix_login::{Typed, UserIdentifier};
//!
//! let typed: Typed = "alice@example.org ".parse()?;
//! if !typed.is_sure() {
//!     println!("{typed} is taken for this {}: {}", typed.best().kind(), typed.best());
//!     for other in typed.others() {
//!         println!("it can also be this {}: {other}", other.kind());
//!     }
//! }
//! let identifier = UserIdentifier::try_from(typed.best())?;
//! # assert_eq!(identifier.identifier_type(), "m.id.thirdparty");
//! # Ok::<(), matrix_login::InvalidInput>(())
//! ```
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
//! state is the right one, the flow logs in with the token at once. A user who gives up never comes back, so limit the
//! time that you wait.
//!
//! The callback may reach another process, or this one after a restart. [`LoginFlow::suspend`] makes a small object in
//! every state, without any credential, and [`LoginFlow::resume`] goes on with it. [`endpoint::callback::state`] finds
//! the state in a callback, so a web backend can store suspended flows under it. [`endpoint::sso`] shows how, and how a
//! login stays with the browser that began it. The folder `stacks/web` has a whole web application.
//!
//! # OAuth 2.0
//!
//! matrix.org, and every homeserver with the Matrix Authentication Service, log people in with the OAuth 2.0 API. A
//! flow uses it if the settings name a client. If the homeserver does not have that API, the flow goes on without it:
//!
//! ```
//! use matrix_login::{Choice, CodeVerifier, LoginFlow, LoginSettings, OAuthClient, Redirect, Step};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // An https page of your own: the server shows it to the user.
//! let client = OAuthClient::new("https://app.example.com/".parse()?, "Example");
//! // Ten random characters or more: new ones for a new device.
//! let settings = LoginSettings::default().with_oauth(client).with_device_id("QWKTZRVBHM")?;
//! let flow = LoginFlow::discover("matrix.org".parse()?, settings);
//! # drop(flow);
//!
//! /// Answers the question. `state` and `verifier` are random, and new for every login. The verifier is 32 bytes in
//! /// base64url, which are 43 characters.
//! fn choose(flow: &mut LoginFlow, state: &str, verifier: &str) -> Result<(), matrix_login::Error> {
//!     let Step::Choose { oauth: Some(metadata), .. } = flow.step() else { return Ok(()) };
//!     // Not the issuer: that is only a name, and a homeserver can lie about it. This is where the browser goes.
//!     let page = metadata.authorization_endpoint.as_ref().and_then(|endpoint| endpoint.url().host_str());
//!     println!("log in at {} for {}", page.unwrap_or_default(), flow.homeserver().expect("asked already"));
//!     let redirect = Redirect::new("http://127.0.0.1:8765/callback", state)?;
//!     flow.choose(Choice::authorization_code(redirect, CodeVerifier::new(verifier)?))
//! }
//! # let _ = choose;
//! # Ok(())
//! # }
//! ```
//!
//! 1. The flow registers the client, unless it is [registered already](OAuthClient::registered).
//! 2. [`Step::Browse`] is the URL to open, as for single sign-on. The browser comes back with a code. Give that address
//!    to [`handle_callback`](LoginFlow::handle_callback).
//! 3. The code becomes tokens, and whoami says whose they are. From then on the [`Session`] is like any other:
//!    [`refresh_request`](Session::refresh_request), [`judge`](Session::judge) and
//!    [`logout_request`](Session::logout_request) know which API granted it. The crate never sends a session of one API
//!    to the endpoints of the other.
//!
//! The client chooses the device ID, and it is a part of what the user grants: at least 10 characters of `A-Z`, `a-z`,
//! `0-9`, `-`, `.`, `_` and `~`. [`CodeVerifier::new`] needs the feature `pkce`; without it, compute the challenge
//! yourself, and call [`CodeVerifier::with_challenge`].
//!
//! **Show the user where the browser goes.** A homeserver says which OAuth 2.0 server it trusts. A malicious homeserver
//! can name the honest server of another one: then the malicious homeserver receives the access token that the honest
//! server gave, because whoami goes to the homeserver. Nothing in the protocol prevents that. So show the host of the
//! OAuth 2.0 server next to the homeserver, and ask before you choose it. The flow prevents the other attack of that
//! kind: it offers a grant only if the token endpoint has the origin of the page that the browser opens, so that no
//! code goes elsewhere.
//!
//! **Which store needs what.** A login that waits for the browser can be [suspended](LoginFlow::suspend), in the same
//! way as a single sign-on. The object contains the state and the code verifier. The verifier is worth nothing without
//! its code. Somebody who can read both this object and the callback can log in as the user.
//!
//! - In a store that nobody else can read or write, the object needs nothing.
//! - If others can *write* to the store, sign the object: they could replace the whole login by one of their own.
//! - In a cookie or another place where others can *read* it, encrypt it: the callback is in the history of the
//!   browser.
//!
//! A code, and tokens that whoami has not confirmed, are never in the object: anybody who has them can log in. A flow
//! that is suspended there asks again how to log in.
//!
//! **If the response to POST token is lost**, the same request is due. Some servers take the code again within a few
//! seconds. Others end the session that the first request has made: then go [back](LoginFlow::back), and log in again.
//!
//! # A device without a browser
//!
//! A bot on a server, the command line of a bridge and a television have no browser that can come back. They show a
//! code and an address. The user opens that address on any device, and enters the code there. Meanwhile the flow polls.
//! The settings are those of any OAuth 2.0 login, with a client and a device ID. The feature `pkce` is not needed:
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
//!             Ok(Step::Choose { refused: Some(refused), .. }) => return Err(refused.clone().into()),
//!             Ok(Step::Choose { .. }) => flow.choose(Choice::device_authorization())?,
//!             Ok(Step::ShowCode(code)) => {
//!                 let user_code = one_line(code.user_code());
//!                 println!("open {} on any device, and enter {user_code}", code.verification_uri());
//!                 println!("if that page belongs to {}", flow.homeserver().expect("asked already"));
//!             }
//!             Ok(Step::Done(session)) => return Ok(session.clone()),
//!             Ok(step) => return Err(format!("a person is needed: {step:?}").into()),
//!             Err(error) => {
//!                 // A poll that has failed is still due: the next call waits for the interval, and sends it again. If
//!                 // another step is due, the transport does not want to wait.
//!                 let is_poll = matches!(flow.step(), Step::Send { .. });
//!                 let end = flow.shown_code().and_then(ShownCode::expires_at);
//!                 if !is_poll || end <= Some(transport.now()) {
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
//! 2. [`Step::ShowCode`] has the code, the address where the user enters it, and perhaps the same address with the code
//!    in it, for a QR code. Show the host of that address next to the homeserver: the user should enter the code only
//!    if the two belong together. `SECURITY.md` says why.
//! 3. [`drive()`] and [`blocking::drive`] return a new code once. Call them again: they poll until the user has
//!    decided. A loop of your own waits as long as [`ShownCode::remaining`] says, and calls
//!    [`handle_timeout`](LoginFlow::handle_timeout). The poll is due then, and after it the same step if the user has
//!    not decided. While a poll is in flight, [`LoginFlow::shown_code`] still has the code.
//! 4. When the user has agreed, whoami says whose the tokens are, as for any other OAuth 2.0 login. If whoami fails,
//!    the flow keeps the tokens: try again. If you give up, go [back](LoginFlow::back), and send the revocation that is
//!    due then: otherwise a device stays in the user's list that nobody uses. If the user has refused, or if the code
//!    has ended, the question is due again, and its `refused` says why: `access_denied` or `expired_token`.
//!
//! **A poll that fails does not end the login.** The same poll is due then. Wait for the
//! [interval](ShownCode::interval) before you send it again: a server that is asked too often makes all later polls
//! wait longer. [`drive()`] does that. Stop when the code [ends](ShownCode::expires_at). If it has no end, set a limit.
//!
//! A flow that is suspended while it shows a code asks again how to log in. Anybody who has the device code can get the
//! tokens, so it is never stored.
//!
//! # The session
//!
//! A [`Session`] contains the tokens. [`Session::to_json`] writes it as a JSON object, **with the tokens in it**, and
//! [`Session::from_json`] reads it back; `{}` means that nobody is logged in. [`Session::authorize`] puts the access
//! token into a request. It refuses a request that goes to another server.
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
//! assert!(Session::from_json(session.to_json())?.is_some());
//! assert!(Session::from_json("{}")?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keeping a session alive
//!
//! Where access tokens expire, a refresh token gets the next one. [`Session::refresh_in`] says when it is time.
//! [`Session::refresh_request`] and [`Session::handle_refresh`] do it, and [`Refresh`] says what came of it.
//! [`Session::judge`] says what the response to any other request means for the session. Clocks jump, so the homeserver
//! has the last word on what has expired. Only the homeserver can end a session: no bad network, no failing server and
//! no page of a captive portal does.
//!
//! **Only one thread or process at a time may refresh a session.** The specification allows a client to send the same
//! refresh token again until it uses one of the new tokens. So a lost response costs nothing. But each response makes
//! the tokens of the response before it invalid. If two processes refresh at once, one of them gets tokens that are
//! already invalid. Some homeservers also accept a refresh token only once. So refresh like this:
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
//! /// Refreshes the session that threads share, after the access token of `used` was refused or has expired. If a
//! /// verdict asked for the refresh, first wait as long as [`Verdict::Refresh`](matrix_login::Verdict::Refresh) says.
//! /// Afterwards, use the session in `shared`. Returns `None` if another thread has refreshed it or given it up.
//! fn refresh(
//!     shared: &Mutex<Session>,
//!     used: &Session,
//!     send: impl Fn(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>,
//!     store: impl Fn(&Session) -> Result<(), Failure>,
//! ) -> Result<Option<Refresh>, Failure> {
//!     // 1. Take the lock. Other threads wait here.
//!     let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
//!     // 2. Look again: another thread may have refreshed the session, or removed its refresh token.
//!     if !session.has_token_of(used) || session.refresh_token().is_none() {
//!         return Ok(None);
//!     }
//!     let mut next = session.clone();
//!     let response = send(next.refresh_request()?)?;
//!     let outcome = next.handle_refresh(&response, SystemTime::now());
//!     match outcome {
//!         // 3. Store the new tokens before you use them: the first use makes the old refresh token invalid.
//!         Refresh::Refreshed => {
//!             store(&next)?;
//!             *session = next;
//!         }
//!         // 4. The refresh token is of no use now: do not send it again.
//!         Refresh::TokenGone(_) | Refresh::Unsupported(_) => session.forget_refresh_token(),
//!         // 5. The session counts the attempts: wait as long as `Later` says.
//!         Refresh::Later { .. } | Refresh::SoftLogout(_) | Refresh::Locked(_) => *session = next,
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
//! Asynchronous tasks do the same with the mutex of their runtime. Processes that share a file use a file lock. A
//! process takes the lock and reads the session again. If no other process has refreshed it, the process refreshes it,
//! writes it to a new file, renames that file over the old one, and releases the lock. The lock is on a separate file,
//! because the rename replaces the file with the session. `examples/login/stored.rs` and `session_file.rs` do this, and
//! tests run them with several processes at once. If you cannot store the new tokens, they may be lost. So check that
//! there is room before you send the request, and try more than once to store them.
//!
//! # Logging in again, and logging out
//!
//! After a soft logout the device is still there, with its encryption keys. [`LoginFlow::again`] logs in on that
//! device. It refuses the session of another user with [`Error::WrongUser`], which owns that session. Here too, only
//! one thread or process at a time may do this. A [`Verdict`] is about the access token that the request had. If the
//! shared session has another access token now, send the request again.
//!
//! [`Session::logout_request`] ends a session, by the API that has granted it. [`endpoint::logout_all`] ends all of a
//! user's sessions, but not those of the OAuth 2.0 API. If the
//! access token has expired, refresh the session before you log it out. If the homeserver does not know the access
//! token, the logout counts as a success. But a session with a refresh token may still exist then: refresh it, and log
//! out with the new access token.
//! [`endpoint::whoami`] asks whose session it is.
//!
//! # The life of a bot
//!
//! A bot restores its session, calls the homeserver with it, and does what each verdict asks for. This is the loop
//! around one call. `refresh` calls the function above, and `log_in_again` drives [`LoginFlow::again`]:
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
//!
//! /// What else the bot needs.
//! trait World {
//!     fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure>;
//!     fn refresh(&self, shared: &Mutex<Session>, used: &Session) -> Result<(), Failure>;
//!     fn log_in_again(&self, shared: &Mutex<Session>, used: &Session) -> Result<(), Failure>;
//! }
//!
//! /// Calls the homeserver with the session that threads share.
//! fn call(
//!     shared: &Mutex<Session>,
//!     path: &str,
//!     world: &impl World,
//! ) -> Result<Response<Vec<u8>>, Failure> {
//!     let session = || shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
//!     for _ in 0..5 {
//!         // 1. Refresh in time: 30 seconds before the access token expires.
//!         let before = session();
//!         let margin = Duration::from_secs(30);
//!         if before.refresh_in(SystemTime::now(), margin) == Some(Duration::ZERO) {
//!             world.refresh(shared, &before)?;
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
//!             // 5. The device is still there, with its encryption keys.
//!             Verdict::SoftLogout => world.log_in_again(shared, &used)?,
//!             Verdict::LoggedOut => return Err("somebody has ended the session".into()),
//!             Verdict::Locked => return Err("the account is locked: try again later".into()),
//!             Verdict::NotMatrix => return Err("that is not the homeserver".into()),
//!         }
//!     }
//!     Err("the homeserver refuses every token that it grants".into())
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
//! #     fn refresh(&self, _: &Mutex<Session>, _: &Session) -> Result<(), Failure> {
//! #         Err("there is no refresh token".into())
//! #     }
//! #     fn log_in_again(&self, shared: &Mutex<Session>, used: &Session) -> Result<(), Failure> {
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
//! `stacks/bot` is a whole bot of this kind, with tasks on tokio, and with tests.
//!
//! # Addresses from strangers
//!
//! A program on a server must not send requests wherever a stranger wants (server-side request forgery). A server name
//! can be `127.0.0.1`, `[::1]` or a name that leads there. Some systems read `2130706433` and `0x7f.1` as addresses
//! too. A redirect of the well-known file, its `base_url` and the `well_known` of a login response can lead anywhere.
//! This crate does not resolve names, so it cannot check that. Check every request before you send it: resolve the
//! name, refuse addresses of your own network, and connect to the addresses that you have checked. If you resolve the
//! name again, it can lead somewhere else.
//!
//! ```
//! use std::{
//!     io,
//!     net::{IpAddr, SocketAddr, ToSocketAddrs},
//! };
//!
//! use http::Uri;
//!
//! /// Where to connect for a request. Give these addresses to the HTTP client, as the only ones for this host.
//! fn public_addresses(uri: &Uri) -> io::Result<Vec<SocketAddr>> {
//!     let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
//!     let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
//!     let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
//!     match addresses.iter().all(|address| is_public(address.ip())) {
//!         true => Ok(addresses),
//!         false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a public address")),
//!     }
//! }
//!
//! /// Whether everybody on the internet may connect to an address. IANA's registries of special addresses
//! /// list the rest.
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
//!                 || (first == 100 && (64..128).contains(&second)) // shared by the customers of a provider
//!                 || (first == 192 && second == 0) // protocol assignments
//!                 || (first == 198 && (18..20).contains(&second))) // benchmarks
//!         }
//!         // Global unicast, short of 2001::/16 and of addresses that contain one of IPv4 (6to4).
//!         IpAddr::V6(address) => {
//!             let [first, second, ..] = address.segments();
//!             let is_special = (first == 0x2001 && (second < 0x200 || second == 0xdb8)) || first == 0x2002;
//!             (first & 0xe000) == 0x2000 && !is_special && first != 0x3fff
//!         }
//!     }
//! }
//!
//! // A flow begins with the server name that a stranger has typed.
//! for server_name in ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "10.0.0.1:8448", "169.254.169.254"] {
//!     let flow = matrix_login::LoginFlow::discover(server_name.parse()?, Default::default());
//!     let matrix_login::Step::Send { request, .. } = flow.step() else { unreachable!("discovery sends") };
//!     assert!(public_addresses(request.uri()).is_err(), "{server_name}");
//! }
//! # for special in [
//! #     "0.0.0.0", "100.64.0.1", "172.16.0.1", "192.0.0.8", "192.168.0.1", "198.18.0.1", "224.0.0.1",
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
//! Do this for every [`Step::Send`], and for the requests of a [`Session`], whose homeserver a server may have named.
//! A proxy that refuses private addresses does the same.
//!
//! # Without the flow
//!
//! Below the flow are pure functions, a `request` and a `response` for each [`endpoint`]. They check as much as the
//! flow does. [`Session::granted`] makes a session from a login response that no flow has seen. It can come from the
//! homeserver's [fallback page](endpoint::login_fallback), which works for unknown login types, from a registration, or
//! from another crate. A device that is logged in can [get a login token](endpoint::get_token) for a new one.
//!
//! # Secrets
//!
//! [`Password`], [`LoginToken`], [`AccessToken`], [`RefreshToken`] and [`CodeVerifier`] print as `[redacted]`. They
//! have no `Display`, no `Eq` and no `Serialize`; only `expose` returns them. No error and no `Debug` output of this
//! crate contains the body of a response or the values in [`Fields`]. They do show the message of a server in a
//! [`ServerError`]. The `Debug` of [`http::Request`] prints the body: do not log the request of [`Step::Send`]. A
//! server chooses user IDs, names and messages: [`one_line`] makes them safe for a terminal.
//!
//! # What is not in it
//!
//! - Registration. A homeserver with the OAuth 2.0 API registers users on its pages: see [`Redirect::with_action`].
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
