//! The session in a JSON file, in the library's stored form. Keys that the library does not know stay as they are.
//!
//! Several processes may share the file. Whoever changes it [locks](SessionFile::lock) it first, so that no session is
//! overwritten and no refresh token is used twice.

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
    path: PathBuf,
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
        Self { path }
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
        tempfile::tempfile_in(folder(&self.path))
            .map(drop)
            .map_err(|error| self.error(&format!("cannot write there: {error}")))
    }

    /// Waits until no other process changes the file. What was read before may be outdated then: read it again.
    pub fn lock(&self) -> Result<Locked<'_>, FileError> {
        // A file of its own: the session's is replaced when it is written, and the lock would go with the old one.
        let path = beside(&fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone()), "lock");
        let lock = File::options().create(true).truncate(false).write(true).open(path);
        match lock.and_then(|lock| fs4::FileExt::lock(&lock).map(|()| lock)) {
            Ok(lock) => Ok(Locked { file: self, _lock: lock }),
            Err(error) => Err(self.error(&format!("cannot be locked: {error}"))),
        }
    }

    fn read(&self) -> Result<Map<String, Value>, FileError> {
        match fs::read(&self.path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|_| self.broken(&"it is no JSON object")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(self.error(&format!("cannot be read: {error}"))),
        }
    }

    fn broken(&self, problem: &dyn fmt::Display) -> FileError {
        self.error(&format!("{problem}; mend it, or name another file with --data"))
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

    /// Stores the session, and says where. It is the file itself if that has no session or one of the same device.
    /// Else somebody else has logged in there meanwhile: then it is a file beside it, since neither may be lost.
    pub fn store(&self, session: &Session) -> Result<PathBuf, FileError> {
        let path = &self.file.path;
        let written = match (self.file.read(), self.session()) {
            (Ok(object), Ok(there)) if there.as_ref().is_none_or(|there| is_same_device(there, session)) => {
                let json = stored_form(object, session);
                let written = if path.exists() { write(path, &json) } else { write_new(path, &json) };
                written.map(|()| path.clone())
            }
            _ => {
                // The homeserver chose the device ID: it shall not choose a folder with it.
                let device_id = session.device_id().replace(|character: char| !character.is_ascii_alphanumeric(), "_");
                let path = beside(path, &device_id);
                write_new(&path, &stored_form(Map::new(), session)).map(|()| path)
            }
        };
        written.map_err(|error| self.file.error(&format!("cannot be written: {error}")))
    }

    /// Leaves the file as it is before the first login: `{}`.
    pub fn clear(&self) -> Result<(), FileError> {
        write(&self.file.path, b"{}").map_err(|error| self.file.error(&format!("cannot be written: {error}")))
    }
}

fn is_same_device(one: &Session, other: &Session) -> bool {
    one.user_id() == other.user_id() && one.device_id() == other.device_id()
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

/// Writes a file, or replaces it, and gives it the name only when it is on the disk, so that there is never half a file.
pub fn write(path: &Path, json: &[u8]) -> io::Result<()> {
    // A link stays one: what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    Ok(temporary(&path, json)?.persist(path).map(drop)?)
}

/// The same for a file that is not there yet.
pub fn write_new(path: &Path, json: &[u8]) -> io::Result<()> {
    Ok(temporary(path, json)?.persist_noclobber(path).map(drop)?)
}

/// Nobody but its owner can read it, from the first byte: that is how temporary files are made.
fn temporary(path: &Path, json: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new_in(folder(path))?;
    file.as_file_mut().write_all(json)?;
    file.as_file_mut().write_all(b"\n")?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Where the file is, and its successor has to be made, for it to be renamed in one go.
fn folder(path: &Path) -> PathBuf {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
