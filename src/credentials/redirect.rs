//! The way of a browser to a login page and back.

use std::fmt;

use url::Url;

use crate::address::is_loopback;
use crate::credentials::secret::secret;
use crate::invalid_input::InvalidInput;
use crate::shown::without_secrets;

/// The query parameter of the redirect URL that contains the caller's state.
pub(crate) const STATE: &str = "state";

/// The query parameter that the homeserver adds to the redirect URL after a single sign-on.
pub(crate) const LOGIN_TOKEN: &str = "loginToken";

/// The query parameters that a server adds to the redirect URL. The redirect URL must not contain them before.
const ADDED: [&str; 6] = [STATE, LOGIN_TOKEN, "code", "error", "error_description", "iss"];

secret! {
    /// The state of a login in a browser. Anybody who knows the state can forge a callback.
    pub(crate) struct RedirectState
}

impl RedirectState {
    pub(crate) fn new(state: String) -> Result<Self, InvalidInput> {
        if state.chars().count() < 16 {
            return Err(InvalidInput::new("state", "at least 16 characters from a source of randomness"));
        }
        Ok(Self(state))
    }
}

/// How a browser logs in and comes back: the redirect URL, the state, and what the user wants to do.
#[derive(Clone)]
#[must_use]
pub struct Redirect {
    /// The redirect URL, without the state.
    url: Url,
    /// The redirect URL as the caller wrote it. A server compares this text with the registered one.
    text: Box<str>,
    is_in_query: bool,
    pub(crate) state: RedirectState,
    identity_provider: Option<String>,
    action: Action,
}

/// What the user wants to do in the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Log in to an existing account.
    #[default]
    Login,
    /// Create an account.
    Register,
}

impl Redirect {
    /// Takes the redirect URL, as text or as a `Url`, and a state. The server sends the browser to the redirect URL
    /// after the login. Any scheme is allowed. For single sign-on, the crate adds the state to the query of the URL.
    /// For OAuth 2.0, the URL is sent exactly as written. Use a new random state for every login, so that no attacker
    /// can guess it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the text is not a URL, if the state has fewer than 16 characters, or if the URL's query
    /// already contains `state`, `loginToken`, `code`, `error`, `error_description` or `iss`.
    pub fn new(redirect_url: impl AsRef<str>, state: impl Into<String>) -> Result<Self, InvalidInput> {
        let text = redirect_url.as_ref();
        let url = Url::parse(text)
            .map_err(|_| InvalidInput::new("redirect URL", "a URL, such as http://127.0.0.1:8765/callback"))?;
        if url.query_pairs().any(|(name, _)| ADDED.contains(&&*name)) {
            let expected = "a query without `state`, `loginToken`, `code`, `error`, `error_description` and `iss`";
            return Err(InvalidInput::new("redirect URL", expected));
        }
        let state = RedirectState::new(state.into())?;
        let (text, identity_provider, action) = (text.into(), None, Action::default());
        Ok(Self { url, text, is_in_query: false, state, identity_provider, action })
    }

    /// Asks an OAuth 2.0 server for a callback with its parameters in the query. A backend needs this: by default, if
    /// the redirect URL is https, the parameters are in the fragment, as the specification says, and only the script of
    /// a page sees a fragment. For redirect URLs that are not https, or on loopback, they are always in the query.
    pub fn in_query(self) -> Self {
        Self { is_in_query: true, ..self }
    }

    /// Sends the browser directly to one of the identity providers that the homeserver offers, by its ID.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the ID is empty, `.` or `..`, which cannot be a segment of a path.
    pub fn with_identity_provider(self, id: impl Into<String>) -> Result<Self, InvalidInput> {
        let id = id.into();
        if matches!(id.as_str(), "" | "." | "..") {
            return Err(InvalidInput::new("identity provider", "the ID of one that the homeserver offers"));
        }
        Ok(Self { identity_provider: Some(id), ..self })
    }

    /// Tells the homeserver what the user wants to do (default: log in). A homeserver with the OAuth 2.0 API then opens
    /// the right page.
    pub fn with_action(self, action: Action) -> Self {
        Self { action, ..self }
    }

    /// The redirect URL, without the state.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether a callback of an OAuth 2.0 server has its parameters [in the query](Self::in_query).
    pub fn is_in_query(&self) -> bool {
        self.is_in_query || self.url.scheme() != "https" || matches!(self.url.host(), Some(host) if is_loopback(&host))
    }

    /// The redirect URL as the caller wrote it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The state, which is a secret until the browser comes back.
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// The ID of the identity provider. If it is `None`, the homeserver asks the user.
    pub fn identity_provider(&self) -> Option<&str> {
        self.identity_provider.as_deref()
    }

    /// What the user wants to do.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The redirect URL with the state in its query.
    pub(crate) fn url_with_state(&self) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair(STATE, self.state.expose());
        url
    }
}

/// Shows neither the state nor the query and the fragment of the URL.
impl fmt::Debug for Redirect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redirect")
            .field("url", &without_secrets(self.url.as_str()))
            .field("identity_provider", &self.identity_provider)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}
