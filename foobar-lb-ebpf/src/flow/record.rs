//! Writes flows into the tables.

use foobar_lb_common::{
    Reason,
    limits::NEW_IDLE,
    map::{Direction, Flow, FlowKey},
};

use super::Route;
use crate::{
    maps::{FLOWS, NEW_FLOWS},
    parse::{Packet, TcpFlags},
};

/// Remembers a new flow, for both directions, as not established yet.
///
/// # Errors
///
/// [`Reason::PortCollision`] when the backend already talks with this client address and port
/// for another service (or through another service address); [`Reason::FlowTable`] when the table
/// refuses.
#[inline(always)]
pub fn remember(
    key: &FlowKey,
    route: &Route,
    generation: u32,
    refusals: u8,
    now: u32,
) -> Result<(), Reason> {
    let twin = key.twin(Direction::ToBackend, route.far, route.far_port);
    if is_taken(&twin, key, now) {
        return Err(Reason::PortCollision);
    }
    let to_backend = Flow {
        backend: route.backend,
        generation,
        service: route.service,
        seen: now,
        far: route.far,
        far_port: route.far_port,
        direction: Direction::ToBackend as u8,
        refusals,
        ..Flow::default()
    };
    let to_client = Flow {
        far: key.destination,
        far_port: key.destination_port,
        direction: Direction::ToClient as u8,
        ..to_backend
    };
    NEW_FLOWS.insert(twin, to_client, 0).map_err(|_| Reason::FlowTable)?;
    NEW_FLOWS.insert(key, to_backend, 0).map_err(|_| Reason::FlowTable)
}

/// Whether the backend's tuple `twin` is in use for another service than `key`'s.
#[inline(always)]
fn is_taken(twin: &FlowKey, key: &FlowKey, now: u32) -> bool {
    let other_service =
        |flow: &Flow| flow.far != key.destination || flow.far_port != key.destination_port;
    // SAFETY: read at once, as in `find`.
    if let Some(flow) = unsafe { FLOWS.get(twin) }
        && other_service(flow)
        && !flow.is_replaceable(key.protocol, now)
    {
        return true;
    }
    // SAFETY: read at once, as in `find`.
    if let Some(flow) = unsafe { NEW_FLOWS.get(twin) }
        && other_service(flow)
        && !flow.is_closed()
        && !flow.is_idle(now, NEW_IDLE)
    {
        return true;
    }
    false
}

/// Makes both directions of a flow established. Should a table refuse, the next packet tries again.
#[inline(always)]
pub(super) fn promote(flow: &Flow, packet: &Packet, key: &FlowKey, now: u32) {
    let twin = key.twin(Direction::ToBackend, flow.far, flow.far_port);
    let to_backend = Flow {
        seen: now,
        client_fin: packet.flags.has(TcpFlags::FIN) as u8,
        reset: packet.flags.has(TcpFlags::RST) as u8,
        refusals: 0,
        ..*flow
    };
    let to_client = Flow {
        far: packet.destination,
        far_port: packet.destination_port,
        direction: Direction::ToClient as u8,
        ..to_backend
    };
    if FLOWS.insert(twin, to_client, 0).is_ok() {
        let _ = FLOWS.insert(key, to_backend, 0);
    }
}
