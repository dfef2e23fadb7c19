//! Packets of flows that are not established yet: handshakes, refusals, and the proof that makes a
//! flow established.

use core::mem::offset_of;

use foobar_lb_common::{
    Reason,
    limits::{MAX_REFUSALS, NEW_IDLE, UDP_IDLE},
    map::{Direction, Flow, FlowKey, ServiceKey},
    net::Protocol,
};
use network_types::tcp::TcpHdr;

use super::{
    Found, Fresh, Route, backend_keeps, gone,
    record::{forget, promote},
    route,
};
use crate::{
    bytes::Bytes as _,
    ctx::Frame,
    maps::{NEW_FLOWS, SERVICES},
    parse::{Packet, TcpFlags},
    stats,
};

/// A packet from the client.
#[inline(always)]
pub(super) fn to_backend(
    frame: &Frame<'_>,
    flow: Flow,
    packet: &Packet,
    key: &FlowKey,
    now: u32,
) -> Result<Found, Reason> {
    let alive = backend_keeps(&flow);
    let twin = || key.twin(Direction::ToBackend, flow.far, flow.far_port);
    let is_tcp = packet.protocol == Protocol::TCP;
    if !is_tcp {
        if !alive || flow.is_idle(now, UDP_IDLE) {
            forget(key, &twin());
            return Ok(Found::Restart(Fresh::PLAIN));
        }
    } else if packet.flags.opens() {
        if flow.reset != 0 {
            forget(key, &twin());
            // Refused: the next backend, if the client has not been told yet.
            let refusals = if flow.refusals < MAX_REFUSALS { flow.refusals + 1 } else { 0 };
            return Ok(Found::Restart(Fresh { avoid: flow.backend, refusals }));
        }
        if !alive || flow.is_idle(now, NEW_IDLE) {
            forget(key, &twin());
            return Ok(Found::Restart(Fresh::PLAIN));
        }
        // A retransmission.
        return Ok(Found::Known(route(&flow)));
    } else if !alive {
        return Err(gone(packet));
    }
    let proved = flow.replied != 0
        && (!is_tcp || packet.flags.has(TcpFlags::ACK) && proves(frame, packet, &flow));
    if proved {
        promote(&flow, packet, key, now);
    }
    Ok(Found::Known(route(&flow)))
}

/// A packet from the backend.
#[inline(always)]
pub(super) fn to_client(
    frame: &Frame<'_>,
    entry: *mut Flow,
    flow: Flow,
    packet: &Packet,
    key: &FlowKey,
) -> Found {
    let is_tcp = packet.protocol == Protocol::TCP;
    let refuses = is_tcp && packet.flags.has(TcpFlags::RST) && flow.replied == 0;
    // Only a SYN-ACK is a TCP answer: a backend whose former connection with the same ports lingers
    // in TIME-WAIT sends a bare ACK of that one, and may still refuse the next SYN. Every SYN-ACK
    // is one: the client may have given up, and begun again with the same ports.
    let answers =
        if is_tcp { packet.flags.has(TcpFlags::SYN | TcpFlags::ACK) } else { flow.replied == 0 };
    if !refuses && !answers {
        return Found::Known(route(&flow));
    }
    let twin = NEW_FLOWS.get_ptr_mut(key.twin(Direction::ToClient, flow.far, flow.far_port));
    if refuses {
        // SAFETY: as in `find`; one byte.
        unsafe { (*entry).reset = 1 };
        if let Some(twin) = twin {
            // SAFETY: as above.
            unsafe { (*twin).reset = 1 };
        }
        if flow.reset == 0 {
            stats::count_refused(flow.service, flow.backend);
        }
        let retry = twin.is_some()
            && flow.refusals < MAX_REFUSALS
            && has_alternatives(&flow, packet.protocol);
        return Found::Known(Route { retry, ..route(&flow) });
    }
    if let Some(twin) = twin {
        // "If the ACK acknowledges our SYN": the client's must be the backend's sequence number
        // plus one (RFC 9293 section 3.5). Written before `replied` is set; another CPU that sees it
        // late merely promotes the flow one packet later.
        let expected = sequence(frame, packet).wrapping_add(1);
        // SAFETY: as in `find`; one aligned word and one byte.
        unsafe {
            (*twin).expected_ack = expected;
            (*twin).replied = 1;
        }
    }
    // SAFETY: as in `find`; one byte.
    unsafe { (*entry).replied = 1 };
    Found::Known(route(&flow))
}

/// Whether the service of this entry (of the direction to the client) has more than one slot.
#[inline(always)]
fn has_alternatives(flow: &Flow, protocol: Protocol) -> bool {
    let key = ServiceKey::new(flow.far, flow.far_port, protocol);
    // SAFETY: read at once, as in `classify`.
    unsafe { SERVICES.get(key) }.is_some_and(|service| service.table_len > 1)
}

/// Whether the client's acknowledgement shows that it saw the backend's SYN. The window allows for
/// data that the backend sent right behind it.
#[inline(always)]
fn proves(frame: &Frame<'_>, packet: &Packet, flow: &Flow) -> bool {
    const WINDOW: u32 = 0x1_0000;
    frame.view::<{ TcpHdr::LEN }>(packet.transport_offset).is_some_and(|tcp| {
        tcp.u32_be::<{ offset_of!(TcpHdr, ack_seq) }>().wrapping_sub(flow.expected_ack) < WINDOW
    })
}

#[inline(always)]
fn sequence(frame: &Frame<'_>, packet: &Packet) -> u32 {
    if packet.protocol != Protocol::TCP {
        return 0;
    }
    frame
        .view::<{ TcpHdr::LEN }>(packet.transport_offset)
        .map_or(0, |tcp| tcp.u32_be::<{ offset_of!(TcpHdr, seq) }>())
}
