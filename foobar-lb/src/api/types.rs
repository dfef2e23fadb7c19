//! What goes over the socket. Addresses are text, times are milliseconds, names are those of the
//! configuration file.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{
    dataplane::XdpMode,
    health::{CheckCode, Health},
    model::{AdminState, ForwardMode, Protocol, Scheduler},
};

/// `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// foobar-lb's version.
    pub version: String,
    /// The controller's process id.
    pub pid: u32,
    /// Since the controller started.
    pub uptime_ms: u64,
    /// Whether the controller took over a packet path that was running.
    pub adopted: bool,
    /// The configuration.
    pub config: ConfigStatus,
    /// What is wrong between the controller and the kernel, if anything.
    pub fault: Option<String>,
    /// The interfaces that the packet path is to run on.
    pub interfaces: Vec<InterfaceStatus>,
    /// In the configuration's order.
    pub services: Vec<ServiceStatus>,
    /// Addresses behind which packets cannot be sent from the fast path, and why.
    pub unreachable: Vec<Unreachable>,
    /// The most recent events, oldest first.
    pub events: Vec<Event>,
}

/// Where the configuration comes from, and whether the file is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The file.
    pub path: String,
    /// Whether there was a file when the configuration was read: the first change makes one.
    pub exists: bool,
    /// Counts the configurations that were in force since the controller started.
    pub revision: u64,
    /// Why the file's last version is not in force.
    pub error: Option<String>,
}

/// One interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its index; 0 if it is missing.
    pub ifindex: u32,
    /// How the packet path runs there; `None` if it does not.
    pub xdp_mode: Option<XdpMode>,
    /// `up`, `down` or `missing`.
    pub state: LinkState,
}

/// An interface's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// It carries packets.
    Up,
    /// It does not.
    Down,
    /// There is no such interface.
    Missing,
}

/// One service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// How new flows find their backend.
    pub scheduler: Scheduler,
    /// How packets reach it.
    pub forward: ForwardMode,
    /// Up while at least one backend takes new flows.
    pub state: Health,
    /// Its backends.
    pub backends: Vec<BackendStatus>,
}

/// One backend.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendStatus {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// The configured weight.
    pub weight: u32,
    /// What the operator wants of it.
    pub state: AdminState,
    /// What its probes say; up when it has none.
    pub health: Health,
    /// The weight that is in force, after state and health.
    pub effective_weight: u32,
    /// The last probe; `None` when it is not probed.
    pub check: Option<CheckStatus>,
}

/// How a probe ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckStatus {
    /// In HAProxy's words.
    pub result: CheckCode,
    /// The status or the error.
    pub detail: String,
    /// How long it took.
    pub duration_us: u64,
    /// When, in milliseconds since 1970; `None` before the first.
    pub unix_ms: Option<u64>,
    /// Whether another is under way.
    pub probing: bool,
}

/// Backends that cannot be reached at this moment without the kernel's help.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unreachable {
    /// The backend's address, or the next hop's.
    pub address: Ipv4Addr,
    /// Why.
    pub why: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts the events since the controller started.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What kind of thing.
    pub kind: EventKind,
    /// In words.
    pub text: String,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The controller started or ends.
    Controller,
    /// A backend's health changed.
    Health,
    /// A service went up or down.
    Service,
    /// The configuration changed, or was refused.
    Config,
    /// An interface changed.
    Interface,
    /// The kernel refused something.
    Fault,
}

impl EventKind {
    /// The kind's name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Health => "health",
            Self::Service => "service",
            Self::Config => "config",
            Self::Interface => "interface",
            Self::Fault => "fault",
        }
    }
}

/// `GET /v1/stats`. Counters since the maps were made; they outlive the controller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// In the configuration's order.
    pub services: Vec<ServiceStats>,
    /// Every reason, in the order of the packet path.
    pub reasons: Vec<ReasonStats>,
}

/// Traffic of a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceStats {
    /// Its name.
    pub name: String,
    /// Over all its backends, former ones included.
    #[serde(flatten)]
    pub traffic: TrafficStats,
    /// By backend.
    pub backends: Vec<BackendStats>,
}

/// Traffic of a backend.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendStats {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// What went there and came back.
    #[serde(flatten)]
    pub traffic: TrafficStats,
}

/// Counters. "In" is from clients to backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficStats {
    /// Flows that began.
    pub new_flows: u64,
    /// Connections that the backend refused.
    pub refused: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Bytes from clients, Ethernet headers included.
    pub bytes_in: u64,
    /// Packets from backends.
    pub packets_out: u64,
    /// Bytes from backends.
    pub bytes_out: u64,
}

impl From<foobar_lb_common::map::Traffic> for TrafficStats {
    fn from(traffic: foobar_lb_common::map::Traffic) -> Self {
        let foobar_lb_common::map::Traffic {
            new_flows,
            refused,
            packets_in,
            bytes_in,
            packets_out,
            bytes_out,
        } = traffic;
        Self { new_flows, refused, packets_in, bytes_in, packets_out, bytes_out }
    }
}

/// Packets that met one end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReasonStats {
    /// The reason's name.
    pub name: String,
    /// `pass`, `drop`, `tx` or `redirect`.
    pub verdict: String,
    /// What it means.
    pub help: String,
    /// How many.
    pub packets: u64,
}

/// `POST /v1/services`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewService {
    /// Its name.
    pub name: String,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// How new flows find their backend.
    #[serde(default)]
    pub scheduler: Scheduler,
    /// How packets reach it.
    #[serde(default)]
    pub forward: ForwardMode,
    /// How backends are probed.
    #[serde(default)]
    pub probe: Option<NewProbe>,
}

/// A probe, with the configuration file's keys and defaults.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProbe {
    /// `tcp` or `http`.
    pub kind: String,
    /// For http.
    pub path: Option<String>,
    /// For http.
    pub host: Option<String>,
    /// For http: a status or a range of them.
    pub expect: Option<String>,
    /// Milliseconds.
    pub interval_ms: Option<u64>,
    /// Milliseconds.
    pub timeout_ms: Option<u64>,
    /// Good results until up.
    pub rise: Option<u32>,
    /// Bad results until down.
    pub fall: Option<u32>,
    /// Instead of the backend's own.
    pub port: Option<u16>,
}

/// `POST /v1/services/{name}/backends`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBackend {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port; the service's unless given.
    pub port: Option<u16>,
    /// Its weight.
    #[serde(default = "one")]
    pub weight: u32,
    /// What is wanted of it.
    #[serde(default)]
    pub state: AdminState,
}

fn one() -> u32 {
    1
}

/// `PATCH /v1/services/{name}/backends/{address:port}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendChange {
    /// The new weight.
    pub weight: Option<u32>,
    /// The new state.
    pub state: Option<AdminState>,
}

/// The answer to a change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Changed {
    /// The configuration's revision afterwards.
    pub revision: u64,
    /// What was done, in words.
    pub done: String,
}

/// Problem details (RFC 9457).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This very problem, and its cure.
    pub detail: String,
}
