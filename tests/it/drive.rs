//! The crate's own loop runs on any runtime. It can be cut off anywhere: then it repeats one step, and no step too
//! often.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{
    BodyCollector, DriveError, Error, LoginFlow, LoginSettings, MAX_BODY, Pause, ResponseError, Step, Transport,
    blocking, drive,
};

use crate::support::scenario::{
    CODE_TO_SHOW, FORBIDDEN, GRANTED, HOMESERVER, OFFERS, Scenario, VERSIONS, WELL_KNOWN, noon, password, served, sso,
};

/// Why the transport has no response.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("connection reset")]
struct Reset;

/// A homeserver that accepts every login, and a transport to it that can be made to fail.
#[derive(Default)]
struct Scripted {
    sent: Vec<String>,
    pauses: Vec<Duration>,
    /// Requests that get no response, by the number of the request.
    lost: Vec<usize>,
    /// Requests that get a rate limit once.
    limited: Vec<&'static str>,
    refuses_to_wait: bool,
    /// The times that the clock shows, in seconds from noon. After the last of them, each request takes a second.
    clock: RefCell<Vec<i64>>,
}

impl Scripted {
    fn exchange(&mut self, request: &Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Reset> {
        let number = self.sent.len();
        let target = format!("{} {}", request.method(), request.uri().path());
        self.sent.push(target.clone());
        if self.lost.contains(&number) {
            return Err(Reset);
        }
        if let Some(limited) = self.limited.iter().position(|limited| *limited == target) {
            self.limited.remove(limited);
            return Ok(served(429, &[("retry-after", "5")], ""));
        }
        let body = match target.as_str() {
            "GET /.well-known/matrix/client" => WELL_KNOWN,
            "GET /_matrix/client/versions" => VERSIONS,
            "GET /_matrix/client/v3/login" => OFFERS,
            "POST /_matrix/client/v3/login" => GRANTED,
            _ => panic!("unexpected request: {target}"),
        };
        Ok(served(200, &[], body))
    }

    fn wait(&mut self, pause: Pause<'_>) -> Result<(), Reset> {
        self.pauses.push(pause.remaining(noon()));
        if self.refuses_to_wait { Err(Reset) } else { Ok(()) }
    }

    fn time(&self) -> SystemTime {
        let seconds = self.clock.borrow_mut().pop().unwrap_or(i64::try_from(self.sent.len()).unwrap());
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { noon() - distance } else { noon() + distance }
    }
}

/// A future that is not ready the first time.
async fn a_moment() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Transport for Scripted {
    type Body = Vec<u8>;
    type Error = Reset;

    async fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Reset> {
        a_moment().await;
        let response = self.exchange(&request);
        a_moment().await;
        response
    }

    async fn pause(&mut self, pause: Pause<'_>) -> Result<(), Reset> {
        a_moment().await;
        self.wait(pause)
    }

    fn now(&self) -> SystemTime {
        self.time()
    }
}

impl blocking::Transport for Scripted {
    type Body = Vec<u8>;
    type Error = Reset;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Reset> {
        self.exchange(&request)
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), Reset> {
        self.wait(pause)
    }

    fn now(&self) -> SystemTime {
        self.time()
    }
}

const WELL_KNOWN_FILE: &str = "GET /.well-known/matrix/client";
const GET_VERSIONS: &str = "GET /_matrix/client/versions";
const GET_LOGIN: &str = "GET /_matrix/client/v3/login";
const POST_LOGIN: &str = "POST /_matrix/client/v3/login";
const WHOLE_LOGIN: [&str; 4] = [WELL_KNOWN_FILE, GET_VERSIONS, GET_LOGIN, POST_LOGIN];

fn flow() -> LoginFlow {
    LoginFlow::discover("example.org".parse().unwrap(), LoginSettings::default())
}

/// Drives a login to its end, with a password for the question.
async fn log_in<T: Transport>(flow: &mut LoginFlow, transport: &mut T) -> Result<(), DriveError<T::Error>> {
    loop {
        match drive(flow, transport).await? {
            Step::Choose { .. } => flow.choose(password())?,
            Step::Done(_) => return Ok(()),
            step => panic!("{step:?}"),
        }
    }
}

/// The same as `log_in`, in the blocking form.
fn log_in_blocking(flow: &mut LoginFlow, transport: &mut Scripted) -> Result<(), DriveError<Reset>> {
    if let Step::Choose { .. } = blocking::drive(flow, transport)? {
        flow.choose(password())?;
    }
    assert!(matches!(blocking::drive(flow, transport)?, Step::Done(_)));
    Ok(())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    futures_executor::block_on(future)
}

#[test]
fn it_runs_as_a_task_of_a_runtime_with_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let task = runtime.spawn(async {
        let (mut flow, mut transport) = (flow(), Scripted::default());
        log_in(&mut flow, &mut transport).await.unwrap();
        (flow, transport.sent)
    });
    let (flow, sent) = runtime.block_on(task).unwrap();
    assert_eq!(sent, WHOLE_LOGIN);
    assert_eq!(flow.device_id(), Some("DEVICEID"));
}

#[test]
fn it_runs_on_a_runtime_without_threads_and_without_send() {
    struct Local(Rc<RefCell<Scripted>>);

    impl Transport for Local {
        type Body = Vec<u8>;
        type Error = Reset;

        async fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Reset> {
            a_moment().await;
            self.0.borrow_mut().exchange(&request)
        }

        async fn pause(&mut self, pause: Pause<'_>) -> Result<(), Reset> {
            self.0.borrow_mut().wait(pause)
        }

        fn now(&self) -> SystemTime {
            noon()
        }
    }

    let script = Rc::new(RefCell::new(Scripted { limited: vec![GET_VERSIONS], ..Scripted::default() }));
    let (mut flow, mut transport) = (flow(), Local(Rc::clone(&script)));
    futures_executor::LocalPool::new().run_until(log_in(&mut flow, &mut transport)).unwrap();
    assert!(flow.session().is_some());
    assert_eq!(script.borrow().sent, [WELL_KNOWN_FILE, GET_VERSIONS, GET_VERSIONS, GET_LOGIN, POST_LOGIN]);
}

/// Polls a future this many times, then drops it. Returns the result if the future has finished.
fn poll<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

#[test]
fn it_goes_on_after_it_was_cut_off_at_any_await() {
    let mut cut_off = 0;
    for polls in 1.. {
        let (mut flow, mut transport) = (flow(), Scripted { limited: vec![GET_VERSIONS], ..Scripted::default() });
        if poll(log_in(&mut flow, &mut transport), polls).is_some() {
            break;
        }
        cut_off += 1;
        let due = format!("{:?}", flow.step());
        assert_eq!(format!("{:?}", flow.step()), due, "a dropped future changes nothing");
        run(log_in(&mut flow, &mut transport)).unwrap();
        assert_eq!(flow.device_id(), Some("DEVICEID"));
        // Only the request that was cut off can go out once more.
        let again = transport.sent.len() - 5;
        assert!(again <= 1, "{:?}", transport.sent);
    }
    // Five requests with two awaits each, and a pause.
    assert_eq!(cut_off, 11);
}

#[test]
fn a_request_without_a_response_is_due_again() {
    for (number, lost) in WHOLE_LOGIN.into_iter().enumerate() {
        let (mut flow, mut transport) = (flow(), Scripted { lost: vec![number], ..Scripted::default() });
        let error = run(log_in(&mut flow, &mut transport)).unwrap_err();
        assert!(matches!(error, DriveError::Transport(Reset)), "{error}");
        assert_eq!(error.to_string(), "connection reset");
        run(log_in(&mut flow, &mut transport)).unwrap();
        assert!(flow.session().is_some());
        let mut sent = WHOLE_LOGIN.to_vec();
        sent.insert(number, lost);
        assert_eq!(transport.sent, sent);

        let (mut flow, mut transport) = (self::flow(), Scripted { lost: vec![number], ..Scripted::default() });
        log_in_blocking(&mut flow, &mut transport).unwrap_err();
        log_in_blocking(&mut flow, &mut transport).unwrap();
        assert_eq!(transport.sent, sent);
    }
}

#[test]
fn a_response_that_the_flow_refuses_is_the_flows_error() {
    struct Page;

    impl blocking::Transport for Page {
        type Body = &'static str;
        type Error = Reset;

        fn send(&mut self, _: Request<Vec<u8>>) -> Result<Response<&'static str>, Reset> {
            Ok(Response::new("<html>"))
        }

        fn pause(&mut self, _: Pause<'_>) -> Result<(), Reset> {
            unreachable!("no response limits the rate")
        }

        fn now(&self) -> SystemTime {
            noon()
        }
    }

    let mut flow = LoginFlow::at(HOMESERVER.parse().unwrap(), LoginSettings::default());
    let error = blocking::drive(&mut flow, &mut Page).unwrap_err();
    assert!(matches!(error, DriveError::Flow(Error::Response(ResponseError::NotMatrix { .. }))), "{error}");
    assert!(matches!(flow.step(), Step::Send { .. }), "the same request is due");
}

#[test]
fn it_waits_out_a_rate_limit() {
    for request in [GET_VERSIONS, GET_LOGIN, POST_LOGIN] {
        let (mut flow, mut transport) = (flow(), Scripted { limited: vec![request], ..Scripted::default() });
        run(log_in(&mut flow, &mut transport)).unwrap();
        assert_eq!((transport.pauses, transport.sent.len()), (vec![Duration::from_secs(5)], 5));

        let (mut flow, mut transport) = (self::flow(), Scripted { limited: vec![request], ..Scripted::default() });
        log_in_blocking(&mut flow, &mut transport).unwrap();
        assert_eq!((transport.pauses, transport.sent.len()), (vec![Duration::from_secs(5)], 5));
    }
}

#[test]
fn a_wait_begins_when_the_response_arrives() {
    let script = || Scripted { limited: vec![GET_LOGIN], refuses_to_wait: true, ..Scripted::default() };
    let ends = |flow: &LoginFlow| match flow.step() {
        Step::Wait(wait) => wait.until(),
        step => panic!("{step:?}"),
    };
    // The third request is limited for five seconds, and its response arrives after three.
    let mut flow = flow();
    run(log_in(&mut flow, &mut script())).unwrap_err();
    assert_eq!(ends(&flow), noon() + Duration::from_secs(8));

    let mut flow = self::flow();
    log_in_blocking(&mut flow, &mut script()).unwrap_err();
    assert_eq!(ends(&flow), noon() + Duration::from_secs(8));
}

#[test]
fn a_wait_that_the_transport_refuses_stays_due() {
    let script = || Scripted { limited: vec![GET_VERSIONS], refuses_to_wait: true, ..Scripted::default() };
    let (mut flow, mut transport) = (flow(), script());
    assert!(matches!(run(log_in(&mut flow, &mut transport)), Err(DriveError::Transport(Reset))));
    assert!(matches!(flow.step(), Step::Wait(_)));
    transport.refuses_to_wait = false;
    run(log_in(&mut flow, &mut transport)).unwrap();
    assert_eq!((transport.pauses.len(), transport.sent.len()), (2, 5));

    let (mut flow, mut transport) = (self::flow(), script());
    assert!(matches!(log_in_blocking(&mut flow, &mut transport), Err(DriveError::Transport(Reset))));
    transport.refuses_to_wait = false;
    log_in_blocking(&mut flow, &mut transport).unwrap();
    assert_eq!((transport.pauses.len(), transport.sent.len()), (2, 5));
}

#[test]
fn a_clock_that_jumps_changes_no_step() {
    let year = 31_557_600;
    for clock in [vec![-year, year, -year, year, 0], vec![year, year, -year, -year, -year], vec![0, -1, -2, -3, -4]] {
        let script = Scripted {
            limited: vec![GET_VERSIONS, POST_LOGIN],
            clock: RefCell::new(clock.clone()),
            ..Scripted::default()
        };
        let (mut flow, mut transport) = (flow(), script);
        run(log_in(&mut flow, &mut transport)).unwrap();
        assert_eq!((transport.pauses.len(), transport.sent.len()), (2, 6), "{clock:?}");
        assert!(flow.session().is_some());
    }
}

#[test]
fn it_stops_when_a_person_is_needed() {
    let at = || LoginFlow::at(HOMESERVER.parse().unwrap(), LoginSettings::default());
    let mut transport = Scripted::default();

    let mut flow = at();
    assert!(matches!(run(drive(&mut flow, &mut transport)).unwrap(), Step::Choose { .. }));
    assert!(matches!(run(drive(&mut flow, &mut transport)).unwrap(), Step::Choose { .. }));
    assert_eq!(transport.sent, [GET_LOGIN], "called again, it does nothing");

    flow.choose(sso()).unwrap();
    assert!(matches!(blocking::drive(&mut flow, &mut transport).unwrap(), Step::Browse(_)));

    let mut flow = self::flow();
    let Step::Send { id, .. } = flow.step() else { panic!() };
    flow.handle_unreachable(id).unwrap();
    assert!(matches!(blocking::drive(&mut flow, &mut transport).unwrap(), Step::Locate { .. }));
    assert_eq!(transport.sent, [GET_LOGIN]);

    let mut flow = at();
    log_in_blocking(&mut flow, &mut transport).unwrap();
    let sent = transport.sent.len();
    assert!(matches!(blocking::drive(&mut flow, &mut transport).unwrap(), Step::Done(_)));
    assert_eq!(transport.sent.len(), sent, "after the login, nothing is sent");
}

#[test]
fn a_refused_password_is_a_question_again() {
    struct Refusing(Scripted);

    impl blocking::Transport for Refusing {
        type Body = Vec<u8>;
        type Error = Reset;

        fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Reset> {
            let response = self.0.exchange(&request)?;
            Ok(if request.method() == "POST" { served(403, &[], FORBIDDEN) } else { response })
        }

        fn pause(&mut self, pause: Pause<'_>) -> Result<(), Reset> {
            self.0.wait(pause)
        }

        fn now(&self) -> SystemTime {
            noon()
        }
    }

    let (mut flow, mut transport) = (flow(), Refusing(Scripted::default()));
    assert!(matches!(blocking::drive(&mut flow, &mut transport).unwrap(), Step::Choose { refused: None, .. }));
    flow.choose(password()).unwrap();
    let step = blocking::drive(&mut flow, &mut transport).unwrap();
    let Step::Choose { refused: Some(refused), .. } = step else { panic!("{step:?}") };
    assert_eq!(refused.errcode.as_deref(), Some("M_FORBIDDEN"));
}

// The body of a response.

fn collected(chunks: &[&[u8]]) -> BodyCollector {
    let mut body = BodyCollector::default();
    for chunk in chunks {
        body.push(chunk);
    }
    body
}

#[test]
fn a_body_is_the_chunks_that_follow_its_head() {
    let body = collected(&[b"{\"versions\"", b"", b":[]}"]);
    assert!(!body.is_full());
    let (head, _) = served(404, &[("retry-after", "5")], "").into_parts();
    let response = body.into_response(head);
    assert_eq!((response.status().as_u16(), response.body().as_slice()), (404, b"{\"versions\":[]}".as_slice()));
    assert_eq!(response.headers()["retry-after"], "5");
}

#[test]
fn a_body_is_full_one_byte_after_the_longest_that_is_read() {
    let longest = vec![b' '; MAX_BODY];
    let mut body = collected(&[&longest]);
    assert!(!body.is_full());
    body.push(b"x");
    assert!(body.is_full());
    body.push(&longest);
    let (head, _) = served(200, &[], "").into_parts();
    assert_eq!(body.into_response(head).body().len(), MAX_BODY + 1);
}

#[test]
fn a_body_that_was_too_long_is_an_error_of_the_flow() {
    let mut flow = LoginFlow::at(HOMESERVER.parse().unwrap(), LoginSettings::default());
    let (head, _) = served(200, &[], "").into_parts();
    let response = collected(&[OFFERS.as_bytes(), &vec![b' '; 1 << 20]]).into_response(head);
    let Step::Send { id, .. } = flow.step() else { panic!() };
    let error = flow.handle_response(id, &response, noon()).unwrap_err();
    assert!(matches!(error, Error::Response(ResponseError::TooLarge { length, .. }) if length == MAX_BODY + 1));
}

#[test]
fn a_body_does_not_show_its_bytes() {
    assert_eq!(format!("{:?}", collected(&[b"s3cret"])), "BodyCollector([6 bytes])");
}

#[test]
fn a_driver_can_limit_how_long_it_waits() {
    let seconds = Duration::from_secs;
    let mut story = Scenario::logging_in();
    for attempt in 1..=3 {
        story.responds_with(served(429, &[("retry-after", "60")], ""));
        let pause = Pause::RateLimit(story.wait());
        assert_eq!(pause.attempt(), attempt);
        let within = |longest, attempts| pause.remaining_within(seconds(longest), attempts, noon());
        assert_eq!(within(60, attempt), Ok(seconds(60)));
        let error = within(59, attempt).unwrap_err();
        assert_eq!(error.to_string(), "the server asks to wait too long or too often: try again in 60 s");
        assert_eq!(within(60, attempt - 1).unwrap_err().remaining, seconds(60));
        let later = noon() + seconds(1) + Duration::from_millis(1);
        assert_eq!(pause.remaining_within(seconds(59), 3, later), Ok(Duration::from_millis(58_999)));
        let error = pause.remaining_within(seconds(1), 3, later).unwrap_err();
        assert_eq!(error.to_string(), "the server asks to wait too long or too often: try again in 59 s");
        story.timeout();
    }
}

#[test]
fn a_poll_is_waited_for_while_the_code_lives() {
    let seconds = Duration::from_secs;
    let within = |code: String, longest| {
        let mut story = Scenario::asking_for_a_code_to_show();
        story.responds(200, code);
        let pause = Pause::Poll(story.code());
        assert_eq!(pause.attempt(), 1);
        pause.remaining_within(seconds(longest), 0, noon()).map_err(|error| error.remaining)
    };
    let with = |old: &str, new: &str| CODE_TO_SHOW.replace(old, new);
    assert_eq!(within(CODE_TO_SHOW.to_owned(), 0), Ok(seconds(7)));
    assert_eq!(within(with("1800", "8"), 0), Ok(seconds(7)));
    // The user might decide in the last seconds. So a poll after the end can still get the tokens.
    assert_eq!(within(with("1800", "4"), 7), Ok(seconds(7)));
    assert_eq!(within(with("1800", "7"), 6), Err(seconds(7)));
    assert_eq!(within(with("expires_in", "x"), 7), Ok(seconds(7)));
    assert_eq!(within(with("expires_in", "x"), 6), Err(seconds(7)));
    let centuries = with(":7,", ":9223372036,");
    assert_eq!(within(centuries, 60), Err(seconds(9_223_372_036)));
}
