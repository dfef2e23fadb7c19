//! The host around the packet path: links, neighbours, sysctls, the BPF file system, privileges.
//! It never touches the packet path's programs and maps.
//!
//! | file | what |
//! |---|---|
//! | `netlink` | the request socket; links |
//! | `events` | what the kernel says changed: links, neighbours, routes |
//! | `neighbours` | the IPv4 neighbour table: read, keep resolved, release |
//! | `routes` | next hops of addresses, gateways of interfaces |
//! | `next_hops` | keeps all of the backends' next hops resolved ahead of time |
//! | `sysctl` | what the mode `nat` needs of the kernel |
//! | `bpffs` | the file system that pins live in |
//! | `privilege` | root and capabilities, open files |
//!
//! All of it works on the network namespace of the process: interfaces are found by netlink and
//! never through `/sys/class/net`, which under `nsenter --net` still shows the host's.
#![forbid(unsafe_code)]

pub mod bpffs;
pub mod events;
pub mod neighbours;
pub mod netlink;
pub mod next_hops;
pub mod privilege;
pub mod routes;
pub mod sysctl;
#[cfg(test)]
mod testing;

pub use self::{
    events::NetEvent,
    neighbours::{Neighbour, NeighbourState},
    netlink::{Link, MacAddress, Netlink, NetlinkError},
    next_hops::{NextHop, NextHopStatus, NextHops, Unroutable},
};
