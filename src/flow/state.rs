//! The state of a flow, as plain data. Only `flow.rs` changes it.

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

/// The box of the diagram that a flow is in, with everything that this box needs.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// The flow requests the well-known file, from the target of the last redirect if there are redirects.
    GetWellKnown { server_name: ServerName, redirects: Redirects },
    /// The flow checks the homeserver that the well-known file names.
    GetVersions { server_name: ServerName, well_known: well_known::Response },
    /// Discovery did not find a homeserver.
    Locate { server_name: ServerName, failure: Box<DiscoveryFailure> },
    /// The flow needs the login types before it asks how to log in. `refused` is the last refusal, if there was one.
    GetLogin { homeserver: Homeserver, refused: Option<Box<ServerError>> },
    /// The flow also needs the metadata of the OAuth 2.0 server, since the settings ask for OAuth 2.0. There are no
    /// login types if the homeserver has no legacy API.
    GetAuthMetadata { homeserver: Homeserver, login_types: Option<LoginTypes>, refused: Option<Box<ServerError>> },
    /// A person or a program must choose how to log in.
    Choose { homeserver: Homeserver, offers: Offers, refused: Option<Box<ServerError>> },
    /// The homeserver must check the credentials.
    PostLogin { server: Server, credentials: Credentials },
    /// The server must register the client.
    PostRegister { server: Server, login: Box<OAuthLogin> },
    /// The user is in the browser.
    Browse { server: Server, browse: Browse },
    /// After a resume, the token endpoint is not known. The metadata must match the metadata that the login began with.
    GetAuthMetadataAgain { server: Server, grant: Box<CodeGrant>, code: AuthorizationCode },
    /// The server must exchange the code for tokens.
    PostToken { server: Server, grant: Box<CodeGrant>, code: AuthorizationCode, metadata: Arc<AuthMetadata> },
    /// The server must send a code to show.
    PostDeviceAuthorization { server: Server, request: Box<CodeRequest> },
    /// The user must enter the code somewhere else.
    ShowCode { server: Server, grant: Box<DeviceGrant> },
    /// The server must say whether the user has decided.
    PostPoll { server: Server, grant: Box<DeviceGrant> },
    /// The server has granted tokens, and the homeserver must say which user they belong to.
    GetWhoami { server: Server, granted: Box<Granted> },
    /// The caller went back, so the tokens are no longer needed.
    PostRevoke { server: Server, granted: Box<Granted> },
    /// The homeserver does not accept this request yet.
    Wait { wait: Wait, request: Box<Due> },
    /// The login is done.
    Done(Box<Session>),
}

/// What a homeserver offers.
#[derive(Clone, Debug)]
pub(crate) struct Offers {
    pub(crate) login_types: LoginTypes,
    pub(crate) oauth: Option<Arc<AuthMetadata>>,
}

/// A homeserver whose address is known, with its offers. After a resume the offers are not known.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) homeserver: Homeserver,
    pub(crate) offers: Option<Offers>,
}

impl Server {
    /// The question how to log in. Without the offers, GET login comes first.
    pub(crate) fn question(&self, refused: Option<Box<ServerError>>) -> Due {
        let homeserver = self.homeserver.clone();
        match self.offers.clone() {
            Some(offers) => Due::Choose { homeserver, offers, refused },
            None => Due::GetLogin { homeserver, refused },
        }
    }

    /// After the server has granted tokens, the homeserver must say which user they belong to.
    pub(crate) fn ask_whoami(&self, granted: Granted) -> Next {
        Next::To(Due::GetWhoami { server: self.clone(), granted: Box::new(granted) })
    }

    /// Accepts a session, or refuses it if the user or the settings are not satisfied. Then the error owns the session,
    /// and the flow asks again how to log in.
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

/// A login in the browser, with everything that is needed to recognize its callback.
#[derive(Clone)]
pub(crate) struct Browse {
    pub(crate) url: Url,
    pub(crate) state: RedirectState,
    pub(crate) purpose: Purpose,
}

/// The kind of login in the browser.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Single sign-on. The fields are for POST login after the callback.
    Sso { fields: Fields },
    /// The code grant. The metadata are the ones that the login began with. After a resume they are not known.
    Code { grant: Box<CodeGrant>, metadata: Option<Arc<AuthMetadata>> },
}

/// An OAuth 2.0 login that a person has chosen.
#[derive(Clone, Debug)]
pub(crate) struct OAuthLogin {
    pub(crate) metadata: Arc<AuthMetadata>,
    pub(crate) choice: OAuthChoice,
    pub(crate) device_id: DeviceId,
}

/// What is needed to exchange a code for tokens.
#[derive(Clone)]
pub(crate) struct CodeGrant {
    /// The authorization URL, which the browser opened.
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

/// What is needed to ask for a code to show.
#[derive(Clone, Debug)]
pub(crate) struct CodeRequest {
    pub(crate) client_id: Box<str>,
    pub(crate) metadata: Arc<AuthMetadata>,
    pub(crate) device_id: DeviceId,
}

/// What is needed to poll for the tokens of a device.
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

/// The targets of the redirects of the well-known file, in their order.
#[derive(Clone, Default)]
pub(crate) struct Redirects(pub(crate) Vec<Uri>);

impl fmt::Debug for Redirects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|uri| without_secrets(&uri.to_string()))).finish()
    }
}

impl Due {
    /// The box itself, or the request behind a wait: a wait only delays a request.
    pub(crate) fn behind_wait(&self) -> &Self {
        if let Self::Wait { request, .. } = self { request } else { self }
    }

    /// The homeserver, if the box comes after a choice.
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

/// What an input leads to.
pub(crate) enum Next {
    /// Another box.
    To(Due),
    /// The same request, after a wait. The number of attempts stays.
    Again(Due),
    /// A homeserver, from the caller or from discovery.
    At { homeserver: Homeserver, discovered: Option<Box<Discovered>> },
    /// This box, although the input fails: the error owns the session that was granted.
    Refused(Due, Error),
}

/// The results of discovery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovered {
    /// The well-known file of the server.
    pub well_known: well_known::Response,
    /// The versions and features that the homeserver supports.
    pub versions: versions::Response,
}
