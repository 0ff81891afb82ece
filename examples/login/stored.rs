//! What is done with a session in a file: it is stored there, asked for, refreshed, ended, and begun again.
//!
//! Only one process at a time may refresh a session. [`refresh`] is how several keep to that: it needs the file's lock,
//! reads the file again, and stores what was granted before anybody uses it.

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

/// How long before its end an access token counts as expired: a request takes its time.
const MARGIN: Duration = Duration::from_secs(10);

/// Says the result on standard output. What was done is done: this comes last.
pub fn show(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{}", one_line(line))
        .map_err(|error| Failure(format!("standard output cannot be written: {error}")))
}

/// Says who is logged in.
pub fn show_session(session: &Session) -> Result<(), Failure> {
    show(&format!("logged in as {} with device ID {}", session.user_id(), session.device_id()))
}

// A new one.

/// Looks before anything is sent or asked.
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

/// Begins where the stored session ended: with its user, its homeserver and its device.
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

/// Stores what was granted, in place of another session or of none. Somebody at a terminal can make room for it first.
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
                person.confirm("The session is not lost yet. Make room for it, then press Enter to try again. ")?;
            }
            Err(error) => {
                let (user_id, ended) = (session.user_id(), end(session, transport));
                return Err(Failure(format!("logged in as {user_id}, but {error}; {ended}")));
            }
        }
    }
}

/// Logs out a session that nobody will use, and says what came of it.
pub fn end(session: &Session, transport: &Transport) -> String {
    let device_id = session.device_id();
    match send(Session::logout_request, session, transport).map(|response| session.handle_logout(&response)) {
        Ok(Ok(_)) => format!("its device {device_id} is logged out again"),
        _ => format!("log its device {device_id} out with another client"),
    }
}

// One that is there.

/// Says who the homeserver thinks it is.
pub fn whoami(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let mut session = load(file, homeserver_url, transport)?;
    let response = send_refreshed(whoami_request, &mut session, transport, |session| {
        let locked = file.lock()?;
        refresh(&locked, session, transport)
    })?;
    let answer = whoami::response(&response).map_err(|error| refused(&error, session.judge(&response)))?;
    let who = if answer.is_guest { "the guest " } else { "" };
    let device = match answer.device_id {
        Some(device_id) => format!("with device ID {device_id}"),
        None => "without a device".to_owned(),
    };
    show(&format!("logged in as {who}{} {device}", answer.user_id))
}

fn whoami_request(session: &Session) -> Result<Request<Vec<u8>>, SessionError> {
    let homeserver = session.homeserver().ok_or(SessionError::UnknownHomeserver)?;
    Ok(whoami::request(homeserver, session.access_token()))
}

/// Refreshes the session now, whether or not it is time.
pub fn refresh_now(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let mut session = load(file, homeserver_url, transport)?;
    if let Some(error) = refresh(&file.lock()?, &mut session, transport)? {
        return Err(Failure(cannot_be_refreshed(&error)));
    }
    if let Some(left) = session.refresh_in(SystemTime::now(), Duration::ZERO) {
        say!("its access token is valid for {}", in_words(left));
    }
    show_session(&session)
}

/// Ends the session, and leaves the file as if there had been none.
pub fn log_out(file: &SessionFile, homeserver_url: Option<&str>, transport: &Transport) -> Result<(), Failure> {
    let nobody = format!("nobody is logged in in {}", file.path().display());
    // Once: another process may log out at any time.
    let stored = file.session()?;
    if stored.is_none() && file.path().exists() {
        return show(&nobody);
    }
    let mut session = located(stored, file, homeserver_url, transport)?;
    // Until the end, so that nobody refreshes what is ended here.
    let locked = file.lock()?;
    if locked.session()?.is_none() {
        return show(&nobody);
    }
    session = reload(&locked, &session)?;
    let response = if session.is_oauth() {
        // The refresh token is what is revoked: the access token need not be valid.
        let request = session.logout_request().map_err(|error| {
            // Nothing here can end it. The user can, and the file is of no use then.
            Failure(format!("{error}; then delete {}", file.path().display()))
        })?;
        transport.ask(request)?
    } else {
        send_refreshed(Session::logout_request, &mut session, transport, |session| {
            refresh(&locked, session, transport)
        })?
    };
    // The verdict is on an access token, which a revocation does not send.
    let verdict = if session.is_oauth() { Verdict::Unaffected } else { session.judge(&response) };
    let answer = match session.handle_logout(&response) {
        // An access token that is not known may only have expired: as long as there is a refresh token, it is not over.
        Ok(answer) => match verdict {
            Verdict::Refresh { delay } => return Err(Failure(granted_and_refused(delay))),
            _ => answer,
        },
        Err(error) => return Err(refused(&error, verdict)),
    };
    let when = if answer.already_logged_out { "had been logged out before" } else { "is logged out" };
    let line = format!("{} with device ID {} {when}", session.user_id(), session.device_id());
    locked.clear().map_err(|error| Failure(format!("{line}, but {error}")))?;
    show(&line)
}

/// Sends a request of the session's, which is refreshed if it is time, or if the homeserver says that it is.
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
    // It is time by our clock, which may be wrong: whatever came of it, the homeserver may take the access token yet.
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
            // If it cannot be refreshed, that was the homeserver's last word.
            if session.has_token_of(&used) {
                return Ok(response);
            }
            send(request, session, transport)
        }
        Some(Ok(())) => Ok(response),
        Some(Err(failure)) => Err(failure),
    }
}

/// The delay is the library's: it grows if the homeserver does this again.
fn granted_and_refused(delay: Duration) -> String {
    let when = in_words(delay);
    format!(
        "the homeserver does not know the access token that it has just granted: try again in {when}, or log in again \
         with --again"
    )
}

fn cannot_be_refreshed(error: &ServerError) -> String {
    format!("{error}; the session cannot be refreshed, and ends with its access token")
}

/// Refreshes the stored session, unless another process has done so since this one was read. Returns the homeserver's
/// words if it cannot be refreshed any more, while its access token may live on.
fn refresh(
    file: &Locked<'_>,
    session: &mut Session,
    transport: &Transport,
) -> Result<Option<Box<ServerError>>, Failure> {
    let stored = reload(file, session)?;
    let seen = std::mem::replace(session, stored);
    if !session.has_token_of(&seen) {
        say!("another process has refreshed the session meanwhile");
        return Ok(None);
    }
    if session.refresh_token().is_none() {
        let problem = "the homeserver gave no refresh token: there is nothing to refresh this session with";
        return Err(Failure(problem.to_owned()));
    }
    let request = session.refresh_request()?;
    // Not every homeserver takes a refresh token again if the response is lost.
    file.check_writable()?;
    let response = transport.ask(request)?;
    let mut next = session.clone();
    match next.handle_refresh(&response, SystemTime::now()) {
        Refresh::Refreshed => {
            // Stored before it is used: its first use spends the refresh token that is in the file.
            file.store(&next, Some(session)).map_err(|error| {
                Failure(format!("{error}; the session stays as it was, if its refresh token is taken again"))
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

/// The session in the file, with a homeserver, which the chapter's own client does not always write.
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
        let problem = if file.path().exists() { "nobody is logged in in" } else { "there is no" };
        return Err(Failure(format!("{problem} {path}: log in first")));
    };
    let given = homeserver_url.map(who::address).transpose()?;
    match (session.homeserver(), given) {
        (Some(known), Some(given)) if given != ServerAddress::Homeserver(known.clone()) => {
            // A mistyped address must not get a token.
            return Err(Failure(format!("the session in {path} is of {known}: leave -H out")));
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

/// The session as the file has it now, with the homeserver that was found for it.
fn reload(file: &Locked<'_>, seen: &Session) -> Result<Session, Failure> {
    let mut session = file.session()?.ok_or_else(|| Failure("another process has logged out".to_owned()))?;
    if session.user_id() != seen.user_id() || session.device_id() != seen.device_id() {
        let user_id = session.user_id();
        return Err(Failure(format!("another process has logged in as {user_id} meanwhile")));
    }
    if let (None, Some(homeserver)) = (session.homeserver(), seen.homeserver()) {
        session.set_homeserver(homeserver.clone());
    }
    Ok(session)
}

/// Sends a request of the session's.
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
        Verdict::Unaffected | Verdict::NotMatrix => "the session stays as it is".to_owned(),
        Verdict::Refresh { delay } => granted_and_refused(delay),
        Verdict::SoftLogout => "the session has expired: log in again with --again".to_owned(),
        Verdict::LoggedOut => "the session is over: empty its file with --logout, and then log in".to_owned(),
        Verdict::Locked => "the session stays: try again when the account is unlocked".to_owned(),
    };
    let delay = error.retry_after().and_then(|retry_after| retry_after.delay(SystemTime::now()));
    let when = delay.map(|delay| format!(": try again in {}", in_words(delay)));
    Failure(format!("{error}; {advice}{}", when.unwrap_or_default()))
}
