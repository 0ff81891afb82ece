//! Data from outside, plausible or broken: the responses of a homeserver, and the session of a user who is logged in.
//!
//! This file is not a target. The targets that send responses share it, so that all of them use the same world.

use std::{
    error::Error as StdError,
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arbitrary::{Arbitrary, Unstructured};
use http::Response;
use matrix_login::{Homeserver, MAX_BODY, Session};
use serde_json::json;

/// The text in every planted secret.
pub const SECRET: &str = "s3cr3t";
/// The user who logged in, and the device.
pub const ALICE: &str = "@alice:example.org";
pub const DEVICE_ID: &str = "KITCHENTABLET";
/// The OAuth 2.0 server that grants tokens.
pub const ISSUER: &str = "https://auth.example.org/";
/// The beginning of every code that a good response gives to the user. It is not a secret.
pub const USER_CODE: &str = "WDJB-MJHT";
const HOMESERVERS: [&str; 3] = ["https://hs.example.org", "http://localhost:8008/prefix", "https://[2001:db8::1]:8448"];

/// A response that the fuzzer makes up.
#[derive(Arbitrary, Debug)]
pub struct Scripted {
    pub status: Status,
    pub headers: Vec<Header>,
    pub body: Body,
    /// In milliseconds since the epoch, or since another response.
    pub received_at: i64,
}

#[derive(Arbitrary, Debug)]
pub enum Status {
    Ok,
    Created,
    Found,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    TooManyRequests,
    BadGateway,
    Any(u16),
}

#[derive(Arbitrary, Debug)]
pub enum Header {
    RetrySeconds(u64),
    RetryDate { day: u8, month: u8, year: u16, hour: u8 },
    RetryText(String),
    Location(Target),
}

#[derive(Arbitrary, Debug)]
pub enum Target {
    Relative(u8),
    Https(u8),
    Http,
    Text(String),
}

#[derive(Arbitrary, Debug)]
pub enum Body {
    /// The response that the request hopes for, for any request. Members that it did not ask for do no harm.
    Good(Grant),
    /// The refusal of a homeserver.
    Refusal {
        errcode: Errcode,
        soft_logout: bool,
    },
    /// The refusal of an OAuth 2.0 server.
    OAuthRefusal(OAuthCode),
    /// An OAuth 2.0 server, on one origin or on several.
    Metadata(Metadata),
    Fields {
        fields: Vec<Field>,
        mark: bool,
        cut: u8,
    },
    Raw(Vec<u8>),
    TooLong,
}

/// The content of a granted login or refresh.
#[derive(Arbitrary, Debug)]
pub struct Grant {
    user: User,
    /// At a question with both grants, an odd number leads to the grant of a device.
    pub token: u8,
    refresh_token: bool,
    expires: bool,
}

#[derive(Arbitrary, Debug)]
pub enum OAuthCode {
    InvalidGrant,
    InvalidClient,
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    ServerError,
    Json(Json),
}

#[derive(Arbitrary, Debug)]
pub struct Metadata {
    other_issuer: bool,
    authorization: Address,
    token: Address,
    registration: Option<Address>,
    revocation: Option<Address>,
    device: Option<Address>,
    promises_iss: bool,
    creates_users: bool,
    modes: Modes,
    grants: Grants,
}

#[derive(Arbitrary, Debug)]
pub enum Address {
    Ours,
    WithQuery,
    OtherPath,
    OtherPort,
    Homeserver(u8),
    Loopback,
    PlainHttp,
    Text(String),
}

#[derive(Arbitrary, Debug)]
pub enum Modes {
    Both,
    Query,
    Fragment,
    NoList,
}

#[derive(Arbitrary, Debug)]
pub enum Grants {
    All,
    Code,
    Device,
    NoList,
}

/// The fields of responses, plausible or broken.
#[derive(Arbitrary, Debug)]
pub enum Field {
    Homeserver(Json),
    BaseUrl(u8),
    IdentityServer(Json),
    Versions(Json),
    Flows(Vec<Flow>),
    UserId(Json),
    User(User),
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
    Issuer(Json),
    TokenEndpoint(Address),
    GrantTypes(Json),
    ClientId(Json),
    TokenType(Json),
    ExpiresIn(Json),
    Scope(Json),
    OAuthError(OAuthCode),
    DeviceCode(Token),
    ShownCode(u8),
    UserCode(Json),
    VerificationUri(Address),
    VerificationUriComplete(Address),
    Interval(Json),
    Unknown(Token),
}

#[derive(Arbitrary, Debug)]
pub enum Flow {
    Password,
    Token,
    ApplicationService,
    Sso { providers: Json, preferred: Json },
    Badge(Json),
    Broken(Json),
}

/// The right user, and a user whose ID differs only in a capital letter.
#[derive(Arbitrary, Debug)]
pub enum User {
    Alice,
    Capital,
}

#[derive(Arbitrary, Debug)]
pub enum Token {
    Good(u8),
    WithBlank,
    InAList,
    Json(Json),
}

#[derive(Arbitrary, Debug)]
pub enum Errcode {
    Forbidden,
    LimitExceeded,
    Unrecognized,
    UnknownToken,
    UserDeactivated,
    UserLocked,
    Json(Json),
}

#[derive(Arbitrary, Debug)]
pub enum Json {
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

impl User {
    fn id(&self) -> &'static str {
        match self {
            Self::Alice => ALICE,
            Self::Capital => "@Alice:example.org",
        }
    }
}

impl Grant {
    fn text(&self) -> String {
        let Self { user, token, refresh_token, expires } = self;
        // The homeserver mixes servers up only rarely, so that few bytes reach that case too.
        let server = if *token == u8::MAX { Metadata::mixed_up() } else { Metadata::good() };
        let mut text = format!(
            r#"{{"m.homeserver":{{"base_url":"{}"}},"versions":["v1.11"],"flows":[{{"type":"m.login.password"}},
            {{"type":"m.login.sso"}},{{"type":"m.login.token"}},{{"type":"m.login.application_service"}},
            {{"type":"org.example.badge"}}],"user_id":"{}","device_id":"{DEVICE_ID}",
            "access_token":"{SECRET}{token}","client_id":"c+/=","device_code":"{SECRET}-device{token}",
            "user_code":"{USER_CODE}-{token}","verification_uri":"{ISSUER}link","interval":{},{}"#,
            HOMESERVERS[0],
            user.id(),
            token % 8,
            server.members()
        );
        if *refresh_token {
            let _ = write!(text, r#","refresh_token":"{SECRET}-refresh{token}""#);
        }
        if *expires {
            text.push_str(r#","expires_in_ms":300000,"expires_in":300"#);
        }
        text.push('}');
        text
    }
}

impl OAuthCode {
    fn text(&self) -> String {
        let code = match self {
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::ServerError => "server_error",
            Self::Json(json) => return json.text(),
        };
        format!("\"{code}\"")
    }
}

impl Metadata {
    /// Everything that a login needs, on one origin.
    fn good() -> Self {
        Self {
            other_issuer: false,
            authorization: Address::Ours,
            token: Address::Ours,
            registration: Some(Address::Ours),
            revocation: Some(Address::Ours),
            device: Some(Address::Ours),
            promises_iss: false,
            creates_users: true,
            modes: Modes::Both,
            grants: Grants::All,
        }
    }

    /// The code would go to another origin than the browser.
    fn mixed_up() -> Self {
        Self { token: Address::OtherPort, ..Self::good() }
    }

    fn members(&self) -> String {
        let mut members = json!({
            "issuer": if self.other_issuer { "https://auth.example.org" } else { ISSUER },
            "authorization_endpoint": self.authorization.url("authorize"),
            "token_endpoint": self.token.url("token"),
            "registration_endpoint": self.registration.as_ref().map(|address| address.url("register")),
            "revocation_endpoint": self.revocation.as_ref().map(|address| address.url("revoke")),
            "device_authorization_endpoint": self.device.as_ref().map(|address| address.url("device")),
            "authorization_response_iss_parameter_supported": self.promises_iss,
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        });
        if self.creates_users {
            members["prompt_values_supported"] = json!(["create"]);
        }
        match self.modes {
            Modes::Both => members["response_modes_supported"] = json!(["query", "fragment"]),
            Modes::Query => members["response_modes_supported"] = json!(["query"]),
            Modes::Fragment => members["response_modes_supported"] = json!(["fragment"]),
            Modes::NoList => {}
        }
        let (code, device) = ("authorization_code", "urn:ietf:params:oauth:grant-type:device_code");
        match self.grants {
            Grants::All => members["grant_types_supported"] = json!([code, "refresh_token", device]),
            Grants::Code => members["grant_types_supported"] = json!([code, "refresh_token"]),
            Grants::Device => members["grant_types_supported"] = json!([device]),
            Grants::NoList => {}
        }
        let text = members.to_string();
        text[1..text.len() - 1].to_owned()
    }
}

impl Address {
    fn url(&self, path: &str) -> String {
        match self {
            Self::Ours => format!("https://auth.example.org/{path}"),
            Self::WithQuery => format!("https://auth.example.org/{path}?tenant=a"),
            Self::OtherPath => format!("https://auth.example.org/other/{path}"),
            Self::OtherPort => format!("https://auth.example.org:8443/{path}"),
            Self::Homeserver(index) => format!("{}/{path}", homeserver(*index)),
            Self::Loopback => format!("http://127.0.0.1:8080/{path}"),
            Self::PlainHttp => format!("http://auth.example.org/{path}"),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Good(token) => format!("\"{SECRET}{token}\""),
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

impl Errcode {
    fn text(&self) -> String {
        let errcode = match self {
            Self::Forbidden => "M_FORBIDDEN",
            Self::LimitExceeded => "M_LIMIT_EXCEEDED",
            Self::Unrecognized => "M_UNRECOGNIZED",
            Self::UnknownToken => "M_UNKNOWN_TOKEN",
            Self::UserDeactivated => "M_USER_DEACTIVATED",
            Self::UserLocked => "M_USER_LOCKED",
            Self::Json(json) => return json.text(),
        };
        format!("\"{errcode}\"")
    }
}

impl Field {
    fn text(&self) -> String {
        let (key, value) = match self {
            Self::Homeserver(json) => ("m.homeserver", json.text()),
            Self::BaseUrl(index) => ("m.homeserver", base_url(*index)),
            Self::IdentityServer(json) => ("m.identity_server", json.text()),
            Self::Versions(json) => ("versions", json.text()),
            Self::Flows(flows) => {
                ("flows", format!("[{}]", flows.iter().map(Flow::text).collect::<Vec<_>>().join(",")))
            }
            Self::UserId(json) => ("user_id", json.text()),
            Self::User(user) => ("user_id", format!("\"{}\"", user.id())),
            Self::AccessToken(token) => ("access_token", token.text()),
            Self::RefreshToken(token) => ("refresh_token", token.text()),
            Self::DeviceId(json) => ("device_id", json.text()),
            Self::Device => ("device_id", format!("\"{DEVICE_ID}\"")),
            Self::ExpiresInMs(json) => ("expires_in_ms", json.text()),
            Self::WellKnown(json) => ("well_known", json.text()),
            Self::WellKnownUrl(index) => ("well_known", format!(r#"{{"m.homeserver":{}}}"#, base_url(*index))),
            Self::Errcode(errcode) => ("errcode", errcode.text()),
            Self::Message(json) => ("error", json.text()),
            Self::SoftLogout(json) => ("soft_logout", json.text()),
            Self::RetryAfterMs(json) => ("retry_after_ms", json.text()),
            Self::Issuer(json) => ("issuer", json.text()),
            Self::TokenEndpoint(address) => ("token_endpoint", json!(address.url("token")).to_string()),
            Self::GrantTypes(json) => ("grant_types_supported", json.text()),
            Self::ClientId(json) => ("client_id", json.text()),
            Self::TokenType(json) => ("token_type", json.text()),
            Self::ExpiresIn(json) => ("expires_in", json.text()),
            Self::Scope(json) => ("scope", json.text()),
            Self::OAuthError(code) => ("error", code.text()),
            Self::DeviceCode(token) => ("device_code", token.text()),
            Self::ShownCode(code) => ("user_code", format!("\"{USER_CODE}-{code}\"")),
            Self::UserCode(json) => ("user_code", json.text()),
            Self::VerificationUri(address) => ("verification_uri", json!(address.url("link")).to_string()),
            Self::VerificationUriComplete(address) => {
                ("verification_uri_complete", json!(address.url("link?code=WDJB-MJHT")).to_string())
            }
            Self::Interval(json) => ("interval", json.text()),
            Self::Unknown(token) => ("org.example.unknown", token.text()),
        };
        format!("\"{key}\":{value}")
    }
}

impl Scripted {
    pub fn response(&self) -> Response<Vec<u8>> {
        let status = match self.status {
            Status::Ok => 200,
            Status::Created => 201,
            Status::Found => 302,
            Status::BadRequest => 400,
            Status::Unauthorized => 401,
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
            // Bytes that are not valid in a header cannot arrive in one.
            if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
                response = response.header(name, value);
            }
        }
        response.body(self.body.bytes()).expect("the status is valid")
    }
}

impl Body {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Good(grant) => grant.text().into_bytes(),
            Self::Refusal { errcode, soft_logout } => {
                let errcode = errcode.text();
                format!(r#"{{"errcode":{errcode},"error":"no","soft_logout":{soft_logout}}}"#).into_bytes()
            }
            Self::OAuthRefusal(code) => format!(r#"{{"error":{},"error_description":"no"}}"#, code.text()).into_bytes(),
            Self::Metadata(metadata) => format!("{{{}}}", metadata.members()).into_bytes(),
            Self::Fields { fields, mark, cut } => {
                let fields = fields.iter().map(Field::text).collect::<Vec<_>>().join(",");
                let mut body = format!("{}{{{fields}}}", if *mark { "\u{feff}" } else { "" }).into_bytes();
                // Most bodies stay whole, because the smaller numbers cut nothing.
                body.truncate(body.len() - usize::from(cut.saturating_sub(200)).min(body.len()));
                body
            }
            Self::Raw(bytes) => bytes.clone(),
            Self::TooLong => vec![b' '; MAX_BODY + 1],
        }
    }
}

/// The stored form of a session.
#[derive(Arbitrary, Debug)]
pub struct Stored {
    homeserver: Option<u8>,
    refresh_token: bool,
    valid_until: Option<u64>,
}

impl Stored {
    pub fn session(&self) -> Session {
        let mut stored = json!({
            "access_token": format!("{SECRET}-stored"), "user_id": ALICE, "device_id": DEVICE_ID,
            "well_known_from_login": {"org.example": [SECRET]}, "other": [SECRET],
        });
        if let Some(index) = self.homeserver {
            stored["base_client_url"] = format!("{}/_matrix/client/", homeserver(index)).into();
        }
        if self.refresh_token {
            stored["refresh_token"] = format!("{SECRET}-stored-refresh").into();
        }
        if let Some(valid_until) = self.valid_until {
            stored["access_token_valid_until"] = valid_until.into();
        }
        Session::from_json(stored.to_string()).expect("it is a session").expect("it has an access token")
    }
}

pub fn homeserver(index: u8) -> Homeserver {
    HOMESERVERS[usize::from(index) % HOMESERVERS.len()].parse().expect("it is one")
}

fn base_url(index: u8) -> String {
    format!(r#"{{"base_url":"{}/"}}"#, homeserver(index))
}

/// A time in milliseconds since the epoch, or before it.
pub fn time(milliseconds: i64) -> SystemTime {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    let time = if milliseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.expect("a time can hold it")
}

/// The story that the bytes tell, if they tell one.
///
/// libFuzzer learns the planted text from comparisons and writes it into the bytes. There it is not a secret.
pub fn story<'a, Story: Arbitrary<'a>>(data: &'a [u8]) -> Option<Story> {
    let has_planted_text = data.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    let is_long_enough = data.len() >= Story::size_hint(0).0;
    let story = || Story::arbitrary_take_rest(Unstructured::new(data)).ok();
    (!has_planted_text && is_long_enough).then(story).flatten()
}

pub fn shows_no_secret(text: &str) {
    assert!(!text.contains(SECRET), "a secret is shown: {text}");
}

/// Neither an error nor its causes show a secret. Each is one line for a terminal, whatever a server has written.
pub fn check_error(error: &(dyn StdError + 'static)) {
    shows_no_secret(&format!("{error:?}"));
    let mut source = Some(error);
    while let Some(error) = source {
        let text = error.to_string();
        shows_no_secret(&text);
        assert!(!text.contains(char::is_control), "{text:?}");
        source = error.source();
    }
}
