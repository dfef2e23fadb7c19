//! What is known of every wanted hop, and which of them the kernel must be asked for. Pure: no I/O,
//! no clock of its own.
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use tokio::time::Instant;

use super::{NextHop, NextHopStatus, Unroutable};
use crate::system::{
    neighbours::{Neighbour, NeighbourState},
    netlink::MacAddress,
    routes::Hop,
};

/// The shortest time between two requests for a hop without an entry, or with a failed one.
pub(super) const ASK_MISSING: Duration = Duration::from_secs(1);
/// The same for a hop that the kernel has, but does not refresh by itself (before Linux 5.16).
pub(super) const ASK_ORDINARY: Duration = Duration::from_secs(5);

/// Every wanted hop and every backend without one.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Hop, Entry>,
    unroutable: Vec<Unroutable>,
}

#[derive(Debug)]
struct Entry {
    mac: Option<MacAddress>,
    state: NeighbourState,
    managed: bool,
    backends: Vec<Ipv4Addr>,
    asked_at: Option<Instant>,
    error: Option<String>,
}

impl Table {
    /// Other hops, and the whole neighbour table as it is now.
    pub(super) fn replace(
        &mut self,
        hops: BTreeMap<Hop, Vec<Ipv4Addr>>,
        unroutable: Vec<Unroutable>,
        neighbours: &[Neighbour],
    ) {
        let mut known = std::mem::take(&mut self.entries);
        self.unroutable = unroutable;
        for (hop, backends) in hops {
            let (asked_at, error) =
                known.remove(&hop).map_or((None, None), |entry| (entry.asked_at, entry.error));
            let state = NeighbourState::None;
            let entry = Entry { mac: None, state, managed: false, backends, asked_at, error };
            self.entries.insert(hop, entry);
        }
        for neighbour in neighbours {
            self.changed(neighbour);
        }
    }

    pub(super) fn changed(&mut self, neighbour: &Neighbour) {
        let hop = Hop { ifindex: neighbour.ifindex, address: neighbour.address };
        if let Some(entry) = self.entries.get_mut(&hop) {
            entry.mac = neighbour.mac;
            entry.state = neighbour.state;
            entry.managed = neighbour.managed;
        }
    }

    pub(super) fn removed(&mut self, hop: Hop) {
        if let Some(entry) = self.entries.get_mut(&hop) {
            entry.mac = None;
            entry.state = NeighbourState::None;
            entry.managed = false;
        }
    }

    /// The hops that the kernel must be asked to resolve now; they count as asked.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Hop> {
        let mut due = Vec::new();
        for (hop, entry) in &mut self.entries {
            if entry.is_due(now) {
                entry.asked_at = Some(now);
                due.push(*hop);
            }
        }
        due
    }

    /// Notes the kernel's answer; returns the error if it is a new one.
    pub(super) fn answered(&mut self, hop: Hop, error: Option<String>) -> Option<String> {
        let entry = self.entries.get_mut(&hop)?;
        let news = error.clone().filter(|error| entry.error.as_ref() != Some(error));
        entry.error = error;
        news
    }

    pub(super) fn status(&self) -> NextHopStatus {
        let next_hops = self
            .entries
            .iter()
            .map(|(hop, entry)| NextHop {
                address: hop.address,
                ifindex: hop.ifindex,
                mac: entry.mac,
                state: entry.state,
                managed: entry.managed,
                backends: entry.backends.clone(),
                error: entry.error.clone(),
            })
            .collect();
        NextHopStatus { next_hops, unroutable: self.unroutable.clone() }
    }
}

impl Entry {
    fn is_due(&self, now: Instant) -> bool {
        // The kernel retries managed ones by itself, also after a failure.
        if self.state.is_static() || self.managed {
            return false;
        }
        let pause = match self.state {
            NeighbourState::None | NeighbourState::Failed => ASK_MISSING,
            _ => ASK_ORDINARY,
        };
        self.asked_at.is_none_or(|asked_at| now.duration_since(asked_at) >= pause)
    }
}
