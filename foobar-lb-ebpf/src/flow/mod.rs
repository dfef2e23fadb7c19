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

mod established;
mod handshake;
mod record;

use foobar_lb_common::{
    Reason,
    map::{Direction, Flow, FlowKey},
    net::{Ip4, Port, Protocol},
};

pub use record::{is_taken, remember};

use crate::{
    ctx::Frame,
    maps::{BACKENDS, FLOWS, NEW_FLOWS},
    parse::{Packet, TcpFlags},
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
            established::to_backend(entry, flow, packet, key, now)
        } else {
            Ok(established::to_client(entry, flow, packet, key))
        };
    }
    if let Some(entry) = NEW_FLOWS.get_ptr_mut(key) {
        // SAFETY: as above.
        let flow = unsafe { *entry };
        // SAFETY: as above; one aligned word.
        unsafe { (*entry).seen = now };
        return if flow.is_to_backend() {
            handshake::to_backend(frame, flow, packet, key, now)
        } else {
            Ok(handshake::to_client(frame, entry, flow, packet, key))
        };
    }
    Ok(Found::Nothing)
}

/// Whether the flow's backend is still the one that it was given, and may be sent to.
#[inline(always)]
fn backend_keeps(flow: &Flow) -> bool {
    BACKENDS
        .get(flow.backend)
        .is_some_and(|backend| backend.generation == flow.generation && backend.keeps_flows())
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
