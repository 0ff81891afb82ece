//! The steps of a flow, as a driver sees them.

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

/// What the flow waits for. A step is a view of the flow, not an event: until an input moves the flow, the step is the
/// same.
///
/// This enum is exhaustive on purpose. A driver that does not know a step would hang, so a new step must break its
/// `match`.
#[must_use]
#[expect(clippy::large_enum_variant, reason = "a step is short-lived; a box would cost an allocation")]
pub enum Step<'a> {
    /// Send this request, then call [`handle_response`](crate::LoginFlow::handle_response) with the same ID. If there
    /// is no response, the same step stays due: send the request again, give up, or call
    /// [`handle_unreachable`](crate::LoginFlow::handle_unreachable). Its page says which requests the flow can do
    /// without.
    Send {
        /// The ID of the request. It stays the same while this step is due.
        id: RequestId,
        /// The request. Its body can contain secrets.
        request: Request<Vec<u8>>,
    },
    /// The homeserver limits the rate. Wait, then call [`handle_timeout`](crate::LoginFlow::handle_timeout).
    Wait(&'a Wait),
    /// Discovery did not find a homeserver. Find its address in another way, then call
    /// [`use_homeserver`](crate::LoginFlow::use_homeserver). [`back`](crate::LoginFlow::back) begins discovery again.
    #[non_exhaustive]
    Locate {
        /// Why discovery failed, and what the specification says to do.
        failure: &'a DiscoveryFailure,
    },
    /// Ask the user how to log in, then call [`choose`](crate::LoginFlow::choose).
    #[non_exhaustive]
    Choose {
        /// The login types that the homeserver offers. The list can be empty if the homeserver has only OAuth 2.0.
        login_types: &'a LoginTypes,
        /// The OAuth 2.0 server, if the homeserver has one and the settings
        /// [ask for OAuth 2.0](crate::LoginSettings::with_oauth). Offer OAuth 2.0 first. Before you choose it, show the
        /// user the host of this server together with the homeserver: the manual [says why](crate#oauth-20).
        oauth: Option<&'a AuthMetadata>,
        /// Why the last choice was refused, for instance a wrong password, or a user who refused in the browser.
        refused: Option<&'a ServerError>,
    },
    /// Open this URL in a browser. When the browser comes back, call
    /// [`handle_callback`](crate::LoginFlow::handle_callback). If the user gives up, call
    /// [`back`](crate::LoginFlow::back).
    Browse(&'a Url),
    /// Show the user this code, and the address to enter it. [Wait](ShownCode::remaining), then call
    /// [`handle_timeout`](crate::LoginFlow::handle_timeout). If the user gives up, call
    /// [`back`](crate::LoginFlow::back). This step is due again after each poll, until the user has decided: show the
    /// code only once.
    ShowCode(&'a ShownCode),
    /// The login is done. This is the session.
    Done(&'a Session),
}

/// The ID of a request. It says which request a response belongs to.
///
/// Every input that the flow accepts makes all earlier IDs stale.
/// [`handle_response`](crate::LoginFlow::handle_response) refuses a response with a stale ID, so that a late response
/// never counts for another request.
///
/// An ID is valid only for the flow that made it. A clone of a flow is another flow, and so is a flow that was
/// [resumed](crate::LoginFlow::resume) while the first one goes on: they can make equal IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// The IDs begin again after 2^64 inputs. No flow lives that long.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Shows neither the body of a request nor the query of a URL, since they contain secrets.
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
