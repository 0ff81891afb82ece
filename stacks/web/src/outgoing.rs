//! Sends the requests of logins and sessions. Strangers choose where they go.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use matrix_login::{BodyCollector, Pause, TooLong, Transport};

use crate::public::{NotPublic, PublicNames, may_be_public};

/// A person waits for the page.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const PAUSES: u32 = 2;

#[derive(Clone)]
pub struct Outgoing {
    client: reqwest::Client,
    allow_private: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("the homeserver, or what it refers to, is on a private network; this page only asks public servers")]
    NotPublic,
    #[error("the homeserver, or what it refers to, has an address without https")]
    NotHttps,
    #[error("the server does not respond; try again later")]
    NoResponse,
    #[error("{0}")]
    TooLong(TooLong),
}

/// The error of the client contains the address, and the address can contain a secret. So the error is not kept.
impl From<reqwest::Error> for OutgoingError {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if error.is::<NotPublic>() {
                return Self::NotPublic;
            }
            cause = error.source();
        }
        Self::NoResponse
    }
}

impl Outgoing {
    pub fn new(allow_private: bool) -> reqwest::Result<Self> {
        // A proxy would resolve the names itself, so no proxy is used.
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.timeout(LONGEST_REQUEST);
        let client = if allow_private { client } else { client.dns_resolver(Arc::new(PublicNames)) };
        Ok(Self { client: client.build()?, allow_private })
    }

    pub async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutgoingError> {
        let request: reqwest::Request = request.try_into()?;
        if !self.allow_private && !may_be_public(request.url()) {
            return Err(OutgoingError::NotPublic);
        }
        if !self.allow_private && request.url().scheme() != "https" {
            return Err(OutgoingError::NotHttps);
        }
        let mut response = self.client.execute(request).await?;
        let mut body = BodyCollector::default();
        while let Some(chunk) = response.chunk().await? {
            body.push(chunk);
            if body.is_full() {
                break;
            }
        }
        let (head, _) = Response::<reqwest::Body>::from(response).into_parts();
        Ok(body.into_response(head))
    }
}

impl Transport for Outgoing {
    type Body = Vec<u8>;
    type Error = OutgoingError;

    async fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutgoingError> {
        self.carry(request).await
    }

    async fn pause(&mut self, pause: Pause<'_>) -> Result<(), OutgoingError> {
        let remaining = pause.remaining_within(LONGEST_PAUSE, PAUSES, self.now()).map_err(OutgoingError::TooLong)?;
        tokio::time::sleep(remaining).await;
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
