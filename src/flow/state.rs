//! Where a flow stands: plain data, from which [`Step`](super::Step) follows. Only `flow.rs` changes it.

use std::{fmt, time::SystemTime};

use http::Uri;
use url::Url;

use crate::{
    address::{homeserver::Homeserver, server_name::ServerName},
    credentials::{Credentials, redirect},
    endpoint::{login_types::LoginTypes, server_error::ServerError, well_known, well_known::DiscoveryFailure},
    fields::Fields,
    flow::wait::Wait,
    session::Session,
    shown::without_secrets,
};

#[derive(Clone, Debug)]
pub(crate) enum State {
    /// GET well-known is due, at the last of the redirects if there are any.
    WellKnown {
        server_name: ServerName,
        redirects: Vec<Uri>,
    },
    /// GET versions is due, of the homeserver that the well-known names.
    Versions {
        server_name: ServerName,
        well_known: well_known::Response,
        pending: Pending,
    },
    /// No homeserver was found.
    Locate {
        server_name: ServerName,
        failure: DiscoveryFailure,
    },
    /// The address is known.
    LogIn(LogIn),
    Done(Box<Session>),
}

#[derive(Clone, Debug)]
pub(crate) struct LogIn {
    pub(crate) homeserver: Homeserver,
    /// `None` until the homeserver has told.
    pub(crate) login_types: Option<LoginTypes>,
    pub(crate) stage: Stage,
    /// Of the request that the stage makes due.
    pub(crate) pending: Pending,
}

#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// The question is due, or GET login if it cannot be put yet.
    Question { refused: Option<Box<ServerError>> },
    /// POST login is due.
    Credentials { credentials: Credentials, further_fields: Fields },
    /// The user is in the browser.
    Browse { browse: Browse, further_fields: Fields },
}

impl LogIn {
    pub(crate) fn new(homeserver: Homeserver, stage: Stage) -> Self {
        Self { homeserver, login_types: None, stage, pending: Pending::default() }
    }

    /// At the question, with nothing known about the homeserver but its address.
    pub(crate) fn at(homeserver: Homeserver) -> Self {
        Self::new(homeserver, Stage::Question { refused: None })
    }

    /// Moves on. What was put off before is no longer counted.
    pub(crate) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.pending = Pending::default();
    }
}

/// A single sign-on that has begun: all it takes to recognise its end.
#[derive(Clone)]
pub(crate) struct Browse {
    pub(crate) url: Url,
    pub(crate) state: redirect::State,
}

impl fmt::Debug for Browse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Browse({})", without_secrets(&self.url))
    }
}

/// How often a request was put off by a rate limit, and the wait that holds it up now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    attempts: u32,
    pub(crate) wait: Option<Box<Wait>>,
}

impl Pending {
    pub(crate) fn put_off(&mut self, error: ServerError, received_at: SystemTime) {
        self.attempts = self.attempts.saturating_add(1);
        self.wait = Some(Box::new(Wait::new(error, self.attempts, received_at)));
    }
}
