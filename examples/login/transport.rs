//! Sends requests with ureq, by the rules of the library: it follows no redirects, returns a 4xx as a response, and
//! limits time and size. It waits if a rate limit is short, and says in plain words why there is no response.

use std::{
    error::Error,
    fmt,
    io::{self, Read},
    thread,
    time::{Duration, SystemTime},
};

use http::{Request, Response, Uri};
use matrix_login::{MAX_BODY, Pause, blocking};
use ureq::{
    Agent,
    config::Config,
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use crate::{
    failure::Failure,
    proxy::Proxy,
    say::{self, in_words},
};

/// The longest wait for a rate limit.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often in a row to wait for a rate limit.
const MAX_WAITS: u32 = 3;

pub struct Transport {
    agent: Agent,
    /// In seconds.
    timeout: u64,
}

impl Transport {
    /// Gives up on a request after `timeout` seconds, and trusts the certificates that the platform trusts.
    pub fn new(timeout: u64) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // Each request chooses its own proxy.
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(timeout)))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Names::default());
        Self { agent, timeout }
    }

    /// Sends a request. Prints the request and the status of its response on standard error.
    ///
    /// # Errors
    ///
    /// Why there was no response.
    pub fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
        // A query can contain a login token.
        let uri = request.uri().to_string();
        say::part(&format!("{} {}", request.method(), uri.split('?').next().unwrap_or_default()));
        let outcome = self.carry_silently(request);
        match &outcome {
            Ok(response) => say!(": {}", response.status()),
            Err(reason) => say!(": {reason}"),
        }
        outcome
    }

    /// The same, if the program cannot go on without a response.
    pub fn ask(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure> {
        self.carry(request).map_err(|reason| no_response(&reason))
    }

    /// The same without output, for a request that is sent again and again.
    pub fn carry_silently(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
        let uri = request.uri().clone();
        let proxy = Proxy::of(&uri)?;
        let request =
            self.agent.configure_request(request).proxy(proxy.as_ref().map(|proxy| proxy.proxy.clone())).build();
        let response = self.agent.run(request).and_then(|response| Ok(read(response)?));
        response.map_err(|error| self.reason(&error, &uri, proxy.as_ref()))
    }

    /// Why there was no response. The message contains the proxy, since it can be the cause.
    fn reason(&self, error: &ureq::Error, uri: &Uri, proxy: Option<&Proxy>) -> String {
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let server = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default_port));
        // The peer of the connection, and the way to the server.
        let (peer, through) = match proxy {
            None => (server.clone(), String::new()),
            Some(proxy) => (proxy.to_string(), format!(" through {proxy}")),
        };
        match error {
            ureq::Error::Timeout(_) => format!("no response from {server}{through} within {} s", self.timeout),
            ureq::Error::ConnectProxyFailed(reason) => format!("{peer} does not connect to {server}: {reason}"),
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                format!("the response of {server}{through} is not valid HTTP")
            }
            // This can be the name of the server or of the proxy.
            ureq::Error::Other(unknown) => match proxy {
                None => unknown.to_string(),
                Some(proxy) => format!("{unknown} ({proxy} is used)"),
            },
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => format!("connection refused by {peer}"),
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => {
                    format!("{server} closed the connection{through} before it responded")
                }
                io::ErrorKind::InvalidData => match error.to_string().strip_prefix("invalid peer certificate: ") {
                    Some(problem) => format!("the certificate of {server} is not trusted{through}: {problem}"),
                    None => format!("no secure connection to {server}{through}: {error}"),
                },
                _ => format!("{server} cannot be reached{through}: {error}"),
            },
            error => format!("{server} cannot be reached{through}: {error}"),
        }
    }
}

/// Why there was no response, and what to do.
pub fn no_response(reason: &str) -> Failure {
    Failure(format!("{reason}; check the network and try again"))
}

/// Looks up names. An unknown name gets its own error.
#[derive(Debug, Default)]
struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0.resolve(uri, config, timeout).map_err(|error| match error {
            ureq::Error::Io(_) | ureq::Error::HostNotFound => {
                ureq::Error::Other(Box::new(UnknownName(uri.host().unwrap_or_default().to_owned())))
            }
            error => error,
        })
    }
}

#[derive(Debug)]
struct UnknownName(String);

impl Error for UnknownName {}

impl fmt::Display for UnknownName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the name {} does not resolve", self.0)
    }
}

/// This is implemented for a reference, because the program also sends requests without the loop of the crate.
impl blocking::Transport for &Transport {
    type Body = Vec<u8>;
    /// The reason, without advice.
    type Error = String;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
        self.carry(request)
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), String> {
        let left = pause.remaining(self.now());
        if let Pause::RateLimit(wait) = pause {
            let shown = in_words(left);
            if left > LONGEST_WAIT || wait.attempt() > MAX_WAITS {
                return Err(format!("the homeserver limits the rate of logins: try again in {shown}"));
            }
            say!("the homeserver limits the rate of logins: waiting {shown}");
        }
        thread::sleep(left);
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Reads the body up to the limit of the library, and one byte more, so that the library sees a body that is too long.
fn read(response: Response<ureq::Body>) -> io::Result<Response<Vec<u8>>> {
    let (head, body) = response.into_parts();
    let mut bytes = Vec::new();
    body.into_reader().take(MAX_BODY as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Response::from_parts(head, bytes))
}
