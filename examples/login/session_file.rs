//! The session in a JSON file, in the library's stored form. Keys that the library does not know stay as they are.
//!
//! Several processes may share the file. A process that changes it [locks](SessionFile::lock) it first, so that
//! no session is overwritten and no refresh token is used twice.

use std::{
    error::Error,
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use matrix_login::Session;
use serde_json::{Map, Value};

pub struct SessionFile {
    /// As the user named it.
    path: PathBuf,
    /// Where that leads: a link stays one, and all ways to the file lead to the same lock.
    target: PathBuf,
}

/// What is wrong with the file, and what to do.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.problem)
    }
}

impl Error for FileError {}

impl SessionFile {
    pub fn new(path: PathBuf) -> Self {
        let target = resolve(&path);
        Self { path, target }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who is logged in by this file; `None` if there is no file, or one without an access token.
    pub fn session(&self) -> Result<Option<Session>, FileError> {
        let object = Value::Object(self.read()?).to_string();
        Session::from_json(object).map_err(|error| self.broken(&error))
    }

    /// Looks whether a file can be made where the session is to be, before anybody types a password.
    pub fn check_writable(&self) -> Result<(), FileError> {
        // It has no name, and so it is gone even if the program is killed.
        tempfile::tempfile_in(folder(&self.target))
            .map(drop)
            .map_err(|error| self.error(&format!("cannot write there: {error}")))
    }

    /// Waits until no other process changes the file, and says so. What was read before may be outdated then: read it
    /// again.
    pub fn lock(&self) -> Result<Locked<'_>, FileError> {
        match self.open_lock().and_then(|lock| self.wait_for(lock)) {
            Ok(lock) => Ok(Locked { file: self, _lock: lock }),
            Err(error) => Err(self.error(&format!("cannot be locked: {error}"))),
        }
    }

    /// A file of its own: the session's is replaced when it is written, and the lock would go with the old one.
    fn open_lock(&self) -> io::Result<File> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        // Who can open it can hold it for ever.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(beside(&self.target, "lock"))
    }

    fn wait_for(&self, lock: File) -> io::Result<File> {
        if fs4::FileExt::try_lock(&lock).is_err() {
            say!("waiting for another process that changes {}: nothing is stored before", self.path.display());
            fs4::FileExt::lock(&lock)?;
        }
        Ok(lock)
    }

    fn read(&self) -> Result<Map<String, Value>, FileError> {
        match fs::read(&self.target) {
            Ok(json) => serde_json::from_slice(&json).map_err(|_| self.broken(&"it is not a JSON object")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(self.error(&format!("cannot be read: {error}"))),
        }
    }

    fn broken(&self, problem: &dyn fmt::Display) -> FileError {
        self.error(&format!("{problem}; repair it, or name another file with --data"))
    }

    fn error(&self, problem: &str) -> FileError {
        FileError { path: self.path.clone(), problem: problem.to_owned() }
    }
}

/// The file, for the only process that may change it. When this is dropped, and when the process ends, another one may.
pub struct Locked<'a> {
    file: &'a SessionFile,
    _lock: File,
}

impl Locked<'_> {
    /// Who is logged in by this file; `None` if there is no file, or one without an access token.
    pub fn session(&self) -> Result<Option<Session>, FileError> {
        self.file.session()
    }

    /// Looks whether a file can be made where the session is to be.
    pub fn check_writable(&self) -> Result<(), FileError> {
        self.file.check_writable()
    }

    /// Stores the session, and says where. It is the file itself if that has no session, or the one that this one
    /// replaces. Else somebody has logged in there meanwhile: then it is a file beside it, since neither may be lost.
    pub fn store(&self, session: &Session, replaced: Option<&Session>) -> Result<PathBuf, FileError> {
        let SessionFile { path, target } = self.file;
        let is_replaced = |there: &Session| replaced.is_some_and(|replaced| replaced.has_token_of(there));
        let written = match (self.file.read(), self.session()) {
            (Ok(object), Ok(there)) if there.as_ref().is_none_or(is_replaced) => {
                let json = stored_form(object, session);
                let written = if target.exists() { write(target, &json) } else { write_new(target, &json) };
                written.map(|()| path.clone())
            }
            _ => {
                // The homeserver chose the device ID: it shall not choose a folder with it.
                let device_id = session.device_id().replace(|character: char| !character.is_ascii_alphanumeric(), "_");
                let written = write_new(&beside(target, &device_id), &stored_form(Map::new(), session));
                let beside = beside(path, &device_id);
                written.map(|()| {
                    say!("another process has changed {}: name {} with --data", path.display(), beside.display());
                    beside
                })
            }
        };
        written.map_err(|error| self.file.error(&format!("cannot be written: {error}")))
    }

    /// Leaves the file as it is before the first login: `{}`.
    pub fn clear(&self) -> Result<(), FileError> {
        write(&self.file.target, b"{}").map_err(|error| self.file.error(&format!("cannot be written: {error}")))
    }
}

fn stored_form(mut object: Map<String, Value>, session: &Session) -> Vec<u8> {
    session.store_in(&mut object);
    format!("{:#}", Value::Object(object)).into_bytes()
}

/// A file that belongs to another and has its name, with something behind it.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}"));
    name.into()
}

/// Writes a file, or replaces it, and gives it the name only when it is on the disk, so that there is never half a
/// file.
pub fn write(path: &Path, json: &[u8]) -> io::Result<()> {
    temporary(path, json)?.persist(path)?;
    keep_name(path);
    Ok(())
}

/// The same for a file that is not there yet.
pub fn write_new(path: &Path, json: &[u8]) -> io::Result<()> {
    temporary(path, json)?.persist_noclobber(path)?;
    keep_name(path);
    Ok(())
}

/// Waits until the file's new place in its folder is on the disk too: the tokens that were there before may be spent
/// soon.
fn keep_name(path: &Path) {
    // Not every system can do that with a folder. The file is written in any case.
    let _ = File::open(folder(path)).and_then(|folder| folder.sync_all());
}

/// Nobody but its owner can read it, from the first byte: that is how temporary files are made.
fn temporary(path: &Path, json: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new_in(folder(path))?;
    file.as_file_mut().write_all(json)?;
    file.as_file_mut().write_all(b"\n")?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Where the file is, and its successor must be made, so that one step renames it.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Where a path leads, also if nothing is there yet.
fn resolve(path: &Path) -> PathBuf {
    let target = fs::canonicalize(path).or_else(|error| match fs::read_link(path) {
        // A link to nothing. Links in a circle are another error, and are left alone.
        Ok(target) if error.kind() == io::ErrorKind::NotFound => Ok(folder(path).join(target)),
        _ => Err(error),
    });
    target.unwrap_or_else(|_| path.to_owned())
}
