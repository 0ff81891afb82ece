//! The session in a JSON file, in the stored form of the library. Keys that the library does not know stay unchanged.
//!
//! Several processes can share the file. A process that changes the file [locks](SessionFile::lock) it first, so that
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
    /// The path that the user gave.
    path: PathBuf,
    /// The target of the path. So a link stays a link, and all paths to the file use the same lock.
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

    /// The session in the file. `None` if there is no file, or if the file contains no access token.
    pub fn session(&self) -> Result<Option<Session>, FileError> {
        let object = Value::Object(self.read()?).to_string();
        Session::from_json(object).map_err(|error| self.broken(&error))
    }

    /// Checks that the program can write to the folder of the file, before the user types a password.
    pub fn check_writable(&self) -> Result<(), FileError> {
        // This file has no name, so it disappears even if the program is killed.
        tempfile::tempfile_in(folder(&self.target))
            .map(drop)
            .map_err(|error| self.error(&format!("cannot write to its folder: {error}")))
    }

    /// Waits until no other process changes the file, and says so. The session might have changed in the meantime: read
    /// it again.
    pub fn lock(&self) -> Result<Locked<'_>, FileError> {
        match self.open_lock().and_then(|lock| self.wait_for(lock)) {
            Ok(lock) => Ok(Locked { file: self, _lock: lock }),
            Err(error) => Err(self.error(&format!("cannot be locked: {error}"))),
        }
    }

    /// The lock is a separate file: writing a session replaces its file, and a lock on the old file would be lost.
    fn open_lock(&self) -> io::Result<File> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        // Any user who can open this file can hold the lock without end, so only the owner can open it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(beside(&self.target, "lock"))
    }

    fn wait_for(&self, lock: File) -> io::Result<File> {
        if fs4::FileExt::try_lock(&lock).is_err() {
            say!("another process is changing {}: waiting until it is done", self.path.display());
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

/// The locked file. Only this process may change it, until this value is dropped or the process ends.
pub struct Locked<'a> {
    file: &'a SessionFile,
    _lock: File,
}

impl Locked<'_> {
    /// The session in the file. `None` if there is no file, or if the file contains no access token.
    pub fn session(&self) -> Result<Option<Session>, FileError> {
        self.file.session()
    }

    /// Checks that the program can write to the folder of the file.
    pub fn check_writable(&self) -> Result<(), FileError> {
        self.file.check_writable()
    }

    /// Stores the session, and returns the path. If the file contains no session, or only the session that this one
    /// replaces, it is the file itself. Otherwise another process has logged in in the meantime. Then it is a new file
    /// beside the first one, so that neither session is lost.
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
                // The homeserver chose the device ID. With a slash in it, it could choose a folder.
                let device_id = session.device_id().replace(|character: char| !character.is_ascii_alphanumeric(), "_");
                let written = write_new(&beside(target, &device_id), &stored_form(Map::new(), session));
                let beside = beside(path, &device_id);
                written.map(|()| {
                    let (old, new) = (path.display(), beside.display());
                    say!("another process has changed {old}: to use the new session, name {new} with --data");
                    beside
                })
            }
        };
        written.map_err(|error| self.file.error(&format!("cannot be written: {error}")))
    }

    /// Empties the file: it contains `{}`, as before the first login.
    pub fn clear(&self) -> Result<(), FileError> {
        write(&self.file.target, b"{}").map_err(|error| self.file.error(&format!("cannot be written: {error}")))
    }
}

fn stored_form(mut object: Map<String, Value>, session: &Session) -> Vec<u8> {
    session.store_in(&mut object);
    format!("{:#}", Value::Object(object)).into_bytes()
}

/// The path of a file beside another one: its name with a suffix.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}"));
    name.into()
}

/// Writes or replaces a file. The file gets its name only after it is on the disk, so that there is never half a file.
pub fn write(path: &Path, json: &[u8]) -> io::Result<()> {
    temporary(path, json)?.persist(path)?;
    keep_name(path);
    Ok(())
}

/// The same for a new file. If the file already exists, this is an error.
pub fn write_new(path: &Path, json: &[u8]) -> io::Result<()> {
    temporary(path, json)?.persist_noclobber(path)?;
    keep_name(path);
    Ok(())
}

/// Waits until the folder is on the disk too. Otherwise the old file could come back after a crash, and its tokens
/// might no longer be valid.
fn keep_name(path: &Path) {
    // Some systems cannot do this with a folder. The file itself is written in any case.
    let _ = File::open(folder(path)).and_then(|folder| folder.sync_all());
}

/// A temporary file. Only its owner can read it, from the first byte on.
fn temporary(path: &Path, json: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new_in(folder(path))?;
    file.as_file_mut().write_all(json)?;
    file.as_file_mut().write_all(b"\n")?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The folder of the file. A new version must be made in the same folder, so that it can be renamed in one step.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The target of a path, even if the file does not exist yet.
fn resolve(path: &Path) -> PathBuf {
    let target = fs::canonicalize(path).or_else(|error| match fs::read_link(path) {
        // The target of the link does not exist. Links in a circle are another error, and stay unresolved.
        Ok(target) if error.kind() == io::ErrorKind::NotFound => Ok(folder(path).join(target)),
        _ => Err(error),
    });
    target.unwrap_or_else(|_| path.to_owned())
}
