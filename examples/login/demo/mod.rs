//! A homeserver on loopback, for people without an account. `homeserver.rs` contains its data and its responses,
//! `oauth.rs` the part for OAuth 2.0. This file serves them over HTTP.

pub mod homeserver;
mod oauth;

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use tiny_http::{Header, Response, Server};

use self::homeserver::{Homeserver, Request};

/// A running homeserver. It ends when it is dropped.
pub struct Demo {
    url: String,
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Demo {
    /// Starts a homeserver on a free port.
    pub fn start() -> io::Result<Self> {
        let server = Arc::new(Server::http("127.0.0.1:0").map_err(io::Error::other)?);
        let url = format!("http://{}", server.server_addr());
        let mut homeserver = Homeserver::new(&url);
        let requests = Arc::clone(&server);
        let thread = thread::spawn(move || {
            for request in requests.incoming_requests() {
                // If the client has closed the connection, it needs no response.
                let _ = respond(&mut homeserver, request);
            }
        });
        Ok(Self { url, server, thread: Some(thread) })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn respond(homeserver: &mut Homeserver, mut request: tiny_http::Request) -> io::Result<()> {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body)?;
    let header = |name: &'static str| {
        let header = request.headers().iter().find(|header| header.field.equiv(name));
        header.map(|header| header.value.as_str())
    };
    let reply = homeserver.respond(
        &Request {
            method: request.method().as_str(),
            target: request.url(),
            authorization: header("Authorization"),
            content_type: header("Content-Type"),
            body: &body,
        },
        Instant::now(),
    );
    let mut response = Response::from_string(reply.body).with_status_code(reply.status);
    for (name, value) in reply.headers {
        response.add_header(Header::from_bytes(name, value).map_err(|()| io::ErrorKind::InvalidData)?);
    }
    request.respond(response)
}
