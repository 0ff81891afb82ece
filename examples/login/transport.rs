//! Carries requests with ureq, as the library wants it: no redirect followed, a 4xx for an answer, limits on time and size.

use std::{
    io::{self, Read},
    time::Duration,
};

use http::{Request, Response};
use matrix_login::MAX_BODY;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

use crate::failure::Failure;

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

    /// Sends a request, and says on standard error what went over the wire.
    ///
    /// # Errors
    ///
    /// Why there was no answer.
    pub fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
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
        self.send(request)
            .map_err(|error| Failure::Other(format!("no answer from {uri}: {error}; check the network and try again")))
    }
}

/// Reads the body as far as the library does, and one byte more, so that it sees that there is more.
fn read(response: Response<ureq::Body>) -> io::Result<Response<Vec<u8>>> {
    let (head, body) = response.into_parts();
    let mut bytes = Vec::new();
    body.into_reader().take(MAX_BODY as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Response::from_parts(head, bytes))
}
