//! Waits for the callback: the browser comes back to a port of this machine, or the user pastes the address.

use std::{
    io::{self, BufRead},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use tiny_http::{Header, Request, Response, Server};
use url::Url;

use crate::{driver::Callback, failure::Failure};

/// What the browser shows at the end.
const ACCEPTED: &str = "You can close this window.";
const REFUSED: &str = "You are not logged in. You can close this window, and begin again in the program.";
const FOREIGN: &str = "This page is only for the end of a login. If your login is not finished, go back and try again.";

enum Event {
    Request(Request),
    Pasted(String),
}

pub struct Callbacks {
    url: Url,
    events: Receiver<Event>,
    /// For the threads that read requests and pasted lines.
    sender: Sender<Event>,
    deadline: Instant,
    /// The request that waits for a page.
    waiting: Option<Request>,
    /// Whether the callback has come. Later requests change nothing.
    is_over: Arc<AtomicBool>,
}

impl Callbacks {
    /// Listens on a free port, and gives up after `patience`.
    pub fn listen(patience: Duration) -> Result<Self, Failure> {
        let server = Server::http("127.0.0.1:0").map_err(io::Error::other)?;
        let url = Url::parse(&format!("http://{}/callback", server.server_addr()))?;
        let (sender, events) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let (requests, ended) = (sender.clone(), Arc::clone(&is_over));
        thread::spawn(move || {
            for request in server.incoming_requests() {
                if ended.load(Ordering::SeqCst) {
                    respond(request, 400, FOREIGN);
                } else if requests.send(Event::Request(request)).is_err() {
                    break;
                }
            }
        });
        let deadline = Instant::now() + patience;
        Ok(Self { url, events, sender, deadline, waiting: None, is_over })
    }

    /// The callback URL, without the parameters that the server adds.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Waits for an address that can be the callback.
    pub fn next(&mut self) -> Result<Url, Failure> {
        loop {
            match self.events.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Request(request)) => match self.url.join(request.url()) {
                    Ok(address) if address.path() == self.url.path() => {
                        self.waiting = Some(request);
                        return Ok(address);
                    }
                    // A browser also asks for an icon.
                    _ => respond(request, 404, FOREIGN),
                },
                Ok(Event::Pasted(line)) => {
                    if let Ok(address) = Url::parse(line.trim()) {
                        return Ok(address);
                    }
                    say!("this is not an address: copy the whole address");
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(Failure("the browser did not come back in time: begin again".to_owned()));
                }
            }
        }
    }

    /// Shows the result in the browser, if the address came from the browser.
    pub fn answer(&mut self, callback: Callback) {
        self.is_over.store(callback != Callback::Foreign, Ordering::SeqCst);
        let (status, page) = match callback {
            Callback::Accepted => (200, ACCEPTED),
            Callback::Refused => (200, REFUSED),
            Callback::Foreign => (400, FOREIGN),
        };
        match self.waiting.take() {
            Some(request) => respond(request, status, page),
            None if callback == Callback::Foreign => say!("this address does not belong to this login"),
            None => {}
        }
    }

    /// From now on, also accepts addresses that the user pastes.
    pub fn read_pasted(&self) {
        let pasted = self.sender.clone();
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if pasted.send(Event::Pasted(line)).is_err() {
                    break;
                }
            }
        });
    }
}

fn respond(request: Request, status: u16, text: &str) {
    let page = format!("<!DOCTYPE html><meta charset=\"utf-8\"><title>Login</title><p>{text}</p>");
    let html = Header::from_bytes("Content-Type", "text/html; charset=utf-8").expect("the header is valid");
    // The address contains the login token or the code. The browser must not send it to another server as the referrer.
    let referrer = Header::from_bytes("Referrer-Policy", "no-referrer").expect("the header is valid");
    let response = Response::from_string(page).with_status_code(status).with_header(html).with_header(referrer);
    // If the browser has closed the connection, it needs no page.
    let _ = request.respond(response);
}
