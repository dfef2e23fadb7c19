//! Reads the configuration file, and replaces it as a whole or not at all.
#![forbid(unsafe_code)]

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use super::{ConfigErrors, diagnostic::position, parse};
use crate::model::Config;

/// Symbolic links that are followed at the most, as in the kernel.
const LINKS_MAX: usize = 40;
/// Permissions of a file that did not exist before.
const NEW_FILE_MODE: u32 = 0o644;

/// Why a configuration file could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error(
        "{path}: there is no such file; name another one, or create it (docs/configuration.md)"
    )]
    Missing {
        /// As the caller named it.
        path: String,
    },
    /// It is there and cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// As the caller named it.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is not UTF-8.
    #[error("{path}:{line}:{column}: this is not UTF-8 text (save the file as UTF-8)")]
    NotText {
        /// As the caller named it.
        path: String,
        /// The first line that is not text, from 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// It was read and is wrong.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// Why a configuration file was not replaced. The old file is then untouched.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed, removed or created the file since it was read.
    #[error("{}: changed by somebody else meanwhile; load it again and repeat the change", .path.display())]
    Conflict {
        /// The file itself, links followed.
        path: PathBuf,
    },
    /// Another process is replacing it at this moment.
    #[error("{}: another process is changing it; try again", .path.display())]
    Busy {
        /// The file itself, links followed.
        path: PathBuf,
    },
    /// The system refused a step.
    #[error("{}: cannot {step}: {source}", .path.display())]
    Io {
        /// The file or folder that the step was about.
        path: PathBuf,
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl StoreError {
    fn io(path: &Path, step: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, step, source }
    }
}

/// Reads and validates a configuration file. The text is what [`store`] wants as the expected one.
///
/// # Errors
///
/// The file is missing, unreadable, not UTF-8, or has errors.
pub fn load(path: &Path) -> Result<(String, Config), LoadError> {
    let name = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(LoadError::Missing { path: name });
        }
        Err(source) => return Err(LoadError::Unreadable { path: name, source }),
    };
    let text = String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let start = String::from_utf8_lossy(&e.as_bytes()[..good]);
        let (line, column) = position(&start, start.len());
        LoadError::NotText { path: name.clone(), line, column }
    })?;
    let config = parse(&text, &name)?;
    Ok((text, config))
}

/// Replaces a configuration file in one step: whoever reads it sees the old text or the new one,
/// also after a power failure.
///
/// `expected` is the text that the change was made from, `None` for a file that must not exist yet;
/// its folder is then created. Symbolic links are followed, mode and owner are kept.
///
/// # Errors
///
/// [`StoreError::Conflict`] if the file's text is not the expected one; the file is then left alone.
pub fn store(path: &Path, expected: Option<&str>, text: &str) -> Result<(), StoreError> {
    let path = follow_links(path)?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if expected.is_none() {
        fs::create_dir_all(folder).map_err(StoreError::io(folder, "create the folder"))?;
    }
    // The lock keeps other processes of foobar-lb out between the check and the rename. Editors
    // take no locks: for them the check is repeated just before the rename.
    let _lock = lock(&path)?;
    check_unchanged(&path, expected)?;

    let mut new = tempfile::Builder::new()
        .prefix(".foobar-lb-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(StoreError::io(folder, "create a file in the folder"))?;
    new.write_all(text.as_bytes()).map_err(StoreError::io(&path, "write the new text"))?;
    keep_owner_and_mode(&path, new.as_file())?;
    new.as_file().sync_all().map_err(StoreError::io(&path, "flush the new text"))?;

    check_unchanged(&path, expected)?;
    match expected {
        Some(_) => new.persist(&path).map_err(|e| e.error),
        None => new.persist_noclobber(&path).map_err(|e| e.error),
    }
    .map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Conflict { path: path.clone() },
        _ => StoreError::Io { path: path.clone(), step: "put the new file in place", source },
    })?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io(folder, "flush the folder"))
}

/// The file behind symbolic links, which need not exist.
fn follow_links(path: &Path) -> Result<PathBuf, StoreError> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // Not a link, or not there: both are for the caller to find out.
            Err(_) => return Ok(path),
        }
    }
    let source = io::Error::other("too many symbolic links");
    Err(StoreError::Io { path, step: "follow the link", source })
}

/// Locks the file as it is now; nothing if it is not there.
fn lock(path: &Path) -> Result<Option<File>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StoreError::io(path, "open the file")(e)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        // Some file systems have no locks; the checks remain.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(e)) => Err(StoreError::io(path, "lock the file")(e)),
    }
}

fn check_unchanged(path: &Path, expected: Option<&str>) -> Result<(), StoreError> {
    let found = match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(StoreError::io(path, "read the file")(e)),
    };
    if found.as_deref() == expected.map(str::as_bytes) {
        Ok(())
    } else {
        Err(StoreError::Conflict { path: path.to_owned() })
    }
}

fn keep_owner_and_mode(path: &Path, new: &File) -> Result<(), StoreError> {
    let mode = match fs::metadata(path) {
        Ok(old) => {
            let fresh = new.metadata().map_err(StoreError::io(path, "read the owner"))?;
            // The owner before the mode: changing it may clear mode bits.
            if (old.uid(), old.gid()) != (fresh.uid(), fresh.gid()) {
                fchown(new, Some(old.uid()), Some(old.gid()))
                    .map_err(StoreError::io(path, "keep the owner"))?;
            }
            old.mode() & 0o7777
        }
        Err(_) => NEW_FILE_MODE,
    };
    new.set_permissions(Permissions::from_mode(mode))
        .map_err(StoreError::io(path, "set the permissions"))
}
