//! Does the packet belong to a known flow, and what does that say about it?
//!
//! Two tables: `new_flows` holds flows whose client has not proved yet that it sees the backend's
//! answers; `flows` holds the others. A flow is promoted from the first to the second by
//!
//! - TCP: an acknowledgement of the very sequence number that the backend's SYN carried;
//! - UDP: a packet from the client after one from the backend.
//!
//! So a flood of first packets, whatever their source, can only push out other first packets.
//! Both are LRU tables: nothing has to be collected, and the controller never writes a flow.
//!
//! An entry in `new_flows` is left there when its flow is promoted: a packet of the other direction
//! that is looked up on another CPU at that moment finds it in one table or the other.

use core::mem::offset_of;

use foobar_lb_common::{
    Reason,
    limits::{MAX_REFUSALS, NEW_IDLE, UDP_IDLE},
    map::{Direction, Flow, FlowKey, ServiceKey},
    net::{Ip4, Port, Protocol},
};
use network_types::tcp::TcpHdr;

use crate::{
    bytes::Bytes as _,
    ctx::Frame,
    maps::{BACKENDS, FLOWS, NEW_FLOWS, SERVICES},
    parse::{Packet, TcpFlags},
    stats,
};

/// How a packet is rewritten, and whom it counts for.
#[derive(Clone, Copy)]
pub struct Route {
    /// Which way the packet goes.
    pub direction: Direction,
    /// The address that is put in place: the backend's as destination, or the service's as source.
    pub far: Ip4,
    /// The port that goes with it.
    pub far_port: Port,
    /// The service's id.
    pub service: u32,
    /// The backend's id.
    pub backend: u32,
    /// The packet is a refusal that the client is not to see: it is made to try again.
    pub retry: bool,
}

/// What is known of a packet that needs a backend chosen.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// The id of a backend that just refused this connection; [`Fresh::NO_BACKEND`] if none did.
    pub avoid: u32,
    /// How often it was refused so far.
    pub refusals: u8,
}

impl Fresh {
    /// Not a backend's id.
    pub const NO_BACKEND: u32 = u32::MAX;

    const PLAIN: Self = Self { avoid: Self::NO_BACKEND, refusals: 0 };
}

/// What the flow tables say.
pub enum Found {
    /// A known flow: its backend was chosen before.
    Known(Route),
    /// A known tuple whose flow is over: choose anew.
    Restart(Fresh),
    /// Nothing known.
    Nothing,
}

impl Found {
    /// The backend is to be chosen, and no one is to be avoided.
    pub const FIRST: Fresh = Fresh::PLAIN;
}

/// Looks the packet's tuple up in both tables.
#[inline(always)]
pub fn find(frame: &Frame<'_>, packet: &Packet, key: &FlowKey, now: u32) -> Result<Found, Reason> {
    if let Some(entry) = FLOWS.get_ptr_mut(key) {
        // SAFETY: a look-up's result stays readable for this run; other CPUs may write it, field by
        // field (see `Flow`). Copied out at once.
        let flow = unsafe { *entry };
        if flow.seen != now {
            // SAFETY: as above; one aligned word.
            unsafe { (*entry).seen = now };
        }
        return if flow.is_to_backend() {
            established_to_backend(entry, flow, packet, key, now)
        } else {
            Ok(established_to_client(entry, flow, packet, key))
        };
    }
    if let Some(entry) = NEW_FLOWS.get_ptr_mut(key) {
        // SAFETY: as above.
        let flow = unsafe { *entry };
        // SAFETY: as above; one aligned word.
        unsafe { (*entry).seen = now };
        return if flow.is_to_backend() {
            new_to_backend(frame, flow, packet, key, now)
        } else {
            Ok(new_to_client(frame, entry, flow, packet, key))
        };
    }
    Ok(Found::Nothing)
}

#[inline(always)]
fn established_to_backend(
    entry: *mut Flow,
    flow: Flow,
    packet: &Packet,
    key: &FlowKey,
    now: u32,
) -> Result<Found, Reason> {
    let alive = backend_keeps(&flow);
    let restart = if packet.protocol == Protocol::TCP {
        packet.flags.opens() && (!alive || flow.is_replaceable(packet.protocol, now))
    } else {
        !alive || flow.is_replaceable(packet.protocol, now)
    };
    if restart {
        let twin = key.twin(Direction::ToBackend, flow.far, flow.far_port);
        // Neither needs to be there any more.
        let _ = FLOWS.remove(key);
        let _ = FLOWS.remove(twin);
        return Ok(Found::Restart(Fresh::PLAIN));
    }
    if !alive {
        return Err(gone(packet));
    }
    if packet.flags.has_any(TcpFlags::FIN | TcpFlags::RST) {
        let twin = key.twin(Direction::ToBackend, flow.far, flow.far_port);
        mark_end(entry, FLOWS.get_ptr_mut(twin), packet.flags, Direction::ToBackend);
    }
    Ok(Found::Known(route(&flow)))
}

#[inline(always)]
fn established_to_client(entry: *mut Flow, flow: Flow, packet: &Packet, key: &FlowKey) -> Found {
    if packet.flags.has_any(TcpFlags::FIN | TcpFlags::RST) {
        let twin = key.twin(Direction::ToClient, flow.far, flow.far_port);
        mark_end(entry, FLOWS.get_ptr_mut(twin), packet.flags, Direction::ToClient);
    }
    Found::Known(route(&flow))
}

#[inline(always)]
fn new_to_backend(
    frame: &Frame<'_>,
    flow: Flow,
    packet: &Packet,
    key: &FlowKey,
    now: u32,
) -> Result<Found, Reason> {
    let alive = backend_keeps(&flow);
    if packet.protocol == Protocol::UDP {
        if !alive || flow.is_idle(now, UDP_IDLE) {
            return Ok(Found::Restart(Fresh::PLAIN));
        }
        if flow.replied != 0 {
            promote(&flow, packet, key, now);
        }
        return Ok(Found::Known(route(&flow)));
    }
    if packet.flags.opens() {
        if flow.reset != 0 {
            // Refused: the next backend, if the client has not been told yet.
            let refusals = if flow.refusals < MAX_REFUSALS { flow.refusals + 1 } else { 0 };
            return Ok(Found::Restart(Fresh { avoid: flow.backend, refusals }));
        }
        if !alive || flow.is_idle(now, NEW_IDLE) {
            return Ok(Found::Restart(Fresh::PLAIN));
        }
        // A retransmission.
        return Ok(Found::Known(route(&flow)));
    }
    if !alive {
        return Err(gone(packet));
    }
    if flow.replied != 0 && packet.flags.has(TcpFlags::ACK) && proves(frame, packet, &flow) {
        promote(&flow, packet, key, now);
    }
    Ok(Found::Known(route(&flow)))
}

#[inline(always)]
fn new_to_client(
    frame: &Frame<'_>,
    entry: *mut Flow,
    flow: Flow,
    packet: &Packet,
    key: &FlowKey,
) -> Found {
    if flow.replied == 0 {
        let twin = key.twin(Direction::ToClient, flow.far, flow.far_port);
        let twin = NEW_FLOWS.get_ptr_mut(twin);
        if packet.flags.has(TcpFlags::RST) {
            if let Some(twin) = twin {
                // SAFETY: as in `find`; one byte.
                unsafe { (*twin).reset = 1 };
            }
            stats::count_refused(flow.service, flow.backend);
            let retry = twin.is_some()
                && flow.refusals < MAX_REFUSALS
                && has_alternatives(&flow, packet.protocol);
            return Found::Known(Route { retry, ..route(&flow) });
        } else if packet.protocol != Protocol::TCP
            || packet.flags.has(TcpFlags::SYN | TcpFlags::ACK)
        {
            // Only this is an answer: a backend whose former connection with the same ports lingers
            // in TIME-WAIT sends a bare ACK of that one, and may still refuse the next SYN.
            if let Some(twin) = twin {
                // "If the ACK acknowledges our SYN": the client's must be the backend's sequence
                // number plus one (RFC 9293 section 3.5). Written before `replied` is set; another
                // CPU that sees it late merely promotes the flow one packet later.
                let expected = sequence(frame, packet).wrapping_add(1);
                // SAFETY: as in `find`; one aligned word and one byte.
                unsafe {
                    (*twin).expected_ack = expected;
                    (*twin).replied = 1;
                }
            }
            // SAFETY: as in `find`; one byte.
            unsafe { (*entry).replied = 1 };
        }
    }
    Found::Known(route(&flow))
}

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
fn promote(flow: &Flow, packet: &Packet, key: &FlowKey, now: u32) {
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

/// Whether the flow's backend is still the one that it was given, and may be sent to.
#[inline(always)]
fn backend_keeps(flow: &Flow) -> bool {
    BACKENDS
        .get(flow.backend)
        .is_some_and(|backend| backend.generation == flow.generation && backend.keeps_flows())
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

/// The end of a packet whose backend is down or gone.
#[inline(always)]
fn gone(packet: &Packet) -> Reason {
    if packet.protocol == Protocol::TCP && !packet.flags.has(TcpFlags::RST) {
        Reason::ResetBackendGone
    } else {
        Reason::BackendGone
    }
}

#[inline(always)]
fn route(flow: &Flow) -> Route {
    let direction = if flow.is_to_backend() { Direction::ToBackend } else { Direction::ToClient };
    Route {
        direction,
        far: flow.far,
        far_port: flow.far_port,
        service: flow.service,
        backend: flow.backend,
        retry: false,
    }
}
