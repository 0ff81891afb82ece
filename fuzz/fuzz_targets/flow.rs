//! Invariant: after every operation the four rules hold, no request leaves the origin, and no secret is shown.
//!
//! 1. A step is a view: asked twice, the flow says the same.
//! 2. An operation moves the flow, or is an error and changes nothing. The error owns a session that is refused.
//! 3. No state is a dead end: `use_homeserver` works until there is a session.
//! 4. A wait begins when the response arrives, because the flow has no other clock.
//!
//! The request that is due keeps its ID until an input is accepted. Then the ID is stale for good, also after a resume:
//! a response with that ID is refused and changes nothing. If no request is due, every ID is stale.
//!
//! A code goes to the origin that the browser was sent to, and to no other. Once the code has become tokens, it goes
//! nowhere. The verifier is stored only while the user is in the browser.
//!
//! A device code goes to the origin that it came from, and to no other. Once it has become tokens, no poll is due. The
//! interval never gets shorter for one code. The remaining time is never more than the delay, and no clock that was set
//! back shortens it. A user who has not decided at the end of the code is refused. Neither code is ever stored.
//!
//! A login again ends as the same user, or not at all, and asks for the same device. The fields of a choice reach the
//! login, and the fields of a single sign-on reach it also through a suspension.

#![no_main]

mod browser;
mod responses;
mod views;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbitrary::Arbitrary;
use http::Response;
use libfuzzer_sys::fuzz_target;
use matrix_login::{
    AccessToken, Choice, Error, LoginFlow, LoginSettings, LoginToken, Password, Redirect, RequestId, ResponseError,
    Session, ShownCode, Step, UserIdentifier,
};
use serde_json::{Map, Value, json};
use url::{Origin, Url, form_urlencoded};

use self::{
    browser::{CHOSEN_DEVICE_ID, Callback, Client, Iss, STATE, VERIFIER, Way, callback, code_choice, of_oauth},
    responses::{
        ALICE, Body, DEVICE_ID, Grant, OAuthCode, SECRET, Scripted, Status, Stored, USER_CODE, check_error, homeserver,
        shows_no_secret, story, time,
    },
    views::{GOOD, Picture, check_remaining, due_id, is_of_a_code, may_name},
};

/// The devices of the settings. A login again does not ask for them. The first one is unfit for OAuth 2.0.
const NEW_DEVICE_IDS: [&str; 2] = ["DEVICE", "NEWTABLET-0"];
/// The field that a choice can have beside the fields of its type.
const FURTHER: &str = "org.example.further";

#[derive(Arbitrary, Debug)]
struct Story {
    start: Start,
    settings: Settings,
    turns: Vec<Turn>,
}

#[derive(Arbitrary, Debug)]
enum Start {
    Discover,
    At(u8),
    Again(Stored),
    LoggedIn(Stored),
}

#[derive(Arbitrary, Debug)]
struct Settings {
    device_id: Option<bool>,
    oauth: Option<Client>,
    refresh_tokens: bool,
    require_refresh_token: bool,
    follow_well_known: bool,
}

#[derive(Arbitrary, Debug)]
enum Turn {
    /// The step that is due succeeds, so that few bytes lead far.
    Ahead(Grant),
    Any(Operation),
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Respond(Scripted),
    Timeout,
    Unreachable,
    UseHomeserver(u8),
    Choose(Chosen, bool),
    Callback(Callback),
    Back,
    Suspend,
    /// A response to a request that is no longer due.
    Late {
        which: u8,
        scripted: Scripted,
    },
}

#[derive(Arbitrary, Debug)]
enum Chosen {
    Password,
    Token,
    ApplicationService,
    Custom,
    Sso { provider: bool },
    Code { way: Way, device_id: bool, register: bool, unlisted: bool },
    Device { device_id: bool, unlisted: bool },
}

fn choice(chosen: &Chosen, further: bool) -> Choice {
    let user = || UserIdentifier::user("alice");
    let choice = match chosen {
        Chosen::Password => Choice::password(user(), Password::new(SECRET)),
        Chosen::Token => Choice::token(LoginToken::new(SECRET)),
        Chosen::ApplicationService => {
            Choice::application_service(user(), AccessToken::new(SECRET).expect("it is visible ASCII"))
        }
        Chosen::Custom => {
            let fields: Map<String, Value> = [("token".to_owned(), json!(SECRET))].into_iter().collect();
            Choice::custom("org.example.badge", fields).expect("a token is allowed")
        }
        Chosen::Sso { provider } => {
            let redirect = Redirect::new("http://127.0.0.1:9/cb?a=b#c", STATE).expect("the state is long enough");
            Choice::sso(if *provider { redirect.with_identity_provider("x").expect("it is an ID") } else { redirect })
        }
        Chosen::Code { way, device_id, register, unlisted } => {
            of_oauth(code_choice(way, *register), *device_id, *unlisted)
        }
        Chosen::Device { device_id, unlisted } => {
            let choice = of_oauth(Choice::device_authorization(), *device_id, *unlisted);
            assert!(choice.clone().with_field(FURTHER, SECRET).is_err(), "the choice takes no field");
            return choice;
        }
    };
    let is_code = matches!(chosen, Chosen::Code { .. });
    if further && is_code {
        return choice.with_field(FURTHER, SECRET).expect("it is not reserved, and a string");
    }
    if further { choice.with_field(FURTHER, json!([SECRET])).expect("it is not reserved") } else { choice }
}

/// What does not change while one code is shown, except that the interval grows.
struct Shown {
    user_code: String,
    expires_at: Option<SystemTime>,
    interval: Duration,
}

impl Shown {
    fn of(code: &ShownCode) -> Self {
        let user_code = code.user_code().to_owned();
        Self { user_code, expires_at: code.expires_at(), interval: code.interval() }
    }
}

/// A flow, and what the target knows of it from outside.
struct Login {
    flow: LoginFlow,
    /// Whether this is a login again, with a fixed user and a fixed device.
    again: bool,
    device_id: Option<&'static str>,
    require_refresh_token: bool,
    /// How often in a row the request that is due was delayed.
    attempts: u32,
    /// Whether the last choice has a further field.
    has_further: bool,
    /// The device of the last choice, if it is one of OAuth 2.0.
    chosen_device_id: Option<&'static str>,
    /// The server to which the browser was sent for a code, or which gave the device its code.
    sent_to: Option<Origin>,
    /// When the last response that counted arrived, in milliseconds since the epoch.
    now: i64,
    /// The code that is shown.
    shown: Option<Shown>,
    /// The device code of the polls since the code is shown.
    device_code: Option<String>,
    /// How often the browser has come back. Codes with a lower count must go nowhere.
    callbacks: usize,
    /// The number of callbacks whose codes have become tokens, or were given up.
    spent: usize,
    /// The IDs of the requests that were due before.
    stale: Vec<RequestId>,
    /// The ID that the next request of the flow would have had before the last operation, or the ID of another flow.
    unseen: RequestId,
}

impl Login {
    fn begin(start: &Start, settings: &Settings) -> Self {
        let &Settings { device_id, ref oauth, refresh_tokens, require_refresh_token, follow_well_known } = settings;
        let device_id = device_id.map(|is_fit| NEW_DEVICE_IDS[usize::from(is_fit)]);
        let mut settings = LoginSettings::default()
            .with_refresh_tokens(refresh_tokens)
            .with_require_refresh_token(require_refresh_token)
            .with_follow_well_known(follow_well_known);
        if let Some(device_id) = device_id {
            settings = settings.with_device_id(device_id).expect("it is not empty");
        }
        if let Some(client) = oauth {
            settings = settings.with_oauth(client.settings());
        }
        let again = matches!(start, Start::Again(_));
        let flow = match start {
            Start::Discover => LoginFlow::discover("example.org:8448".parse().expect("it is a name"), settings),
            Start::At(index) => LoginFlow::at(homeserver(*index), settings),
            Start::Again(stored) => LoginFlow::again(&stored.session(), settings),
            Start::LoggedIn(stored) => LoginFlow::logged_in(stored.session()),
        };
        Self {
            // A flow that begins with a session keeps it unchanged.
            require_refresh_token: require_refresh_token && flow.session().is_none(),
            device_id: if again { Some(DEVICE_ID) } else { device_id },
            flow,
            again,
            attempts: 0,
            has_further: false,
            chosen_device_id: None,
            sent_to: None,
            now: 0,
            shown: None,
            device_code: None,
            callbacks: 0,
            spent: 0,
            stale: Vec::new(),
            unseen: due_id(&LoginFlow::at(homeserver(0), LoginSettings::default())).expect("a request is due"),
        }
    }

    fn is_wanted(&self, session: &Session) -> bool {
        !self.again || session.user_id().as_str() == ALICE
    }

    fn is_refused(&self, session: &Session) -> bool {
        self.require_refresh_token && session.expires_at().is_some() && session.refresh_token().is_none()
    }

    /// The operation that the step asks for.
    fn ahead(&self, grant: Grant) -> Operation {
        match self.flow.step() {
            Step::Send { .. } => Operation::Respond(Scripted {
                status: Status::Ok,
                headers: Vec::new(),
                body: Body::Good(grant),
                received_at: 0,
            }),
            Step::Wait(_) => Operation::Timeout,
            Step::Locate { .. } => Operation::UseHomeserver(0),
            Step::Choose { oauth: Some(metadata), .. }
                if metadata.offers_device_authorization()
                    && (grant.token % 2 == 1 || !metadata.offers_authorization_code()) =>
            {
                Operation::Choose(Chosen::Device { device_id: self.needs_device_id(), unlisted: false }, false)
            }
            Step::Choose { oauth: Some(metadata), .. } if metadata.offers_authorization_code() => {
                let (way, device_id) = (Way::Loopback, self.needs_device_id());
                Operation::Choose(Chosen::Code { way, device_id, register: false, unlisted: false }, false)
            }
            Step::Choose { .. } => Operation::Choose(Chosen::Password, false),
            Step::Browse(url) if is_of_a_code(url) => {
                Operation::Callback(Callback::Code { in_fragment: false, iss: Iss::Ours })
            }
            Step::Browse(_) => Operation::Callback(Callback::Ours),
            Step::ShowCode(_) => Operation::Timeout,
            Step::Done(_) => Operation::Suspend,
        }
    }

    /// Whether the device ID of the settings is missing, or unfit for OAuth 2.0.
    fn needs_device_id(&self) -> bool {
        self.device_id.is_none_or(|device_id| device_id.len() < 10)
    }

    /// Returns everything that can be seen. `responded` is the request that the last operation has responded to.
    fn check(&mut self, responded: Option<(RequestId, &Scripted)>) -> Picture {
        let picture = Picture::of(&self.flow);
        if let Some((id, scripted)) = responded {
            self.refuses(id, &scripted.response(), time(self.now));
        }
        for index in 0..self.stale.len() {
            self.refuses(self.stale[index], &Response::new(GOOD), UNIX_EPOCH);
        }
        if due_id(&self.flow).is_none() {
            let outcome = self.flow.handle_response(self.unseen, &Response::new(GOOD), UNIX_EPOCH);
            assert!(matches!(outcome, Err(Error::StaleResponse)), "no request is due: {outcome:?}");
        }
        assert_eq!(picture, Picture::of(&self.flow), "rule 1, or a stale response changes something");

        let flow = &self.flow;
        shows_no_secret(&format!("{flow:?} {:?} {:?}", flow.step(), flow.suspend()));
        self.check_suspended();

        let mut other = flow.clone();
        let outcome = match other.use_homeserver(homeserver(0)) {
            // Tokens whose user is not confirmed must not be lost by mistake.
            Err(Error::OutOfStep { .. }) => {
                assert!(self.awaits_whoami(), "rule 3");
                other.back().expect("rule 3");
                other.use_homeserver(homeserver(0))
            }
            outcome => outcome,
        };
        match outcome {
            Ok(()) => {
                assert!(flow.session().is_none(), "rule 3");
                self.unseen = due_id(&other).expect("rule 3");
            }
            Err(error) => assert!(matches!(error, Error::AlreadyLoggedIn) && flow.session().is_some(), "rule 3"),
        }

        self.check_code();

        let flow = &self.flow;
        match flow.step() {
            Step::Send { request, .. } => {
                let target = Url::parse(&request.uri().to_string()).expect("a request has an absolute URL");
                let is_form = request
                    .headers()
                    .get("content-type")
                    .is_some_and(|value| value == "application/x-www-form-urlencoded");
                let path = target.path();
                match flow.homeserver() {
                    Some(homeserver) if is_form || (request.method() == "POST" && !path.ends_with("/v3/login")) => {
                        may_name(homeserver, &target);
                        assert!(!request.headers().contains_key("authorization"));
                    }
                    Some(homeserver) => assert_eq!(target.origin(), homeserver.url().origin()),
                    None => assert_eq!((target.scheme(), request.method().as_str()), ("https", "GET")),
                }
                if is_form {
                    let body = request.body().clone();
                    self.check_form(&target, &body);
                } else if request.method() == "POST" && path.ends_with("/v3/login") {
                    let body: Value = serde_json::from_slice(request.body()).expect("it is JSON");
                    assert_eq!(body.get("device_id").and_then(Value::as_str), self.device_id);
                    assert_eq!(body.get(FURTHER), self.has_further.then_some(&json!([SECRET])));
                } else {
                    shows_no_secret(&String::from_utf8_lossy(request.body()));
                    let is_whoami = path.ends_with("/account/whoami");
                    assert_eq!(request.headers().contains_key("authorization"), is_whoami);
                    if is_whoami {
                        self.spent = self.callbacks;
                    }
                }
            }
            Step::Wait(wait) => {
                assert!(wait.attempt() == self.attempts && self.attempts > 0);
                let interval = flow.shown_code().map_or(Duration::ZERO, ShownCode::interval);
                check_remaining(time(self.now), wait.delay(), interval, |now| wait.remaining(now));
            }
            Step::ShowCode(code) => {
                check_remaining(time(self.now), code.delay(), code.interval(), |now| code.remaining(now));
                assert_eq!(flow.shown_code().map(ShownCode::user_code), Some(code.user_code()));
            }
            Step::Browse(url) if is_of_a_code(url) => {
                may_name(flow.homeserver().expect("it is known"), url);
                let values = |name: &str| -> Vec<String> {
                    url.query_pairs().filter(|(found, _)| found == name).map(|(_, value)| value.into_owned()).collect()
                };
                let device_id = self.chosen_device_id.expect("it was chosen");
                let scope = format!("urn:matrix:client:api:* urn:matrix:client:device:{device_id}");
                assert_eq!((values("scope"), values("state")), (vec![scope], vec![STATE.to_owned()]));
                assert_eq!(values(FURTHER).len(), usize::from(self.has_further));
                assert!(!url.as_str().contains(VERIFIER));
                self.sent_to = Some(url.origin());
            }
            Step::Browse(url) => {
                assert_eq!(Some(url.origin()), flow.homeserver().map(|homeserver| homeserver.url().origin()));
            }
            Step::Done(session) => assert!(self.is_wanted(session) && !self.is_refused(session)),
            Step::Locate { .. } | Step::Choose { .. } => {}
        }
        picture
    }

    /// A code is shown until something other than a poll is due. Until then it stays the same.
    fn check_code(&mut self) {
        let shown = self.flow.shown_code().map(Shown::of);
        match (&self.shown, &shown) {
            (Some(before), Some(after)) => {
                assert_eq!((&before.user_code, before.expires_at), (&after.user_code, after.expires_at));
                let slower = before.interval + Duration::from_secs(5);
                assert!([before.interval, slower].contains(&after.interval), "the interval grows by five seconds");
            }
            (None, Some(after)) => {
                assert!(matches!(self.flow.step(), Step::ShowCode(code) if code.is_new()));
                assert!(!after.interval.is_zero(), "no poll comes without a pause");
            }
            (_, None) => self.device_code = None,
        }
        self.shown = shown;
    }

    /// A request to the OAuth 2.0 server: for a code to show, for tokens, or for a revocation.
    fn check_form(&mut self, target: &Url, body: &[u8]) {
        let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let value = |name: &str| {
            let mut values = form.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
            let value = values.next();
            assert!(values.next().is_none(), "{name} appears twice");
            value
        };
        assert!(value("client_id").is_some_and(|client_id| !client_id.is_empty()));
        if let Some(scope) = value("scope") {
            let device_id = self.chosen_device_id.expect("it was chosen");
            assert_eq!(scope, format!("urn:matrix:client:api:* urn:matrix:client:device:{device_id}"));
            assert_eq!(form.len(), 2);
            self.sent_to = Some(target.origin());
        } else if let Some(device_code) = value("device_code") {
            assert_eq!(value("grant_type"), Some("urn:ietf:params:oauth:grant-type:device_code"));
            assert!(self.shown.is_some(), "a poll without a code, or after tokens");
            assert_eq!(form.len(), 3);
            assert_eq!(self.device_code.get_or_insert_with(|| device_code.to_owned()), device_code);
            assert_eq!(Some(target.origin()), self.sent_to, "mix-up");
        } else if value("grant_type").is_some() {
            let code = format!("{SECRET}-{}", self.callbacks);
            assert_eq!((value("code"), value("code_verifier")), (Some(code.as_str()), Some(VERIFIER)));
            assert!(self.spent < self.callbacks, "the code has become tokens before");
            assert_eq!(Some(target.origin()), self.sent_to, "mix-up");
        } else {
            assert!(value("token").is_some_and(|token| !token.is_empty()));
            assert_eq!((value("code"), value("code_verifier")), (None, None));
        }
    }

    /// Whether GET whoami is due, or is due after a wait. A wait does not show the request that it holds up.
    fn awaits_whoami(&self) -> bool {
        let mut flow = self.flow.clone();
        let _ = flow.handle_timeout();
        matches!(flow.step(), Step::Send { request, .. } if request.uri().path().ends_with("/account/whoami"))
    }

    fn check_suspended(&self) {
        let flow = &self.flow;
        assert_eq!(flow.suspend().is_none(), flow.session().is_some());
        let Some(suspended) = flow.suspend() else { return };
        assert_eq!(suspended.settings(), flow.settings());
        assert_eq!(suspended.expected_user(), flow.expected_user());
        assert_ne!(suspended.server_name().is_some(), suspended.homeserver().is_some());
        assert!(suspended.homeserver().is_none_or(|homeserver| flow.homeserver() == Some(homeserver)));

        let mut stored = serde_json::to_value(&suspended).expect("it serialises");
        // The verifier is stored only while the user is in the browser. So is the URL with the caller's own fields.
        let code_grant = stored.as_object_mut().and_then(|stored| stored.remove("code_grant"));
        let is_in_browser = matches!(flow.step(), Step::Browse(url) if is_of_a_code(url));
        assert_eq!(code_grant.is_some_and(|grant| grant["code_verifier"] == VERIFIER), is_in_browser);
        // Apart from that, only the caller's own fields may contain a secret.
        let fields = stored.as_object_mut().and_then(|stored| stored.remove("fields"));
        let has_fields = self.has_further && !is_in_browser && matches!(flow.step(), Step::Browse(_));
        assert_eq!(fields, has_fields.then(|| json!({FURTHER: [SECRET]})));
        let stored = stored.to_string();
        shows_no_secret(&stored);
        assert!(!stored.contains(USER_CODE), "the code is stored: {stored}");
    }

    /// A response to this request does not count, and neither does the lack of a response.
    fn refuses(&mut self, id: RequestId, response: &Response<impl AsRef<[u8]>>, received_at: SystemTime) {
        let outcome = self.flow.handle_response(id, response, received_at);
        assert!(matches!(outcome, Err(Error::StaleResponse)), "a stale response: {outcome:?}");
        let outcome = self.flow.handle_unreachable(id);
        assert!(matches!(outcome, Err(Error::StaleResponse)), "a stale request is unreachable: {outcome:?}");
    }

    /// The certain outcome of a poll, if there is one: the code of the refusal, or how much slower the next polls are.
    fn expected_of_poll(&self, scripted: &Scripted, received_at: SystemTime) -> Option<Result<Duration, &'static str>> {
        let shown = self.shown.as_ref().filter(|_| due_id(&self.flow).is_some())?;
        // Everything except a redirect and an incomplete response.
        if matches!(scripted.status, Status::Found | Status::Any(_)) {
            return None;
        }
        let Body::OAuthRefusal(code) = &scripted.body else { return None };
        let has_ended = shown.expires_at.is_some_and(|end| end <= received_at);
        match code {
            OAuthCode::AuthorizationPending | OAuthCode::SlowDown if has_ended => Some(Err("expired_token")),
            OAuthCode::AuthorizationPending => Some(Ok(Duration::ZERO)),
            OAuthCode::SlowDown => Some(Ok(Duration::from_secs(5))),
            OAuthCode::AccessDenied => Some(Err("access_denied")),
            OAuthCode::ExpiredToken => Some(Err("expired_token")),
            _ => None,
        }
    }

    /// Checks the step after a poll: the user has decided, or not.
    fn check_poll(&self, expected: Result<Duration, &'static str>) {
        match (expected, self.flow.step()) {
            (Ok(slower), Step::ShowCode(code)) => {
                let interval = self.shown.as_ref().map(|shown| shown.interval + slower);
                assert!(Some(code.interval()) == interval && !code.is_new());
            }
            (Err(code), Step::Choose { refused, .. }) => {
                assert_eq!(refused.and_then(|refused| refused.errcode.as_deref()), Some(code));
            }
            (expected, step) => panic!("{expected:?}: {step:?}"),
        }
    }

    /// The ID for an input that belongs to a request: if no request is due, the ID of the last request.
    fn id(&self) -> RequestId {
        due_id(&self.flow).or_else(|| self.stale.last().copied()).unwrap_or(self.unseen)
    }

    fn apply(&mut self, operation: &Operation) -> Result<(), Error> {
        let id = self.id();
        let Self { flow, attempts, has_further, chosen_device_id, callbacks, device_id, stale, now, .. } = self;
        match operation {
            Operation::Late { which, scripted } => {
                if let Some(index) = usize::from(*which).checked_rem(stale.len()) {
                    let id = stale[index];
                    self.refuses(id, &scripted.response(), time(scripted.received_at));
                }
                return Err(Error::StaleResponse);
            }
            Operation::Respond(scripted) => {
                // The clock jumps, also back.
                let arrival = now.saturating_add(scripted.received_at);
                let received_at = time(arrival);
                let expected = self.expected_of_poll(scripted, received_at);
                self.flow.handle_response(id, &scripted.response(), received_at)?;
                self.now = arrival;
                if let Some(expected) = expected {
                    self.check_poll(expected);
                }
                if let Step::Wait(wait) = self.flow.step() {
                    assert!(wait.until() >= received_at, "rule 4");
                    self.attempts += 1;
                    return Ok(());
                }
                self.attempts = 0;
                return Ok(());
            }
            // The delayed request is due: the next delay counts on.
            Operation::Timeout => return flow.handle_timeout(),
            Operation::Unreachable => flow.handle_unreachable(id)?,
            Operation::UseHomeserver(index) => flow.use_homeserver(homeserver(*index))?,
            Operation::Choose(chosen, further) => {
                flow.choose(choice(chosen, *further))?;
                *has_further = *further && !matches!(chosen, Chosen::Device { .. });
                *chosen_device_id = match chosen {
                    Chosen::Code { device_id: true, .. } | Chosen::Device { device_id: true, .. } => {
                        Some(CHOSEN_DEVICE_ID)
                    }
                    _ => *device_id,
                };
            }
            Operation::Callback(kind) => {
                flow.handle_callback(&callback(kind, *callbacks + 1))?;
                *callbacks += 1;
            }
            Operation::Back => flow.back()?,
            Operation::Suspend => {
                if let Some(suspended) = flow.suspend() {
                    let mut stored = serde_json::to_value(&suspended).expect("it serialises");
                    *flow = LoginFlow::resume(serde_json::from_str(&stored.to_string()).expect("it is read back"));
                    let mut again = serde_json::to_value(flow.suspend()).expect("it serialises");
                    let [old_id, new_id] = [&mut stored, &mut again].map(|stored| stored["request_id"].take());
                    assert!(old_id.is_u64() && new_id.is_u64() && old_id != new_id, "old IDs are stale");
                    assert_eq!(stored, again);
                }
            }
        }
        *attempts = 0;
        Ok(())
    }

    /// Checks an error. Returns whether it is the end of a login that was granted.
    fn is_over(&mut self, error: &Error) -> bool {
        check_error(error);
        match error {
            Error::MissingRefreshToken(session) => {
                // The access token expires, but the time can be unknown.
                assert!(self.require_refresh_token && session.refresh_token().is_none() && self.is_wanted(session));
            }
            Error::WrongUser { expected, session, .. } => {
                assert!(!self.is_wanted(session) && expected.as_str() == ALICE);
            }
            Error::OutOfStep { due, .. } => {
                assert!(format!("{:?}", self.flow.step()).starts_with(due));
                return false;
            }
            Error::AlreadyLoggedIn => {
                assert!(self.flow.session().is_some());
                return false;
            }
            Error::Response(ResponseError::Server(error)) => {
                assert!(!error.is_rate_limit(), "rule 3");
                return false;
            }
            _ => return false,
        }
        self.attempts = 0;
        let asks = match self.flow.step() {
            Step::Choose { refused, .. } => refused.is_none(),
            // The login types are not known after a resume.
            Step::Send { request, .. } => request.method() == "GET" && request.uri().path().ends_with("/v3/login"),
            _ => false,
        };
        assert!(asks && self.flow.back().is_err(), "the question is due");
        true
    }
}

/// Whether the documentation of the input lists the error.
fn is_documented(operation: &Operation, is_request_due: bool, error: &Error) -> bool {
    match operation {
        Operation::Respond(_) if !is_request_due => matches!(error, Error::StaleResponse),
        // A flow without any request gets the ID of another flow, which can be equal to its own ID.
        Operation::Unreachable if !is_request_due => matches!(error, Error::StaleResponse),
        Operation::Respond(_) => matches!(
            error,
            Error::Response(
                ResponseError::InvalidResponse { .. }
                    | ResponseError::TooLarge { .. }
                    | ResponseError::NotMatrix { .. }
                    | ResponseError::Encoded { .. }
                    | ResponseError::Redirected { .. }
                    | ResponseError::Server(_)
                    | ResponseError::LoginUnsupported
            ) | Error::MissingRefreshToken(_)
                | Error::WrongUser { .. }
        ),
        Operation::Late { .. } => matches!(error, Error::StaleResponse),
        Operation::Timeout | Operation::Unreachable | Operation::Back => matches!(error, Error::OutOfStep { .. }),
        // The second error comes while tokens wait for whoami.
        Operation::UseHomeserver(_) => matches!(error, Error::AlreadyLoggedIn | Error::OutOfStep { .. }),
        Operation::Choose(Chosen::Code { .. } | Chosen::Device { .. }, _)
            if matches!(error, Error::InvalidInput(_)) =>
        {
            true
        }
        Operation::Choose(..) => {
            matches!(error, Error::AlreadyLoggedIn | Error::OutOfStep { .. } | Error::NotOffered { .. })
        }
        Operation::Callback(_) => matches!(error, Error::ForeignCallback(_) | Error::OutOfStep { .. }),
        Operation::Suspend => false,
    }
}

/// Whether an accepted operation may leave everything unchanged.
fn may_look_the_same(operation: &Operation) -> bool {
    matches!(operation, Operation::UseHomeserver(_) | Operation::Suspend)
}

fuzz_target!(|data: &[u8]| {
    let Some(story) = story::<Story>(data) else { return };
    let mut login = Login::begin(&story.start, &story.settings);
    let mut before = login.check(None);
    for turn in story.turns {
        let operation = match turn {
            Turn::Ahead(grant) => login.ahead(grant),
            Turn::Any(operation) => operation,
        };
        let due = due_id(&login.flow);
        let outcome = login.apply(&operation);
        let is_of_a_request = matches!(operation, Operation::Respond(_) | Operation::Unreachable);
        assert!(due.is_some() || !is_of_a_request || outcome.is_err(), "no request is due");
        if let Err(error) = &outcome {
            assert!(is_documented(&operation, due.is_some(), error), "{operation:?}: {error}");
        }
        let is_accepted = outcome.as_ref().map_or_else(|error| login.is_over(error), |()| true);
        let retired = due.filter(|_| is_accepted);
        login.stale.extend(retired);
        let after = match &operation {
            Operation::Respond(scripted) => login.check(retired.map(|id| (id, scripted))),
            _ => login.check(None),
        };
        if is_accepted {
            assert!(may_look_the_same(&operation) || after.place != before.place, "rule 2: nothing moved");
        } else {
            assert_eq!(after, before, "rule 2: {outcome:?}");
        }
        before = after;
    }
});
