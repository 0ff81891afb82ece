//! The scripted homeserver. A story says what the flow asks for, and which inputs it gets, in the order of the events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Response, StatusCode};
use matrix_login::{
    Choice, CodeVerifier, DiscoveryOutcome, Error, LoginFlow, LoginSettings, LoginType, OAuthClient, Password,
    Redirect, RequestId, ResponseError, ServerError, Session, ShownCode, Step, UserIdentifier, Wait,
};
use serde_json::{Value, json};

use super::replay;

pub const HOMESERVER: &str = "https://hs.example.org";
pub const WELL_KNOWN_URL: &str = "https://example.org/.well-known/matrix/client";
pub const VERSIONS_URL: &str = "https://hs.example.org/_matrix/client/versions";
pub const LOGIN_URL: &str = "https://hs.example.org/_matrix/client/v3/login";

pub const WELL_KNOWN: &str = r#"{"m.homeserver":{"base_url":"https://hs.example.org"}}"#;
pub const VERSIONS: &str = r#"{"versions":["v1.11"]}"#;
pub const OFFERS: &str = r#"{"flows":[{"type":"m.login.password"},{"type":"m.login.sso","identity_providers":[
    {"id":"oidc-x","name":"X"}]},{"type":"m.login.token"},{"type":"m.login.application_service"},
    {"type":"org.example.badge","colour":"blue"}]}"#;
/// The login types of these offers.
pub const OFFERED: [&str; 5] =
    ["m.login.password", "m.login.sso", "m.login.token", "m.login.application_service", "org.example.badge"];
pub const GRANTED: &str = r#"{"user_id":"@alice:example.org","device_id":"DEVICEID","access_token":"anopaquestring"}"#;
pub const FORBIDDEN: &str = r#"{"errcode":"M_FORBIDDEN","error":"Invalid username or password"}"#;

pub const STATE: &str = "0123456789abcdef";
pub const CALLBACK: &str = "http://127.0.0.1:9/cb?state=0123456789abcdef&loginToken=t0k3n";

pub const AUTH_METADATA_URL: &str = "https://hs.example.org/_matrix/client/v1/auth_metadata";
pub const WHOAMI_URL: &str = "https://hs.example.org/_matrix/client/v3/account/whoami";
pub const AUTHORIZATION_URL: &str = "https://auth.example.org/authorize";
pub const TOKEN_URL: &str = "https://auth.example.org/token";
pub const REGISTRATION_URL: &str = "https://auth.example.org/register";
pub const REVOCATION_URL: &str = "https://auth.example.org/revoke";
pub const DEVICE_AUTHORIZATION_URL: &str = "https://auth.example.org/device";

pub const METADATA: &str = r#"{"issuer":"https://auth.example.org/",
    "authorization_endpoint":"https://auth.example.org/authorize","token_endpoint":"https://auth.example.org/token",
    "registration_endpoint":"https://auth.example.org/register",
    "revocation_endpoint":"https://auth.example.org/revoke","response_types_supported":["code"],
    "device_authorization_endpoint":"https://auth.example.org/device",
    "response_modes_supported":["query","fragment"],"grant_types_supported":["authorization_code","refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code"],"code_challenge_methods_supported":["S256"]}"#;
/// An ID with characters that a form and a URL must encode.
pub const CLIENT_ID: &str = "c1+/=";
pub const REGISTERED: &str = r#"{"client_id":"c1+/="}"#;
pub const TOKENS: &str =
    r#"{"access_token":"at","token_type":"Bearer","expires_in":300,"refresh_token":"rt","scope":"granted"}"#;
/// A grant without a refresh token: the session ends with its access token.
pub const TOKENS_THAT_END: &str = r#"{"access_token":"t","token_type":"Bearer","expires_in":300}"#;
pub const WHOAMI: &str = r#"{"user_id":"@alice:example.org","device_id":"KITCHENTABLET"}"#;
pub const OAUTH_DEVICE_ID: &str = "KITCHENTABLET";
pub const REFUSED_BY_OAUTH: &str = r#"{"error":"invalid_grant","error_description":"No."}"#;
pub const UNRECOGNIZED: &str = r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#;

/// A code that lives for half an hour, with a poll every seven seconds.
pub const CODE_TO_SHOW: &str = r#"{"device_code":"dev1ce-c0de","user_code":"WDJB-MJHT","expires_in":1800,"interval":7,
    "verification_uri":"https://auth.example.org/link",
    "verification_uri_complete":"https://auth.example.org/link?code=WDJB-MJHT"}"#;
pub const CODE_LIFETIME: Duration = Duration::from_secs(1800);
pub const PENDING: &str = r#"{"error":"authorization_pending"}"#;

/// The verifier of RFC 7636, appendix B, and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const CODE_CALLBACK: &str = "http://127.0.0.1:9/cb?state=0123456789abcdef&code=c0d3";

/// The time of everything, unless the story says otherwise: a round second, 2026-11-23 12:00:00.
pub fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_435_200)
}

pub fn served(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

pub fn password() -> Choice {
    Choice::password(UserIdentifier::user("alice"), Password::new("wonderland"))
}

pub fn sso() -> Choice {
    Choice::sso(Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap())
}

/// The authorization code grant.
pub fn code() -> Choice {
    let verifier = CodeVerifier::new(VERIFIER).unwrap();
    Choice::authorization_code(Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap(), verifier)
}

/// Settings of a client that registers itself.
pub fn with_oauth() -> LoginSettings {
    let client = OAuthClient::new("https://app.example.com/".parse().unwrap(), "Example");
    LoginSettings::default().with_device_id(OAUTH_DEVICE_ID).unwrap().with_oauth(client)
}

/// Settings of a client that an administrator has registered.
pub fn with_registered_client() -> LoginSettings {
    with_oauth().with_oauth(OAuthClient::registered(CLIENT_ID).unwrap())
}

/// The metadata with another value of one member, or without it if the value is null.
pub fn metadata_with(member: &str, value: impl Into<Value>) -> String {
    let mut metadata: Value = serde_json::from_str(METADATA).unwrap();
    metadata[member] = value.into();
    metadata.to_string()
}

/// The ID of the request that is due.
pub fn request_id(flow: &LoginFlow) -> Option<RequestId> {
    match flow.step() {
        Step::Send { id, .. } => Some(id),
        _ => None,
    }
}

/// The response to the request that is due.
pub fn respond(flow: &mut LoginFlow, response: &Response<Vec<u8>>, received_at: SystemTime) -> Result<(), Error> {
    let id = request_id(flow).expect("a request is due");
    flow.handle_response(id, response, received_at)
}

/// The state of a flow, with requests and their bodies, sessions and their tokens. The request ID is left out: every
/// accepted input changes it, so it would prove nothing.
pub fn picture(flow: &LoginFlow) -> Value {
    let mut suspended = json!(flow.suspend());
    if let Some(suspended) = suspended.as_object_mut() {
        suspended.remove("request_id");
    }
    json!({
        "step": replay::step_line(&flow.step(), noon()),
        "suspended": suspended,
        "session": flow.session(),
        "homeserver": flow.homeserver(),
    })
}

/// Everything that a caller can see of a flow, and the request ID: an error must not change any of it.
pub fn whole(flow: &LoginFlow) -> Value {
    json!({
        "picture": picture(flow),
        "suspended": flow.suspend(),
        "request_id": request_id(flow).map(|id| format!("{id:?}")),
        "debug": format!("{flow:?}"),
    })
}

#[derive(Clone)]
pub struct Scenario {
    pub flow: LoginFlow,
    /// The ID of the last request that the story saw.
    last_id: Option<RequestId>,
}

impl Scenario {
    // How a story begins.

    pub fn of(flow: LoginFlow) -> Self {
        let last_id = request_id(&flow);
        Self { flow, last_id }
    }

    /// A story that goes on with a flow, whose last request had this ID.
    pub fn with_last_id(flow: LoginFlow, last_id: Option<RequestId>) -> Self {
        Self { flow, last_id }
    }

    pub fn at(homeserver: &str) -> Self {
        Self::of(LoginFlow::at(homeserver.parse().unwrap(), LoginSettings::default()))
    }

    pub fn discover(server_name: &str) -> Self {
        Self::of(LoginFlow::discover(server_name.parse().unwrap(), LoginSettings::default()))
    }

    /// The well-known file was read; GET versions is due.
    pub fn at_versions() -> Self {
        let mut story = Self::discover("example.org");
        story.responds(200, WELL_KNOWN).gets(VERSIONS_URL);
        story
    }

    /// No homeserver was found.
    pub fn lost() -> Self {
        let mut story = Self::discover("example.org");
        story.responds(404, "").locates(DiscoveryOutcome::Ignore);
        story
    }

    /// The question is due, with all login types of the offers.
    pub fn at_the_question() -> Self {
        Self::at_the_question_with(LoginSettings::default())
    }

    pub fn at_the_question_with(settings: LoginSettings) -> Self {
        let mut story = Self::of(LoginFlow::at(HOMESERVER.parse().unwrap(), settings));
        story.gets(LOGIN_URL).responds(200, OFFERS);
        story
    }

    /// POST login is due, with a password.
    pub fn logging_in() -> Self {
        let mut story = Self::at_the_question();
        story.choose(password());
        story
    }

    /// The user is in the browser.
    pub fn in_the_browser() -> Self {
        let mut story = Self::at_the_question();
        story.choose(sso());
        story
    }

    pub fn logged_in() -> Self {
        let mut story = Self::logging_in();
        story.responds(200, GRANTED);
        story
    }

    /// The question is due, with login types and an OAuth 2.0 server.
    pub fn at_the_question_with_oauth() -> Self {
        Self::with_metadata(with_oauth(), METADATA)
    }

    pub fn with_metadata(settings: LoginSettings, metadata: impl Into<Vec<u8>>) -> Self {
        let mut story = Self::of(LoginFlow::at(HOMESERVER.parse().unwrap(), settings));
        story.gets(LOGIN_URL).responds(200, OFFERS).gets(AUTH_METADATA_URL).responds(200, metadata);
        story
    }

    /// The user is in the browser, for a code.
    pub fn in_the_browser_for_a_code() -> Self {
        let mut story = Self::at_the_question_with_oauth();
        story.choose(code()).responds(201, REGISTERED);
        story
    }

    /// POST token is due.
    pub fn with_a_code() -> Self {
        let mut story = Self::in_the_browser_for_a_code();
        story.callback(CODE_CALLBACK);
        story
    }

    /// Tokens are granted; GET whoami is due.
    pub fn with_tokens() -> Self {
        let mut story = Self::with_a_code();
        story.responds(200, TOKENS);
        story
    }

    /// POST `device_authorization` is due.
    pub fn asking_for_a_code_to_show() -> Self {
        let mut story = Self::at_the_question_with_oauth();
        story.choose(Choice::device_authorization()).responds(201, REGISTERED);
        story
    }

    /// The user has a code to enter somewhere else.
    pub fn showing_a_code() -> Self {
        let mut story = Self::asking_for_a_code_to_show();
        story.responds(200, CODE_TO_SHOW);
        story
    }

    /// POST token is due, as a poll.
    pub fn polling() -> Self {
        let mut story = Self::showing_a_code();
        story.timeout();
        story
    }

    // What the flow asks for.

    pub fn gets(&mut self, url: &str) -> &mut Self {
        let line = replay::step_line(&self.flow.step(), noon());
        assert_eq!(line, json!({"step": "send", "method": "GET", "url": url, "headers": {}, "body": null}));
        self
    }

    pub fn posts(&mut self, url: &str, body: Value) -> &mut Self {
        let line = replay::step_line(&self.flow.step(), noon());
        let headers = json!({"content-type": "application/json"});
        assert_eq!(line, json!({"step": "send", "method": "POST", "url": url, "headers": headers, "body": body}));
        self
    }

    pub fn posts_form(&mut self, url: &str, form: Value) -> &mut Self {
        let line = replay::step_line(&self.flow.step(), noon());
        let headers = json!({"content-type": "application/x-www-form-urlencoded", "accept": "application/json"});
        assert_eq!(line, json!({"step": "send", "method": "POST", "url": url, "headers": headers, "form": form}));
        self
    }

    /// The flow asks for the tokens of the code.
    pub fn posts_the_code(&mut self) -> &mut Self {
        self.posts_form(
            TOKEN_URL,
            json!({
                "grant_type": "authorization_code", "code": "c0d3", "redirect_uri": "http://127.0.0.1:9/cb",
                "client_id": CLIENT_ID, "code_verifier": VERIFIER,
            }),
        )
    }

    /// The flow asks the server whether the user has decided.
    pub fn polls(&mut self) -> &mut Self {
        let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
        let form = json!({"grant_type": grant_type, "device_code": "dev1ce-c0de", "client_id": CLIENT_ID});
        self.posts_form(TOKEN_URL, form)
    }

    /// A code is due to be shown, and the next poll comes this many seconds after noon.
    pub fn shows_a_code(&mut self, seconds: u64) -> &mut Self {
        assert_eq!(self.code().user_code(), "WDJB-MJHT");
        assert_eq!(self.code().remaining(noon()), Duration::from_secs(seconds));
        self
    }

    pub fn code(&self) -> &ShownCode {
        match self.flow.step() {
            Step::ShowCode(code) => code,
            step => panic!("{step:?}"),
        }
    }

    /// The flow asks the homeserver whose token this is.
    pub fn asks_whose(&mut self, token: &str) -> &mut Self {
        let line = replay::step_line(&self.flow.step(), noon());
        let headers = json!({"authorization": format!("Bearer {token}")});
        let expected = json!({"step": "send", "method": "GET", "url": WHOAMI_URL, "headers": headers, "body": null});
        assert_eq!(line, expected);
        self
    }

    /// The question is due, with these login types and no refusal.
    pub fn asks(&mut self, expected: &[&str]) -> &mut Self {
        let Step::Choose { login_types, refused, .. } = self.flow.step() else { panic!("{:?}", self.flow.step()) };
        assert!(refused.is_none(), "{refused:?}");
        assert_eq!(login_types.iter().map(LoginType::name).collect::<Vec<_>>(), expected);
        self
    }

    /// The question is due, after a refusal.
    pub fn refused(&self) -> &ServerError {
        match self.flow.step() {
            Step::Choose { refused: Some(refused), .. } => refused,
            step => panic!("{step:?}"),
        }
    }

    pub fn wait(&self) -> &Wait {
        match self.flow.step() {
            Step::Wait(wait) => wait,
            step => panic!("{step:?}"),
        }
    }

    /// A wait is due, and it ends this many milliseconds after noon.
    pub fn waits(&mut self, milliseconds: u64, attempt: u32) -> &mut Self {
        let wait = self.wait();
        assert_eq!(wait.remaining(noon()), Duration::from_millis(milliseconds));
        assert_eq!(wait.attempt(), attempt);
        self
    }

    pub fn locates(&mut self, outcome: DiscoveryOutcome) -> &mut Self {
        let Step::Locate { failure, .. } = self.flow.step() else { panic!("{:?}", self.flow.step()) };
        assert_eq!(failure.outcome, outcome, "{failure}");
        self
    }

    pub fn browses(&self) -> url::Url {
        match self.flow.step() {
            Step::Browse(url) => url.clone(),
            step => panic!("{step:?}"),
        }
    }

    pub fn session(&self) -> &Session {
        match self.flow.step() {
            Step::Done(session) => session,
            step => panic!("{step:?}"),
        }
    }

    // The inputs of the flow.

    pub fn responds(&mut self, status: u16, body: impl Into<Vec<u8>>) -> &mut Self {
        self.responds_with(served(status, &[], body))
    }

    pub fn responds_with(&mut self, response: Response<Vec<u8>>) -> &mut Self {
        self.responds_with_at(noon(), response)
    }

    pub fn responds_at(&mut self, time: SystemTime, status: u16, body: impl Into<Vec<u8>>) -> &mut Self {
        self.responds_with_at(time, served(status, &[], body))
    }

    fn responds_with_at(&mut self, time: SystemTime, response: Response<Vec<u8>>) -> &mut Self {
        let before = picture(&self.flow);
        let id = self.see();
        self.flow.handle_response(id, &response, time).unwrap();
        assert_ne!(picture(&self.flow), before, "accepted, but nothing moved");
        self.see();
        self
    }

    /// A response that the flow does not accept. It changes nothing.
    pub fn fails(&mut self, status: u16, body: impl Into<Vec<u8>>) -> Error {
        self.fails_with(served(status, &[], body))
    }

    pub fn fails_with(&mut self, response: Response<Vec<u8>>) -> Error {
        let before = whole(&self.flow);
        let id = self.see();
        let error = self.flow.handle_response(id, &response, noon()).unwrap_err();
        assert_eq!(whole(&self.flow), before, "an error, but something changed");
        error
    }

    /// The ID of the request that is due.
    pub fn request_id(&self) -> RequestId {
        request_id(&self.flow).expect("a request is due")
    }

    /// The ID of the request that is due, or else of the last one.
    pub fn last_request_id(&self) -> RequestId {
        request_id(&self.flow).or(self.last_id).unwrap_or_else(|| {
            // No request was sent yet. Any ID is enough that does not belong to this flow.
            let mut story = Self::at_versions();
            story.responds(429, "").timeout().request_id()
        })
    }

    /// Notes the request that is due, before an input moves the flow on.
    fn see(&mut self) -> RequestId {
        let id = self.last_request_id();
        self.last_id = Some(id);
        id
    }

    /// A response that comes too late: it is refused, and nothing changes.
    pub fn late(&mut self, id: RequestId, status: u16, body: impl Into<Vec<u8>>) -> &mut Self {
        let before = whole(&self.flow);
        let error = self.flow.handle_response(id, &served(status, &[], body), noon()).unwrap_err();
        assert!(matches!(error, Error::StaleResponse), "{error:?}");
        assert_eq!(whole(&self.flow), before, "a stale response, but something changed");
        self
    }

    pub fn timeout(&mut self) -> &mut Self {
        self.flow.handle_timeout().unwrap();
        self.see();
        self
    }

    pub fn unreachable(&mut self) -> &mut Self {
        let id = self.see();
        self.flow.handle_unreachable(id).unwrap();
        self
    }

    pub fn use_homeserver(&mut self, homeserver: &str) -> &mut Self {
        self.flow.use_homeserver(homeserver.parse().unwrap()).unwrap();
        self.see();
        self
    }

    pub fn choose(&mut self, choice: Choice) -> &mut Self {
        self.flow.choose(choice).unwrap();
        self.see();
        self
    }

    pub fn callback(&mut self, url: &str) -> &mut Self {
        self.flow.handle_callback(&url.parse().unwrap()).unwrap();
        self.see();
        self
    }

    pub fn back(&mut self) -> &mut Self {
        self.flow.back().unwrap();
        self.see();
        self
    }

    /// Another process resumes the flow.
    pub fn suspend(&mut self) -> &mut Self {
        let stored = serde_json::to_string(&self.flow.suspend().unwrap()).unwrap();
        self.flow = LoginFlow::resume(serde_json::from_str(&stored).unwrap());
        self
    }
}

/// The status of a [`ResponseError::NotMatrix`].
pub fn not_matrix(error: &(impl Clone + Into<Error>)) -> StatusCode {
    match error.clone().into() {
        Error::Response(ResponseError::NotMatrix { status, .. }) => status,
        error => panic!("{error:?}"),
    }
}

/// The field of a [`ResponseError::InvalidResponse`].
pub fn invalid_field(error: &(impl Clone + Into<Error>)) -> &'static str {
    match error.clone().into() {
        Error::Response(ResponseError::InvalidResponse { field, .. }) => field,
        error => panic!("{error:?}"),
    }
}
