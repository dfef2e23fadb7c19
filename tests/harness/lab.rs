//! A private place for one test: its own mounts, so that default paths can be used by many tests
//! at once, and nothing is left on the machine, even after `kill -9`.

use std::{
    fs,
    marker::PhantomData,
    panic,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    unistd::Uid,
};

/// Where the packet path's pins live; the kernel makes this folder itself.
const BPF_FS: &str = "/sys/fs/bpf";
/// Holds the controller's socket, and the lab's own files.
const RUN: &str = "/run";
/// Covered where the machine has one, so that no lab reads the machine's own configuration.
const ETC: &str = "/etc/foobar-lb";
/// Names a folder to keep the labs' files in (logs, captures), instead of dropping them.
const KEEP: &str = "FOOBAR_LB_KEEP";

/// The calling thread's private mounts: a fresh bpffs on `/sys/fs/bpf` and a fresh `/run`.
///
/// They hold for this thread, and for every thread and process that it starts from now on; for no
/// other. That is why a `Lab` cannot be sent to another thread. With the last of those processes
/// the mounts go, and with them every pin, socket and file.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    covered: Vec<&'static str>,
    bound_to_thread: PhantomData<*const ()>,
}

impl Lab {
    /// Makes the calling thread a lab. Needs root, and a kernel with bpffs.
    pub fn new() -> Result<Self> {
        if !Uid::effective().is_root() {
            bail!("namespaces need root: run this as root");
        }
        // Implies CLONE_FS: the working folder is the thread's own from here on.
        unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
            .context("cannot make the mounts private")?;

        let mut lab = Self { dir: PathBuf::new(), covered: vec![], bound_to_thread: PhantomData };
        lab.cover(BPF_FS, "bpf")?;
        lab.cover(RUN, "tmpfs")?;
        if Path::new(ETC).is_dir() {
            lab.cover(ETC, "tmpfs")?;
        }
        lab.dir = match std::env::var_os(KEEP) {
            Some(keep) => {
                let thread = thread::current();
                let name = thread.name().unwrap_or("lab").replace(['/', ':'], "-");
                Path::new(&keep).join(format!("{name}-{}", std::process::id()))
            }
            None => Path::new(RUN).join("lab"),
        };
        fs::create_dir_all(&lab.dir).with_context(|| format!("cannot make {:?}", lab.dir))?;
        Ok(lab)
    }

    /// Runs `body` in a lab on a thread of its own, which ends with it; panics are passed on.
    pub fn scoped<T: Send>(name: &str, body: impl FnOnce(&Lab) -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let lab = thread::Builder::new()
                .name(name.to_owned())
                .spawn_scoped(scope, || body(&Lab::new()?))
                .context("cannot start the lab's thread")?;
            lab.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }

    /// The lab's folder for logs, captures and configs; seen from within the lab only.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file into [`Lab::dir`] and returns its path.
    pub fn write(&self, name: &str, contents: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Mounts a fresh file system over `target`.
    fn cover(&mut self, target: &'static str, kind: &str) -> Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some(kind), target, Some(kind), flags, Some("mode=755"))
            .with_context(|| format!("cannot mount a private {kind} on {target}"))?;
        self.covered.push(target);
        Ok(())
    }
}

impl Drop for Lab {
    /// Uncovers the mounts, so that a thread can hold one lab after another and keeps no pins.
    fn drop(&mut self) {
        for target in self.covered.iter().rev() {
            if let Err(error) = umount2(*target, MntFlags::MNT_DETACH) {
                eprintln!("cannot unmount the lab's {target}: {error}");
            }
        }
    }
}
