//! Invariant: after every operation the four rules hold, no request leaves the origin, and no secret is shown.
//!
//! 1. A step is a view: asked twice, the flow says the same.
//! 2. An operation moves the flow, or is an error and changes nothing; a refused session is the error's.
//! 3. No state is a dead end: `use_homeserver` works until there is a session.
//! 4. A wait begins when the answer arrived, since there is no other clock.
//!
//! Who logs in again ends as the same user, or not at all, and asks for the same device.

#![no_main]

mod answers;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use matrix_login::{
    AccessToken, Choice, Error, LoginFlow, LoginSettings, LoginToken, Password, Session, Step, UserIdentifier,
    endpoint::sso,
};
use serde_json::{Map, Value, json};
use url::Url;

use self::answers::{
    ALICE, Answer, Body, DEVICE_ID, Grant, SECRET, Status, Stored, check_error, homeserver, shows_no_secret,
};

const STATE: &str = "0123456789abcdef";
/// The device of the settings, which a login that is not again asks for.
const NEW_DEVICE_ID: &str = "DEVICE";

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
            let redirect_url = "http://127.0.0.1:9/cb?a=b#c".parse().expect("it is a URL");
            let redirect = sso::Redirect::new(redirect_url, STATE).expect("the state is long enough");
            Choice::sso(if *provider { redirect.identity_provider("x").expect("it is an ID") } else { redirect })
        }
    };
    if further { choice.field("org.example.further", json!([SECRET])).expect("it is not reserved") } else { choice }
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

/// All that can be seen of a flow.
fn picture(flow: &LoginFlow) -> String {
    let step = match flow.step() {
        Step::Send(request) => format!("{request:?}"),
        step => format!("{step:?}"),
    };
    let suspended = serde_json::to_string(&flow.suspend()).expect("it serialises");
    let session = serde_json::to_string(&flow.session()).expect("it serialises");
    format!("{step}\n{suspended}\n{session}\n{:?}\n{flow:?}", flow.homeserver())
}

/// A flow, and what is known of it from without.
struct Login {
    flow: LoginFlow,
    /// Whether it is again, as a user and on a device that are fixed.
    again: bool,
    device_id: Option<&'static str>,
    require_refresh_token: bool,
    /// How often in a row the request that is due was put off.
    attempts: u32,
}

impl Login {
    fn begin(start: &Start, settings: &Settings) -> Self {
        let &Settings { device_id, refresh_tokens, require_refresh_token, follow_well_known } = settings;
        let mut settings = LoginSettings::default()
            .refresh_tokens(refresh_tokens)
            .require_refresh_token(require_refresh_token)
            .follow_well_known(follow_well_known);
        if device_id {
            settings = settings.device_id(NEW_DEVICE_ID).expect("it is not empty");
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
            Step::Send(_) => Operation::Respond(Answer {
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

    /// Returns all that can be seen.
    fn check(&self) -> String {
        let flow = &self.flow;
        let picture = picture(flow);
        assert_eq!(picture, self::picture(flow), "rule 1");
        shows_no_secret(&format!("{flow:?} {:?} {:?}", flow.step(), flow.suspend()));
        shows_no_secret(&serde_json::to_string(&flow.suspend()).expect("it serialises"));
        assert_eq!(flow.suspend().is_none(), flow.session().is_some());

        let mut other = flow.clone();
        match other.use_homeserver(homeserver(0)) {
            Ok(()) => assert!(matches!(other.step(), Step::Send(_)) && flow.session().is_none(), "rule 3"),
            Err(error) => assert!(matches!(error, Error::AlreadyLoggedIn) && flow.session().is_some(), "rule 3"),
        }

        match flow.step() {
            Step::Send(request) => {
                let target = Url::parse(&request.uri().to_string()).expect("a request has an absolute URL");
                match flow.homeserver() {
                    Some(homeserver) => assert_eq!(target.origin(), homeserver.url().origin()),
                    None => assert_eq!((target.scheme(), request.method().as_str()), ("https", "GET")),
                }
                if request.method() == "POST" {
                    let body: Value = serde_json::from_slice(request.body()).expect("it is JSON");
                    assert_eq!(body.get("device_id").and_then(Value::as_str), self.device_id);
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

    fn apply(&mut self, operation: &Operation) -> Result<(), Error> {
        let Self { flow, attempts, .. } = self;
        match operation {
            Operation::Respond(answer) => {
                flow.handle_response(&answer.response(), answer.received_at())?;
                if let Step::Wait(wait) = flow.step() {
                    assert!(wait.until() >= answer.received_at(), "rule 4");
                    *attempts += 1;
                    return Ok(());
                }
            }
            // The request that was put off is due: the next time counts on.
            Operation::Timeout => return flow.handle_timeout(),
            Operation::Unreachable => flow.handle_unreachable()?,
            Operation::UseHomeserver(index) => flow.use_homeserver(homeserver(*index))?,
            Operation::Choose(chosen, further) => flow.choose(choice(chosen, *further))?,
            Operation::Callback(kind) => flow.handle_callback(&callback(kind))?,
            Operation::Back => flow.back()?,
            Operation::Suspend => {
                if let Some(suspended) = flow.suspend() {
                    let stored = serde_json::to_string(&suspended).expect("it serialises");
                    *flow = LoginFlow::resume(serde_json::from_str(&stored).expect("it is read back"));
                    assert_eq!(serde_json::to_string(&flow.suspend()).expect("it serialises"), stored);
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
            Error::MissingRefreshToken(session) => assert!(self.is_refused(session) && self.is_wanted(session)),
            Error::WrongUser { expected, session } => {
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
            Error::Server(error) => {
                assert!(!error.is_rate_limit(), "rule 3");
                return false;
            }
            _ => return false,
        }
        self.attempts = 0;
        let asks = match self.flow.step() {
            Step::Choose { refused, .. } => refused.is_none(),
            // The login types are not known after a resume.
            Step::Send(request) => request.method() == "GET" && request.uri().path().ends_with("/v3/login"),
            _ => false,
        };
        assert!(asks && self.flow.back().is_err(), "the question is due");
        true
    }
}

/// Whether the documentation of the input lists the error.
fn is_documented(operation: &Operation, error: &Error) -> bool {
    match operation {
        Operation::Respond(_) => matches!(
            error,
            Error::OutOfStep { .. }
                | Error::InvalidResponse { .. }
                | Error::TooLarge { .. }
                | Error::NotMatrix { .. }
                | Error::Redirected { .. }
                | Error::Server(_)
                | Error::LegacyLoginUnsupported
                | Error::MissingRefreshToken(_)
                | Error::WrongUser { .. }
        ),
        Operation::Timeout | Operation::Unreachable | Operation::Back => matches!(error, Error::OutOfStep { .. }),
        Operation::UseHomeserver(_) => matches!(error, Error::AlreadyLoggedIn),
        Operation::Choose(..) => {
            matches!(error, Error::AlreadyLoggedIn | Error::OutOfStep { .. } | Error::NotOffered { .. })
        }
        Operation::Callback(_) => matches!(error, Error::ForeignCallback | Error::OutOfStep { .. }),
        Operation::Suspend => false,
    }
}

/// Whether an accepted operation may leave everything as it was.
fn may_look_the_same(operation: &Operation) -> bool {
    matches!(operation, Operation::UseHomeserver(_) | Operation::Suspend)
}

fuzz_target!(|story: Story| {
    let mut login = Login::begin(&story.start, &story.settings);
    let mut before = login.check();
    for turn in story.turns {
        let operation = match turn {
            Turn::Ahead(grant) => login.ahead(grant),
            Turn::Any(operation) => operation,
        };
        let outcome = login.apply(&operation);
        let after = login.check();
        match outcome {
            Ok(()) => assert!(may_look_the_same(&operation) || after != before, "rule 2: nothing moved"),
            Err(error) => {
                assert!(is_documented(&operation, &error), "{operation:?}: {error}");
                assert!(login.is_over(&error) || after == before, "rule 2: {error}");
            }
        }
        before = after;
    }
});
