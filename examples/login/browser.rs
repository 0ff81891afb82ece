//! Logs in with a browser: opens the login page, and waits for the callback. Without a browser, the user opens the URL
//! on another machine. No other machine can reach the homeserver of the demo, so the demo acts as the browser itself.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, header::LOCATION};
use matrix_login::{
    Action, Choice, CodeVerifier, HttpsUrl, Redirect, ServerError, endpoint::oauth::auth_metadata::AuthMetadata,
};
use url::Url;

use crate::{
    callback::Callbacks,
    driver::{Callback, Question},
    failure::Failure,
    person::Person,
    transport::Transport,
};

/// How long a user has for the pages, in seconds, if the command line does not say it.
pub const PATIENCE: u64 = 300;

/// The question to a user at a terminal, after the host of the page.
pub const QUESTION: &str = "Open it in a browser?";

/// What to do if no browser opens.
pub const NOT_OPENED: &str = "no browser opened: open the URL yourself";

pub struct Browser {
    open: bool,
    /// The transport that the demo uses in place of a browser.
    demo: Option<Transport>,
    callbacks: Callbacks,
    /// Whether the URL was already shown and opened.
    visited: bool,
}

impl Browser {
    /// Listens for the browser. `patience` is in seconds.
    pub fn new(open: bool, patience: u64, demo: Option<Transport>) -> Result<Self, Failure> {
        let callbacks = Callbacks::listen(Duration::from_secs(patience))?;
        Ok(Self { open, demo, callbacks, visited: false })
    }

    /// The redirect to the callback URL, with a new state.
    pub fn redirect(&self, action: Action) -> Result<Redirect, Failure> {
        let state = format!("{:032x}", u128::from_ne_bytes(random()?));
        Ok(Redirect::new(self.callbacks.url(), state)?.with_action(action))
    }

    /// The choice of the authorization code grant.
    pub fn code_choice(&self, question: &Question<'_>, action: Action) -> Result<Choice, Failure> {
        let verifier = CodeVerifier::new(URL_SAFE_NO_PAD.encode(random::<32>()?))?;
        question.with_fit_device(Choice::authorization_code(self.redirect(action)?, verifier))
    }

    /// Shows and opens the URL the first time, and waits until the browser comes back.
    pub fn visit(&mut self, url: &Url) -> Result<Url, Failure> {
        if !std::mem::replace(&mut self.visited, true) {
            if let Some(address) = self.open(url)? {
                return Ok(address);
            }
        }
        self.callbacks.next()
    }

    /// Shows the result in the browser.
    pub fn came_back(&mut self, callback: Callback) {
        self.callbacks.answer(callback);
    }

    /// Opens the URL. Returns the callback if the demo has acted as the browser.
    fn open(&self, url: &Url) -> Result<Option<Url>, Failure> {
        say!("log in at {url}");
        let opened = self.open && opens(url);
        match &self.demo {
            Some(transport) if !opened => {
                say!("no browser is used: the demo opens the page and presses its button, as a user would");
                return follow(url, transport).map(Some);
            }
            Some(_) => {
                say!("press the button in the browser; if no browser opens, press Ctrl-C and add --no-browser");
            }
            None => {
                if self.open && !opened {
                    say!("{NOT_OPENED}");
                }
                say!("if the browser is on another machine, copy its last address and paste it here");
                self.callbacks.read_pasted();
            }
        }
        Ok(None)
    }
}

/// Asks a user at a terminal whether to open the page of an OAuth 2.0 server.
pub fn is_wanted(question: &Question<'_>, metadata: &AuthMetadata, person: &mut Person) -> Result<bool, Failure> {
    agrees(question, metadata.authorization_endpoint.as_ref(), QUESTION, person)
}

/// Shows where the user logs in, and for which homeserver. Asks a user at a terminal whether to go on. Enter alone
/// means yes.
pub fn agrees(
    question: &Question<'_>,
    endpoint: Option<&HttpsUrl>,
    whether: &str,
    person: &mut Person,
) -> Result<bool, Failure> {
    let provider = endpoint.map(|endpoint| endpoint.url().authority());
    let homeserver = Url::parse(question.homeserver.as_str())?;
    say!("you log in at {} for the homeserver {}", provider.unwrap_or_default(), homeserver.authority());
    say!("go on only if the two belong together: a homeserver can name any server as its own");
    Ok(!person.can_answer_yes_or_no() || person.confirms(whether)?)
}

/// Opens a URL in a browser. Returns whether there is a browser.
pub fn opens(url: &Url) -> bool {
    // The error only lists the programs that were tried, which does not help a user.
    open::that_detached(url.as_str()).is_ok()
}

/// The failure of a login that was refused in the browser.
pub fn refused(refused: &ServerError) -> Failure {
    Failure(format!("{refused}; begin again"))
}

/// Opens the page of the demo, presses its button, and returns the callback.
fn follow(url: &Url, transport: &Transport) -> Result<Url, Failure> {
    let page = transport.ask(Request::get(url.as_str()).body(Vec::new())?)?;
    let page = String::from_utf8_lossy(page.body()).into_owned();
    let pressed = transport.ask(Request::post(url.join(action(&page)?)?.as_str()).body(Vec::new())?)?;
    let location = pressed.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let address = url.join(location.ok_or_else(unexpected)?)?;
    say!("a browser would now open {} with a login token", address.as_str().split('?').next().unwrap_or_default());
    Ok(address)
}

/// The address of the button on a page of the demo.
pub fn action(page: &str) -> Result<&str, Failure> {
    let action = page.split_once("action=\"").and_then(|(_, rest)| rest.split_once('"'));
    action.map(|(action, _)| action).ok_or_else(unexpected)
}

fn unexpected() -> Failure {
    Failure("the page of the demo is not as expected".to_owned())
}

/// Bytes that no attacker can guess.
fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Failure> {
    let mut random = [0; LENGTH];
    getrandom::fill(&mut random)?;
    Ok(random)
}
