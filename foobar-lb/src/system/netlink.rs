//! The request socket of rtnetlink, and the host's links.
//!
//! A socket belongs to the network namespace in which it was opened.
#![forbid(unsafe_code)]

use std::{fmt, io};

use futures_util::TryStreamExt;
use netlink_packet_route::{
    AddressFamily,
    link::{LinkAttribute, LinkFlags, LinkMessage},
};
use serde::{Serialize, Serializer};
use thiserror::Error;

/// What goes wrong between here and the kernel.
#[derive(Debug, Error)]
pub enum NetlinkError {
    /// No socket.
    #[error(
        "cannot open a netlink socket: {0}; foobar-lb needs AF_NETLINK, which a sandbox or a systemd unit's RestrictAddressFamilies= may forbid"
    )]
    Open(#[source] io::Error),
    /// The kernel refused a request.
    #[error("the kernel refused {what}: {source}")]
    Request {
        /// The request, in words.
        what: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// There is no interface of that name in this network namespace.
    #[error("there is no interface {name:?} in this network namespace; there are: {}", known.join(", "))]
    NoSuchInterface {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
}

impl NetlinkError {
    pub(super) fn request(what: impl Into<String>, error: rtnetlink::Error) -> Self {
        let source = match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        };
        Self::Request { what: what.into(), source }
    }

    /// The kernel's error number, where it refused a request.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Open(source) | Self::Request { source, .. } => source.raw_os_error(),
            Self::NoSuchInterface { .. } => None,
        }
    }
}

/// An Ethernet address, in the order of the wire. JSON and display: `02:00:00:00:00:01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The kernel's index, stable while the interface lives.
    pub ifindex: u32,
    /// The name, which may change.
    pub name: String,
    /// The Ethernet address; `None` for interfaces without one.
    pub mac: Option<MacAddress>,
    /// The largest packet without the Ethernet header, in bytes.
    pub mtu: u32,
    /// Set up by the administrator, and with a carrier (IFF_UP and IFF_RUNNING).
    pub up: bool,
}

impl Link {
    /// `None` for what is not an interface of its own: a bridge reports its ports once more, in
    /// its own address family, and their leaving as a removal.
    pub(super) fn parse(message: LinkMessage) -> Option<Self> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let flags = message.header.flags;
        let mut link = Self {
            ifindex: message.header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            up: flags.contains(LinkFlags::Up | LinkFlags::Running),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(bytes) => link.mac = parse_mac(&bytes),
                _ => {}
            }
        }
        (!link.name.is_empty()).then_some(link)
    }
}

/// `None` for the addresses of other kinds of links.
pub(super) fn parse_mac(bytes: &[u8]) -> Option<MacAddress> {
    bytes.try_into().ok().map(MacAddress)
}

/// A handle for requests to the kernel. Clones share one socket, which closes with the last.
#[derive(Clone, Debug)]
pub struct Netlink {
    pub(super) handle: rtnetlink::Handle,
}

impl Netlink {
    /// Opens the socket in the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Open`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn open() -> Result<Self, NetlinkError> {
        // The strict check (Linux 4.20) makes the kernel heed the filters of a dump.
        let (connection, handle, _) =
            rtnetlink::new_connection_with_strict_check().map_err(NetlinkError::Open)?;
        // It ends once the last handle is gone.
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// All interfaces of the network namespace.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Request`].
    pub async fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        self.handle
            .link()
            .get()
            .execute()
            .try_filter_map(async |message| Ok(Link::parse(message)))
            .try_collect()
            .await
            .map_err(|error| NetlinkError::request("to list the interfaces", error))
    }

    /// The interface called `name`.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::NoSuchInterface`] names those that there are.
    pub async fn link(&self, name: &str) -> Result<Link, NetlinkError> {
        let mut links = self.links().await?;
        match links.iter().position(|link| link.name == name) {
            Some(index) => Ok(links.swap_remove(index)),
            None => Err(NetlinkError::NoSuchInterface {
                name: name.into(),
                known: links.into_iter().map(|link| link.name).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{Pair, in_namespace, ip};

    #[test]
    fn lists_the_links_of_this_namespace_only() {
        in_namespace(async |namespace| {
            let pair = Pair::new(namespace);
            let netlink = Netlink::open().unwrap();
            ip("link set lb0 address 02:00:00:00:00:01 mtu 1400");
            let link = netlink.link("lb0").await.unwrap();
            assert_eq!(link.mac.unwrap().to_string(), "02:00:00:00:00:01");
            assert_eq!((link.mtu, link.up), (1400, true));
            let names: Vec<_> =
                netlink.links().await.unwrap().into_iter().map(|link| link.name).collect();
            assert!(names.contains(&"lo".to_owned()) && names.contains(&"lb0".to_owned()));
            assert!(!names.contains(&"be0".to_owned()), "the other end is elsewhere: {names:?}");

            pair.peer("link set be0 down");
            assert!(!netlink.link("lb0").await.unwrap().up, "without a carrier");
        });
    }

    #[test]
    fn a_missing_interface_is_an_error_that_lists_those_there_are() {
        in_namespace(async |_| {
            let error = Netlink::open().unwrap().link("eth7").await.unwrap_err();
            assert!(error.to_string().contains("\"eth7\""), "{error}");
            assert!(error.to_string().contains("lo"), "{error}");
        });
    }
}
