//! The image of the maps that configuration fills, and the numbers given to services and backends.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foobar_lb_common::{
    map::{Backend, BackendState, Service, ServiceKey},
    net::{Ip4, Port},
};

use crate::model::{Config, Endpoint};

/// What the maps `services`, `backends` and `slots` hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The map `services`.
    pub services: BTreeMap<ServiceKey, Service>,
    /// The map `backends`, by id; entries that were never used are left out. A free entry keeps
    /// its generation.
    pub backends: BTreeMap<u32, Backend>,
    /// The tables in the map `slots`: where each begins, and the backends' ids in its slots. Empty
    /// tables take no place and are left out.
    pub tables: BTreeMap<u32, Vec<u32>>,
}

impl Image {
    /// Every backend entry that was ever used, as free.
    pub(super) fn retired_backends(&self) -> BTreeMap<u32, Backend> {
        self.backends
            .iter()
            .map(|(&id, backend)| {
                let generation = backend.generation;
                (id, Backend { state: BackendState::Free as u8, generation, ..Backend::default() })
            })
            .collect()
    }

    /// The backends of a service, by where they listen.
    pub fn index(&self) -> Index {
        let mut index = Index::default();
        for (&id, backend) in &self.backends {
            if BackendState::from_byte(backend.state) != BackendState::Free {
                index.backends.insert((backend.service, backend.address, backend.port), id);
            }
        }
        index
    }

    /// Finds where the image contradicts itself: what a packet could trip over.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (key, service) in &self.services {
            if service.table_len == 0 {
                continue;
            }
            let Some(table) = self.tables.get(&service.table_start) else {
                faults.push(format!("{key:?}: no table at slot {}", service.table_start));
                continue;
            };
            if table.len() != service.table_len as usize {
                faults.push(format!("{key:?}: the table has {} slots", table.len()));
            }
            for id in table {
                match self.backends.get(id) {
                    None => faults.push(format!("{key:?}: a slot names the unknown backend {id}")),
                    Some(backend) if backend.service != service.id => {
                        faults.push(format!("{key:?}: backend {id} is another service's"));
                    }
                    Some(_) => {}
                }
            }
        }
        faults
    }
}

/// Finds a backend's id.
#[derive(Clone, Debug, Default)]
pub struct Index {
    backends: HashMap<(u32, Ip4, Port), u32>,
}

impl Index {
    /// The id of the backend of service `service` that listens at `endpoint`.
    pub fn backend(&self, service: u32, endpoint: Endpoint) -> Option<u32> {
        let Endpoint { address, port } = endpoint;
        self.backends.get(&(service, address.into(), Port::new(port))).copied()
    }
}

/// Gives out the numbers: the old one to what is there already, a fresh one to what is new.
///
/// A number that is in use now is not given to something else in the same step: packets in flight
/// may still follow it.
pub(super) struct Ids<'a> {
    now: &'a Image,
    index: Index,
    free_services: FreeNumbers,
    free_backends: FreeNumbers,
}

impl<'a> Ids<'a> {
    pub(super) fn new(config: &Config, now: &'a Image) -> Self {
        let services = now.services.values().map(|service| service.id).collect();
        let backends = now
            .backends
            .iter()
            .filter(|(_, b)| BackendState::from_byte(b.state) != BackendState::Free)
            .map(|(&id, _)| id)
            .collect();
        Self {
            now,
            index: now.index(),
            free_services: FreeNumbers::new(services, config.limits.services),
            free_backends: FreeNumbers::new(backends, config.limits.backends),
        }
    }

    /// The service's id.
    pub(super) fn service(&mut self, key: &ServiceKey) -> Option<u32> {
        match self.now.services.get(key) {
            Some(service) => Some(service.id),
            None => self.free_services.take(),
        }
    }

    /// The backend's id and generation.
    pub(super) fn backend(&mut self, service: u32, endpoint: Endpoint) -> Option<(u32, u32)> {
        if let Some(id) = self.index.backend(service, endpoint)
            && let Some(backend) = self.now.backends.get(&id)
        {
            return Some((id, backend.generation));
        }
        let id = self.free_backends.take()?;
        let generation = self.now.backends.get(&id).map_or(0, |backend| backend.generation);
        Some((id, generation.wrapping_add(1)))
    }
}

/// Numbers below a limit that are not taken; the smallest first.
struct FreeNumbers {
    taken: BTreeSet<u32>,
    next: u32,
    limit: u32,
}

impl FreeNumbers {
    fn new(taken: BTreeSet<u32>, limit: u32) -> Self {
        Self { taken, next: 0, limit }
    }

    fn take(&mut self) -> Option<u32> {
        while self.next < self.limit {
            let number = self.next;
            self.next += 1;
            if !self.taken.contains(&number) {
                return Some(number);
            }
        }
        None
    }
}
