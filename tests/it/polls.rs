//! The laws of polling. The crate's own loop never polls early, and never after tokens were granted. If the user has
//! not decided at the end of the code, the login ends. These laws hold for any sequence of responses, failures and
//! clocks.

use std::time::{Duration, SystemTime};

use http::{Request, Response};
use matrix_login::{Choice, DriveError, LoginFlow, Pause, Step, Transport, blocking, drive};
use proptest::prelude::*;
use serde_json::json;

use crate::support::scenario::{
    CODE_LIFETIME, CODE_TO_SHOW, METADATA, OFFERS, PENDING, REGISTERED, Scenario, TOKENS, WHOAMI, noon, served,
    with_oauth,
};

/// What the server does with a poll.
#[derive(Clone, Debug)]
enum Poll {
    Pending(u16, Option<u64>),
    SlowDown(u16, Option<u64>),
    Limited(Option<u64>),
    Failed(u16),
    NotJson,
    Lost,
    Refused,
    Granted,
}

/// What happens while time passes.
#[derive(Clone, Debug)]
struct Passing {
    seconds: u64,
    /// How far another program sets the clock.
    jump: i64,
}

#[derive(Clone, Debug)]
struct Turn {
    poll: Poll,
    in_flight: Passing,
    in_pause: Passing,
    /// The transport gives up after a part of the pause, and the loop begins again. Then the clock is only set back: a
    /// clock that is set ahead looks like time that has passed.
    gives_up: bool,
}

/// A server and a clock. The type knows the laws, but not how the flow keeps them.
struct World {
    turns: Vec<Turn>,
    turn: usize,
    /// The time since the beginning, whatever the clock shows.
    time: Duration,
    clock: i64,
    interval: Duration,
    /// A poll before this time is too early.
    next_poll: Duration,
    shown_at: Option<SystemTime>,
    /// A response said that the user has not decided, after the end of the code.
    has_ended: bool,
    is_granted: bool,
    has_given_up: bool,
    polls: usize,
}

impl World {
    fn new(turns: Vec<Turn>) -> Self {
        Self {
            turns,
            turn: 0,
            time: Duration::ZERO,
            clock: 0,
            interval: Duration::from_secs(7),
            next_poll: Duration::ZERO,
            shown_at: None,
            has_ended: false,
            is_granted: false,
            has_given_up: false,
            polls: 0,
        }
    }

    fn now(&self) -> SystemTime {
        let distance = Duration::from_secs(self.clock.unsigned_abs());
        if self.clock < 0 { noon() + self.time - distance } else { noon() + self.time + distance }
    }

    fn pass(&mut self, passing: &Passing) {
        self.time += Duration::from_secs(passing.seconds);
        self.clock += passing.jump;
    }

    fn exchange(&mut self, request: &Request<Vec<u8>>) -> Result<Response<Vec<u8>>, &'static str> {
        Ok(match request.uri().path() {
            "/_matrix/client/v3/login" => served(200, &[], OFFERS),
            "/_matrix/client/v1/auth_metadata" => served(200, &[], METADATA),
            "/register" => served(201, &[], REGISTERED),
            "/device" => {
                assert!(self.shown_at.is_none(), "a second code is requested");
                self.next_poll = self.time + self.interval;
                self.shown_at = Some(self.now());
                served(200, &[], CODE_TO_SHOW)
            }
            "/token" => return self.poll(),
            "/_matrix/client/v3/account/whoami" => served(200, &[], WHOAMI),
            path => panic!("unexpected request: {path}"),
        })
    }

    fn poll(&mut self) -> Result<Response<Vec<u8>>, &'static str> {
        assert!(!self.is_granted, "a poll after tokens were granted");
        assert!(self.time >= self.next_poll, "a poll at {:?} instead of {:?}", self.time, self.next_poll);
        assert!(!self.has_ended, "a poll after the code has ended");
        self.polls += 1;
        let turn = self.turns.get(self.turn).cloned();
        let (poll, passing) =
            turn.map_or((Poll::Granted, Passing { seconds: 0, jump: 0 }), |turn| (turn.poll, turn.in_flight));
        self.pass(&passing);
        let is_over = self.shown_at.is_some_and(|shown_at| self.now() >= shown_at + CODE_LIFETIME);
        self.has_ended = is_over && matches!(poll, Poll::Pending(..) | Poll::SlowDown(..));
        if matches!(poll, Poll::SlowDown(..)) {
            self.interval += Duration::from_secs(5);
        }
        let hint = match poll {
            Poll::Pending(_, hint) | Poll::SlowDown(_, hint) | Poll::Limited(hint) => hint,
            _ => None,
        };
        self.next_poll = self.time + self.interval.max(Duration::from_secs(hint.unwrap_or_default()));
        let limited = |status: u16, body: String| match hint {
            Some(seconds) => served(status, &[("retry-after", &seconds.to_string())], body),
            None => served(status, &[], body),
        };
        let error = |status: u16, code: &str| limited(status, json!({"error": code}).to_string());
        Ok(match poll {
            Poll::Pending(status, _) => limited(status, PENDING.to_owned()),
            Poll::SlowDown(status, _) => error(status, "slow_down"),
            Poll::Limited(_) => limited(429, String::new()),
            Poll::Failed(status) => served(status, &[], "<html>"),
            Poll::NotJson => served(200, &[], "<html>"),
            Poll::Refused => error(403, "access_denied"),
            Poll::Lost => return Err("connection reset"),
            Poll::Granted => {
                self.is_granted = true;
                served(200, &[], TOKENS)
            }
        })
    }

    fn wait(&mut self, pause: Pause<'_>) -> Result<(), &'static str> {
        let remaining = pause.remaining(self.now());
        assert!(pause.attempt() == 1 || matches!(pause, Pause::RateLimit(_)), "only rate limits count their attempts");
        let turn = self.turns.get(self.turn).cloned();
        let Some(turn) = turn else {
            self.time += remaining;
            return Ok(());
        };
        if turn.gives_up && !self.has_given_up {
            self.has_given_up = true;
            self.time += remaining / 2;
            self.clock -= turn.in_pause.jump.abs();
            return Err("gives up");
        }
        self.has_given_up = false;
        self.time += remaining;
        self.pass(&turn.in_pause);
        self.turn += 1;
        Ok(())
    }
}

impl Transport for World {
    type Body = Vec<u8>;
    type Error = &'static str;

    async fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, &'static str> {
        self.exchange(&request)
    }

    async fn pause(&mut self, pause: Pause<'_>) -> Result<(), &'static str> {
        self.wait(pause)
    }

    fn now(&self) -> SystemTime {
        World::now(self)
    }
}

impl blocking::Transport for World {
    type Body = Vec<u8>;
    type Error = &'static str;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, &'static str> {
        self.exchange(&request)
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), &'static str> {
        self.wait(pause)
    }

    fn now(&self) -> SystemTime {
        World::now(self)
    }
}

/// Where a call of the loop ends.
enum End {
    Code,
    LoggedIn,
    Refused(Option<String>),
    Again,
}

fn end(driven: Result<Step<'_>, DriveError<&'static str>>) -> End {
    match driven {
        Ok(Step::ShowCode(code)) => {
            assert!(code.is_new(), "a code is returned once");
            End::Code
        }
        Ok(Step::Done(_)) => End::LoggedIn,
        Ok(Step::Choose { refused: Some(refused), .. }) => End::Refused(refused.errcode.clone()),
        Err(_) => End::Again,
        Ok(step) => panic!("{step:?}"),
    }
}

/// Checks the laws with one form of the loop.
fn hold(turns: Vec<Turn>, mut next: impl FnMut(&mut LoginFlow, &mut World) -> End) {
    let mut world = World::new(turns);
    let mut flow = Scenario::with_metadata(with_oauth(), METADATA).flow;
    flow.choose(Choice::device_authorization()).unwrap();
    let mut codes = 0;
    for _ in 0..1000 {
        match next(&mut flow, &mut world) {
            End::Code => codes += 1,
            End::Again => assert!(flow.session().is_none()),
            End::LoggedIn => {
                assert!(world.is_granted && codes == 1);
                return;
            }
            End::Refused(errcode) => {
                assert!(flow.shown_code().is_none() && codes == 1);
                let expected = if world.has_ended { "expired_token" } else { "access_denied" };
                assert_eq!(errcode.as_deref(), Some(expected));
                return;
            }
        }
        assert!(!world.has_ended, "a code that has ended is still polled for");
    }
    panic!("it never ends: {} polls", world.polls);
}

fn passing() -> impl Strategy<Value = Passing> {
    let jump = prop_oneof![4 => Just(0), 1 => -100_000_i64..100_000, 1 => -10_i64..10];
    (0_u64..40, jump).prop_map(|(seconds, jump)| Passing { seconds, jump })
}

fn poll() -> impl Strategy<Value = Poll> {
    let status = || prop::sample::select(vec![200, 400, 403, 429, 500, 503]);
    let hint = || prop::option::weighted(0.2, 0_u64..100);
    prop_oneof![
        6 => (status(), hint()).prop_map(|(status, hint)| Poll::Pending(status, hint)),
        3 => (status(), hint()).prop_map(|(status, hint)| Poll::SlowDown(status, hint)),
        2 => prop::option::of(0_u64..100).prop_map(Poll::Limited),
        2 => prop::sample::select(vec![500, 502, 403, 408]).prop_map(Poll::Failed),
        1 => Just(Poll::NotJson),
        2 => Just(Poll::Lost),
        1 => Just(Poll::Refused),
        1 => Just(Poll::Granted),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (poll(), passing(), passing(), prop::bool::weighted(0.2));
    let turn = turn.prop_map(|(poll, in_flight, in_pause, gives_up)| Turn { poll, in_flight, in_pause, gives_up });
    prop::collection::vec(turn, 0..40)
}

proptest! {
    #[test]
    fn the_loop_keeps_the_laws(turns in turns()) {
        hold(turns.clone(), |flow, world| end(futures_executor::block_on(drive(flow, world))));
        hold(turns, |flow, world| end(blocking::drive(flow, world)));
    }
}
