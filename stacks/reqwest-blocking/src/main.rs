//! A login with reqwest, blocking. The password is read from standard input:
//! `cargo run --manifest-path stacks/reqwest-blocking/Cargo.toml -- https://matrix.example.org alice`

use std::{env, io, io::Read, thread, time::Duration, time::SystemTime};

use http::{Request, Response};
use matrix_login::{
    Choice, LoginFlow, LoginSettings, MAX_BODY, Password, Pause, Step, UserIdentifier, blocking, one_line,
};

struct Client(reqwest::blocking::Client);

impl blocking::Transport for Client {
    type Body = Vec<u8>;
    type Error = io::Error;

    fn send(&mut self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let request = request.try_into().map_err(io::Error::other)?;
        let mut response = self.0.execute(request).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        // One byte more than the flow reads: the flow sees that the body is too long.
        response.by_ref().take(MAX_BODY as u64 + 1).read_to_end(&mut bytes)?;
        let mut whole = Response::new(bytes);
        *whole.status_mut() = response.status();
        *whole.headers_mut() = response.headers().clone();
        Ok(whole)
    }

    fn pause(&mut self, pause: Pause<'_>) -> io::Result<()> {
        let remaining = pause.remaining_within(Duration::from_secs(60), 3, self.now()).map_err(io::Error::other)?;
        thread::sleep(remaining);
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

fn main() -> anyhow::Result<()> {
    let [_, homeserver, user] = &*env::args().collect::<Vec<_>>() else { anyhow::bail!("usage: HOMESERVER USER") };
    let password = io::read_to_string(io::stdin())?;
    let choice = Choice::password(UserIdentifier::user(user), Password::new(password.trim_end_matches(['\r', '\n'])));
    // A 4xx and a 5xx are responses already. The client must not follow redirects.
    let client = reqwest::blocking::Client::builder().redirect(reqwest::redirect::Policy::none());
    let mut client = Client(client.timeout(Duration::from_secs(10)).build()?);
    let mut flow = LoginFlow::at(homeserver.parse()?, LoginSettings::default());
    loop {
        match blocking::drive(&mut flow, &mut client)? {
            Step::Choose { refused: None, .. } => flow.choose(choice.clone())?,
            Step::Choose { refused: Some(refused), .. } => anyhow::bail!(refused.clone()),
            Step::Done(session) => break println!("logged in as {}", one_line(session.user_id().as_str())),
            step => anyhow::bail!("a person is needed: {step:?}"),
        }
    }
    Ok(())
}
