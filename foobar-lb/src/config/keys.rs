//! Every key of the configuration file: its values, default, range and meaning.
//!
//! The reader takes names, ranges and defaults from here, so that `docs/configuration.md`, whose
//! tables a test compares with this one, cannot say anything else than the code does.
#![forbid(unsafe_code)]

use super::{
    schema::{Fallback, Key, Kind, Section},
    words::{ProbeWord, words},
};

/// Every section, in the manual's order.
pub static SECTIONS: [&Section; 6] = [
    &ROOT,
    &global::SECTION,
    &limits::SECTION,
    &service::SECTION,
    &probe::SECTION,
    &backend::SECTION,
];

/// The top of the file.
pub static ROOT: Section =
    Section { header: "", keys: &[&root::GLOBAL, &root::LIMITS, &root::SERVICE] };

const PORT: Kind = Kind::Integer { min: 1, max: 65_535 };
const ENTRIES: Kind = Kind::Integer { min: 64, max: 16_777_216 };

/// What stands at the top of the file.
pub mod root {
    use super::{Fallback, Key, Kind, global, limits, service};

    /// `[global]`
    pub static GLOBAL: Key = Key {
        name: "global",
        kind: Kind::Table(&global::SECTION),
        fallback: Fallback::Other("all defaults"),
        example: "",
        meaning: "What concerns the whole machine.",
        aliases: &["main", "settings"],
    };
    /// `[limits]`
    pub static LIMITS: Key = Key {
        name: "limits",
        kind: Kind::Table(&limits::SECTION),
        fallback: Fallback::Other("all defaults"),
        example: "",
        meaning: "Sizes of the maps in the kernel.",
        aliases: &["sizes"],
    };
    /// `[[service]]`
    pub static SERVICE: Key = Key {
        name: "service",
        kind: Kind::Tables(&service::SECTION),
        fallback: Fallback::Other("no service"),
        example: "",
        meaning: "An address that clients reach. Any number of them.",
        aliases: &["services", "listen", "frontend", "virtual_server", "vip"],
    };
}

/// `[global]`
pub mod global {
    use super::{Fallback, Key, Kind, Section};

    /// The section.
    pub static SECTION: Section = Section { header: "[global]", keys: &[&MANAGE_SYSCTLS] };
    /// `manage_sysctls`
    pub static MANAGE_SYSCTLS: Key = Key {
        name: "manage_sysctls",
        kind: Kind::Flag,
        fallback: Fallback::Flag(true),
        example: "true",
        meaning: "Whether foobar-lb sets the sysctls that `nat` needs on its interfaces \
                  (forwarding, accept_local, rp_filter). With `false` it only says which are wrong.",
        aliases: &["sysctl", "sysctls"],
    };
}

/// `[limits]`
pub mod limits {
    use super::{ENTRIES, Fallback, Key, Kind, Section};

    /// The section.
    pub static SECTION: Section =
        Section { header: "[limits]", keys: &[&SERVICES, &BACKENDS, &SLOTS, &FLOWS, &NEW_FLOWS] };
    /// `services`
    pub static SERVICES: Key = Key {
        name: "services",
        kind: Kind::Integer { min: 1, max: 65_536 },
        fallback: Fallback::Integer(4_096),
        example: "4096",
        meaning: "Services at the most.",
        aliases: &["max_services"],
    };
    /// `backends`
    pub static BACKENDS: Key = Key {
        name: "backends",
        kind: Kind::Integer { min: 1, max: 1_048_576 },
        fallback: Fallback::Integer(65_536),
        example: "65536",
        meaning: "Backends at the most, over all services.",
        aliases: &["max_backends"],
    };
    /// `slots`
    pub static SLOTS: Key = Key {
        name: "slots",
        kind: Kind::Integer { min: 64, max: 268_435_456 },
        fallback: Fallback::Integer(1_048_576),
        example: "1048576",
        meaning: "Slots of all services' tables at the most, 4 bytes each: one a backend for \
                  `round-robin`, the sum of the weights (at most 16384, or one a backend) for \
                  `weighted-round-robin`, 65537 a service for `maglev` and `source-hash`; twice \
                  that, because a changed table is written beside the old one.",
        aliases: &["table_size"],
    };
    /// `flows`
    pub static FLOWS: Key = Key {
        name: "flows",
        kind: ENTRIES,
        fallback: Fallback::Integer(262_144),
        example: "262144",
        meaning: "Established flows that are remembered at the most; past it the one idle the \
                  longest is forgotten.",
        aliases: &["max_flows", "maxconn", "connections"],
    };
    /// `new_flows`
    pub static NEW_FLOWS: Key = Key {
        name: "new_flows",
        kind: ENTRIES,
        fallback: Fallback::Integer(65_536),
        example: "65536",
        meaning: "Flows still in their handshake, and UDP flows without an answer, that are \
                  remembered at the most. A flood of SYNs fills these, never `flows`.",
        aliases: &["half_open", "syn_backlog"],
    };
}

/// `[[service]]`
pub mod service {
    use super::{Fallback, Key, Kind, PORT, Section, backend, probe, words};
    use crate::model::{ForwardMode, Protocol, Scheduler};

    /// The section.
    pub static SECTION: Section = Section {
        header: "[[service]]",
        keys: &[&NAME, &ADDRESS, &PORT_, &PROTOCOL, &SCHEDULER, &FORWARD, &PROBE, &BACKEND],
    };
    /// `name`
    pub static NAME: Key = Key {
        name: "name",
        kind: Kind::Text(
            "1 to 63 letters, digits, `-`, `_` and `.`, the first a letter or digit; unique",
        ),
        fallback: Fallback::Required,
        example: "\"web\"",
        meaning: "What the service is called in commands, metrics and logs.",
        aliases: &["id", "label"],
    };
    /// `address`
    pub static ADDRESS: Key = Key {
        name: "address",
        kind: Kind::Text("IPv4 address; not multicast, loopback, 0.0.0.0 or 255.255.255.255"),
        fallback: Fallback::Required,
        example: "\"203.0.113.10\"",
        meaning: "The address that clients reach. Address, port and protocol together are unique.",
        aliases: &["addr", "ip", "vip", "bind", "host"],
    };
    /// `port`
    pub static PORT_: Key = Key {
        name: "port",
        kind: PORT,
        fallback: Fallback::Required,
        example: "80",
        meaning: "The port that clients reach.",
        aliases: &["listen_port"],
    };
    /// `protocol`
    pub static PROTOCOL: Key = Key {
        name: "protocol",
        kind: Kind::Word(words::<Protocol>),
        fallback: Fallback::Text("tcp"),
        example: "\"tcp\"",
        meaning: "The transport protocol.",
        aliases: &["proto"],
    };
    /// `scheduler`
    pub static SCHEDULER: Key = Key {
        name: "scheduler",
        kind: Kind::Word(words::<Scheduler>),
        fallback: Fallback::Text("round-robin"),
        example: "\"round-robin\"",
        meaning: "How a new flow finds its backend. `round-robin`: each CPU goes through the \
                  backends in turn.",
        aliases: &["balance", "lb_algo", "algorithm", "method"],
    };
    /// `forward`
    pub static FORWARD: Key = Key {
        name: "forward",
        kind: Kind::Word(words::<ForwardMode>),
        fallback: Fallback::Text("nat"),
        example: "\"nat\"",
        meaning: "How packets reach the backend. `nat`: the destination is rewritten, and the \
                  backends' way back to the clients leads through this machine.",
        aliases: &["mode", "lb_kind", "forwarding"],
    };
    /// `probe`
    pub static PROBE: Key = Key {
        name: "probe",
        kind: Kind::Table(&probe::SECTION),
        fallback: Fallback::Other("no probe: backends count as up"),
        example: "",
        meaning: "How backends are probed.",
        aliases: &["health", "healthcheck", "health_check", "check", "monitor"],
    };
    /// `backend`
    pub static BACKEND: Key = Key {
        name: "backend",
        kind: Kind::Tables(&backend::SECTION),
        fallback: Fallback::Other("no backend: packets are dropped and counted"),
        example: "",
        meaning: "A server behind the service. Any number of them.",
        aliases: &["backends", "server", "real_server", "target", "member"],
    };
}

/// `[service.probe]`
pub mod probe {
    use super::{Fallback, Key, Kind, PORT, ProbeWord, Section, words};

    const COUNT: Kind = Kind::Integer { min: 1, max: 255 };

    /// The section.
    pub static SECTION: Section = Section {
        header: "[service.probe]",
        keys: &[&KIND, &INTERVAL_MS, &TIMEOUT_MS, &RISE, &FALL, &PORT_, &PATH, &HOST, &EXPECT],
    };
    /// `kind`
    pub static KIND: Key = Key {
        name: "kind",
        kind: Kind::Word(words::<ProbeWord>),
        fallback: Fallback::Required,
        example: "\"tcp\"",
        meaning: "`tcp`: a TCP connection is accepted. `http`: `GET path` over HTTP/1.1 is \
                  answered with an expected status.",
        aliases: &["type", "protocol"],
    };
    /// `interval_ms`
    pub static INTERVAL_MS: Key = Key {
        name: "interval_ms",
        kind: Kind::Integer { min: 10, max: 3_600_000 },
        fallback: Fallback::Integer(2_000),
        example: "2000",
        meaning: "Milliseconds from the start of one probe to the start of the next.",
        aliases: &["inter", "delay_loop", "period"],
    };
    /// `timeout_ms`
    pub static TIMEOUT_MS: Key = Key {
        name: "timeout_ms",
        kind: Kind::Integer { min: 1, max: 60_000 },
        fallback: Fallback::Integer(1_000),
        example: "1000",
        meaning: "Milliseconds that one probe may take, from the connection to the last header.",
        aliases: &["connect_timeout"],
    };
    /// `rise`
    pub static RISE: Key = Key {
        name: "rise",
        kind: COUNT,
        fallback: Fallback::Integer(2),
        example: "2",
        meaning: "Good results in a row until a backend that is down counts as up.",
        aliases: &["healthy_threshold"],
    };
    /// `fall`
    pub static FALL: Key = Key {
        name: "fall",
        kind: COUNT,
        fallback: Fallback::Integer(3),
        example: "3",
        meaning: "Bad results in a row until a backend that is up counts as down.",
        aliases: &["unhealthy_threshold", "retry"],
    };
    /// `port`
    pub static PORT_: Key = Key {
        name: "port",
        kind: PORT,
        fallback: Fallback::Other("the backend's own; required for a `udp` service"),
        example: "8080",
        meaning: "The TCP port that is probed.",
        aliases: &["connect_port"],
    };
    /// `path`
    pub static PATH: Key = Key {
        name: "path",
        kind: Kind::Text("begins with `/`; at most 1024 of the characters that a URL may hold"),
        fallback: Fallback::Text("/"),
        example: "\"/healthz\"",
        meaning: "`http` only: what is asked for, with a query if wanted.",
        aliases: &["uri", "url"],
    };
    /// `host`
    pub static HOST: Key = Key {
        name: "host",
        kind: Kind::Text("a host name or address, with `:port` if wanted; at most 255 characters"),
        fallback: Fallback::Other("the backend's address and port"),
        example: "\"www.foobar.com\"",
        meaning: "`http` only: the Host header.",
        aliases: &["hostname", "virtualhost"],
    };
    /// `expect`
    pub static EXPECT: Key = Key {
        name: "expect",
        kind: Kind::Text("a status from 100 to 599, or an inclusive range of them: `200-399`"),
        fallback: Fallback::Text("200-399"),
        example: "\"200-399\"",
        meaning: "`http` only: the statuses that count as good.",
        aliases: &["status", "status_code", "expected"],
    };
}

/// `[[service.backend]]`
pub mod backend {
    use super::{Fallback, Key, Kind, PORT, Section, words};
    use crate::model::AdminState;

    /// The section.
    pub static SECTION: Section =
        Section { header: "[[service.backend]]", keys: &[&ADDRESS, &PORT_, &WEIGHT, &STATE] };
    /// `address`
    pub static ADDRESS: Key = Key {
        name: "address",
        kind: Kind::Text("IPv4 address; not multicast, loopback, 0.0.0.0 or 255.255.255.255"),
        fallback: Fallback::Required,
        example: "\"10.0.0.11\"",
        meaning: "Where the server is. Address and port together are unique within the service.",
        aliases: &["addr", "ip", "host", "server"],
    };
    /// `port`
    pub static PORT_: Key = Key {
        name: "port",
        kind: PORT,
        fallback: Fallback::Other("the service's"),
        example: "8080",
        meaning: "The port on which the server listens.",
        aliases: &["target_port"],
    };
    /// `weight`
    pub static WEIGHT: Key = Key {
        name: "weight",
        kind: Kind::Integer { min: 0, max: 65_535 },
        fallback: Fallback::Integer(1),
        example: "1",
        meaning: "The share of new flows, relative to the other backends; 0 takes none and keeps \
                  the old ones. `round-robin` heeds only whether it is 0.",
        aliases: &["w"],
    };
    /// `state`
    pub static STATE: Key = Key {
        name: "state",
        kind: Kind::Word(words::<AdminState>),
        fallback: Fallback::Text("ready"),
        example: "\"ready\"",
        meaning: "`ready`: takes new flows while it is healthy. `drain`: takes no new flow and \
                  keeps its old ones. `maint`: takes nothing, its flows are ended, it is not probed.",
        aliases: &["status", "admin", "admin_state"],
    };
}
