//! Finding and running programs, as every verb needs it.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Uid;

/// Where programs for root are, which a user's `PATH` may leave out.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// Says what is being done, on stderr: stdout belongs to results.
pub fn say(text: impl AsRef<str>) {
    eprintln!("xtask: {}", text.as_ref());
}

/// The workspace's root.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where `cargo install` puts programs, which need not be in `PATH`.
pub fn cargo_bin() -> Option<PathBuf> {
    let set = env::var_os("CARGO_INSTALL_ROOT").or_else(|| env::var_os("CARGO_HOME"));
    let root = set.map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    Some(root?.join("bin"))
}

/// `PATH` with Cargo's programs and the system's added at the end.
pub fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let own: Vec<PathBuf> = env::split_paths(&path).collect();
    let more = cargo_bin().into_iter().chain(SYSTEM_FOLDERS.map(PathBuf::from));
    let more: Vec<PathBuf> = more.filter(|folder| !own.contains(folder)).collect();
    env::join_paths(own.into_iter().chain(more)).unwrap_or(path)
}

/// The file of a program in [`search_path`].
pub fn find(program: &str) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        fs::metadata(file)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(&search_path()).map(|folder| folder.join(program)).find(executable)
}

/// A command in the workspace's root, with [`search_path`].
pub fn command(program: &str) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.current_dir(root()).env("PATH", search_path());
    command
}

/// Cargo: the one that runs us, so that the toolchain is the same.
pub fn cargo() -> Command {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = command(&cargo);
    // Meant for this run of xtask; inherited, they would rebuild what looks at them.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command to its end with our own stdout and stderr; failure is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command to its end with its stdout sent to our stderr; failure is an error.
pub fn run_aside(command: &mut Command) -> Result<()> {
    run(command.stdout(std::io::stderr()))
}

/// What a command writes to stdout; failure is an error, which holds its stderr.
pub fn read(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}): {}", output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` does not write UTF-8"))
}

/// A command as one would type it.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = [program].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Whether we are root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Fails with the command that would work, unless we are root.
pub fn need_root(verb: &str, why: &str) -> Result<()> {
    if !is_root() {
        bail!(
            "`cargo xtask {verb}` needs root ({why}). Run\n\n    \
             sudo -E env \"PATH=$PATH\" cargo xtask {verb}\n"
        );
    }
    Ok(())
}
