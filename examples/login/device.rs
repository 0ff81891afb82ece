//! Logs in with a code: shows the code, and waits until the user has entered it in a browser on any device. The login
//! ends when the user decides, or when the code expires. A short failure of the server does not end it.

use std::{
    env,
    io::{self, IsTerminal},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use http::{Method, Request, Response, header::CONTENT_TYPE};
use matrix_login::{
    Choice, DriveError, Error, Homeserver, LoginFlow, Pause, ResponseError, ServerError, ShownCode, Step,
    blocking::{self, Transport as _},
    one_line,
};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use url::{Url, form_urlencoded};

use crate::{
    browser,
    driver::{self, Answers, Callback, Question},
    failure::Failure,
    person::Person,
    say::{self, in_words},
    transport::Transport,
};

/// How often in a row a poll can fail, if it is not known when the code expires.
const MAX_FAILURES: u32 = 5;

const ENDED: &str = "the code has expired, and you are not logged in: begin again for a new code";

/// What to say about the login if a signal ends the program now. `None` while a poll is on its way, since the result is
/// not known.
static AT_AN_END: Mutex<Option<&'static str>> = Mutex::new(None);

const WAITED: &str = "you are not logged in: do not enter the code";

pub const GRANTED: &str = "a login was granted, but not stored: end it on the account page of the homeserver";

#[cfg(unix)]
pub fn at_an_end() -> Option<&'static str> {
    *AT_AN_END.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn say_at_an_end(said: Option<&'static str>) {
    *AT_AN_END.lock().unwrap_or_else(PoisonError::into_inner) = said;
}

/// Answers the question how to log in: with a code.
pub struct WithCode<'a> {
    person: &'a mut Person,
    demo: Option<Visit<'a>>,
}

/// How the demo opens the page.
struct Visit<'a> {
    opens: bool,
    transport: &'a Transport,
}

impl<'a> WithCode<'a> {
    pub fn new(person: &'a mut Person) -> Self {
        Self { person, demo: None }
    }

    /// For the demo. No other machine can open its page, so this opens a browser, or acts as the user in it.
    pub fn in_demo(person: &'a mut Person, opens: bool, transport: &'a Transport) -> Self {
        Self { person, demo: Some(Visit { opens, transport }) }
    }
}

impl Answers for WithCode<'_> {
    fn choose(&mut self, question: &Question<'_>) -> Result<Choice, Failure> {
        if let Some(error) = question.refused {
            return Err(refused(error));
        }
        wanted(question, self.person)?
            .ok_or_else(|| Failure("no code was requested, and you are not logged in".to_owned()))
    }

    fn browse(&mut self, _: &Url) -> Result<Url, Failure> {
        unreachable!("a code needs no browser here")
    }

    fn came_back(&mut self, _: Callback) {}

    fn code_shown(&mut self, code: &ShownCode) -> Result<(), Failure> {
        let Some(Visit { opens, transport }) = self.demo else { return Ok(()) };
        let address = code.verification_uri_complete().unwrap_or(code.verification_uri());
        if opens && !lacks_browser() && open::that_detached(address.as_str()).is_ok() {
            say!("the page opens in the browser; if no browser opens, press Ctrl-C and add --no-browser");
            return Ok(());
        }
        say!("no browser is used: the demo enters the code and presses the button, as a user would");
        enter(code, transport)
    }
}

/// Enters the code on the page of the demo, and allows the login.
fn enter(code: &ShownCode, transport: &Transport) -> Result<(), Failure> {
    let page = code.verification_uri();
    let confirmation = transport.ask(form(page, "code", code.user_code())?)?;
    let confirmation = String::from_utf8_lossy(confirmation.body()).into_owned();
    let action = browser::action(&confirmation)?;
    transport.ask(form(&page.join(action)?, "decision", "allow")?)?;
    Ok(())
}

fn form(address: &Url, name: &str, value: &str) -> Result<Request<Vec<u8>>, Failure> {
    let body = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let request = Request::post(address.as_str()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    Ok(request.body(body.into_bytes())?)
}

/// Whether no browser can open for the user: there is no screen, or the screen belongs to another machine.
pub fn lacks_browser() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let needs_display = cfg!(all(unix, not(target_os = "macos")));
    let has_display = !needs_display || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    !has_display || is_set("SSH_CONNECTION") || is_set("SSH_TTY")
}

/// The choice of a code, if the user wants a code. If the server does not offer the grant, the user is not asked: the
/// flow says why.
pub fn wanted(question: &Question<'_>, person: &mut Person) -> Result<Option<Choice>, Failure> {
    if let Some(metadata) = question.device_grant() {
        let endpoint = metadata.device_authorization_endpoint.as_ref();
        if !browser::agrees(question, endpoint, "Get a code to enter there?", person)? {
            return Ok(None);
        }
    }
    question.with_fit_device(Choice::device_authorization()).map(Some)
}

/// The failure of a login that the server refused.
pub fn refused(error: &ServerError) -> Failure {
    match error.errcode.as_deref() {
        Some("expired_token") => Failure(ENDED.to_owned()),
        Some("access_denied") => {
            Failure(format!("the login was denied, and you are not logged in: {error}; begin again"))
        }
        _ => browser::refused(error),
    }
}

/// Shows the code, and the address to enter it. The user sees this address for the first time, so the homeserver is
/// shown too.
pub fn show(code: &ShownCode, homeserver: Option<&Homeserver>) {
    let homeserver = homeserver.map(Homeserver::as_str).unwrap_or_default();
    say!("to log in to {homeserver}, open in a browser on any device");
    say!("    {}", one_line(code.verification_uri().as_str()));
    say!("and enter the code");
    say!("    {}", one_line(code.user_code()));
    say!("but only if that page belongs to the homeserver");
    if let Some(picture) = picture(code) {
        say!("or scan this picture, which contains the address and the code:\n{picture}");
    }
}

/// A QR code, for a terminal that is wide enough. A person cannot read the address in it, so this address must have the
/// same origin as the address that is shown.
fn picture(code: &ShownCode) -> Option<String> {
    let address = code.verification_uri_complete()?;
    if !io::stderr().is_terminal() || address.origin() != code.verification_uri().origin() {
        return None;
    }
    let picture = QrCode::with_error_correction_level(address.as_str(), EcLevel::L).ok()?;
    // The light squares are drawn and the dark ones are not, in colours that do not depend on the terminal.
    let drawn = picture.render().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let width = drawn.lines().next()?.chars().count();
    let lines: Vec<String> = drawn.lines().map(|line| format!("\x1b[40;97m{line}\x1b[0m")).collect();
    (width <= columns()).then(|| lines.join("\n"))
}

#[cfg(unix)]
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    // A terminal that does not know its width says 0.
    size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0).unwrap_or(80)
}

/// On other systems, some terminals do not know the colours. A width of 0 shows no QR code.
#[cfg(not(unix))]
fn columns() -> usize {
    0
}

/// Polls until the user has decided.
pub fn poll(flow: &mut LoginFlow, code: &ShownCode, transport: &Transport) -> Result<(), DriveError<String>> {
    let mut polls = Polls {
        transport,
        ends_at: code.expires_at(),
        progress: Progress::new(),
        has_polled: false,
        failures: 0,
        has_said_failure: false,
    };
    loop {
        polls.has_polled = false;
        let Err(error) = blocking::drive(flow, &mut polls) else { return Ok(()) };
        if flow.shown_code().is_none() || is_final(flow, &error) || !polls.may_go_on(&driver::in_short(&error)) {
            return Err(error);
        }
    }
}

/// Whether a failed poll ends the login. A failure that does not come from the server says nothing about the code.
fn is_final(flow: &LoginFlow, error: &DriveError<String>) -> bool {
    match error {
        // If no request is due, the transport gave up while it waited.
        DriveError::Transport(_) => !matches!(flow.step(), Step::Send { .. }),
        DriveError::Flow(Error::Response(error @ ResponseError::Server(_))) => !error.may_retry(),
        DriveError::Flow(Error::Response(ResponseError::InvalidResponse { .. })) => true,
        DriveError::Flow(error) => !matches!(error, Error::Response(_)),
    }
}

/// Sends the polls silently, and shows how long the code is valid.
struct Polls<'a> {
    transport: &'a Transport,
    ends_at: Option<SystemTime>,
    progress: Progress,
    /// Whether the last request was a poll, in this run of the loop.
    has_polled: bool,
    /// How many polls in a row have failed.
    failures: u32,
    has_said_failure: bool,
}

impl Polls<'_> {
    fn may_go_on(&mut self, reason: &str) -> bool {
        self.failures += 1;
        if self.ends_at.is_none() && self.failures == MAX_FAILURES {
            return false;
        }
        if !std::mem::replace(&mut self.has_said_failure, true) {
            self.progress.finish();
            say!("the server does not say whether the code was entered: {}; still asking", one_line(reason));
        }
        true
    }

    fn left(&self) -> Option<Duration> {
        self.ends_at.map(|end| end.duration_since(self.now()).unwrap_or_default())
    }

    fn wait(&mut self, pause: Duration) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let left = self.left();
            if left.is_some_and(|left| left.is_zero()) {
                return Err(ENDED.to_owned());
            }
            self.progress.show(left);
            let rest = pause.saturating_sub(begun.elapsed());
            if rest.is_zero() {
                return Ok(());
            }
            thread::sleep(rest.min(left.unwrap_or(rest)).min(Duration::from_secs(1)));
        }
    }
}

impl blocking::Transport for Polls<'_> {
    type Body = Vec<u8>;
    type Error = String;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
        // The polls are POST requests. After them, the flow asks with a GET who is logged in.
        self.has_polled = request.method() == Method::POST;
        if self.has_polled {
            return self.transport.carry_silently(request);
        }
        self.progress.finish();
        say_at_an_end(Some(GRANTED));
        self.transport.carry(request)
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), String> {
        match pause {
            Pause::RateLimit(_) if self.has_polled && self.ends_at.is_some() => {
                self.may_go_on("it limits the rate");
            }
            Pause::RateLimit(_) => {
                self.progress.finish();
                return self.transport.pause(pause);
            }
            // The last poll did not fail.
            _ if self.has_polled => self.failures = 0,
            _ => {}
        }
        say_at_an_end(Some(WAITED));
        let waited = self.wait(pause.remaining(self.now()));
        say_at_an_end(None);
        waited
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Shows that the program waits. On a terminal this is one line that is updated. Elsewhere it is printed once.
struct Progress {
    is_terminal: bool,
    has_begun: bool,
    is_open: bool,
}

/// The width of the line. It is narrower than the narrowest terminal, and longer than the text that it replaces.
const WIDTH: usize = 60;

impl Progress {
    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), has_begun: false, is_open: false }
    }

    fn show(&mut self, left: Option<Duration>) {
        let left = left.map(|left| format!(": {} left", in_words(left))).unwrap_or_default();
        let line = format!("waiting until the code is entered{left}");
        if self.is_terminal {
            say::part(&format!("\r{line:WIDTH$}"));
            self.is_open = true;
        } else if !self.has_begun {
            say!("{line}");
        }
        self.has_begun = true;
    }

    fn finish(&mut self) {
        if std::mem::take(&mut self.is_open) {
            say!("");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
