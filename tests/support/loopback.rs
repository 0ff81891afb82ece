//! A scripted homeserver on a real socket, for the programs. It remembers its requests.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use serde_json::Value;
use tiny_http::{Header, Response, Server};
use url::form_urlencoded;

use super::scenario::{GRANTED, VERSIONS};

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// `POST /path`
    pub target: String,
    /// JSON, or a form as an object of strings. Null if the request had no body.
    pub body: Value,
    /// The token of the `Authorization` header.
    pub token: Option<String>,
}

/// Status, headers and body.
pub type Served = (u16, Vec<(&'static str, String)>, String);

/// In place of a status: the server sends bytes that are not HTTP, so the client gets no response.
pub const NO_RESPONSE: u16 = 0;

pub fn served(status: u16, body: impl Into<String>) -> Served {
    (status, Vec::new(), body.into())
}

/// The responses of a homeserver that offers these login types, and grants every login.
pub fn good(offers: &str, received: &Received) -> Served {
    match received.target.as_str() {
        "GET /_matrix/client/versions" => served(200, VERSIONS),
        "GET /_matrix/client/v3/login" => served(200, offers),
        "POST /_matrix/client/v3/login" => served(200, GRANTED),
        _ => served(404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
    }
}

/// An address that refuses connections as long as this value lives. It belongs to the client of a connection, so no
/// server of another test can get it meanwhile.
pub struct Refusing {
    client: TcpStream,
    _server: TcpStream,
}

impl Refusing {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self { client, _server: listener.accept().unwrap().0 }
    }

    pub fn address(&self) -> SocketAddr {
        self.client.local_addr().unwrap()
    }
}

pub struct Loopback {
    pub url: String,
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Loopback {
    /// Sends the response of the script to every request.
    pub fn start(mut script: impl FnMut(&Received) -> Served + Send + 'static) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let url = format!("http://{}", server.server_addr());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (requests, log) = (Arc::clone(&server), Arc::clone(&received));
        let thread = thread::spawn(move || {
            for mut request in requests.incoming_requests() {
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).unwrap();
                let target = format!("{} {}", request.method(), request.url());
                let authorization = request.headers().iter().find(|header| header.field.equiv("Authorization"));
                let token = authorization.and_then(|header| header.value.as_str().strip_prefix("Bearer "));
                let is_form = request.headers().iter().any(|header| {
                    header.field.equiv("Content-Type") && header.value == "application/x-www-form-urlencoded"
                });
                let this = Received {
                    target,
                    body: if is_form { form(&body) } else { serde_json::from_str(&body).unwrap_or_default() },
                    token: token.map(str::to_owned),
                };
                let (status, headers, body) = script(&this);
                log.lock().unwrap().push(this);
                if status == NO_RESPONSE {
                    let mut connection = request.into_writer();
                    let _ = connection.write_all(b"no response\r\n").and_then(|()| connection.flush());
                    continue;
                }
                let mut response = Response::from_string(body).with_status_code(status);
                for (name, value) in headers {
                    response.add_header(Header::from_bytes(name, value).unwrap());
                }
                // A client that has closed the connection has read enough.
                let _ = request.respond(response);
            }
        });
        Self { url, server, thread: Some(thread), received }
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn targets(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.target).collect()
    }
}

fn form(body: &str) -> Value {
    let pairs = form_urlencoded::parse(body.as_bytes()).into_owned();
    Value::Object(pairs.map(|(name, value)| (name, value.into())).collect())
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
