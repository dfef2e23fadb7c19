//! The kernel's IPv4 neighbour table: read it, keep entries resolved, give them back.
//!
//! # How entries are kept resolved
//!
//! The packet path asks `bpf_fib_lookup` for a next hop's Ethernet address, and it only answers
//! for entries in a valid state. Nothing else keeps them so: packets that XDP forwards don't count
//! as use. foobar-lb therefore makes its next hops *managed* (`NTF_EXT_MANAGED`, Linux 5.16): the
//! kernel resolves such an entry at once, and then refreshes it by itself every
//! `interval_probe_time_ms` (5 s), also one that failed. So it stays right while the controller is
//! dead, as the packet path does. `NTF_EXT_LEARNED` beside it keeps the garbage collector of a
//! crowded table away.
//!
//! The same request carries `NTF_USE`, which resolves once. A kernel before 5.16 ignores the
//! managed flag and heeds that one, and [`super::next_hops`] repeats it as needed.
//!
//! Entries carry the protocol number [`OWNER`], so that [`Netlink::release_neighbours`] finds
//! those that are ours, whichever controller made them. Permanent entries are the operator's: the
//! request would turn them into ordinary ones, so they are never touched.
//!
//! Source: `neigh_add`, `__neigh_update` and `neigh_managed_work` in
//! <https://github.com/torvalds/linux/blob/v6.12/net/core/neighbour.c>.
#![forbid(unsafe_code)]

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use futures_util::TryStreamExt;
use netlink_packet_route::{
    AddressFamily,
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
        NeighbourState as RawState,
    },
    route::{RouteProtocol, RouteType},
};
use serde::{Deserialize, Serialize};

use super::netlink::{MacAddress, Netlink, NetlinkError, parse_mac};

/// Marks the neighbour entries that foobar-lb manages (`NDA_PROTOCOL`); free in
/// `/etc/iproute2/rt_protos`.
pub const OWNER: u8 = 0xfb;

/// The state of a neighbour entry; the words are those of `ip neigh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NeighbourState {
    /// No entry, or nothing known of it.
    None,
    /// Being asked for the first time.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Known, not confirmed lately; fine to use.
    Stale,
    /// Known, about to be asked again; fine to use.
    Delay,
    /// Known, being asked again; fine to use.
    Probe,
    /// Did not answer.
    Failed,
    /// An interface without ARP; fine to use.
    Noarp,
    /// Set by the operator; fine to use.
    Permanent,
}

impl NeighbourState {
    /// Whether `bpf_fib_lookup` gives out an entry in this state (`NUD_VALID`).
    pub fn is_valid(self) -> bool {
        match self {
            Self::Reachable
            | Self::Stale
            | Self::Delay
            | Self::Probe
            | Self::Noarp
            | Self::Permanent => true,
            Self::None | Self::Incomplete | Self::Failed => false,
        }
    }

    /// Whether it never needs resolving, and must be left alone.
    pub fn is_static(self) -> bool {
        matches!(self, Self::Noarp | Self::Permanent)
    }
}

impl From<RawState> for NeighbourState {
    fn from(raw: RawState) -> Self {
        match raw {
            RawState::Incomplete => Self::Incomplete,
            RawState::Reachable => Self::Reachable,
            RawState::Stale => Self::Stale,
            RawState::Delay => Self::Delay,
            RawState::Probe => Self::Probe,
            RawState::Failed => Self::Failed,
            RawState::Noarp => Self::Noarp,
            RawState::Permanent => Self::Permanent,
            _ => Self::None,
        }
    }
}

impl fmt::Display for NeighbourState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Delay => "delay",
            Self::Probe => "probe",
            Self::Failed => "failed",
            Self::Noarp => "noarp",
            Self::Permanent => "permanent",
        })
    }
}

/// An entry of the neighbour table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The interface behind which it lives.
    pub ifindex: u32,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its Ethernet address, while one is known.
    pub mac: Option<MacAddress>,
    /// Whether that is valid.
    pub state: NeighbourState,
    /// The kernel refreshes it by itself.
    pub managed: bool,
    /// Kept by a foobar-lb, this one or an earlier one.
    pub ours: bool,
}

impl Neighbour {
    /// `None` for other families: IPv6, and the forwarding entries of bridges.
    pub(super) fn parse(message: NeighbourMessage) -> Option<Self> {
        let (mut address, mut mac, mut managed, mut owner) = (None, None, false, None);
        for attribute in message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => address = Some(ip),
                NeighbourAttribute::LinkLayerAddress(bytes) => mac = parse_mac(&bytes),
                NeighbourAttribute::ExtFlags(flags) => {
                    managed = flags.contains(NeighbourExtFlags::Managed);
                }
                NeighbourAttribute::Protocol(protocol) => owner = Some(u8::from(protocol)),
                _ => {}
            }
        }
        let kept = managed || message.header.flags.contains(NeighbourFlags::ExtLearned);
        Some(Self {
            ifindex: message.header.ifindex,
            address: address?,
            mac,
            state: message.header.state.into(),
            managed,
            ours: kept && owner == Some(OWNER),
        })
    }
}

impl Netlink {
    /// All IPv4 neighbours of the network namespace.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Request`].
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>, NetlinkError> {
        self.handle
            .neighbours()
            .get()
            .set_address_family(AddressFamily::Inet)
            .execute()
            .try_filter_map(async |message| Ok(Neighbour::parse(message)))
            .try_collect()
            .await
            .map_err(|error| NetlinkError::request("to list the neighbours", error))
    }

    /// Makes an entry ours: resolved now, and by the kernel from now on. Never call it for a
    /// [static](NeighbourState::is_static) entry, which it would make an ordinary one.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Request`], for one because the interface is down or gone.
    pub async fn keep_neighbour(
        &self,
        ifindex: u32,
        address: Ipv4Addr,
    ) -> Result<(), NetlinkError> {
        let flags = NeighbourFlags::Use | NeighbourFlags::ExtLearned;
        self.change(ifindex, address, flags, NeighbourExtFlags::Managed).await.map_err(|error| {
            NetlinkError::request(
                format!("to resolve the next hop {address} on interface {ifindex}"),
                error,
            )
        })
    }

    /// Gives an entry back to the kernel's ordinary ageing; what it knows stays.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Request`].
    pub async fn release_neighbour(
        &self,
        ifindex: u32,
        address: Ipv4Addr,
    ) -> Result<(), NetlinkError> {
        self.change(ifindex, address, NeighbourFlags::Use, NeighbourExtFlags::empty())
            .await
            .map_err(|error| {
                NetlinkError::request(
                    format!("to release the next hop {address} on interface {ifindex}"),
                    error,
                )
            })
    }

    /// Releases all entries that are ours, for `foobar-lb unload`; says how many there were.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Request`]; entries before the failed one are released.
    pub async fn release_neighbours(&self) -> Result<usize, NetlinkError> {
        let mut released = 0;
        for neighbour in self.neighbours().await? {
            if neighbour.ours && !neighbour.state.is_static() {
                self.release_neighbour(neighbour.ifindex, neighbour.address).await?;
                released += 1;
            }
        }
        Ok(released)
    }

    async fn change(
        &self,
        ifindex: u32,
        address: Ipv4Addr,
        flags: NeighbourFlags,
        ext_flags: NeighbourExtFlags,
    ) -> Result<(), rtnetlink::Error> {
        let mut request = self
            .handle
            .neighbours()
            .add(ifindex, IpAddr::V4(address))
            .replace()
            .state(RawState::None)
            .kind(RouteType::Unspec)
            .flags(flags);
        request.message_mut().attributes.extend([
            NeighbourAttribute::ExtFlags(ext_flags),
            NeighbourAttribute::Protocol(RouteProtocol::from(OWNER)),
        ]);
        request.execute().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{BACKEND, Pair, eventually, in_namespace, ip};

    async fn find(netlink: &Netlink, address: Ipv4Addr) -> Option<Neighbour> {
        let all = netlink.neighbours().await.unwrap();
        all.into_iter().find(|neighbour| neighbour.address == address)
    }

    #[test]
    fn a_kept_neighbour_is_resolved_marked_and_released() {
        in_namespace(async |namespace| {
            let pair = Pair::new(namespace);
            let netlink = Netlink::open().unwrap();
            let ifindex = netlink.link("lb0").await.unwrap().ifindex;
            netlink.keep_neighbour(ifindex, BACKEND).await.unwrap();
            let found = eventually(async || {
                find(&netlink, BACKEND).await.filter(|neighbour| neighbour.state.is_valid())
            })
            .await;
            assert_eq!(found.mac, Some(pair.peer_mac()));
            assert!(found.managed && found.ours, "{found:?}");

            assert_eq!(netlink.release_neighbours().await.unwrap(), 1);
            let found = find(&netlink, BACKEND).await.expect("what is known stays");
            assert!(!found.managed && !found.ours && found.state.is_valid(), "{found:?}");
            assert_eq!(netlink.release_neighbours().await.unwrap(), 0);
        });
    }

    #[test]
    fn the_operators_entries_are_not_ours() {
        in_namespace(async |namespace| {
            let _pair = Pair::new(namespace);
            let netlink = Netlink::open().unwrap();
            ip("neigh add 10.0.0.9 dev lb0 lladdr 02:00:00:00:00:09 nud permanent");
            assert_eq!(netlink.release_neighbours().await.unwrap(), 0);
            let found = find(&netlink, Ipv4Addr::new(10, 0, 0, 9)).await.unwrap();
            assert_eq!(found.state, NeighbourState::Permanent);
            assert!(!found.ours && found.state.is_static());
        });
    }
}
