//! Works with a session in a file: stores it, shows who is logged in, refreshes it, ends it, and logs in again.
//!
//! Only one process at a time may refresh a session. [`refresh`] makes sure of this: it needs the lock of the file,
//! reads the file again, and stores the new tokens before they are used.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{
    LoginFlow, Refresh, ResponseError, ServerAddress, ServerError, Session, SessionError, Verdict, endpoint::whoami,
    one_line,
};

use crate::{
    driver::{self, Api},
    failure::Failure,
    person::Person,
    say::in_words,
    session_file::{Locked, SessionFile},
    transport::Transport,
    who,
};

/// How long before its end an access token is treated as expired, since a request takes time.
const MARGIN: Duration = Duration::from_secs(10);

/// Prints the result on standard output. This comes last, so that a failure here undoes nothing.
pub fn show(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{}", one_line(line))
        .map_err(|error| Failure(format!("standard output cannot be written: {error}")))
}

/// Says who is logged in.
pub fn show_session(session: &Session) -> Result<(), Failure> {
    show(&format!("logged in as {} with device ID {}", session.user_id(), session.device_id()))
}

// A new session.

/// Checks the file, before the program sends or asks anything.
pub fn look_at(file: &SessionFile) -> Result<(), Failure> {
    if let Some(session) = file.session()? {
        let path = file.path().display();
        let user_id = session.user_id();
        return Err(Failure(format!(
            "already logged in as {user_id} in {path}; name another file with --data to log in once more"
        )));
    }
    Ok(file.check_writable()?)
}

/// Begins a login with the user, the homeserver and the device of the stored session.
pub fn again(
    file: &SessionFile,
    homeserver_url: Option<&str>,
    api: Api,
    transport: &Transport,
) -> Result<(LoginFlow, Session), Failure> {
    let session = load(file, homeserver_url, transport)?;
    file.check_writable()?;
    Ok((LoginFlow::again(&session, driver::settings(api)?), session))
}

/// Stores the new session, in place of another session or of none. If this fails, a user at a terminal can make room
/// for the file first.
pub fn store(
    file: &SessionFile,
    session: &Session,
    replaced: Option<&Session>,
    transport: &Transport,
    person: &mut Person,
) -> Result<(), Failure> {
    if session.expires_at().is_some() && session.refresh_token().is_none() {
        say!("this session ends when its access token expires: the homeserver gave no refresh token");
    }
    loop {
        match file.lock().and_then(|locked| locked.store(session, replaced)) {
            Ok(path) => {
                say!("stored the session in {}", path.display());
                return Ok(());
            }
            Err(error) if person.can_be_asked_again() => {
                say!("{}", Failure::from(error));
                person.confirm("The session is not lost. Make room for the file, then press Enter to try again. ")?;
            }
            Err(error) => {
                let (user_id, ended) = (session.user_id(), end(session, transport));
                return Err(Failure(format!("logged in as {user_id}, but {error}; {ended}")));
            }
        }
    }
}

/// Logs out a session that cannot be used. Returns the result in words.
pub fn end(session: &Session, transport: &Transport) -> String {
    let device_id = session.device_id();
    match send(Session::logout_request, session, transport).map(|response| session.handle_logout(&response)) {
        Ok(Ok(_)) => format!("its device {device_id} is logged out again"),
        _ => format!("log its device {device_id} out with another client"),
    }
}

// An existing session.

/// Asks the homeserver who is logged in, and prints it.
pub fn whoami(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let mut session = load(file, homeserver_url, transport)?;
    let response = send_refreshed(whoami_request, &mut session, transport, |session| {
        let locked = file.lock()?;
        refresh(&locked, session, transport)
    })?;
    let owner = whoami::response(&response).map_err(|error| refused(&error, session.judge(&response)))?;
    let who = if owner.is_guest { "the guest " } else { "" };
    let device = match owner.device_id {
        Some(device_id) => format!("with device ID {device_id}"),
        None => "without a device".to_owned(),
    };
    show(&format!("logged in as {who}{} {device}", owner.user_id))
}

fn whoami_request(session: &Session) -> Result<Request<Vec<u8>>, SessionError> {
    let homeserver = session.homeserver().ok_or(SessionError::UnknownHomeserver)?;
    Ok(whoami::request(homeserver, session.access_token()))
}

/// Refreshes the session now, even if its access token is still valid.
pub fn refresh_now(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let mut session = load(file, homeserver_url, transport)?;
    if let Some(error) = refresh(&file.lock()?, &mut session, transport)? {
        return Err(Failure(cannot_be_refreshed(&error)));
    }
    if let Some(left) = session.refresh_in(SystemTime::now(), Duration::ZERO) {
        say!("the access token is valid for {}", in_words(left));
    }
    show_session(&session)
}

/// Ends the session, and empties the file.
pub fn log_out(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let no_session = format!("{} contains no session", file.path().display());
    // This reads the file only once, since another process can log out at any time.
    let stored = file.session()?;
    if stored.is_none() && file.path().exists() {
        return show(&no_session);
    }
    let mut session = located(stored, file, homeserver_url, transport)?;
    // The lock lasts until the end, so that no other process refreshes the session.
    let locked = file.lock()?;
    if locked.session()?.is_none() {
        return show(&no_session);
    }
    session = reload(&locked, &session)?;
    let response = if session.is_oauth() {
        // This revokes the refresh token, so the access token need not be valid.
        let request = session.logout_request().map_err(|error| {
            // The program cannot end the session, but the user can. After that, the file has no more use.
            Failure(format!("{error}; then delete {}", file.path().display()))
        })?;
        transport.ask(request)?
    } else {
        send_refreshed(Session::logout_request, &mut session, transport, |session| {
            refresh(&locked, session, transport)
        })?
    };
    // A verdict is about an access token, and a revocation does not send one.
    let verdict = if session.is_oauth() { Verdict::Unaffected } else { session.judge(&response) };
    let ended = match session.handle_logout(&response) {
        // An unknown access token might only have expired: with a refresh token, the session has not ended.
        Ok(ended) => match verdict {
            Verdict::Refresh { delay } => return Err(Failure(granted_and_refused(delay))),
            _ => ended,
        },
        Err(error) => return Err(refused(&error, verdict)),
    };
    let when = if ended.already_logged_out { "was already logged out" } else { "is logged out" };
    let line = format!("{} with device ID {} {when}", session.user_id(), session.device_id());
    locked.clear().map_err(|error| Failure(format!("{line}, but {error}")))?;
    show(&line)
}

/// Sends a request of the session. Refreshes the session first if its access token expires soon, or if the homeserver
/// says that it has expired.
fn send_refreshed(
    request: fn(&Session) -> Result<Request<Vec<u8>>, SessionError>,
    session: &mut Session,
    transport: &Transport,
    mut refresh: impl FnMut(&mut Session) -> Result<Option<Box<ServerError>>, Failure>,
) -> Result<Response<Vec<u8>>, Failure> {
    let mut go_on = |session: &mut Session| {
        if let Some(error) = refresh(session)? {
            say!("{}", one_line(&cannot_be_refreshed(&error)));
        }
        Ok(())
    };
    let is_time = session.refresh_in(SystemTime::now(), MARGIN).is_some_and(|left| left.is_zero());
    let first = if is_time { Some(go_on(session)) } else { None };
    // The clock of this machine can be wrong. So even if the refresh failed, the homeserver can accept the access
    // token.
    let response = send(request, session, transport)?;
    match first {
        first if !matches!(session.judge(&response), Verdict::Refresh { .. }) => {
            if let Some(Err(failure)) = first {
                say!("{failure}");
            }
            Ok(response)
        }
        None => {
            let used = session.clone();
            go_on(session)?;
            // If the session cannot be refreshed, the response of the homeserver is final.
            if session.has_token_of(&used) {
                return Ok(response);
            }
            send(request, session, transport)
        }
        Some(Ok(())) => Ok(response),
        Some(Err(failure)) => Err(failure),
    }
}

/// The delay comes from the library. It grows if the homeserver refuses the next new token too.
fn granted_and_refused(delay: Duration) -> String {
    let when = in_words(delay);
    format!(
        "the homeserver does not know the access token that it has just granted: try again in {when}, or log in again \
         with --again"
    )
}

fn cannot_be_refreshed(error: &ServerError) -> String {
    format!("{error}; the session cannot be refreshed, and ends when its access token expires")
}

/// Refreshes the stored session, unless another process has already done so. If the session can no longer be refreshed,
/// returns the error of the homeserver. Then the access token might still be valid.
fn refresh(
    file: &Locked<'_>,
    session: &mut Session,
    transport: &Transport,
) -> Result<Option<Box<ServerError>>, Failure> {
    let stored = reload(file, session)?;
    let seen = std::mem::replace(session, stored);
    if !session.has_token_of(&seen) {
        say!("another process has already refreshed the session");
        return Ok(None);
    }
    if session.refresh_token().is_none() {
        let problem = "the homeserver gave no refresh token: this session cannot be refreshed";
        return Err(Failure(problem.to_owned()));
    }
    let request = session.refresh_request()?;
    // Some homeservers accept a refresh token only once. So the file must be writable before the request.
    file.check_writable()?;
    let response = transport.ask(request)?;
    let mut next = session.clone();
    match next.handle_refresh(&response, SystemTime::now()) {
        Refresh::Refreshed => {
            // The new tokens are stored before they are used: after the first use, the refresh token in the file is no
            // longer valid.
            file.store(&next, Some(session)).map_err(|error| {
                Failure(format!("{error}; the old session is valid only if its refresh token is accepted again"))
            })?;
            *session = next;
            Ok(None)
        }
        Refresh::TokenGone(error) | Refresh::Unsupported(error) => {
            session.forget_refresh_token();
            Ok(Some(error))
        }
        Refresh::Later { error, .. } => Err(refused(&error, Verdict::Unaffected)),
        Refresh::SoftLogout(error) => Err(refused(&ResponseError::Server(error), Verdict::SoftLogout)),
        Refresh::Locked(error) => Err(refused(&ResponseError::Server(error), Verdict::Locked)),
    }
}

/// The session in the file, with its homeserver. The client of the chapter does not always store the homeserver.
pub fn load(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<Session, Failure> {
    located(file.session()?, file, homeserver_url, transport)
}

/// The session that was read from a file, with its homeserver.
fn located(
    stored: Option<Session>,
    file: &SessionFile,
    homeserver_url: Option<&str>,
    transport: &Transport,
) -> Result<Session, Failure> {
    let path = file.path().display();
    let Some(mut session) = stored else {
        let problem = if file.path().exists() { "contains no session" } else { "does not exist" };
        return Err(Failure(format!("{path} {problem}: log in first")));
    };
    let given = homeserver_url.map(who::address).transpose()?;
    match (session.homeserver(), given) {
        (Some(known), Some(given)) if given != ServerAddress::Homeserver(known.clone()) => {
            // A token must not be sent to a mistyped address.
            return Err(Failure(format!("the session in {path} belongs to {known}: leave -H out")));
        }
        (Some(_), _) => {}
        (None, Some(ServerAddress::Homeserver(given))) => {
            driver::check(&given, driver::CHECK_THE_URL, transport)?;
            session.set_homeserver(given);
        }
        (None, Some(ServerAddress::ServerName(given))) => {
            session.set_homeserver(driver::find(&given, transport)?);
        }
        (None, None) => {
            let homeserver = driver::find(&session.user_id().server_name(), transport)?;
            session.set_homeserver(homeserver);
        }
    }
    Ok(session)
}

/// The session that is in the file now, with the homeserver that was already found.
fn reload(file: &Locked<'_>, seen: &Session) -> Result<Session, Failure> {
    let mut session = file.session()?.ok_or_else(|| Failure("another process has logged out".to_owned()))?;
    if session.user_id() != seen.user_id() || session.device_id() != seen.device_id() {
        let user_id = session.user_id();
        return Err(Failure(format!("another process has logged in as {user_id} in the meantime")));
    }
    if let (None, Some(homeserver)) = (session.homeserver(), seen.homeserver()) {
        session.set_homeserver(homeserver.clone());
    }
    Ok(session)
}

/// Sends a request of the session.
fn send(
    request: fn(&Session) -> Result<Request<Vec<u8>>, SessionError>,
    session: &Session,
    transport: &Transport,
) -> Result<Response<Vec<u8>>, Failure> {
    transport.ask(request(session)?)
}

/// What an error means for the session, and what to do.
pub fn refused(error: &ResponseError, verdict: Verdict) -> Failure {
    let advice = match verdict {
        Verdict::Unaffected | Verdict::NotMatrix => "the session stays unchanged".to_owned(),
        Verdict::Refresh { delay } => granted_and_refused(delay),
        Verdict::SoftLogout => "the session has expired: log in again with --again".to_owned(),
        Verdict::LoggedOut => "the session has ended: empty its file with --logout, then log in".to_owned(),
        Verdict::Locked => "the session stays: try again when the account is unlocked".to_owned(),
    };
    let delay = error.retry_after().and_then(|retry_after| retry_after.delay(SystemTime::now()));
    let when = delay.map(|delay| format!(": try again in {}", in_words(delay)));
    Failure(format!("{error}; {advice}{}", when.unwrap_or_default()))
}
