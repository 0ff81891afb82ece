//! What is due in a flow.

use std::fmt;

use http::Request;
use url::Url;

use crate::endpoint::login_types::LoginTypes;
use crate::endpoint::oauth::auth_metadata::AuthMetadata;
use crate::endpoint::server_error::ServerError;
use crate::endpoint::well_known::DiscoveryFailure;
use crate::flow::shown_code::ShownCode;
use crate::flow::wait::Wait;
use crate::session::Session;
use crate::shown::without_secrets;

/// What is due. It is a view of the flow, not an event: asked again, the flow says the same.
///
/// It is exhaustive on purpose. A driver that overlooks a step would hang, so a new step must break its `match`.
#[must_use]
#[expect(clippy::large_enum_variant, reason = "a step is looked at and dropped; a box would cost an allocation")]
pub enum Step<'a> {
    /// Send this request, then call [`handle_response`](crate::LoginFlow::handle_response) with the same ID. If there
    /// was no response, the same step is due: send the request again, give up, or in discovery call
    /// [`handle_unreachable`](crate::LoginFlow::handle_unreachable).
    Send {
        /// To which request the response belongs. The same step has the same ID.
        id: RequestId,
        /// The request. Its body can contain secrets.
        request: Request<Vec<u8>>,
    },
    /// The homeserver limits the rate. Wait, then call [`handle_timeout`](crate::LoginFlow::handle_timeout).
    Wait(&'a Wait),
    /// No homeserver was found. Find its address in another way, then call
    /// [`use_homeserver`](crate::LoginFlow::use_homeserver). [`back`](crate::LoginFlow::back) begins discovery again.
    #[non_exhaustive]
    Locate {
        /// Why, and what the specification says to do.
        failure: &'a DiscoveryFailure,
    },
    /// Ask the user how to log in, then call [`choose`](crate::LoginFlow::choose).
    #[non_exhaustive]
    Choose {
        /// What the homeserver offers. There can be none if it has the OAuth 2.0 API only.
        login_types: &'a LoginTypes,
        /// The OAuth 2.0 server, if the homeserver has one and the settings
        /// [ask for it](crate::LoginSettings::with_oauth). Offer that first. Show the user the host of the server next
        /// to the homeserver before you choose it: see the manual.
        oauth: Option<&'a AuthMetadata>,
        /// Why the last choice was refused: a wrong password, for instance, or a user who said no in the browser.
        refused: Option<&'a ServerError>,
    },
    /// Open this URL in a browser. When it comes back, call
    /// [`handle_callback`](crate::LoginFlow::handle_callback); if the user gives up, [`back`](crate::LoginFlow::back).
    Browse(&'a Url),
    /// Show the user this code, and where to enter it. Wait as long as it [says](ShownCode::remaining), and call
    /// [`handle_timeout`](crate::LoginFlow::handle_timeout); if the user gives up,
    /// [`back`](crate::LoginFlow::back). The step comes again after each poll that finds the user undecided: show the
    /// code once.
    ShowCode(&'a ShownCode),
    /// Logged in.
    Done(&'a Session),
}

/// To which request a response belongs.
///
/// Every input that the flow accepts makes all earlier IDs stale.
/// [`handle_response`](crate::LoginFlow::handle_response) refuses a response with a stale ID, so that a late response
/// never counts for another request.
///
/// An ID counts for the flow that gave it out. A clone of a flow, and a flow that was
/// [resumed](crate::LoginFlow::resume) while the first one goes on, are other flows: they may give out equal IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// After 2^64 inputs the IDs begin again: nobody lives to see that.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Without the body of a request and the query of a URL, which contain secrets.
impl fmt::Debug for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { id, request } => {
                write!(formatter, "Send({id:?}, {} {})", request.method(), without_secrets(&request.uri().to_string()))
            }
            Self::Wait(wait) => formatter.debug_tuple("Wait").field(wait).finish(),
            Self::Locate { failure } => formatter.debug_struct("Locate").field("failure", failure).finish(),
            Self::Choose { login_types, oauth, refused } => formatter
                .debug_struct("Choose")
                .field("login_types", login_types)
                .field("oauth", oauth)
                .field("refused", refused)
                .finish(),
            Self::Browse(url) => write!(formatter, "Browse({})", without_secrets(url.as_str())),
            Self::ShowCode(code) => formatter.debug_tuple("ShowCode").field(code).finish(),
            Self::Done(session) => formatter.debug_tuple("Done").field(session).finish(),
        }
    }
}
