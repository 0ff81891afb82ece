//! Invariant: after every operation the four rules hold, no request leaves the origin, and no secret is shown.
//!
//! 1. A step is a view: asked twice, the flow says the same.
//! 2. An operation moves the flow, or is an error and changes nothing; a refused session is the error's.
//! 3. No state is a dead end: `use_homeserver` works until there is a session.
//! 4. A wait begins when the answer arrived, since there is no other clock.
//!
//! The request that is due keeps its ID until an input is accepted. Then the ID is stale for good, also after a resume:
//! a response with it is refused and changes nothing. If no request is due, every ID is stale.
//!
//! Who logs in again ends as the same user, or not at all, and asks for the same device. The fields of a choice reach
//! the login, those of a single sign-on also through a suspension.

#![no_main]

mod answers;

use std::time::{SystemTime, UNIX_EPOCH};

use arbitrary::Arbitrary;
use http::Response;
use libfuzzer_sys::fuzz_target;
use matrix_login::{
    AccessToken, Choice, Error, LoginFlow, LoginSettings, LoginToken, Password, Redirect, RequestId, ResponseError,
    Session, Step, UserIdentifier,
};
use serde_json::{Map, Value, json};
use url::Url;

use self::answers::{
    ALICE, Answer, Body, DEVICE_ID, Grant, SECRET, Status, Stored, check_error, homeserver, shows_no_secret,
};

const STATE: &str = "0123456789abcdef";
/// The device of the settings, which a login that is not again asks for.
const NEW_DEVICE_ID: &str = "DEVICE";
/// The field that a choice may have beside those of its type.
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
    device_id: bool,
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
    Respond(Answer),
    Timeout,
    Unreachable,
    UseHomeserver(u8),
    Choose(Chosen, bool),
    Callback(Callback),
    Back,
    Suspend,
    /// A response to a request that is not due any more.
    Late {
        which: u8,
        answer: Answer,
    },
}

#[derive(Arbitrary, Debug)]
enum Chosen {
    Password,
    Token,
    ApplicationService,
    Custom,
    Sso { provider: bool },
}

#[derive(Arbitrary, Debug)]
enum Callback {
    Ours,
    OtherState,
    NoState,
    TwoStates,
    NoToken,
    EmptyToken,
    TwoTokens,
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
            let redirect_url = "http://127.0.0.1:9/cb?a=b#c";
            let redirect = Redirect::new(redirect_url, STATE).expect("the state is long enough");
            Choice::sso(if *provider { redirect.with_identity_provider("x").expect("it is an ID") } else { redirect })
        }
    };
    if further { choice.with_field(FURTHER, json!([SECRET])).expect("it is not reserved") } else { choice }
}

fn callback(callback: &Callback) -> Url {
    let query = match callback {
        Callback::Ours => format!("a=b&state={STATE}&loginToken={SECRET}"),
        Callback::OtherState => format!("state=fedcba9876543210&loginToken={SECRET}"),
        Callback::NoState => format!("loginToken={SECRET}"),
        Callback::TwoStates => format!("state={STATE}&state={STATE}&loginToken={SECRET}"),
        Callback::NoToken => format!("state={STATE}"),
        Callback::EmptyToken => format!("state={STATE}&loginToken="),
        Callback::TwoTokens => format!("loginToken=x&state={STATE}&loginToken={SECRET}"),
    };
    format!("http://127.0.0.1:9/cb?{query}#c").parse().expect("it is a URL")
}

/// All that can be seen of a flow. If nothing has changed, two pictures are equal.
#[derive(Debug, PartialEq)]
struct Picture {
    /// The ID of the request that is due, and how it is shown and stored.
    id: (Option<RequestId>, String, Option<Value>),
    /// The rest. If something has moved, it differs: the ID alone would always do so.
    place: String,
}

impl Picture {
    fn of(flow: &LoginFlow) -> Self {
        let (id, step) = match flow.step() {
            Step::Send { id, request } => (Some(id), format!("{request:?}")),
            step => (None, format!("{step:?}")),
        };
        let mut suspended = serde_json::to_value(flow.suspend()).expect("it serialises");
        let stored_id = suspended.as_object_mut().and_then(|suspended| suspended.remove("request_id"));
        assert_eq!(stored_id.is_some(), flow.session().is_none());
        let session = serde_json::to_string(&flow.session()).expect("it serialises");
        let shown = format!("{flow:?}");
        let (shown, shown_id) = shown.rsplit_once("request_id").expect("it is the last field");
        let known = format!("{:?} {:?} {:?}", flow.homeserver(), flow.server_name(), flow.expected_user());
        let place = format!("{step}\n{suspended}\n{session}\n{known}\n{shown}");
        Self { id: (id, shown_id.to_owned(), stored_id), place }
    }
}

fn due_id(flow: &LoginFlow) -> Option<RequestId> {
    match flow.step() {
        Step::Send { id, .. } => Some(id),
        _ => None,
    }
}

/// What most requests hope for.
const LATE: &str = r#"{"m.homeserver":{"base_url":"https://hs.example.org"},"versions":["v1.11"],
    "flows":[{"type":"m.login.password"},{"type":"m.login.sso"}],
    "user_id":"@alice:example.org","device_id":"KITCHEN","access_token":"s3cr3t-late"}"#;

/// A flow, and what is known of it from without.
struct Login {
    flow: LoginFlow,
    /// Whether it is again, as a user and on a device that are fixed.
    again: bool,
    device_id: Option<&'static str>,
    require_refresh_token: bool,
    /// How often in a row the request that is due was put off.
    attempts: u32,
    /// Whether the last choice has a further field.
    has_further: bool,
    /// The IDs of the requests that were due before.
    stale: Vec<RequestId>,
    /// The ID that the next request of the flow would have had before the last operation, or that of another flow.
    unseen: RequestId,
}

impl Login {
    fn begin(start: &Start, settings: &Settings) -> Self {
        let &Settings { device_id, refresh_tokens, require_refresh_token, follow_well_known } = settings;
        let mut settings = LoginSettings::default()
            .with_refresh_tokens(refresh_tokens)
            .with_require_refresh_token(require_refresh_token)
            .with_follow_well_known(follow_well_known);
        if device_id {
            settings = settings.with_device_id(NEW_DEVICE_ID).expect("it is not empty");
        }
        let again = matches!(start, Start::Again(_));
        let flow = match start {
            Start::Discover => LoginFlow::discover("example.org:8448".parse().expect("it is a name"), settings),
            Start::At(index) => LoginFlow::at(homeserver(*index), settings),
            Start::Again(stored) => LoginFlow::again(&stored.session(), settings),
            Start::LoggedIn(stored) => LoginFlow::logged_in(stored.session()),
        };
        Self {
            // A flow that begins with a session takes it as it is.
            require_refresh_token: require_refresh_token && flow.session().is_none(),
            device_id: if again { Some(DEVICE_ID) } else { device_id.then_some(NEW_DEVICE_ID) },
            flow,
            again,
            attempts: 0,
            has_further: false,
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
            Step::Send { .. } => Operation::Respond(Answer {
                status: Status::Ok,
                headers: Vec::new(),
                body: Body::Good(grant),
                received_at: 0,
            }),
            Step::Wait(_) => Operation::Timeout,
            Step::Locate { .. } => Operation::UseHomeserver(0),
            Step::Choose { .. } => Operation::Choose(Chosen::Password, false),
            Step::Browse(_) => Operation::Callback(Callback::Ours),
            Step::Done(_) => Operation::Suspend,
        }
    }

    /// Returns all that can be seen. `answered` is the request that the last operation has answered.
    fn check(&mut self, answered: Option<(RequestId, &Answer)>) -> Picture {
        let picture = Picture::of(&self.flow);
        if let Some((id, answer)) = answered {
            self.refuses(id, &answer.response(), answer.received_at());
        }
        for index in 0..self.stale.len() {
            self.refuses(self.stale[index], &Response::new(LATE), UNIX_EPOCH);
        }
        if due_id(&self.flow).is_none() {
            let outcome = self.flow.handle_response(self.unseen, &Response::new(LATE), UNIX_EPOCH);
            assert!(matches!(outcome, Err(Error::StaleResponse)), "no request is due: {outcome:?}");
        }
        assert_eq!(picture, Picture::of(&self.flow), "rule 1, or a stale response changes something");

        let flow = &self.flow;
        shows_no_secret(&format!("{flow:?} {:?} {:?}", flow.step(), flow.suspend()));
        self.check_suspended();

        let mut other = flow.clone();
        match other.use_homeserver(homeserver(0)) {
            Ok(()) => {
                assert!(flow.session().is_none(), "rule 3");
                self.unseen = due_id(&other).expect("rule 3");
            }
            Err(error) => assert!(matches!(error, Error::AlreadyLoggedIn) && flow.session().is_some(), "rule 3"),
        }

        match flow.step() {
            Step::Send { request, .. } => {
                let target = Url::parse(&request.uri().to_string()).expect("a request has an absolute URL");
                match flow.homeserver() {
                    Some(homeserver) => assert_eq!(target.origin(), homeserver.url().origin()),
                    None => assert_eq!((target.scheme(), request.method().as_str()), ("https", "GET")),
                }
                if request.method() == "POST" {
                    let body: Value = serde_json::from_slice(request.body()).expect("it is JSON");
                    assert_eq!(body.get("device_id").and_then(Value::as_str), self.device_id);
                    assert_eq!(body.get(FURTHER), self.has_further.then_some(&json!([SECRET])));
                }
            }
            Step::Wait(wait) => assert!(wait.attempt() == self.attempts && self.attempts > 0),
            Step::Browse(url) => {
                assert_eq!(Some(url.origin()), flow.homeserver().map(|homeserver| homeserver.url().origin()));
            }
            Step::Done(session) => assert!(self.is_wanted(session) && !self.is_refused(session)),
            Step::Locate { .. } | Step::Choose { .. } => {}
        }
        picture
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
        // The caller's own fields are the only ones that may hold a secret.
        let fields = stored.as_object_mut().and_then(|stored| stored.remove("fields"));
        let has_fields = self.has_further && matches!(flow.step(), Step::Browse(_));
        assert_eq!(fields, has_fields.then(|| json!({FURTHER: [SECRET]})));
        shows_no_secret(&stored.to_string());
    }

    /// Neither a response to this request counts, nor that there is none.
    fn refuses(&mut self, id: RequestId, response: &Response<impl AsRef<[u8]>>, received_at: SystemTime) {
        let outcome = self.flow.handle_response(id, response, received_at);
        assert!(matches!(outcome, Err(Error::StaleResponse)), "a stale response: {outcome:?}");
        let outcome = self.flow.handle_unreachable(id);
        assert!(matches!(outcome, Err(Error::StaleResponse)), "a stale request is unreachable: {outcome:?}");
    }

    /// The ID for an input that belongs to a request: if none is due, that of the last one.
    fn id(&self) -> RequestId {
        due_id(&self.flow).or_else(|| self.stale.last().copied()).unwrap_or(self.unseen)
    }

    fn apply(&mut self, operation: &Operation) -> Result<(), Error> {
        let id = self.id();
        let Self { flow, attempts, has_further, stale, .. } = self;
        match operation {
            Operation::Late { which, answer } => {
                if let Some(index) = usize::from(*which).checked_rem(stale.len()) {
                    let id = stale[index];
                    self.refuses(id, &answer.response(), answer.received_at());
                }
                return Err(Error::StaleResponse);
            }
            Operation::Respond(answer) => {
                flow.handle_response(id, &answer.response(), answer.received_at())?;
                if let Step::Wait(wait) = flow.step() {
                    assert!(wait.until() >= answer.received_at(), "rule 4");
                    *attempts += 1;
                    return Ok(());
                }
            }
            // The request that was put off is due: the next time counts on.
            Operation::Timeout => return flow.handle_timeout(),
            Operation::Unreachable => flow.handle_unreachable(id)?,
            Operation::UseHomeserver(index) => flow.use_homeserver(homeserver(*index))?,
            Operation::Choose(chosen, further) => {
                flow.choose(choice(chosen, *further))?;
                *has_further = *further;
            }
            Operation::Callback(kind) => flow.handle_callback(&callback(kind))?,
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

    /// Checks what an error says. Returns whether it is the end of a login that was granted.
    fn is_over(&mut self, error: &Error) -> bool {
        check_error(error);
        match error {
            Error::MissingRefreshToken(session) => {
                // The access token expires, but perhaps nobody can say when.
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
        // A flow that never had a request is asked with the ID of another flow, which may be equal to its own.
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
        Operation::UseHomeserver(_) => matches!(error, Error::AlreadyLoggedIn),
        Operation::Choose(..) => {
            matches!(error, Error::AlreadyLoggedIn | Error::OutOfStep { .. } | Error::NotOffered { .. })
        }
        Operation::Callback(_) => matches!(error, Error::ForeignCallback(_) | Error::OutOfStep { .. }),
        Operation::Suspend => false,
    }
}

/// Whether an accepted operation may leave everything as it was.
fn may_look_the_same(operation: &Operation) -> bool {
    matches!(operation, Operation::UseHomeserver(_) | Operation::Suspend)
}

fuzz_target!(|story: Story| {
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
            Operation::Respond(answer) => login.check(retired.map(|id| (id, answer))),
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
