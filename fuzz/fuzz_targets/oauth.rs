//! Invariant: with an honest server every OAuth 2.0 login ends with a session, whatever came before; an input that
//! fails changes nothing; a secret goes only to the server that it belongs to; no clock makes the flow poll too soon.
//!
//! The target drives a whole login, from the first request to the end of the session. There are both grants, and a
//! client that is registered or registers itself. The metadata are good, broken or mixed up. The flow is suspended at
//! any moment. Responses get lost, come late or come twice. The clock jumps, also to the ends of time.
//!
//! 1. All or nothing. An input leads along an arrow of the diagram, and the flow has another request ID. Or the input
//!    is an error, and step, ID, stored form and `Debug` are the same as before. Only a session that the flow refuses
//!    is an error and a move.
//! 2. Tokens that a server grants are never lost: `GET whoami` is due until it succeeds or the caller goes back. After
//!    the grant, no poll is due, and the flow sends no code.
//! 3. Each request goes to the endpoint that the metadata of the choice name, and contains exactly what belongs there.
//!    After a resume, the flow accepts only metadata with the same issuer and the same origin.
//! 4. `Debug`, `Display` and errors show no secret. The stored form of a flow contains no secret, except for the
//!    verifier while the user is in the browser.
//! 5. `remaining` is the whole delay right after a response, and never more. The delay is at least the interval. A
//!    driver that sleeps for `remaining` polls only after the interval has really passed, unless the clock was set
//!    ahead. A code that has ended is over at the next poll.
//! 6. An access token lives from the arrival of its own response, whatever the clock shows at `whoami`.
//! 7. A session changes only when a refresh is granted, or when metadata of the same issuer arrive. Its tokens go
//!    only to the endpoints of its own server.

#![no_main]

mod browser;
mod responses;
mod sessions;
mod views;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbitrary::Arbitrary;
use http::{Request, Response, header};
use libfuzzer_sys::fuzz_target;
use matrix_login::{
    Choice, Error, Homeserver, HttpsUrl, LoginFlow, LoginSettings, OAuthClient, Refresh, RefreshToken, RequestId,
    ResponseError, Session, SessionError, ShownCode, Step,
    endpoint::{
        oauth::{
            auth_metadata::{self, AuthMetadata},
            device_authorization, registration, revocation, token,
        },
        whoami,
    },
};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use self::{
    browser::{CHOSEN_DEVICE_ID, Callback, Client, Iss, STATE, VERIFIER, Way, callback, code_choice, of_oauth},
    responses::{
        ALICE, Body, Grant, SECRET, Scripted, Status, Stored, check_error, homeserver, shows_no_secret, story, time,
    },
    sessions::{authorize, check_later, end, expect_tokens, is_final, judge, kept, look_at_the_clock},
    views::{GOOD, Picture, check_remaining, due_id, is_of_a_code, may_name},
};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The device ID of the settings.
const NEW_DEVICE_ID: &str = "NEWTABLET-0";
/// How many responses of the past can come again.
const LATE_RESPONSES: usize = 4;

#[derive(Arbitrary, Debug)]
struct Story {
    /// How many steps an honest driver, server and user go first, so that few bytes lead far.
    head_start: u8,
    /// Whether they take the device grant.
    device: bool,
    start: Start,
    client: Client,
    device_id: bool,
    require_refresh_token: bool,
    clock: Jump,
    turns: Vec<Turn>,
}

#[derive(Arbitrary, Debug)]
enum Start {
    At(u8),
    Discover,
    Again(Stored),
}

#[derive(Arbitrary, Debug)]
enum Turn {
    /// The step that is due succeeds, so that few bytes lead far.
    Ahead(Grant),
    Respond(Scripted),
    /// The server has done its work, but its response does not arrive, or not yet.
    Lose(Scripted),
    /// A response of the past arrives.
    Late(u8),
    Jump(Jump),
    /// The driver waits as long as the step says.
    Sleep,
    /// The driver does not wait.
    Timeout,
    Choose {
        device: bool,
        way: Way,
        register: bool,
    },
    Callback(Callback),
    Back,
    Suspend,
    Unreachable,
    UseHomeserver(u8),
    /// Until there is a session, an honest server and an honest user come first.
    Session(Deed),
}

/// What can be done with a session.
#[derive(Arbitrary, Debug)]
enum Deed {
    RefreshAhead(Grant),
    Refresh(Scripted),
    Judge(Scripted),
    Whoami(Scripted),
    LogOut(Scripted),
    Metadata(Scripted),
    LookAtTheClock(Duration),
    Authorize(u8),
    Store,
    ForgetRefreshToken,
    LogInAgain,
}

#[derive(Arbitrary, Debug)]
enum Jump {
    Seconds(i32),
    Milliseconds(i16),
    Far(i64),
    /// In milliseconds since the epoch.
    At(i64),
    Epoch,
    Earliest,
    Latest,
    /// Near the end of what ends next: the code that is shown, or the access token. In seconds.
    NearTheEnd(i8),
}

/// The boxes of the diagram, as far as an OAuth 2.0 login has them. A wait is not a box: it holds up a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Discovery, the login types and the metadata.
    Ask,
    Locate,
    Choose,
    Register,
    Browse,
    /// The metadata after a resume.
    AskAgain,
    Token,
    RequestCode,
    Show,
    Poll,
    Whoami,
    Revoke,
    Done,
}

/// An input, without what it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Response,
    Timeout,
    Choice,
    Callback,
    Back,
    Resume,
    Unreachable,
    Homeserver,
}

/// Where a flow stands: the box, and whether a wait holds it up.
type Position = (Place, bool);

/// Whether the diagram has an arrow.
fn is_arrow(input: Input, (from, waits): Position, (to, will_wait): Position) -> bool {
    use Place::{
        Ask, AskAgain, Browse, Choose, Done, Locate, Poll, Register, RequestCode, Revoke, Show, Token, Whoami,
    };
    let is_question = matches!(to, Choose | Ask);
    if will_wait {
        return input == Input::Response
            && !waits
            && from == to
            && !matches!(to, Locate | Choose | Browse | Show | Done);
    }
    match input {
        Input::Response => {
            !waits
                && match from {
                    Ask => matches!(to, Ask | Choose | Locate),
                    Register => is_question || matches!(to, Browse | RequestCode),
                    AskAgain => to == Token,
                    Token => is_question || to == Whoami,
                    RequestCode => is_question || to == Show,
                    Poll => is_question || matches!(to, Show | Whoami),
                    Whoami => to == Done,
                    Revoke => is_question,
                    Locate | Choose | Browse | Show | Done => false,
                }
        }
        Input::Timeout => {
            if waits {
                from == to
            } else {
                (from, to) == (Show, Poll)
            }
        }
        Input::Choice => from == Choose && matches!(to, Register | Browse | RequestCode),
        Input::Callback => from == Browse && (is_question || matches!(to, Token | AskAgain)),
        Input::Back => match from {
            Locate => to == Ask,
            Whoami => is_question || to == Revoke,
            Ask | Choose | Done => false,
            _ => is_question,
        },
        Input::Resume => {
            if from == Browse {
                to == Browse
            } else {
                from != Done && to == Ask
            }
        }
        Input::Unreachable => match from {
            Ask => matches!(to, Locate | Choose),
            Revoke => is_question,
            _ => false,
        },
        Input::Homeserver => !matches!(from, Whoami | Done) && to == Ask,
    }
}

/// Whether a flow accepts an input at this position, whatever the input contains.
fn is_always_taken(input: Input, (from, waits): Position) -> bool {
    match input {
        Input::Timeout => waits || from == Place::Show,
        Input::Choice => from == Place::Choose,
        Input::Callback => from == Place::Browse,
        Input::Back => !matches!(from, Place::Ask | Place::Choose | Place::Done),
        Input::Homeserver => !matches!(from, Place::Whoami | Place::Done),
        Input::Response | Input::Resume | Input::Unreachable => false,
    }
}

fn shifted(clock: SystemTime, distance: Duration, is_ahead: bool) -> SystemTime {
    if is_ahead {
        clock.checked_add(distance).unwrap_or_else(latest)
    } else {
        clock.checked_sub(distance).unwrap_or_else(earliest)
    }
}

/// The ends of time, as far as the system can hold them.
fn latest() -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::new(i64::MAX.unsigned_abs(), 999_999_999)).expect("a time can hold it")
}

fn earliest() -> SystemTime {
    UNIX_EPOCH.checked_sub(Duration::from_secs(i64::MIN.unsigned_abs())).expect("a time can hold it")
}

impl Jump {
    fn from(&self, clock: SystemTime, end: Option<SystemTime>) -> SystemTime {
        match self {
            Self::Seconds(by) => shifted(clock, Duration::from_secs(by.unsigned_abs().into()), *by > 0),
            Self::Milliseconds(by) => shifted(clock, Duration::from_millis(by.unsigned_abs().into()), *by > 0),
            Self::Far(by) => shifted(clock, Duration::from_secs(by.unsigned_abs()), *by > 0),
            Self::At(milliseconds) => time(*milliseconds),
            Self::Epoch => UNIX_EPOCH,
            Self::Earliest => earliest(),
            Self::Latest => latest(),
            Self::NearTheEnd(by) => {
                shifted(end.unwrap_or(clock), Duration::from_secs(by.unsigned_abs().into()), *by > 0)
            }
        }
    }
}

/// The names and values of a form, if the request has one.
fn form(request: &Request<Vec<u8>>) -> Option<Vec<(String, String)>> {
    let content_type = request.headers().get(header::CONTENT_TYPE)?;
    let is_form = content_type == "application/x-www-form-urlencoded";
    is_form.then(|| form_urlencoded::parse(request.body()).into_owned().collect())
}

fn pairs<const N: usize>(form: [(&str, &str); N]) -> Option<Vec<(String, String)>> {
    Some(form.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// The position of a flow. If the flow has no code, GET auth_metadata is the one before the question.
fn position(flow: &LoginFlow, has_code: bool) -> Position {
    let place = match flow.step() {
        Step::Wait(_) => {
            let mut behind = flow.clone();
            behind.handle_timeout().expect("a wait ends");
            let (place, waits) = position(&behind, has_code);
            assert!(!waits, "a wait holds up a request");
            return (place, true);
        }
        Step::Locate { .. } => Place::Locate,
        Step::Choose { .. } => Place::Choose,
        Step::Browse(url) => {
            assert!(is_of_a_code(url));
            Place::Browse
        }
        Step::ShowCode(_) => Place::Show,
        Step::Done(_) => Place::Done,
        Step::Send { request, .. } => match form(&request) {
            Some(form) => {
                let has = |name: &str| form.iter().any(|(found, _)| found == name);
                match ["scope", "device_code", "code", "token"].map(has) {
                    [true, false, false, false] => Place::RequestCode,
                    [false, true, false, false] => Place::Poll,
                    [false, false, true, false] => Place::Token,
                    [false, false, false, true] => Place::Revoke,
                    _ => panic!("an unknown form"),
                }
            }
            None if request.method() == "POST" => Place::Register,
            None if request.uri().path().ends_with("/account/whoami") => Place::Whoami,
            None if has_code && request.uri().path().ends_with("/auth_metadata") => Place::AskAgain,
            None => Place::Ask,
        },
    };
    (place, false)
}

/// A code that is shown, as the target knows it.
struct Shown {
    device_code: String,
    user_code: String,
    expires_at: Option<SystemTime>,
    interval: Duration,
    delay: Duration,
    is_new: bool,
}

impl Shown {
    fn check(&self, code: &ShownCode) {
        assert_eq!((code.user_code(), code.expires_at()), (self.user_code.as_str(), self.expires_at));
        assert_eq!((code.interval(), code.is_new()), (self.interval, self.is_new));
        assert_eq!(code.delay(), self.delay);
        assert!(!code.interval().is_zero(), "no driver polls without a pause");
    }
}

/// A session, and the servers to which its tokens may go.
struct Held {
    session: Session,
    client_id: String,
    issuer: String,
    token_endpoint: HttpsUrl,
    revocation_endpoint: Option<HttpsUrl>,
}

impl Held {
    /// Checks where the tokens go, and that they are not shown.
    fn check(&self) {
        let Self { session, client_id, token_endpoint, revocation_endpoint, .. } = self;
        shows_no_secret(&format!("{session:?}"));
        assert!(session.is_oauth());
        let client_id = ("client_id", client_id.as_str());
        match (session.refresh_request(), session.refresh_token()) {
            (Ok(request), Some(refresh_token)) => {
                assert_eq!(request.uri().to_string(), token_endpoint.as_str());
                assert!(!request.headers().contains_key(header::AUTHORIZATION));
                let token = ("refresh_token", refresh_token.expose());
                assert_eq!(form(&request), pairs([("grant_type", "refresh_token"), token, client_id]));
            }
            (Err(SessionError::NoRefreshToken), None) => {}
            outcome => panic!("{:?}", outcome.0.map(|_| "a request")),
        }
        match (session.logout_request(), revocation_endpoint) {
            (Ok(request), Some(endpoint)) => {
                assert_eq!(request.uri().to_string(), endpoint.as_str());
                assert!(!request.headers().contains_key(header::AUTHORIZATION));
                let (token, hint) = match session.refresh_token() {
                    Some(token) => (token.expose(), "refresh_token"),
                    None => (session.access_token().expose(), "access_token"),
                };
                assert_eq!(form(&request), pairs([("token", token), ("token_type_hint", hint), client_id]));
            }
            (Err(SessionError::NoRevocationEndpoint), None) => {}
            outcome => panic!("{:?}", outcome.0.map(|_| "a request")),
        }
    }

    fn refresh(&mut self, response: &Response<Vec<u8>>, clock: SystemTime, expected: &mut Value) {
        let outcome = self.session.handle_refresh(response, clock);
        shows_no_secret(&format!("{outcome:?}"));
        let is_end =
            |errcode: Option<&str>| matches!(errcode, Some("invalid_grant" | "invalid_client" | "unauthorized_client"));
        match (&outcome, token::response(response)) {
            (Refresh::Refreshed, Ok(granted)) => {
                let tokens = (&granted.access_token, granted.refresh_token.as_ref(), granted.expires_in);
                expect_tokens(expected, tokens, clock);
            }
            (Refresh::TokenGone(error), Err(_)) => assert!(is_final(error) && is_end(error.errcode.as_deref())),
            (Refresh::Later { error, delay }, Err(_)) => {
                check_later(error, *delay, clock);
                if let ResponseError::Server(error) = error {
                    // Request Timeout and Too Early mean: later.
                    let is_transient = error.status.is_some_and(|status| [408, 425].contains(&status.as_u16()));
                    assert!(!is_end(error.errcode.as_deref()) || !is_final(error) || is_transient);
                }
            }
            _ => panic!("{outcome:?}"),
        }
    }

    /// The metadata of the homeserver are read again.
    fn look_again(&mut self, response: &Response<Vec<u8>>, expected: &mut Value) {
        let homeserver = self.session.homeserver().expect("it is known");
        let Ok(Some(metadata)) = auth_metadata::response(homeserver, response) else { return };
        match (self.session.set_auth_metadata(&metadata), metadata.token_endpoint) {
            (Ok(()), Some(token_endpoint)) => {
                assert_eq!(*metadata.issuer, *self.issuer, "mix-up");
                expected["oauth"]["token_endpoint"] = token_endpoint.as_str().into();
                let oauth = expected["oauth"].as_object_mut().expect("it is an object");
                oauth.remove("revocation_endpoint");
                if let Some(endpoint) = &metadata.revocation_endpoint {
                    oauth.insert("revocation_endpoint".to_owned(), endpoint.as_str().into());
                }
                (self.token_endpoint, self.revocation_endpoint) = (token_endpoint, metadata.revocation_endpoint);
            }
            (Err(SessionError::OtherIssuer), _) => assert_ne!(*metadata.issuer, *self.issuer),
            (Err(SessionError::NoTokenEndpoint), None) => {}
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}

/// Whether the user has not decided yet (RFC 8628, section 3.5).
fn is_undecided(errcode: Option<&str>) -> bool {
    matches!(errcode, Some("authorization_pending" | "slow_down"))
}

/// A login, and what the target knows of it from outside.
struct Login {
    flow: LoginFlow,
    position: Position,
    picture: Picture,
    /// Whether an honest user takes the device grant.
    takes_device: bool,
    /// The user that must log in again.
    wanted: Option<String>,
    /// The device of the settings, if it is fit for OAuth 2.0.
    device_id: Option<String>,
    require_refresh_token: bool,
    clock: SystemTime,
    /// The time that has really passed. No jump of the clock changes it.
    passed: Duration,
    /// When the last response arrived, in time that has really passed. `None` if the clock was set ahead since then.
    responded: Option<Duration>,
    /// The metadata of the choice.
    metadata: Option<AuthMetadata>,
    client_id: String,
    redirect_uri: String,
    /// The URL of the browser.
    browse: Option<Url>,
    callbacks: usize,
    /// The count of the callback whose code is not a token yet.
    code: Option<usize>,
    shown: Option<Shown>,
    granted: Option<(token::Response, SystemTime)>,
    /// Responses that can come late.
    late: Vec<(RequestId, Response<Vec<u8>>)>,
    /// The last request that an input has ended.
    stale: Option<RequestId>,
    held: Option<Held>,
}

impl Login {
    fn new(flow: LoginFlow, takes_device: bool, clock: SystemTime) -> Self {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let device_id = flow.settings().device_id().filter(|id| id.len() >= 10 && id.bytes().all(is_unreserved));
        Self {
            position: position(&flow, false),
            picture: Picture::of(&flow),
            takes_device,
            wanted: flow.expected_user().map(ToString::to_string),
            device_id: device_id.map(str::to_owned),
            require_refresh_token: flow.settings().require_refresh_token(),
            client_id: flow.settings().oauth().and_then(OAuthClient::client_id).unwrap_or_default().to_owned(),
            flow,
            clock,
            passed: Duration::ZERO,
            responded: None,
            metadata: None,
            redirect_uri: String::new(),
            browse: None,
            callbacks: 0,
            code: None,
            shown: None,
            granted: None,
            late: Vec::new(),
            stale: None,
            held: None,
        }
    }

    fn begin(story: &Story) -> Self {
        let mut settings = LoginSettings::default()
            .with_oauth(story.client.settings())
            .with_require_refresh_token(story.require_refresh_token);
        if story.device_id {
            settings = settings.with_device_id(NEW_DEVICE_ID).expect("it is not empty");
        }
        let flow = match &story.start {
            Start::At(index) => LoginFlow::at(homeserver(*index), settings),
            Start::Discover => LoginFlow::discover("example.org:8448".parse().expect("it is a name"), settings),
            Start::Again(stored) => LoginFlow::again(&stored.session(), settings),
        };
        Self::new(flow, story.device, story.clock.from(UNIX_EPOCH, None))
    }

    fn scope(&self) -> String {
        let device_id = self.device_id.as_deref().unwrap_or(CHOSEN_DEVICE_ID);
        format!("urn:matrix:client:api:* urn:matrix:client:device:{device_id}")
    }

    fn homeserver(&self) -> &Homeserver {
        self.flow.homeserver().expect("the login has chosen one")
    }

    fn metadata(&self) -> &AuthMetadata {
        self.metadata.as_ref().expect("the login has chosen a grant")
    }

    fn jump(&mut self, to: SystemTime) {
        if to > self.clock {
            self.responded = None;
        }
        self.clock = to;
    }

    fn take_turn(&mut self, turn: Turn) {
        match turn {
            Turn::Ahead(grant) => self.ahead(grant),
            Turn::Respond(scripted) => {
                let (distance, is_ahead) =
                    (Duration::from_millis(scripted.received_at.unsigned_abs()), scripted.received_at > 0);
                self.jump(shifted(self.clock, distance, is_ahead));
                self.respond(scripted.response());
            }
            Turn::Lose(scripted) => {
                if let Some(id) = due_id(&self.flow) {
                    self.keep_for_later(id, scripted.response());
                }
            }
            Turn::Late(which) => {
                if let Some(index) = usize::from(which).checked_rem(self.late.len()) {
                    let (id, response) = self.late.remove(index);
                    self.receive(id, response);
                }
            }
            Turn::Jump(jump) => {
                let code = self.flow.shown_code().and_then(ShownCode::expires_at);
                let token = self.held.as_ref().and_then(|held| held.session.expires_at());
                self.jump(jump.from(self.clock, code.or(token)));
            }
            Turn::Sleep => self.sleep(),
            Turn::Timeout => self.input(Input::Timeout, LoginFlow::handle_timeout),
            Turn::Choose { device, way, register } => {
                self.choose(if device { Choice::device_authorization() } else { code_choice(&way, register) });
            }
            Turn::Callback(kind) => self.come_back(&kind),
            Turn::Back => self.input(Input::Back, LoginFlow::back),
            Turn::Suspend => self.suspend(),
            Turn::Unreachable => {
                if let Some(id) = due_id(&self.flow) {
                    self.input(Input::Unreachable, |flow| flow.handle_unreachable(id));
                }
            }
            Turn::UseHomeserver(index) => self.input(Input::Homeserver, |flow| flow.use_homeserver(homeserver(index))),
            Turn::Session(deed) => {
                self.finish();
                self.deed(deed);
            }
        }
    }

    /// What the step asks for.
    fn ahead(&mut self, grant: Grant) {
        match self.flow.step() {
            Step::Send { .. } => {
                let scripted =
                    Scripted { status: Status::Ok, headers: Vec::new(), body: Body::Good(grant), received_at: 0 };
                self.respond(scripted.response());
            }
            Step::Choose { oauth: Some(metadata), .. }
                if metadata.offers_device_authorization()
                    && (grant.token % 2 == 1 || !metadata.offers_authorization_code()) =>
            {
                self.choose(Choice::device_authorization());
            }
            Step::Done(_) => {}
            _ => self.go_on(),
        }
    }

    /// What an honest driver, server and user do.
    fn go_on(&mut self) {
        match self.flow.step() {
            Step::Send { .. } => {
                let wanted = self
                    .wanted
                    .as_ref()
                    .map(|user_id| GOOD.replace(&json!(ALICE).to_string(), &json!(user_id).to_string()));
                self.respond(Response::new(wanted.unwrap_or_else(|| GOOD.to_owned()).into_bytes()));
            }
            Step::Wait(_) | Step::ShowCode(_) => self.sleep(),
            Step::Choose { oauth: Some(_), .. } => {
                let takes_device = self.takes_device;
                self.choose(if takes_device {
                    Choice::device_authorization()
                } else {
                    code_choice(&Way::Loopback, false)
                });
            }
            Step::Locate { .. } | Step::Choose { oauth: None, .. } => {
                self.input(Input::Homeserver, |flow| flow.use_homeserver(homeserver(0)));
            }
            Step::Browse(_) => self.come_back(&Callback::Code { in_fragment: false, iss: Iss::Ours }),
            Step::Done(_) => {}
        }
    }

    /// The login ends with a session. If an honest server cannot help, because of earlier events, the driver
    /// begins again at the homeserver.
    fn finish(&mut self) {
        for _ in 0..40 {
            if self.position.0 == Place::Done {
                return;
            }
            let before = self.picture.id.clone();
            self.go_on();
            if self.picture.id == before {
                let is_whoami = self.position.0 == Place::Whoami;
                assert!(!is_whoami, "the server says whose the tokens are");
                self.input(Input::Homeserver, |flow| flow.use_homeserver(homeserver(0)));
            }
        }
        panic!("a login without end: {:?}", self.flow.step());
    }

    fn choose(&mut self, choice: Choice) {
        let choice = of_oauth(choice, self.device_id.is_none(), false);
        self.input(Input::Choice, |flow| flow.choose(choice));
    }

    fn come_back(&mut self, kind: &Callback) {
        let url = callback(kind, self.callbacks + 1);
        self.input(Input::Callback, |flow| flow.handle_callback(&url));
    }

    fn sleep(&mut self) {
        let (delay, pause) = match self.flow.step() {
            Step::Wait(wait) => (wait.delay(), wait.remaining(self.clock)),
            Step::ShowCode(code) => (code.delay(), code.remaining(self.clock)),
            _ => return,
        };
        assert!(pause <= delay);
        // A pause that no time can hold passes too. Then its length is unknown.
        match (self.passed.checked_add(pause), self.clock.checked_add(pause)) {
            (Some(passed), Some(clock)) => (self.passed, self.clock) = (passed, clock),
            _ => (self.passed, self.responded) = (Duration::ZERO, None),
        }
        if let (Some(responded), Some(shown)) = (self.responded, self.flow.shown_code()) {
            assert!(self.passed - responded >= shown.interval(), "the driver polls too soon");
        }
        self.input(Input::Timeout, LoginFlow::handle_timeout);
    }

    fn suspend(&mut self) {
        let Some(suspended) = self.flow.suspend() else { return };
        let text = serde_json::to_string(&suspended).expect("it serialises");
        self.input(Input::Resume, |flow| {
            *flow = LoginFlow::resume(serde_json::from_str(&text).expect("it is read back"));
            Ok(())
        });
        // Only the ID differs.
        let mut again = serde_json::to_value(self.flow.suspend()).expect("it serialises");
        let mut stored: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_ne!(stored["request_id"].take(), again["request_id"].take(), "old IDs are stale");
        assert_eq!(stored, again);
    }

    fn respond(&mut self, response: Response<Vec<u8>>) {
        match due_id(&self.flow) {
            Some(id) => self.receive(id, response),
            None => {
                if let Some(id) = self.stale {
                    self.refuses(id, &response);
                }
            }
        }
    }

    fn keep_for_later(&mut self, id: RequestId, response: Response<Vec<u8>>) {
        if self.late.len() == LATE_RESPONSES {
            self.late.remove(0);
        }
        self.late.push((id, response));
    }

    /// A response arrives: to the request that is due, or to another one.
    fn receive(&mut self, id: RequestId, response: Response<Vec<u8>>) {
        if due_id(&self.flow) != Some(id) {
            self.refuses(id, &response);
            assert_eq!(Picture::of(&self.flow), self.picture, "a stale response changes something");
            return;
        }
        let from = self.position;
        let clock = self.clock;
        let tokens = token::response(&response);
        let is_for_tokens = matches!(from.0, Place::Token | Place::Poll);
        let ended = self.shown.as_ref().is_some_and(|shown| shown.expires_at.is_some_and(|end| end <= clock));
        let outcome = self.flow.handle_response(id, &response, clock);
        let to = position(&self.flow, self.code.is_some());
        if is_for_tokens {
            assert_eq!(outcome.is_ok() && to == (Place::Whoami, false), tokens.is_ok(), "tokens are lost, or made up");
        }
        if outcome.is_ok() && !to.1 {
            self.learn(from.0, to.0, &response, tokens, ended);
        } else if outcome.is_ok() && from.0 == Place::Poll {
            let Err(ResponseError::Server(error)) = &tokens else { panic!("a wait without a reason") };
            assert!(error.is_rate_limit() && !is_undecided(error.errcode.as_deref()));
        }
        let is_wanted = self.check_grant(&response, from.0, &outcome);
        if outcome.is_ok() {
            self.responded = Some(self.passed);
        }
        self.moved(Input::Response, Some(id), outcome, is_wanted);
        self.keep_for_later(id, response);
    }

    /// A response has led from one box to another.
    fn learn(
        &mut self,
        from: Place,
        to: Place,
        response: &Response<Vec<u8>>,
        tokens: Result<token::Response, ResponseError>,
        ended: bool,
    ) {
        match (from, to) {
            (Place::Register, Place::Browse | Place::RequestCode) => {
                self.client_id = registration::response(response).expect("it is registered").client_id.to_string();
            }
            (Place::AskAgain, Place::Token) => {
                let found = auth_metadata::response(self.homeserver(), response).ok().flatten().expect("metadata");
                let begun = self.metadata();
                assert_eq!(found.issuer, begun.issuer, "mix-up");
                let address = |metadata: &AuthMetadata| metadata.authorization_endpoint.clone().expect("it is there");
                let (old, new) = (address(begun), address(&found));
                assert_eq!((old.url().origin(), old.url().path()), (new.url().origin(), new.url().path()));
                let token_endpoint = found.token_endpoint.as_ref().expect("it is there");
                assert_eq!(token_endpoint.url().origin(), old.url().origin(), "mix-up");
                self.metadata = Some(found);
            }
            (Place::Token | Place::Poll, Place::Whoami) => {
                self.granted = Some((tokens.expect("they were granted"), self.clock));
                (self.code, self.shown) = (None, None);
            }
            (Place::RequestCode, Place::Show) => {
                let code = device_authorization::response(self.homeserver(), response).expect("it is a code");
                self.shown = Some(Shown {
                    device_code: code.device_code.expose().to_owned(),
                    user_code: code.user_code,
                    expires_at: code.expires_in.and_then(|lifetime| self.clock.checked_add(lifetime)),
                    interval: code.interval,
                    delay: code.interval,
                    is_new: true,
                });
            }
            (Place::Poll, to) => {
                let Err(ResponseError::Server(error)) = tokens else { panic!("a poll that failed has a reason") };
                let errcode = error.errcode.as_deref();
                assert_eq!(to == Place::Show, is_undecided(errcode) && !ended, "{errcode:?}, ended: {ended}");
                if to != Place::Show {
                    if let (true, Step::Choose { refused, .. }) = (is_undecided(errcode), self.flow.step()) {
                        assert_eq!(refused.and_then(|refused| refused.errcode.as_deref()), Some("expired_token"));
                    }
                    return;
                }
                let hint = error.retry_after.and_then(|hint| hint.delay(self.clock)).unwrap_or_default();
                let shown = self.shown.as_mut().expect("a code is shown");
                if errcode == Some("slow_down") {
                    shown.interval = shown.interval.saturating_add(Duration::from_secs(5));
                }
                shown.delay = shown.interval.max(hint);
                shown.is_new = false;
            }
            _ => {}
        }
    }

    /// Checks the tokens after whoami. Returns whether the session is the one that the login is for.
    fn check_grant(&mut self, response: &Response<Vec<u8>>, from: Place, outcome: &Result<(), Error>) -> bool {
        let session = match (outcome, self.flow.step()) {
            (Ok(()), Step::Done(session)) if from == Place::Whoami => session.clone(),
            (Err(Error::WrongUser { session, .. } | Error::MissingRefreshToken(session)), _) => {
                assert_eq!(from, Place::Whoami);
                (**session).clone()
            }
            _ => return true,
        };
        let (granted, granted_at) = self.granted.take().expect("tokens were granted");
        let who = whoami::response(response).expect("it says who it is");
        assert_eq!(session.access_token().expose(), granted.access_token.expose());
        let refresh_token = |token: Option<&RefreshToken>| token.map(|token| token.expose().to_owned());
        assert_eq!(refresh_token(session.refresh_token()), refresh_token(granted.refresh_token.as_ref()));
        let expires_at = granted.expires_in.and_then(|lifetime| end(granted_at, lifetime));
        assert_eq!(session.expires_at(), expires_at.map(|end| UNIX_EPOCH + Duration::from_nanos(end)));
        assert_eq!((session.user_id(), Some(session.device_id())), (&who.user_id, who.device_id.as_deref()));
        assert_eq!(session.client_id(), Some(self.client_id.as_str()));
        assert_eq!(session.homeserver(), Some(self.homeserver()));

        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| session.user_id().as_str() == wanted);
        let is_for_good = !self.require_refresh_token || !granted.expires || granted.refresh_token.is_some();
        match outcome {
            Err(Error::WrongUser { .. }) => assert!(!is_wanted),
            Err(_) => assert!(is_wanted && !is_for_good),
            Ok(()) => assert!(is_wanted && is_for_good),
        }
        let metadata = self.metadata();
        let held = Held {
            session,
            client_id: self.client_id.clone(),
            issuer: metadata.issuer.to_string(),
            token_endpoint: metadata.token_endpoint.clone().expect("it has given tokens"),
            revocation_endpoint: metadata.revocation_endpoint.clone(),
        };
        held.check();
        if outcome.is_ok() {
            self.held = Some(held);
        }
        outcome.is_ok()
    }

    /// An input that is not a response.
    fn input(&mut self, input: Input, apply: impl FnOnce(&mut LoginFlow) -> Result<(), Error>) {
        let id = due_id(&self.flow);
        let metadata = match self.flow.step() {
            Step::Choose { oauth, .. } => oauth.cloned(),
            _ => None,
        };
        let outcome = apply(&mut self.flow);
        if outcome.is_ok() {
            match input {
                Input::Choice => self.metadata = metadata,
                Input::Callback => {
                    self.callbacks += 1;
                    // After a refusal, there is no code, and the question is due.
                    let (to, _) = position(&self.flow, true);
                    self.code = (!matches!(to, Place::Ask | Place::Choose)).then_some(self.callbacks);
                }
                Input::Back if self.position.0 == Place::Whoami => {
                    let can_revoke = self.metadata().revocation_endpoint.is_some();
                    assert_eq!(position(&self.flow, false).0 == Place::Revoke, can_revoke, "tokens are forgotten");
                }
                _ => {}
            }
        }
        self.moved(input, id, outcome, true);
    }

    /// Checks the first rule after each input.
    fn moved(&mut self, input: Input, id: Option<RequestId>, outcome: Result<(), Error>, is_wanted: bool) {
        let from = self.position;
        if let Err(error) = &outcome {
            check_error(error);
            assert!(!matches!(error, Error::OutOfStep { .. }) || !is_always_taken(input, from), "a dead end: {error}");
        }
        let picture = Picture::of(&self.flow);
        if outcome.is_err() && is_wanted {
            assert_eq!(picture, self.picture, "an error changes something: {outcome:?}");
            return;
        }
        let to = position(&self.flow, self.code.is_some());
        if matches!(to.0, Place::Choose | Place::Ask) {
            (self.code, self.shown, self.granted) = (None, None, None);
        }
        if is_wanted {
            assert!(is_arrow(input, from, to), "{input:?} leads from {from:?} to {to:?}");
        } else {
            assert!(from == (Place::Whoami, false) && matches!(to, (Place::Choose | Place::Ask, false)));
        }
        assert_ne!(picture.id, self.picture.id, "an input makes the ID stale");
        (self.position, self.stale) = (to, id.or(self.stale));
        self.picture = picture;
        self.look();
    }

    /// A response to this request has no effect, and neither does the lack of a response.
    fn refuses(&mut self, id: RequestId, response: &Response<Vec<u8>>) {
        let outcome = self.flow.handle_response(id, response, self.clock);
        assert!(matches!(outcome, Err(Error::StaleResponse)), "a stale response: {outcome:?}");
        let outcome = self.flow.handle_unreachable(id);
        assert!(matches!(outcome, Err(Error::StaleResponse)), "a stale request is unreachable: {outcome:?}");
    }

    /// Checks everything that must hold at the new position.
    fn look(&mut self) {
        if let Some(id) = self.stale {
            self.refuses(id, &Response::new(GOOD.into()));
        }
        assert_eq!(Picture::of(&self.flow), self.picture, "a step is a view, and a stale response changes nothing");
        let flow = &self.flow;
        shows_no_secret(&format!("{flow:?} {:?} {:?}", flow.step(), flow.suspend()));
        self.check_suspended();
        let (place, _) = self.position;
        assert_eq!(flow.shown_code().is_some(), matches!(place, Place::Show | Place::Poll));
        match (flow.shown_code(), &self.shown) {
            (Some(code), Some(shown)) => shown.check(code),
            (None, None) => {}
            _ => panic!("a code is shown without a reason, or is lost"),
        }
        match flow.step() {
            Step::Send { request, .. } => self.check_request(place, &request),
            Step::Wait(wait) => {
                let interval = flow.shown_code().map_or(Duration::ZERO, ShownCode::interval);
                assert!(wait.until() >= self.clock);
                check_remaining(self.clock, wait.delay(), interval, |now| wait.remaining(now));
            }
            Step::ShowCode(code) => {
                check_remaining(self.clock, code.delay(), code.interval(), |now| code.remaining(now));
            }
            Step::Browse(url) => {
                let url = url.clone();
                self.check_browse(&url);
            }
            Step::Done(_) => assert!(flow.suspend().is_none()),
            Step::Locate { .. } | Step::Choose { .. } => {}
        }
    }

    fn check_suspended(&self) {
        let Some(suspended) = self.flow.suspend() else { return };
        let mut stored = serde_json::to_value(&suspended).expect("it serialises");
        let verifier = stored.get_mut("code_grant").map(|grant| grant["code_verifier"].take());
        assert_eq!(verifier, (self.position.0 == Place::Browse).then(|| json!(VERIFIER)));
        let stored = stored.to_string();
        shows_no_secret(&stored);
        if let Some(shown) = self.shown.as_ref().filter(|shown| shown.user_code.len() > 8) {
            assert!(!stored.contains(&shown.user_code), "the code is stored: {stored}");
        }
    }

    fn check_browse(&mut self, url: &Url) {
        // After a resume, it is the same.
        if self.browse.as_ref() == Some(url) {
            return;
        }
        may_name(self.homeserver(), url);
        let endpoint = self.metadata().authorization_endpoint.as_ref().expect("it is offered");
        assert!(url.as_str().starts_with(endpoint.as_str()));
        let only = |name: &str| {
            let mut values = url.query_pairs().filter(|(found, _)| found == name);
            let value = values.next().map(|(_, value)| value.into_owned());
            assert!(values.next().is_none(), "{name} appears twice");
            value.unwrap_or_default()
        };
        assert_eq!((only("state"), only("scope")), (STATE.to_owned(), self.scope()));
        assert_eq!((only("client_id"), only("code_challenge_method")), (self.client_id.clone(), "S256".to_owned()));
        let redirect_uri = only("redirect_uri");
        shows_no_secret(url.as_str());
        self.redirect_uri = redirect_uri;
        self.browse = Some(url.clone());
    }

    /// Each request goes to its endpoint, and contains what belongs there.
    fn check_request(&self, place: Place, request: &Request<Vec<u8>>) {
        let uri = request.uri().to_string();
        let is_at = |endpoint: &Option<HttpsUrl>| {
            assert_eq!(Some(uri.as_str()), endpoint.as_ref().map(HttpsUrl::as_str), "at {place:?}");
            let endpoint = endpoint.as_ref().expect("it is there");
            may_name(self.homeserver(), endpoint.url());
        };
        let client_id = ("client_id", self.client_id.as_str());
        let form = form(request);
        let authorization = request.headers().get(header::AUTHORIZATION);
        assert_eq!(authorization.is_some(), place == Place::Whoami);
        match place {
            Place::Ask | Place::AskAgain => {
                assert!(request.method() == "GET" && request.body().is_empty());
                let target = Url::parse(&uri).expect("a request has an absolute URL");
                match self.flow.homeserver() {
                    Some(homeserver) => assert_eq!(target.origin(), homeserver.url().origin()),
                    None => assert_eq!(target.scheme(), "https"),
                }
            }
            Place::Register => {
                is_at(&self.metadata().registration_endpoint);
                shows_no_secret(&String::from_utf8_lossy(request.body()));
            }
            Place::RequestCode => {
                is_at(&self.metadata().device_authorization_endpoint);
                assert_eq!(form, pairs([client_id, ("scope", &self.scope())]));
            }
            Place::Token => {
                is_at(&self.metadata().token_endpoint);
                let code = format!("{SECRET}-{}", self.code.expect("the browser has come back with a code"));
                let redirect_uri = ("redirect_uri", self.redirect_uri.as_str());
                let verifier = ("code_verifier", VERIFIER);
                let grant_type = ("grant_type", "authorization_code");
                assert_eq!(form, pairs([grant_type, ("code", &code), redirect_uri, client_id, verifier]));
            }
            Place::Poll => {
                is_at(&self.metadata().token_endpoint);
                assert!(self.granted.is_none(), "a poll after tokens");
                let shown = self.shown.as_ref().expect("a code is shown");
                assert_eq!(form, pairs([("grant_type", DEVICE_CODE), ("device_code", &shown.device_code), client_id]));
            }
            Place::Whoami => {
                let (granted, _) = self.granted.as_ref().expect("tokens were granted");
                assert_eq!(uri, format!("{}/_matrix/client/v3/account/whoami", self.homeserver()));
                let expected = format!("Bearer {}", granted.access_token.expose());
                assert!(authorization.is_some_and(|value| value.is_sensitive() && *value == expected));
                assert!(request.body().is_empty());
            }
            Place::Revoke => {
                is_at(&self.metadata().revocation_endpoint);
                let (granted, _) = self.granted.as_ref().expect("tokens were granted");
                let (token, hint) = match &granted.refresh_token {
                    Some(token) => (token.expose(), "refresh_token"),
                    None => (granted.access_token.expose(), "access_token"),
                };
                assert_eq!(form, pairs([("token", token), ("token_type_hint", hint), client_id]));
            }
            Place::Locate | Place::Choose | Place::Browse | Place::Show | Place::Done => panic!("no request is due"),
        }
    }

    fn deed(&mut self, deed: Deed) {
        let clock = self.clock;
        let Some(held) = &mut self.held else { return };
        let mut expected = kept(&held.session);
        match deed {
            Deed::RefreshAhead(grant) => {
                let scripted =
                    Scripted { status: Status::Ok, headers: Vec::new(), body: Body::Good(grant), received_at: 0 };
                held.refresh(&scripted.response(), clock, &mut expected);
            }
            Deed::Refresh(scripted) => held.refresh(&scripted.response(), clock, &mut expected),
            Deed::Judge(scripted) => judge(&held.session, &scripted.response()),
            Deed::Whoami(scripted) => {
                let homeserver = held.session.homeserver().expect("it is known");
                let request = whoami::request(homeserver, held.session.access_token());
                assert_eq!(request.uri().to_string(), format!("{homeserver}/_matrix/client/v3/account/whoami"));
                let response = scripted.response();
                if let Err(error) = whoami::response(&response) {
                    check_error(&error);
                }
                judge(&held.session, &response);
            }
            Deed::LogOut(scripted) => {
                let response = scripted.response();
                match (held.session.handle_logout(&response), revocation::response(&response)) {
                    (Ok(ended), Ok(revoked)) => {
                        assert_eq!(ended.already_logged_out, revoked.already_revoked);
                        assert!(ended.already_logged_out || response.status().is_success());
                    }
                    (Err(error), Err(_)) => check_error(&error),
                    outcome => panic!("{outcome:?}"),
                }
            }
            Deed::Metadata(scripted) => held.look_again(&scripted.response(), &mut expected),
            Deed::LookAtTheClock(margin) => look_at_the_clock(&held.session, clock, margin),
            Deed::Authorize(index) => authorize(&held.session, &homeserver(index)),
            Deed::Store => {
                let again = Session::from_json(held.session.to_json()).expect("it is read back");
                held.session = again.expect("a user is logged in");
            }
            Deed::ForgetRefreshToken => {
                held.session.forget_refresh_token();
                expected.as_object_mut().expect("it is an object").remove("refresh_token");
            }
            Deed::LogInAgain => {
                let flow = LoginFlow::again(&held.session, self.flow.settings().clone());
                assert_eq!(flow.settings().device_id(), Some(held.session.device_id()));
                assert_eq!(flow.expected_user(), Some(held.session.user_id()));
                *self = Self::new(flow, self.takes_device, clock);
                self.look();
                return;
            }
        }
        assert_eq!(kept(&held.session), expected);
        held.check();
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(story) = story::<Story>(data) else { return };
    let mut login = Login::begin(&story);
    login.look();
    for _ in 0..story.head_start % 16 {
        login.go_on();
    }
    for turn in story.turns {
        login.take_turn(turn);
    }
});
