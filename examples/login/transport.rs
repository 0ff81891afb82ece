//! Carries requests with ureq, as the library wants it: no redirect followed, a 4xx for an answer, limits on time and
//! size. Waits out a rate limit, unless that takes too long.

use std::{
    io::{self, Read},
    thread,
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{MAX_BODY, Pause, blocking};
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

use crate::{failure::Failure, say::in_words};

/// How long a rate limit is waited out.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often in a row.
const MAX_WAITS: u32 = 3;

pub struct Transport {
    agent: Agent,
}

impl Transport {
    /// Gives up on a request after the timeout, and trusts whom the platform trusts.
    pub fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        Self { agent: config.into() }
    }

    /// Carries a request, and says on standard error what went over the wire.
    ///
    /// # Errors
    ///
    /// Why there was no answer.
    pub fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
        let line = format!("{} {}", request.method(), request.uri());
        let answer = self.agent.run(request).and_then(|response| Ok(read(response)?));
        match &answer {
            Ok(response) => say!("{line}: {}", response.status()),
            Err(error) => say!("{line}: no answer: {error}"),
        }
        answer
    }

    /// The same where nothing can be done without an answer.
    pub fn ask(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure> {
        let uri = request.uri().clone();
        self.carry(request)
            .map_err(|error| Failure::Other(format!("no answer from {uri}: {error}; check the network and try again")))
    }
}

/// Of a reference, because the program also sends requests without the crate's loop.
impl blocking::Transport for &Transport {
    type Body = Vec<u8>;
    type Error = Failure;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure> {
        self.ask(request)
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), Failure> {
        let left = pause.remaining(self.now());
        if let Pause::RateLimit(wait) = pause {
            let shown = in_words(left);
            if left > LONGEST_WAIT || wait.attempt() > MAX_WAITS {
                return Err(Failure::Other(format!("the homeserver limits the rate of logins: try again in {shown}")));
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

/// Reads the body as far as the library does, and one byte more, so that it sees that there is more.
fn read(response: Response<ureq::Body>) -> io::Result<Response<Vec<u8>>> {
    let (head, body) = response.into_parts();
    let mut bytes = Vec::new();
    body.into_reader().take(MAX_BODY as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Response::from_parts(head, bytes))
}
