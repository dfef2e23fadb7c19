//! The BPF file system, in which pinned programs, maps and links outlive the controller.
//!
//! It must be seen by every later controller too: under `ip netns exec`, which gives a command a
//! `/sys` of its own, pins would go with the command. `nsenter --net` leaves `/sys` as it is.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};
use thiserror::Error;

/// Where the BPF file system usually is.
pub const MOUNT_POINT: &str = "/sys/fs/bpf";

/// Why there is no BPF file system.
#[derive(Debug, Error)]
pub enum BpffsError {
    /// Nothing to mount it on.
    #[error("{} does not exist; a kernel with CONFIG_BPF_SYSCALL makes /sys/fs/bpf once sysfs is mounted on /sys", path.display())]
    Missing {
        /// The mount point.
        path: PathBuf,
    },
    /// The mount point cannot be looked at.
    #[error("cannot look at {}: {source}", path.display())]
    Look {
        /// The mount point.
        path: PathBuf,
        /// The system's error.
        source: Errno,
    },
    /// It cannot be mounted.
    #[error("cannot mount the BPF file system on {path}: {source}; as root with CAP_SYS_ADMIN, outside a container, run `mount -t bpf bpf {path}`", path = path.display())]
    Mount {
        /// The mount point.
        path: PathBuf,
        /// The system's error.
        source: Errno,
    },
}

/// Mounts a BPF file system on `path` unless there is one; true if it had to.
///
/// # Errors
///
/// [`BpffsError`].
pub fn ensure_mounted(path: &Path) -> Result<bool, BpffsError> {
    if is_mounted(path)? {
        return Ok(false);
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), path, Some("bpf"), flags, Some("mode=0700"))
        .map_err(|source| BpffsError::Mount { path: path.into(), source })?;
    Ok(true)
}

/// Whether `path` is in a BPF file system.
///
/// # Errors
///
/// [`BpffsError::Missing`], [`BpffsError::Look`].
pub fn is_mounted(path: &Path) -> Result<bool, BpffsError> {
    match statfs(path) {
        Ok(found) => Ok(found.filesystem_type() == BPF_FS_MAGIC),
        Err(Errno::ENOENT) => Err(BpffsError::Missing { path: path.into() }),
        Err(source) => Err(BpffsError::Look { path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn mounts_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        // In a mount namespace of its own, so that nothing is left behind.
        let test = move || {
            unshare(CloneFlags::CLONE_NEWNS)
                .expect("this test makes a mount namespace: run it as root, with CAP_SYS_ADMIN");
            mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_PRIVATE,
                None::<&str>,
            )
            .unwrap();
            assert!(!is_mounted(&path).unwrap());
            assert!(ensure_mounted(&path).unwrap());
            assert!(is_mounted(&path).unwrap());
            assert!(!ensure_mounted(&path).unwrap());
        };
        std::thread::spawn(test).join().unwrap();
        assert!(!is_mounted(folder.path()).unwrap());
    }

    #[test]
    fn a_missing_mount_point_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = ensure_mounted(&folder.path().join("bpf")).unwrap_err();
        assert!(matches!(error, BpffsError::Missing { .. }), "{error}");
    }
}
