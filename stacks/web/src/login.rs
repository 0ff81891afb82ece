//! A login: it begins with a homeserver, waits for the browser in the store, and ends with a session.

use std::time::Duration;

use matrix_login::{
    Choice, CodeVerifier, DriveError, Error, Homeserver, InvalidInput, LoginFlow, LoginSettings, OAuthClient, Redirect,
    ServerAddress, Session, Step, Suspended, Typed, drive, endpoint::callback,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    failure::Failure,
    outgoing::{Outgoing, OutgoingError},
    random::random,
    store::Store,
};

const OVER: &str = "this login was finished already, or it took too long; begin again";

#[derive(Clone)]
pub struct Logins {
    pub outgoing: Outgoing,
    pub store: Store,
    pub client: OAuthClient,
    /// The address that the browser comes back to.
    pub callback: Url,
    /// How long a person may take in the browser.
    pub time_to_live: Duration,
}

/// A login that waits in the store, under its state.
#[derive(Serialize, Deserialize)]
struct Waiting {
    browser: String,
    suspended: Suspended,
}

impl Logins {
    /// Begins a login. Returns the homeserver, and the page where the person logs in.
    pub async fn begin(&self, typed: &str, browser: &str) -> Result<(Homeserver, Url), Failure> {
        let settings = LoginSettings::default()
            .with_oauth(self.client.clone())
            .with_device_id(random::<12>()?)?
            .with_initial_device_display_name(self.callback.host_str().unwrap_or_default())
            // The application only shows the session and logs it out. So it never refreshes the session.
            .with_refresh_tokens(false)
            .with_require_refresh_token(false);
        let mut flow = match ServerAddress::try_from(&typed.parse::<Typed>()?)? {
            ServerAddress::Homeserver(homeserver) => LoginFlow::at(homeserver, settings),
            ServerAddress::ServerName(server_name) => LoginFlow::discover(server_name, settings),
        };
        let mut outgoing = self.outgoing.clone();
        let state = random::<32>()?;
        // The parameters must reach this program, so they cannot be in the fragment.
        let redirect = Redirect::new(&self.callback, &*state)?.in_query();
        let choice = match drive(&mut flow, &mut outgoing).await? {
            Step::Choose { oauth: Some(metadata), .. } if metadata.offers_authorization_code() => {
                Choice::authorization_code(redirect, CodeVerifier::new(random::<32>()?)?)
            }
            Step::Choose { login_types, .. } if login_types.contains("m.login.sso") => Choice::sso(redirect),
            Step::Choose { .. } => {
                return Err(Failure::of_homeserver("this homeserver has no login in the browser"));
            }
            step => return Err(unexpected(&step)),
        };
        flow.choose(choice)?;
        let url = match drive(&mut flow, &mut outgoing).await? {
            Step::Browse(url) => url.clone(),
            step => return Err(unexpected(&step)),
        };
        let (Some(suspended), Some(homeserver)) = (flow.suspend(), flow.homeserver()) else {
            return Err(Failure::of_program("a login that waits for the browser cannot be suspended"));
        };
        let waiting = serde_json::to_string(&Waiting { browser: browser.to_owned(), suspended })
            .map_err(|_| Failure::of_program("a login cannot be written"))?;
        self.store.put(&key(&state), waiting, self.time_to_live).await?;
        Ok((homeserver.clone(), url))
    }

    /// Ends a login. A callback of another browser changes nothing: the right browser can still log in afterwards.
    pub async fn end(&self, callback: &Url, browser: Option<&str>) -> Result<Session, Failure> {
        let state = callback::state(callback).ok_or_else(|| Failure::of_browser("this is not the end of a login"))?;
        let waiting = self.store.get(&key(&state)).await?.ok_or_else(|| Failure::of_browser(OVER))?;
        let waiting: Waiting =
            serde_json::from_str(&waiting).map_err(|_| Failure::of_program("a login in the store cannot be read"))?;
        if browser != Some(&waiting.browser) {
            return Err(Failure::of_browser("this login began in another browser; finish it there, or begin again"));
        }
        let mut flow = LoginFlow::resume(waiting.suspended);
        flow.handle_callback(callback)?;
        // From here on the callback counts. If another request has taken the login in the meantime, that request
        // counts.
        self.store.take(&key(&state)).await?.ok_or_else(|| Failure::of_browser(OVER))?;
        match drive(&mut flow, &mut self.outgoing.clone()).await? {
            Step::Done(session) => Ok(session.clone()),
            step => Err(unexpected(&step)),
        }
    }
}

fn key(state: &str) -> String {
    format!("login:{state}")
}

/// Nothing in this application can go on with such a step.
fn unexpected(step: &Step<'_>) -> Failure {
    match step {
        Step::Choose { refused: Some(refused), .. } => Failure::refused(refused),
        Step::Locate { failure, .. } => Failure::of_homeserver(format!("the homeserver was not found: {failure}")),
        step => Failure::of_program(&format!("a login cannot go on: {step:?}")),
    }
}

impl From<DriveError<OutgoingError>> for Failure {
    fn from(error: DriveError<OutgoingError>) -> Self {
        match error {
            DriveError::Flow(error) => error.into(),
            DriveError::Transport(error) => Self::of_homeserver(error.to_string()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidInput(_) | Error::ForeignCallback(_) => Self::of_browser(error.to_string()),
            _ => Self::of_homeserver(error.to_string()),
        }
    }
}

impl From<InvalidInput> for Failure {
    fn from(error: InvalidInput) -> Self {
        Error::from(error).into()
    }
}
