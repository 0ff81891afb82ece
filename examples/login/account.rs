//! Shows the page where the user manages the account. The OAuth 2.0 server of the homeserver has this page, for
//! sessions of both APIs. The program sends no token to find the page.

use std::io::{self, IsTerminal};

use http::StatusCode;
use matrix_login::{
    Homeserver, ResponseError, Session, SessionError, Verdict,
    endpoint::oauth::auth_metadata::{self, AuthMetadata},
};
use serde_json::Value;
use url::Url;

use crate::{browser, failure::Failure, person::Person, session_file::SessionFile, stored, transport::Transport};

/// Prints the URL of the page, for an action or without one. At a terminal, asks whether to open the page.
pub fn show(
    file: &SessionFile,
    action: Option<&str>,
    homeserver_url: Option<&str>,
    opens: bool,
    transport: &Transport,
) -> Result<(), Failure> {
    let session = stored::load(file, homeserver_url, transport)?;
    let homeserver = session.homeserver().ok_or(SessionError::UnknownHomeserver)?;
    let metadata = metadata(homeserver, transport)?;
    let url = metadata
        .account_management_url(action, Some(session.device_id()))
        .ok_or_else(|| without_page(homeserver, &metadata, action))?;
    if session.is_oauth() && has_other_issuer(&session, &metadata) {
        say!("this page belongs to another OAuth 2.0 server than the one that granted the session");
    }
    open(&url, homeserver, opens)?;
    stored::show(url.as_str())
}

/// Asks the homeserver for the metadata of its OAuth 2.0 server.
fn metadata(homeserver: &Homeserver, transport: &Transport) -> Result<AuthMetadata, Failure> {
    let response = transport.ask(auth_metadata::request(homeserver))?;
    match auth_metadata::response(homeserver, &response) {
        Ok(Some(metadata)) => Ok(metadata),
        // Some servers without the API respond with a page, and not with an error of the Matrix API.
        Ok(None) | Err(ResponseError::NotMatrix { status: StatusCode::NOT_FOUND, .. }) => Err(Failure(format!(
            "the homeserver {homeserver} has no OAuth 2.0, so it has no page to manage an account"
        ))),
        Err(error) => Err(stored::refused(&error, Verdict::Unaffected)),
    }
}

/// Why the metadata contain no page, and what to do.
fn without_page(homeserver: &Homeserver, metadata: &AuthMetadata, action: Option<&str>) -> Failure {
    let Some(action) = action.filter(|_| metadata.account_management_uri.is_some()) else {
        return Failure(format!("the homeserver {homeserver} has no https page to manage an account"));
    };
    let listed = metadata.other.get("account_management_actions_supported");
    let names = listed.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let names = names.collect::<Vec<_>>().join(", ");
    let offered = if names.is_empty() { "no actions: leave the action out" } else { &names };
    Failure(format!("the account page does not offer the action {action}; it offers {offered}"))
}

/// Whether the homeserver has moved to another OAuth 2.0 server, which does not know the session.
fn has_other_issuer(session: &Session, metadata: &AuthMetadata) -> bool {
    matches!(session.clone().set_auth_metadata(metadata), Err(SessionError::OtherIssuer))
}

/// Opens the page. A homeserver can name any page, so this shows the host and asks the user first.
fn open(url: &Url, homeserver: &Homeserver, opens: bool) -> Result<(), Failure> {
    let homeserver = Url::parse(homeserver.as_str())?;
    say!("you manage your account at {} for the homeserver {}", url.authority(), homeserver.authority());
    let mut person = Person::at_standard_input();
    // If another program reads the URL, that program decides what to do with it.
    let is_watched = person.can_answer_yes_or_no() && io::stdout().is_terminal();
    if opens && is_watched && person.confirms(browser::QUESTION)? && !browser::opens(url) {
        say!("{}", browser::NOT_OPENED);
    }
    Ok(())
}
