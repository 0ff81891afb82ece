//! Replays a flow: how it starts, and what goes in.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Response;
use matrix_login::{Error, LoginFlow, LoginSettings, Session, Suspended, UserId};
use serde::Deserialize;
use serde_json::Value;

use super::{
    print::{error_line, step_line},
    transcript::{Chosen, NoTranscript, RecordedResponse, Settings, Taken, invalid_input, parse_url},
};

#[derive(Deserialize)]
struct FlowTranscript {
    start: Start,
    #[serde(default)]
    settings: Option<Settings>,
    #[serde(default)]
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Start {
    ServerName(String),
    UserId(String),
    Homeserver(String),
    Session(Value),
    /// A session in its stored form, as whose user and device to log in again.
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
    Suspend(bool),
}

/// The lines that a transcript of a flow leads to.
///
/// # Errors
///
/// A description of what is no transcript.
pub fn replay(transcript: &Value) -> Result<Vec<Value>, NoTranscript> {
    let FlowTranscript { start, settings, inputs } = FlowTranscript::deserialize(transcript)?;
    // Every input is read before the first line is printed: half a transcript is none.
    let inputs = inputs.into_iter().map(Prepared::try_from).collect::<Result<Vec<_>, _>>()?;

    let mut flow = match settings.unwrap_or_default().take().and_then(|settings| start.take(settings)) {
        Ok(flow) => flow,
        Err(error) => return Ok(vec![error_line(&error, UNIX_EPOCH)]),
    };
    let mut now = UNIX_EPOCH;
    let mut lines = vec![step_line(&flow.step(), now)];
    for input in inputs {
        let received_at = if let Prepared::Response(_, received_at) = &input { *received_at } else { now };
        match feed(&mut flow, input) {
            Ok(()) => now = received_at,
            Err(error) => lines.push(error_line(&error, received_at)),
        }
        lines.push(step_line(&flow.step(), now));
    }
    Ok(lines)
}

/// An input whose form has been checked.
enum Prepared {
    Response(Response<Vec<u8>>, SystemTime),
    Other(Input),
}

impl TryFrom<Input> for Prepared {
    type Error = NoTranscript;

    fn try_from(input: Input) -> Result<Self, NoTranscript> {
        match input {
            Input::Response(recorded) => recorded.read().map(|(response, at)| Self::Response(response, at)),
            Input::Timeout(false)
            | Input::Back(false)
            | Input::Lost(false)
            | Input::Unreachable(false)
            | Input::Suspend(false) => Err("an input without a value is written as true".into()),
            input => Ok(Self::Other(input)),
        }
    }
}

fn feed(flow: &mut LoginFlow, input: Prepared) -> Result<(), Error> {
    match input {
        Prepared::Response(response, received_at) => flow.handle_response(&response, received_at),
        Prepared::Other(input) => match input {
            Input::Response(_) | Input::Lost(_) => Ok(()),
            Input::Timeout(_) => flow.handle_timeout(),
            Input::UseHomeserver(homeserver) => flow.use_homeserver(homeserver.parse()?),
            Input::Choose(chosen) => flow.choose(chosen.take()?),
            Input::Callback(url) => flow.handle_callback(&parse_url("callback", &url)?),
            Input::Back(_) => flow.back(),
            Input::Unreachable(_) => flow.handle_unreachable(),
            Input::Suspend(_) => {
                let suspended = flow.suspend().ok_or(Error::AlreadyLoggedIn)?;
                *flow = LoginFlow::resume(through_json(&suspended));
                Ok(())
            }
        },
    }
}

fn through_json(suspended: &Suspended) -> Suspended {
    let text = serde_json::to_string(suspended).expect("a suspended flow serialises");
    serde_json::from_str(&text).expect("a suspended flow is read back")
}

impl Start {
    fn take(self, settings: LoginSettings) -> Taken<LoginFlow> {
        Ok(match self {
            Self::ServerName(server_name) => LoginFlow::discover(server_name.parse()?, settings),
            Self::UserId(user_id) => LoginFlow::discover(user_id.parse::<UserId>()?.server_name().clone(), settings),
            Self::Homeserver(homeserver) => LoginFlow::at(homeserver.parse()?, settings),
            Self::Session(stored) => LoginFlow::logged_in(take_session(&stored)?),
            Self::Again(stored) => LoginFlow::again(&take_session(&stored)?, settings),
        })
    }
}

fn take_session(stored: &Value) -> Taken<Session> {
    let session = Session::from_json(stored.to_string())?;
    session.ok_or_else(|| invalid_input("stored session", "an `access_token`: nobody is logged in"))
}
