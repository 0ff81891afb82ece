//! The demo of both programs: a login to a demo homeserver, and then the use of the session.

use std::path::PathBuf;

use matrix_login::Session;
use tempfile::TempDir;

use crate::{
    demo::{Demo, homeserver::USER},
    failure::Failure,
    person::Person,
    session_file::SessionFile,
    started, stored,
    transport::Transport,
};

pub struct Tour {
    homeserver: Demo,
    file: SessionFile,
    /// The folder of the session, if the user has named no file. It is deleted at the end of the tour.
    folder: Option<TempDir>,
}

impl Tour {
    /// Starts the homeserver.
    pub fn begin(data: Option<PathBuf>) -> Result<Self, Failure> {
        let (file, folder) = if let Some(path) = data {
            (SessionFile::new(path), None)
        } else {
            let folder = temporary_folder()?;
            (SessionFile::new(folder.path().join("data.json")), Some(folder))
        };
        stored::look_at(&file)?;
        let homeserver = Demo::start()?;
        say!("This demo logs in as {USER} to a homeserver that it starts on this machine. It needs no network.");
        say!("It shows each request, and the status of the response.");
        Ok(Self { homeserver, file, folder })
    }

    pub fn url(&self) -> &str {
        self.homeserver.url()
    }

    /// Goes on after the login. `next` are the arguments to try after the demo.
    pub fn go_on(
        self,
        session: &Session,
        next: &str,
        transport: &Transport,
        person: &mut Person,
    ) -> Result<(), Failure> {
        stored::store(&self.file, session, None, transport, person)?;
        stored::show_session(session)?;
        say!("\n2. Ask the homeserver who is logged in, as with --whoami.");
        stored::whoami(&self.file, None, transport)?;
        say!("\n3. Refresh the session, as with --refresh: its tokens are replaced by new ones.");
        stored::refresh_now(&self.file, None, transport)?;
        if self.folder.is_some() {
            say!("\n4. Log out, as with --logout: all tokens of the session are no longer valid.");
            stored::log_out(&self.file, None, transport)?;
        } else {
            let path = self.file.path().display();
            say!("\nThe session stays in {path}. Its homeserver stops with this program, so you cannot use it:");
            say!("look at {path} and {path}.lock, then delete them.");
        }
        say!("\nNow log in to your own homeserver:");
        say!("    {}", started::command(next));
        Ok(())
    }
}

fn temporary_folder() -> Result<TempDir, Failure> {
    tempfile::tempdir().map_err(|error| Failure(format!("a temporary folder cannot be created: {error}")))
}
