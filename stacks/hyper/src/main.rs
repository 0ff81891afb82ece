//! A login with hyper-util on tokio. The password is read from standard input:
//! `cargo run --manifest-path stacks/hyper/Cargo.toml -- https://matrix.example.org alice`

use std::{env, io, time::Duration, time::SystemTime};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{client::legacy, client::legacy::connect::HttpConnector, rt::TokioExecutor};
use matrix_login::{BodyCollector, Choice, LoginFlow, LoginSettings, Password, Pause, Step};
use matrix_login::{Transport, UserIdentifier, drive, one_line};

struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<io::Cursor<Vec<u8>>>>);

impl Transport for Client {
    type Body = Vec<u8>;
    type Error = io::Error;
    async fn send(&mut self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let exchange = async {
            let request = request.map(|body| Full::new(io::Cursor::new(body)));
            let (head, mut chunks) = self.0.request(request).await.map_err(io::Error::other)?.into_parts();
            let mut body = BodyCollector::default();
            while let (false, Some(frame)) = (body.is_full(), chunks.frame().await) {
                body.push(frame.map_err(io::Error::other)?.into_data().unwrap_or_default());
            }
            Ok(body.into_response(head))
        };
        tokio::time::timeout(Duration::from_secs(10), exchange).await? // The client has no time limit of its own.
    }

    async fn pause(&mut self, pause: Pause<'_>) -> io::Result<()> {
        let remaining = pause.remaining_within(Duration::from_secs(60), 3, self.now()).map_err(io::Error::other)?;
        tokio::time::sleep(remaining).await;
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let [_, homeserver, user] = &*env::args().collect::<Vec<_>>() else { anyhow::bail!("usage: HOMESERVER USER") };
    let password = io::read_to_string(io::stdin())?;
    let choice = Choice::password(UserIdentifier::user(user), Password::new(password.trim_end_matches(['\r', '\n'])));
    // It returns every response, follows no redirects, decodes nothing and uses no proxy.
    let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
    let mut client = Client(legacy::Client::builder(TokioExecutor::new()).build(connector));
    let mut flow = LoginFlow::at(homeserver.parse()?, LoginSettings::default());
    loop {
        match drive(&mut flow, &mut client).await? {
            Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
            Step::Choose { refused: Some(refused), .. } => anyhow::bail!(refused.clone()),
            Step::Done(session) => break println!("logged in as {}", one_line(session.user_id().as_str())),
            step => anyhow::bail!("a person is needed: {step:?}"),
        }
    }
    Ok(())
}
