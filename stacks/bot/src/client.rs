//! Sends the requests with reqwest, as `stacks/reqwest` does.

use std::{
    io,
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{BodyCollector, Pause, Transport};

/// How long a request may take. A bot that asks for events with a long poll needs more time for such a request.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Client(reqwest::Client);

impl Client {
    pub fn new() -> reqwest::Result<Self> {
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
        builder.build().map(Self)
    }

    /// Every task has the same client, and needs no exclusive access to it. The response is cut off after 64 KiB. A
    /// call with a long response, such as GET sync, needs a method without `BodyCollector`.
    pub async fn exchange(&self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let request = request.try_into().map_err(io::Error::other)?;
        let mut response = self.0.execute(request).await.map_err(io::Error::other)?;
        let mut body = BodyCollector::default();
        while let Some(chunk) = response.chunk().await.map_err(io::Error::other)? {
            body.push(chunk);
            if body.is_full() {
                break;
            }
        }
        let (head, _) = Response::<reqwest::Body>::from(response).into_parts();
        Ok(body.into_response(head))
    }
}

impl Transport for Client {
    type Body = Vec<u8>;
    type Error = io::Error;

    async fn send(&mut self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        self.exchange(request).await
    }

    async fn pause(&mut self, pause: Pause<'_>) -> io::Result<()> {
        // A bot can wait for a long time.
        let remaining = pause.remaining_within(Duration::from_secs(600), 10, self.now()).map_err(io::Error::other)?;
        tokio::time::sleep(remaining).await;
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
