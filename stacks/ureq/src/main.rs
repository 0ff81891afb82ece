//! A login with ureq, which blocks. The password is read from standard input:
//! `cargo run --manifest-path stacks/ureq/Cargo.toml -- https://matrix.example.org alice`

use std::{env, io, io::Read, thread, time::Duration, time::SystemTime};

use http::{Request, Response};
use matrix_login::{Choice, LoginFlow, LoginSettings, MAX_BODY, Password, Pause, Step, UserIdentifier};
use matrix_login::{blocking, one_line};

struct Client(ureq::Agent);

impl blocking::Transport for Client {
    type Body = Vec<u8>;
    type Error = ureq::Error;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
        let (head, body) = self.0.run(request)?.into_parts();
        let mut bytes = Vec::new();
        // One byte more than the flow reads: the flow sees that the body is too long.
        body.into_reader().take(MAX_BODY as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Response::from_parts(head, bytes))
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), ureq::Error> {
        // Gives up after three waits, or if one wait is longer than a minute.
        let remaining = pause.remaining_within(Duration::from_secs(60), 3, self.now());
        thread::sleep(remaining.map_err(io::Error::other)?);
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
    // The client returns a 4xx and a 5xx as responses, and follows no redirects. It uses the proxy of the environment.
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let mut client = Client(config.timeout_global(Some(Duration::from_secs(10))).build().into());
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
