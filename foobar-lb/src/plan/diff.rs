//! From one image to the next, in an order in which no packet ever meets a dangling reference.

use foobar_lb_common::map::{Backend, BackendState, Service, ServiceKey};

use super::Image;

/// One change of the maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets the counters of a backend's id to zero, before the id is given to a new backend.
    ClearBackendStats {
        /// The backend's id.
        id: u32,
    },
    /// Sets the counters of a service's id to zero, before the id is given to a new service.
    ClearServiceStats {
        /// The service's id.
        id: u32,
    },
    /// Writes a backend's entry.
    PutBackend {
        /// Its id.
        id: u32,
        /// The entry.
        backend: Backend,
    },
    /// Writes a table that no service points at yet.
    PutTable {
        /// Its first slot.
        start: u32,
        /// The backends' ids.
        slots: Vec<u32>,
    },
    /// Writes a service's entry.
    PutService {
        /// What clients reach.
        key: ServiceKey,
        /// The entry.
        service: Service,
    },
    /// Removes a service's entry.
    RemoveService {
        /// What clients reach.
        key: ServiceKey,
    },
}

/// The operations that lead from `now` to `next`:
///
/// 1. backends that come, or that may take more than before;
/// 2. tables, beside those in use;
/// 3. services, which point at them; then services that go;
/// 4. backends that go, or that may take less than before: no table names them any more.
pub fn diff(now: &Image, next: &Image) -> Vec<Op> {
    let mut first = Vec::new();
    let mut last = Vec::new();
    for (&id, backend) in &next.backends {
        let old = now.backends.get(&id).copied().unwrap_or_default();
        if old == *backend {
            continue;
        }
        let put = Op::PutBackend { id, backend: *backend };
        if backend.generation != old.generation {
            first.push(Op::ClearBackendStats { id });
            first.push(put);
        } else if rank(backend.state) >= rank(old.state) {
            first.push(put);
        } else {
            last.push(put);
        }
    }

    let mut ops = first;
    for (&start, slots) in &next.tables {
        if now.tables.get(&start) != Some(slots) {
            ops.push(Op::PutTable { start, slots: slots.clone() });
        }
    }
    for (key, service) in &next.services {
        match now.services.get(key) {
            Some(old) if old == service => continue,
            Some(old) if old.id == service.id => {}
            _ => ops.push(Op::ClearServiceStats { id: service.id }),
        }
        ops.push(Op::PutService { key: *key, service: *service });
    }
    for key in now.services.keys() {
        if !next.services.contains_key(key) {
            ops.push(Op::RemoveService { key: *key });
        }
    }
    ops.extend(last);
    ops
}

/// How much a backend in this state may take.
fn rank(state: u8) -> u8 {
    match BackendState::from_byte(state) {
        BackendState::Free => 0,
        BackendState::Down => 1,
        BackendState::Drain => 2,
        BackendState::Up => 3,
    }
}
