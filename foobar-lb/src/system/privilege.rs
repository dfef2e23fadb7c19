//! What this process may do: root, capabilities, open files.
#![forbid(unsafe_code)]

use std::{fs, io};

use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::geteuid,
};
use thiserror::Error;

/// Why the packet path cannot be loaded by this process.
#[derive(Debug, Error)]
pub enum PrivilegeError {
    /// Another user.
    #[error(
        "this needs root (it loads BPF programs, attaches them to interfaces and follows the kernel's routes); this is user {uid}: run it with sudo, or as a systemd service"
    )]
    NotRoot {
        /// The effective user.
        uid: u32,
    },
    /// Root, but of a container or a restricted service.
    #[error("foobar-lb run needs the capabilities {}, which this root lacks: give them to the container (--cap-add) or the systemd unit (CapabilityBoundingSet=)", missing.join(", "))]
    Capabilities {
        /// Their names.
        missing: Vec<&'static str>,
    },
    /// The kernel does not say.
    #[error("cannot read this process's capabilities from /proc/self/status: {0}")]
    Unknown(#[source] io::Error),
}

/// Number (linux/capability.h) and name. Without CAP_SYS_ADMIN the BPF file system cannot be
/// mounted; it implies CAP_BPF and CAP_PERFMON.
const NEEDED: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

/// Checks that this process may load and attach the packet path.
///
/// # Errors
///
/// [`PrivilegeError`], which says what to do.
pub fn check() -> Result<(), PrivilegeError> {
    let user = geteuid();
    if !user.is_root() {
        return Err(PrivilegeError::NotRoot { uid: user.as_raw() });
    }
    let status = fs::read_to_string("/proc/self/status").map_err(PrivilegeError::Unknown)?;
    let effective = effective(&status).ok_or_else(|| {
        PrivilegeError::Unknown(io::Error::new(io::ErrorKind::InvalidData, "no CapEff line"))
    })?;
    let missing = missing(effective);
    if missing.is_empty() { Ok(()) } else { Err(PrivilegeError::Capabilities { missing }) }
}

/// The effective set, as proc(5) prints it.
fn effective(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn missing(effective: u64) -> Vec<&'static str> {
    NEEDED
        .iter()
        .filter(|(number, _)| effective & (1 << number) == 0)
        .map(|(_, name)| *name)
        .collect()
}

/// Allows as many open files as the hard limit does, since every probe under way holds one;
/// returns that number.
///
/// # Errors
///
/// The system's.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_as_proc_prints_them() {
        let status = "Name:\tfoobar-lb\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective(status), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tfoobar-lb\n"), None);
        assert_eq!(missing(0x1ff_ffff_ffff), [""; 0]);
        assert_eq!(missing(0), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
        assert_eq!(missing(1 << 12), ["CAP_SYS_ADMIN"]);
    }

    #[test]
    fn root_passes() {
        check().expect("these tests run as root");
    }

    #[test]
    fn open_files_reach_the_hard_limit() {
        let hard = raise_open_files().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
