//! Where a browser goes to log in, and how it comes back.

use std::fmt;

use url::Url;

use crate::credentials::secret::secret;
use crate::invalid_input::InvalidInput;
use crate::shown::without_secrets;

/// The query parameter of the redirect URL that contains the caller's state.
pub(crate) const STATE: &str = "state";

/// The query parameter that the homeserver adds to the redirect URL.
pub(crate) const LOGIN_TOKEN: &str = "loginToken";

secret! {
    /// The state of a login in a browser. Anybody who knows it can forge a callback.
    pub(crate) struct RedirectState
}

impl RedirectState {
    pub(crate) fn new(state: String) -> Result<Self, InvalidInput> {
        if state.chars().count() < 16 {
            return Err(InvalidInput::new("SSO state", "at least 16 characters from a source of randomness"));
        }
        Ok(Self(state))
    }
}

/// Where the browser goes, and how it comes back.
#[derive(Clone)]
#[must_use]
pub struct Redirect {
    /// Without the state.
    url: Url,
    pub(crate) state: RedirectState,
    identity_provider: Option<String>,
    action: Action,
}

/// What the user wants to do in the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Log in to an account that the user has.
    #[default]
    Login,
    /// Make an account.
    Register,
}

impl Redirect {
    /// Takes the callback URL and a state. The homeserver sends the browser to the callback URL after the login; its
    /// scheme can be any. The crate adds the state to the query of the URL. Take a new random state for every login, so
    /// that nobody can guess it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the state has fewer than 16 characters, or if the URL's query contains `state` or
    /// `loginToken` already.
    pub fn new(redirect_url: Url, state: impl Into<String>) -> Result<Self, InvalidInput> {
        if redirect_url.query_pairs().any(|(name, _)| name == STATE || name == LOGIN_TOKEN) {
            return Err(InvalidInput::new("redirect URL", "a query without `state` and `loginToken`"));
        }
        let state = RedirectState::new(state.into())?;
        Ok(Self { url: redirect_url, state, identity_provider: None, action: Action::default() })
    }

    /// Goes straight to one of the identity providers that the homeserver offers, by its ID.
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

    /// Tells the homeserver what the user wants to do: to log in, unless you say something else. A homeserver with the
    /// OAuth 2.0 API opens the right page then.
    pub fn with_action(self, action: Action) -> Self {
        Self { action, ..self }
    }

    /// The URL, without the state.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The state, which is a secret until the browser comes back.
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// The ID of the identity provider; `None` lets the homeserver ask.
    pub fn identity_provider(&self) -> Option<&str> {
        self.identity_provider.as_deref()
    }

    /// What the user wants to do.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The URL with the state in its query.
    pub(crate) fn url_with_state(&self) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair(STATE, self.state.expose());
        url
    }
}

/// Without the state, and without the query and the fragment of the URL.
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
