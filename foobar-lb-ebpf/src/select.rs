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
    let first = first_slot(service, key);
    let mut chosen = Err(Reason::Inconsistent);
    let mut attempt = 0;
    while attempt < SELECT_TRIES {
        let slot = service.table_start + first.wrapping_add(attempt) % service.table_len;
        attempt += 1;
        let Some(&id) = SLOTS.get(slot) else { continue };
        let Some(backend) = BACKENDS.get(id) else { continue };
        // Between two updates of the maps a slot may be stale; the backend's own entry decides.
        if backend.service != service.id || backend.state != BackendState::Up as u8 {
            continue;
        }
        if id == fresh.avoid && attempt < SELECT_TRIES {
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
    // For every service: asking which ones heed it costs more than the store.
    take_turns(service, first.wrapping_add(attempt));
    let (route, generation) = chosen?;
    flow::remember(key, &route, generation, fresh.refusals, now)?;
    stats::count_new_flow(route.service, route.backend);
    Ok(route)
}

/// The slot that is tried first, before it is reduced to the table's length; those behind it come
/// next.
#[inline(always)]
fn first_slot(service: &Service, key: &FlowKey) -> u32 {
    if service.pick == Pick::Flow as u8 {
        hash::upper(hash::flow(key))
    } else if service.pick == Pick::Source as u8 {
        hash::upper(hash::source(key.source))
    } else {
        // Round-robin: each CPU walks the table on its own, so that no CPU waits for another; over
        // all, shares differ by at most one flow a CPU.
        CURSORS.get(service.id).copied().unwrap_or(0)
    }
}

/// Notes where this CPU's next turn begins.
#[inline(always)]
fn take_turns(service: &Service, next: u32) {
    if let Some(cursor) = CURSORS.get_ptr_mut(service.id) {
        // SAFETY: this CPU's own entry of an array.
        unsafe { *cursor = next };
    }
}
