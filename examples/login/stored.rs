//! What is done with a session in a file: it is stored there, asked for, refreshed, ended, and begun again.
//!
//! A refresh token may be used once. [`refresh`] is how several processes keep to that: it locks the file, reads it again,
//! and stores what it was given before anybody uses it.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{
    AccessToken, Error, Homeserver, LoginFlow, Refresh, Session, UserId, Verdict,
    endpoint::{logout, whoami},
};

use crate::{
    driver::{self, Failure},
    person::Person,
    session_file::{Locked, SessionFile},
    transport::Transport,
};

/// How long before its end an access token counts as expired: a request takes its time.
const MARGIN: Duration = Duration::from_secs(10);

/// Says the last line on standard output.
pub fn show(line: &str) {
    // What was done is done, whether or not somebody reads this.
    let _ = writeln!(io::stdout(), "{}", Failure::one_line(line));
}

/// Says who is logged in.
pub fn show_session(session: &Session) {
    show(&format!("logged in as {} with device ID {}", session.user_id(), session.device_id()));
}

// A new one.

/// Looks before anything is sent or asked.
pub fn look_at(file: &SessionFile) -> Result<(), Failure> {
    if let Some(session) = file.session()? {
        let path = file.path().display();
        let user_id = session.user_id();
        return Err(Failure::Other(format!(
            "already logged in as {user_id} in {path}; name another file with --data to log in once more"
        )));
    }
    Ok(file.check_writable()?)
}

/// Stores what was granted. Somebody at a terminal can make room for it first.
pub fn store(file: &SessionFile, session: &Session, transport: &Transport, person: &mut Person) -> Result<(), Failure> {
    if session.expires_at().is_some() && session.refresh_token().is_none() {
        say!("this session ends when its access token expires: the homeserver gave no refresh token");
    }
    loop {
        match file.lock().and_then(|locked| locked.store(session)) {
            Ok(path) => {
                say!("stored the session in {}", path.display());
                return Ok(());
            }
            Err(error) if person.can_be_asked_again() => {
                say!("{}", Failure::from(error));
                person.confirm("The session is not lost yet. Make room for it, then press Enter to try again. ")?;
            }
            Err(error) => {
                let (user_id, ended) = (session.user_id(), end(session, transport));
                return Err(Failure::Other(format!("logged in as {user_id}, but {error}; {ended}")));
            }
        }
    }
}

/// Logs out a session that nobody will use, and says what came of it.
pub fn end(session: &Session, transport: &Transport) -> String {
    let device_id = session.device_id();
    let response = session.homeserver().map(|homeserver| {
        let response = transport.send(logout::request(homeserver, session.access_token()));
        response.is_ok_and(|response| logout::response(&response).is_ok())
    });
    match response {
        Some(true) => format!("its device {device_id} is logged out again"),
        _ => format!("log its device {device_id} out with another client"),
    }
}

/// Begins where the stored session ended: with its user, its homeserver and its device.
pub fn again(file: &SessionFile) -> Result<(LoginFlow, UserId), Failure> {
    let session = file.session()?.ok_or_else(|| nobody(file))?;
    file.check_writable()?;
    Ok((LoginFlow::again(&session, driver::settings()?), session.user_id().clone()))
}

// One that is there.

/// Says who the homeserver thinks it is.
pub fn whoami(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let mut session = load(file, homeserver_url, transport)?;
    let is_time = is_time_to_refresh(&session);
    if is_time {
        session = refresh(&file.lock()?, &session, transport)?;
    }
    let mut response = send(whoami::request, &session, transport)?;
    // The homeserver's clock counts, not ours.
    if session.judge(&response) == Verdict::Refresh && !is_time {
        session = refresh(&file.lock()?, &session, transport)?;
        response = send(whoami::request, &session, transport)?;
    }
    let answer = match whoami::response(&response) {
        Ok(answer) => answer,
        Err(error) => return Err(refused(&error, session.judge(&response))),
    };
    let who = if answer.is_guest { "the guest " } else { "" };
    let device = match answer.device_id {
        Some(device_id) => format!("with device ID {device_id}"),
        None => "without a device".to_owned(),
    };
    show(&format!("logged in as {who}{} {device}", answer.user_id));
    Ok(())
}

/// Refreshes the session now, whether or not it is time.
pub fn refresh_now(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let session = load(file, homeserver_url, transport)?;
    let session = refresh(&file.lock()?, &session, transport)?;
    if let Some(left) = session.refresh_in(SystemTime::now(), Duration::ZERO) {
        say!("its access token is good for {}", driver::in_words(left));
    }
    show_session(&session);
    Ok(())
}

/// Ends the session, and leaves the file as if there had been none.
pub fn log_out(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let seen = load(file, homeserver_url, transport)?;
    // Until the end, so that nobody refreshes what is ended here.
    let locked = file.lock()?;
    let mut session = reload(&locked, &seen)?;
    if is_time_to_refresh(&session) {
        match refresh(&locked, &session, transport) {
            Ok(refreshed) => session = refreshed,
            // Some homeservers, such as Synapse, let a token that has expired log out.
            Err(failure) => say!("{failure}"),
        }
    }
    let mut response = send(logout::request, &session, transport)?;
    if session.judge(&response) == Verdict::Refresh && logout::response(&response).is_err() {
        session = refresh(&locked, &session, transport)?;
        response = send(logout::request, &session, transport)?;
    }
    let answer = match logout::response(&response) {
        Ok(answer) => answer,
        Err(error) => return Err(refused(&error, session.judge(&response))),
    };
    let when = if answer.already_logged_out { "had been logged out before" } else { "is logged out" };
    let line = format!("{} with device ID {} {when}", session.user_id(), session.device_id());
    locked.clear().map_err(|error| Failure::Other(format!("{line}, but {error}")))?;
    show(&line);
    Ok(())
}

fn is_time_to_refresh(session: &Session) -> bool {
    session.refresh_in(SystemTime::now(), MARGIN).is_some_and(|left| left.is_zero())
}

/// Refreshes the stored session, unless another process has done so since this one was seen.
fn refresh(file: &Locked<'_>, seen: &Session, transport: &Transport) -> Result<Session, Failure> {
    let mut session = reload(file, seen)?;
    if session.access_token().expose() != seen.access_token().expose() {
        say!("another process has refreshed the session meanwhile");
        return Ok(session);
    }
    let request = session.refresh_request()?;
    let uri = request.uri().clone();
    let response = transport.send(request).map_err(|error| driver::no_answer(&uri, &error))?;
    let received_at = SystemTime::now();
    match session.handle_refresh(&response, received_at) {
        Refresh::Refreshed => {
            // Stored before it is used: its first use spends the refresh token that is in the file.
            let unused = |error| Failure::Other(format!("{error}; the session stays as it is"));
            file.store(&session).map_err(unused)?;
            Ok(session)
        }
        Refresh::Later(error) => {
            let wait = if let Error::Server(error) = &error { error.retry_after } else { None };
            let when = wait.map(|wait| format!(": try again in {}", driver::in_words(wait.delay(received_at))));
            Err(Failure::Other(format!("{error}; the session stays as it is{}", when.unwrap_or_default())))
        }
        Refresh::SoftLogout(error) => Err(refused(&error, Verdict::SoftLogout)),
        Refresh::Gone(error) => Err(refused(&error, Verdict::Gone)),
        Refresh::Locked(error) => Err(refused(&error, Verdict::Locked)),
        Refresh::Unsupported(error) => {
            Err(Failure::Other(format!("{error}; the homeserver refreshes no sessions: log in again with --again")))
        }
    }
}

/// The session in the file, with a homeserver, which the chapter's own client does not always write.
fn load(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<Session, Failure> {
    let mut session = file.session()?.ok_or_else(|| nobody(file))?;
    let given = homeserver_url.map(str::parse::<Homeserver>).transpose()?;
    match (session.homeserver(), given) {
        (Some(known), Some(given)) if *known != given => {
            // Whoever mistypes an address must not send a token there.
            return Err(Failure::Other(format!(
                "the session in {} is of {known}: leave -H out",
                file.path().display()
            )));
        }
        (Some(_), _) => {}
        (None, Some(given)) => {
            driver::check(&given, transport)?;
            session.set_homeserver(given);
        }
        (None, None) => {
            let homeserver = driver::find(session.user_id().server_name(), transport)?;
            session.set_homeserver(homeserver);
        }
    }
    Ok(session)
}

/// The session as the file has it now, with the homeserver that was found for it.
fn reload(file: &Locked<'_>, seen: &Session) -> Result<Session, Failure> {
    let mut session = file.session()?.ok_or_else(|| Failure::Other("another process has logged out".to_owned()))?;
    if let (None, Some(homeserver)) = (session.homeserver(), seen.homeserver()) {
        session.set_homeserver(homeserver.clone());
    }
    Ok(session)
}

/// Sends a request of the session's.
fn send(
    request: fn(&Homeserver, &AccessToken) -> Request<Vec<u8>>,
    session: &Session,
    transport: &Transport,
) -> Result<Response<Vec<u8>>, Failure> {
    let homeserver = session.homeserver().ok_or_else(|| Failure::Other("no homeserver is known".to_owned()))?;
    let request = request(homeserver, session.access_token());
    let uri = request.uri().clone();
    transport.send(request).map_err(|error| driver::no_answer(&uri, &error))
}

/// What an error means for the session, and what to do.
fn refused(error: &dyn std::error::Error, verdict: Verdict) -> Failure {
    let advice = match verdict {
        Verdict::Unaffected | Verdict::NotMatrix => "the session stays as it is",
        Verdict::Refresh | Verdict::SoftLogout => "the session has expired: log in again with --again",
        Verdict::Gone => "the session is over: log in again with --again",
        Verdict::Locked => "the session stays: try again when the account is unlocked",
    };
    Failure::Other(format!("{error}; {advice}"))
}

fn nobody(file: &SessionFile) -> Failure {
    Failure::Other(format!("nobody is logged in in {}: log in first", file.path().display()))
}
