//! A session that several tasks share. They call the homeserver with it. This file handles everything that the
//! homeserver says about the tokens, once for all tasks.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use http::{Request, Response};
use matrix_login::{
    Choice, Homeserver, LoginFlow, LoginSettings, Password, Refresh, Session, Step, UserIdentifier, Verdict, drive,
};
use tokio::{sync::Mutex, time::sleep};

use crate::client::Client;

/// A refresh is due this long before the access token expires.
const MARGIN: Duration = Duration::from_secs(30);

/// How often a request is sent at most. A homeserver that refuses the tokens that it grants must not keep a task busy
/// without end.
const MAX_TRIES: u32 = 5;

/// The longest time that all tasks wait for the next refresh.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub struct Bot {
    client: Client,
    password: Choice,
    file: PathBuf,
    /// A task replaces the session only while it holds this lock. The other tasks wait.
    session: Mutex<Session>,
}

impl Bot {
    /// Reads the session from the file. If the file has none, logs in.
    pub async fn start(homeserver: Homeserver, user: &str, password: Password, file: PathBuf) -> anyhow::Result<Self> {
        let client = Client::new()?;
        let password = Choice::password(UserIdentifier::user(user), password);
        let session = match restore(&file)? {
            Some(session) => session,
            None => {
                let session = log_in(LoginFlow::at(homeserver, settings()), &password, &client).await?;
                store(&file, &session.to_json())?;
                session
            }
        };
        Ok(Self { client, password, file, session: Mutex::new(session) })
    }

    /// Calls the homeserver, and calls it again when its tokens were replaced, at most five times.
    pub async fn get(&self, path: &str) -> anyhow::Result<Response<Vec<u8>>> {
        for _ in 0..MAX_TRIES {
            // 1. Refresh in time: a request with a token that has expired is lost.
            let session = self.session.lock().await.clone();
            let now = SystemTime::now();
            if session.refresh_in(now, MARGIN) == Some(Duration::ZERO) {
                let refreshed = self.refresh(&session).await;
                // If the refresh fails, the token is still valid for a while.
                if session.is_expired(now, Duration::ZERO) {
                    refreshed?;
                }
            }
            // 2. Call.
            let used = self.session.lock().await.clone();
            let homeserver = used.homeserver().context("the session does not know its homeserver")?;
            let mut request = Request::get(format!("{homeserver}{path}")).body(Vec::new())?;
            used.authorize(&mut request)?;
            let response = self.client.exchange(request).await?;
            // 3. Judge: every response can say something about the token.
            match used.judge(&response) {
                Verdict::Unaffected => return Ok(response),
                Verdict::NotMatrix => bail!("something else responds in place of the homeserver"),
                Verdict::Locked => bail!("the account is locked: start again later"),
                Verdict::LoggedOut => bail!("the session was ended elsewhere: start again to log in"),
                // 4. Refresh, and call again.
                Verdict::Refresh { delay } => {
                    sleep(delay).await;
                    self.refresh(&used).await?;
                }
                // 5. The device still exists: log in again on it.
                Verdict::SoftLogout => self.log_in_again(&used).await?,
            }
        }
        bail!("the homeserver refuses every token that it grants")
    }

    /// Refreshes the session, unless another task has done that since `used` was copied.
    async fn refresh(&self, used: &Session) -> anyhow::Result<()> {
        let mut session = self.session.lock().await;
        if !session.has_token_of(used) || session.refresh_token().is_none() {
            return Ok(());
        }
        let mut next = session.clone();
        let response = self.client.exchange(next.refresh_request()?).await?;
        match next.handle_refresh(&response, SystemTime::now()) {
            Refresh::Refreshed => {
                // Store the tokens before their first use, because that use makes the old refresh token invalid.
                store(&self.file, &next.to_json())?;
                *session = next;
            }
            Refresh::Later { delay, .. } => {
                *session = next;
                // Wait with the lock, so that no other task asks before. A server can ask for a wait of a day: then ask
                // again earlier.
                sleep(delay.min(LONGEST_WAIT)).await;
            }
            // The next verdict says whether the device still exists.
            Refresh::TokenGone(_) | Refresh::Unsupported(_) => session.forget_refresh_token(),
            Refresh::SoftLogout(_) => self.replace(&mut session).await?,
            Refresh::Locked(error) => bail!(*error),
        }
        Ok(())
    }

    /// Logs in again on the same device, unless another task has done that since `used` was copied.
    async fn log_in_again(&self, used: &Session) -> anyhow::Result<()> {
        let mut session = self.session.lock().await;
        if session.has_token_of(used) { self.replace(&mut session).await } else { Ok(()) }
    }

    async fn replace(&self, session: &mut Session) -> anyhow::Result<()> {
        let granted = log_in(LoginFlow::again(session, settings()), &self.password, &self.client).await?;
        store(&self.file, &granted.to_json())?;
        *session = granted;
        Ok(())
    }

    /// Ends the session.
    pub async fn log_out(self) -> anyhow::Result<()> {
        let session = self.session.into_inner();
        let response = self.client.exchange(session.logout_request()?).await?;
        session.handle_logout(&response)?;
        store(&self.file, "{}")
    }
}

fn settings() -> LoginSettings {
    LoginSettings::default().with_initial_device_display_name("bot")
}

async fn log_in(mut flow: LoginFlow, password: &Choice, client: &Client) -> anyhow::Result<Session> {
    let mut client = client.clone();
    if let Step::Choose { .. } = drive(&mut flow, &mut client).await? {
        flow.choose(password.clone())?;
    }
    match drive(&mut flow, &mut client).await? {
        Step::Done(session) => Ok(session.clone()),
        Step::Choose { refused: Some(refused), .. } => bail!(refused.clone()),
        step => bail!("a person is needed: {step:?}"),
    }
}

fn restore(file: &Path) -> anyhow::Result<Option<Session>> {
    if !file.exists() {
        return Ok(None);
    }
    Ok(Session::from_json(fs::read(file)?)?)
}

/// Writes a new file, which only this user can read, and puts it in the place of the old file. So no crash leaves half
/// a session.
fn store(file: &Path, session: &str) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(session.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(())
}
