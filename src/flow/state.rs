//! Where a flow stands: plain data. Only `flow.rs` changes it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::Uri;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::address::server_name::ServerName;
use crate::address::user_id::UserId;
use crate::credentials::Credentials;
use crate::credentials::code_verifier::CodeVerifier;
use crate::credentials::device_id::DeviceId;
use crate::credentials::redirect::RedirectState;
use crate::endpoint::login_types::LoginTypes;
use crate::endpoint::oauth::auth_metadata::AuthMetadata;
use crate::endpoint::oauth::authorization::AuthorizationCode;
use crate::endpoint::oauth::token::{self, DeviceCode};
use crate::endpoint::server_error::ServerError;
use crate::endpoint::versions;
use crate::endpoint::well_known::{self, DiscoveryFailure};
use crate::error::Error;
use crate::fields::Fields;
use crate::flow::choice::{CodeChoice, OAuthChoice};
use crate::flow::shown_code::ShownCode;
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
    /// The question also needs the OAuth 2.0 server, since the settings ask for it. There are no login types if the
    /// homeserver has no legacy API.
    GetAuthMetadata { homeserver: Homeserver, login_types: Option<LoginTypes>, refused: Option<Box<ServerError>> },
    /// A person or a program must choose.
    Choose { homeserver: Homeserver, offers: Offers, refused: Option<Box<ServerError>> },
    /// The homeserver must say whether the credentials are right.
    PostLogin { server: Server, credentials: Credentials },
    /// The client is not registered yet.
    PostRegister { server: Server, login: Box<OAuthLogin> },
    /// The user is in the browser.
    Browse { server: Server, browse: Browse },
    /// After a resume: the token endpoint is not known, and the metadata must fit those that the login began with.
    GetAuthMetadataAgain { server: Server, grant: Box<CodeGrant>, code: AuthorizationCode },
    /// The code becomes tokens.
    PostToken { server: Server, grant: Box<CodeGrant>, code: AuthorizationCode, metadata: Arc<AuthMetadata> },
    /// The server must give a code to show.
    PostDeviceAuthorization { server: Server, request: Box<CodeRequest> },
    /// The user must enter the code somewhere else.
    ShowCode { server: Server, grant: Box<DeviceGrant> },
    /// The server must say whether the user has decided.
    PostPoll { server: Server, grant: Box<DeviceGrant> },
    /// There are tokens, and nobody has said whose they are.
    GetWhoami { server: Server, granted: Box<Granted> },
    /// Nobody wants the tokens any more.
    PostRevoke { server: Server, granted: Box<Granted> },
    /// The homeserver does not take this request yet.
    Wait { wait: Wait, request: Box<Due> },
    /// Logged in.
    Done(Box<Session>),
}

/// What a homeserver offers.
#[derive(Clone, Debug)]
pub(crate) struct Offers {
    pub(crate) login_types: LoginTypes,
    pub(crate) oauth: Option<Arc<AuthMetadata>>,
}

/// A homeserver whose address is known, with its offers unless a resume has forgotten them.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) homeserver: Homeserver,
    pub(crate) offers: Option<Offers>,
}

impl Server {
    /// The question. It cannot be put without the offers.
    pub(crate) fn question(&self, refused: Option<Box<ServerError>>) -> Due {
        let homeserver = self.homeserver.clone();
        match self.offers.clone() {
            Some(offers) => Due::Choose { homeserver, offers, refused },
            None => Due::GetLogin { homeserver, refused },
        }
    }

    /// There are tokens now: the homeserver must say whose they are.
    pub(crate) fn ask_whose(&self, granted: Granted) -> Next {
        Next::To(Due::GetWhoami { server: self.clone(), granted: Box::new(granted) })
    }

    /// Takes a session, unless it is not what was asked for: then the error owns it, and the question is due.
    pub(crate) fn accept(&self, session: Box<Session>, expected: Option<&UserId>, must_be_refused: bool) -> Next {
        match expected {
            Some(expected) if expected != session.user_id() => {
                Next::Refused(self.question(None), Error::WrongUser { expected: expected.clone(), session })
            }
            _ if must_be_refused => Next::Refused(self.question(None), Error::MissingRefreshToken(session)),
            _ => Next::To(Due::Done(session)),
        }
    }
}

/// A visit to the browser: all that is needed to recognise its end.
#[derive(Clone)]
pub(crate) struct Browse {
    pub(crate) url: Url,
    pub(crate) state: RedirectState,
    pub(crate) purpose: Purpose,
}

/// What the browser was sent out for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// The fields go into the login that ends this.
    Sso { fields: Fields },
    /// The metadata are those that the login began with. A resume has forgotten them.
    Code { grant: Box<CodeGrant>, metadata: Option<Arc<AuthMetadata>> },
}

/// A login with the OAuth 2.0 API that a person has chosen.
#[derive(Clone, Debug)]
pub(crate) struct OAuthLogin {
    pub(crate) metadata: Arc<AuthMetadata>,
    pub(crate) choice: OAuthChoice,
    pub(crate) device_id: DeviceId,
}

/// What a code needs to become tokens.
#[derive(Clone)]
pub(crate) struct CodeGrant {
    /// The URL that the browser was sent out with.
    pub(crate) url: Url,
    pub(crate) client_id: Box<str>,
    pub(crate) redirect_uri: Box<str>,
    pub(crate) verifier: CodeVerifier,
    pub(crate) issuer: Box<str>,
    pub(crate) iss_in_callback: bool,
}

impl CodeGrant {
    pub(crate) fn new(url: Url, client_id: &str, choice: &CodeChoice, metadata: &AuthMetadata) -> Self {
        Self {
            url,
            client_id: client_id.into(),
            redirect_uri: choice.redirect.text().into(),
            verifier: choice.verifier.clone(),
            issuer: metadata.issuer.clone(),
            iss_in_callback: metadata.iss_in_callback,
        }
    }
}

impl fmt::Debug for CodeGrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CodeGrant({})", without_secrets(self.url.as_str()))
    }
}

/// Who asks for a code to show.
#[derive(Clone, Debug)]
pub(crate) struct CodeRequest {
    pub(crate) client_id: Box<str>,
    pub(crate) metadata: Arc<AuthMetadata>,
    pub(crate) device_id: DeviceId,
}

/// What a device needs to become logged in.
#[derive(Clone, Debug)]
pub(crate) struct DeviceGrant {
    pub(crate) client_id: Box<str>,
    pub(crate) metadata: Arc<AuthMetadata>,
    pub(crate) device_code: DeviceCode,
    pub(crate) code: ShownCode,
}

/// Tokens that an OAuth 2.0 server has granted.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) client_id: Box<str>,
    pub(crate) metadata: Arc<AuthMetadata>,
    pub(crate) tokens: token::Response,
    pub(crate) received_at: SystemTime,
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

    /// The homeserver of a box that a choice has led to.
    pub(crate) fn server(&self) -> Option<&Server> {
        match self {
            Self::PostLogin { server, .. }
            | Self::PostRegister { server, .. }
            | Self::Browse { server, .. }
            | Self::GetAuthMetadataAgain { server, .. }
            | Self::PostToken { server, .. }
            | Self::PostDeviceAuthorization { server, .. }
            | Self::ShowCode { server, .. }
            | Self::PostPoll { server, .. }
            | Self::GetWhoami { server, .. }
            | Self::PostRevoke { server, .. } => Some(server),
            Self::GetWellKnown { .. }
            | Self::GetVersions { .. }
            | Self::Locate { .. }
            | Self::GetLogin { .. }
            | Self::GetAuthMetadata { .. }
            | Self::Choose { .. }
            | Self::Wait { .. }
            | Self::Done(_) => None,
        }
    }

    pub(crate) fn out_of_step(&self, input: &'static str) -> Error {
        Error::OutOfStep { input, due: self.step() }
    }

    /// The variant of [`Step`](crate::Step) that this box is shown as.
    pub(crate) fn step(&self) -> &'static str {
        match self {
            Self::GetWellKnown { .. }
            | Self::GetVersions { .. }
            | Self::GetLogin { .. }
            | Self::GetAuthMetadata { .. }
            | Self::PostLogin { .. }
            | Self::PostRegister { .. }
            | Self::GetAuthMetadataAgain { .. }
            | Self::PostToken { .. }
            | Self::PostDeviceAuthorization { .. }
            | Self::PostPoll { .. }
            | Self::GetWhoami { .. }
            | Self::PostRevoke { .. } => "Send",
            Self::Locate { .. } => "Locate",
            Self::Choose { .. } => "Choose",
            Self::Browse { .. } => "Browse",
            Self::ShowCode { .. } => "ShowCode",
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
