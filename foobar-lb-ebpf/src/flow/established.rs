//! Packets of established flows: the common case.

use foobar_lb_common::{
    Reason,
    map::{Direction, Flow, FlowKey},
    net::Protocol,
};

use super::{
    Found, Fresh, backend_keeps, gone,
    record::{forget, is_over},
    route,
};
use crate::{
    maps::FLOWS,
    parse::{Packet, TcpFlags},
};

/// A packet from the client.
#[inline(always)]
pub(super) fn to_backend(
    entry: *mut Flow,
    flow: Flow,
    packet: &Packet,
    key: &FlowKey,
    now: u32,
) -> Result<Found, Reason> {
    let alive = backend_keeps(&flow);
    let twin = || key.twin(Direction::ToBackend, flow.far, flow.far_port);
    let may_restart = packet.protocol != Protocol::TCP || packet.flags.opens();
    if may_restart && (!alive || is_over(&flow, twin, packet.protocol, now)) {
        forget(key, &twin());
        return Ok(Found::Restart(Fresh::PLAIN));
    }
    if !alive {
        return Err(gone(packet));
    }
    if packet.flags.has_any(TcpFlags::FIN | TcpFlags::RST) {
        mark_end(entry, FLOWS.get_ptr_mut(twin()), packet.flags, Direction::ToBackend);
    }
    Ok(Found::Known(route(&flow)))
}

/// A packet from the backend.
#[inline(always)]
pub(super) fn to_client(entry: *mut Flow, flow: Flow, packet: &Packet, key: &FlowKey) -> Found {
    if packet.flags.has_any(TcpFlags::FIN | TcpFlags::RST) {
        let twin = key.twin(Direction::ToClient, flow.far, flow.far_port);
        mark_end(entry, FLOWS.get_ptr_mut(twin), packet.flags, Direction::ToClient);
    }
    Found::Known(route(&flow))
}

/// Notes a FIN or a reset in both entries.
#[inline(always)]
fn mark_end(entry: *mut Flow, twin: Option<*mut Flow>, flags: TcpFlags, from: Direction) {
    let mark = |flow: *mut Flow| {
        // SAFETY: as in `find`; single bytes that are only ever set.
        unsafe {
            if flags.has(TcpFlags::RST) {
                (*flow).reset = 1;
            } else if matches!(from, Direction::ToBackend) {
                (*flow).client_fin = 1;
            } else {
                (*flow).backend_fin = 1;
            }
        }
    };
    mark(entry);
    if let Some(twin) = twin {
        mark(twin);
    }
}
