//! Where packets to an address go next.
#![forbid(unsafe_code)]

use std::{collections::BTreeSet, net::Ipv4Addr, pin::pin};

use futures_util::TryStreamExt;
use netlink_packet_route::{
    AddressFamily,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType},
};

use super::netlink::{Netlink, NetlinkError};

/// A neighbour that packets are handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// The interface it is behind.
    pub ifindex: u32,
    /// The gateway, or the destination itself where it is on the link.
    pub address: Ipv4Addr,
}

/// The answer of the routing tables for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Handed to this neighbour.
    Via(Hop),
    /// Nowhere that the packet path could send it, and why.
    None(String),
}

impl Netlink {
    /// The route to `address`. Of a route with several gateways the kernel picks one, which need
    /// not be the one that it picks for a flow: see [`Self::gateways`].
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Request`] where the socket failed; a missing route is not an error.
    pub async fn route(&self, address: Ipv4Addr) -> Result<Route, NetlinkError> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet;
        question.header.destination_prefix_length = 32;
        question.attributes.push(RouteAttribute::Destination(RouteAddress::Inet(address)));
        let mut answers = pin!(self.handle.route().get(question).execute());
        match answers.try_next().await {
            Ok(Some(answer)) => Ok(judge(address, &answer)),
            Ok(None) => Ok(Route::None("the kernel gave no answer".into())),
            // Unreachable, prohibited, blackholed, no route at all: the errno tells.
            Err(rtnetlink::Error::NetlinkError(message)) => {
                Ok(Route::None(format!("there is no route to it: {}", message.to_io())))
            }
            Err(error) => Err(NetlinkError::request(format!("the route to {address}"), error)),
        }
    }

    /// The gateways of all IPv4 routes, in all tables, that leave by this interface.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Request`].
    pub async fn gateways(&self, ifindex: u32) -> Result<BTreeSet<Hop>, NetlinkError> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet;
        question.attributes.push(RouteAttribute::Oif(ifindex));
        let mut routes = pin!(self.handle.route().get(question).execute());
        let mut hops = BTreeSet::new();
        while let Some(route) = routes.try_next().await.map_err(|error| {
            NetlinkError::request(format!("to list the routes of interface {ifindex}"), error)
        })? {
            hops.extend(via(&route.attributes));
            for attribute in &route.attributes {
                if let RouteAttribute::MultiPath(next_hops) = attribute {
                    hops.extend(next_hops.iter().filter_map(|next_hop| {
                        let address = gateway(&next_hop.attributes)?;
                        Some(Hop { ifindex: next_hop.interface_index, address })
                    }));
                }
            }
        }
        // A route with several gateways names those on other interfaces too.
        hops.retain(|hop| hop.ifindex == ifindex);
        Ok(hops)
    }
}

fn judge(address: Ipv4Addr, answer: &RouteMessage) -> Route {
    match answer.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Route::None("it is an address of this host".into()),
        other => return Route::None(format!("its route is of the type {other:?}")),
    }
    if answer.attributes.iter().any(|a| matches!(a, RouteAttribute::Via(_))) {
        return Route::None("its gateway is an IPv6 address".into());
    }
    match (via(&answer.attributes), interface(&answer.attributes)) {
        (Some(hop), _) => Route::Via(hop),
        (None, Some(ifindex)) => Route::Via(Hop { ifindex, address }),
        (None, None) => Route::None("its route names no interface".into()),
    }
}

fn via(attributes: &[RouteAttribute]) -> Option<Hop> {
    Some(Hop { ifindex: interface(attributes)?, address: gateway(attributes)? })
}

fn interface(attributes: &[RouteAttribute]) -> Option<u32> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(ifindex) => Some(*ifindex),
        _ => None,
    })
}

fn gateway(attributes: &[RouteAttribute]) -> Option<Ipv4Addr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{BACKEND, Pair, in_namespace, ip};

    #[test]
    fn finds_next_hops_on_the_link_and_behind_gateways() {
        in_namespace(async |namespace| {
            let _pair = Pair::new(namespace);
            let netlink = Netlink::open().unwrap();
            let ifindex = netlink.link("lb0").await.unwrap().ifindex;
            ip("route add 10.9.0.0/16 via 10.0.0.3");
            ip("route add blackhole 10.8.0.0/16");
            let on_link = netlink.route(BACKEND).await.unwrap();
            assert_eq!(on_link, Route::Via(Hop { ifindex, address: BACKEND }));
            let behind = netlink.route(Ipv4Addr::new(10, 9, 1, 1)).await.unwrap();
            let address = Ipv4Addr::new(10, 0, 0, 3);
            assert_eq!(behind, Route::Via(Hop { ifindex, address }));
            for (address, word) in
                [("10.0.0.1", "this host"), ("10.8.0.1", "no route"), ("203.0.113.1", "no route")]
            {
                match netlink.route(address.parse().unwrap()).await.unwrap() {
                    Route::None(why) => assert!(why.contains(word), "{address}: {why}"),
                    via => panic!("{address}: {via:?}"),
                }
            }
        });
    }

    #[test]
    fn finds_the_gateways_of_an_interface_only() {
        in_namespace(async |namespace| {
            let _pair = Pair::new(namespace);
            let netlink = Netlink::open().unwrap();
            let ifindex = netlink.link("lb0").await.unwrap().ifindex;
            ip("link add other type veth peer name other-peer");
            ip("link set other up");
            ip("link set other-peer up");
            ip("addr add 10.1.0.1/24 dev other");
            ip("route add default via 10.0.0.254");
            ip("route add 10.7.0.0/16 via 10.1.0.254");
            ip("route add 10.6.0.0/16 table 77 via 10.0.0.253");
            ip("route add 10.5.0.0/16 nexthop via 10.0.0.252 nexthop via 10.1.0.252");
            let gateways = netlink.gateways(ifindex).await.unwrap();
            let addresses: Vec<_> = gateways.iter().map(|hop| hop.address.to_string()).collect();
            assert_eq!(addresses, ["10.0.0.252", "10.0.0.253", "10.0.0.254"]);
            assert!(gateways.iter().all(|hop| hop.ifindex == ifindex));
        });
    }
}
