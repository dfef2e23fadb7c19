//! The source of `core`, in rustc's own version: `core` for BPF is built from it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::apt;
use crate::shell::{self, say};

/// Brings the source, by rustup, else from Debian's package of the same version.
pub fn ensure() -> Result<()> {
    let rustc = Rustc::ask()?;
    if rustc.has_source() {
        return Ok(());
    }
    say(format!(
        "rust-src for rustc {} is missing: running `rustup component add rust-src`",
        rustc.release
    ));
    let mut tried = vec![];
    match shell::read(shell::command("rustup").args(["component", "add", "rust-src"])) {
        // A linked toolchain may be called complete by rustup when it is not.
        Ok(_) if rustc.has_source() => return Ok(()),
        Ok(_) => tried.push("`rustup component add rust-src` brought nothing".to_owned()),
        Err(error) => tried.push(format!("{error:#}")),
    }
    say(tried[0].lines().next().unwrap_or_default());
    say(format!("bringing rust-src {} from Debian's package instead", rustc.release));
    match from_debian(&rustc) {
        Ok(()) if rustc.has_source() => return Ok(()),
        Ok(()) => tried.push("Debian's package does not hold it where it was expected".to_owned()),
        Err(error) => tried.push(format!("Debian's package: {error:#}")),
    }
    bail!(
        "rust-src for rustc {} is missing, and could not be brought:\n  - {}\n\
         Bring it by hand:\n\n    rustup component add rust-src\n\n\
         or put the folder `library` of Rust's source, tag {}, to {}",
        rustc.release,
        tried.join("\n  - "),
        rustc.release,
        rustc.library().display()
    )
}

/// The compiler that the packet path is built by.
struct Rustc {
    /// Such as `1.95.0`.
    release: String,
    sysroot: PathBuf,
}

impl Rustc {
    fn ask() -> Result<Self> {
        let version = shell::read(shell::command("rustc").arg("-vV"))
            .context("rustc is missing: https://rustup.rs brings it")?;
        let release = release(&version).context("`rustc -vV` does not say its release")?;
        let sysroot = shell::read(shell::command("rustc").args(["--print", "sysroot"]))?;
        Ok(Self { release, sysroot: sysroot.trim_end().into() })
    }

    fn library(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust/library")
    }

    fn has_source(&self) -> bool {
        ["core/src/lib.rs", "Cargo.lock"].iter().all(|file| self.library().join(file).is_file())
    }
}

/// The release of a compiler, from `rustc -vV`.
fn release(version: &str) -> Option<String> {
    version.lines().find_map(|line| line.strip_prefix("release: ")).map(str::to_owned)
}

/// Downloads Debian's `rust-src` of rustc's release and unpacks it into the sysroot.
fn from_debian(rustc: &Rustc) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let source = apt::Source::of_this_machine()?;
    let apt = apt::PrivateApt::new(scratch.path(), &source)?;
    let package = apt.download_release("rust-src", &rustc.release)?;
    unpack(&package, &rustc.release, &rustc.library())
}

/// Unpacks beside the final place, and then moves there: a run that is killed leaves no half.
fn unpack(package: &Path, release: &str, library: &Path) -> Result<()> {
    let parent = library.parent().context("the sysroot is the root folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let staging = tempfile::Builder::new()
        .prefix(".foobar-lb-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write to {}", parent.display()))?;
    let script = r#"set -e
        dpkg-deb --fsys-tarfile "$1" > "$2/data.tar"
        cd "$2"
        tar --extract --file data.tar --strip-components=4 "./usr/src/rustc-$3/library""#;
    let mut command = shell::command("sh");
    command.args(["-c", script, "sh"]).arg(package).arg(staging.path()).arg(release);
    shell::read(&mut command)?;
    let fresh = staging.path().join("library");
    ensure!(fresh.is_dir(), "the package holds no ./usr/src/rustc-{release}/library");
    if library.exists() {
        let old = staging.path().join("old");
        fs::rename(library, old).context("cannot move the incomplete source away")?;
    }
    fs::rename(&fresh, library).with_context(|| format!("cannot make {}", library.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_release_is_read_from_rustc() {
        let text = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nrelease: 1.95.0\n";
        assert_eq!(super::release(text).as_deref(), Some("1.95.0"));
        assert_eq!(super::release("rustc"), None);
    }
}
