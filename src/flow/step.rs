//! What is due in a flow.

use std::fmt;

use http::Request;
use url::Url;

use crate::{
    endpoint::{login_types::LoginTypes, server_error::ServerError, well_known::DiscoveryFailure},
    flow::wait::Wait,
    session::Session,
    shown::without_secrets,
};

/// What is due. It is a view of the flow, not an event: asked again, the flow says the same.
///
/// It is exhaustive on purpose. A driver that overlooks a step would hang, so a new one has to break its `match`.
#[must_use]
#[expect(clippy::large_enum_variant, reason = "a step is looked at and dropped; a box would cost an allocation")]
pub enum Step<'a> {
    /// Send this request, then call [`handle_response`](crate::LoginFlow::handle_response). If no answer came, the
    /// same step is due: send it again, give up, or in discovery call
    /// [`handle_unreachable`](crate::LoginFlow::handle_unreachable).
    Send(Request<Vec<u8>>),
    /// The homeserver limits the rate. Wait, then call [`handle_timeout`](crate::LoginFlow::handle_timeout).
    Wait(&'a Wait),
    /// No homeserver was found. Find its address in another way, then call
    /// [`use_homeserver`](crate::LoginFlow::use_homeserver).
    Locate {
        /// Why, and what the specification says to do.
        failure: &'a DiscoveryFailure,
    },
    /// Ask the user how to log in, then call [`choose`](crate::LoginFlow::choose).
    Choose {
        /// What the homeserver offers.
        login_types: &'a LoginTypes,
        /// Why it refused the last choice: a wrong password, say.
        refused: Option<&'a ServerError>,
    },
    /// Open this URL in a browser. When it comes back, call
    /// [`handle_callback`](crate::LoginFlow::handle_callback); if the user gives up, [`back`](crate::LoginFlow::back).
    Browse(&'a Url),
    /// Logged in.
    Done(&'a Session),
}

impl Step<'_> {
    /// The variant's name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "Send",
            Self::Wait(_) => "Wait",
            Self::Locate { .. } => "Locate",
            Self::Choose { .. } => "Choose",
            Self::Browse(_) => "Browse",
            Self::Done(_) => "Done",
        }
    }
}

/// Without the body of a request and the query of a URL, which hold secrets.
impl fmt::Debug for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(request) => write!(formatter, "Send({} {})", request.method(), request.uri()),
            Self::Wait(wait) => formatter.debug_tuple("Wait").field(wait).finish(),
            Self::Locate { failure } => formatter.debug_struct("Locate").field("failure", failure).finish(),
            Self::Choose { login_types, refused } => {
                formatter.debug_struct("Choose").field("login_types", login_types).field("refused", refused).finish()
            }
            Self::Browse(url) => write!(formatter, "Browse({})", without_secrets(url)),
            Self::Done(session) => formatter.debug_tuple("Done").field(session).finish(),
        }
    }
}
