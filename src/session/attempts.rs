//! Counts the refreshes in a row that did not help, and says how long to wait before the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::endpoint::retry_after::backoff;

/// If a token that is older than this is refused, this is not a loop of refreshes: every wait in a loop is shorter.
const LONG_AGO: Duration = Duration::from_secs(300);

/// What a session remembers between refreshes. It is not stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    /// How often in a row a refresh gave no new access token.
    failed: u32,
    /// How often in a row a refresh gave an access token that did not work.
    granted: u32,
    /// The access token, if a refresh has granted it.
    token: Option<Token>,
}

#[derive(Clone, Debug)]
struct Token {
    granted_at: SystemTime,
    /// Whether a request with this token has succeeded. All copies of a session with this token share this flag.
    works: Arc<AtomicBool>,
}

impl Attempts {
    /// Counts a refresh without a new access token. Returns how long to wait before the next try.
    pub(crate) fn fail(&mut self) -> Duration {
        self.failed = self.failed.saturating_add(1);
        backoff(self.failed)
    }

    /// Counts a refresh with a new access token.
    pub(crate) fn grant(&mut self, granted_at: SystemTime) {
        let is_loop = self.token.as_ref().is_some_and(|token| {
            let age = granted_at.duration_since(token.granted_at).unwrap_or(Duration::ZERO);
            !token.works.load(Ordering::Relaxed) && age < LONG_AGO
        });
        self.failed = 0;
        self.granted = if is_loop { self.granted.saturating_add(1) } else { 1 };
        self.token = Some(Token { granted_at, works: Arc::default() });
    }

    /// Remembers that the access token works.
    pub(crate) fn succeed(&self) {
        if let Some(token) = &self.token {
            token.works.store(true, Ordering::Relaxed);
        }
    }

    /// How long to wait before the next refresh, after the access token was refused. Zero if it has worked before, or
    /// if no refresh has granted it.
    pub(crate) fn delay(&self) -> Duration {
        match &self.token {
            Some(token) if !token.works.load(Ordering::Relaxed) => backoff(self.granted),
            _ => Duration::ZERO,
        }
    }
}
