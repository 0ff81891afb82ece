//! Logs in to a homeserver, with a password or with a browser on any device, and keeps the session:
//! `cargo run --example login -- USER`.
//!
//! - `driver.rs` drives the flow,
//! - `password.rs` chooses how to log in,
//! - `browser.rs` opens a browser, and `callback.rs` waits until the browser comes back,
//! - `device.rs` shows a code, and waits until the user has entered it in a browser on any device,
//! - `who.rs` reads who logs in, and on which server,
//! - `person.rs` asks the person who logs in,
//! - `transport.rs` sends the requests, and `proxy.rs` chooses the proxy,
//! - `stored.rs` stores, refreshes and ends the session,
//! - `account.rs` shows the page where the user manages the account,
//! - `session_file.rs` reads and writes the file of the session,
//! - `failure.rs` is the message if something goes wrong,
//! - `started.rs` reads the command line,
//! - `tour.rs` is the demo, and `demo` is its homeserver.
//!
//! The program writes what it does to standard error, line by line. It writes the result to standard output, last. The
//! exit status is 0 after a success, 1 after a failure, and 2 if the arguments are not valid. If a signal ends the
//! program, the exit status is 128 plus the number of the signal.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    unnameable_types,
    unreachable_pub,
    reason = "a program has no API and does the I/O that the library leaves to it"
)]

#[macro_use]
mod say;

mod account;
mod browser;
mod callback;
mod demo;
mod device;
mod driver;
mod failure;
mod password;
mod person;
mod proxy;
mod session_file;
mod started;
mod stored;
mod tour;
mod transport;
mod who;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgGroup, Parser, builder::NonEmptyStringValueParser};
use matrix_login::{LoginFlow, Session};

use self::{
    demo::homeserver::{PASSWORD, USER},
    device::WithCode,
    driver::Api,
    failure::Failure,
    password::WithPassword,
    person::Person,
    session_file::SessionFile,
    tour::Tour,
    transport::Transport,
    who::User,
};

/// Log in to a homeserver: at a terminal with a browser if the homeserver has OAuth 2.0, otherwise with a password
#[derive(Parser)]
#[command(name = "login", version, group = ArgGroup::new("stored").conflicts_with_all(["user", "demo"]))]
#[expect(clippy::struct_excessive_bools, reason = "they are options of a command line")]
struct Arguments {
    /// User ID to log in as, such as @alice:example.org, or a link to it. With -H, also a user name, an e-mail address
    /// or an international phone number. Without USER, the program asks
    user: Option<String>,

    /// URL of the homeserver, or a server name. Without it, the program finds the homeserver of the user ID
    #[arg(short = 'H', long, value_name = "URL")]
    homeserver_url: Option<String>,

    /// USER is an e-mail address
    #[arg(long, requires = "homeserver_url", conflicts_with_all = ["stored", "demo", "phone"])]
    email: bool,

    /// USER is a phone number as people dial it inside this country. COUNTRY is two letters, such as GB
    #[arg(long, value_name = "COUNTRY", requires = "homeserver_url", conflicts_with_all = ["stored", "demo"])]
    phone: Option<String>,

    /// Log in with a code that you enter in a browser on another device, for a machine without a browser. The
    /// homeserver must have OAuth 2.0. USER can be a server name. With -H, leave USER out
    #[arg(long, conflicts_with_all = ["whoami", "refresh", "logout", "account", "email", "phone", "legacy"])]
    device: bool,

    /// Log in with a password, even if the homeserver has OAuth 2.0. A password from a pipe implies this
    #[arg(long, conflicts_with_all = ["whoami", "refresh", "logout", "account", "demo"])]
    legacy: bool,

    /// Only print the URL, and open no browser. On a machine without a browser, show the URL and not a code
    #[arg(long, conflicts_with_all = ["whoami", "refresh", "logout"])]
    no_browser: bool,

    /// File for the session [default: data.json]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// How long to wait for each response
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "30",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    timeout: u64,

    /// Show a login to a demo homeserver on this machine, then log out. With --data, the session stays in the file.
    /// With --device, the login uses a code. With --no-browser, or if no browser opens, the demo enters the code itself
    #[arg(long, conflicts_with_all = ["user", "homeserver_url"])]
    demo: bool,

    /// Say who is logged in with the stored session
    #[arg(long, group = "stored")]
    whoami: bool,

    /// Refresh the stored session, even if its access token is still valid
    #[arg(long, group = "stored")]
    refresh: bool,

    /// End the stored session, and empty its file
    #[arg(long, group = "stored")]
    logout: bool,

    /// Show the page to manage the account of the stored session. The homeserver must have OAuth 2.0. ACTION is the
    /// part of the page to open, such as profile
    #[arg(
        long,
        group = "stored",
        value_name = "ACTION",
        num_args = 0..=1,
        value_parser = NonEmptyStringValueParser::new()
    )]
    #[expect(clippy::option_option, reason = "the option can come without an action")]
    account: Option<Option<String>>,

    /// Log in again as the user and the device of the stored session, if its tokens are no longer valid
    #[arg(long, group = "stored")]
    again: bool,
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
    let data = || SessionFile::new(arguments.data.clone().unwrap_or_else(|| "data.json".into()));
    let homeserver_url = arguments.homeserver_url.as_deref();
    if arguments.whoami {
        stored::whoami(&data(), homeserver_url, &transport)
    } else if arguments.refresh {
        stored::refresh_now(&data(), homeserver_url, &transport)
    } else if arguments.logout {
        stored::log_out(&data(), homeserver_url, &transport)
    } else if let Some(action) = &arguments.account {
        account::show(&data(), action.as_deref(), homeserver_url, !arguments.no_browser, &transport)
    } else if arguments.again {
        log_in_again(&data(), arguments, &transport)
    } else if arguments.demo {
        show_demo(arguments, &transport)
    } else {
        log_in(&data(), arguments, &transport)
    }
}

fn log_in(file: &SessionFile, arguments: &Arguments, transport: &Transport) -> Result<(), Failure> {
    stored::look_at(file)?;
    let mut person = Person::at_standard_input();
    let session = if arguments.device {
        log_in_with_code(arguments, transport, &mut person)?
    } else {
        log_in_as_user(arguments, transport, &mut person)?
    };
    stored::store(file, &session, None, transport, &mut person)?;
    stored::show_session(&session)
}

fn log_in_as_user(arguments: &Arguments, transport: &Transport, person: &mut Person) -> Result<Session, Failure> {
    let text = match &arguments.user {
        Some(user) => user.clone(),
        None => person.ask("User ID: ", "a user ID")?,
    };
    let user = match &arguments.phone {
        Some(country) => User::phone(country, &text)?,
        None if arguments.email => User::email(&text)?,
        None => User::typed(&text, person)?,
    };
    let api = password::api(arguments.legacy, person);
    let flow = begin(&user, arguments.homeserver_url.as_deref(), api, transport)?;
    driver::log_in(flow, transport, &mut WithPassword::new(user, !arguments.no_browser, person))
}

/// The program needs only the server: the page of the server asks for the user.
fn log_in_with_code(arguments: &Arguments, transport: &Transport, person: &mut Person) -> Result<Session, Failure> {
    let address = match (&arguments.homeserver_url, &arguments.user) {
        (Some(_), Some(_)) => {
            let reason =
                "give the server as USER, or its URL with -H: a code needs no user, since the page asks for the user";
            return Err(Failure(reason.to_owned()));
        }
        (Some(url), None) => who::address(url)?,
        (None, Some(text)) => who::server(text)?,
        (None, None) => who::server(&person.ask("Server: ", "a server name")?)?,
    };
    let flow = driver::at(address, Api::Any, transport)?;
    driver::log_in(flow, transport, &mut WithCode::new(person))
}

fn log_in_again(file: &SessionFile, arguments: &Arguments, transport: &Transport) -> Result<(), Failure> {
    let mut person = Person::at_standard_input();
    let api = if arguments.device { Api::Any } else { password::api(arguments.legacy, &person) };
    let (flow, ended) = stored::again(file, arguments.homeserver_url.as_deref(), api, transport)?;
    let session = if arguments.device {
        driver::log_in(flow, transport, &mut WithCode::new(&mut person))?
    } else {
        let user = User::typed(ended.user_id().as_str(), &mut person)?;
        driver::log_in(flow, transport, &mut WithPassword::new(user, !arguments.no_browser, &mut person))?
    };
    stored::store(file, &session, Some(&ended), transport, &mut person)?;
    stored::show_session(&session)
}

fn show_demo(arguments: &Arguments, transport: &Transport) -> Result<(), Failure> {
    let tour = Tour::begin(arguments.data.clone())?;
    if arguments.device {
        return show_demo_of_code(tour, !arguments.no_browser, transport);
    }
    say!(
        "\n1. Log in with a password. The first one is wrong, to show how a homeserver refuses it. This homeserver then"
    );
    say!("limits the rate of logins: the login waits as long as the homeserver asks for.");
    let mut person = Person::Script(["looking-glass", PASSWORD].into());
    let user = User::typed(USER, &mut person)?;
    let flow = begin(&user, Some(tour.url()), Api::Legacy, transport)?;
    let session = driver::log_in(flow, transport, &mut WithPassword::new(user, false, &mut person))?;
    tour.go_on(&session, "@alice:example.org", transport, &mut person)
}

fn show_demo_of_code(tour: Tour, opens: bool, transport: &Transport) -> Result<(), Failure> {
    say!("\n1. Log in with a code: the user enters it on a page, in a browser on any device. The program asks every");
    say!("second whether that is done, and does not show these requests.");
    let mut person = Person::Script([].into());
    let flow = driver::at(who::address(tour.url())?, Api::Any, transport)?;
    let session = driver::log_in(flow, transport, &mut WithCode::in_demo(&mut person, opens, transport))?;
    tour.go_on(&session, "--device example.org", transport, &mut person)
}

/// Begins at the server in the arguments.
fn begin(user: &User, homeserver_url: Option<&str>, api: Api, transport: &Transport) -> Result<LoginFlow, Failure> {
    match (homeserver_url, &user.server_name) {
        (Some(url), _) => driver::at(who::address(url)?, api, transport),
        (None, Some(server_name)) => Ok(LoginFlow::discover(server_name.clone(), driver::settings(api)?)),
        (None, None) => Err(Failure(format!(
            "{} is not a full user ID: give one, such as @alice:example.org, or the URL of the homeserver with -H",
            user.shown
        ))),
    }
}
