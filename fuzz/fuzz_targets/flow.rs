//! Invariant: after every operation the four rules hold, no request leaves the origin, and no secret is shown.
//!
//! 1. A step is a view: asked twice, the flow says the same.
//! 2. An operation moves the flow, or is an error and changes nothing; a refused session is the error's.
//! 3. No state is a dead end: `use_homeserver` works until there is a session.
//! 4. A wait begins when the answer arrived, since there is no other clock.

#![no_main]

use std::{
    error::Error as StdError,
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arbitrary::Arbitrary;
use http::Response;
use libfuzzer_sys::fuzz_target;
use matrix_login::{
    AccessToken, Choice, Error, Homeserver, LoginFlow, LoginSettings, LoginToken, MAX_BODY, Password, Session, Step,
    UserIdentifier, endpoint::sso,
};
use serde_json::{Map, Value, json};
use url::Url;

/// What every planted secret holds.
const SECRET: &str = "s3cr3t";
const STATE: &str = "0123456789abcdef";
const HOMESERVERS: [&str; 3] = ["https://hs.example.org", "http://localhost:8008/prefix", "https://[2001:db8::1]:8448"];

#[derive(Arbitrary, Debug)]
struct Story {
    start: Start,
    settings: Settings,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Start {
    Discover,
    At(u8),
    LoggedIn,
}

#[derive(Arbitrary, Debug)]
struct Settings {
    device_id: bool,
    refresh_tokens: bool,
    require_refresh_token: bool,
    follow_well_known: bool,
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

#[derive(Arbitrary, Debug)]
struct Answer {
    status: Status,
    headers: Vec<Header>,
    body: Body,
    received_at: i64,
}

#[derive(Arbitrary, Debug)]
enum Status {
    Ok,
    Created,
    Found,
    BadRequest,
    Forbidden,
    NotFound,
    TooManyRequests,
    BadGateway,
    Any(u16),
}

#[derive(Arbitrary, Debug)]
enum Header {
    RetrySeconds(u64),
    RetryDate { day: u8, month: u8, year: u16, hour: u8 },
    RetryText(String),
    Location(Target),
}

#[derive(Arbitrary, Debug)]
enum Target {
    Relative(u8),
    Https(u8),
    Http,
    Text(String),
}

#[derive(Arbitrary, Debug)]
enum Body {
    /// What the request that is due hopes for.
    Good,
    Fields {
        fields: Vec<Field>,
        mark: bool,
        cut: u8,
    },
    Raw(Vec<u8>),
    TooLong,
}

/// The fields that answers have, plausible or broken.
#[derive(Arbitrary, Debug)]
enum Field {
    Homeserver(Json),
    BaseUrl(u8),
    IdentityServer(Json),
    Versions(Json),
    Flows(Vec<Flow>),
    UserId(Json),
    User,
    AccessToken(Token),
    RefreshToken(Token),
    DeviceId(Json),
    Device,
    ExpiresInMs(Json),
    WellKnown(Json),
    WellKnownUrl(u8),
    Errcode(Errcode),
    Message(Json),
    SoftLogout(Json),
    RetryAfterMs(Json),
    Unknown(Token),
}

#[derive(Arbitrary, Debug)]
enum Flow {
    Password,
    Token,
    ApplicationService,
    Sso { providers: Json, preferred: Json },
    Badge(Json),
    Broken(Json),
}

#[derive(Arbitrary, Debug)]
enum Token {
    Good,
    WithBlank,
    InAList,
    Json(Json),
}

#[derive(Arbitrary, Debug)]
enum Errcode {
    Forbidden,
    LimitExceeded,
    Unrecognized,
    Json(Json),
}

#[derive(Arbitrary, Debug)]
enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    HugeFloat,
    HalfASurrogate,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn write(&self, text: &mut String) {
        let _ = match self {
            Self::Null => write!(text, "null"),
            Self::Bool(value) => write!(text, "{value}"),
            Self::Integer(value) => write!(text, "{value}"),
            Self::Float(value) => write!(text, "{}", json!(value)),
            Self::HugeFloat => write!(text, "1e999"),
            Self::HalfASurrogate => write!(text, "\"\\ud800\""),
            Self::Text(value) => write!(text, "{}", json!(value)),
            Self::List(values) => {
                text.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    value.write(text);
                }
                write!(text, "]")
            }
            Self::Object(fields) => {
                text.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    let _ = write!(text, "{}{}:", if index > 0 { "," } else { "" }, json!(key));
                    value.write(text);
                }
                write!(text, "}}")
            }
        };
    }

    fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Good => format!("\"{SECRET}\""),
            Self::WithBlank => format!("\"{SECRET} \""),
            Self::InAList => format!("[[\"{SECRET}\"],{{\"{SECRET}\":1}}]"),
            Self::Json(json) => json.text(),
        }
    }
}

impl Flow {
    fn text(&self) -> String {
        match self {
            Self::Password => r#"{"type":"m.login.password"}"#.to_owned(),
            Self::Token => r#"{"type":"m.login.token"}"#.to_owned(),
            Self::ApplicationService => r#"{"type":"m.login.application_service"}"#.to_owned(),
            Self::Sso { providers, preferred } => format!(
                r#"{{"type":"m.login.sso","identity_providers":[{{"id":"x"}},{}],"oauth_aware_preferred":{}}}"#,
                providers.text(),
                preferred.text()
            ),
            Self::Badge(json) => format!(r#"{{"type":"org.example.badge","x":{}}}"#, json.text()),
            Self::Broken(json) => json.text(),
        }
    }
}

impl Field {
    fn text(&self) -> String {
        let homeserver = |index: &u8| format!(r#"{{"m.homeserver":{{"base_url":"{}/"}}}}"#, homeserver(*index));
        let (key, value) = match self {
            Self::Homeserver(json) => ("m.homeserver", json.text()),
            Self::BaseUrl(index) => ("m.homeserver", format!(r#"{{"base_url":"{}"}}"#, self::homeserver(*index))),
            Self::IdentityServer(json) => ("m.identity_server", json.text()),
            Self::Versions(json) => ("versions", json.text()),
            Self::Flows(flows) => {
                ("flows", format!("[{}]", flows.iter().map(Flow::text).collect::<Vec<_>>().join(",")))
            }
            Self::UserId(json) => ("user_id", json.text()),
            Self::User => ("user_id", r#""@alice:example.org""#.to_owned()),
            Self::AccessToken(token) => ("access_token", token.text()),
            Self::RefreshToken(token) => ("refresh_token", token.text()),
            Self::DeviceId(json) => ("device_id", json.text()),
            Self::Device => ("device_id", r#""D""#.to_owned()),
            Self::ExpiresInMs(json) => ("expires_in_ms", json.text()),
            Self::WellKnown(json) => ("well_known", json.text()),
            Self::WellKnownUrl(index) => ("well_known", homeserver(index)),
            Self::Errcode(errcode) => (
                "errcode",
                match errcode {
                    Errcode::Forbidden => r#""M_FORBIDDEN""#.to_owned(),
                    Errcode::LimitExceeded => r#""M_LIMIT_EXCEEDED""#.to_owned(),
                    Errcode::Unrecognized => r#""M_UNRECOGNIZED""#.to_owned(),
                    Errcode::Json(json) => json.text(),
                },
            ),
            Self::Message(json) => ("error", json.text()),
            Self::SoftLogout(json) => ("soft_logout", json.text()),
            Self::RetryAfterMs(json) => ("retry_after_ms", json.text()),
            Self::Unknown(token) => ("org.example.unknown", token.text()),
        };
        format!("\"{key}\":{value}")
    }
}

impl Answer {
    fn response(&self, flow: &LoginFlow) -> Response<Vec<u8>> {
        let status = match self.status {
            Status::Ok => 200,
            Status::Created => 201,
            Status::Found => 302,
            Status::BadRequest => 400,
            Status::Forbidden => 403,
            Status::NotFound => 404,
            Status::TooManyRequests => 429,
            Status::BadGateway => 502,
            Status::Any(status) => 100 + status % 900,
        };
        let mut response = Response::builder().status(status);
        for header in &self.headers {
            let (name, value) = match header {
                Header::RetrySeconds(seconds) => ("retry-after", seconds.to_string()),
                Header::RetryDate { day, month, year, hour } => {
                    let months =
                        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "x"];
                    let month = months[usize::from(*month) % months.len()];
                    let (day, hour) = (day % 40, hour % 30);
                    ("retry-after", format!("Mon, {day:02} {month} {year:04} {hour:02}:00:00 GMT"))
                }
                Header::RetryText(text) => ("retry-after", text.clone()),
                Header::Location(target) => (
                    "location",
                    match target {
                        Target::Relative(hop) => format!("/{hop}"),
                        Target::Https(hop) => format!("https://{hop}.example.org/"),
                        Target::Http => "http://example.org/".to_owned(),
                        Target::Text(text) => text.clone(),
                    },
                ),
            };
            // What is no header cannot arrive as one.
            if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
                response = response.header(name, value);
            }
        }
        response.body(self.body.bytes(flow)).expect("the status is one")
    }

    fn received_at(&self) -> SystemTime {
        let distance = Duration::from_millis(self.received_at.unsigned_abs());
        let time =
            if self.received_at < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        time.unwrap_or(UNIX_EPOCH)
    }
}

impl Body {
    fn bytes(&self, flow: &LoginFlow) -> Vec<u8> {
        match self {
            Self::Good => match flow.step() {
                Step::Send(request) => match (request.method().as_str(), request.uri().path()) {
                    ("POST", _) => format!(r#"{{"user_id":"@a:b","device_id":"D","access_token":"{SECRET}"}}"#),
                    (_, path) if path.ends_with("/versions") => r#"{"versions":["v1.11"]}"#.to_owned(),
                    (_, path) if path.ends_with("/login") => r#"{"flows":[{"type":"m.login.password"},
                        {"type":"m.login.sso"},{"type":"m.login.token"},{"type":"org.example.badge"},
                        {"type":"m.login.application_service"}]}"#
                        .to_owned(),
                    _ => r#"{"m.homeserver":{"base_url":"https://hs.example.org"}}"#.to_owned(),
                },
                _ => String::new(),
            }
            .into_bytes(),
            Self::Fields { fields, mark, cut } => {
                let fields = fields.iter().map(Field::text).collect::<Vec<_>>().join(",");
                let mut body = format!("{}{{{fields}}}", if *mark { "\u{feff}" } else { "" }).into_bytes();
                // Mostly whole: the smaller numbers cut nothing.
                body.truncate(body.len() - usize::from(cut.saturating_sub(200)).min(body.len()));
                body
            }
            Self::Raw(bytes) => bytes.clone(),
            Self::TooLong => vec![b' '; MAX_BODY + 1],
        }
    }
}

fn homeserver(index: u8) -> Homeserver {
    HOMESERVERS[usize::from(index) % HOMESERVERS.len()].parse().expect("it is one")
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

fn shows_no_secret(text: &str) {
    assert!(!text.contains(SECRET), "a secret is shown: {text}");
}

fn check(flow: &LoginFlow) {
    assert_eq!(picture(flow), picture(flow), "rule 1");
    shows_no_secret(&format!("{flow:?} {:?} {:?}", flow.step(), flow.suspend()));
    shows_no_secret(&serde_json::to_string(&flow.suspend()).expect("it serialises"));
    assert_eq!(flow.suspend().is_none(), flow.session().is_some());

    let mut other = flow.clone();
    match other.use_homeserver(homeserver(0)) {
        Ok(()) => assert!(matches!(other.step(), Step::Send(_)) && flow.session().is_none(), "rule 3"),
        Err(error) => assert!(matches!(error, Error::AlreadyLoggedIn) && flow.session().is_some(), "rule 3"),
    }

    if let Step::Send(request) = flow.step() {
        let target = Url::parse(&request.uri().to_string()).expect("a request has an absolute URL");
        match flow.homeserver() {
            Some(homeserver) => assert_eq!(target.origin(), homeserver.url().origin()),
            None => assert_eq!((target.scheme(), request.method().as_str()), ("https", "GET")),
        }
    }
    if let Step::Browse(url) = flow.step() {
        assert_eq!(Some(url.origin()), flow.homeserver().map(|homeserver| homeserver.url().origin()));
    }
}

fn apply(flow: &mut LoginFlow, operation: &Operation) -> Result<(), Error> {
    match operation {
        Operation::Respond(answer) => {
            let response = answer.response(flow);
            flow.handle_response(&response, answer.received_at())?;
            if let Step::Wait(wait) = flow.step() {
                assert!(wait.until() >= answer.received_at() && wait.attempt() > 0, "rule 4");
            }
            Ok(())
        }
        Operation::Timeout => flow.handle_timeout(),
        Operation::Unreachable => flow.handle_unreachable(),
        Operation::UseHomeserver(index) => flow.use_homeserver(homeserver(*index)),
        Operation::Choose(chosen, further) => flow.choose(choice(chosen, *further)),
        Operation::Callback(kind) => flow.handle_callback(&callback(kind)),
        Operation::Back => flow.back(),
        Operation::Suspend => {
            if let Some(suspended) = flow.suspend() {
                let stored = serde_json::to_string(&suspended).expect("it serialises");
                *flow = LoginFlow::resume(serde_json::from_str(&stored).expect("it is read back"));
                assert_eq!(serde_json::to_string(&flow.suspend()).expect("it serialises"), stored);
            }
            Ok(())
        }
    }
}

/// Whether an accepted operation may leave everything as it was.
fn may_look_the_same(operation: &Operation) -> bool {
    matches!(operation, Operation::UseHomeserver(_) | Operation::Suspend)
}

fuzz_target!(|story: Story| {
    let Settings { device_id, refresh_tokens, require_refresh_token, follow_well_known } = story.settings;
    let mut settings = LoginSettings::default()
        .refresh_tokens(refresh_tokens)
        .require_refresh_token(require_refresh_token)
        .follow_well_known(follow_well_known);
    if device_id {
        settings = settings.device_id("DEVICE").expect("it is not empty");
    }
    let mut flow = match story.start {
        Start::Discover => LoginFlow::discover("example.org:8448".parse().expect("it is a name"), settings),
        Start::At(index) => LoginFlow::at(homeserver(index), settings),
        Start::LoggedIn => {
            let stored = json!({"access_token": SECRET, "user_id": "@a:b", "device_id": "D", "other": [SECRET]});
            LoginFlow::logged_in(Session::from_json(stored.to_string()).expect("it is a session").expect("of somebody"))
        }
    };
    check(&flow);
    for operation in &story.operations {
        let before = picture(&flow);
        match apply(&mut flow, operation) {
            Ok(()) => assert!(may_look_the_same(operation) || picture(&flow) != before, "rule 2: nothing moved"),
            Err(error) => {
                shows_no_secret(&format!("{error:?}"));
                let mut source: Option<&dyn StdError> = Some(&error);
                while let Some(error) = source {
                    shows_no_secret(&error.to_string());
                    source = error.source();
                }
                match error {
                    Error::MissingRefreshToken(session) => {
                        assert!(require_refresh_token && session.refresh_token().is_none(), "rule 2");
                        assert!(flow.back().is_err() && flow.session().is_none(), "rule 2: it is over");
                    }
                    _ => assert_eq!(picture(&flow), before, "rule 2: {error}"),
                }
            }
        }
        check(&flow);
    }
});
