//! What the kernel says has changed, as a small enum.
//!
//! Events are hints that are never trusted to be complete: after [`NetEvent::Overrun`], and after
//! the socket had to be opened anew, whoever listens reads everything again.
#![forbid(unsafe_code)]

use std::{net::Ipv4Addr, time::Duration};

use futures_util::{Stream, StreamExt};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::{MulticastGroup, packet_core::NetlinkPayload};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, sleep, sleep_until},
};

use super::{
    neighbours::Neighbour,
    netlink::{Link, NetlinkError},
};

/// A change on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetEvent {
    /// An interface came, or something about it changed.
    LinkChanged(Link),
    /// An interface went.
    LinkRemoved {
        /// Its index, which the kernel may give to another one later.
        ifindex: u32,
        /// Its last name.
        name: String,
    },
    /// An IPv4 neighbour came or changed.
    NeighbourChanged(Neighbour),
    /// An IPv4 neighbour went.
    NeighbourRemoved {
        /// The interface.
        ifindex: u32,
        /// The neighbour's address.
        address: Ipv4Addr,
    },
    /// IPv4 routes, rules or this host's addresses changed; many changes are one event.
    RoutesChanged,
    /// Events were lost: read everything again.
    Overrun,
}

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv4Ifaddr,
];

/// Events that wait for a reader; more are an overrun.
const QUEUE: usize = 1024;
/// How long route changes are gathered: a routing daemon makes thousands at once.
const GATHER: Duration = Duration::from_millis(50);
/// The wait before a lost socket is opened again.
const REOPEN: Duration = Duration::from_secs(1);

/// Subscribes to the changes of this thread's network namespace. A slow reader never stops the
/// kernel's messages from being read; it gets an [`NetEvent::Overrun`] instead of what it missed.
///
/// # Errors
///
/// [`NetlinkError::Open`].
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn subscribe() -> Result<mpsc::Receiver<NetEvent>, NetlinkError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut messages = open()?;
    tokio::spawn(async move {
        let mut relay = Relay { sender, overrun: false, routes_at: None };
        while let Closed::ByKernel = relay.run(&mut messages).await {
            log::warn!("the netlink socket for events was closed; opening it again");
            messages = loop {
                sleep(REOPEN).await;
                match open() {
                    Ok(messages) => break messages,
                    Err(error) => log::error!("{error}"),
                }
            };
            relay.overrun = true;
        }
    });
    Ok(receiver)
}

type Payload = NetlinkPayload<RouteNetlinkMessage>;

fn open() -> Result<impl Stream<Item = Payload> + Unpin + Send + use<>, NetlinkError> {
    let (connection, handle, messages) =
        rtnetlink::new_multicast_connection(&GROUPS).map_err(NetlinkError::Open)?;
    tokio::spawn(connection);
    // The handle goes along: the connection may end once nobody can ask anything of it.
    Ok(messages.map(move |(message, _)| {
        let _ = &handle;
        message.payload
    }))
}

enum Closed {
    ByKernel,
    ByReader,
}

struct Relay {
    sender: mpsc::Sender<NetEvent>,
    /// The reader must be told that events were lost.
    overrun: bool,
    /// The reader must be told then that routes changed.
    routes_at: Option<Instant>,
}

impl Relay {
    async fn run(&mut self, messages: &mut (impl Stream<Item = Payload> + Unpin)) -> Closed {
        // Held apart from `self`, which the other branches change.
        let sender = self.sender.clone();
        loop {
            let routes_at = self.routes_at;
            tokio::select! {
                payload = messages.next() => match payload {
                    None => return Closed::ByKernel,
                    Some(NetlinkPayload::Overrun(_)) => self.overrun = true,
                    Some(NetlinkPayload::InnerMessage(message)) => self.take(message),
                    Some(_) => {}
                },
                place = sender.reserve(), if self.overrun => match place {
                    Ok(place) => {
                        place.send(NetEvent::Overrun);
                        self.overrun = false;
                    }
                    Err(_) => return Closed::ByReader,
                },
                () = sleep_until(routes_at.unwrap_or_else(Instant::now)), if routes_at.is_some() => {
                    self.routes_at = None;
                    self.send(NetEvent::RoutesChanged);
                }
                () = sender.closed() => return Closed::ByReader,
            }
        }
    }

    fn take(&mut self, message: RouteNetlinkMessage) {
        use RouteNetlinkMessage as M;
        match message {
            M::NewLink(link) => {
                if let Some(link) = Link::parse(link) {
                    self.send(NetEvent::LinkChanged(link));
                }
            }
            M::DelLink(link) => {
                if let Some(Link { ifindex, name, .. }) = Link::parse(link) {
                    self.send(NetEvent::LinkRemoved { ifindex, name });
                }
            }
            M::NewNeighbour(neighbour) => {
                if let Some(neighbour) = Neighbour::parse(neighbour) {
                    self.send(NetEvent::NeighbourChanged(neighbour));
                }
            }
            M::DelNeighbour(neighbour) => {
                if let Some(Neighbour { ifindex, address, .. }) = Neighbour::parse(neighbour) {
                    self.send(NetEvent::NeighbourRemoved { ifindex, address });
                }
            }
            M::NewRoute(_)
            | M::DelRoute(_)
            | M::NewRule(_)
            | M::DelRule(_)
            | M::NewAddress(_)
            | M::DelAddress(_) => {
                self.routes_at.get_or_insert_with(|| Instant::now() + GATHER);
            }
            _ => {}
        }
    }

    fn send(&mut self, event: NetEvent) {
        // A closed channel is seen by `run`.
        if let Err(TrySendError::Full(_)) = self.sender.try_send(event) {
            self.overrun = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::system::testing::{Pair, in_namespace, ip};

    async fn until(events: &mut mpsc::Receiver<NetEvent>, wanted: impl Fn(&NetEvent) -> bool) {
        let search = async { while !wanted(&events.recv().await.expect("the stream goes on")) {} };
        timeout(Duration::from_secs(20), search).await.expect("the event in time");
    }

    #[test]
    fn tells_of_links_neighbours_and_routes() {
        in_namespace(async |namespace| {
            let mut events = subscribe().unwrap();
            let pair = Pair::new(namespace);
            until(&mut events, |event| {
                matches!(event, NetEvent::LinkChanged(link) if link.name == "lb0" && link.up)
            })
            .await;

            pair.peer("link set be0 down");
            until(&mut events, |event| {
                matches!(event, NetEvent::LinkChanged(link) if link.name == "lb0" && !link.up)
            })
            .await;
            pair.peer("link set be0 up");

            ip("neigh add 10.0.0.9 dev lb0 lladdr 02:00:00:00:00:09");
            until(&mut events, |event| {
                matches!(event, NetEvent::NeighbourChanged(neighbour)
                    if neighbour.address == Ipv4Addr::new(10, 0, 0, 9) && neighbour.mac.is_some())
            })
            .await;
            ip("neigh del 10.0.0.9 dev lb0");
            until(&mut events, |event| {
                matches!(event, NetEvent::NeighbourRemoved { address, .. }
                    if *address == Ipv4Addr::new(10, 0, 0, 9))
            })
            .await;

            while events.try_recv().is_ok() {}
            ip("route add 10.9.0.0/16 via 10.0.0.2");
            until(&mut events, |event| *event == NetEvent::RoutesChanged).await;

            ip("link del lb0");
            until(
                &mut events,
                |event| matches!(event, NetEvent::LinkRemoved { name, .. } if name == "lb0"),
            )
            .await;
        });
    }

    #[test]
    fn a_reader_that_falls_behind_is_told_so() {
        in_namespace(async |namespace| {
            let mut events = subscribe().unwrap();
            let _pair = Pair::new(namespace);
            let batch: String = (0..2 * QUEUE)
                .map(|n| {
                    let (high, low) = (n / 256, n % 256);
                    format!("link set lb0 alias n{high}-{low}\n")
                })
                .collect();
            crate::system::testing::ip_batch(&batch);
            until(&mut events, |event| *event == NetEvent::Overrun).await;
            // And it goes on afterwards.
            ip("link set lb0 alias last");
            until(&mut events, |event| matches!(event, NetEvent::LinkChanged(_))).await;
        });
    }
}
