//! The whole of the control logic, without I/O: what is wanted and what is observed become an
//! image of the maps; the difference to the present image becomes an ordered list of operations.
//!
//! Must never touch the kernel, the clock or the network: everything here is tested without them.

#![forbid(unsafe_code)]

mod diff;
mod image;
mod slots;
mod table;

#[cfg(test)]
mod tests;

pub use diff::{Op, diff};
pub use image::{Image, Index};

use foobar_lb_common::{
    map::{Backend, BackendState, Pick, Service as ServiceEntry, ServiceKey},
    net::{Port, Protocol},
};
use thiserror::Error;

use crate::model::{self, AdminState, BackendId, Config, Scheduler};

/// What cannot be planned.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// More services than the maps hold.
    #[error("{wanted} services do not fit: limits.services is {limit}")]
    TooManyServices {
        /// How many are wanted.
        wanted: usize,
        /// How many fit.
        limit: u32,
    },
    /// More backends than the maps hold.
    #[error("{wanted} backends do not fit: limits.backends is {limit}")]
    TooManyBackends {
        /// How many are wanted.
        wanted: usize,
        /// How many fit.
        limit: u32,
    },
    /// The tables do not fit side by side.
    #[error(
        "service `{service}` needs {wanted} slots in one piece, and limits.slots ({limit}) leaves \
         none: raise it, and load anew"
    )]
    NoSlots {
        /// Whose table it is.
        service: String,
        /// How many the new table needs.
        wanted: usize,
        /// How many there are in all.
        limit: u32,
    },
}

/// The key of a service's entry in the map `services`.
pub fn service_key(protocol: model::Protocol, endpoint: model::Endpoint) -> ServiceKey {
    ServiceKey::new(endpoint.address.into(), Port::new(endpoint.port), Protocol(protocol.number()))
}

/// Plans the maps for `config`, given which backends are up, so that what stays the same keeps its
/// ids and its table. `now` is what the maps hold.
///
/// # Errors
///
/// [`PlanError`] when the maps are too small.
pub fn plan(
    config: &Config,
    is_up: impl Fn(&BackendId) -> bool,
    now: &Image,
) -> Result<Image, PlanError> {
    let wanted_backends = config.services.iter().map(|s| s.backends.len()).sum();
    if config.services.len() > config.limits.services as usize {
        return Err(PlanError::TooManyServices {
            wanted: config.services.len(),
            limit: config.limits.services,
        });
    }
    if wanted_backends > config.limits.backends as usize {
        return Err(PlanError::TooManyBackends {
            wanted: wanted_backends,
            limit: config.limits.backends,
        });
    }

    let mut ids = image::Ids::new(config, now);
    let mut next = Image { backends: now.retired_backends(), ..Image::default() };
    let mut allocator = slots::Allocator::new(now, config.limits.slots);
    for service in &config.services {
        let key = service_key(service.protocol, service.endpoint);
        let id = ids.service(&key).ok_or(PlanError::TooManyServices {
            wanted: config.services.len(),
            limit: config.limits.services,
        })?;
        let mut entries = Vec::new();
        for backend in &service.backends {
            let backend_id =
                BackendId { service: service.name.clone(), endpoint: backend.endpoint };
            let state = backend_state(backend, is_up(&backend_id));
            let (number, generation) =
                ids.backend(id, backend.endpoint).ok_or(PlanError::TooManyBackends {
                    wanted: wanted_backends,
                    limit: config.limits.backends,
                })?;
            next.backends.insert(
                number,
                Backend {
                    address: backend.endpoint.address.into(),
                    port: Port::new(backend.endpoint.port),
                    state: state as u8,
                    zero: 0,
                    service: id,
                    generation,
                },
            );
            if state == BackendState::Up {
                entries.push(table::Entry {
                    id: number,
                    weight: backend.weight,
                    name: endpoint_number(backend.endpoint),
                });
            }
        }
        let table = table::fill(service.scheduler, &entries);
        let table_start = allocator.place(&key, &table).ok_or_else(|| PlanError::NoSlots {
            service: service.name.clone(),
            wanted: table.len(),
            limit: config.limits.slots,
        })?;
        let table_len = table.len() as u32;
        if table_len > 0 {
            next.tables.insert(table_start, table);
        }
        next.services.insert(
            key,
            ServiceEntry {
                id,
                table_start,
                table_len,
                pick: pick(service.scheduler) as u8,
                zero: [0; 3],
            },
        );
    }
    Ok(next)
}

/// How the packet path picks a slot for this scheduler.
fn pick(scheduler: Scheduler) -> Pick {
    match scheduler {
        Scheduler::RoundRobin | Scheduler::WeightedRoundRobin => Pick::Turn,
        Scheduler::Maglev => Pick::Flow,
        Scheduler::SourceHash => Pick::Source,
    }
}

/// What a backend is known by on every balancer, whatever its id on this one.
fn endpoint_number(endpoint: model::Endpoint) -> u64 {
    u64::from(endpoint.address.to_bits()) << 16 | u64::from(endpoint.port)
}

/// What may be sent to a backend: the operator's word first, then its health, then its weight.
///
/// | administrative | health | weight | state |
/// |---|---|---|---|
/// | maint | any | any | down |
/// | ready, drain | down | any | down |
/// | drain | up | any | drain |
/// | ready | up | 0 | drain |
/// | ready | up | more | up |
pub fn backend_state(backend: &model::Backend, is_up: bool) -> BackendState {
    match (backend.state, is_up, backend.weight) {
        (AdminState::Maint, _, _) | (_, false, _) => BackendState::Down,
        (AdminState::Drain, true, _) | (AdminState::Ready, true, 0) => BackendState::Drain,
        (AdminState::Ready, true, _) => BackendState::Up,
    }
}
