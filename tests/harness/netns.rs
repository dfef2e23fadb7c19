//! Network namespaces without names: each is held by an open file of this process only.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    os::fd::AsRawFd as _,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};

use crate::proc::output_within;

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";
/// How long a command of [`NetNs::run`] may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A network namespace, which lives as long as any clone of this value, or a process in it.
#[derive(Clone, Debug)]
pub struct NetNs {
    name: String,
    file: Arc<File>,
}

impl NetNs {
    /// Makes a namespace with `lo` up and IPv6 off. The name is for messages only.
    pub fn new(name: &str) -> Result<Self> {
        let made = thread::spawn(|| -> Result<File> {
            unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
            File::open(OWN).with_context(|| format!("cannot open {OWN}"))
        });
        let file = made.join().map_err(|_| anyhow::anyhow!("the namespace's thread died"))??;
        let ns = Self { name: name.to_owned(), file: Arc::new(file) };
        ns.sysctl("net/ipv6/conf/all/disable_ipv6", "1").ok(); // Absent in a kernel without IPv6.
        ns.ip("link set lo up")?;
        Ok(ns)
    }

    /// What the namespace is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path that `nsenter --net=PATH` and `ip link set DEV netns PATH` accept, as long as this
    /// process lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// A command that will run in this namespace, in its own process group (a Ctrl-C at the
    /// terminal is for the parent, which ends its children in order).
    ///
    /// It runs in the mount namespace of the **thread that spawns it**, and is killed when **that
    /// thread** ends: spawn from the lab's thread whatever has to live longer than a moment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()));
        command.args(["--", "setpriv", "--pdeathsig", "KILL", "--"]);
        command.arg(program);
        command.stdin(Stdio::null()).process_group(0);
        command
    }

    /// Runs a command to its end, and returns what it wrote to stdout; an error has its stderr.
    pub fn run(&self, command: &[&str]) -> Result<String> {
        let [program, args @ ..] = command else { bail!("an empty command") };
        let output = output_within(self.command(program).args(args), COMMAND_TIMEOUT)
            .with_context(|| format!("in namespace {}: `{}`", self.name, command.join(" ")))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let (name, line) = (&self.name, command.join(" "));
            bail!("in namespace {name}: `{line}` failed ({}): {}", output.status, stderr.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs lines of `ip` commands (without the word `ip`); the first that fails is an error.
    pub fn ip(&self, batch: &str) -> Result<()> {
        let mut command = self.command("ip");
        command.args(["-batch", "-"]).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start nsenter")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(batch.as_bytes()).context("cannot write to `ip -batch`")?;
        }
        let output = child.wait_with_output().context("`ip -batch` did not end")?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("in namespace {}: `ip` failed: {}\n{batch}", self.name, stderr.trim());
        }
        Ok(())
    }

    /// Sets a sysctl of this namespace, by its path below `/proc/sys`.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        let file = format!("/proc/sys/{path}");
        self.enter(|| std::fs::write(&file, value))?
            .with_context(|| format!("in namespace {}: cannot write {file}", self.name))
    }

    /// Runs `body` on a thread inside this namespace and waits for it; panics are passed on.
    ///
    /// Sockets that it opens stay in the namespace. Children that it spawns would die with it.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let entered = scope.spawn(|| self.join_thread().map(|()| body()));
            entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts a thread that runs `body` inside this namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<Result<T>> {
        let ns = self.clone();
        thread::spawn(move || ns.join_thread().map(|()| body()))
    }

    /// Moves the calling thread into this namespace, for the rest of its life.
    fn join_thread(&self) -> Result<()> {
        setns(&*self.file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter namespace {}", self.name))
    }
}
