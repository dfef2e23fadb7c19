//! Writes flows into the tables.

use foobar_lb_common::{
    Reason,
    limits::NEW_IDLE,
    map::{Direction, Flow, FlowKey},
    net::Protocol,
};

use super::Route;
use crate::{
    maps::{FLOWS, NEW_FLOWS},
    parse::{Packet, TcpFlags},
};

/// Remembers a new flow, for both directions, as not established yet. The backend's tuple must be
/// free (see [`is_taken`]); what is over on it is forgotten.
///
/// # Errors
///
/// [`Reason::FlowTable`] when the table refuses.
#[inline(always)]
pub fn remember(
    key: &FlowKey,
    route: &Route,
    generation: u32,
    refusals: u8,
    now: u32,
) -> Result<(), Reason> {
    let twin = key.twin(Direction::ToBackend, route.far, route.far_port);
    // The old entries would lead the new flow's answers to the other service, and the old flow's
    // stragglers into the new one's connection.
    if let Some(holder) = holder(&twin) {
        forget(&holder, &twin);
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

/// Whether a flow of another service than `key`'s has the backend's tuple that `key`'s would have
/// with `route`: the backend talks with the same client address and port for that service.
#[inline(always)]
pub fn is_taken(key: &FlowKey, route: &Route, now: u32) -> bool {
    let twin = key.twin(Direction::ToBackend, route.far, route.far_port);
    // SAFETY: read at once, as in `find`.
    if let Some(flow) = unsafe { FLOWS.get(twin) } {
        // Established, so what `new_flows` holds is left from its handshake.
        let holder = twin.twin(Direction::ToClient, flow.far, flow.far_port);
        return holder != *key && !is_over(flow, || holder, key.protocol, now);
    }
    // SAFETY: as above.
    if let Some(flow) = unsafe { NEW_FLOWS.get(twin) } {
        let holder = twin.twin(Direction::ToClient, flow.far, flow.far_port);
        let over = |flow: &Flow| flow.is_closed() || flow.is_idle(now, NEW_IDLE);
        // SAFETY: as above.
        return holder != *key
            && !(over(flow) && unsafe { NEW_FLOWS.get(holder) }.is_none_or(over));
    }
    false
}

/// The client's key of the flow that has the backend's tuple `twin`.
#[inline(always)]
fn holder(twin: &FlowKey) -> Option<FlowKey> {
    // SAFETY: read at once, as in `find`.
    let flow = unsafe { FLOWS.get(twin).or_else(|| NEW_FLOWS.get(twin)) }?;
    Some(twin.twin(Direction::ToClient, flow.far, flow.far_port))
}

/// Whether an established flow is over, by the entry of either direction: `partner` is the other
/// direction's key, and is asked only when this one is silent.
#[inline(always)]
pub(super) fn is_over(
    flow: &Flow,
    partner: impl Fn() -> FlowKey,
    protocol: Protocol,
    now: u32,
) -> bool {
    let over = |flow: &Flow| flow.is_replaceable(protocol, now);
    // SAFETY: read at once, as in `find`.
    over(flow) && unsafe { FLOWS.get(partner()) }.is_none_or(over)
}

/// Forgets both directions of a flow, in both tables.
#[inline(always)]
pub(super) fn forget(to_backend: &FlowKey, to_client: &FlowKey) {
    // None of them needs to be there.
    let _ = FLOWS.remove(to_backend);
    let _ = FLOWS.remove(to_client);
    let _ = NEW_FLOWS.remove(to_backend);
    let _ = NEW_FLOWS.remove(to_client);
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
