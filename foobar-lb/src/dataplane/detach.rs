//! Ends an attachment at once.
//!
//! Removing a link's pin ends it, too, but a moment later, from a work queue of the kernel's
//! (`bpf_link_put` in <https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/syscall.c>). Until
//! then packets still meet the program, and the interface refuses another one. aya has no call for
//! this.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

/// `enum bpf_cmd` in `include/uapi/linux/bpf.h`.
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_LINK_DETACH: libc::c_int = 34;

/// `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct ObjectGet {
    path: u64,
    fd: u32,
    flags: u32,
}

/// `union bpf_attr` for `BPF_LINK_DETACH`.
#[repr(C)]
struct LinkDetach {
    fd: u32,
}

/// Detaches the link that is pinned at `pin`, and leaves the pin. On return the program runs on the
/// interface no more. One whose interface is gone is detached already, which is no error.
///
/// # Errors
///
/// It is no pinned link, or the kernel is older than 5.9, which had no XDP links either.
pub(super) fn detach(pin: &Path) -> io::Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    // SAFETY: the attributes are those of the command, and `path` lives until it returns.
    let fd =
        unsafe { bpf(BPF_OBJ_GET, &ObjectGet { path: path.as_ptr() as u64, fd: 0, flags: 0 }) }?;
    // SAFETY: the kernel has just opened it for us, and nobody else knows of it.
    let link = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the attributes are those of the command.
    unsafe { bpf(BPF_LINK_DETACH, &LinkDetach { fd: link.as_raw_fd() as u32 }) }.map(drop)
}

/// The system call bpf(2).
///
/// # Safety
///
/// `attributes` has the layout that the command reads, and what it points to is valid.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<i32> {
    let attributes = std::ptr::from_ref(attributes);
    // SAFETY: the caller's, see above; both commands only read the attributes.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    match i32::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}
