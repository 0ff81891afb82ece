//! Where a flow stands: plain data. Only `flow.rs` changes it.

use std::fmt;

use http::Uri;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::server_name::ServerName;
use crate::credentials::Credentials;
use crate::credentials::redirect::RedirectState;
use crate::endpoint::login_types::LoginTypes;
use crate::endpoint::server_error::ServerError;
use crate::endpoint::versions;
use crate::endpoint::well_known::{self, DiscoveryFailure};
use crate::error::Error;
use crate::fields::Fields;
use crate::flow::wait::Wait;
use crate::session::Session;
use crate::shown::without_secrets;

/// The box of the diagram that a flow is in, with what that box needs.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// At the last of the redirects, if there are any.
    GetWellKnown { server_name: ServerName, redirects: Redirects },
    /// Of the homeserver that the well-known file names.
    GetVersions { server_name: ServerName, well_known: well_known::Response },
    /// No homeserver was found.
    Locate { server_name: ServerName, failure: Box<DiscoveryFailure> },
    /// The question needs the login types. It also says what was refused before, if anything was.
    GetLogin { homeserver: Homeserver, refused: Option<Box<ServerError>> },
    /// A person or a program must choose.
    Choose { homeserver: Homeserver, login_types: LoginTypes, refused: Option<Box<ServerError>> },
    /// The homeserver must say whether the credentials are right.
    PostLogin { server: Server, credentials: Credentials },
    /// The user is in the browser. The fields go into the login that ends this.
    Browse { server: Server, browse: Browse, fields: Fields },
    /// The homeserver does not take this request yet.
    Wait { wait: Wait, request: Box<Due> },
    /// Logged in.
    Done(Box<Session>),
}

/// A homeserver whose address is known, with its login types unless a resume has forgotten them.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) homeserver: Homeserver,
    pub(crate) login_types: Option<LoginTypes>,
}

impl Server {
    /// The question. It cannot be put without the login types.
    pub(crate) fn question(&self, refused: Option<Box<ServerError>>) -> Due {
        let homeserver = self.homeserver.clone();
        match self.login_types.clone() {
            Some(login_types) => Due::Choose { homeserver, login_types, refused },
            None => Due::GetLogin { homeserver, refused },
        }
    }
}

/// A visit to the browser: all that is needed to recognise its end.
#[derive(Clone)]
pub(crate) struct Browse {
    pub(crate) url: Url,
    pub(crate) state: RedirectState,
}

impl fmt::Debug for Browse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Browse({})", without_secrets(self.url.as_str()))
    }
}

/// Where the well-known file was redirected to, one address after the other.
#[derive(Clone, Default)]
pub(crate) struct Redirects(pub(crate) Vec<Uri>);

impl fmt::Debug for Redirects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|uri| without_secrets(&uri.to_string()))).finish()
    }
}

impl Due {
    /// The box without regard to a wait, which holds up a request and nothing else.
    pub(crate) fn behind_wait(&self) -> &Self {
        if let Self::Wait { request, .. } = self { request } else { self }
    }

    pub(crate) fn out_of_step(&self, input: &'static str) -> Error {
        Error::OutOfStep { input, due: self.step() }
    }

    /// The variant of [`Step`](crate::Step) that this box is shown as.
    fn step(&self) -> &'static str {
        match self {
            Self::GetWellKnown { .. } | Self::GetVersions { .. } | Self::GetLogin { .. } | Self::PostLogin { .. } => {
                "Send"
            }
            Self::Locate { .. } => "Locate",
            Self::Choose { .. } => "Choose",
            Self::Browse { .. } => "Browse",
            Self::Wait { .. } => "Wait",
            Self::Done(_) => "Done",
        }
    }
}

/// Where an input leads.
pub(crate) enum Next {
    /// To another box.
    To(Due),
    /// To the same request, after a wait. The next wait counts on.
    Again(Due),
    /// To a homeserver whose address is known now, from the caller or from discovery.
    At { homeserver: Homeserver, discovered: Option<Box<Discovered>> },
    /// To this box, and the input fails all the same: the error owns what was granted.
    Refused(Due, Error),
}

/// What discovery found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovered {
    /// What the server's well-known file says.
    pub well_known: well_known::Response,
    /// What the homeserver supports.
    pub versions: versions::Response,
}
