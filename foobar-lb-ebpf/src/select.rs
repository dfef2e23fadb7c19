//! Which backend does a new flow get?

use foobar_lb_common::{
    Reason, hash,
    limits::SELECT_TRIES,
    map::{BackendState, Direction, FlowKey, Pick, Service},
    net::Protocol,
};

use crate::{
    flow::{self, Fresh, Route},
    maps::{BACKENDS, CURSORS, SLOTS},
    parse::{Packet, TcpFlags},
    stats,
};

/// Chooses a backend from the service's table and remembers the flow.
///
/// Slots that name a backend which just refused this client, or which already talks with the same
/// client address and port for another service, are skipped, a few at the most.
///
/// # Errors
///
/// The [`Reason`] for which the packet cannot begin a flow, or no backend takes it.
#[inline(always)]
pub fn backend(
    packet: &Packet,
    key: &FlowKey,
    service: &Service,
    fresh: Fresh,
    now: u32,
) -> Result<Route, Reason> {
    if packet.protocol == Protocol::TCP && !packet.flags.opens() {
        // Of a connection that is not ours (any more): its sender is told (RFC 9293 section 3.5.2,
        // group 1). A reset is never answered with a reset.
        let reset = packet.flags.has(TcpFlags::RST);
        return Err(if reset { Reason::NoFlow } else { Reason::ResetNoFlow });
    }
    if service.table_len == 0 {
        return Err(Reason::NoBackend);
    }
    let mut chosen = Err(Reason::Inconsistent);
    for attempt in 0..SELECT_TRIES {
        let slot = service.table_start + pick(service, key, attempt);
        let Some(&id) = SLOTS.get(slot) else { continue };
        let Some(backend) = BACKENDS.get(id) else { continue };
        // Between two updates of the maps a slot may be stale; the backend's own entry decides.
        if backend.service != service.id || backend.state != BackendState::Up as u8 {
            continue;
        }
        if id == fresh.avoid && attempt + 1 < SELECT_TRIES {
            continue;
        }
        let route = Route {
            direction: Direction::ToBackend,
            far: backend.address,
            far_port: backend.port,
            service: service.id,
            backend: id,
            retry: false,
        };
        if flow::is_taken(key, &route, now) {
            chosen = Err(Reason::PortCollision);
            continue;
        }
        chosen = Ok((route, backend.generation));
        break;
    }
    let (route, generation) = chosen?;
    flow::remember(key, &route, generation, fresh.refusals, now)?;
    stats::count_new_flow(route.service, route.backend);
    Ok(route)
}

/// The slot of a new flow; `attempt` counts those that were no good.
#[inline(always)]
fn pick(service: &Service, key: &FlowKey, attempt: u32) -> u32 {
    let hash = if service.pick == Pick::Flow as u8 {
        hash::flow(key)
    } else if service.pick == Pick::Source as u8 {
        hash::source(key.source)
    } else {
        return next_slot(service);
    };
    // Another attempt is another hash: the same one for the same flow on every balancer.
    let hash = if attempt == 0 { hash } else { hash::mix(hash.wrapping_add(attempt as u64)) };
    hash::slot(hash, service.table_len)
}

/// Round-robin: each CPU walks the table on its own, so that no CPU waits for another; over all,
/// shares differ by at most one flow a CPU.
#[inline(always)]
fn next_slot(service: &Service) -> u32 {
    let Some(cursor) = CURSORS.get_ptr_mut(service.id) else { return 0 };
    // SAFETY: this CPU's own entry of an array.
    let position = unsafe { *cursor };
    // SAFETY: as above.
    unsafe { *cursor = position.wrapping_add(1) };
    position % service.table_len
}
