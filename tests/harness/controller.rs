//! foobar-lb itself in a namespace: the controller as a process, and what its CLI reports.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::{Child, Lab, NetNs, proc::output_within};

/// Names the binary to test; else it is looked for beside the running one.
const BINARY: &str = "FOOBAR_LB_BIN";
/// How long one call of the CLI may take.
const CLI_TIMEOUT: Duration = Duration::from_secs(20);

/// The built `foobar-lb`: `$FOOBAR_LB_BIN`, or the one in the folder of the running binary or the
/// one above it (Cargo keeps tests in `deps/`).
pub fn foobar_lb_binary() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os(BINARY) {
        return Ok(binary.into());
    }
    let this = std::env::current_exe().context("cannot tell where this binary is")?;
    let mut beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("foobar-lb"));
    beside
        .find(|file| file.is_file())
        .with_context(|| format!("foobar-lb is not built: `cargo xtask build`, or set {BINARY}"))
}

/// The `foobar-lb` binary, in the balancer's namespace. Use it from the lab's threads only.
#[derive(Clone, Debug)]
pub struct FoobarLb {
    binary: PathBuf,
    ns: NetNs,
}

impl FoobarLb {
    /// Starts nothing yet.
    pub fn new(binary: impl Into<PathBuf>, balancer: &NetNs) -> Self {
        Self { binary: binary.into(), ns: balancer.clone() }
    }

    /// The program's file.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Starts `foobar-lb run` on the NICs; it dies with the calling thread.
    ///
    /// Does not wait: look at [`FoobarLb::status`] until it is as wanted.
    pub fn run(&self, lab: &Lab, nics: &[&str], config: &Path, more: &[&str]) -> Result<Child> {
        let mut command = self.ns.command(&self.binary);
        command.arg("run");
        for nic in nics {
            command.args(["--iface", nic]);
        }
        command.arg("--config").arg(config).args(more);
        Child::spawn(lab, "foobar-lb", &mut command)
    }

    /// Runs `foobar-lb ARGS` to its end.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        output_within(self.ns.command(&self.binary).args(args), CLI_TIMEOUT)
            .with_context(|| format!("`foobar-lb {}`", args.join(" ")))
    }

    /// Runs `foobar-lb ARGS`, and returns what it wrote to stdout; failure is an error.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        let output = self.cli(args)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let line = args.join(" ");
            bail!("`foobar-lb {line}` failed ({}): {}", output.status, stderr.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `foobar-lb status` says.
    pub fn status(&self) -> Result<Status> {
        let text = self.ok(&["status", "-o", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("`foobar-lb status` says {text}"))
    }

    /// What `foobar-lb stats` says.
    pub fn stats(&self) -> Result<Stats> {
        let text = self.ok(&["stats", "-o", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("`foobar-lb stats` says {text}"))
    }

    /// `foobar-lb unload`: removes programs, maps and links.
    pub fn unload(&self) -> Result<String> {
        self.ok(&["unload"])
    }
}

/// `foobar-lb status -o json`, as far as tests look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The controller's pid.
    pub pid: u32,
    /// Whether it took over a packet path that was running.
    pub adopted: bool,
    /// Where the configuration comes from.
    pub config: Config,
    /// What is wrong between the controller and the kernel, if anything.
    pub fault: Option<String>,
    /// Where the packet path is attached.
    pub interfaces: Vec<Interface>,
    /// In the order of the configuration.
    pub services: Vec<Service>,
    /// The latest events, by rising `seq`.
    pub events: Vec<Event>,
}

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// The file.
    pub path: String,
    /// Counts the configurations in force since the controller started.
    pub revision: u64,
    /// Why the file's last version is not in force.
    pub error: Option<String>,
}

/// A NIC.
#[derive(Clone, Debug, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `native` or `generic`; `None`: the packet path does not run there.
    pub xdp_mode: Option<String>,
    /// `up`, `down` or `missing`.
    pub state: String,
}

/// A service.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `up` or `down`.
    pub state: String,
    /// In the order of the configuration.
    pub backends: Vec<Backend>,
}

/// A backend of a service.
#[derive(Clone, Debug, Deserialize)]
pub struct Backend {
    /// Its IPv4 address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// `ready`, `drain` or `maint`.
    pub state: String,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// What reaches the table; 0: it gets no new flow.
    pub effective_weight: u32,
    /// The last probe.
    pub check: Option<Check>,
}

/// A probe's result.
#[derive(Clone, Debug, Deserialize)]
pub struct Check {
    /// `L7OK`, `L4CON` and so on.
    pub result: String,
    /// More about it; may be empty.
    #[serde(default)]
    pub detail: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Rises by one an event.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// What sort of thing.
    pub kind: String,
    /// For people.
    pub text: String,
}

impl Status {
    /// Says which NIC, service or backend is not up.
    pub fn all_up(&self) -> Result<()> {
        for nic in &self.interfaces {
            ensure!(nic.state == "up", "{} is {}", nic.name, nic.state);
        }
        for service in &self.services {
            for backend in &service.backends {
                backend.expect_health("up")?;
            }
            ensure!(service.state == "up", "service {} is {}", service.name, service.state);
        }
        Ok(())
    }

    /// A NIC by its name.
    pub fn interface(&self, name: &str) -> Result<&Interface> {
        let found = self.interfaces.iter().find(|interface| interface.name == name);
        found.with_context(|| format!("status knows no interface {name}"))
    }

    /// A service by its name.
    pub fn service(&self, name: &str) -> Result<&Service> {
        let found = self.services.iter().find(|service| service.name == name);
        found.with_context(|| format!("status knows no service {name}"))
    }

    /// A backend by its address, in whichever service it is first.
    pub fn backend(&self, address: &str) -> Result<&Backend> {
        let mut all = self.services.iter().flat_map(|service| &service.backends);
        all.find(|backend| backend.address == address)
            .with_context(|| format!("status knows no backend {address}"))
    }

    /// The mode of the packet path: `native`, `generic`, or both joined by a comma.
    pub fn xdp_mode(&self) -> String {
        let mut modes: Vec<&str> =
            self.interfaces.iter().filter_map(|i| i.xdp_mode.as_deref()).collect();
        modes.sort_unstable();
        modes.dedup();
        modes.join(",")
    }
}

impl Backend {
    /// Says what its health is, if it is another.
    pub fn expect_health(&self, wanted: &str) -> Result<()> {
        let Self { address, port, health, check, .. } = self;
        let check = check.as_ref().map_or("no check yet", |check| check.result.as_str());
        ensure!(health == wanted, "backend {address}:{port} is {health} ({check})");
        Ok(())
    }
}

/// `foobar-lb stats -o json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Stats {
    /// In the order of the configuration.
    pub services: Vec<ServiceStats>,
    /// What became of packets, and why.
    pub reasons: Vec<ReasonStats>,
}

/// A service's counters.
#[derive(Clone, Debug, Deserialize)]
pub struct ServiceStats {
    /// Its name.
    pub name: String,
    /// Its own.
    #[serde(flatten)]
    pub counters: Counters,
    /// Its backends'.
    pub backends: Vec<BackendStats>,
}

/// A backend's counters.
#[derive(Clone, Debug, Deserialize)]
pub struct BackendStats {
    /// Its IPv4 address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its own.
    #[serde(flatten)]
    pub counters: Counters,
}

/// Counts since the packet path was loaded; `in` is towards the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counters {
    /// Flows that were given a backend.
    pub new_flows: u64,
    /// Connections that the backend refused.
    pub refused: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// A reason's counter.
#[derive(Clone, Debug, Deserialize)]
pub struct ReasonStats {
    /// The reason.
    pub name: String,
    /// `tx`, `redirect`, `pass` or `drop`.
    pub verdict: String,
    /// Packets.
    pub packets: u64,
}

impl Stats {
    /// A service's counters, by its name.
    pub fn service(&self, name: &str) -> Result<&ServiceStats> {
        let found = self.services.iter().find(|service| service.name == name);
        found.with_context(|| format!("stats know no service {name}"))
    }

    /// The packets that met their end for a reason, by its name.
    pub fn reason(&self, name: &str) -> Result<u64> {
        let found = self.reasons.iter().find(|reason| reason.name == name);
        Ok(found.with_context(|| format!("stats know no reason {name}"))?.packets)
    }
}

impl ServiceStats {
    /// The flows that a backend was given, by its address.
    pub fn new_flows_of(&self, address: &str) -> Result<u64> {
        let found = self.backends.iter().find(|backend| backend.address == address);
        Ok(found.with_context(|| format!("stats know no backend {address}"))?.counters.new_flows)
    }
}
