//! Where a browser goes to log in, and how it comes back.

use std::fmt;

use url::Url;

use crate::{credentials::secret::secret, invalid_input::InvalidInput, shown::without_secrets};

/// The query parameter of the redirect URL that holds the caller's state.
pub(crate) const STATE: &str = "state";

/// The query parameter that the homeserver adds to the redirect URL.
pub(crate) const LOGIN_TOKEN: &str = "loginToken";

secret! {
    /// The state of a single sign-on: whoever knows it can forge a callback.
    pub(crate) struct State
}

impl State {
    pub(crate) fn new(state: String) -> Result<Self, InvalidInput> {
        if state.chars().count() < 16 {
            return Err(InvalidInput::new("SSO state", "at least 16 characters from a source of randomness"));
        }
        Ok(Self(state))
    }
}

/// Where the browser goes, and how it comes back.
#[derive(Clone)]
pub struct Redirect {
    /// Without the state.
    url: Url,
    state: State,
    identity_provider: Option<String>,
    action: Option<Action>,
}

impl fmt::Debug for Redirect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redirect")
            .field("url", &without_secrets(&self.url).as_str())
            .field("identity_provider", &self.identity_provider)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// What the user wants of the identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Log in to an account that the user has.
    Login,
    /// Make an account.
    Register,
}

impl Redirect {
    /// Takes the URL, of any scheme, that the homeserver shall send the browser to, and a state, which is added to its
    /// query. The state must be unguessable: take it from a source of randomness, and a new one for every login.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the state has fewer than 16 characters, or if the URL's query holds `state` or
    /// `loginToken` already.
    pub fn new(redirect_url: Url, state: impl Into<String>) -> Result<Self, InvalidInput> {
        if redirect_url.query_pairs().any(|(name, _)| name == STATE || name == LOGIN_TOKEN) {
            return Err(InvalidInput::new("redirect URL", "a query without `state` and `loginToken`"));
        }
        Ok(Self { url: redirect_url, state: State::new(state.into())?, identity_provider: None, action: None })
    }

    /// Goes straight to one of the [identity providers](crate::LoginType::Sso) that the homeserver offers, by its ID.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the ID is empty, `.` or `..`, which cannot be a segment of a path.
    pub fn identity_provider(self, id: impl Into<String>) -> Result<Self, InvalidInput> {
        let id = id.into();
        if matches!(id.as_str(), "" | "." | "..") {
            return Err(InvalidInput::new("identity provider", "the ID of one that the homeserver offers"));
        }
        Ok(Self { identity_provider: Some(id), ..self })
    }

    /// Tells the homeserver what the user wants.
    #[must_use]
    pub fn action(self, action: Action) -> Self {
        Self { action: Some(action), ..self }
    }

    /// The URL with the state in its query.
    pub(crate) fn url_with_state(&self) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair(STATE, self.state.expose());
        url
    }

    pub(crate) fn requested_action(&self) -> Option<Action> {
        self.action
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn identity_provider_id(&self) -> Option<&str> {
        self.identity_provider.as_deref()
    }
}
