//! A login with reqwest on tokio. The password is read from standard input:
//! `cargo run --manifest-path stacks/reqwest/Cargo.toml -- https://matrix.example.org alice`

use std::{env, io, time::Duration, time::SystemTime};

use http::{Request, Response};
use matrix_login::{
    BodyCollector, Choice, LoginFlow, LoginSettings, Password, Pause, Step, Transport, UserIdentifier, drive, one_line,
};

struct Client(reqwest::Client);

impl Transport for Client {
    type Body = Vec<u8>;
    type Error = io::Error;

    async fn send(&mut self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
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
    // A 4xx and a 5xx are responses already. The client must not follow redirects.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let mut client = Client(client.timeout(Duration::from_secs(10)).build()?);
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
