//! Processes that cannot outlive their test, and that tell what they said when it fails.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{Lab, NetNs, wait_until};

/// How often an ending process is looked at.
const POLL: Duration = Duration::from_millis(5);
/// Lines of a log that are shown when a test fails.
const TAIL_LINES: usize = 30;

/// A process with a log, killed by its own pid when dropped.
///
/// When it is dropped by a panic, the log's last lines are written to stderr.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    process: process::Child,
}

impl Child {
    /// Starts `command`, with stdout and stderr in `NAME.log` in the lab's folder (appended to).
    ///
    /// A command of [`NetNs::command`] dies with the calling thread: the one that holds the lab.
    pub fn spawn(lab: &Lab, name: &str, command: &mut Command) -> Result<Self> {
        let log = lab.dir().join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log);
        let out = open().with_context(|| format!("cannot open {}", log.display()))?;
        let err = open().with_context(|| format!("cannot open {}", log.display()))?;
        let process = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), log, process })
    }

    /// Starts `args` in a namespace: [`Child::spawn`] of [`NetNs::command`].
    pub fn spawn_in(lab: &Lab, ns: &NetNs, name: &str, args: &[&str]) -> Result<Self> {
        let [program, args @ ..] = args else { bail!("an empty command") };
        Self::spawn(lab, name, ns.command(program).args(args))
    }

    /// The process's id (the program's own: nsenter and setpriv replace themselves by it).
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(|_| String::new(), |b| String::from_utf8_lossy(&b).into())
    }

    /// The path of the log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of what it has said.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Waits until the log holds `text`; fails at once when the process ends without it.
    pub fn wait_for_log(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let ended = self.exit_status()?;
            if self.log().contains(text) {
                return Ok(());
            }
            let (name, tail) = (&self.name, self.log_tail(TAIL_LINES));
            if let Some(status) = ended {
                bail!("{name} ended ({status}) without saying {text:?}; it said:\n{tail}");
            }
            ensure!(
                Instant::now() < deadline,
                "{name} did not say {text:?} within {timeout:?}; it said:\n{tail}"
            );
            thread::sleep(POLL);
        }
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().with_context(|| format!("cannot look at {}", self.name))
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.exit_status(), Ok(None))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).context("a pid beyond i32")?;
        kill(Pid::from_raw(pid), signal)
            .with_context(|| format!("cannot send {signal} to {} (pid {pid})", self.name))
    }

    /// `kill -9`, and waits until the kernel has closed all that it had open.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.process.wait().with_context(|| format!("cannot reap {}", self.name))?;
        Ok(())
    }

    /// Waits for the end.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        wait_until(&what, timeout, || self.exit_status()?.context("it still runs"))
    }

    /// SIGTERM, and waits for the end; after `timeout`, `kill -9` and an error.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exit_status()? {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        self.wait(timeout).inspect_err(|_| drop(self.kill()))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {} said last:\n{}\n---", self.name, self.log_tail(TAIL_LINES));
        }
        if self.is_running() {
            drop(self.kill());
        }
    }
}

/// Runs a command to its end and collects what it says; kills it after `timeout`.
pub fn output_within(command: &mut Command, timeout: Duration) -> Result<Output> {
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
    thread::scope(|scope| {
        let stdout = scope.spawn(|| read_all(stdout));
        let stderr = scope.spawn(|| read_all(stderr));
        let deadline = Instant::now() + timeout;
        let status = loop {
            if let Some(status) = process.try_wait()? {
                break Some(status);
            }
            if Instant::now() > deadline {
                process.kill()?;
                process.wait()?;
                break None;
            }
            thread::sleep(Duration::from_millis(1));
        };
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        match status {
            Some(status) => Ok(Output { status, stdout, stderr }),
            None => bail!("still ran after {timeout:?}; {}", String::from_utf8_lossy(&stderr)),
        }
    })
}

/// What a pipe holds until it is closed.
fn read_all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = vec![];
    if let Some(mut pipe) = pipe {
        // A pipe that breaks ends the same way as one that is closed.
        pipe.read_to_end(&mut bytes).ok();
    }
    bytes
}
