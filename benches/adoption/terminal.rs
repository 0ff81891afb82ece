//! The transport of both programs with `matrix-login`. It prints each request, and reads a line of standard input as
//! the body of the response.

use std::io;
use std::thread;
use std::time::SystemTime;

use http::{Request, Response};
use matrix_login::{Pause, blocking};

pub struct Terminal;

impl blocking::Transport for Terminal {
    type Body = String;
    type Error = io::Error;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<String>, io::Error> {
        println!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(request.body()));
        let mut body = String::new();
        io::stdin().read_line(&mut body)?;
        Ok(Response::new(body))
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), io::Error> {
        thread::sleep(pause.remaining(self.now()));
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
