//! The packet's way out: rewritten for its flow, given the next hop's MAC address, and sent.

pub mod nat;
mod next_hop;
pub mod reset;
mod retry;

use core::mem::offset_of;

use foobar_lb_common::{Reason, checksum::Difference, map::Direction, net::Ip4};
use network_types::{eth::EthHdr, ip::Ipv4Hdr};

use crate::{bytes::Bytes as _, ctx::Frame, flow::Route, maps::DEVICES, parse::Packet, stats};

/// Rewrites the packet and sends it on its way.
///
/// # Errors
///
/// The [`Reason`] for which it is dropped, or left to the kernel after the rewrite. The result is a
/// reason too: how it was sent.
#[inline(always)]
pub fn forward(frame: &mut Frame<'_>, packet: &Packet, route: &Route) -> Result<Reason, Reason> {
    if packet.ttl <= 1 {
        // "If the TTL is zero or one, discard" (RFC 1812 section 5.3.1).
        return Err(Reason::TtlExceeded);
    }
    let bytes = frame.length() as u64;
    nat::rewrite(frame, packet, route)?;
    if route.retry {
        retry::ask(frame, packet)?;
    }
    let (source, destination) = match route.direction {
        Direction::ToBackend => {
            stats::count_in(route.service, route.backend, bytes);
            (packet.source, route.far)
        }
        Direction::ToClient => {
            stats::count_out(route.service, route.backend, bytes);
            (route.far, packet.destination)
        }
    };
    send(frame, packet, source, destination)
}

/// Finds the next hop and sends the packet there, or leaves it to the kernel.
#[inline(always)]
fn send(
    frame: &mut Frame<'_>,
    packet: &Packet,
    source: Ip4,
    destination: Ip4,
) -> Result<Reason, Reason> {
    let hop = next_hop::find(frame, packet, source, destination)?;
    let sent = if hop.interface == frame.interface() {
        Reason::ForwardedTx
    } else {
        // Only prepares the redirect; asked first, so that the packet is still as the kernel
        // wants it when there is no such device.
        DEVICES.redirect(hop.interface, 0).map_err(|_| Reason::KernelInterface)?;
        Reason::ForwardedRedirect
    };

    // 1. Ethernet
    let mut ethernet = frame.view_mut::<{ EthHdr::LEN }>(0).ok_or(Reason::Inconsistent)?;
    ethernet.set_mac::<{ offset_of!(EthHdr, dst_addr) }>(hop.destination_mac);
    ethernet.set_mac::<{ offset_of!(EthHdr, src_addr) }>(hop.source_mac);

    // 2. IPv4: one hop less. The kernel does this itself for what is left to it.
    let mut ip =
        frame.view_mut::<{ Ipv4Hdr::LEN }>(packet.ip_offset).ok_or(Reason::Inconsistent)?;
    const TTL_AND_PROTOCOL: usize = offset_of!(Ipv4Hdr, ttl);
    const CHECKSUM: usize = offset_of!(Ipv4Hdr, check);
    let old = ip.get().u16::<TTL_AND_PROTOCOL>();
    let new = u16::from_be(old).wrapping_sub(0x0100).to_be();
    let checksum = Difference::NONE.word(old, new).apply(ip.get().u16::<CHECKSUM>());
    ip.set_u16::<TTL_AND_PROTOCOL>(new);
    ip.set_u16::<CHECKSUM>(checksum);
    Ok(sent)
}
