//! Code that the tests against Synapse share: the servers that `run.py` started, an HTTP client, and a login that
//! records all its exchanges as a transcript.

#[path = "../../support/replay.rs"]
mod replay;

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::Path,
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Request, Response, Uri, header, uri::Scheme};
use matrix_login::{
    DiscoveryOutcome, DriveError, Error, LoginFlow, Pause, RequestId, ServerError, Session, ShownCode, Step,
    blocking::{self, Transport},
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// The servers that `run.py` started.
pub fn servers() -> &'static Value {
    static SERVERS: OnceLock<Value> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let path = env::var("SERVERS").expect("run.py starts the servers and says where they are");
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    })
}

/// The base URL of a homeserver of `run.py`.
pub fn url(server: &str) -> &'static str {
    servers()["servers"][server].as_str().unwrap_or_else(|| panic!("there is no server {server}"))
}

/// The password of a user of `run.py`. The users are the same at each homeserver.
pub fn password(user: &str) -> &'static str {
    servers()["passwords"][user].as_str().unwrap_or_else(|| panic!("there is no user {user}"))
}

/// The choice of the password login by a user of `run.py`, in the form of the transcripts.
pub fn password_choice(user: &str) -> Value {
    password_choice_as(user, json!({ "type": "m.id.user", "user": user }))
}

/// The same with another identifier.
pub fn password_choice_as(user: &str, identifier: Value) -> Value {
    json!({ "type": "m.login.password", "identifier": identifier, "password": password(user) })
}

/// The token of the application service of `run.py`, which is registered at the homeserver `full`.
pub fn application_service_token() -> &'static str {
    servers()["application_service_token"].as_str().unwrap()
}

/// Sends a request. Names that end in `.test` lead to nginx. Outside of tests, DNS and TLS do that work.
///
/// # Errors
///
/// Why there is no response.
pub fn send(mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
    let host = request.uri().host().unwrap().to_owned();
    if host.ends_with(".test") {
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(format!("127.0.0.1:{}", servers()["nginx"]).parse().unwrap());
        *request.uri_mut() = Uri::from_parts(parts).unwrap();
        request.headers_mut().insert(header::HOST, HeaderValue::from_str(&host).unwrap());
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let (head, mut body) = agent.run(request)?.into_parts();
    Ok(Response::from_parts(head, body.read_to_vec()?))
}

/// Sends a request of a user who is logged in. Returns the status and the body.
pub fn ask(session: &Session, path: &str) -> (u16, Value) {
    let uri = format!("{}{path}", session.homeserver().unwrap());
    let mut request = Request::get(uri).body(Vec::new()).unwrap();
    session.authorize(&mut request).unwrap();
    let response = send(request).unwrap();
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

/// Sends a request to one endpoint. The response is recorded as a transcript of that endpoint if `RECORD_TO` names a
/// folder.
pub fn exchange(name: &str, endpoint: &str, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let response = send(request).unwrap();
    let (about, answer) = (about(), recorded(&response, now()));
    let transcript =
        format!("{{\n  \"about\": {about},\n  \"endpoint\": {},\n  \"response\": {answer}\n}}\n", json!(endpoint));
    let tokens = tokens_of(answer["body"].as_str().unwrap_or_default());
    record(name, &transcript, &tokens);
    response
}

/// Asks the administrator's API of a homeserver for a change of a user.
pub fn change_user(server: &str, user: &str, change: &Value) {
    let request = Request::put(format!("{}/_synapse/admin/v2/users/@{user}:example.test", url(server)))
        .header(header::AUTHORIZATION, format!("Bearer {}", servers()["admin_tokens"][server].as_str().unwrap()))
        .body(change.to_string().into_bytes())
        .unwrap();
    assert_eq!(send(request).unwrap().status(), 200);
}

/// The time, in whole milliseconds as a transcript has it.
pub fn now() -> SystemTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UNIX_EPOCH + Duration::from_millis(u64::try_from(since_epoch.as_millis()).unwrap())
}

fn about() -> Value {
    json!(format!("Synapse {}", servers()["version"].as_str().unwrap()))
}

/// A login to a real homeserver, from its beginning to its end.
///
/// A test gets the [`Login`] only inside [`Story::tell`], which replays and records it at the end. So no test can leave
/// that out.
#[must_use = "the login begins when its story is told"]
pub struct Story {
    /// The name of the transcript, if it is recorded.
    name: Option<&'static str>,
    login: Login,
}

impl Story {
    /// Begins at a homeserver of `run.py`.
    pub fn at(name: &'static str, server: &str) -> Self {
        Self::at_with(name, server, json!({}))
    }

    /// The same with settings, in the form of the transcripts.
    pub fn at_with(name: &'static str, server: &str, settings: Value) -> Self {
        Self { name: Some(name), ..Self::unrecorded(server, settings) }
    }

    /// The same for a login that another test has recorded.
    pub fn unrecorded(server: &str, settings: Value) -> Self {
        let flow = LoginFlow::at(url(server).parse().unwrap(), read_settings(&settings));
        Self::new(None, json!({ "homeserver": url(server) }), settings, flow)
    }

    /// Begins with the server of a user ID.
    pub fn discover(name: &'static str, server_name: &str) -> Self {
        let flow = LoginFlow::discover(server_name.parse().unwrap(), read_settings(&json!({})));
        Self::new(Some(name), json!({ "server_name": server_name }), json!({}), flow)
    }

    /// Begins again after a session has ended.
    pub fn again(name: &'static str, session: &Session) -> Self {
        Self::again_with(name, session, json!({}))
    }

    /// The same with settings, in the form of the transcripts.
    pub fn again_with(name: &'static str, session: &Session, settings: Value) -> Self {
        let flow = LoginFlow::again(session, read_settings(&settings));
        Self::new(Some(name), json!({ "again": session }), settings, flow)
    }

    fn new(name: Option<&'static str>, start: Value, settings: Value, flow: LoginFlow) -> Self {
        let recorder =
            Recorder { inputs: Vec::new(), received_at: UNIX_EPOCH, sent: Vec::new(), cut: None, has_failed: false };
        Self { name, login: Login { start, settings, recorder, flow } }
    }

    /// Tells the story, and returns its result. At the end the exchanges are replayed. They are recorded if `RECORD_TO`
    /// names a folder.
    pub fn tell<T>(self, story: impl FnOnce(&mut Login) -> T) -> T {
        let Self { name, mut login } = self;
        let told = story(&mut login);
        let transcript = login.transcript();
        let replayed = replay::replay(&transcript).unwrap();
        let step = replay::step_line(&login.flow.step(), login.recorder.received_at);
        assert_eq!(replayed.last(), Some(&step), "the transcript leads elsewhere");
        if let Some(name) = name {
            record(name, &transcript, &login.tokens());
        }
        told
    }

    /// Tells how this choice leads to a session.
    pub fn logs_in(self, choice: Value) -> Session {
        self.tell(|login| login.with(choice).session().clone())
    }

    /// Tells how the homeserver refuses this choice.
    pub fn is_refused(self, choice: Value) -> ServerError {
        self.tell(|login| login.with(choice).refused().clone())
    }
}

/// A login while its story is told.
pub struct Login {
    start: Value,
    settings: Value,
    recorder: Recorder,
    flow: LoginFlow,
}

impl Login {
    pub fn flow(&self) -> &LoginFlow {
        &self.flow
    }

    /// Sends the request that is due.
    ///
    /// # Errors
    ///
    /// The error of the flow, if it does not accept the response.
    pub fn send(&mut self) -> Result<(), Error> {
        let Step::Send { id, request } = self.flow.step() else { panic!("{:?}", self.flow.step()) };
        let response = self.recorder.send(request).unwrap();
        self.flow.handle_response(id, &response, self.recorder.now())
    }

    /// Sends the request that is due, and holds its response back, as a slow network does.
    pub fn send_and_hold(&mut self) -> Held {
        let Step::Send { id, request } = self.flow.step() else { panic!("{:?}", self.flow.step()) };
        // The last line so far belongs to the request.
        let answers = replay::replay(&self.transcript()).unwrap().len() - 1;
        Held { id, answers, response: send(request).unwrap(), received_at: now() }
    }

    /// Hands over a response that was held back.
    ///
    /// # Errors
    ///
    /// The error of the flow, if the flow has gone on in the meantime.
    pub fn hand_over(&mut self, held: &Held) -> Result<(), Error> {
        let mut response = recorded(&held.response, held.received_at);
        response["answers"] = held.answers.into();
        self.recorder.inputs.push(json!({ "response": response }));
        self.flow.handle_response(held.id, &held.response, held.received_at)?;
        self.recorder.received_at = held.received_at;
        Ok(())
    }

    /// Sends everything that is due until another step is due, and waits if the server says so.
    pub fn run(&mut self) -> &mut Self {
        self.try_to_run().unwrap();
        self
    }

    /// The same as `run`, for a login that can fail.
    ///
    /// # Errors
    ///
    /// The error of the loop. Another call goes on with the same step.
    pub fn try_to_run(&mut self) -> Result<(), DriveError<ureq::Error>> {
        let driven = blocking::drive(&mut self.flow, &mut self.recorder).map(drop);
        self.recorder.has_failed = driven.is_err();
        driven
    }

    /// The code that is shown.
    pub fn code(&self) -> ShownCode {
        match self.flow.step() {
            Step::ShowCode(code) => code.clone(),
            step => panic!("{step:?}"),
        }
    }

    /// Polls once, when it is time for that.
    pub fn poll(&mut self) -> &mut Self {
        thread::sleep(self.code().remaining(SystemTime::now()));
        self.poll_at_once()
    }

    /// Polls once, also if that is too early.
    pub fn poll_at_once(&mut self) -> &mut Self {
        self.make_poll_due().send().unwrap();
        self
    }

    /// Ends the wait for the next poll.
    pub fn make_poll_due(&mut self) -> &mut Self {
        self.recorder.inputs.push(json!({ "timeout": true }));
        self.flow.handle_timeout().unwrap();
        self
    }

    /// Breaks the connection of the next request.
    pub fn cut(&mut self, cut: Cut) -> &mut Self {
        self.recorder.cut = Some(cut);
        self
    }

    /// The names of the OAuth 2.0 errors that the servers sent, in order.
    pub fn errors(&self) -> Vec<String> {
        let bodies = self.recorder.inputs.iter().filter_map(|input| input["response"]["body"].as_str());
        let bodies = bodies.filter_map(|body| serde_json::from_str::<Value>(body).ok());
        let errors = bodies.filter(|body| body["errcode"].is_null());
        errors.filter_map(|body| body["error"].as_str().map(str::to_owned)).collect()
    }

    /// The times at which polls were sent.
    pub fn polls(&self) -> Vec<Instant> {
        let polls = self.recorder.sent.iter().filter(|sent| sent.is_poll);
        polls.map(|sent| sent.at).collect()
    }

    /// The paths of the requests since the last poll.
    pub fn paths_since_the_last_poll(&self) -> Vec<&str> {
        let since = self.recorder.sent.rsplit(|sent| sent.is_poll).next().unwrap();
        since.iter().map(|sent| &*sent.path).collect()
    }

    /// Answers the question, in the form of the transcripts.
    pub fn choose(&mut self, choice: Value) -> &mut Self {
        let chosen = replay::Chosen::deserialize(&choice).unwrap().take().unwrap();
        self.recorder.inputs.push(json!({ "choose": choice }));
        self.flow.choose(chosen).unwrap();
        self
    }

    /// Logs in with this choice: asks for the login types, chooses, and sends the login.
    pub fn with(&mut self, choice: Value) -> &mut Self {
        self.run().choose(choice).run()
    }

    pub fn use_homeserver(&mut self, homeserver: &str) -> &mut Self {
        self.recorder.inputs.push(json!({ "use_homeserver": homeserver }));
        self.flow.use_homeserver(homeserver.parse().unwrap()).unwrap();
        self
    }

    /// The URL that the user must open.
    pub fn browse_url(&self) -> Url {
        match self.flow.step() {
            Step::Browse(url) => url.clone(),
            step => panic!("{step:?}"),
        }
    }

    /// The browser comes back.
    ///
    /// # Errors
    ///
    /// The error of the flow, if the callback is foreign.
    pub fn callback(&mut self, url: &Url) -> Result<(), Error> {
        self.recorder.inputs.push(json!({ "callback": url }));
        self.flow.handle_callback(url)
    }

    /// The user gives up.
    pub fn back(&mut self) -> &mut Self {
        self.recorder.inputs.push(json!({ "back": true }));
        self.flow.back().unwrap();
        self
    }

    /// Another process resumes the flow.
    pub fn suspend(&mut self) -> &mut Self {
        self.recorder.inputs.push(json!({ "suspend": true }));
        let stored = serde_json::to_string(&self.flow.suspend().unwrap()).unwrap();
        self.flow = LoginFlow::resume(serde_json::from_str(&stored).unwrap());
        self
    }

    pub fn session(&self) -> &Session {
        self.flow.session().unwrap_or_else(|| panic!("{:?}", self.flow.step()))
    }

    pub fn refused(&self) -> &ServerError {
        match self.flow.step() {
            Step::Choose { refused: Some(refused), .. } => refused,
            step => panic!("{step:?}"),
        }
    }

    pub fn login_types(&self) -> Vec<&str> {
        match self.flow.step() {
            Step::Choose { login_types, .. } => login_types.iter().map(|offered| offered.name()).collect(),
            step => panic!("{step:?}"),
        }
    }

    pub fn outcome(&self) -> DiscoveryOutcome {
        match self.flow.step() {
            Step::Locate { failure, .. } => failure.outcome,
            step => panic!("{step:?}"),
        }
    }

    fn transcript(&self) -> String {
        // A line for each input, so that a difference shows its place.
        let (about, start, settings) = (about(), &self.start, &self.settings);
        let inputs: Vec<String> = self.recorder.inputs.iter().map(|input| format!("    {input}")).collect();
        format!(
            "{{\n  \"about\": {about},\n  \"start\": {start},\n  \"settings\": {settings},\n  \
             \"inputs\": [\n{}\n  ]\n}}\n",
            inputs.join(",\n")
        )
    }

    /// All tokens that the server has granted or the test has given.
    fn tokens(&self) -> BTreeSet<String> {
        let mut tokens = tokens_of(&self.start["again"].to_string());
        for input in &self.recorder.inputs {
            tokens.extend(tokens_of(input["response"]["body"].as_str().unwrap_or_default()));
            tokens.extend(input["choose"]["token"].as_str().map(str::to_owned));
            let callback = input["callback"].as_str().and_then(|callback| Url::parse(callback).ok());
            tokens.extend(callback.iter().flat_map(|callback| {
                let token = callback.query_pairs().filter(|(name, _)| name == "loginToken" || name == "code");
                token.map(|(_, token)| token.into_owned())
            }));
        }
        tokens
    }
}

/// A response that was held back, and the request that it belongs to.
pub struct Held {
    id: RequestId,
    /// The line of the request in the output of the replay.
    answers: usize,
    pub response: Response<Vec<u8>>,
    pub received_at: SystemTime,
}

/// Where a connection breaks.
#[derive(Clone, Copy)]
pub enum Cut {
    /// At the provider, before it handles the request.
    Request,
    /// At the provider, after it has handled the request.
    Response,
    /// On the way back, from any server.
    WayBack,
}

/// A request that was sent.
struct Sent {
    path: String,
    is_poll: bool,
    at: Instant,
}

/// Sends requests, and keeps all inputs in the form of the transcripts.
struct Recorder {
    inputs: Vec<Value>,
    received_at: SystemTime,
    sent: Vec<Sent>,
    cut: Option<Cut>,
    /// The loop has returned an error, and begins again.
    has_failed: bool,
}

impl Transport for Recorder {
    type Body = Vec<u8>;
    type Error = ureq::Error;

    fn send(&mut self, mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
        let is_poll = String::from_utf8_lossy(request.body()).contains("grant-type%3Adevice_code");
        self.has_failed = false;
        self.sent.push(Sent { path: request.uri().path().to_owned(), is_poll, at: Instant::now() });
        let cut = self.cut.take();
        match cut {
            Some(Cut::Request) => set_cut(&mut request, "request"),
            Some(Cut::Response) => set_cut(&mut request, "response"),
            Some(Cut::WayBack) | None => (),
        }
        let mut response = send(request);
        if let Some(Cut::WayBack) = cut {
            response = Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        }
        self.received_at = now();
        let input = match &response {
            Ok(response) => json!({ "response": recorded(response, self.received_at) }),
            Err(_) => json!({ "lost": true }),
        };
        self.inputs.push(input);
        response
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), ureq::Error> {
        assert!(pause.remaining(self.received_at) < Duration::from_secs(10), "{pause:?}");
        thread::sleep(pause.remaining(SystemTime::now()));
        // A poll that has failed is still due. The loop itself waits before it sends that poll again, so this wait is
        // not an input.
        if !(self.has_failed && matches!(pause, Pause::Poll(_))) {
            self.inputs.push(json!({ "timeout": true }));
        }
        Ok(())
    }

    /// The time that is in the transcript, so that the flow and its replay get the same time.
    fn now(&self) -> SystemTime {
        self.received_at
    }
}

fn set_cut(request: &mut Request<Vec<u8>>, place: &'static str) {
    request.headers_mut().insert("x-cut", HeaderValue::from_static(place));
}

/// The tokens in a JSON object.
fn tokens_of(json: &str) -> BTreeSet<String> {
    let object: Value = serde_json::from_str(json).unwrap_or_default();
    ["access_token", "refresh_token", "device_code"]
        .iter()
        .filter_map(|key| object[key].as_str().map(str::to_owned))
        .collect()
}

/// Writes a transcript and the lines that it replays to, if `RECORD_TO` names a folder.
fn record(name: &str, transcript: &str, tokens: &BTreeSet<String>) {
    let Ok(folder) = env::var("RECORD_TO") else { return };
    let transcript = made_up(transcript, tokens);
    let path = Path::new(&folder).join(name).with_extension("json");
    assert!(!path.exists(), "two tests record {name}");
    let lines = replay::replay(&transcript).unwrap();
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path.with_extension("expected"), lines).unwrap();
    fs::write(path, transcript).unwrap();
}

/// The transcript with other tokens of the same shape, and with the port that Synapse has by default.
fn made_up(transcript: &str, tokens: &BTreeSet<String>) -> String {
    let mut transcript = transcript.to_owned();
    for (token, letter) in tokens.iter().zip(('a'..='z').cycle()) {
        // The text before the first underscore of a Synapse token says what kind of token it is. Tokens of other
        // servers can have underscores anywhere.
        let is_synapses = token.starts_with("sy") && token.find('_') == Some(3);
        let (public, secret) = token.split_at(if is_synapses { 3 } else { 0 });
        let secret = secret.replace(|character: char| character.is_ascii_alphanumeric(), &letter.to_string());
        transcript = transcript.replace(token, &format!("{public}{secret}"));
    }
    let homeservers = servers()["servers"].as_object().unwrap().values().map(|server| (server, "8008"));
    for (server, usual) in homeservers.chain([(&servers()["provider"], "8090")]) {
        let (_, port) = server.as_str().unwrap().rsplit_once(':').unwrap();
        for host in ["127.0.0.1", "localhost"] {
            // A callback can contain the address of the provider, too.
            for colon in [":", "%3A"] {
                let (own, usual) = (format!("{host}{colon}{port}"), format!("{host}{colon}{usual}"));
                transcript = transcript.replace(&format!("//{own}"), &format!("//{usual}"));
                transcript = transcript.replace(&format!("%2F%2F{own}"), &format!("%2F%2F{usual}"));
            }
        }
    }
    transcript
}

fn read_settings(settings: &Value) -> matrix_login::LoginSettings {
    replay::Settings::deserialize(settings).unwrap().take().unwrap()
}

/// A response in the form of the transcripts, with the headers that the crate reads, and with one that it does not
/// read.
fn recorded(response: &Response<Vec<u8>>, received_at: SystemTime) -> Value {
    let headers: Vec<_> = [header::CONTENT_TYPE, header::RETRY_AFTER, header::LOCATION]
        .iter()
        .filter_map(|name| Some(json!([name.as_str(), response.headers().get(name)?.to_str().unwrap()])))
        .collect();
    let received_at = humantime::format_rfc3339_millis(received_at).to_string();
    let mut recorded = json!({ "status": response.status().as_u16(), "headers": headers, "received_at": received_at });
    match String::from_utf8(response.body().clone()) {
        Ok(body) => recorded["body"] = body.into(),
        Err(_) => recorded["body_base64"] = BASE64_STANDARD.encode(response.body()).into(),
    }
    recorded
}
