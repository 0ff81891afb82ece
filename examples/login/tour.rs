//! What the demos of both programs show: a login to a homeserver of their own, and what one does with a session then.

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
    /// Where the session is if the user has named no file. It goes with the tour.
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

    /// Goes on when the login is done. `next` are the arguments to try afterwards.
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
            say!("\nThe session stays in {path}. Its homeserver ends with this program, and so nobody can use it:");
            say!("delete {path} and {path}.lock when you have seen them.");
        }
        say!("\nNow log in to your own homeserver:");
        say!("    {}", started::command(next));
        Ok(())
    }
}

fn temporary_folder() -> Result<TempDir, Failure> {
    tempfile::tempdir().map_err(|error| Failure(format!("no temporary folder can be made: {error}")))
}
