//! Logs in to a homeserver with a browser, with OAuth 2.0 or with single sign-on:
//! `cargo run --example browser -- example.org`.
//!
//! This file begins a login, or finishes a login that another process has begun. It shares the rest with the login
//! program.
//!
//! The program writes what it does to standard error, line by line. It writes who is logged in to standard output,
//! last. The exit statuses are the same as in the login program.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    unnameable_types,
    unreachable_pub,
    reason = "a program has no API and does the I/O that the library leaves to it"
)]

#[macro_use]
#[path = "../login/say.rs"]
mod say;

#[path = "../login/browser.rs"]
mod browser;
#[path = "../login/callback.rs"]
mod callback;
#[path = "../login/demo/mod.rs"]
mod demo;
#[allow(dead_code, reason = "this program uses no code")]
#[path = "../login/device.rs"]
mod device;
#[path = "../login/driver.rs"]
mod driver;
#[path = "../login/failure.rs"]
mod failure;
#[allow(dead_code, reason = "this program asks for no password")]
#[path = "../login/person.rs"]
mod person;
#[path = "../login/proxy.rs"]
mod proxy;
#[path = "../login/session_file.rs"]
mod session_file;
#[path = "../login/started.rs"]
mod started;
#[path = "../login/stored.rs"]
mod stored;
#[path = "../login/tour.rs"]
mod tour;
#[path = "../login/transport.rs"]
mod transport;
#[allow(dead_code, reason = "the homeserver's page asks for the user")]
#[path = "../login/who.rs"]
mod who;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use matrix_login::{Action, Choice, IdentityProvider, LoginFlow, Session, Step, Suspended, one_line};
use url::Url;

use self::{
    browser::Browser,
    driver::{Answers, Api, Callback, Question},
    failure::Failure,
    person::Person,
    session_file::SessionFile,
    tour::Tour,
    transport::Transport,
};

/// Log in to a homeserver with a browser: with OAuth 2.0 if the homeserver has it, otherwise with single sign-on
#[derive(Parser)]
#[command(name = "browser", version)]
#[expect(clippy::struct_excessive_bools, reason = "they are options of a command line")]
struct Arguments {
    /// Server name such as example.org, or a user ID. The program finds its homeserver
    #[arg(required_unless_present_any = ["homeserver_url", "resume", "again", "demo"])]
    server: Option<String>,

    /// Base URL of the homeserver, instead of a server name
    #[arg(short = 'H', long, value_name = "URL", conflicts_with = "server")]
    homeserver_url: Option<String>,

    /// ID of the identity provider for single sign-on. This implies --legacy. Without it, the program asks if there are
    /// several
    #[arg(long, value_name = "ID")]
    provider: Option<String>,

    /// Log in with single sign-on, even if the homeserver has OAuth 2.0
    #[arg(long)]
    legacy: bool,

    /// Create an account in the browser first
    #[arg(long)]
    register: bool,

    /// File for the session [default: data.json]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Only print the URL, and open no browser
    #[arg(long)]
    no_browser: bool,

    /// Show a login to a demo homeserver on this machine, then log out. With --data, the session stays in the file.
    /// With --no-browser, or if no browser opens, the demo acts as the user in the browser
    #[arg(
        long,
        conflicts_with_all = [
            "server", "homeserver_url", "provider", "legacy", "register", "again", "suspend", "resume",
        ]
    )]
    demo: bool,

    /// Log in again as the user and the device of the stored session, if its tokens are no longer valid
    #[arg(long, conflicts_with_all = ["server", "register"])]
    again: bool,

    /// Print the URL, store the unfinished login in FILE, and exit
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "again"])]
    suspend: Option<PathBuf>,

    /// Finish a stored login. ADDRESS is the last address of the browser
    #[arg(
        long,
        num_args = 2,
        value_names = ["FILE", "ADDRESS"],
        conflicts_with_all = ["server", "homeserver_url", "provider", "legacy", "register", "again"]
    )]
    resume: Option<Vec<String>>,

    /// How long to wait for each response
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "30",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    timeout: u64,

    /// How long to wait until the browser comes back
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = browser::PATIENCE,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    patience: u64,
}

fn main() -> ExitCode {
    person::restore_terminal_when_ended();
    match run(&started::arguments()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let transport = Transport::new(arguments.timeout);
    if arguments.demo {
        return show_demo(arguments, &transport);
    }
    let file = SessionFile::new(arguments.data.clone().unwrap_or_else(|| "data.json".into()));
    if !arguments.again {
        stored::look_at(&file)?;
    }
    let mut person = Person::at_standard_input();

    let mut replaced = None;
    let session = if let Some(stored) = &arguments.resume {
        resume(stored, &transport)?
    } else {
        let flow = if arguments.again {
            let (flow, ended) = stored::again(&file, arguments.homeserver_url.as_deref(), api(arguments), &transport)?;
            replaced = Some(ended);
            flow
        } else {
            begin(arguments, &transport)?
        };
        let mut answers = WithBrowser::new(arguments, &mut person)?;
        if let Some(path) = &arguments.suspend {
            return suspend(path, flow, &transport, &mut answers);
        }
        driver::log_in(flow, &transport, &mut answers)?
    };
    stored::store(&file, &session, replaced.as_ref(), &transport, &mut person)?;
    stored::show_session(&session)
}

fn show_demo(arguments: &Arguments, transport: &Transport) -> Result<(), Failure> {
    let tour = Tour::begin(arguments.data.clone())?;
    say!("\n1. Log in with single sign-on: the homeserver shows a page in the browser, then sends the browser back to");
    say!("this program with a login token, which is valid once.");
    let mut person = Person::Script([].into());
    let mut answers = WithBrowser::new(arguments, &mut person)?;
    let flow = driver::at(who::address(tour.url())?, Api::Legacy, transport)?;
    let session = driver::log_in(flow, transport, &mut answers)?;
    tour.go_on(&session, "example.org", transport, &mut person)
}

/// Begins at the server in the arguments.
fn begin(arguments: &Arguments, transport: &Transport) -> Result<LoginFlow, Failure> {
    let address = match &arguments.homeserver_url {
        Some(url) => who::address(url)?,
        None => who::server(arguments.server.as_deref().unwrap_or_default())?,
    };
    driver::at(address, api(arguments), transport)
}

fn api(arguments: &Arguments) -> Api {
    if arguments.legacy || arguments.provider.is_some() { Api::Legacy } else { Api::Any }
}

/// What to do on a machine without a browser.
const USE_A_CODE: &str = "cargo run --example login -- --device SERVER";

/// Answers with a login in a browser.
struct WithBrowser<'a> {
    provider: Option<&'a str>,
    action: Action,
    person: &'a mut Person,
    browser: Browser,
}

impl Answers for WithBrowser<'_> {
    fn choose(&mut self, question: &Question<'_>) -> Result<Choice, Failure> {
        if let Some(refused) = question.refused {
            return Err(browser::refused(refused));
        }
        if let Some(metadata) = question.code_grant() {
            if question.device_grant().is_some() && device::lacks_browser() {
                say!("there is no browser here: {USE_A_CODE} shows a code for a browser on any device");
            }
            if !browser::is_wanted(question, metadata, self.person)? {
                return Err(Failure("no page was opened; use --legacy to log in with single sign-on".to_owned()));
            }
            return self.browser.code_choice(question, self.action);
        }
        let single_sign_on = driver::offered(question.login_types, "m.login.sso", "single sign-on")?;
        let mut redirect = self.browser.redirect(self.action)?;
        if let Some(id) = self.provider(single_sign_on.identity_providers())? {
            redirect = redirect.with_identity_provider(id)?;
        }
        Ok(Choice::sso(redirect))
    }

    fn browse(&mut self, url: &Url) -> Result<Url, Failure> {
        self.browser.visit(url)
    }

    fn came_back(&mut self, callback: Callback) {
        self.browser.came_back(callback);
    }
}

impl<'a> WithBrowser<'a> {
    fn new(arguments: &'a Arguments, person: &'a mut Person) -> Result<Self, Failure> {
        let demo = arguments.demo.then(|| Transport::new(arguments.timeout));
        Ok(Self {
            provider: arguments.provider.as_deref(),
            action: if arguments.register { Action::Register } else { Action::Login },
            person,
            browser: Browser::new(!arguments.no_browser, arguments.patience, demo)?,
        })
    }

    /// The identity provider for the login. If it is `None`, the homeserver asks.
    fn provider(&mut self, offered: &[IdentityProvider]) -> Result<Option<String>, Failure> {
        if let Some(id) = self.provider {
            return Ok(Some(id.to_owned()));
        }
        match offered {
            [] => Ok(None),
            [only] => Ok(Some(only.id().to_owned())),
            _ if !self.person.can_be_asked_again() => Ok(None),
            _ => {
                for (provider, number) in offered.iter().zip(1..) {
                    say!("{number}: {}", one_line(provider.name()));
                }
                let number = self.person.ask("Log in with (a number): ", "a number")?;
                let chosen = number.trim().parse::<usize>().ok().and_then(|number| offered.get(number.checked_sub(1)?));
                let chosen = chosen.ok_or_else(|| Failure("there is no such number; begin again".to_owned()))?;
                Ok(Some(chosen.id().to_owned()))
            }
        }
    }
}

/// Begins a login, and stores it before the user opens the browser. A program that can change the file can decide which
/// account the user logs in to. So only the owner can change the file.
fn suspend(
    path: &Path,
    mut flow: LoginFlow,
    transport: &Transport,
    browser: &mut WithBrowser<'_>,
) -> Result<(), Failure> {
    let url = loop {
        match flow.step() {
            Step::Browse(url) => break url.clone(),
            _ => driver::advance(&mut flow, transport, browser)?,
        }
    };
    let json = serde_json::to_vec_pretty(&flow.suspend())?;
    session_file::write_new(path, &json).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure(format!("{} exists already: name another file", path.display())),
        _ => Failure(format!("{} cannot be written: {error}", path.display())),
    })?;
    say!("the login waits in {}", path.display());
    say!("log in at {url}");
    say!("at the end, the browser shows a page that it cannot open: copy its address, and finish with");
    say!("    {}", started::command(&format!("--resume {} ADDRESS", path.display())));
    Ok(())
}

/// Finishes a stored login.
fn resume(stored: &[String], transport: &Transport) -> Result<Session, Failure> {
    let [path, callback] = stored else { unreachable!("clap takes two values") };
    let path = Path::new(path);
    let broken = |error: &dyn fmt::Display| Failure(format!("{}: {error}", path.display()));
    let json = fs::read(path).map_err(|error| broken(&format!("cannot be read: {error}")))?;
    let suspended: Suspended = serde_json::from_slice(&json).map_err(|error| broken(&error))?;
    let callback = Url::parse(callback)
        .map_err(|_| Failure("ADDRESS is not a URL: copy the whole address of the browser".to_owned()))?;

    let mut flow = LoginFlow::resume(suspended);
    if !matches!(flow.step(), Step::Browse(_)) {
        return Err(broken(&"the file contains no login in a browser; begin one with --suspend"));
    }
    flow.handle_callback(&callback)?;
    let session = driver::log_in(flow, transport, &mut Finished)?;
    // The login token or the code can be used only once, so the file has no more use.
    if let Err(error) = fs::remove_file(path) {
        say!("{}: cannot be removed: {error}", path.display());
    }
    Ok(session)
}

/// Answers for a login that has already been in the browser. There is no further choice.
struct Finished;

impl Answers for Finished {
    fn choose(&mut self, question: &Question<'_>) -> Result<Choice, Failure> {
        Err(question.refused.map_or_else(|| Failure("begin again".to_owned()), browser::refused))
    }

    fn browse(&mut self, _: &Url) -> Result<Url, Failure> {
        unreachable!("no login in a browser was chosen again")
    }

    fn came_back(&mut self, _: Callback) {}
}
