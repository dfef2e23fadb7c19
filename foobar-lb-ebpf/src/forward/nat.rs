//! Mode `nat`: the destination is rewritten on the way to the backend, the source on the way back.

use core::mem::offset_of;

use foobar_lb_common::{Reason, checksum::Difference, map::Direction, net::Protocol};
use network_types::{ip::Ipv4Hdr, tcp::TcpHdr, udp::UdpHdr};

use crate::{ctx::Frame, flow::Route, parse::Packet};

const SOURCE: usize = offset_of!(Ipv4Hdr, src_addr);
const DESTINATION: usize = offset_of!(Ipv4Hdr, dst_addr);
const IP_CHECKSUM: usize = offset_of!(Ipv4Hdr, check);

/// The ports stand at the same offsets in TCP and UDP.
const SOURCE_PORT: usize = offset_of!(TcpHdr, source);
const DESTINATION_PORT: usize = offset_of!(TcpHdr, dest);
const _: () = assert!(SOURCE_PORT == offset_of!(UdpHdr, src));
const _: () = assert!(DESTINATION_PORT == offset_of!(UdpHdr, dst));

/// Rewrites addresses, ports and checksums.
#[inline(always)]
pub fn rewrite(frame: &mut Frame<'_>, packet: &Packet, route: &Route) -> Result<(), Reason> {
    let (old, old_port) = match route.direction {
        Direction::ToBackend => (packet.destination, packet.destination_port),
        Direction::ToClient => (packet.source, packet.source_port),
    };
    let addresses = Difference::NONE.double_word(old.to_wire(), route.far.to_wire());
    let all = addresses.word(old_port.to_wire(), route.far_port.to_wire());

    // 1. IPv4
    let mut ip =
        frame.view_mut::<{ Ipv4Hdr::LEN }>(packet.ip_offset).ok_or(Reason::Inconsistent)?;
    match route.direction {
        Direction::ToBackend => ip.set_u32::<DESTINATION>(route.far.to_wire()),
        Direction::ToClient => ip.set_u32::<SOURCE>(route.far.to_wire()),
    }
    let checksum = addresses.apply(ip.get().u16::<IP_CHECKSUM>());
    ip.set_u16::<IP_CHECKSUM>(checksum);

    // 2. TCP or UDP: the checksum covers the addresses too, by way of the pseudo header.
    if packet.protocol == Protocol::TCP {
        const CHECKSUM: usize = offset_of!(TcpHdr, check);
        let mut tcp = frame
            .view_mut::<{ TcpHdr::LEN }>(packet.transport_offset)
            .ok_or(Reason::Inconsistent)?;
        match route.direction {
            Direction::ToBackend => tcp.set_u16::<DESTINATION_PORT>(route.far_port.to_wire()),
            Direction::ToClient => tcp.set_u16::<SOURCE_PORT>(route.far_port.to_wire()),
        }
        let checksum = all.apply(tcp.get().u16::<CHECKSUM>());
        tcp.set_u16::<CHECKSUM>(checksum);
    } else {
        const CHECKSUM: usize = offset_of!(UdpHdr, check);
        let mut udp = frame
            .view_mut::<{ UdpHdr::LEN }>(packet.transport_offset)
            .ok_or(Reason::Inconsistent)?;
        match route.direction {
            Direction::ToBackend => udp.set_u16::<DESTINATION_PORT>(route.far_port.to_wire()),
            Direction::ToClient => udp.set_u16::<SOURCE_PORT>(route.far_port.to_wire()),
        }
        let checksum = all.apply_udp(udp.get().u16::<CHECKSUM>());
        udp.set_u16::<CHECKSUM>(checksum);
    }
    Ok(())
}
