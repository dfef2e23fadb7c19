//! The words of foobar-lb as types: services, backends, probes, as validated configuration.
//!
//! Built by [`crate::config`], read by everything else. Holds no I/O and no kernel layout: what the
//! packet path reads is in `foobar_lb_common::map`.
#![forbid(unsafe_code)]

use std::{fmt, net::Ipv4Addr, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A transport protocol that can be balanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Protocol {
    /// The IANA protocol number (6 or 17).
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// How a slot of a service's table is picked for a new flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheduler {
    /// Each CPU walks the table's slots in turn.
    #[default]
    RoundRobin,
    /// As round-robin, over a table in which each backend stands as often as its weight says,
    /// interleaved smoothly.
    WeightedRoundRobin,
    /// By a hash of the flow, over a table that changes as little as can be when backends come and
    /// go; weighted.
    Maglev,
    /// By a hash of the client's address alone, over the same kind of table.
    SourceHash,
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RoundRobin => "round-robin",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::Maglev => "maglev",
            Self::SourceHash => "source-hash",
        })
    }
}

/// How a packet reaches its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardMode {
    /// The destination is rewritten; the way back leads through the balancer.
    #[default]
    Nat,
}

impl fmt::Display for ForwardMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nat => "nat",
        })
    }
}

/// What the operator wants of a backend; kept in the configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// Takes new flows while it is healthy.
    #[default]
    Ready,
    /// Takes no new flow and keeps its old ones.
    Drain,
    /// Takes nothing; its flows are ended. It is not probed.
    Maint,
}

impl fmt::Display for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        })
    }
}

/// Where a service is reached or a backend listens: IPv4 address and port, in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: Ipv4Addr,
    /// The port; never 0 in a validated configuration.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.address, self.port))
    }
}

impl FromStr for Endpoint {
    type Err = std::net::AddrParseError;

    /// Parses `ADDRESS:PORT`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<std::net::SocketAddrV4>().map(|a| Self { address: *a.ip(), port: a.port() })
    }
}

/// The whole of a validated configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sizes of the maps; they cannot change while the packet path is loaded.
    pub limits: Limits,
    /// Whether the controller sets the sysctls that nat needs (forwarding, accept_local, rp_filter).
    pub manage_sysctls: bool,
    /// In the file's order; names are unique, and so are (protocol, endpoint).
    pub services: Vec<Service>,
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        Self { limits: Limits::default(), manage_sysctls: true, services: Vec::new() }
    }
}

/// Sizes of the maps, in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Services at the most.
    pub services: u32,
    /// Backends at the most, over all services.
    pub backends: u32,
    /// Slots of all tables at the most. While a table is replaced, the old one and the new one
    /// stand side by side.
    pub slots: u32,
    /// Established flows that are remembered at the most.
    pub flows: u32,
    /// Flows in their handshake (or one-way UDP flows) that are remembered at the most.
    pub new_flows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            services: 4096,
            backends: 65_536,
            slots: 1_048_576,
            flows: 262_144,
            new_flows: 65_536,
        }
    }
}

/// A virtual address that clients reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Unique; letters, digits, `-`, `_` and `.`; at most 63 characters.
    pub name: String,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// What clients reach.
    pub endpoint: Endpoint,
    /// How a new flow finds its backend.
    pub scheduler: Scheduler,
    /// How packets reach the backend.
    pub forward: ForwardMode,
    /// How backends are probed; `None`: they count as up.
    pub probe: Option<Probe>,
    /// In the file's order; endpoints are unique within the service.
    pub backends: Vec<Backend>,
}

/// A server behind a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The configured weight; 0 takes no new flows. `round-robin` heeds only whether it is 0.
    pub weight: u32,
    /// What the operator wants of it.
    pub state: AdminState,
}

/// How and how often a backend is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked of the backend.
    pub kind: ProbeKind,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// Good results in a row until a backend that is down counts as up.
    pub rise: u32,
    /// Bad results in a row until a backend that is up counts as down.
    pub fall: u32,
    /// Probe this port instead of the backend's own.
    pub port: Option<u16>,
}

/// What is asked of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A TCP connection is accepted.
    Tcp,
    /// `GET path` is answered with one of the expected statuses.
    Http {
        /// An absolute path, with a query if wanted.
        path: String,
        /// The Host header; `None`: the backend's address and port.
        host: Option<String>,
        /// Inclusive range of statuses that count as good.
        expect: (u16, u16),
    },
}

/// Names one backend of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId {
    /// The service's name.
    pub service: String,
    /// Where the backend listens.
    pub endpoint: Endpoint,
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.endpoint)
    }
}
