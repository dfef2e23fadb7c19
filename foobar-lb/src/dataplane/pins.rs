//! The folder of the pins: one controller at a time, and how to be rid of it.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::{DataplaneError, detach::detach};

/// Keeps other controllers away from a folder of pins, until it is dropped or the process ends.
pub(super) type PinLock = Flock<File>;

/// Locks the folder of the pins.
pub(super) fn lock(root: &Path) -> Result<PinLock, DataplaneError> {
    let failed = |source| DataplaneError::Io { path: root.to_owned(), source };
    let folder = File::open(root).map_err(failed)?;
    Flock::lock(folder, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => DataplaneError::InUse { path: root.to_owned() },
        other => failed(other.into()),
    })
}

/// Removes every pin below `root`, links first: with the last link of an interface the program
/// leaves it, and with the last pin of a map its content is gone. Says how many were removed.
///
/// # Errors
///
/// A pin that cannot be removed, or a controller that uses them. A folder that is not there is fine.
pub fn unload(root: &Path) -> Result<usize, DataplaneError> {
    if !root.exists() {
        return Ok(0);
    }
    let _lock = lock(root)?;
    let versions = match fs::read_dir(root) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>(),
        Err(source) => return Err(DataplaneError::Io { path: root.to_owned(), source }),
    };
    let mut removed = 0;
    for version in versions {
        let links = version.join("links");
        detach_all(&links);
        removed += remove(&links)?;
        removed += remove(&version)?;
    }
    remove(root)?;
    Ok(removed)
}

/// Detaches the links in a folder, so that no program runs any more when this returns. What is no
/// link, or cannot be detached, goes with its pin, a moment later.
fn detach_all(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let link = entry.path();
        if let Err(error) = detach(&link) {
            log::warn!("{}: cannot be detached: {error}; removing its pin", link.display());
        }
    }
}

/// Removes a file, or a folder with all that is in it; counts the files.
fn remove(path: &Path) -> Result<usize, DataplaneError> {
    let failed = |source| DataplaneError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return fs::remove_file(path).map(|()| 1).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(failed(source)),
    }
    let mut removed = 0;
    for entry in fs::read_dir(path).map_err(failed)?.flatten() {
        removed += remove(&entry.path())?;
    }
    fs::remove_dir(path).map_err(failed)?;
    Ok(removed)
}
