//! Answers a TCP segment with a reset, in place, out of the interface it came in by.
//!
//! For segments of connections that nobody holds any more: the client learns at once, instead of
//! sending into the void until its time-out.

use core::mem::offset_of;

use foobar_lb_common::{Reason, checksum};
use network_types::{eth::EthHdr, ip::Ipv4Hdr, tcp::TcpHdr};

use crate::{
    bytes::Bytes as _,
    ctx::Frame,
    parse::{DATA_OFFSET, Packet, TcpFlags},
};

/// The TTL of what we send ourselves (RFC 1700's default).
const TTL: u16 = 64;
const VERSION_AND_LENGTH: u16 = 0x4500;
const DONT_FRAGMENT: u16 = 0x4000;
const TCP_PROTOCOL: u16 = 6;
const LENGTH: u16 = (Ipv4Hdr::LEN + TcpHdr::LEN) as u16;

/// Turns the frame into the reset that answers it. VLAN tags stay.
///
/// # Errors
///
/// [`Reason::Inconsistent`] should the frame be other than it was parsed.
#[inline(always)]
pub fn answer(frame: &mut Frame<'_>, packet: &Packet) -> Result<(), Reason> {
    let (sequence, acknowledgement, flags) = numbers(frame, packet)?;

    // 1. Ethernet: back to where it came from.
    let mut ethernet = frame.view_mut::<{ EthHdr::LEN }>(0).ok_or(Reason::Inconsistent)?;
    let from = ethernet.mac::<{ offset_of!(EthHdr, src_addr) }>();
    let to = ethernet.mac::<{ offset_of!(EthHdr, dst_addr) }>();
    ethernet.set_mac::<{ offset_of!(EthHdr, dst_addr) }>(from);
    ethernet.set_mac::<{ offset_of!(EthHdr, src_addr) }>(to);

    // 2. IPv4, without options, and 3. TCP right behind it.
    const BOTH: usize = Ipv4Hdr::LEN + TcpHdr::LEN;
    let mut headers = frame.view_mut::<BOTH>(packet.ip_offset).ok_or(Reason::Inconsistent)?;
    let source = packet.destination.to_wire();
    let destination = packet.source.to_wire();
    let ip: [u16; 10] = [
        VERSION_AND_LENGTH.to_be(),
        LENGTH.to_be(),
        0,
        DONT_FRAGMENT.to_be(),
        (TTL << 8 | TCP_PROTOCOL).to_be(),
        0,
        source as u16,
        (source >> 16) as u16,
        destination as u16,
        (destination >> 16) as u16,
    ];
    let offset_and_flags = (0x5000 | u16::from(flags)).to_be();
    let tcp: [u16; 10] = [
        packet.destination_port.to_wire(),
        packet.source_port.to_wire(),
        sequence as u16,
        (sequence >> 16) as u16,
        acknowledgement as u16,
        (acknowledgement >> 16) as u16,
        offset_and_flags,
        0,
        0,
        0,
    ];
    // The pseudo header (RFC 9293 section 3.1): addresses, protocol, TCP length.
    let pseudo = checksum::sum(&[
        source as u16,
        (source >> 16) as u16,
        destination as u16,
        (destination >> 16) as u16,
        TCP_PROTOCOL.to_be(),
        (TcpHdr::LEN as u16).to_be(),
    ]);
    macro_rules! store {
        ($base:literal, $words:ident, $($i:literal)*) => {
            $( headers.set_u16::<{ $base + 2 * $i }>($words[$i]); )*
        };
    }
    store!(0, ip, 0 1 2 3 4 5 6 7 8 9);
    store!(20, tcp, 0 1 2 3 4 5 6 7 8 9);
    headers.set_u16::<{ offset_of!(Ipv4Hdr, check) }>(!checksum::fold(checksum::sum(&ip)));
    headers.set_u16::<{ Ipv4Hdr::LEN + offset_of!(TcpHdr, check) }>(!checksum::fold(
        pseudo + checksum::sum(&tcp),
    ));

    // 4. The rest of the frame goes.
    if frame.truncate(packet.ip_offset + BOTH) { Ok(()) } else { Err(Reason::Inconsistent) }
}

/// The reset's sequence and acknowledgement numbers (as they lie in memory) and its flags:
/// RFC 9293 section 3.10.7.1.
#[inline(always)]
fn numbers(frame: &Frame<'_>, packet: &Packet) -> Result<(u32, u32, u8), Reason> {
    let tcp = frame.view::<{ TcpHdr::LEN }>(packet.transport_offset).ok_or(Reason::Inconsistent)?;
    if packet.flags.has(TcpFlags::ACK) {
        // "<SEQ=SEG.ACK><CTL=RST>"
        return Ok((tcp.u32::<{ offset_of!(TcpHdr, ack_seq) }>(), 0, TcpFlags::RST));
    }
    // "<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>", where SYN and FIN count as one each.
    let headers =
        packet.transport_offset - packet.ip_offset + usize::from(tcp.u8::<DATA_OFFSET>() >> 4) * 4;
    let data = u32::from(packet.ip_length).wrapping_sub(headers as u32);
    let controls =
        u32::from(packet.flags.has(TcpFlags::SYN)) + u32::from(packet.flags.has(TcpFlags::FIN));
    let acknowledgement =
        tcp.u32_be::<{ offset_of!(TcpHdr, seq) }>().wrapping_add(data).wrapping_add(controls);
    Ok((0, acknowledgement.to_be(), TcpFlags::RST | TcpFlags::ACK))
}
