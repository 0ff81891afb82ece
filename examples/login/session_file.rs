//! The session in a JSON file, in the library's stored form. Keys that the library does not know stay as they are.

use std::{
    error::Error,
    fmt, fs,
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

    /// Stores the session, and says where. It is the file itself, unless somebody else has logged in there meanwhile:
    /// then it is a new one beside it, since neither session may be lost.
    pub fn store(&self, session: &Session) -> Result<PathBuf, FileError> {
        let is_new = !self.path.exists();
        // Read again: another process may have written since the file was looked at.
        let (mut object, path) = if let (Ok(object), Ok(None)) = (self.read(), self.session()) {
            (object, self.path.clone())
        } else {
            // The homeserver chose the device ID: it shall not choose a folder with it.
            let device_id = session.device_id().replace(|character: char| !character.is_ascii_alphanumeric(), "_");
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{device_id}"));
            (Map::new(), name.into())
        };
        session.store_in(&mut object);
        let json = serde_json::to_vec_pretty(&object).map_err(io::Error::from);
        match json.and_then(|json| if is_new { write_new(&path, &json) } else { write(&path, &json) }) {
            Ok(()) => Ok(path),
            // Somebody was faster: what is there now is looked at like any other file.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.path.exists() => self.store(session),
            Err(error) => Err(self.error(&format!("cannot be written: {error}"))),
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
