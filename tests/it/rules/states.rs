//! Every state of a flow: all states to which the inputs lead, from every beginning.
//!
//! A state is a box of the diagram, with the traits that can make a difference. Two flows with the same box and the
//! same traits are in the same state, and only the first of them is kept. The exploration gives every input to every
//! state, and notes each case that breaks a rule.

use std::{collections::BTreeSet, sync::LazyLock};

use http::Request;
use matrix_login::{Error, LoginFlow, LoginSettings, RequestId, Step};
use serde_json::json;

use super::inputs::{Input, SECRET, client, inputs};
use crate::support::scenario::{HOMESERVER, OAUTH_DEVICE_ID, Scenario, VERSIONS, WELL_KNOWN, noon, request_id, served};

/// The boxes of the diagram, in its order: the variant of `Due`, and its name.
pub const BOXES: [(&str, &str); 17] = [
    ("GetWellKnown", "GET well-known"),
    ("Locate", "Locate"),
    ("GetVersions", "GET versions"),
    ("GetLogin", "GET login"),
    ("GetAuthMetadata", "GET auth_metadata"),
    ("Choose", "Choose"),
    ("PostLogin", "POST login"),
    ("Browse", "Browse"),
    ("PostRegister", "POST register"),
    ("GetAuthMetadataAgain", "GET auth_metadata, after a resume"),
    ("PostToken", "POST token"),
    ("PostDeviceAuthorization", "POST device_authorization"),
    ("ShowCode", "ShowCode"),
    ("PostPoll", "POST token, a poll"),
    ("GetWhoami", "GET whoami"),
    ("PostRevoke", "POST revoke"),
    ("Done", "Done"),
];

/// The traits that can make a difference between two flows in the same box, with all their values. The first value is
/// the usual one.
pub const TRAITS: [(&str, &[&str]); 13] = [
    ("wait", &["not waiting", "waiting"]),
    (
        "redirects",
        &["not redirected", "redirected once", "twice", "three times", "four times", "redirected five times"],
    ),
    ("outcome", &["found", "Ignore", "FailPrompt", "FailError"]),
    ("purpose", &["no purpose", "for SSO", "for a code", "for a device"]),
    ("refused", &["not refused", "after a refusal"]),
    ("offers", &["offers known", "resumed"]),
    ("types", &["with login types", "without login types"]),
    ("server", &["without OAuth", "with OAuth", "with poor OAuth"]),
    ("code", &["never polled", "polled before"]),
    ("tokens", &["tokens that last", "tokens that end"]),
    ("session", &["sessions must last", "sessions may end"]),
    ("user", &["any user", "again"]),
    ("client", &["no client", "client to register", "registered client"]),
];

/// For each of [`TRAITS`], the place of its value.
pub type Traits = [usize; TRAITS.len()];

pub fn place_of(name: &str) -> usize {
    BOXES.iter().position(|(_, same)| *same == name).unwrap()
}

pub fn trait_index(name: &str) -> usize {
    TRAITS.iter().position(|(trait_name, _)| *trait_name == name).unwrap()
}

pub struct State {
    /// The box, by its place in [`BOXES`].
    pub place: usize,
    pub traits: Traits,
    pub flow: LoginFlow,
    /// The IDs that the flow gave out on the way here, the oldest first.
    pub ids: Vec<RequestId>,
    /// The inputs that led the flow here.
    pub way: String,
    /// The outcome of every input, in the order of the inputs: the box that is due then, or an error.
    pub outcomes: Vec<String>,
    /// The step that is due after a resume.
    pub resumed: Option<String>,
}

impl State {
    pub fn name(&self) -> String {
        let unusual = TRAITS.iter().zip(self.traits).filter(|(_, value)| *value > 0);
        unusual.fold(BOXES[self.place].1.to_owned(), |name, ((_, values), value)| name + ", " + values[value])
    }

    /// A story that goes on with the flow.
    pub fn story(&self) -> Scenario {
        Scenario::with_last_id(self.flow.clone(), self.ids.last().copied())
    }
}

/// The result of an exploration.
pub struct Explored {
    pub states: Vec<State>,
    /// The cases that break a rule.
    pub problems: Vec<String>,
}

pub fn explored() -> &'static Explored {
    static EXPLORED: LazyLock<Explored> = LazyLock::new(explore);
    &EXPLORED
}

/// A request, with its secrets.
pub fn sent(request: &Request<Vec<u8>>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        text.extend([name.as_str(), ": ", &String::from_utf8_lossy(value.as_bytes()), "\n"]);
    }
    text + &String::from_utf8_lossy(request.body())
}

/// Everything that a caller can see of a flow.
struct Look {
    /// The text before the request ID.
    debug: String,
    /// The step and the stored form, with their secrets and without the request ID.
    rest: String,
    request_id: u64,
}

impl Look {
    fn at(flow: &LoginFlow) -> Self {
        let mut debug = format!("{flow:?}");
        let end = debug.rfind(REQUEST_ID).unwrap();
        let digits = debug[end + REQUEST_ID.len()..].trim_end_matches([')', ' ', '}']);
        let request_id = digits.parse().unwrap();
        debug.truncate(end);
        let mut rest = match flow.step() {
            Step::Send { request, .. } => sent(&request),
            Step::Browse(url) => url.to_string(),
            Step::Done(session) => serde_json::to_string(session).unwrap(),
            _ => String::new(),
        };
        let stored = serde_json::to_string(&flow.suspend()).unwrap();
        rest += stored.rsplit_once(r#""request_id""#).map_or("", |(stored, _)| stored);
        Self { debug, rest, request_id }
    }

    /// Whether the two are equal, except for the request ID.
    fn is_like(&self, other: &Self) -> bool {
        self.debug == other.debug && self.rest == other.rest
    }
}

/// The text that `Debug` of a flow shows before the request ID.
const REQUEST_ID: &str = ", request_id: RequestId(";

/// A flow, as an exploration sees it.
struct Seen {
    look: Look,
    /// Whether its `Debug` and the `Debug` of its step show no secret.
    hides: bool,
    place: usize,
    traits: Traits,
    attempts: u32,
}

impl Seen {
    fn of(flow: &LoginFlow, look: Look) -> Self {
        let (rest, attempts) = look.debug.rsplit_once(", attempts: ").unwrap();
        let (_, due) = rest.split_once(", due: ").unwrap();
        let (due, is_waiting) = match due.strip_prefix("Wait {") {
            Some(wait) => (wait.split_once(", request: ").unwrap().1, true),
            None => (due, false),
        };
        let variant = &due[..due.find([' ', '(']).unwrap()];
        let place = BOXES.iter().position(|(same, _)| *same == variant);
        let place = place.unwrap_or_else(|| panic!("BOXES is without {variant}"));
        let traits = traits(flow, due, variant, is_waiting);
        let attempts = attempts.parse().unwrap();
        let hides = !look.debug.contains(SECRET) && !format!("{:?}", flow.step()).contains(SECRET);
        Self { look, hides, place, traits, attempts }
    }

    fn is(&self, name: &str) -> bool {
        BOXES[self.place].1 == name
    }

    /// The box, as the outcome of an input.
    fn word(&self, flow: &LoginFlow) -> String {
        let name = BOXES[self.place].1;
        match flow.step() {
            Step::Wait(_) => "Wait".to_owned(),
            Step::Locate { failure, .. } => format!("{name}, {:?}", failure.outcome),
            Step::Choose { refused: Some(_), .. } => format!("{name}, refused"),
            _ => name.to_owned(),
        }
    }
}

/// The traits of a flow, read from its `Debug`, because a test cannot see more.
fn traits(flow: &LoginFlow, due: &str, variant: &str, is_waiting: bool) -> Traits {
    let has = |text: &str| due.contains(text);
    let redirects = || due.split_once("redirects: [").unwrap().1.split(']').next().unwrap().matches('"').count() / 2;
    let grant = || json!(flow.suspend())["code_grant"].clone();
    let value = |name: &str| match name {
        "wait" if is_waiting => "waiting",
        "redirects" if variant == "GetWellKnown" => TRAITS[1].1[redirects()],
        "outcome" if has("outcome: Ignore") => "Ignore",
        "outcome" if has("outcome: FailPrompt") => "FailPrompt",
        "outcome" if variant == "Locate" => "FailError",
        "purpose" if variant == "Browse" && has("/login/sso/redirect") => "for SSO",
        "purpose" if variant == "Browse" || has("grant: Code(") => "for a code",
        "purpose" if has("grant: Device,") => "for a device",
        "refused" if has("refused: Some(") => "after a refusal",
        "offers" if has("offers: None") => "resumed",
        "types" if has("login_types: None") || has("login_types: LoginTypes([])") => "without login types",
        "server" if has("revocation_endpoint: None") => "with poor OAuth",
        "server" if has("AuthMetadata {") => "with OAuth",
        // A resume has forgotten the metadata, and keeps the promise of a name in the callback.
        "server" if variant == "Browse" && grant()["iss_in_callback"] == true => "with poor OAuth",
        "server" if variant == "Browse" && grant().is_object() => "with OAuth",
        "code" if has("is_new: false") => "polled before",
        "tokens" if has("expires: true") && has("refresh_token: None") => "tokens that end",
        "session" if !flow.settings().require_refresh_token() => "sessions may end",
        "user" if flow.expected_user().is_some() => "again",
        "client" => match flow.settings().oauth() {
            Some(client) if client.client_id().is_some() => "registered client",
            Some(_) => "client to register",
            None => "no client",
        },
        _ => "",
    };
    TRAITS.map(|(name, values)| {
        let value = value(name);
        if value.is_empty() { 0 } else { values.iter().position(|same| *same == value).unwrap() }
    })
}

/// Flows at every beginning. Every pair of values of the settings that make a difference occurs.
fn beginnings() -> Vec<(&'static str, LoginFlow)> {
    let settings = |may_end: bool, client: Option<bool>| {
        let settings = LoginSettings::default().with_require_refresh_token(!may_end);
        let settings = settings.with_device_id(OAUTH_DEVICE_ID).unwrap();
        client.into_iter().fold(settings, |settings, is_registered| settings.with_oauth(self::client(is_registered)))
    };
    let session = |more: &str| {
        let text = r#"{"access_token":"s3cr3t","user_id":"@alice:example.org","device_id":"KITCHENTABLET""#;
        matrix_login::Session::from_json(format!("{text}{more}}}")).unwrap().unwrap()
    };
    let known = || session(r#","base_client_url":"https://hs.example.org/_matrix/client/""#);
    let mut flows = vec![("logged in", LoginFlow::logged_in(known()))];
    for (may_end, client) in [(false, None), (true, None), (false, Some(false)), (true, Some(true))] {
        let settings = settings(may_end, client);
        let flow = LoginFlow::discover("example.org".parse().unwrap(), settings);
        // The flow that has discovered its homeserver comes first, so that it stands for its state.
        let mut discovered = Scenario::of(flow.clone());
        discovered.responds(200, WELL_KNOWN).responds(200, VERSIONS);
        flows.push(("discover, well-known, versions", discovered.flow));
        flows.push(("discover", flow));
    }
    for (may_end, client) in [(false, None), (true, None), (true, Some(false)), (false, Some(true))] {
        let settings = settings(may_end, client);
        flows.push(("again", LoginFlow::again(&session(""), settings.clone())));
        flows.push(("again, at", LoginFlow::again(&known(), settings)));
    }
    flows
}

/// The name of an error.
fn kind(error: &Error) -> String {
    let debug = match error {
        Error::Response(error) => format!("{error:?}"),
        error => format!("{error:?}"),
    };
    debug.split([' ', '(', '{']).next().unwrap().to_owned()
}

struct Explorer {
    states: Vec<State>,
    known: BTreeSet<(usize, Traits)>,
    problems: Vec<String>,
    /// IDs, in the order in which every flow gives them out.
    ids: Vec<RequestId>,
}

/// A state that the exploration visits.
struct Visit {
    name: String,
    flow: LoginFlow,
    seen: Seen,
    ids: Vec<RequestId>,
    way: String,
}

impl Visit {
    /// The outcome of an input. A resume has forgotten the login types, so GET login comes before the question.
    fn word(&self, input: &Input, after: &Seen, flow: &LoginFlow) -> String {
        let is_resumed = self.seen.traits[trait_index("offers")] > 0;
        let was_asked = self.seen.place > place_of("Choose");
        let asks = was_asked && input.may_ask() && after.is(if is_resumed { "GET login" } else { "Choose" });
        match (asks, after.traits[trait_index("refused")] > 0) {
            (false, _) => after.word(flow),
            (true, false) => "the question".to_owned(),
            (true, true) => "the question, refused".to_owned(),
        }
    }
}

fn explore() -> Explored {
    let mut other = Scenario::at(HOMESERVER);
    let mut ids = vec![other.request_id()];
    ids.extend((0..40).map(|_| other.use_homeserver(HOMESERVER).request_id()));
    let mut explorer = Explorer { states: Vec::new(), known: BTreeSet::new(), problems: Vec::new(), ids };
    for (way, flow) in beginnings() {
        let ids = request_id(&flow).into_iter().collect();
        let seen = Seen::of(&flow, Look::at(&flow));
        explorer.add(&seen, flow, ids, way.to_owned());
    }
    let mut next = 0;
    while let Some(state) = explorer.states.get(next) {
        let (flow, ids) = (state.flow.clone(), state.ids.clone());
        let seen = Seen::of(&flow, Look::at(&flow));
        let visit = Visit { name: state.name(), seen, flow, ids, way: state.way.clone() };
        explorer.refuses_other_ids(&visit);
        let outcomes = inputs().iter().map(|input| explorer.apply(&visit, input)).collect();
        let resumed = explorer.resume(&visit);
        let state = &mut explorer.states[next];
        (state.outcomes, state.resumed) = (outcomes, resumed);
        next += 1;
    }
    Explored { states: explorer.states, problems: explorer.problems }
}

impl Explorer {
    /// Notes a case that breaks a rule.
    fn check(&mut self, is_right: bool, visit: &Visit, input: &str, problem: &str) {
        if !is_right {
            self.problems.push(format!("{} ({}): {input}: {problem}", visit.name, visit.way));
        }
    }

    fn add(&mut self, seen: &Seen, flow: LoginFlow, ids: Vec<RequestId>, way: String) {
        let (place, traits) = (seen.place, seen.traits);
        if self.known.insert((place, traits)) {
            self.states.push(State { place, traits, flow, ids, way, outcomes: Vec::new(), resumed: None });
        }
    }

    /// Gives an input to a state, with the ID of the request that is due, or else with the ID of the last request.
    fn apply(&mut self, visit: &Visit, input: &Input) -> String {
        let mut flow = visit.flow.clone();
        let id = visit.ids.last().copied().unwrap_or(self.ids[40]);
        let result = input.apply(&mut flow, id);
        let look = Look::at(&flow);
        let (before, name) = (&visit.seen.look, input.name);
        let error = match result {
            Ok(()) => {
                self.check(!look.is_like(before), visit, name, "accepted, but nothing has moved");
                let is_forgotten = input.method != "use_homeserver" || flow.discovered().is_none();
                self.check(
                    is_forgotten,
                    visit,
                    name,
                    "the flow remembers what was discovered about another homeserver",
                );
                let after = Seen::of(&flow, look);
                let word = visit.word(input, &after, &flow);
                self.check_wait(visit, input, &after, &flow);
                self.moved(visit, name, after, flow);
                return word;
            }
            Err(error) => error,
        };
        self.check(hides(&error), visit, name, "the error shows a secret");
        let kind = kind(&error);
        if let Error::MissingRefreshToken(session) | Error::WrongUser { session, .. } = &error {
            // The one exception: the error owns the session that was granted, and the question is due.
            let owns_session = session.access_token().expose() == SECRET;
            self.check(owns_session, visit, name, "the error owns another session");
            let after = Seen::of(&flow, look);
            let word = visit.word(input, &after, &flow);
            self.check(word == "the question", visit, name, "the question is not due");
            self.moved(visit, name, after, flow);
            return format!("error {kind}, and {word}");
        }
        let is_same = look.is_like(before) && look.request_id == before.request_id;
        self.check(is_same, visit, name, "an error, but something has changed");
        format!("error {kind}")
    }

    /// Every wait counts one more than the wait before it in the row, also if that wait has ended.
    fn check_wait(&mut self, visit: &Visit, input: &Input, after: &Seen, flow: &LoginFlow) {
        let mut flow = flow.clone();
        if input.method == "handle_timeout" && visit.seen.traits[0] > 0 {
            let limited = flow.handle_response(request_id(&flow).unwrap(), &served(429, &[], ""), noon());
            self.check(limited.is_ok(), visit, input.name, "the request has no second wait");
        } else if after.traits[0] == 0 {
            self.check(after.attempts == 0, visit, input.name, "waits are still counted");
            return;
        }
        let is_next = matches!(flow.step(), Step::Wait(wait) if wait.attempt() == visit.seen.attempts + 1);
        self.check(is_next, visit, input.name, "the wait is not the next one");
    }

    /// The flow has moved: all earlier IDs are stale.
    fn moved(&mut self, visit: &Visit, input: &str, after: Seen, flow: LoginFlow) {
        self.check(after.hides, visit, input, "a secret is shown");
        self.check(
            after.look.request_id > visit.seen.look.request_id,
            visit,
            input,
            "the flow has moved, and the ID is not another one",
        );
        let mut late = flow.clone();
        for id in &visit.ids {
            let response = late.handle_response(*id, &served(200, &[], ""), noon());
            let unreachable = late.handle_unreachable(*id);
            let are_stale = [response, unreachable].iter().all(|late| matches!(late, Err(Error::StaleResponse)));
            self.check(are_stale, visit, input, "an earlier ID is not stale");
        }
        let ids = visit.ids.iter().copied().chain(request_id(&flow)).collect();
        self.add(&after, flow, ids, format!("{}, {input}", visit.way));
    }

    /// Another process resumes the flow, unless there is a session.
    fn resume(&mut self, visit: &Visit) -> Option<String> {
        let suspended = visit.flow.suspend()?;
        self.check(!format!("{suspended:?}").contains(SECRET), visit, "suspend", "a secret is shown");
        let stored = serde_json::to_string(&suspended).unwrap();
        let flow = LoginFlow::resume(serde_json::from_str(&stored).unwrap());
        let after = Seen::of(&flow, Look::at(&flow));
        let word = after.word(&flow);
        let same_wishes =
            flow.settings() == visit.flow.settings() && flow.expected_user() == visit.flow.expected_user();
        self.check(same_wishes, visit, "resume", "the settings or the user are others");
        self.moved(visit, "resume", after, flow);
        Some(word)
    }

    /// An ID of an earlier request or of another flow is stale. If no request is due, every ID is stale.
    fn refuses_other_ids(&mut self, visit: &Visit) {
        let mut flow = visit.flow.clone();
        let due = request_id(&flow);
        let given = usize::try_from(visit.seen.look.request_id).unwrap();
        for (number, id) in self.ids.clone().into_iter().enumerate().take(given + 3).filter(|(_, id)| due != Some(*id))
        {
            let is_near = number.abs_diff(given) < 2;
            let about_a_request = inputs().iter().filter(|input| input.is_about_a_request());
            for input in about_a_request.take(if is_near { usize::MAX } else { 1 }) {
                let is_stale = matches!(input.apply(&mut flow, id), Err(Error::StaleResponse));
                self.check(is_stale, visit, input.name, &format!("ID {number} is not stale"));
            }
        }
        let look = Look::at(&flow);
        let is_same = look.is_like(&visit.seen.look) && look.request_id == visit.seen.look.request_id;
        self.check(is_same, visit, "stale responses", "something has changed");
    }
}

/// Whether an error shows no secret.
fn hides(error: &Error) -> bool {
    let mut shown = format!("{error:?} {error}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        shown += &error.to_string();
        source = error.source();
    }
    !shown.contains(SECRET)
}
