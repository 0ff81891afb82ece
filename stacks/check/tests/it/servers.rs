//! Scripted servers on loopback.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use flate2::{Compression, write::GzEncoder};
use tiny_http::{Header, Request, Response, Server};

const OFFERS: &str = r#"{"flows":[{"type":"m.login.password"}]}"#;
const GRANTED: &str = r#"{"user_id":"@alice:example.org","device_id":"DEVICEID","access_token":"t0k3n"}"#;

/// Status, headers and body.
pub type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

pub fn json(status: u16, body: &str) -> Answer {
    (status, Vec::new(), body.into())
}

/// A homeserver that grants every login.
pub fn good(target: &str) -> Answer {
    match target {
        "GET /_matrix/client/v3/login" => json(200, OFFERS),
        "POST /_matrix/client/v3/login" => json(200, GRANTED),
        _ => json(404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
    }
}

/// A scripted homeserver. It ends when it is dropped.
pub struct Homeserver {
    pub url: String,
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Homeserver {
    pub fn start(mut script: impl FnMut(&str, &Request) -> Answer + Send + 'static) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let url = format!("http://{}", server.server_addr());
        let targets = Arc::new(Mutex::new(Vec::new()));
        let (requests, log) = (Arc::clone(&server), Arc::clone(&targets));
        let thread = thread::spawn(move || {
            for request in requests.incoming_requests() {
                let target = format!("{} {}", request.method(), request.url());
                log.lock().unwrap().push(target.clone());
                let response = script(&target, &request);
                respond(request, response);
            }
        });
        Self { url, server, thread: Some(thread), targets }
    }

    pub fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

impl Drop for Homeserver {
    fn drop(&mut self) {
        self.server.unblock();
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok(), "the script panicked");
    }
}

pub fn respond(request: Request, (status, headers, body): Answer) {
    let mut response = Response::from_data(body).with_status_code(status);
    for (name, value) in headers {
        response.add_header(Header::from_bytes(name, value).unwrap());
    }
    // A client that has closed the connection has read enough.
    let _ = request.respond(response);
}

/// A server that does something with each connection. It ends with the test.
pub fn server(act: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(|connection| act(connection.unwrap())));
    url
}

/// The head of a request, as it arrives.
pub fn head(connection: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    head
}

pub fn compressed((status, mut headers, body): Answer) -> Answer {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&body).unwrap();
    headers.push(("Content-Encoding", "gzip".to_owned()));
    (status, headers, encoder.finish().unwrap())
}

/// A proxy to one homeserver. It counts its connections. Some clients ask for a tunnel (CONNECT), and some do not.
pub fn proxy_to(homeserver: &Homeserver) -> (String, Arc<AtomicUsize>) {
    let address = homeserver.url.strip_prefix("http://").unwrap().to_owned();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let url = server(move |mut client| {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut server = TcpStream::connect(&address).unwrap();
        thread::spawn(move || {
            let head = head(&mut client);
            if head.starts_with(b"CONNECT ") {
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            } else {
                server.write_all(&head).unwrap();
            }
            let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from_server, &mut to_client));
            let _ = io::copy(&mut client, &mut server);
            let _ = server.shutdown(Shutdown::Write);
        });
    });
    (url, count)
}
