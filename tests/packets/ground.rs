//! Who is where: the addresses that every case uses.
//!
//! ```text
//! clients 198.51.100.0/24 ── c0 ┤ balancer ├ b0 ── backends 10.0.0.0/24
//! ```
//!
//! A neighbour's MAC address follows from its IPv4 address ([`mac_of`]), so that an expected frame
//! needs no look-up.

/// An Ethernet address.
pub type Mac = [u8; 6];

/// An IPv4 address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The address.
    pub address: [u8; 4],
    /// The port, in host byte order.
    pub port: u16,
}

impl At {
    /// The same address, another port.
    pub const fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same port, another address.
    pub const fn address(self, address: [u8; 4]) -> Self {
        Self { address, ..self }
    }
}

const fn at(address: [u8; 4], port: u16) -> At {
    At { address, port }
}

/// A side of the balancer: the interface that a frame comes in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Interface c0, where the clients are.
    Client,
    /// Interface b0, where the backends are.
    Backend,
}

impl Side {
    /// The interface's name.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Client => "c0",
            Self::Backend => "b0",
        }
    }

    /// The interface's own MAC address.
    pub const fn mac(self) -> Mac {
        match self {
            Self::Client => [0x02, 0, 0, 0, 0x0c, 0],
            Self::Backend => [0x02, 0, 0, 0, 0x0b, 0],
        }
    }

    /// The other side.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Backend,
            Self::Backend => Self::Client,
        }
    }
}

/// A client, one hop from the balancer.
pub const CLIENT: At = at([198, 51, 100, 7], 40_000);
/// Another one.
pub const OTHER_CLIENT: At = at([198, 51, 100, 8], 40_000);
/// The service of most cases, over TCP or UDP.
pub const WEB: At = at([203, 0, 113, 10], 80);
/// A second service, on another address.
pub const API: At = at([203, 0, 113, 11], 443);
/// Backends on the backends' side.
pub const B1: At = at([10, 0, 0, 11], 8080);
/// See [`B1`].
pub const B2: At = at([10, 0, 0, 12], 8080);
/// See [`B1`].
pub const B3: At = at([10, 0, 0, 13], 8080);
/// A backend whose MAC address nobody knows.
pub const SILENT: At = at([10, 0, 0, 99], 8080);
/// A backend on the clients' side: reached by the interface that the client's packet came in by.
pub const NEAR: At = at([198, 51, 100, 21], 8080);
/// The next hop towards [`FAR`].
pub const ROUTER: [u8; 4] = [10, 0, 0, 254];
/// A backend behind [`ROUTER`], in 10.9.0.0/16, to which cases make their own route.
pub const FAR: At = at([10, 9, 0, 1], 8080);

/// Every neighbour that is known from the start, and the side that it is on.
pub const NEIGHBOURS: &[(Side, [u8; 4])] = &[
    (Side::Client, CLIENT.address),
    (Side::Client, OTHER_CLIENT.address),
    (Side::Client, NEAR.address),
    (Side::Backend, B1.address),
    (Side::Backend, B2.address),
    (Side::Backend, B3.address),
    (Side::Backend, ROUTER),
];

/// The MAC address of the neighbour with this IPv4 address.
pub const fn mac_of(address: [u8; 4]) -> Mac {
    let [a, b, c, d] = address;
    [0x02, 0x01, a, b, c, d]
}
