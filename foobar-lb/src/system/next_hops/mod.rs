//! Keeps the next hops of all backends resolved ahead of time, so that the packet path never has
//! to hand a packet to the stack for want of an Ethernet address.
//!
//! Next hops are those of the backends' addresses, and the gateways of all routes by the attached
//! interfaces: the way back to the clients, and the other legs of a route with several gateways.
//! See [`super::neighbours`] for how an entry is kept resolved.
#![forbid(unsafe_code)]

mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use self::table::Table;
use super::{
    events::{self, NetEvent},
    neighbours::NeighbourState,
    netlink::{MacAddress, Netlink, NetlinkError},
    routes::{Hop, Route},
};

/// How often hops are looked at without an event.
const TICK: Duration = Duration::from_secs(1);
/// The shortest time between two readings of the routes because of events.
const REREAD: Duration = Duration::from_secs(1);

/// A neighbour that the packet path sends to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextHop {
    /// The neighbour's address: a gateway's, or a backend's own.
    pub address: Ipv4Addr,
    /// The interface it is behind.
    pub ifindex: u32,
    /// Its Ethernet address, while one is known.
    pub mac: Option<MacAddress>,
    /// Whether that is valid ([`NeighbourState::is_valid`]).
    pub state: NeighbourState,
    /// The kernel refreshes it by itself.
    pub managed: bool,
    /// The backends reached by it; empty for a gateway that only leads to clients.
    pub backends: Vec<Ipv4Addr>,
    /// Why the kernel refused to resolve it, if it did.
    pub error: Option<String>,
}

/// A backend that the packet path cannot send to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unroutable {
    /// The backend's address.
    pub backend: Ipv4Addr,
    /// Why.
    pub why: String,
}

/// What is known of all next hops, for status lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NextHopStatus {
    /// By interface and address.
    pub next_hops: Vec<NextHop>,
    /// By address.
    pub unroutable: Vec<Unroutable>,
}

/// What is to be kept resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    backends: BTreeSet<Ipv4Addr>,
    interfaces: BTreeSet<u32>,
}

/// Keeps next hops resolved in a task of its own, with its own subscription to the kernel's
/// events. Dropping it ends the task and leaves the neighbours managed, as the packet path goes on
/// as well; [`Netlink::release_neighbours`] gives them back.
#[derive(Debug)]
pub struct NextHops {
    wanted: watch::Sender<Option<Wanted>>,
    table: Arc<Mutex<Table>>,
    task: JoinHandle<()>,
}

impl NextHops {
    /// Starts with nothing to do: until the first [`Self::reconcile`] nothing is changed.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Open`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(netlink: Netlink) -> Result<Self, NetlinkError> {
        let (wanted, wishes) = watch::channel(None);
        let table = Arc::new(Mutex::new(Table::default()));
        let events = events::subscribe()?;
        let keeper = Keeper { netlink, table: table.clone(), reread_at: None, reread_last: None };
        let task = tokio::spawn(keeper.run(wishes, events));
        Ok(Self { wanted, table, task })
    }

    /// Keeps exactly these resolved from now on: the next hops of `backends`, and all gateways
    /// behind `interfaces` (the attached ones). Others that a foobar-lb kept are released.
    /// Returns at once; the same again changes nothing.
    pub fn reconcile(
        &self,
        backends: impl IntoIterator<Item = Ipv4Addr>,
        interfaces: impl IntoIterator<Item = u32>,
    ) {
        let wanted = Some(Wanted {
            backends: backends.into_iter().collect(),
            interfaces: interfaces.into_iter().collect(),
        });
        self.wanted.send_if_modified(|known| {
            let changed = *known != wanted;
            *known = wanted;
            changed
        });
    }

    /// What is known now.
    pub fn status(&self) -> NextHopStatus {
        lock(&self.table).status()
    }
}

impl Drop for NextHops {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Nothing that holds the lock panics, and the data would still be whole.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task.
struct Keeper {
    netlink: Netlink,
    table: Arc<Mutex<Table>>,
    reread_at: Option<Instant>,
    reread_last: Option<Instant>,
}

impl Keeper {
    async fn run(
        mut self,
        mut wishes: watch::Receiver<Option<Wanted>>,
        mut events: mpsc::Receiver<NetEvent>,
    ) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reread_at = self.reread_at;
            tokio::select! {
                changed = wishes.changed() => match changed {
                    Ok(()) => self.reread_at = Some(Instant::now()),
                    Err(_) => return,
                },
                event = events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                () = sleep_until(reread_at.unwrap_or_else(Instant::now)), if reread_at.is_some() => {
                    let wanted = wishes.borrow_and_update().clone().unwrap_or_default();
                    self.reread(&wanted).await;
                }
                _ = ticks.tick() => {}
            }
            self.ask().await;
        }
    }

    fn take(&mut self, event: NetEvent) {
        match event {
            NetEvent::NeighbourChanged(neighbour) => lock(&self.table).changed(&neighbour),
            NetEvent::NeighbourRemoved { ifindex, address } => {
                lock(&self.table).removed(Hop { ifindex, address });
            }
            NetEvent::LinkChanged(_)
            | NetEvent::LinkRemoved { .. }
            | NetEvent::RoutesChanged
            | NetEvent::Overrun => {
                // Before the first reconcile there is nothing to read for.
                if let Some(last) = self.reread_last {
                    self.reread_at.get_or_insert(Instant::now().max(last + REREAD));
                }
            }
        }
    }

    async fn reread(&mut self, wanted: &Wanted) {
        self.reread_at = None;
        if let Err(error) = self.try_reread(wanted).await {
            log::warn!("next hops: {error}; trying again");
            self.reread_at = Some(Instant::now() + REREAD);
        }
        self.reread_last = Some(Instant::now());
    }

    async fn try_reread(&self, wanted: &Wanted) -> Result<(), NetlinkError> {
        let mut hops: BTreeMap<Hop, Vec<Ipv4Addr>> = BTreeMap::new();
        let mut unroutable = Vec::new();
        for &backend in &wanted.backends {
            match self.netlink.route(backend).await? {
                Route::Via(hop) => hops.entry(hop).or_default().push(backend),
                Route::None(why) => unroutable.push(Unroutable { backend, why }),
            }
        }
        for &ifindex in &wanted.interfaces {
            match self.netlink.gateways(ifindex).await {
                Ok(gateways) => {
                    for hop in gateways {
                        hops.entry(hop).or_default();
                    }
                }
                // An interface that has just gone; the controller will notice too.
                Err(error) if error.errno() == Some(libc::ENODEV) => log::debug!("{error}"),
                Err(error) => return Err(error),
            }
        }
        let neighbours = self.netlink.neighbours().await?;
        for neighbour in &neighbours {
            let hop = Hop { ifindex: neighbour.ifindex, address: neighbour.address };
            if neighbour.ours && !hops.contains_key(&hop) {
                self.netlink.release_neighbour(hop.ifindex, hop.address).await?;
            }
        }
        lock(&self.table).replace(hops, unroutable, &neighbours);
        Ok(())
    }

    async fn ask(&self) {
        let due = lock(&self.table).due(Instant::now());
        for hop in due {
            let answer = self.netlink.keep_neighbour(hop.ifindex, hop.address).await;
            let error = answer.err().map(|error| error.to_string());
            if let Some(news) = lock(&self.table).answered(hop, error) {
                log::warn!("{news}");
            }
        }
    }
}
