//! A login with isahc, which is libcurl, on smol. The password is read from standard input:
//! `cargo run --manifest-path stacks/isahc/Cargo.toml -- https://matrix.example.org alice`

use std::{env, io, time::Duration, time::SystemTime};

use http::{Request, Response};
use isahc::{HttpClient, config::Configurable, config::RedirectPolicy};
use matrix_login::{
    Choice, LoginFlow, LoginSettings, MAX_BODY, Password, Pause, Step, Transport, UserIdentifier, drive, one_line,
};
use smol::{Timer, io::AsyncReadExt};

struct Client(HttpClient);

impl Transport for Client {
    type Body = Vec<u8>;
    type Error = io::Error;

    async fn send(&mut self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let (head, body) = self.0.send_async(request).await?.into_parts();
        let mut bytes = Vec::new();
        // One byte more than the flow reads: the flow sees that the body is too long.
        body.take(MAX_BODY as u64 + 1).read_to_end(&mut bytes).await?;
        Ok(Response::from_parts(head, bytes))
    }

    async fn pause(&mut self, pause: Pause<'_>) -> io::Result<()> {
        let remaining = pause.remaining_within(Duration::from_secs(60), 3, self.now()).map_err(io::Error::other)?;
        Timer::after(remaining).await;
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

fn main() -> anyhow::Result<()> {
    smol::block_on(log_in())
}

async fn log_in() -> anyhow::Result<()> {
    let [_, homeserver, user] = &*env::args().collect::<Vec<_>>() else { anyhow::bail!("usage: HOMESERVER USER") };
    let password = io::read_to_string(io::stdin())?;
    let choice = Choice::password(UserIdentifier::user(user), Password::new(password.trim_end_matches(['\r', '\n'])));
    // A 4xx and a 5xx are responses already. The client must not follow redirects.
    let client = HttpClient::builder().redirect_policy(RedirectPolicy::None);
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
