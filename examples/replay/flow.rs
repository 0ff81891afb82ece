//! Replays a flow, with its inputs.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use http::Response;
use matrix_login::{Error, InvalidInput, LoginFlow, LoginSettings, RequestId, Session, Step, Suspended, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    print::{error_line, step_line},
    transcript::{Chosen, NoTranscript, RecordedResponse, Settings, Taken, parse_url},
};

#[derive(Deserialize)]
struct FlowTranscript {
    start: Start,
    #[serde(default)]
    settings: Option<Settings>,
    #[serde(default)]
    inputs: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Start {
    ServerName(String),
    UserId(String),
    Homeserver(String),
    Session(Value),
    /// A session in its stored form. The flow logs in again as its user and its device.
    Again(Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Input {
    Response(RecordedResponse),
    Timeout(bool),
    UseHomeserver(String),
    Choose(Chosen),
    Callback(String),
    Back(bool),
    Lost(bool),
    Unreachable(bool),
    Suspend(Suspension),
}

/// `true`, or the texts to replace in the suspended form before it is read.
#[derive(Deserialize)]
#[serde(untagged)]
enum Suspension {
    Plain(bool),
    Replacing { replace: BTreeMap<String, String> },
}

/// The output for a transcript of a flow.
///
/// # Errors
///
/// Why this is not a transcript.
pub fn replay(transcript: &Value) -> Result<Vec<Value>, NoTranscript> {
    let FlowTranscript { start, settings, inputs } = FlowTranscript::deserialize(transcript)?;
    // Every input is read before the first line is printed, so that a broken transcript prints nothing.
    let inputs = inputs.into_iter().map(Prepared::try_from).collect::<Result<Vec<_>, _>>()?;

    let flow = match settings.unwrap_or_default().take().and_then(|settings| start.take(settings)) {
        Ok(flow) => flow,
        Err(error) => return Ok(vec![error_line(&error.into(), UNIX_EPOCH)]),
    };
    let mut replay = Replay { flow, now: UNIX_EPOCH, lines: Vec::new(), ids: Vec::new() };
    replay.print_step();
    for input in inputs {
        replay.feed(input)?;
    }
    Ok(replay.lines)
}

/// An input whose form was checked. `answers` is the output line of the request that the input belongs to. Without it,
/// the input belongs to the request that is due.
enum Prepared {
    Response { response: Response<Vec<u8>>, received_at: SystemTime, answers: Option<usize> },
    Unreachable { answers: Option<usize> },
    Other(Input),
}

impl TryFrom<Map<String, Value>> for Prepared {
    type Error = NoTranscript;

    fn try_from(mut input: Map<String, Value>) -> Result<Self, NoTranscript> {
        let answers = input.contains_key("unreachable").then(|| input.remove("answers")).flatten();
        Ok(match serde_json::from_value(Value::Object(input))? {
            Input::Response(recorded) => {
                let answers = recorded.answers;
                let (response, received_at) = recorded.read()?;
                Self::Response { response, received_at, answers }
            }
            Input::Timeout(false)
            | Input::Back(false)
            | Input::Lost(false)
            | Input::Unreachable(false)
            | Input::Suspend(Suspension::Plain(false)) => {
                return Err("an input without a value is written as true".into());
            }
            Input::Unreachable(true) => Self::Unreachable { answers: answers.map(serde_json::from_value).transpose()? },
            input => Self::Other(input),
        })
    }
}

/// A flow, and its output so far.
struct Replay {
    flow: LoginFlow,
    now: SystemTime,
    lines: Vec<Value>,
    /// The request IDs of the `send` steps, with their lines.
    ids: Vec<(usize, RequestId)>,
}

impl Replay {
    fn print_step(&mut self) {
        let step = self.flow.step();
        if let Step::Send { id, .. } = &step {
            self.ids.push((self.lines.len(), *id));
        }
        let mut line = step_line(&step, self.now);
        if matches!(step, Step::Choose { oauth: None, .. }) && self.flow.settings().oauth().is_some() {
            line["oauth"] = Value::Null;
        }
        self.lines.push(line);
    }

    /// Prints the result of an input: the error, if there is one, and the next step.
    fn feed(&mut self, input: Prepared) -> Result<(), NoTranscript> {
        let mut received_at = self.now;
        let fed = match input {
            Prepared::Response { response, received_at: at, answers } => {
                received_at = at;
                match self.id(answers)? {
                    Some(id) => self.flow.handle_response(id, &response, received_at),
                    None => Err(Error::StaleResponse),
                }
            }
            Prepared::Unreachable { answers } => match self.id(answers)? {
                Some(id) => self.flow.handle_unreachable(id),
                None => Err(Error::StaleResponse),
            },
            Prepared::Other(Input::Suspend(suspension)) => self.suspend(&suspension),
            Prepared::Other(input) => feed(&mut self.flow, input),
        };
        match fed {
            Ok(()) => self.now = received_at,
            Err(error) => self.lines.push(error_line(&error, received_at)),
        }
        self.print_step();
        Ok(())
    }

    /// Suspends the flow, and replaces it with the resumed flow.
    fn suspend(&mut self, suspension: &Suspension) -> Result<(), Error> {
        let suspended = self.flow.suspend().ok_or(Error::AlreadyLoggedIn)?;
        let mut text = serde_json::to_string(&suspended).expect("a suspended flow serialises");
        if let Suspension::Replacing { replace } = suspension {
            self.lines.push(json!({ "suspended": suspended }));
            for (old, new) in replace {
                text = text.replace(old, new);
            }
        }
        let suspended: Result<Suspended, _> = serde_json::from_str(&text);
        let suspended = suspended
            .map_err(|_| InvalidInput::new("suspended flow", "a form that `LoginFlow::suspend` has written"))?;
        self.flow = LoginFlow::resume(suspended);
        Ok(())
    }

    /// The ID of the request in this line of the output. Without a line, the ID of the last request.
    fn id(&self, answers: Option<usize>) -> Result<Option<RequestId>, NoTranscript> {
        let found = match answers {
            None => self.ids.last(),
            Some(answers) => {
                let id = self.ids.iter().find(|(line, _)| *line == answers);
                Some(id.ok_or_else(|| format!("line {answers} of the output is not a `send` step"))?)
            }
        };
        Ok(found.map(|(_, id)| *id))
    }
}

fn feed(flow: &mut LoginFlow, input: Input) -> Result<(), Error> {
    match input {
        Input::Response(_) | Input::Unreachable(_) | Input::Lost(_) | Input::Suspend(_) => Ok(()),
        Input::Timeout(_) => flow.handle_timeout(),
        Input::UseHomeserver(homeserver) => flow.use_homeserver(homeserver.parse()?),
        Input::Choose(chosen) => flow.choose(chosen.take()?),
        Input::Callback(url) => flow.handle_callback(&parse_url("callback", &url)?),
        Input::Back(_) => flow.back(),
    }
}

impl Start {
    fn take(self, settings: LoginSettings) -> Taken<LoginFlow> {
        Ok(match self {
            Self::ServerName(server_name) => LoginFlow::discover(server_name.parse()?, settings),
            Self::UserId(user_id) => LoginFlow::discover(user_id.parse::<UserId>()?.server_name(), settings),
            Self::Homeserver(homeserver) => LoginFlow::at(homeserver.parse()?, settings),
            Self::Session(stored) => LoginFlow::logged_in(take_session(&stored)?),
            Self::Again(stored) => LoginFlow::again(&take_session(&stored)?, settings),
        })
    }
}

pub fn take_session(stored: &Value) -> Taken<Session> {
    let session = Session::from_json(stored.to_string())?;
    session.ok_or_else(|| InvalidInput::new("stored session", "an `access_token`: without it, no user is logged in"))
}
